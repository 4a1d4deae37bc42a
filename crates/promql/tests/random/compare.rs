//! Whether two answers say the same.

use std::collections::BTreeMap;

use rutile_model::{FloatHistogram, Labels};
use rutile_promql::{Answer, Error, SampleValue, Value};

/// How far apart floats may be for their size.
pub(crate) const TOLERANCE: f64 = 1e-12;

/// The values of each series at their times; series may come more than once, in their order.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Rows(pub(crate) BTreeMap<(Labels, i64), Vec<Point>>);

/// A value.
#[derive(Debug, Clone)]
pub(crate) enum Point {
    Float(f64),
    Text(String),
    Histogram(Box<FloatHistogram>),
}

/// By the bits; what NaN it is does not matter, nor what a histogram knows of a reset.
impl PartialEq for Point {
    fn eq(&self, other: &Self) -> bool {
        self.is_near(other, 0.0)
    }
}

impl Point {
    fn is_near(&self, other: &Self, tolerance: f64) -> bool {
        let near = |a: f64, b: f64| {
            let same = a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
            let zeros = tolerance > 0.0 && a == b;
            same || zeros
                || (a - b).abs() <= tolerance * a.abs().max(b.abs())
                    && tolerance > 0.0
                    && (a - b).is_finite()
        };
        let all_near =
            |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| near(*a, *b));
        match (self, other) {
            (Self::Float(a), Self::Float(b)) => near(*a, *b),
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Histogram(a), Self::Histogram(b)) => {
                let (mut a, mut b) = (a.clone(), b.clone());
                a.compact(0);
                b.compact(0);
                a.schema == b.schema
                    && a.positive_spans == b.positive_spans
                    && a.negative_spans == b.negative_spans
                    && all_near(
                        &[a.count, a.sum, a.zero_count, a.zero_threshold],
                        &[b.count, b.sum, b.zero_count, b.zero_threshold],
                    )
                    && all_near(&a.positive_buckets, &b.positive_buckets)
                    && all_near(&a.negative_buckets, &b.negative_buckets)
                    && all_near(&a.custom_values, &b.custom_values)
            }
            _ => false,
        }
    }
}

impl Rows {
    pub(crate) fn of(value: &Value) -> Self {
        let mut rows = Self::default();
        match value {
            Value::Scalar { time_ms, value } => {
                rows.add(&Labels::empty(), *time_ms, Point::Float(*value));
            }
            Value::String { time_ms, value } => {
                rows.add(&Labels::empty(), *time_ms, Point::Text(value.clone()));
            }
            Value::Vector(samples) => {
                for sample in samples {
                    rows.add(&sample.labels, sample.time_ms, point(&sample.value));
                }
            }
            Value::Matrix(series) => {
                for series in series {
                    for (time, value) in &series.floats {
                        rows.add(&series.labels, *time, Point::Float(*value));
                    }
                    for (time, value) in &series.histograms {
                        let histogram = Point::Histogram(Box::new(value.as_ref().clone()));
                        rows.add(&series.labels, *time, histogram);
                    }
                }
            }
        }
        rows
    }

    pub(crate) fn add(&mut self, labels: &Labels, time_ms: i64, point: Point) {
        self.0
            .entry((labels.clone(), time_ms))
            .or_default()
            .push(point);
    }

    /// Those of one time.
    pub(crate) fn at(&self, time_ms: i64) -> Self {
        let rows = self.0.iter().filter(|((_, time), _)| *time == time_ms);
        Self(
            rows.map(|(key, points)| (key.clone(), points.clone()))
                .collect(),
        )
    }

    pub(crate) fn extend(&mut self, other: Self) {
        for (key, points) in other.0 {
            self.0.entry(key).or_default().extend(points);
        }
    }

    /// Says what differs, if anything does.
    pub(crate) fn differ(&self, other: &Self, tolerance: f64) -> Option<String> {
        for key in self.0.keys().chain(other.0.keys()) {
            let (ours, theirs) = (self.0.get(key), other.0.get(key));
            let near = match (ours, theirs) {
                (Some(a), Some(b)) => {
                    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.is_near(b, tolerance))
                }
                _ => false,
            };
            if !near {
                return Some(format!("{} at {}: {ours:?}, {theirs:?}", key.0, key.1));
            }
        }
        None
    }
}

fn point(value: &SampleValue) -> Point {
    match value {
        SampleValue::Float(value) => Point::Float(*value),
        SampleValue::Histogram(histogram) => Point::Histogram(Box::new(histogram.as_ref().clone())),
    }
}

/// What two evaluations must have in common to the last bit: order, errors and annotations too.
pub(crate) fn exact(answer: &Result<Answer, Error>) -> String {
    let remarks = answer.as_ref().map(|answer| &answer.annotations);
    format!("{} {:?}", exact_rows(answer), remarks.ok())
}

/// The remarks of one that the other does not have.
pub(crate) fn more_remarks(
    one: &Result<Answer, Error>,
    other: &Result<Answer, Error>,
) -> Vec<String> {
    let of = |answer: &Result<Answer, Error>| -> Vec<String> {
        let remarks = answer.iter().flat_map(|answer| answer.annotations.iter());
        remarks.map(|remark| format!("{remark:?}")).collect()
    };
    let others = of(other);
    of(one)
        .into_iter()
        .filter(|remark| !others.contains(remark))
        .collect()
}

/// The same without annotations.
pub(crate) fn exact_rows(answer: &Result<Answer, Error>) -> String {
    match answer {
        Err(error) => format!("error: {error}"),
        Ok(answer) => {
            // A NaN prints without its bits; they must agree too.
            let rows: Vec<String> = match &answer.value {
                Value::Scalar { time_ms, value } => {
                    vec![format!("{time_ms} {:x}", value.to_bits())]
                }
                Value::String { value, .. } => vec![value.clone()],
                Value::Vector(samples) => samples
                    .iter()
                    .map(|s| format!("{} {}", s.labels, bits(&s.value)))
                    .collect(),
                Value::Matrix(series) => series.iter().map(series_bits).collect(),
            };
            format!("{rows:?} {:?}", answer.warnings)
        }
    }
}

fn series_bits(series: &rutile_promql::RangeSeries) -> String {
    let floats: Vec<_> = series
        .floats
        .iter()
        .map(|(time, v)| (*time, v.to_bits()))
        .collect();
    format!("{} {floats:x?} {:?}", series.labels, series.histograms)
}

fn bits(value: &SampleValue) -> String {
    match value {
        SampleValue::Float(value) => format!("{:x}", value.to_bits()),
        SampleValue::Histogram(histogram) => format!("{histogram:?}"),
    }
}
