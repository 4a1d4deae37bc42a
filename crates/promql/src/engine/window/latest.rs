//! `irate` and `idelta`: the last two samples.

use std::sync::Arc;

use rutile_model::{CounterResetHint, FloatHistogram};

use super::starts::Stamp;
use super::{Context, Window};
use crate::engine::column::SampleValue;

pub(super) fn irate(window: &Window<'_>, context: &mut Context<'_>) -> Option<SampleValue> {
    between_last_two(window, context, true)
}

pub(super) fn idelta(window: &Window<'_>, context: &mut Context<'_>) -> Option<SampleValue> {
    between_last_two(window, context, false)
}

fn between_last_two(
    window: &Window<'_>,
    context: &mut Context<'_>,
    is_rate: bool,
) -> Option<SampleValue> {
    if window.len() < 2 {
        return None;
    }
    let (previous, last) = (window.to - 2, window.to - 1);
    let stamp = |i| Stamp {
        time: window.time_at(i),
        start: window.start_at(i),
    };
    let began_anew =
        is_rate && context.start_timestamps && stamp(last).is_reset_since(stamp(previous));
    let interval = window.time_at(last) - window.time_at(previous);
    let seconds = is_rate.then_some(interval as f64 / 1000.0);
    match (window.histogram_at(previous), window.histogram_at(last)) {
        (None, None) => {
            let (before, now) = (window.float_at(previous), window.float_at(last));
            let is_reset = is_rate && (now < before || began_anew);
            let change = if is_reset { now } else { now - before };
            Some(SampleValue::Float(seconds.map_or(change, |s| change / s)))
        }
        (Some(before), Some(now)) => {
            let mut change = change_of_histograms(before, now, context, is_rate, began_anew)?;
            if let Some(seconds) = seconds {
                change.div(seconds);
            }
            Some(SampleValue::Histogram(Arc::new(change)))
        }
        _ => {
            context.warn_mixed_samples();
            None
        }
    }
}

fn change_of_histograms(
    before: &FloatHistogram,
    now: &FloatHistogram,
    context: &mut Context<'_>,
    is_rate: bool,
    began_anew: bool,
) -> Option<FloatHistogram> {
    let is_gauge = |h: &FloatHistogram| h.counter_reset_hint == CounterResetHint::Gauge;
    if is_rate && (is_gauge(before) || is_gauge(now)) {
        context.warn_not_counter();
    }
    let are_gauges = is_gauge(before) && is_gauge(now);
    if !is_rate && !are_gauges {
        context.warn_not_gauge();
    }
    let mut change = now.clone();
    let is_reset = is_rate && (began_anew || now.detect_reset(before));
    if !is_reset && !context.subtract(&mut change, before) {
        return None;
    }
    change.counter_reset_hint = CounterResetHint::Gauge;
    change.compact(0);
    Some(change)
}
