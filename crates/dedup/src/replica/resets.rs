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
        before = resets.piece(*piece, before).or(before);
    }
    if let (Some(last), Some(piece)) = (before, chosen.last()) {
        resets.insert_last(last, tolerance(piece.interval));
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
    /// Memory for those of the others between two chosen samples, in order of time.
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

    /// Goes through what was chosen of one replica; gives the last real sample of it.
    fn piece(&mut self, piece: Piece, mut before: Option<Sample>) -> Option<Sample> {
        let series = self.replicas[piece.replica];
        if piece.start + 1 == piece.end && series.is_stale(piece.start) {
            self.marker = Some(self.sample(piece.replica, piece.start));
            return None;
        }
        let mut start = piece.start;
        for at in piece.start..piece.end {
            let sample = self.sample(piece.replica, at);
            if let Some(before) = before
                && !self.rises(before, sample)
            {
                self.push(Piece {
                    start,
                    end: at,
                    ..piece
                });
                start = at;
                self.insert(before, sample, tolerance(piece.interval));
            }
            before = Some(sample);
        }
        self.push(Piece { start, ..piece });
        before
    }

    fn push(&mut self, piece: Piece) {
        if piece.start < piece.end {
            self.push_marker(self.replicas[piece.replica].times()[piece.start]);
            piece.run(&self.runs).push_to(&mut self.runs);
        }
    }

    fn push_one(&mut self, sample: Sample) {
        self.push(Piece {
            replica: sample.replica,
            start: sample.at,
            end: sample.at + 1,
            interval: 0,
        });
    }

    fn push_marker(&mut self, before: i64) {
        if let Some(marker) = self.marker
            && marker.time < before
        {
            self.marker = None;
            self.push_one(marker);
        }
    }

    /// Whether what each other replica has between two chosen samples rises from one to the other.
    #[inline]
    fn rises(&mut self, before: Sample, after: Sample) -> bool {
        let mut all = before.value <= after.value;
        for replica in (0..self.replicas.len()).filter(|&replica| replica != before.replica) {
            let series = self.replicas[replica];
            let times = series.times();
            let mut at = self.cursors[replica];
            while times.get(at).is_some_and(|&time| time <= before.time) {
                at += 1;
            }
            self.cursors[replica] = at;
            let mut last = before.value;
            while times.get(at).is_some_and(|&time| time < after.time) {
                if let Some(value) = number(series, at) {
                    all &= last <= value;
                    last = value;
                }
                at += 1;
            }
            all &= last <= after.value;
        }
        all
    }

    /// Collects what the other replicas have between two chosen samples.
    fn collect(&mut self, before: Sample, until: i64) -> Vec<Sample> {
        let mut between = std::mem::take(&mut self.between);
        between.clear();
        for (replica, series) in self.replicas.iter().enumerate() {
            if replica != before.replica {
                let times = series.times();
                let places = self.cursors[replica]..times.len();
                let places = places.skip_while(|&at| times[at] <= before.time);
                let samples = places
                    .take_while(|&at| times[at] < until)
                    .map(|at| self.sample(replica, at));
                between.extend(samples.filter(|sample| !sample.value.is_nan()));
            }
        }
        between.sort_by_key(|sample| sample.time);
        between
    }

    /// Adds what fits between two chosen samples.
    fn insert(&mut self, before: Sample, after: Sample, tolerance: i64) {
        if before.value.is_nan() || after.value.is_nan() {
            return;
        }
        let between = self.collect(before, after.time);
        let falls = after.value < before.value;
        let mut last = before;
        // Whether `last` is known to be of the life of the counter that `after` is of.
        let mut is_past = false;
        for &sample in &between {
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
            // Of more than two replicas, two may have read at one time: each time comes once.
            if fits && last.time < sample.time {
                is_past |= is_below;
                self.push_one(sample);
                last = sample;
            }
        }
        self.between = between;
    }

    /// Adds what the other replicas have after the last chosen sample.
    fn insert_last(&mut self, mut last: Sample, tolerance: i64) {
        for sample in self.collect(last, i64::MAX) {
            let fits = last.value <= sample.value || self.fell(sample);
            if fits && last.time < sample.time && apart(last, sample, tolerance) {
                self.push_one(sample);
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
