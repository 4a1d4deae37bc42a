//! Where a replica has samples without a gap.

use std::ops::Range;

use super::longest_step;
use crate::series::Series;

/// Samples whose steps are judged by one interval, so that it may change in time.
const WINDOW: usize = 64;
/// Samples up to which a replica's own steps say little.
const FEW: usize = 16;
/// The interval of a single sample, ms: Prometheus's default.
const UNKNOWN_INTERVAL_MS: i64 = 60_000;

/// Samples without a gap, and without a marker of staleness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) start: usize,
    /// Past the last one.
    pub(super) end: usize,
    /// Scrape interval at its end, ms.
    pub(super) interval: i64,
}

/// The stretches of each replica. A gap is a step of more than one and a half scrape intervals, and
/// the interval the usual step of the 64 around.
pub(super) fn stretches<S: Series + ?Sized>(replicas: &[&S]) -> Vec<Vec<Stretch>> {
    let sparse = |replica: &&S| replica.times().len() <= FEW;
    if !replicas.iter().any(sparse) {
        return replicas.iter().map(|r| of_one(*r, i64::MAX)).collect();
    }
    // Few samples may all have gaps between them: then the others know better.
    let intervals = replicas.iter().filter_map(|r| whole_interval(r.times()));
    let least = intervals.min().unwrap_or(UNKNOWN_INTERVAL_MS);
    let at_most = |replica: &&S| if sparse(replica) { least } else { i64::MAX };
    replicas.iter().map(|r| of_one(*r, at_most(r))).collect()
}

fn whole_interval(times: &[i64]) -> Option<i64> {
    let steps = 1..times.len().min(WINDOW);
    (!steps.is_empty()).then(|| usual_step(times, &steps, &mut Vec::new()))
}

fn of_one<S: Series + ?Sized>(series: &S, at_most: i64) -> Vec<Stretch> {
    let times = series.times();
    let mut found = Vec::new();
    let mut start = 0;
    let mut close = |start: usize, end: usize, interval: i64| {
        if start < end {
            found.push(Stretch {
                start,
                end,
                interval,
            });
        }
    };
    let mut interval = UNKNOWN_INTERVAL_MS.min(at_most);
    let mut scratch = Vec::new();
    for first in (0..times.len()).step_by(WINDOW) {
        let samples = first..(first + WINDOW).min(times.len());
        // The last window is as long as the others. The first sample has no step.
        let around = samples.end.saturating_sub(WINDOW).max(1)..samples.end;
        let even = even_steps(times, &around).filter(|interval| *interval <= at_most);
        if let Some(even) = even {
            interval = even;
            if !series.any_stale(samples.clone()) {
                continue;
            }
        } else if !around.is_empty() && !fits(times, &around, interval) {
            interval = usual_step(times, &around, &mut scratch).min(at_most);
        }
        let limit = longest_step(interval);
        for at in samples {
            if series.is_stale(at) {
                close(start, at, interval);
                start = at + 1;
            } else if even.is_none() && at > start && step(times, at) > limit {
                close(start, at, interval);
                start = at;
            }
        }
    }
    close(start, times.len(), interval);
    found
}

/// The mean step, if they are so alike that none can be a gap.
fn even_steps(times: &[i64], steps: &Range<usize>) -> Option<i64> {
    let (mut least, mut most) = (i64::MAX, i64::MIN);
    for at in steps.clone() {
        let step = step(times, at);
        least = least.min(step);
        most = most.max(step);
    }
    let sum = times[steps.end - 1].saturating_sub(*times.get(steps.start - 1)?);
    let mean = sum.checked_div(i64::try_from(steps.len()).ok()?)?;
    (most <= longest_step(least)).then_some(mean)
}

/// Whether most steps are of about this interval, which is then kept.
fn fits(times: &[i64], steps: &Range<usize>, interval: i64) -> bool {
    let (least, most) = (
        interval - interval / 4,
        interval.saturating_add(interval / 4),
    );
    let fitting = steps.clone().filter(|&at| {
        let step = step(times, at);
        least <= step && step <= most
    });
    fitting.count() * 2 > steps.len()
}

/// The lower quartile: steps are multiples of the interval where scrapes were lost, so it holds until
/// three steps of four are.
fn usual_step(times: &[i64], steps: &Range<usize>, scratch: &mut Vec<i64>) -> i64 {
    scratch.clear();
    scratch.extend(steps.clone().map(|at| step(times, at)));
    let quarter = scratch.len().saturating_sub(1) / 4;
    *scratch.select_nth_unstable(quarter).1
}

/// What lies between a sample, not the first, and the one before it.
#[inline]
fn step(times: &[i64], at: usize) -> i64 {
    times[at].saturating_sub(times[at - 1])
}
