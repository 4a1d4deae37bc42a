//! What one replica alone does not tell about a counter: what another one saw before a reset, and
//! resets after which the counter had grown past its old value until the next scrape.

use super::{Piece, number, number_before, tolerance};
use crate::runs::Run;
use crate::series::Series;

/// Adds samples of the other replicas where a counter was reset, and behind the last sample.
///
/// Between two chosen samples, those of the others are looked at. If all of them rise from the first
/// to the second, they would add nothing. Else the counter was reset in between, and they are taken
/// too, as far as it is known where they belong.
pub(super) fn add<S: Series + ?Sized>(replicas: &[&S], chosen: &[Piece]) -> Vec<Run> {
    let mut resets = Resets {
        replicas,
        cursors: vec![0; replicas.len()],
        between: Vec::new(),
        marker: None,
        runs: Vec::with_capacity(chosen.len()),
    };
    let mut before: Option<Sample> = None;
    for piece in chosen {
        let tolerance = tolerance(piece.interval);
        for at in piece.start..piece.end {
            let sample = resets.sample(piece.replica, at);
            if replicas[piece.replica].is_stale(at) {
                resets.marker = Some(sample);
                continue;
            }
            if let Some(before) = before {
                resets.between(before, Some(sample), tolerance);
            }
            resets.push(sample);
            before = Some(sample);
        }
    }
    if let (Some(last), Some(piece)) = (before, chosen.last()) {
        resets.between(last, None, tolerance(piece.interval));
    }
    resets.push_marker(i64::MAX);
    resets.runs
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    replica: usize,
    at: usize,
    time: i64,
    /// A NaN if it is no float.
    value: f64,
}

struct Resets<'a, S: ?Sized> {
    replicas: &'a [&'a S],
    /// Of each replica, the first sample that may still come.
    cursors: Vec<usize>,
    /// Those of the others between two chosen samples, in order of time.
    between: Vec<Sample>,
    /// A marker of staleness that was chosen and is not yet put out.
    marker: Option<Sample>,
    runs: Vec<Run>,
}

impl<S: Series + ?Sized> Resets<'_, S> {
    #[inline]
    fn sample(&self, replica: usize, at: usize) -> Sample {
        let series = self.replicas[replica];
        Sample {
            replica,
            at,
            time: series.times()[at],
            value: series.float(at).unwrap_or(f64::NAN),
        }
    }

    #[inline]
    fn push(&mut self, sample: Sample) {
        self.push_marker(sample.time);
        let piece = Piece {
            replica: sample.replica,
            start: sample.at,
            end: sample.at + 1,
            interval: 0,
        };
        piece.run(&self.runs).push_to(&mut self.runs);
    }

    #[inline]
    fn push_marker(&mut self, before: i64) {
        if let Some(marker) = self.marker
            && marker.time < before
        {
            self.marker = None;
            self.push(marker);
        }
    }

    /// Pushes what is to be added between two chosen samples, or after the last one.
    #[inline]
    fn between(&mut self, before: Sample, after: Option<Sample>, tolerance: i64) {
        self.collect(before, after);
        if self.between.is_empty() || before.value.is_nan() {
            return;
        }
        match after {
            None => self.insert_last(before, tolerance),
            Some(after) if self.rises(before, after) || after.value.is_nan() => {}
            Some(after) => self.insert(before, after, tolerance),
        }
    }

    #[inline]
    fn collect(&mut self, before: Sample, after: Option<Sample>) {
        let until = after.map_or(i64::MAX, |after| after.time);
        self.between.clear();
        for replica in 0..self.replicas.len() {
            if replica == before.replica {
                continue;
            }
            let times = self.replicas[replica].times();
            let mut at = self.cursors[replica];
            while times.get(at).is_some_and(|&time| time <= before.time) {
                at += 1;
            }
            while times.get(at).is_some_and(|&time| time < until) {
                self.between.push(self.sample(replica, at));
                at += 1;
            }
            self.cursors[replica] = at;
        }
        if self.replicas.len() > 2 {
            self.between.sort_by_key(|sample| sample.time);
        }
        self.between.retain(|sample| !sample.value.is_nan());
    }

    #[inline]
    fn rises(&self, before: Sample, after: Sample) -> bool {
        let mut last = before.value;
        let all = self.between.iter().all(|sample| {
            let rises = last <= sample.value;
            last = sample.value;
            rises
        });
        all && last <= after.value
    }

    fn insert(&mut self, before: Sample, after: Sample, tolerance: i64) {
        let falls = after.value < before.value;
        let mut last = before;
        // Whether `last` is known to be of the life of the counter that `after` is of.
        let mut is_past = false;
        for sample in std::mem::take(&mut self.between) {
            let is_below = falls && sample.value <= after.value;
            let rises = last.value <= sample.value;
            let is_apart = apart(last, sample, tolerance);
            let is_early = apart(sample, after, tolerance);
            let fits = if is_below {
                // Even if it was read after `after`: from there to `after` it adds nothing.
                if is_past {
                    rises
                } else {
                    is_apart || self.fell(sample)
                }
            } else if falls && !is_past && rises {
                // A replica that will see the counter fall has not seen it yet.
                is_apart && (is_early || self.will_fall(sample))
            } else {
                let leaves = falls || sample.value <= after.value || self.will_fall(sample);
                is_apart && is_early && leaves && (rises || self.fell(sample))
            };
            if fits {
                is_past |= is_below;
                self.push(sample);
                last = sample;
            }
        }
    }

    fn insert_last(&mut self, mut last: Sample, tolerance: i64) {
        for sample in std::mem::take(&mut self.between) {
            let fits = last.value <= sample.value || self.fell(sample);
            if fits && apart(last, sample, tolerance) {
                self.push(sample);
                last = sample;
            }
        }
    }

    /// Whether its replica saw the counter fall before this sample.
    fn fell(&self, sample: Sample) -> bool {
        let series = self.replicas[sample.replica];
        number_before(series, sample.at).is_some_and(|before| sample.value < before)
    }

    /// Whether its replica saw the counter fall after this sample.
    fn will_fall(&self, sample: Sample) -> bool {
        let series = self.replicas[sample.replica];
        let after = (sample.at + 1..series.times().len()).find_map(|at| number(series, at));
        after.is_some_and(|after| after < sample.value)
    }
}

/// Whether it is known that the first was read before the second.
fn apart(first: Sample, second: Sample, tolerance: i64) -> bool {
    first.replica == second.replica || second.time >= first.time.saturating_add(tolerance)
}
