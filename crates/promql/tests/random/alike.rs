//! Sums of native histograms: of series with the same buckets throughout, these are added up number by number.

use std::sync::Arc;

use rutile_model::WindowTimes;
use rutile_model::histogram::HistogramRows;
use rutile_promql::{Engine, EngineOptions, Series, Source};
use rutile_runtime::CpuPool;

use crate::chance::Chance;
use crate::chunks::{self, Cuts};
use crate::compare::exact;
use crate::data::{self, LAST_MS, Stored};
use crate::source::InMemory;

const QUERIES: [&str; 4] = [
    "sum(rate(size[5m]))",
    "sum by (job) (increase(size[150s]))",
    "sum by (instance) (rate(size[1m] offset 2m))",
    "sum without (instance) (rate(size[20m]))",
];

/// The series of a seed as chunks; beside the histograms, there may be some that cannot be added to them.
fn series(seed: u64) -> Vec<Arc<Stored>> {
    let mut chance = Chance::new(seed);
    let cuts = Cuts {
        most: chance.pick(&[120, 7]),
        random: chance.percent(30),
        floats: false,
    };
    let others = [
        "size{job=\"a\",instance=\"i00\"} 0+3x49",
        "size{job=\"b\",instance=\"i9\"} _x20 0+2x20",
        "size{job=\"a\",instance=\"i9\"} {{schema:-53 count:3 sum:4 custom_values:[1 2] buckets:[1 2]}}x40",
    ];
    let mut lines = data::lines(seed);
    let others = others.into_iter().filter(|_| chance.percent(15));
    lines.extend(others.map(str::to_owned));
    let stored = data::stored(&lines);
    let through = |stored: &Arc<Stored>| Arc::new(chunks::through(stored, cuts, &mut chance));
    stored.iter().map(through).collect()
}

/// How many of the series are read as rows.
fn read_as_rows(series: &[Arc<Stored>]) -> usize {
    let windows = WindowTimes {
        first_end_ms: 0,
        last_end_ms: LAST_MS,
        interval_ms: 60_000,
        range_ms: 300_000,
    };
    let mut rows = HistogramRows::default();
    let mut is_read = |stored: &Stored| stored.decode_rows(&windows, &mut rows).expect("chunks");
    series.iter().filter(|stored| is_read(stored)).count()
}

/// An answer, and how many samples it is made of.
async fn answer(source: &Arc<dyn Source>, query: &str, step: i64, optimize: bool) -> String {
    let options = EngineOptions {
        optimize,
        ..EngineOptions::default()
    };
    let engine = Engine::new(options, CpuPool::inline());
    let answer = engine.range(source, query, (0, LAST_MS), step).await;
    let samples = answer.as_ref().map(|answer| answer.stats.samples);
    format!("{} {:?}", exact(&answer), samples.ok())
}

#[tokio::test]
async fn sums_of_histograms_are_the_same_however_they_are_read() {
    let mut as_rows = 0;
    for seed in 0..200 {
        let series = series(seed);
        as_rows += read_as_rows(&series);
        let source = InMemory::source(series);
        for query in QUERIES {
            for step in [60_000, 150_000] {
                let ours = answer(&source, query, step, true).await;
                let theirs = answer(&source, query, step, false).await;
                assert_eq!(ours, theirs, "seed {seed}: {query}");
            }
        }
    }
    assert!(as_rows > 200, "{as_rows}");
}
