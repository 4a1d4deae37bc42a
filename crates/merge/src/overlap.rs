//! One series of the overlapping chunks of several inputs, by the functions of `rutile-dedup`.
//!
//! What does not overlap passes as it is. [`Function::Chain`] and [`Function::Penalty`] work as the
//! reference does, on the chunks that overlap (`clusters`); [`Function::Replica`] looks at the whole
//! series, since what it chooses here depends on what it chose before (`whole`). What was chosen is
//! written into new chunks by `encoder`.

mod clusters;
mod column;
mod encoder;
mod whole;

use std::fmt;

use parking_lot::Mutex;
use rutile_chunk::Encoding;
use rutile_dedup::{Function, tolerance};

use self::column::Column;
use self::encoder::Encoder;
use crate::function::{ChunkSink, Concatenate, MergeFunction, Piece, Refusal};

/// Makes one series of inputs that overlap.
#[derive(Debug)]
pub struct Overlapping {
    function: Function,
    /// Those that nobody uses now, for their buffers.
    idle: Mutex<Vec<Buffers>>,
}

/// What one series is worked on with.
#[derive(Debug, Default)]
struct Buffers {
    columns: Vec<Column>,
    encoder: Encoder,
}

/// Chunks, each an input of the series and a place in it.
type Places = Vec<(usize, usize)>;

impl Overlapping {
    /// By a function.
    #[must_use]
    pub fn new(function: Function) -> Self {
        Self {
            function,
            idle: Mutex::default(),
        }
    }

    fn merge_with(
        &self,
        buffers: &mut Buffers,
        pieces: &[Piece<'_>],
        out: &mut dyn ChunkSink,
    ) -> Result<(), Refusal> {
        match self.function {
            Function::Replica if aggregates(pieces).is_none() => whole::merge(pieces, buffers, out),
            function => clusters::merge(function, pieces, buffers, out),
        }
    }
}

impl MergeFunction for Overlapping {
    fn merge(&self, pieces: &[Piece<'_>], out: &mut dyn ChunkSink) -> Result<(), Refusal> {
        let apart = |pair: &[Piece<'_>]| match pair {
            [before, after] => lie_apart(self.function, before, after),
            _ => true,
        };
        if pieces.windows(2).all(apart) {
            return Concatenate.merge(pieces, out);
        }
        let mut buffers = self.idle.lock().pop().unwrap_or_default();
        let merged = self.merge_with(&mut buffers, pieces, out);
        self.idle.lock().push(buffers);
        merged
    }

    fn takes_overlaps(&self) -> bool {
        true
    }
}

impl fmt::Display for Overlapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.function.fmt(f)
    }
}

/// Whether two pieces can stand one behind the other. [`Function::Replica`] wants the samples of
/// different replicas a tolerance apart, and these may be of different ones.
fn lie_apart(function: Function, before: &Piece<'_>, after: &Piece<'_>) -> bool {
    let gap = after.min_time().saturating_sub(before.max_time());
    let least = match (function, before.chunks.last()) {
        (Function::Replica, Some(last)) if last.samples > 1 => {
            let span = last.max_time.saturating_sub(last.min_time);
            tolerance(span / i64::from(last.samples - 1))
        }
        _ => 1,
    };
    gap >= least
}

/// The first input that has an aggregate chunk.
fn aggregates(pieces: &[Piece<'_>]) -> Option<usize> {
    let aggregate = |piece: &&Piece<'_>| {
        let mut chunks = piece.chunks.iter();
        chunks.any(|chunk| chunk.encoding == Encoding::Aggregate)
    };
    pieces.iter().find(aggregate).map(|piece| piece.input)
}

/// Damage of an input.
fn damaged(input: usize, error: &rutile_chunk::Error) -> Refusal {
    let what = format!("a chunk that overlaps with another one: {error}");
    Refusal::Damaged { input, what }
}

#[cfg(test)]
mod tests;
