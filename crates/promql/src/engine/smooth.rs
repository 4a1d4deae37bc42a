//! `smoothed` instant selectors: values between samples.

use std::sync::Arc;

use rutile_model::histogram::HistogramError;
use rutile_model::{CounterResetHint, FloatHistogram, Labels, Samples};

use super::column::{Column, SampleValue};
use super::select::{self, Instant};
use super::window::{self, Context, Findings, Kind};
/// Fills the column of a `smoothed` instant selector: what lies on the line between the samples before
/// and behind each step, within the lookback; the one before if there is none behind.
pub(crate) fn instant(
    selector: &Instant,
    labels: &Labels,
    samples: &mut Samples,
    column: &mut Column,
    findings: &mut Findings,
) {
    select::drop_stale(samples);
    let mut pace = findings.stop.pace();
    let mut context = Context {
        span: selector.span,
        labels,
        scalars: &[],
        start_timestamps: false,
        findings,
    };
    for step in 0..column.len() {
        if pace.ends_before(0) {
            return;
        }
        let time = selector.looks.time(step);
        let place = |bound: i64| samples.times.partition_point(|at| *at <= bound);
        let from = place(time - selector.lookback_ms);
        let to = place(time + selector.lookback_ms);
        let value = value_between(samples, (from, to), time, &mut context);
        column.set(step, value);
    }
}

fn value_between(
    samples: &Samples,
    (from, to): (usize, usize),
    time: i64,
    context: &mut Context<'_>,
) -> Option<SampleValue> {
    if Kind::of(samples, from, to) == Kind::Mixed {
        context.warn_mixed_samples();
        return None;
    }
    let times = samples.times.get(from..to)?;
    let next = from + times.partition_point(|at| *at < time);
    let previous = next.checked_sub(1).filter(|previous| *previous >= from);
    let has_next = next < to;
    if has_next && samples.times.get(next) == Some(&time) {
        return value_at(samples, next);
    }
    let previous = previous?;
    if !has_next {
        return match value_at(samples, previous)? {
            // The hint is about the histogram before, not about the value.
            SampleValue::Histogram(mut histogram) => {
                if histogram.counter_reset_hint != CounterResetHint::Unknown {
                    Arc::make_mut(&mut histogram).counter_reset_hint = CounterResetHint::Unknown;
                }
                Some(SampleValue::Histogram(histogram))
            }
            float @ SampleValue::Float(_) => Some(float),
        };
    }
    let (before, after) = (*samples.times.get(previous)?, *samples.times.get(next)?);
    match (value_at(samples, previous)?, value_at(samples, next)?) {
        (SampleValue::Float(left), SampleValue::Float(right)) => {
            let value = window::interpolate((before, left), (after, right), time, false);
            Some(SampleValue::Float(value))
        }
        (SampleValue::Histogram(left), SampleValue::Histogram(right)) => {
            let is_gauge = |h: &FloatHistogram| h.counter_reset_hint == CounterResetHint::Gauge;
            let is_counter = !(is_gauge(&left) && is_gauge(&right));
            let between = if left.uses_custom_buckets() == right.uses_custom_buckets() {
                window::interpolate_histograms((before, &left), (after, &right), time, is_counter)
            } else {
                Err(HistogramError::MixedSchemas)
            };
            let between = context.accept_interpolated(between)?;
            Some(SampleValue::Histogram(Arc::new(between)))
        }
        _ => None,
    }
}

fn value_at(samples: &Samples, i: usize) -> Option<SampleValue> {
    match samples.histogram(i) {
        Some(histogram) => Some(SampleValue::Histogram(Arc::clone(histogram))),
        None => samples.floats.get(i).copied().map(SampleValue::Float),
    }
}
