//! Runs the commands of a script.

use std::sync::Arc;

use rutile_promql::{
    Answer, At, Engine, Error, Expr, InstantSample, ParserOptions, SampleValue, Source, Value,
    parse_expr,
};

use crate::compare;
use crate::script::{Command, Eval, When};
use crate::storage::Storage;

/// Functions whose result depends on the time of the evaluation even if their arguments do not.
const OF_THE_TIME: &[&str] = &[
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "days_in_month",
    "end",
    "hour",
    "minute",
    "month",
    "predict_linear",
    "range",
    "start",
    "step",
    "time",
    "timestamp",
    "year",
];

/// What came of a script.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) passed: usize,
    /// A line each: where, the query, and what is wrong.
    pub(crate) failures: Vec<String>,
}

/// Runs a script against an engine.
pub(crate) async fn script(engine: &Engine, name: &str, commands: &[Command]) -> Outcome {
    let storage = Arc::new(Storage::default());
    let source: Arc<dyn Source> = Arc::<Storage>::clone(&storage);
    let mut outcome = Outcome::default();
    for command in commands {
        match command {
            Command::Clear => storage.clear(),
            Command::Load(load) => {
                if let Err(error) = storage.load(load) {
                    outcome.failures.push(format!("{name}: load\n    {error}"));
                }
            }
            Command::Eval(eval) => match evaluate(engine, &source, eval).await {
                Ok(()) => outcome.passed += 1,
                Err(error) => {
                    let (line, query) = (eval.line, &eval.query);
                    outcome
                        .failures
                        .push(format!("{name}:{line}: {query}\n    {error}"));
                }
            },
        }
    }
    outcome
}

async fn evaluate(engine: &Engine, source: &Arc<dyn Source>, eval: &Eval) -> Result<(), String> {
    let time = match (eval.when, eval.expect.range_vector) {
        (When::Range { start, end, step }, _) => {
            let answer = engine.range(source, &eval.query, (start, end), step).await;
            return checked(eval, &eval.query, answer).map(|_| ());
        }
        (When::At(_), Some((_, end, _))) => end,
        (When::At(time), None) => time,
    };
    instant(engine, source, eval, &eval.query, time).await?;
    let (query, times) = fixed(&eval.query, time)?;
    for time in times {
        instant(engine, source, eval, &query, time)
            .await
            .map_err(|error| format!("{error} (of {query} at {time})"))?;
    }
    Ok(())
}

/// Checks an answer; gives it back if it is one.
fn checked(
    eval: &Eval,
    query: &str,
    answer: Result<Answer, Error>,
) -> Result<Option<Answer>, String> {
    match (&eval.expect.fail, answer) {
        (None, Err(error)) => Err(format!("failed: {error}")),
        (Some(_), Ok(_)) => Err("expected to fail, but did not".to_owned()),
        (Some(text), Err(error)) => match text.matches(&error.to_string()) {
            true => Ok(None),
            false => Err(format!("expected to fail with {text:?}, got {error}")),
        },
        (None, Ok(answer)) => {
            compare::annotations(&eval.expect, &answer.annotations, query)?;
            compare::value(eval, &answer.value)?;
            Ok(Some(answer))
        }
    }
}

/// Evaluates at one time, and at the middle of a range.
async fn instant(
    engine: &Engine,
    source: &Arc<dyn Source>,
    eval: &Eval,
    query: &str,
    time: i64,
) -> Result<(), String> {
    let answer = engine.instant(source, query, time).await;
    let Some(answer) = checked(eval, query, answer)? else {
        return Ok(());
    };
    let expect = &eval.expect;
    let of_query = ["start()", "end()", "range()", "step()"];
    if expect.range_vector.is_some()
        || expect.string.is_some()
        || of_query.iter().any(|call| query.contains(call))
    {
        return Ok(());
    }
    let minute = 60_000;
    let bounds = (time - minute, time + minute);
    let ranged = engine.range(source, query, bounds, minute).await;
    let ranged = ranged.map_err(|error| format!("as range: failed: {error}"))?;
    if expect.ordered {
        return Ok(());
    }
    let Value::Matrix(series) = ranged.value else {
        return Err("as range: no matrix".to_owned());
    };
    compare::sorted(&series)?;
    let mut samples = Vec::new();
    for series in &series {
        let of_time = |at: i64| at == time;
        let float = series.floats.iter().find(|(at, _)| of_time(*at));
        let histogram = series.histograms.iter().find(|(at, _)| of_time(*at));
        let values = float
            .map(|(_, value)| SampleValue::Float(*value))
            .into_iter()
            .chain(histogram.map(|(_, value)| SampleValue::Histogram(Arc::clone(value))));
        samples.extend(values.map(|value| InstantSample {
            labels: series.labels.clone(),
            time_ms: time,
            value,
        }));
    }
    let value = match (&answer.value, samples.first()) {
        (Value::Scalar { .. }, Some(InstantSample { value, .. })) => {
            let SampleValue::Float(value) = *value else {
                return Err("as range: a histogram".to_owned());
            };
            Value::Scalar {
                time_ms: time,
                value,
            }
        }
        (Value::Scalar { .. }, None) => return Err("as range: no value".to_owned()),
        _ => Value::Vector(samples),
    };
    compare::value(eval, &value).map_err(|error| format!("as range: {error}"))
}

/// The query with all its selectors fixed at `time`, and other times at which its result must be the
/// same; none if it depends on the time in other ways.
fn fixed(query: &str, time: i64) -> Result<(String, Vec<i64>), String> {
    let mut expr = parse_expr(query, &ParserOptions::all()).map_err(|e| e.to_string())?;
    let mut of_the_time = false;
    expr.walk(&mut |expr| {
        if let Expr::Call(call) = expr {
            of_the_time |= OF_THE_TIME.contains(&call.function.name);
        }
    });
    if of_the_time {
        return Ok((query.to_owned(), Vec::new()));
    }
    fix(&mut expr, time);
    let times = match time {
        0 => vec![-1000, 0, 1000],
        _ => vec![-10 * time, 0, time / 5, time, 10 * time],
    };
    Ok((expr.to_string(), times))
}

fn fix(expr: &mut Expr, time: i64) {
    let set = |at: &mut Option<At>| {
        if !matches!(at, Some(At::Timestamp(_))) {
            *at = Some(At::Timestamp(time));
        }
    };
    match expr {
        Expr::Vector(selector) => set(&mut selector.at),
        Expr::Matrix(matrix) => set(&mut matrix.selector.at),
        // What is inside a fixed subquery is fixed.
        Expr::Subquery(subquery) => return set(&mut subquery.at),
        _ => {}
    }
    for child in expr.children_mut() {
        fix(child, time);
    }
}
