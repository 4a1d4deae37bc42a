//! The columns of a query.

use std::ops::Range;
use std::sync::Arc;

use rutile_model::sample::is_stale_nan;
use rutile_model::{CounterResetHint, FloatHistogram, Samples};

use crate::function::Function;
use crate::runs::{Run, take};
use crate::select;
use crate::series::Series;

impl Series for Samples {
    fn times(&self) -> &[i64] {
        &self.times
    }

    #[inline]
    fn float(&self, at: usize) -> Option<f64> {
        match self.histogram(at) {
            Some(_) => None,
            None => self.floats.get(at).copied(),
        }
    }

    #[inline]
    fn is_stale(&self, at: usize) -> bool {
        Samples::is_stale(self, at)
    }

    fn any_stale(&self, mut places: Range<usize>) -> bool {
        if !self.histograms.is_empty() {
            return places.any(|at| Samples::is_stale(self, at));
        }
        let floats = self.floats.get(places).unwrap_or_default();
        // All are looked at: without an early end several are compared at a time.
        floats.iter().fold(false, |any, v| any | is_stale_nan(*v))
    }
}

/// Makes one series of the replicas of a series; see [`select`]. What comes of one replica alone is
/// handed on, not copied.
#[must_use]
pub fn dedup(function: Function, mut replicas: Vec<Samples>, counter: bool) -> Samples {
    let series: Vec<&Samples> = replicas.iter().collect();
    let runs = select(function, &series, counter);
    if let [run] = runs.as_slice()
        && run.end - run.start == replicas[run.replica].len()
        && run.add == 0.0
        && !run.forgets
    {
        return replicas.swap_remove(run.replica);
    }
    gather(&runs, &replicas)
}

fn gather(runs: &[Run], replicas: &[Samples]) -> Samples {
    let len = runs.iter().map(|run| run.range().len()).sum();
    let mut out = Samples::default();
    out.times.reserve_exact(len);
    out.floats.reserve_exact(len);
    let times: Vec<&[i64]> = replicas.iter().map(|r| r.times.as_slice()).collect();
    take(runs, &times, &mut out.times);
    for run in runs {
        let floats = &replicas[run.replica].floats[run.range()];
        if run.add == 0.0 {
            out.floats.extend_from_slice(floats);
        } else {
            out.floats
                .extend(floats.iter().map(|v| raised(*v, run.add)));
        }
    }
    if replicas.iter().any(|r| !r.histograms.is_empty()) {
        for run in runs {
            gather_histograms(run, &replicas[run.replica].histograms, &mut out.histograms);
        }
    }
    if replicas.iter().any(|r| !r.starts.is_empty()) {
        for run in runs {
            match replicas[run.replica].starts.get(run.range()) {
                Some(starts) => out.starts.extend_from_slice(starts),
                None => out.starts.resize(out.starts.len() + run.range().len(), 0),
            }
        }
    }
    out
}

/// Addition would make another NaN of a marker of staleness.
fn raised(value: f64, add: f64) -> f64 {
    if value.is_nan() { value } else { value + add }
}

type Histograms = Vec<Option<Arc<FloatHistogram>>>;

fn gather_histograms(run: &Run, histograms: &Histograms, out: &mut Histograms) {
    let first = out.len();
    match histograms.get(run.range()) {
        Some(histograms) => out.extend_from_slice(histograms),
        None => out.resize(first + run.range().len(), None),
    }
    if run.forgets
        && let Some(Some(histogram)) = out.get_mut(first)
        && let CounterResetHint::Reset | CounterResetHint::NotReset = histogram.counter_reset_hint
    {
        Arc::make_mut(histogram).counter_reset_hint = CounterResetHint::Unknown;
    }
}
