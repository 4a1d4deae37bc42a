//! The files of the output, written while the merge goes on: segments and index at the same time.

use std::sync::Arc;

use rutile_block::{CHUNKS_DIR, INDEX_FILE, IndexStats};
use rutile_chunk::ChunkRef;
use rutile_index::{ChunkMeta, IndexWriter};
use rutile_lifecycle::{FileWriter, PART_BYTES, Upload};
use rutile_model::ErrorKind;
use rutile_runtime::{CpuPool, Spawner};
use tokio::sync::mpsc;

use crate::combine::{IndexWork, Rows};
use crate::error::{Error, Reason, Result};
use crate::input::Input;
use crate::layout::Part;
use crate::progress::Progress;

/// Name of a segment; `segment` is 0-based.
pub(crate) fn segment_name(segment: u32) -> String {
    format!("{:06}", u64::from(segment) + 1)
}

/// Writes the segments; gives their number. Ends early, leaving nothing open, when the parts end
/// within a segment: then the merge has failed.
pub(crate) async fn segments(
    upload: &Upload,
    spawner: &Spawner,
    progress: &Progress,
    mut parts: mpsc::Receiver<Part>,
) -> Result<u32> {
    let fail = |e| Error::lifecycle(upload.id(), e);
    let mut open: Option<FileWriter> = None;
    let mut finishing = Vec::new();
    while let Some(part) = parts.recv().await {
        let mut writer = match open.take() {
            Some(writer) => writer,
            None => {
                let path = format!("{CHUNKS_DIR}/{}", segment_name(part.segment));
                upload.file(&path).map_err(fail)?
            }
        };
        let len = part.bytes.len() as u64;
        writer.write_part(part.bytes).await.map_err(fail)?;
        progress.wrote(len);
        if part.last {
            // Making a segment durable takes its time: the next one is written meanwhile.
            finishing.push(
                spawner
                    .spawn("finish segment", writer.finish())
                    .abort_on_drop(),
            );
        } else {
            open = Some(writer);
        }
    }
    if let Some(writer) = open {
        writer.abandon().await;
    }
    let count = u32::try_from(finishing.len()).unwrap_or(u32::MAX);
    for task in finishing {
        let aborted = |e| Error::passing(upload.id(), ErrorKind::Canceled, format!("{e}"));
        task.await.map_err(aborted)?.map_err(fail)?;
    }
    Ok(count)
}

/// Builds and writes the index; gives its largest sizes. Nothing is written when there are no
/// series, or the merge has failed.
pub(crate) async fn index(
    writer: IndexWriter,
    largest: &Arc<Input>,
    upload: &Upload,
    pool: &CpuPool,
    progress: &Progress,
    mut work: mpsc::Receiver<IndexWork>,
) -> Result<IndexStats> {
    let fail = |e| Error::lifecycle(upload.id(), e);
    let refused = |e| refused(upload, largest, &e);
    let mut build = Build::new(writer);
    let mut file: Option<FileWriter> = None;
    loop {
        let rows = match work.recv().await {
            Some(IndexWork::Rows(rows)) => rows,
            Some(IndexWork::End) => break,
            None => {
                if let Some(file) = file {
                    file.abandon().await;
                }
                return Ok(IndexStats::default());
            }
        };
        let (back, added) = pool
            .run(move || {
                let added = build.add(&rows);
                (build, added)
            })
            .await;
        build = back;
        added.map_err(refused)?;
        let writer = match &mut file {
            Some(file) => file,
            None => file.insert(upload.file(INDEX_FILE).map_err(fail)?),
        };
        if build.writer.pending() >= PART_BYTES {
            let bytes = build.writer.take();
            writer.write(&bytes).await.map_err(fail)?;
            progress.wrote(bytes.len() as u64);
        }
    }
    let Some(mut file) = file else {
        return Ok(IndexStats::default());
    };
    let stats = build.stats;
    let mut tail = build.writer.finish().map_err(refused)?;
    loop {
        let (back, piece) = pool
            .run(move || {
                let piece = tail.next();
                (tail, piece)
            })
            .await;
        tail = back;
        let Some(piece) = piece else {
            break;
        };
        let bytes = piece.map_err(refused)?;
        file.write(&bytes).await.map_err(fail)?;
        progress.wrote(bytes.len() as u64);
    }
    file.finish().await.map_err(fail)?;
    Ok(stats)
}

/// What the index writer refuses: too large is a matter of the inputs, anything else of ours.
fn refused(upload: &Upload, largest: &Input, error: &rutile_index::Error) -> Error {
    match error {
        rutile_index::Error::TooLarge { .. } => {
            largest.fault(Reason::IndexTooLarge, error.to_string())
        }
        rutile_index::Error::Spill(_) => {
            Error::passing(upload.id(), ErrorKind::Unavailable, error.to_string())
        }
        _ => Error::passing(upload.id(), ErrorKind::Internal, format!("index: {error}")),
    }
}

struct Build {
    writer: IndexWriter,
    stats: IndexStats,
    last_reference: Option<u32>,
}

impl Build {
    fn new(writer: IndexWriter) -> Self {
        Self {
            writer,
            stats: IndexStats::default(),
            last_reference: None,
        }
    }

    fn add(&mut self, rows: &Rows) -> rutile_index::Result<()> {
        let (mut labels_start, mut chunks_start) = (0, 0);
        for &(labels_end, chunks_end) in &rows.ends {
            let labels = rows.labels.get(labels_start..labels_end);
            let chunks = rows
                .chunks
                .get(chunks_start..chunks_end)
                .unwrap_or_default();
            let reference = self.writer.add_series(labels.unwrap_or_default(), chunks)?;
            self.measure(reference, chunks);
            (labels_start, chunks_start) = (labels_end, chunks_end);
        }
        Ok(())
    }

    /// The distances that the reference measures: its last pair of chunks is left out.
    fn measure(&mut self, reference: u32, chunks: &[ChunkMeta]) {
        if let Some(last) = self.last_reference.replace(reference) {
            let size = u64::from(reference - last) * 16;
            self.stats.series_max_size = self.stats.series_max_size.max(size);
        }
        let measured = chunks.len().saturating_sub(1);
        let measured = chunks.get(..measured).unwrap_or_default();
        for (a, b) in measured.iter().zip(measured.iter().skip(1)) {
            let (a, b) = (
                ChunkRef::from_u64(a.chunk_ref),
                ChunkRef::from_u64(b.chunk_ref),
            );
            if a.segment() == b.segment() {
                let size = u64::from(b.offset().saturating_sub(a.offset()));
                self.stats.chunk_max_size = self.stats.chunk_max_size.max(size);
            }
        }
    }
}
