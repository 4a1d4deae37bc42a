//! What becomes of the chunks of one series that several blocks have.

use std::fmt::Debug;

use rutile_chunk::Chunk;

use crate::batch;

/// Decides which chunks a series has in the output. Called once for each series, from any thread.
pub trait MergeFunction: Debug + Send + Sync + 'static {
    /// The chunks of one series: `pieces` has one entry for each input that has the series, by the
    /// start of the input's range, never none. What is put out must be in order of time.
    ///
    /// # Errors
    /// Inputs of which nothing can be made.
    fn merge(&self, pieces: &[Piece<'_>], out: &mut dyn ChunkSink) -> Result<(), Refusal>;

    /// Whether it makes something of inputs that overlap in time.
    fn takes_overlaps(&self) -> bool {
        false
    }
}

/// Takes the chunks of the output series.
pub trait ChunkSink {
    /// All chunks of a piece, undecoded.
    fn pass(&mut self, piece: usize);

    /// Some chunks of a piece, undecoded.
    fn pass_some(&mut self, piece: usize, chunks: std::ops::Range<usize>);

    /// A chunk that was made of several.
    fn put(&mut self, min_time: i64, max_time: i64, chunk: Chunk<'_>);
}

/// The chunks that one input has of a series: at least one, in order of time, without overlap.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'a> {
    /// Which input, counted by the start of their ranges.
    pub input: usize,
    pub(crate) chunks: &'a [batch::Chunk],
    pub(crate) bytes: &'a [u8],
}

/// Why nothing can be made of the chunks of a series. Inputs are counted as in [`Piece::input`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// One input has a chunk where another one has one.
    Overlap {
        /// The input with the earlier chunk.
        first: usize,
        /// The input whose chunk starts before the other ends.
        second: usize,
    },
    /// The chunks of an input are not what they claim to be.
    Damaged {
        /// Which one.
        input: usize,
        /// What is wrong with them.
        what: String,
    },
}

/// Puts the pieces one behind the other. An overlap is refused.
#[derive(Debug, Clone, Copy, Default)]
pub struct Concatenate;

impl<'a> Piece<'a> {
    /// Number of chunks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chunks.len()
    }

    /// Never: a piece has a chunk.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Time of the first sample, ms.
    #[must_use]
    pub fn min_time(&self) -> i64 {
        self.chunks.first().map_or(i64::MAX, |chunk| chunk.min_time)
    }

    /// Time of the last sample, ms.
    #[must_use]
    pub fn max_time(&self) -> i64 {
        self.chunks.last().map_or(i64::MIN, |chunk| chunk.max_time)
    }

    /// The chunks: first and last time in ms, and the samples, encoded.
    pub fn chunks(&self) -> impl Iterator<Item = (i64, i64, Chunk<'a>)> + use<'a> {
        let bytes = self.bytes;
        self.chunks
            .iter()
            .map(move |chunk| (chunk.min_time, chunk.max_time, chunk.content(bytes)))
    }
}

impl MergeFunction for Concatenate {
    fn merge(&self, pieces: &[Piece<'_>], out: &mut dyn ChunkSink) -> Result<(), Refusal> {
        for (i, piece) in pieces.iter().enumerate() {
            if let Some(before) = i.checked_sub(1).and_then(|before| pieces.get(before))
                && before.max_time() >= piece.min_time()
            {
                return Err(Refusal::Overlap {
                    first: before.input,
                    second: piece.input,
                });
            }
            out.pass(i);
        }
        Ok(())
    }
}
