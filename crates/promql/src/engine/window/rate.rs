//! `rate`, `increase` and `delta`: what changed within the range, extrapolated to its bounds.

use std::sync::Arc;

use rutile_model::FloatHistogram;

use super::reach::Reach;
use super::{Context, Kind, Window, extended, extended_histogram, rate_histogram};
use crate::engine::column::SampleValue;

/// Which of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flavor {
    /// Whether a lower value is a reset.
    pub(super) is_counter: bool,
    /// Whether the result is per second.
    pub(super) is_rate: bool,
}

pub(super) const RATE: Flavor = Flavor {
    is_counter: true,
    is_rate: true,
};
pub(super) const INCREASE: Flavor = Flavor {
    is_counter: true,
    is_rate: false,
};
pub(super) const DELTA: Flavor = Flavor {
    is_counter: false,
    is_rate: false,
};

pub(super) fn rate(window: &Window<'_>, context: &mut Context<'_>) -> Option<SampleValue> {
    change(window, context, RATE)
}

pub(super) fn increase(window: &Window<'_>, context: &mut Context<'_>) -> Option<SampleValue> {
    change(window, context, INCREASE)
}

pub(super) fn delta(window: &Window<'_>, context: &mut Context<'_>) -> Option<SampleValue> {
    change(window, context, DELTA)
}

fn change(window: &Window<'_>, context: &mut Context<'_>, flavor: Flavor) -> Option<SampleValue> {
    if window.extension.is_some() {
        return extended_change(window, context, flavor);
    }
    match window.kind() {
        Kind::Floats => change_of_floats(window, context, flavor),
        Kind::Histograms => change_of_histograms(window, context, flavor),
        Kind::Mixed => {
            context.warn_mixed_samples();
            None
        }
    }
}

fn extended_change(
    window: &Window<'_>,
    context: &mut Context<'_>,
    flavor: Flavor,
) -> Option<SampleValue> {
    let (from, to) = extended::reach(window);
    if from == to {
        return None;
    }
    match window.kind_of(from, to) {
        Kind::Floats => extended::change(window, (from, to), flavor).map(SampleValue::Float),
        Kind::Histograms => {
            let change = extended_histogram::change(window, (from, to), context, flavor)?;
            Some(SampleValue::Histogram(Arc::new(change)))
        }
        Kind::Mixed => {
            context.warn_mixed_samples();
            None
        }
    }
}

fn change_of_floats(
    window: &Window<'_>,
    context: &mut Context<'_>,
    flavor: Flavor,
) -> Option<SampleValue> {
    if flavor.is_counter && window.profile.has_overlap(window.from + 1, window.to) {
        context.warn_start_overlap();
    }
    let Some(start) = known_start(window, context, flavor) else {
        return of_floats(window, flavor).map(SampleValue::Float);
    };
    let mut reach = Reach::of(window);
    reach.begin_at(window.time_at(window.to.saturating_sub(1)), start);
    let change = within(window, flavor) + window.float_at(window.from);
    Some(SampleValue::Float(
        change * reach.factor(window.seconds(), flavor),
    ))
}

/// The change of floats of which nobody knows when they began.
#[inline]
pub(super) fn of_floats(window: &Window<'_>, flavor: Flavor) -> Option<f64> {
    if window.len() < 2 {
        return None;
    }
    let first = window.float_at(window.from);
    let change = within(window, flavor);
    let mut reach = Reach::of(window);
    reach.limit_start();
    if flavor.is_counter && change > 0.0 && first >= 0.0 {
        reach.limit_to_zero(first, change);
    }
    Some(change * reach.factor(window.seconds(), flavor))
}

/// The change from the first float to the last one, resets made up for.
#[inline]
fn within(window: &Window<'_>, flavor: Flavor) -> f64 {
    let last = window.float_at(window.to.saturating_sub(1));
    let mut change = last - window.float_at(window.from);
    if flavor.is_counter {
        for reset in window.profile.events(window.from + 1, window.to) {
            change += window.float_at(reset - 1);
        }
    }
    change
}

fn change_of_histograms(
    window: &Window<'_>,
    context: &mut Context<'_>,
    flavor: Flavor,
) -> Option<SampleValue> {
    let mut change = context.findings.spare.take();
    let written = write_change(window, context, flavor, Arc::make_mut(&mut change));
    if written.is_none() {
        context.findings.spare.put_back(change);
        return None;
    }
    Some(SampleValue::Histogram(change))
}

/// Writes the change of histograms over another one.
fn write_change(
    window: &Window<'_>,
    context: &mut Context<'_>,
    flavor: Flavor,
    change: &mut FloatHistogram,
) -> Option<()> {
    let first = window.histogram_at(window.from)?;
    let is_only = window.len() == 1;
    if !is_only {
        rate_histogram::change(window, context, flavor, change)?;
    }
    let mut reach = Reach::of(window);
    if let Some(start) = known_start(window, context, flavor) {
        reach.begin_at(window.time_at(window.to.saturating_sub(1)), start);
        if is_only {
            change.copy_from(first);
        } else if !context.add(change, first) {
            return None;
        }
    } else if is_only {
        return None;
    } else {
        reach.limit_start();
        if flavor.is_counter && change.count > 0.0 && first.count >= 0.0 {
            reach.limit_to_zero(first.count, change.count);
        }
    }
    change.mul(reach.factor(window.seconds(), flavor));
    Some(())
}

/// When the counter of the first sample began, if that is known and within the range: then it is known
/// to have been zero there, and nothing has to be guessed.
fn known_start(window: &Window<'_>, context: &Context<'_>, flavor: Flavor) -> Option<i64> {
    if !flavor.is_counter || !context.start_timestamps {
        return None;
    }
    let start = window.start_at(window.from);
    let is_within = start > window.range_start && start < window.time_at(window.from);
    (start != 0 && is_within).then_some(start)
}
