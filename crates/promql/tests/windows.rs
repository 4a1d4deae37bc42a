//! Compares functions over ranges, and `anchored` and `smoothed` selectors, with what Prometheus 3.14
//! answered to random queries over random series (`testdata/README.md`): to the last bit of each float.

use std::sync::Arc;

use async_trait::async_trait;
use rutile_model::{CounterResetHint, FloatHistogram, Labels};
use rutile_promql::{
    Answer, Engine, EngineOptions, ParserOptions, SampleValue, Samples, Select, Selected,
    SelectedStream, Series, SeriesValue, Source, SourceError, Value, parse_series,
};
use rutile_runtime::CpuPool;
use serde::Deserialize;

#[derive(Deserialize)]
struct Group {
    series: Vec<String>,
    /// By how much samples are late at most.
    jitter_ms: i64,
    /// Which start timestamps samples have; 0: none.
    starts: i64,
    queries: Vec<Query>,
}

#[derive(Deserialize)]
struct Query {
    query: String,
    start: i64,
    end: i64,
    /// 0 of an instant query.
    step: i64,
    #[serde(default)]
    delayed: bool,
    error: Option<String>,
    #[serde(default)]
    notes: Vec<String>,
    #[serde(default)]
    rows: Vec<Vec<String>>,
}

#[derive(Debug)]
struct Stored {
    labels: Labels,
    samples: Samples,
}

impl Stored {
    fn new(text: &str, group: &Group) -> Self {
        let (labels, values) = parse_series(text).expect("it is a series");
        let (mut samples, mut previous) = (Samples::default(), 0);
        for (i, value) in (0..).zip(values) {
            let time = i * 60_000 + i * i * 7919 % (group.jitter_ms + 1);
            let start = match (i * i * 31 + i * group.starts) % 7 {
                _ if group.starts == 0 => 0,
                0 => time - 60_000,
                1 => time - 30_000,
                2 => time,
                3 => 1,
                4 => previous,
                5 => time - 100_000,
                _ => 0,
            };
            match value {
                None => continue,
                Some(SeriesValue::Float(value)) => samples.push_float(time, value),
                Some(SeriesValue::Histogram { histogram, .. }) => {
                    samples.push_histogram(time, histogram);
                }
            }
            samples.starts.push(start);
            previous = time;
        }
        Self { labels, samples }
    }
}

impl Series for Stored {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn decode(&self, out: &mut Samples) -> Result<(), SourceError> {
        out.clone_from(&self.samples);
        Ok(())
    }
}

/// Gives all samples of all series, whatever is asked for.
#[derive(Debug)]
struct Everything(Vec<Arc<Stored>>);

#[async_trait]
impl Source for Everything {
    async fn select(&self, _: &Select) -> Result<SelectedStream, SourceError> {
        let series = self.0.iter().map(|stored| Arc::clone(stored) as Arc<_>);
        let selected = Selected {
            series: series.collect(),
            warnings: Vec::new(),
        };
        Ok(selected.into_stream())
    }
}

#[tokio::test]
async fn answers_are_those_of_prometheus() {
    let text = include_str!("../testdata/windows.jsonl");
    let mut compared = 0;
    for line in text.lines() {
        let group: Group = serde_json::from_str(line).expect("the file is JSON lines");
        let stored = group.series.iter().map(|text| Stored::new(text, &group));
        let source: Arc<dyn Source> = Arc::new(Everything(stored.map(Arc::new).collect()));
        for query in &group.queries {
            check(&source, query, &group.series).await;
            compared += 1;
        }
    }
    assert_eq!(compared, 540);
}

async fn check(source: &Arc<dyn Source>, query: &Query, series: &[String]) {
    let options = EngineOptions {
        parser: ParserOptions::all(),
        delayed_name_removal: query.delayed,
        start_timestamps: true,
        ..EngineOptions::default()
    };
    let engine = Engine::new(options, CpuPool::inline());
    let (text, range) = (&query.query, (query.start, query.end));
    let answer = match query.step {
        0 => engine.instant(source, text, query.start).await,
        step => engine.range(source, text, range, step).await,
    };
    let case = format!("{text} at {range:?} step {} of {series:#?}", query.step);
    let answer = match (answer, &query.error) {
        (Err(error), Some(expected)) => return assert_eq!(&error.to_string(), expected, "{case}"),
        (Err(error), None) => panic!("{error}: {case}"),
        (Ok(answer), None) => answer,
        (Ok(_), Some(expected)) => panic!("should fail with {expected}: {case}"),
    };
    let notes = answer.annotations.iter();
    let mut notes: Vec<String> = notes.map(|note| note.render(text)).collect();
    notes.sort();
    assert_eq!(notes, query.notes, "{case}");
    assert_eq!(rows(&answer), query.rows, "{case}");
}

/// The labels and the values of each series.
fn rows(answer: &Answer) -> Vec<Vec<String>> {
    match &answer.value {
        Value::Vector(samples) => {
            let row = samples.iter().map(|sample| {
                let value = match &sample.value {
                    SampleValue::Float(value) => float(sample.time_ms, *value),
                    SampleValue::Histogram(value) => histogram(sample.time_ms, value),
                };
                vec![sample.labels.to_string(), value]
            });
            row.collect()
        }
        Value::Matrix(series) => {
            let row = series.iter().map(|series| {
                let floats = series
                    .floats
                    .iter()
                    .map(|(time, value)| float(*time, *value));
                let histograms = series.histograms.iter();
                let histograms = histograms.map(|(time, value)| histogram(*time, value));
                let labels = std::iter::once(series.labels.to_string());
                labels.chain(floats).chain(histograms).collect()
            });
            row.collect()
        }
        Value::Scalar { .. } | Value::String { .. } => Vec::new(),
    }
}

fn float(time: i64, value: f64) -> String {
    // Which NaN comes out depends on the order of operands, which compilers choose.
    let bits = if value.is_nan() { f64::NAN } else { value }.to_bits();
    format!("{time} {bits:016x}")
}

fn histogram(time: i64, value: &FloatHistogram) -> String {
    let hint = match value.counter_reset_hint {
        CounterResetHint::Unknown => 0,
        CounterResetHint::Reset => 1,
        CounterResetHint::NotReset => 2,
        CounterResetHint::Gauge => 3,
    };
    let text = value
        .test_expression()
        .expect("its buckets are near each other");
    let (count, sum) = (value.count.to_bits(), value.sum.to_bits());
    format!("{time} {text} {count:016x} {sum:016x} {hint}")
}
