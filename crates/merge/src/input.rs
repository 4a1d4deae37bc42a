//! A block that is read: where its parts lie, and the stream of its bytes.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt as _, TryStreamExt as _};
use rutile_block::{BlockId, CHUNKS_DIR, Meta, block_prefix, file_key, index_key};
use rutile_chunk::segment;
use rutile_index::{IndexVersion, Toc};
use rutile_model::ErrorKind;
use rutile_objstore::{BucketReader, Depth};
use rutile_runtime::{Spawner, TaskError};

use crate::error::{Error, Fault, Reason, Result};

/// Requests of one input that are under way while it is opened.
const OPENING: usize = 8;
/// Bytes in front of the sections of an index: magic number and version.
const INDEX_HEAD: u64 = 5;

/// A block that is merged, or read back.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) id: BlockId,
    /// Start of its range, ms.
    pub(crate) min_time: i64,
    /// End of its range, ms.
    pub(crate) max_time: i64,
    pub(crate) version: IndexVersion,
    pub(crate) toc: Toc,
    pub(crate) index_len: u64,
    pub(crate) index_key: String,
    pub(crate) segments: Vec<Segment>,
    /// Its tombstones by series, if it has any.
    pub(crate) tombstones: Vec<rutile_index::Tombstone>,
    /// Whether chunks may lie anywhere, as those of a block do that is mended.
    pub(crate) mends: bool,
    pub(crate) bucket: Arc<dyn BucketReader>,
    spawner: Spawner,
    output: BlockId,
}

/// A chunk segment.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) key: String,
    pub(crate) len: u64,
}

impl Input {
    /// Looks at the index and the segments of a block. Errors that are nobody's fault name `output`.
    pub(crate) async fn open(
        bucket: Arc<dyn BucketReader>,
        spawner: &Spawner,
        meta: &Meta,
        output: BlockId,
    ) -> Result<Self> {
        let mut input = Self {
            id: meta.id,
            min_time: meta.min_time,
            max_time: meta.max_time,
            version: IndexVersion::V2,
            toc: Toc::default(),
            index_len: 0,
            index_key: index_key(meta.id),
            segments: Vec::new(),
            tombstones: Vec::new(),
            mends: false,
            bucket,
            spawner: spawner.clone(),
            output,
        };
        input.open_index().await?;
        input.open_segments(meta).await?;
        input.open_tombstones().await?;
        Ok(input)
    }

    /// The same block, of which more was deleted.
    pub(crate) fn with_tombstones(&self, mut tombstones: Vec<rutile_index::Tombstone>) -> Self {
        tombstones.sort_unstable();
        let segment = |s: &Segment| Segment {
            key: s.key.clone(),
            len: s.len,
        };
        Self {
            index_key: self.index_key.clone(),
            segments: self.segments.iter().map(segment).collect(),
            bucket: Arc::clone(&self.bucket),
            spawner: self.spawner.clone(),
            tombstones,
            ..*self
        }
    }

    /// Its range, ms; both ends inclusive, as the last sample may lie at the very end.
    pub(crate) fn times(&self) -> std::ops::RangeInclusive<i64> {
        self.min_time..=self.max_time
    }

    /// Bytes that reading it takes.
    pub(crate) fn bytes(&self) -> u64 {
        let header = segment::HEADER_LEN as u64;
        let chunks: u64 = self
            .segments
            .iter()
            .map(|segment| segment.len - header)
            .sum();
        self.toc.series_section().end - self.toc.symbols + chunks
    }

    async fn open_index(&mut self) -> Result<()> {
        let attributes = self.bucket.attributes(&self.index_key).await;
        self.index_len = attributes
            .map_err(|e| self.bucket_error(e, Reason::IndexMissing))?
            .size;
        let toc_len = Toc::LEN as u64;
        if self.index_len < INDEX_HEAD + toc_len {
            let message = format!("{} is too short to be an index", self.index_key);
            return Err(self.fault(Reason::IndexCorrupt, message));
        }
        let head = self.index_range(0..INDEX_HEAD).await?;
        self.version = IndexVersion::parse_prefix(&head).map_err(|e| self.index_error(e))?;
        let tail = self
            .index_range(self.index_len - toc_len..self.index_len)
            .await?;
        self.toc = Toc::parse(&tail, self.index_len).map_err(|e| self.index_error(e))?;
        Ok(())
    }

    /// Bytes of the index.
    pub(crate) async fn index_range(&self, range: Range<u64>) -> Result<Bytes> {
        let bytes = self.bucket.get_range(&self.index_key, range).await;
        bytes.map_err(|e| self.bucket_error(e, Reason::IndexMissing))
    }

