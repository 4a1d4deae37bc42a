//! What choosing needs to know of a replica.

use std::ops::Range;

/// The samples of one replica, as far as choosing needs them.
pub trait Series {
    /// Milliseconds since the Unix epoch, ascending, each once.
    fn times(&self) -> &[i64];

    /// The float at a place; none if it is something else, or if its value does not matter.
    fn float(&self, at: usize) -> Option<f64>;

    /// Whether the sample at a place marks the end of its series.
    fn is_stale(&self, at: usize) -> bool;

    /// Whether any sample at some places does.
    fn any_stale(&self, mut places: Range<usize>) -> bool {
        places.any(|at| self.is_stale(at))
    }
}

/// Times alone, for payloads without floats and without markers of staleness.
impl Series for [i64] {
    fn times(&self) -> &[i64] {
        self
    }

    fn float(&self, _: usize) -> Option<f64> {
        None
    }

    fn is_stale(&self, _: usize) -> bool {
        false
    }
}
