//! Compares results with what is expected of them, as tolerantly as Prometheus does.

use std::collections::HashSet;
use std::sync::Arc;

use rutile_model::histogram::classic::almost_equal;
use rutile_model::{FloatHistogram, Labels};
use rutile_promql::{
    Annotations, InstantSample, RangeSeries, SampleValue, SeriesValue, Severity, Value,
};

use crate::hints;
use crate::script::{Eval, Expect, Text, When};

/// The relative error that is tolerated.
const EPSILON: f64 = 1e-6;

/// Compares a value with what is expected.
pub(crate) fn value(eval: &Eval, value: &Value) -> Result<(), String> {
    let expect = &eval.expect;
    match value {
        Value::Scalar { value, .. } => match expect.scalar {
            Some(expected) if near(expected, *value) => Ok(()),
            Some(expected) => Err(format!("expected {expected}, got {value}")),
            None => Err(format!("expected no scalar, got {value}")),
        },
        Value::String { value, .. } => match &expect.string {
            Some(expected) if expected == value => Ok(()),
            expected => Err(format!("expected {expected:?}, got {value:?}")),
        },
        Value::Vector(samples) => vector(expect, samples),
        Value::Matrix(series) => {
            let (start, end, step) = match (expect.range_vector, eval.when) {
                (Some(times), _) => times,
                (None, When::Range { start, end, step }) => (start, end, step),
                (None, When::At(_)) => return Err("expected no range vector".to_owned()),
            };
            if expect.scalar.is_some() && expect.series.is_empty() {
                return Err("expected a scalar, got a matrix".to_owned());
            }
            sorted(series)?;
            matrix(expect, series, (start, end, step))
        }
    }
}

/// Compares an instant vector.
pub(crate) fn vector(expect: &Expect, samples: &[InstantSample]) -> Result<(), String> {
    if expect.scalar.is_some() && expect.series.is_empty() {
        return Err(format!("expected a scalar, got {} samples", samples.len()));
    }
    let mut seen = HashSet::new();
    for (i, sample) in samples.iter().enumerate() {
        let labels = &sample.labels;
        let got = shown(&sample.value);
        let Some((place, values)) = expect.series.get(labels) else {
            return Err(format!("expected no {labels}, got {got}"));
        };
        if expect.ordered && *place != i + 1 {
            return Err(format!("expected {labels} at {place}, got it at {}", i + 1));
        }
        let expected = values.first().cloned().flatten();
        let expected = expected.unwrap_or(SeriesValue::Float(0.0));
        if !same(&expected, &sample.value) {
            let expected = shown_expected(&expected);
            return Err(format!("expected {labels} {expected}, got {got}"));
        }
        seen.insert(labels);
    }
    missing(expect, &seen)
}

fn missing(expect: &Expect, seen: &HashSet<&Labels>) -> Result<(), String> {
    match expect.series.keys().find(|labels| !seen.contains(labels)) {
        Some(labels) => Err(format!("expected {labels}, got it not")),
        None => Ok(()),
    }
}

fn matrix(
    expect: &Expect,
    result: &[RangeSeries],
    (start, end, step): (i64, i64, i64),
) -> Result<(), String> {
    let mut seen = HashSet::new();
    for series in result {
        let labels = &series.labels;
        let Some((_, values)) = expect.series.get(labels) else {
            return Err(format!(
                "expected no {labels}, got {}",
                shown_series(series)
            ));
        };
        seen.insert(labels);
        let times = (0..).map(|i| start + i * step);
        let expected = times.zip(values);
        let expected: Vec<_> = expected
            .filter_map(|(time, value)| Some((time, value.as_ref()?)))
            .collect();
        if let Some((time, _)) = expected.iter().find(|(time, _)| *time > end) {
            return Err(format!("{time} lies behind the end of the query"));
        }
        let floats = series.floats.iter();
        let floats = floats.map(|(time, value)| (*time, SampleValue::Float(*value)));
        let histograms = series.histograms.iter();
        let histograms =
            histograms.map(|(time, value)| (*time, SampleValue::Histogram(Arc::clone(value))));
        let mut got: Vec<_> = floats.chain(histograms).collect();
        got.sort_by_key(|(time, _)| *time);
        let equal = |((a, expected), (b, got)): (&(i64, &SeriesValue), &(i64, SampleValue))| {
            a == b && same(expected, got)
        };
        if expected.len() != got.len() || !expected.iter().zip(&got).all(equal) {
            let expected = expected.iter();
            let expected: Vec<_> = expected
                .map(|(time, value)| format!("{}@{time}", shown_expected(value)))
                .collect();
            let got = shown_series(series);
            return Err(format!(
                "expected {labels} {}, got {got}",
                expected.join(" ")
            ));
        }
    }
    missing(expect, &seen)
}