    /// Which object a segment is follows from the metadata's list, as for the store gateway; only
    /// old blocks have none.
    async fn open_segments(&mut self, meta: &Meta) -> Result<()> {
        let names = self.segment_names(meta).await?;
        let this = &*self;
        let segments = stream::iter(names.into_iter().map(|path| async move {
            let key = file_key(this.id, &path);
            let attributes = this.bucket.attributes(&key).await;
            let len = attributes
                .map_err(|e| this.bucket_error(e, Reason::ChunkMissing))?
                .size;
            let header = segment::HEADER_LEN as u64;
            if len < header {
                let message = format!("{key} is shorter than a segment's header");
                return Err(this.fault(Reason::ChunkTruncated, message));
            }
            let bytes = this.bucket.get_range(&key, 0..header).await;
            let bytes = bytes.map_err(|e| this.bucket_error(e, Reason::ChunkMissing))?;
            segment::parse_header(&bytes).map_err(|e| {
                let reason = match bytes.get(..4) == segment::HEADER.get(..4) {
                    true => Reason::UnsupportedVersion,
                    false => Reason::ChunkChecksum,
                };
                this.fault(reason, format!("{key}: {e}"))
            })?;
            Ok(Segment { key, len })
        }));
        let segments: Vec<_> = segments.buffered(OPENING).try_collect().await?;
        self.segments = segments;
        Ok(())
    }

    async fn segment_names(&self, meta: &Meta) -> Result<Vec<String>> {
        let in_chunks = |name: &String| format!("{CHUNKS_DIR}/{name}");
        if !meta.thanos.segment_files.is_empty() {
            return Ok(meta.thanos.segment_files.iter().map(in_chunks).collect());
        }
        let prefix = block_prefix(self.id);
        let folder = format!("{prefix}{CHUNKS_DIR}");
        let mut names: Vec<String> = self
            .bucket
            .list(&folder, Depth::Recursive)
            .map_err(|e| self.bucket_error(e, Reason::ChunkMissing))
            .try_filter_map(|entry| {
                let name = entry.key.strip_prefix(&prefix).map(str::to_owned);
                futures::future::ready(Ok(name))
            })
            .try_collect()
            .await?;
        names.sort_unstable();
        Ok(names)
    }

    /// No writer of the reference uploads them; somebody who copied a block of Prometheus may have.
    async fn open_tombstones(&mut self) -> Result<()> {
        const LIMIT: u64 = 64 << 20;
        let key = file_key(self.id, "tombstones");
        let bytes = match self.bucket.get(&key, LIMIT).await {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(self.bucket_error(error, Reason::TombstonesCorrupt)),
        };
        let mut tombstones = rutile_index::read_tombstones(&bytes)
            .map_err(|e| self.fault(Reason::TombstonesCorrupt, format!("{key}: {e}")))?;
        tombstones.sort_unstable();
        self.tombstones = tombstones;
        Ok(())
    }

    /// The error of a request; an object that is not there is a fault.
    pub(crate) fn bucket_error(&self, error: rutile_objstore::Error, missing: Reason) -> Error {
        let message = error.to_string();
        if error.is_not_found() {
            return self.fault(missing, message).because(error);
        }
        Error::passing(self.output, error.kind(), message).because(error)
    }

    /// Damage of the index.
    pub(crate) fn index_error(&self, error: rutile_index::Error) -> Error {
        let reason = match &error {
            rutile_index::Error::Unsupported { .. } => Reason::UnsupportedVersion,
            rutile_index::Error::Corrupt { .. }
            | rutile_index::Error::Invalid(_)
            | rutile_index::Error::TooLarge { .. }
            | rutile_index::Error::Spill(_) => Reason::IndexCorrupt,
        };
        self.fault(reason, format!("{}: {error}", self.index_key))
    }

    pub(crate) fn fault(&self, reason: Reason, message: impl Into<String>) -> Error {
        let block = self.id;
        Error::bad(Fault { block, reason }, message)
    }
}

/// The bytes of a range of an object in windows of `window` bytes, one of them read ahead. A window
/// that is cut short is an error with `short` as its reason.
pub(crate) fn windows(
    input: Arc<Input>,
    key: String,
    range: Range<u64>,
    window: u64,
    short: Reason,
) -> impl Stream<Item = Result<Bytes>> + Send {
    let starts = stream::iter((0..).map(move |i| range.start + i * window));
    let end = range.end;
    starts
        .take_while(move |start| futures::future::ready(*start < end))
        .map(move |start| {
            // A task of its own: a request that nobody polls would hold its place among the
            // bucket's requests.
            let range = start..end.min(start + window);
            let read = window_at(Arc::clone(&input), key.clone(), range, short);
            let task = input.spawner.spawn("read window", read).abort_on_drop();
            let input = Arc::clone(&input);
            async move { task.await.unwrap_or_else(|e| Err(input.ended(&e))) }
        })
        .buffered(2)
}

async fn window_at(
    input: Arc<Input>,
    key: String,
    range: Range<u64>,
    short: Reason,
) -> Result<Bytes> {
    let end = range.end;
    let len = end - range.start;
    let bytes = input.bucket.get_range(&key, range).await;
    let bytes = bytes.map_err(|e| input.bucket_error(e, short))?;
    if (bytes.len() as u64) < len {
        return Err(input.fault(short, format!("{key} ends before byte {end}")));
    }
    Ok(bytes)
}

impl Input {
    /// A task of the merge was ended.
    pub(crate) fn ended(&self, error: &TaskError) -> Error {
        let kind = match error {
            TaskError::Panicked(_) => ErrorKind::Internal,
            TaskError::Aborted => ErrorKind::Canceled,
        };
        Error::passing(self.output, kind, error.to_string())
    }

    pub(crate) fn exhausted(&self, error: rutile_runtime::Exhausted) -> Error {
        Error::exhausted(self.output, error)
    }
}
