//! The one stage where the blocks meet: equal series found, their chunks put in order and laid out.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use rutile_block::BlockId;
use rutile_index::ChunkMeta;
use rutile_model::ErrorKind;
use rutile_runtime::CpuPool;
use smallvec::SmallVec;
use tokio::sync::mpsc;

use crate::batch::{Batch, Chunk, Label};
use crate::digest::{self, Tally};
use crate::error::{Error, Reason, Result};
use crate::function::{ChunkSink, MergeFunction, Piece, Refusal};
use crate::input::Input;
use crate::layout::{Layout, Part};
use crate::progress::Progress;
use crate::rewrite;
use crate::source::Source;

/// Inputs up to which a series costs no allocation.
const FEW: usize = 16;
/// Series that are handed on at a time, at most.
const MAX_ROWS: usize = 8192;

/// Series of the output, as the index wants them.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) labels: Vec<Label>,
    pub(crate) chunks: Vec<ChunkMeta>,
    /// Where the labels and the chunks of each series end.
    pub(crate) ends: Vec<(usize, usize)>,
}

/// What goes into the index.
#[derive(Debug)]
pub(crate) enum IndexWork {
    Rows(Rows),
    /// There are no more; without it the merge has failed.
    End,
}

/// What the merge stage needs besides its sources.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) output: BlockId,
    /// By the start of their ranges.
    pub(crate) inputs: Vec<Arc<Input>>,
    pub(crate) function: Arc<dyn MergeFunction>,
    pub(crate) segment_size: u64,
    pub(crate) pool: CpuPool,
    pub(crate) progress: Arc<Progress>,
    pub(crate) parts: mpsc::Sender<Part>,
    pub(crate) index: mpsc::Sender<IndexWork>,
}

impl Stage {
    /// Merges all that the sources have; gives what the output must hold.
    pub(crate) async fn run(self, mut sources: Vec<Source>) -> Result<Tally> {
        let mut combiner = Combiner::new(&self);
        loop {
            for (i, source) in sources.iter_mut().enumerate() {
                if combiner.is_hungry(i) {
                    combiner.feed(i, source.next().await?);
                }
            }
            let (back, result) = self
                .pool
                .run(move || {
                    let result = combiner.step();
                    (combiner, result)
                })
                .await;
            combiner = back;
            let step = result?;
            self.progress
                .merged(step.series, step.rows.chunks.len() as u64);
            self.send_parts(combiner.layout.take()).await?;
            if !step.rows.ends.is_empty() {
                self.send_index(IndexWork::Rows(step.rows)).await?;
            }
            if step.done {
                break;
            }
        }
        self.send_parts(combiner.layout.finish()).await?;
        self.send_index(IndexWork::End).await?;
        Ok(combiner.tally)
    }

    async fn send_parts(&self, parts: Vec<Part>) -> Result<()> {
        for part in parts {
            let sent = self.parts.send(part).await;
            sent.map_err(|_| self.stopped())?;
        }
        Ok(())
    }

    async fn send_index(&self, work: IndexWork) -> Result<()> {
        let sent = self.index.send(work).await;
        sent.map_err(|_| self.stopped())
    }

    /// A later stage has failed, and its error says why.
    fn stopped(&self) -> Error {
        Error::passing(self.output, ErrorKind::Canceled, "a later stage has ended")
    }
}

/// What one step came to.
#[derive(Debug, Default)]
struct Step {
    rows: Rows,
    /// Series of the inputs.
    series: u64,
    done: bool,
}

#[derive(Debug)]
struct Combiner {
    output: BlockId,
    inputs: Vec<Arc<Input>>,
    function: Arc<dyn MergeFunction>,
    /// The present batch of each input, and the series in it that is next.
    batches: Vec<Option<Batch>>,
    at: Vec<usize>,
    ended: Vec<bool>,
    selection: Selection,
    layout: Layout,
    tally: Tally,
}

impl Combiner {
    fn new(stage: &Stage) -> Self {
        let count = stage.inputs.len();
        Self {
            output: stage.output,
            inputs: stage.inputs.clone(),
            function: Arc::clone(&stage.function),
            batches: std::iter::repeat_with(|| None).take(count).collect(),
            at: vec![0; count],
            ended: vec![false; count],
            selection: Selection::default(),
            layout: Layout::new(stage.segment_size),
            tally: Tally::default(),
        }
    }

    fn is_hungry(&self, input: usize) -> bool {
        self.ended.get(input) == Some(&false) && matches!(self.batches.get(input), Some(None))
    }

    fn feed(&mut self, input: usize, batch: Option<Batch>) {
        if let Some(ended) = self.ended.get_mut(input) {
            *ended = batch.is_none();
        }
        if let Some(at) = self.at.get_mut(input) {
            *at = 0;
        }
        if let Some(slot) = self.batches.get_mut(input) {
            *slot = batch.filter(|batch| !batch.series.is_empty());
        }
    }

    /// Merges until a batch is used up, or enough is done to be handed on.
    fn step(&mut self) -> Result<Step> {
        let mut step = Step::default();
        let mut equal: SmallVec<[usize; FEW]> = SmallVec::new();
        while step.rows.ends.len() < MAX_ROWS {
            if (0..self.inputs.len()).any(|i| self.is_hungry(i)) {
                break;
            }
            let Some(labels_digest) = self.least(&mut equal)? else {
                step.done = true;
                break;
            };
            self.series(&equal, labels_digest, &mut step.rows)?;
            step.series += equal.len() as u64;
            self.advance(&equal);
        }
        Ok(step)
    }