/// Whether the series of a matrix are in the order of their labels.
pub(crate) fn sorted(series: &[RangeSeries]) -> Result<(), String> {
    if series.is_sorted_by(|a, b| a.labels <= b.labels) {
        Ok(())
    } else {
        Err("the matrix is not sorted by labels".to_owned())
    }
}

/// Compares what is said about a result.
pub(crate) fn annotations(
    expect: &Expect,
    annotations: &Annotations,
    query: &str,
) -> Result<(), String> {
    for (severity, expected, none) in [
        (Severity::Warning, &expect.warn, expect.no_warn),
        (Severity::Info, &expect.info, expect.no_info),
    ] {
        let got: Vec<String> = annotations
            .iter()
            .filter(|annotation| annotation.severity == severity)
            .map(|annotation| annotation.render(query))
            .collect();
        if none && !got.is_empty() {
            return Err(format!("expected no {severity:?}, got {got:?}"));
        }
        if expected.is_empty() {
            continue;
        }
        let found = |text: &&Text| got.iter().any(|message| text.matches(message));
        if let Some(text) = expected.iter().find(|text| !found(text)) {
            return Err(format!("expected {severity:?} {text:?}, got {got:?}"));
        }
        let wanted = |message: &&String| expected.iter().any(|text| text.matches(message));
        if let Some(message) = got.iter().find(|message| !wanted(message)) {
            return Err(format!("expected no {severity:?} {message:?}"));
        }
    }
    Ok(())
}

fn near(a: f64, b: f64) -> bool {
    almost_equal(a, b, EPSILON)
}

pub(crate) fn same(expected: &SeriesValue, got: &SampleValue) -> bool {
    match (expected, got) {
        (SeriesValue::Float(a), SampleValue::Float(b)) => near(*a, *b),
        (
            SeriesValue::Histogram {
                histogram,
                has_hint,
            },
            SampleValue::Histogram(got),
        ) => {
            let (mut a, mut b) = ((**histogram).clone(), (**got).clone());
            a.compact(0);
            b.compact(0);
            same_histogram(&a, &b) && (!has_hint || a.counter_reset_hint == b.counter_reset_hint)
        }
        _ => false,
    }
}

fn same_histogram(a: &FloatHistogram, b: &FloatHistogram) -> bool {
    let all_near =
        |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| near(*a, *b));
    a.schema == b.schema
        && near(a.count, b.count)
        && near(a.sum, b.sum)
        && (!a.uses_custom_buckets() || a.custom_values == b.custom_values)
        && a.zero_threshold == b.zero_threshold
        && near(a.zero_count, b.zero_count)
        && hints::places(&a.negative_spans) == hints::places(&b.negative_spans)
        && all_near(&a.negative_buckets, &b.negative_buckets)
        && hints::places(&a.positive_spans) == hints::places(&b.positive_spans)
        && all_near(&a.positive_buckets, &b.positive_buckets)
}

fn shown_expected(value: &SeriesValue) -> String {
    match value {
        SeriesValue::Float(value) => value.to_string(),
        SeriesValue::Histogram { histogram, .. } => shown_histogram(histogram),
    }
}

pub(crate) fn shown(value: &SampleValue) -> String {
    match value {
        SampleValue::Float(value) => value.to_string(),
        SampleValue::Histogram(histogram) => shown_histogram(histogram),
    }
}

fn shown_histogram(histogram: &FloatHistogram) -> String {
    histogram
        .test_expression()
        .unwrap_or_else(|e| e.to_string())
}

fn shown_series(series: &RangeSeries) -> String {
    let floats = series
        .floats
        .iter()
        .map(|(time, value)| format!("{value}@{time}"));
    let histograms = series.histograms.iter();
    let histograms = histograms.map(|(time, value)| format!("{}@{time}", shown_histogram(value)));
    floats.chain(histograms).collect::<Vec<_>>().join(" ")
}
