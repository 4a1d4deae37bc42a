//! Which chunks the series of the output have: the merge function, asked for many series at a time.

use std::ops::Range;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::batch::{Batch, Chunk, Label};
use crate::function::{ChunkSink, MergeFunction, Piece, Refusal};
use crate::rewrite;

/// Inputs up to which a series costs no allocation.
pub(crate) const FEW: usize = 16;

/// Series that were found in the present batches of all inputs.
#[derive(Debug, Default)]
pub(crate) struct Round {
    /// One of each input.
    pub(crate) batches: Vec<Option<Arc<Batch>>>,
    /// Inputs and places in their batches, series after series.
    pub(crate) places: Vec<(usize, usize)>,
    /// Where the places of each series end, and the digest of its labels.
    pub(crate) series: Vec<(usize, u64)>,
    /// Whether there are no more.
    pub(crate) done: bool,
}

impl Round {
    /// Number of series.
    pub(crate) fn len(&self) -> usize {
        self.series.len()
    }

    /// About so many shares of equal length, in order; none of no series.
    pub(crate) fn split(&self, count: usize) -> Vec<Range<usize>> {
        let len = self.len();
        let step = len.div_ceil(count.max(1)).max(1);
        let starts = (0..len).step_by(step);
        starts.map(|start| start..(start + step).min(len)).collect()
    }

    /// What the inputs have of a series.
    pub(crate) fn pieces(&self, series: usize) -> SmallVec<[Piece<'_>; FEW]> {
        let mut pieces = SmallVec::new();
        for &(input, at) in self.places_of(series) {
            let Some(Some(batch)) = self.batches.get(input) else {
                continue;
            };
            let chunks = batch.chunks_of(at);
            if !chunks.is_empty() {
                let bytes = &batch.bytes;
                pieces.push(Piece {
                    input,
                    chunks,
                    bytes,
                });
            }
        }
        pieces
    }

    /// The labels of a series.
    pub(crate) fn labels(&self, series: usize) -> &[Label] {
        let first = self.places_of(series).first();
        let batch = first.and_then(|(input, at)| Some((self.batches.get(*input)?.as_ref()?, at)));
        batch.map_or(&[], |(batch, at)| batch.labels_of(*at))
    }

    fn places_of(&self, series: usize) -> &[(usize, usize)] {
        let before = series.checked_sub(1).and_then(|at| self.series.get(at));
        let start = before.map_or(0, |(end, _)| *end);
        let end = self.series.get(series).map_or(start, |(end, _)| *end);
        self.places.get(start..end).unwrap_or_default()
    }

    /// Asks the merge function for some of the series.
    ///
    /// # Errors
    /// The first series of which nothing can be made.
    pub(crate) fn choose(
        &self,
        function: &dyn MergeFunction,
        series: Range<usize>,
    ) -> Result<Share, Refusal> {
        let mut chosen = Share::default();
        for at in series {
            let pieces = self.pieces(at);
            if !pieces.is_empty() {
                function.merge(&pieces, &mut chosen)?;
            }
            chosen.ends.push(chosen.picks.len());
        }
        Ok(chosen)
    }
}

/// What the merge function chose for some series.
#[derive(Debug, Default)]
pub(crate) struct Share {
    picks: Vec<Pick>,
    /// Where the picks of each series end.
    ends: Vec<usize>,
    /// Frames of the chunks that it made.
    made: Vec<u8>,
    chunks: Vec<Chunk>,
}

#[derive(Debug)]
enum Pick {
    Of(usize, Range<usize>),
    Made(usize),
}

impl Share {
    /// Number of series.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The chunks of a series, counted from the first of the share, whose pieces these are.
    pub(crate) fn slices<'a>(
        &'a self,
        series: usize,
        pieces: &'a [Piece<'a>],
    ) -> impl Iterator<Item = (&'a [Chunk], &'a [u8])> {
        let before = series.checked_sub(1).and_then(|at| self.ends.get(at));
        let start = before.copied().unwrap_or_default();
        let end = self.ends.get(series).copied().unwrap_or(start);
        let picks = self.picks.get(start..end).unwrap_or_default();
        picks.iter().map(|pick| match pick {
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

impl ChunkSink for Share {
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