    /// Finds the inputs whose next series is the least; gives the digest of its labels.
    fn least(&self, equal: &mut SmallVec<[usize; FEW]>) -> Result<Option<u64>> {
        equal.clear();
        let mut least: Option<(&[Label], u64)> = None;
        for (i, (batch, &at)) in self.batches.iter().zip(&self.at).enumerate() {
            let Some(batch) = batch else {
                continue;
            };
            let labels = batch.labels_of(at);
            let digest = batch
                .series
                .get(at)
                .map_or(0, |series| series.labels_digest);
            match least.map_or(Ordering::Less, |(least, _)| labels.cmp(least)) {
                Ordering::Less => {
                    equal.clear();
                    equal.push(i);
                    least = Some((labels, digest));
                }
                Ordering::Equal => {
                    if least.is_some_and(|(_, least)| least != digest) {
                        let message = "equal symbol references stand for different labels";
                        return Err(Error::passing(self.output, ErrorKind::Internal, message));
                    }
                    equal.push(i);
                }
                Ordering::Greater => {}
            }
        }
        Ok(least.map(|(_, digest)| digest))
    }

    /// Merges one series, which the inputs `equal` have.
    fn series(&mut self, equal: &[usize], labels_digest: u64, rows: &mut Rows) -> Result<()> {
        let mut pieces: SmallVec<[Piece<'_>; FEW]> = SmallVec::new();
        let mut labels: &[Label] = &[];
        for &input in equal {
            if let (Some(Some(batch)), Some(&at)) = (self.batches.get(input), self.at.get(input)) {
                let chunks = batch.chunks_of(at);
                labels = batch.labels_of(at);
                if !chunks.is_empty() {
                    let bytes = &batch.bytes;
                    pieces.push(Piece {
                        input,
                        chunks,
                        bytes,
                    });
                }
            }
        }
        if pieces.is_empty() {
            return Ok(());
        }
        self.selection.clear();
        let merged = self.function.merge(&pieces, &mut self.selection);
        merged.map_err(|refusal| self.refused(refusal))?;
        let slices: SmallVec<[(&[Chunk], &[u8]); FEW]> = self.selection.slices(&pieces).collect();
        let mut state = labels_digest;
        let (tally, chunks) = (&mut self.tally, &mut rows.chunks);
        let before = chunks.len();
        let laid_out = self.layout.series(&slices, |chunk, place| {
            state = digest::chunk(state, chunk);
            tally.count(chunk);
            chunks.push(ChunkMeta {
                min_time: chunk.min_time,
                max_time: chunk.max_time,
                chunk_ref: place.as_u64(),
            });
        });
        if laid_out.is_none() {
            let message = "a chunk would start beyond the 4 GiB that a segment can address";
            return Err(Error::passing(self.output, ErrorKind::Exhausted, message));
        }
        if rows.chunks.len() > before {
            tally.add_series(state);
            rows.labels.extend_from_slice(labels);
            rows.ends.push((rows.labels.len(), rows.chunks.len()));
        }
        Ok(())
    }

    fn advance(&mut self, equal: &[usize]) {
        for &input in equal {
            if let (Some(batch), Some(at)) = (self.batches.get_mut(input), self.at.get_mut(input)) {
                *at += 1;
                if batch
                    .as_ref()
                    .is_some_and(|batch| *at >= batch.series.len())
                {
                    *batch = None;
                }
            }
        }
    }

    fn refused(&self, refusal: Refusal) -> Error {
        let (input, reason, message) = match refusal {
            Refusal::Overlap { first, second } => {
                let first = self.inputs.get(first).map(|first| first.id);
                let first = first.unwrap_or(self.output);
                let message =
                    format!("a series has a chunk that overlaps with one of block {first}");
                (second, Reason::OverlappingChunks, message)
            }
            Refusal::Damaged { input, what } => (input, Reason::ChunkChecksum, what),
        };
        match self.inputs.get(input) {
            Some(input) => input.fault(reason, message),
            None => {
                let message = "the merge function names an input that is not there";
                Error::passing(self.output, ErrorKind::Internal, message)
            }
        }
    }
}

/// What the merge function chose for one series.
#[derive(Debug, Default)]
struct Selection {
    picks: Vec<Pick>,
    /// Frames of the chunks that it made.
    made: Vec<u8>,
    chunks: Vec<Chunk>,
}

#[derive(Debug)]
enum Pick {
    Of(usize, Range<usize>),
    Made(usize),
}

impl Selection {
    fn clear(&mut self) {
        self.picks.clear();
        self.made.clear();
        self.chunks.clear();
    }

    fn slices<'a>(
        &'a self,
        pieces: &'a [Piece<'a>],
    ) -> impl Iterator<Item = (&'a [Chunk], &'a [u8])> {
        self.picks.iter().map(|pick| match pick {
            Pick::Of(piece, chunks) => pieces.get(*piece).map_or((&[][..], &[][..]), |piece| {
                let end = chunks.end.min(piece.chunks.len());
                let chunks = piece.chunks.get(chunks.start.min(end)..end);
                (chunks.unwrap_or_default(), piece.bytes)
            }),
            Pick::Made(at) => {
                let chunk = self.chunks.get(*at..=*at);
                (chunk.unwrap_or_default(), self.made.as_slice())
            }
        })
    }
}

impl ChunkSink for Selection {
    fn pass(&mut self, piece: usize) {
        self.picks.push(Pick::Of(piece, 0..usize::MAX));
    }

    fn pass_some(&mut self, piece: usize, chunks: Range<usize>) {
        self.picks.push(Pick::Of(piece, chunks));
    }

    fn put(&mut self, min_time: i64, max_time: i64, chunk: rutile_chunk::Chunk<'_>) {
        if let Some(made) = rewrite::put_frame(&mut self.made, min_time, max_time, chunk) {
            self.picks.push(Pick::Made(self.chunks.len()));
            self.chunks.push(made);
        }
    }
}
