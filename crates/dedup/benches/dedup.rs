//! Deduplicates the series of a query, and says how long each function takes.
//!
//! `cargo bench -p rutile-dedup`: 3,000 series of two replicas with 1,920 samples each, on one core, best of
//! five runs.
#![expect(clippy::print_stdout, reason = "it is what it is for")]
#![expect(clippy::disallowed_types, reason = "there is no runtime here")]

use std::time::{Duration, Instant};

use rutile_dedup::{Function, dedup};
use rutile_model::Samples;

const SERIES: usize = 3000;
const SAMPLES: i64 = 1920;
/// The best one counts.
const RUNS: usize = 5;
const INTERVAL_MS: i64 = 15_000;

fn main() {
    for (name, offset, lost) in [
        ("apart, all scrapes there", 6000, 0),
        ("apart, one scrape in 50 lost", 6000, 50),
        ("at the same times", 0, 0),
    ] {
        for function in Function::ALL {
            for counter in [false, true] {
                let runs = (0..RUNS).map(|_| run(function, counter, offset, lost));
                let (took, samples) = runs.min().unwrap_or_default();
                println!("{name}: {function}, counter {counter}: {took:?}, {samples} samples");
            }
        }
    }
}

fn run(function: Function, counter: bool, offset: i64, lost: i64) -> (Duration, usize) {
    let inputs: Vec<Vec<Samples>> = (0..SERIES)
        .map(|_| vec![replica(0, lost), replica(offset, lost)])
        .collect();
    let start = Instant::now();
    let samples = inputs
        .into_iter()
        .map(|replicas| dedup(function, replicas, counter).len())
        .sum();
    (start.elapsed(), samples)
}

fn replica(offset: i64, lost: i64) -> Samples {
    let mut samples = Samples::default();
    for i in 0..SAMPLES {
        if lost == 0 || (i * 7919 + offset) % lost != 0 {
            samples.push_float(offset + i * INTERVAL_MS, (i % 500) as f64);
        }
    }
    samples
}
