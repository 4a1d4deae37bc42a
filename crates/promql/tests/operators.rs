//! What Prometheus 3.14 answers to random aggregations and operators over random floats and histograms:
//! to the last bit, with its errors, warnings and the order of `topk`.

#[path = "random/printed.rs"]
mod printed;

use std::io::Read as _;
use std::sync::Arc;

use async_trait::async_trait;
use rutile_model::Labels;
use rutile_promql::{
    Answer, Engine, EngineOptions, ParserOptions, Samples, Select, Selected, SelectedStream,
    Series, SeriesValue, Source, SourceError, Value, parse_series,
};
use rutile_runtime::CpuPool;
use serde::Deserialize;

use printed::{bits, point, series_row};

/// Between two samples of a series.
const INTERVAL_MS: i64 = 60_000;

/// A line of the record.
#[derive(Deserialize)]
struct Recorded {
    /// Those of the line before, if there are none.
    series: Option<Vec<String>>,
    query: String,
    /// The time of an instant query; or start, end and step.
    at: Vec<i64>,
    #[serde(default)]
    delayed: bool,
    #[serde(flatten)]
    answer: Outcome,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
struct Outcome {
    error: Option<String>,
    #[serde(default)]
    notes: Vec<String>,
    /// Labels, and then times and values.
    #[serde(default)]
    rows: Vec<Vec<String>>,
}

#[derive(Debug)]
struct Stored(Labels, Samples);

impl Series for Stored {
    fn labels(&self) -> &Labels {
        &self.0
    }

    fn decode(&self, out: &mut Samples) -> Result<(), SourceError> {
        out.clone_from(&self.1);
        Ok(())
    }
}

#[derive(Debug)]
struct Storage(Vec<Arc<Stored>>);

#[async_trait]
impl Source for Storage {
    async fn select(&self, select: &Select) -> Result<SelectedStream, SourceError> {
        let mut selected = Selected::default();
        for series in &self.0 {
            let mut matchers = select.matchers.iter();
            if matchers.all(|m| m.matches(series.0.value(m.name()))) {
                let series = Arc::<Stored>::clone(series);
                selected.series.push(series);
            }
        }
        Ok(selected.into_stream())
    }
}

fn storage(series: &[String]) -> Arc<dyn Source> {
    let mut all: Vec<Arc<Stored>> = series.iter().map(|text| Arc::new(stored(text))).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    Arc::new(Storage(all))
}

fn stored(text: &str) -> Stored {
    let (labels, values) = parse_series(text).expect("a series");
    let mut samples = Samples::default();
    for (time, value) in (0..).step_by(INTERVAL_MS as usize).zip(values) {
        match value {
            None => {}
            Some(SeriesValue::Float(value)) => samples.push_float(time, value),
            Some(SeriesValue::Histogram { histogram, .. }) => {
                samples.push_histogram(time, histogram);
            }
        }
    }
    Stored(labels, samples)
}

fn outcome(query: &str, answer: Answer) -> Outcome {
    let notes = answer.annotations.iter().map(|note| note.render(query));
    let mut notes: Vec<String> = notes.collect();
    notes.sort_unstable();
    let mut rows: Vec<Vec<String>> = match answer.value {
        Value::Scalar { time_ms, value } => vec![vec![format!("{time_ms} {}", bits(value))]],
        Value::Vector(samples) => {
            let row = |s: &rutile_promql::InstantSample| {
                vec![s.labels.to_string(), point(s.time_ms, &s.value)]
            };
            samples.iter().map(row).collect()
        }
        Value::Matrix(series) => series.iter().map(series_row).collect(),
        Value::String { .. } => Vec::new(),
    };
    if !query.starts_with("topk") && !query.starts_with("bottomk") {
        rows.sort_unstable();
    }
    Outcome {
        error: None,
        notes,
        rows,
    }
}

#[tokio::test]
async fn answers_are_those_of_prometheus() {
    let engine = |delayed_name_removal| {
        let options = EngineOptions {
            parser: ParserOptions::all(),
            delayed_name_removal,
            ..EngineOptions::default()
        };
        Engine::new(options, CpuPool::inline())
    };
    let (prompt, delayed) = (engine(false), engine(true));
    let mut source = storage(&[]);
    let mut failures = Vec::new();
    let mut text = String::new();
    let packed = include_bytes!("../testdata/operators.jsonl.gz").as_slice();
    let read = flate2::read::GzDecoder::new(packed).read_to_string(&mut text);
    read.expect("the record is whole");
    for line in text.lines() {
        let recorded: Recorded = serde_json::from_str(line).expect("a line of the record");
        if let Some(series) = &recorded.series {
            source = storage(series);
        }
        let engine = if recorded.delayed { &delayed } else { &prompt };
        let query = recorded.query.as_str();
        let answer = match *recorded.at.as_slice() {
            [start, end, step] => engine.range(&source, query, (start, end), step).await,
            [time] => engine.instant(&source, query, time).await,
            _ => panic!("neither a time nor a range: {line}"),
        };
        let got = match answer {
            Ok(answer) => outcome(query, answer),
            Err(error) => Outcome {
                error: Some(error.to_string()),
                ..Outcome::default()
            },
        };
        if got != recorded.answer {
            let at = &recorded.at;
            let expected = &recorded.answer;
            failures.push(format!("{query} {at:?}\n  got {got:?}\n  not {expected:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
