//! One replica for as long as it has no gap while another one has samples; right for counters.
//!
//! The model: a target has one counter; a replica that scrapes it writes down the time and, a little
//! earlier or later, reads the value. These delays differ between replicas by less than the
//! *tolerance*, an eighth of the scrape interval and at most 5 s. Then two samples of different
//! replicas whose times lie a tolerance apart were read in the order of their times; of two that lie
//! closer nobody knows.
//!
//! So the rule for all that is chosen: **samples of different replicas that follow each other lie at
//! least a tolerance apart**. What comes out is then a part of what an all-seeing scraper would have
//! written down, in the right order: it rises by no more than the counter did, and falls only where
//! the counter was reset.
//!
//! `stretch` finds the gaps, `cover` chooses the replica, `resets` adds what is lost to a counter
//! when only one replica is looked at. `docs/deduplication.md` has the proof.

mod cover;
mod resets;
mod stretch;

use crate::runs::Run;
use crate::series::Series;

/// Share of the scrape interval by which the delays of replicas may differ.
const TOLERANCE_DIVISOR: i64 = 8;
/// By how much delays may differ at most, ms.
pub(crate) const MAX_TOLERANCE_MS: i64 = 5000;

pub(crate) fn select<S: Series + ?Sized>(replicas: &[&S], counter: bool) -> Vec<Run> {
    let chosen = cover::choose(replicas, counter);
    if counter {
        resets::add(replicas, &chosen)
    } else {
        let mut runs = Vec::with_capacity(chosen.len());
        for piece in chosen {
            piece.run(&runs).push_to(&mut runs);
        }
        runs
    }
}

/// What was chosen of one replica.
#[derive(Debug, Clone, Copy)]
struct Piece {
    replica: usize,
    start: usize,
    /// Past the last one.
    end: usize,
    /// Scrape interval of the replica there, ms.
    interval: i64,
}

impl Piece {
    /// What follows `before`.
    fn run(self, before: &[Run]) -> Run {
        let goes_on = before
            .last()
            .is_none_or(|last| last.replica == self.replica && last.end == self.start);
        Run {
            end: self.end,
            forgets: !goes_on,
            ..Run::one(self.replica, self.start)
        }
    }
}

/// How far apart samples of different replicas must lie for [`Function::Replica`](crate::Function::Replica),
/// ms, given the scrape interval, ms.
#[must_use]
pub fn tolerance(interval: i64) -> i64 {
    (interval / TOLERANCE_DIVISOR).clamp(1, MAX_TOLERANCE_MS)
}

/// A gap is longer than this, ms: one and a half intervals, so that jitter makes none.
pub(crate) fn longest_step(interval: i64) -> i64 {
    interval.saturating_add(interval / 2)
}

/// The float at a place, unless it is a NaN.
fn number<S: Series + ?Sized>(series: &S, at: usize) -> Option<f64> {
    series.float(at).filter(|value| !value.is_nan())
}

/// The last number before a place.
fn number_before<S: Series + ?Sized>(series: &S, end: usize) -> Option<f64> {
    (0..end).rev().find_map(|at| number(series, at))
}
