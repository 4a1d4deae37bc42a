//! What was chosen: runs of consecutive samples of one replica.

use std::ops::Range;

/// Consecutive samples of one replica that were chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Run {
    /// Which one, in the order in which they were given.
    pub replica: usize,
    /// The first of them.
    pub start: usize,
    /// Past the last of them.
    pub end: usize,
    /// Added to each float: 0 unless [`Function::Penalty`](crate::Function::Penalty) switched
    /// between counters.
    pub add: f64,
    /// What the first of them, if it is a histogram, knows about a reset since its predecessor does
    /// not hold any more: another sample has come between.
    pub forgets: bool,
}

/// Appends the chosen elements of a column: one column for each replica.
pub fn take<T: Clone>(runs: &[Run], columns: &[&[T]], out: &mut Vec<T>) {
    for run in runs {
        let column = columns.get(run.replica).copied().unwrap_or_default();
        out.extend_from_slice(column.get(run.range()).unwrap_or_default());
    }
}

impl Run {
    /// All samples of a replica.
    pub(crate) fn whole(replica: usize, len: usize) -> Self {
        Self {
            end: len,
            ..Self::one(replica, 0)
        }
    }

    /// One sample.
    pub(crate) fn one(replica: usize, at: usize) -> Self {
        Self {
            replica,
            start: at,
            end: at + 1,
            add: 0.0,
            forgets: false,
        }
    }

    /// Where the samples lie in their replica.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }

    /// Appends a run, to the last one if it goes on there.
    #[inline]
    pub(crate) fn push_to(self, runs: &mut Vec<Self>) {
        match runs.last_mut() {
            Some(last)
                if !self.forgets
                    && last.replica == self.replica
                    && last.end == self.start
                    && last.add.to_bits() == self.add.to_bits() =>
            {
                last.end = self.end;
            }
            _ => runs.push(self),
        }
    }
}
