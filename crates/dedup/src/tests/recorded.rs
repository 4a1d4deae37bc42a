//! Compares with what Thanos answered to random replicas (`testdata/README.md`).

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::GzDecoder;
use rutile_model::sample::{NORMAL_NAN, STALE_NAN};
use rutile_model::{CounterResetHint, FloatHistogram, Samples};
use serde::Deserialize;
use serde_json::Value;

use crate::{Function, dedup, pseudo_replicas};

#[derive(Deserialize)]
#[serde(untagged)]
enum Record {
    Dedup {
        function: String,
        counter: bool,
        replicas: Vec<Vec<Vec<Value>>>,
        out: Vec<Vec<Value>>,
    },
    Split {
        chunks: Vec<(i64, i64)>,
        split: Vec<Vec<(i64, i64)>>,
    },
}

#[test]
fn random_replicas_are_deduplicated_as_by_the_reference() {
    let mut seen = [0; 4];
    for line in lines() {
        let line = line.expect("a line");
        match serde_json::from_str(&line).expect("a record") {
            Record::Dedup {
                function,
                counter,
                replicas,
                out,
            } => {
                let function: Function = function.parse().expect("a function");
                let replicas = replicas.iter().map(|samples| columns(samples)).collect();
                let found = rows(&dedup(function, replicas, counter));
                assert_eq!(found, rows(&columns(&out)), "{line}");
                seen[usize::from(function == Function::Chain) * 2 + usize::from(counter)] += 1;
            }
            Record::Split { chunks, split } => {
                let mut found = vec![Vec::new(); split.len()];
                for (chunk, replica) in chunks.iter().zip(pseudo_replicas(chunks.clone())) {
                    found[replica].push(*chunk);
                }
                assert_eq!(found, split, "{line}");
                seen[3] += 1;
            }
        }
    }
    assert!(seen.iter().all(|&records| records > 100), "{seen:?}");
}

/// Another recording can be tried by naming its file.
fn lines() -> impl Iterator<Item = std::io::Result<String>> {
    let path = std::env::var_os("RUTILE_DEDUP_RECORDING").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/thanos.jsonl.gz"),
        PathBuf::from,
    );
    let file = File::open(&path).expect("the recording");
    BufReader::new(GzDecoder::new(file)).lines()
}

fn columns(samples: &[Vec<Value>]) -> Samples {
    let mut columns = Samples::default();
    for sample in samples {
        let time = sample[0].as_i64().expect("a time");
        match (&sample[1], sample.get(2)) {
            (Value::Number(count), Some(hint)) => {
                let hint = match hint.as_i64() {
                    Some(1) => CounterResetHint::Reset,
                    Some(2) => CounterResetHint::NotReset,
                    Some(3) => CounterResetHint::Gauge,
                    _ => CounterResetHint::Unknown,
                };
                let histogram = FloatHistogram {
                    count: count.as_f64().expect("a count"),
                    counter_reset_hint: hint,
                    ..FloatHistogram::default()
                };
                columns.push_histogram(time, Arc::new(histogram));
            }
            (Value::Number(value), None) => {
                columns.push_float(time, value.as_f64().expect("a value"));
            }
            (Value::String(name), None) if name == "s" => columns.push_float(time, STALE_NAN),
            (Value::String(name), None) if name == "n" => columns.push_float(time, NORMAL_NAN),
            _ => panic!("no sample: {sample:?}"),
        }
    }
    columns
}

/// Times, the bits of floats or counts, and hints.
fn rows(samples: &Samples) -> Vec<(i64, u64, Option<CounterResetHint>)> {
    (0..samples.len())
        .map(|i| match samples.histogram(i) {
            Some(h) => (
                samples.times[i],
                h.count.to_bits(),
                Some(h.counter_reset_hint),
            ),
            None => (samples.times[i], samples.floats[i].to_bits(), None),
        })
        .collect()
}
