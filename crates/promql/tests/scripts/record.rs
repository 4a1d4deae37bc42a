//! Answers that Prometheus 3.14 gave to the queries of the scripts, in ways in which the scripts do not ask
//! for them.

use std::collections::HashMap;
use std::sync::Arc;

use rutile_model::histogram::classic::almost_equal;
use rutile_promql::{
    Answer, Engine, EngineOptions, Error, ParserOptions, SampleValue, SeriesValue, Severity,
    Source, Value, parse_series,
};
use rutile_runtime::CpuPool;
use serde::Deserialize;

use crate::compare;
use crate::script::{Command, Eval};
use crate::storage::Storage;

/// An answer, or an error.
#[derive(Debug, Deserialize)]
pub(crate) struct Record {
    #[serde(rename = "s")]
    script: String,
    #[serde(rename = "l")]
    line: usize,
    /// The query, if it is not that of the script.
    #[serde(rename = "q")]
    query: Option<String>,
    /// `now`: with delayed name removal and start timestamps; `old`: without, but with type labels.
    #[serde(rename = "k")]
    config: String,
    #[serde(rename = "a")]
    start: i64,
    #[serde(rename = "b")]
    end: i64,
    /// 0: at `start` only.
    #[serde(rename = "d")]
    step: i64,
    #[serde(rename = "e", default)]
    error: String,
    #[serde(rename = "w", default)]
    warnings: Vec<String>,
    #[serde(rename = "i", default)]
    infos: Vec<String>,
    #[serde(rename = "t", default)]
    kind: String,
    #[serde(rename = "v", default)]
    series: Vec<serde_json::Value>,
}

/// Answers by script and line.
pub(crate) fn read(text: &str) -> HashMap<(String, usize), Vec<Record>> {
    let mut records: HashMap<_, Vec<Record>> = HashMap::new();
    for line in text.lines() {
        let record: Record = serde_json::from_str(line).expect("a record");
        let key = (record.script.clone(), record.line);
        records.entry(key).or_default().push(record);
    }
    records
}

pub(crate) fn engine(config: &str, optimize: bool) -> Engine {
    let now = config == "now";
    let options = EngineOptions {
        parser: ParserOptions::all(),
        delayed_name_removal: now,
        start_timestamps: now,
        type_and_unit_labels: !now,
        optimize,
        ..EngineOptions::default()
    };
    // One of them on many threads: their number must not be visible.
    let pool = if now {
        CpuPool::inline()
    } else {
        CpuPool::new(3)
    };
    Engine::new(options, pool)
}

/// Asks for all answers to the queries of a script. Gives the number of those that are right, and what is
/// wrong with the others.
pub(crate) async fn replay(
    records: &HashMap<(String, usize), Vec<Record>>,
    name: &str,
    commands: &[Command],
) -> (usize, Vec<String>) {
    let storage = Arc::new(Storage::default());
    let source: Arc<dyn Source> = Arc::<Storage>::clone(&storage);
    let (mut right, mut wrong) = (0, Vec::new());
    // The rules of plans must not be visible, either.
    let engines = ["now", "old"].map(|config| [true, false].map(|rules| engine(config, rules)));
    for command in commands {
        match command {
            Command::Clear => storage.clear(),
            Command::Load(load) => storage.load(load).expect("it can be loaded"),
            Command::Eval(eval) => {
                let key = (name.to_owned(), eval.line);
                for record in records.get(&key).map_or(&[][..], Vec::as_slice) {
                    let [optimized, plain] = &engines[usize::from(record.config == "old")];
                    let answer = match ask(optimized, &source, eval, record).await {
                        Ok(()) => ask(plain, &source, eval, record).await,
                        Err(error) => Err(error),
                    };
                    match answer {
                        Ok(()) => right += 1,
                        Err(error) => {
                            let Record {
                                line,
                                config,
                                start,
                                end,
                                step,
                                ..
                            } = record;
                            let query = record.query.as_ref().unwrap_or(&eval.query);
                            wrong.push(format!(
                                "{name}:{line}: {query} ({config} {start} {end} {step})\n    {error}"
                            ));
                        }
                    }
                }
            }
        }
    }
    (right, wrong)
}

async fn ask(
    engine: &Engine,
    source: &Arc<dyn Source>,
    eval: &Eval,
    record: &Record,
) -> Result<(), String> {
    let query = record.query.as_ref().unwrap_or(&eval.query);
    let answer = match record.step {
        0 => engine.instant(source, query, record.start).await,
        step => {
            engine
                .range(source, query, (record.start, record.end), step)
                .await
        }
    };
    compared(query, answer, record)
}

