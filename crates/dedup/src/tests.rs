//! Known cases, what the reference answered, and the promises of each function.

mod counters;
mod gaps;
mod recorded;
mod small;
mod truth;

use rutile_model::Samples;

use crate::{Function, dedup};

/// Columns of floats.
fn floats(samples: &[(i64, f64)]) -> Samples {
    let mut columns = Samples::default();
    for &(time, value) in samples {
        columns.push_float(time, value);
    }
    columns
}

/// What comes of some replicas, as pairs.
fn deduped(function: Function, replicas: &[&[(i64, f64)]], counter: bool) -> Vec<(i64, f64)> {
    let replicas = replicas.iter().map(|samples| floats(samples)).collect();
    let out = dedup(function, replicas, counter);
    out.times.into_iter().zip(out.floats).collect()
}
