//! `smoothed` and `anchored` outside of functions: values between samples.

use std::sync::Arc;

use rutile_model::histogram::HistogramError;
use rutile_model::{CounterResetHint, FloatHistogram, Labels, quote};

use super::annotation::Annotations;
use super::column::{Column, SampleValue};
use super::eval::METRIC_NAME;
use super::select::{self, Instant};
use super::{Error, Result};
use crate::ast::Span;
use crate::source::Samples;

/// Fills the column of a smoothed instant selector: the line between the samples before and after a
/// step, or else the last one before it. Both are sought within the lookback.
pub(crate) fn instant(
    selector: &Instant,
    labels: &Labels,
    samples: &mut Samples,
    column: &mut Column,
    annotations: &mut Annotations,
) {
    select::drop_stale(samples);
    for step in 0..column.len() {
        let time = selector.looks.time(step);
        let within = |bound: i64| samples.times.partition_point(|at| *at <= bound);
        let from = within(time - selector.lookback_ms);
        let to = within(time + selector.lookback_ms);
        let histograms = (from..to)
            .filter(|i| samples.histogram(*i).is_some())
            .count();
        if histograms > 0 && histograms < to - from {
            let name = quote(labels.value(METRIC_NAME));
            let message =
                format!("encountered a mix of histograms and floats for metric name {name}");
            annotations.warn(selector.span, message);
            continue;
        }
        let next = samples.times.partition_point(|at| *at < time).max(from);
        let value = if next < to && samples.times[next] == time {
            at(samples, next)
        } else if next == from {
            None
        } else if next < to {
            between(samples, next, time, (selector.span, labels), annotations)
        } else {
            at(samples, next - 1).map(carried)
        };
        column.set(step, value);
    }
}

fn at(samples: &Samples, i: usize) -> Option<SampleValue> {
    Some(match samples.histogram(i) {
        Some(histogram) => SampleValue::Histogram(Arc::clone(histogram)),
        None => SampleValue::Float(*samples.floats.get(i)?),
    })
}

/// A value at a later time: its hint does not hold there.
fn carried(value: SampleValue) -> SampleValue {
    match value {
        SampleValue::Histogram(mut histogram) => {
            Arc::make_mut(&mut histogram).counter_reset_hint = CounterResetHint::Unknown;
            SampleValue::Histogram(histogram)
        }
        SampleValue::Float(_) => value,
    }
}

/// The value between the sample `next` and the one before it.
fn between(
    samples: &Samples,
    next: usize,
    time: i64,
    (span, labels): (Span, &Labels),
    annotations: &mut Annotations,
) -> Option<SampleValue> {
    let (t1, t2) = (samples.times[next - 1], samples.times[next]);
    let (Some(h1), Some(h2)) = (samples.histogram(next - 1), samples.histogram(next)) else {
        let (y1, y2) = (samples.floats[next - 1], samples.floats[next]);
        return Some(SampleValue::Float(line((t1, y1), (t2, y2), time)));
    };
    let fraction = (time - t1) as f64 / (t2 - t1) as f64;
    let gauge = |h: &FloatHistogram| h.counter_reset_hint == CounterResetHint::Gauge;
    let counter = !(gauge(h1) && gauge(h2));
    let mixed = h1.uses_custom_buckets() != h2.uses_custom_buckets();
    let mixed = mixed.then_some(HistogramError::MixedSchemas);
    let value = match mixed {
        Some(error) => Err(error),
        None => histogram_between(h1, h2, fraction, counter, |operation| {
            let what = "mismatched custom buckets were reconciled during";
            annotations.info(span, format!("{what} {operation}"));
        }),
    };
    match value {
        Ok(histogram) => Some(SampleValue::Histogram(Arc::new(histogram))),
        Err(error) => {
            if matches!(error, HistogramError::MixedSchemas) {
                let name = quote(labels.value(METRIC_NAME));
                let what =
                    "vector contains a mix of histograms with exponential and custom buckets";
                annotations.warn(span, format!("{what} schemas for metric name {name}"));
            }
            None
        }
    }
}

fn histogram_between(
    h1: &FloatHistogram,
    h2: &FloatHistogram,
    fraction: f64,
    counter: bool,
    mut reconciled: impl FnMut(&str),
) -> std::result::Result<FloatHistogram, HistogramError> {
    let mut value = h2.clone();
    if counter && h2.detect_reset(h1) {
        value.mul(fraction);
        return Ok(value);
    }
    if value.sub(h1)?.custom_bounds {
        reconciled("subtraction");
    }
    value.mul(fraction);
    if value.add(h1)?.custom_bounds {
        reconciled("addition");
    }
    Ok(value)
}

/// The value at `time` on the line through two points.
fn line((t1, y1): (i64, f64), (t2, y2): (i64, f64), time: i64) -> f64 {
    y1 + (y2 - y1) * (time - t1) as f64 / (t2 - t1) as f64
}

/// The samples of an extended range vector that is a result itself: those inside, and one at each end.
pub(crate) fn extend(
    samples: &Samples,
    (start, end): (i64, i64),
    smoothed: bool,
) -> Result<Samples> {
    let mut out = Samples::default();
    if (0..samples.len()).any(|i| samples.histogram(i).is_some()) {
        let name = if smoothed { "smoothed" } else { "anchored" };
        let message = format!("{name} modifier is not supported with histograms");
        return Err(Error::execution(message));
    }
    let (times, floats) = (&samples.times, &samples.floats);
    let Some(mut last) = times.len().checked_sub(1) else {
        return Ok(out);
    };
    let before_last = times.get(..last).unwrap_or_default();
    let mut first = before_last
        .partition_point(|at| *at <= start)
        .saturating_sub(1);
    if smoothed {
        last = before_last.partition_point(|at| *at < end);
    }
    if times[last] <= start {
        return Ok(out);
    }
    let point = |i: usize| (times[i], floats[i]);
    let left = match smoothed && times[first] < start {
        true => line(point(first), point(first + 1), start),
        false => floats[first],
    };
    let right = match smoothed && last > 0 && times[last] > end {
        true => line(point(last - 1), point(last), end),
        false => floats[last],
    };
    out.push_float(start, left);
    if times[first] <= start {
        first += 1;
    }
    let inside = if times[last] >= end { last } else { last + 1 };
    for i in first..inside {
        out.push_float(times[i], floats[i]);
    }
    out.push_float(end, right);
    Ok(out)
}