fn compared(query: &str, answer: Result<Answer, Error>, record: &Record) -> Result<(), String> {
    let answer = match answer {
        Ok(answer) if record.error.is_empty() => answer,
        Ok(_) => return Err(format!("expected to fail: {}", record.error)),
        // Which of many duplicates are named depends on their order, and that on chance.
        Err(error) if named(&error.to_string()) == named(&record.error) => return Ok(()),
        Err(error) => return Err(format!("expected {:?}, failed: {error}", record.error)),
    };
    for (severity, expected) in [
        (Severity::Warning, &record.warnings),
        (Severity::Info, &record.infos),
    ] {
        let all = answer.annotations.iter();
        let of_kind = all.filter(|annotation| annotation.severity == severity);
        let mut got: Vec<String> = of_kind.map(|annotation| annotation.render(query)).collect();
        got.sort();
        // Prometheus counts mended histograms again at each step, and those of the steps before.
        let uncounted = |text: &String| {
            text.split(' ')
                .filter(|word| word.parse::<u64>().is_err())
                .collect::<String>()
        };
        if !got.iter().map(uncounted).eq(expected.iter().map(uncounted)) {
            return Err(format!("expected {severity:?} {expected:?}, got {got:?}"));
        }
    }
    let (kind, mut got) = flat(answer.value);
    if kind != record.kind {
        return Err(format!("expected {}, got {kind}", record.kind));
    }
    if kind == "string" {
        return Ok(());
    }
    let mut expected = record.series.clone();
    expected.sort_by(|a, b| a[0].as_str().cmp(&b[0].as_str()));
    got.sort_by(|a, b| a.0.cmp(&b.0));
    if expected.len() != got.len() {
        let names: Vec<_> = got.iter().map(|(labels, _)| labels).collect();
        return Err(format!("expected {expected:?}, got {names:?}"));
    }
    for (expected, (labels, points)) in expected.iter().zip(got) {
        let name = expected[0].as_str().expect("a name");
        let want = expected[1].as_array().expect("points");
        let same = name == labels
            && want.len() == points.len()
            && want
                .iter()
                .zip(&points)
                .all(|(want, got)| same_point(want, got));
        if !same {
            let points: Vec<_> = points
                .iter()
                .map(|(at, value)| format!("{}@{at}", compare::shown(value)))
                .collect();
            return Err(format!(
                "expected {expected}, got {labels} {}",
                points.join(" ")
            ));
        }
    }
    Ok(())
}

fn named(error: &str) -> &str {
    match error.split_once(" for the match group") {
        Some((message, _)) if error.starts_with("found duplicate series") => message,
        _ => error,
    }
}

type Points = Vec<(i64, SampleValue)>;

fn flat(value: Value) -> (&'static str, Vec<(String, Points)>) {
    match value {
        Value::Scalar { time_ms, value } => (
            "scalar",
            vec![(String::new(), vec![(time_ms, SampleValue::Float(value))])],
        ),
        Value::String { .. } => ("string", Vec::new()),
        Value::Vector(samples) => (
            "vector",
            samples
                .into_iter()
                .map(|s| (s.labels.to_string(), vec![(s.time_ms, s.value)]))
                .collect(),
        ),
        Value::Matrix(series) => (
            "matrix",
            series
                .into_iter()
                .map(|s| {
                    let floats = s.floats.into_iter();
                    let mut points: Points =
                        floats.map(|(t, v)| (t, SampleValue::Float(v))).collect();
                    let histograms = s.histograms.into_iter();
                    points.extend(histograms.map(|(t, h)| (t, SampleValue::Histogram(h))));
                    (s.labels.to_string(), points)
                })
                .collect(),
        ),
    }
}

fn same_point(want: &serde_json::Value, (time, value): &(i64, SampleValue)) -> bool {
    let text = want[1].as_str().expect("a value");
    if want[0].as_i64() != Some(*time) {
        return false;
    }
    match value {
        SampleValue::Float(value) => text.parse::<f64>().is_ok_and(|want| {
            want.to_bits() == value.to_bits() || almost_equal(want, *value, 1e-13)
        }),
        SampleValue::Histogram(_) => {
            let parsed = parse_series(&format!("x {text}"));
            let Ok((_, values)) = parsed else {
                return compare::shown(value) == text;
            };
            let Some(Some(SeriesValue::Histogram { histogram, .. })) = values.first() else {
                return false;
            };
            let want = SeriesValue::Histogram {
                histogram: Arc::clone(histogram),
                has_hint: true,
            };
            compare::same(&want, value)
        }
    }
}
