//! What Prometheus answers to these queries: to the last bit, with its errors, warnings and the order of what is sorted.
//!
//! `QUESTIONS=file` writes queries and series as the record has them, without answers; `RECORD=file.gz` names another
//! record than that in `testdata`, whose README says how it was made.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::sync::Arc;

use rutile_promql::{Answer, Engine, ParserOptions, Source, Value};
use rutile_runtime::CpuPool;
use serde::{Deserialize, Serialize};

use crate::case::{Case, When, number};
use crate::data;
use crate::printed::{bits, point, series_row};
use crate::source::InMemory;

/// So many queries of a record have the same series.
const QUERIES_OF_DATA: u64 = 1000;

/// A line of the record.
#[derive(Debug, Serialize, Deserialize)]
struct Recorded {
    /// Those of the line before, if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    series: Vec<String>,
    query: String,
    /// The time of an instant query; or start, end and step.
    at: Vec<i64>,
    #[serde(default)]
    delayed: bool,
    #[serde(default)]
    typed: bool,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Outcome {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    /// Labels, and then times and values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rows: Vec<Vec<String>>,
}

impl Outcome {
    /// Without the number of samples that had to be mended: over a range, Prometheus counts them several times.
    fn counting_aside(&self) -> Self {
        let without = |note: &String| match note.split_once(", over ") {
            Some((before, after)) => {
                let times = after
                    .split_once(" samples")
                    .map_or(after, |(_, times)| times);
                format!("{before}{times}")
            }
            None => note.clone(),
        };
        Self {
            error: self.error.clone(),
            notes: self.notes.iter().map(without).collect(),
            rows: self.rows.clone(),
        }
    }
}

/// Writes the questions if somebody wants them.
#[test]
fn questions_are_written_if_wanted() {
    let Ok(path) = std::env::var("QUESTIONS") else {
        return;
    };
    let mut file = File::create(path).expect("a file");
    let first = number("FIRST_SEED", 1);
    let (mut lines, mut of_thanos) = (Vec::new(), 0);
    for seed in first..first + number("QUERIES", 10_000) {
        let is_first = seed == first || seed.is_multiple_of(QUERIES_OF_DATA);
        if is_first {
            lines = data::lines(seed / QUERIES_OF_DATA);
        }
        let case = Case::new(seed, Vec::new(), true, true);
        let known = ParserOptions {
            thanos_functions: false,
            ..ParserOptions::all()
        };
        if rutile_promql::parse_expr(&case.query, &known).is_err() {
            of_thanos += 1;
            if !is_first {
                continue;
            }
        }
        let recorded = Recorded {
            series: if is_first { lines.clone() } else { Vec::new() },
            query: case.query,
            at: match case.when {
                When::At(time) => vec![time],
                When::Range { start, end, step } => vec![start, end, step],
            },
            delayed: case.options.delayed_name_removal,
            typed: case.options.type_and_unit_labels,
            outcome: Outcome::default(),
        };
        let line = serde_json::to_string(&recorded).expect("it can be written");
        writeln!(file, "{line}").expect("it is written");
    }
    println!("{of_thanos} are Thanos's");
}

#[tokio::test]
async fn answers_are_those_of_prometheus() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata");
    let path = std::env::var("RECORD").unwrap_or_else(|_| format!("{folder}/random.jsonl.gz"));
    let mut text = String::new();
    let file = File::open(path).expect("the record");
    flate2::read::GzDecoder::new(file)
        .read_to_string(&mut text)
        .expect("it is whole");
    let mut source = InMemory::source(Vec::new());
    let mut failures = Vec::new();
    let mut right = 0;
    for line in text.lines() {
        let recorded: Recorded = serde_json::from_str(line).expect("a line of the record");
        if !recorded.series.is_empty() {
            source = InMemory::source(data::stored(&recorded.series));
        }
        let got = evaluate(&recorded, &source).await;
        if got.counting_aside() == recorded.outcome.counting_aside() {
            right += 1;
        } else {
            let (query, at, expected) = (&recorded.query, &recorded.at, &recorded.outcome);
            failures.push(format!("{query} {at:?}\n  got {got:?}\n  not {expected:?}"));
        }
    }
    let shown: Vec<_> = failures
        .iter()
        .take(number("SHOW", 20) as usize)
        .map(String::as_str)
        .collect();
    assert!(
        failures.is_empty(),
        "{right} right, {} wrong\n{}",
        failures.len(),
        shown.join("\n")
    );
    assert!(right > 2000, "{right}");
}

async fn evaluate(recorded: &Recorded, source: &Arc<dyn Source>) -> Outcome {
    let mut case = Case::new(0, Vec::new(), true, true);
    case.options.delayed_name_removal = recorded.delayed;
    case.options.type_and_unit_labels = recorded.typed;
    case.options.start_timestamps = false;
    case.options.max_samples = 50_000_000;
    let engine = Engine::new(case.options, CpuPool::inline());
    let query = recorded.query.as_str();
    let answer = match *recorded.at.as_slice() {
        [start, end, step] => engine.range(source, query, (start, end), step).await,
        [time] => engine.instant(source, query, time).await,
        _ => panic!("neither a time nor a range: {recorded:?}"),
    };
    match answer {
        Ok(answer) => outcome(query, answer),
        Err(error) => Outcome {
            error: Some(error.to_string()),
            ..Outcome::default()
        },
    }
}

fn outcome(query: &str, answer: Answer) -> Outcome {
    let notes = answer.annotations.iter().map(|note| note.render(query));
    let mut notes: Vec<String> = notes.collect();
    notes.sort_unstable();
    let mut rows: Vec<Vec<String>> = match answer.value {
        Value::Scalar { time_ms, value } => vec![vec![format!("{time_ms} {}", bits(value))]],
        Value::String { value, .. } => vec![vec![value]],
        Value::Vector(samples) => {
            let row = |s: &rutile_promql::InstantSample| {
                vec![s.labels.to_string(), point(s.time_ms, &s.value)]
            };
            samples.iter().map(row).collect()
        }
        Value::Matrix(series) => series.iter().map(series_row).collect(),
    };
    let is_ordered = ["topk", "bottomk", "sort"]
        .iter()
        .any(|name| query.starts_with(name));
    if !is_ordered {
        rows.sort_unstable();
    }
    Outcome {
        error: None,
        notes,
        rows,
    }
}
