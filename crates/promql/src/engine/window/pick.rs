//! Functions that pick a sample of the range, its value or its time.

use std::sync::Arc;

use super::{Context, Window};
use crate::engine::column::SampleValue;

pub(super) fn first(window: &Window<'_>, _: &mut Context<'_>) -> Option<SampleValue> {
    sample(window, window.from)
}

pub(super) fn last(window: &Window<'_>, _: &mut Context<'_>) -> Option<SampleValue> {
    sample(window, window.to.checked_sub(1)?)
}

pub(super) fn time_of_first(window: &Window<'_>, _: &mut Context<'_>) -> Option<SampleValue> {
    window.times().first().map(|time| seconds(*time))
}

pub(super) fn time_of_last(window: &Window<'_>, _: &mut Context<'_>) -> Option<SampleValue> {
    window.times().last().map(|time| seconds(*time))
}

pub(super) fn max(window: &Window<'_>, context: &mut Context<'_>) -> Option<SampleValue> {
    extreme_value(window, context, |value, best| value > best)
}

pub(super) fn min(window: &Window<'_>, context: &mut Context<'_>) -> Option<SampleValue> {
    extreme_value(window, context, |value, best| value < best)
}

/// Of the last one, if many are the highest.
pub(super) fn time_of_max(window: &Window<'_>, context: &mut Context<'_>) -> Option<SampleValue> {
    let (time, _) = extreme(window, context, |value, best| value >= best)?;
    Some(seconds(time))
}

/// Of the last one, if many are the lowest.
pub(super) fn time_of_min(window: &Window<'_>, context: &mut Context<'_>) -> Option<SampleValue> {
    let (time, _) = extreme(window, context, |value, best| value <= best)?;
    Some(seconds(time))
}

/// How many values are compared at a time: as many as processors do.
const LANES: usize = 8;

/// As [`extreme`], without the time and, therefore, faster: of equal values, any will do. Only zeros can
/// be equal and yet differ; then, the first one counts as well.
fn extreme_value(
    window: &Window<'_>,
    context: &mut Context<'_>,
    is_better: impl Fn(f64, f64) -> bool,
) -> Option<SampleValue> {
    let (_, values) = window.floats();
    let first = *values.first()?;
    if first.is_nan() {
        let (_, value) = extreme(window, context, is_better)?;
        return Some(SampleValue::Float(value));
    }
    let (blocks, rest) = values.as_chunks::<LANES>();
    // No NaN is better than a number.
    let mut best = [first; LANES];
    for block in blocks {
        for (best, value) in best.iter_mut().zip(block) {
            *best = if is_better(*value, *best) {
                *value
            } else {
                *best
            };
        }
    }
    let pick = |best: f64, value: &f64| {
        if is_better(*value, best) {
            *value
        } else {
            best
        }
    };
    let value = best.iter().chain(rest).fold(first, pick);
    if value == 0.0 {
        let (_, value) = extreme(window, context, is_better)?;
        return Some(SampleValue::Float(value));
    }
    if values.len() < window.len() {
        context.note_ignored_histograms();
    }
    Some(SampleValue::Float(value))
}

/// The float that is better than all others, with its time; anything is better than NaN.
fn extreme(
    window: &Window<'_>,
    context: &mut Context<'_>,
    is_better: impl Fn(f64, f64) -> bool,
) -> Option<(i64, f64)> {
    let (times, values) = window.floats();
    let mut best = (*times.first()?, *values.first()?);
    if values.len() < window.len() {
        context.note_ignored_histograms();
    }
    for (time, value) in times.iter().zip(values.iter()) {
        if is_better(*value, best.1) || best.1.is_nan() {
            best = (*time, *value);
        }
    }
    Some(best)
}

fn sample(window: &Window<'_>, i: usize) -> Option<SampleValue> {
    match window.samples.histogram(i) {
        Some(histogram) => Some(SampleValue::Histogram(Arc::clone(histogram))),
        None => window
            .samples
            .floats
            .get(i)
            .copied()
            .map(SampleValue::Float),
    }
}

fn seconds(time_ms: i64) -> SampleValue {
    SampleValue::Float(time_ms as f64 / 1000.0)
}
