//! Thanos's `xrate`, `xincrease` and `xdelta`: they take the last sample before the range into account,
//! and do not extrapolate. Source: `extendedRate` of thanos-io/promql-engine, with all its peculiarities.

use super::rate::Flavor;
use super::{Context, Kind, Window};
use crate::engine::Error;
use crate::engine::column::SampleValue;

/// How old the sample before the range may be.
const LOOKBACK_MS: i64 = 60 * 60_000;

/// How far before its range a function looks for a sample.
pub(crate) fn looks_behind_ms(function: &str) -> i64 {
    match function {
        "xrate" | "xincrease" | "xdelta" => LOOKBACK_MS,
        _ => 0,
    }
}

pub(super) fn xrate(window: &Window<'_>, context: &mut Context<'_>) -> Option<SampleValue> {
    let flavor = Flavor {
        is_counter: true,
        is_rate: true,
    };
    change(window, context, flavor)
}

pub(super) fn xincrease(window: &Window<'_>, context: &mut Context<'_>) -> Option<SampleValue> {
    let flavor = Flavor {
        is_counter: true,
        is_rate: false,
    };
    change(window, context, flavor)
}

pub(super) fn xdelta(window: &Window<'_>, context: &mut Context<'_>) -> Option<SampleValue> {
    let flavor = Flavor {
        is_counter: false,
        is_rate: false,
    };
    change(window, context, flavor)
}

fn change(window: &Window<'_>, context: &mut Context<'_>, flavor: Flavor) -> Option<SampleValue> {
    if window.profile.kind != Kind::Floats {
        context.findings.error = Some(Error::execution(
            "native histograms are not supported in extended range functions",
        ));
        return None;
    }
    let before = window.from.checked_sub(1);
    let earliest = window.range_start - LOOKBACK_MS;
    let anchor = before.filter(|before| window.time_at(*before) > earliest);
    let first = anchor.unwrap_or(window.from);
    let values = window.samples.floats.get(first..window.to)?;
    let times = window.samples.times.get(first..window.to)?;
    Some(SampleValue::Float(
        Points { times, values }.change(window, flavor)?,
    ))
}

struct Points<'a> {
    times: &'a [i64],
    values: &'a [f64],
}

impl Points<'_> {
    /// Nothing if there are no samples.
    fn change(mut self, window: &Window<'_>, flavor: Flavor) -> Option<f64> {
        let (first_time, first_value) = (*self.times.first()?, *self.values.first()?);
        let is_increase = flavor.is_counter && !flavor.is_rate;
        let range_ms = window.range_end - window.range_start;
        let is_new = window.range_end <= window.profile.appeared.saturating_add(range_ms);
        // A counter that has just appeared with its first value is taken to have been zero before.
        if is_increase && is_new && self.values.array_windows().all(|[a, b]| a == b) {
            return Some(first_value);
        }
        let mut covered = self.covered();
        if !is_increase && (window.range_start - first_time) as f64 > self.spacing() {
            // The sample before the range is too old to tell anything about its start.
            if self.values.len() < 3 {
                return Some(0.0);
            }
            self.times = self.times.get(1..)?;
            self.values = self.values.get(1..)?;
            covered = self.covered();
        }
        let mut lost = 0.0;
        if flavor.is_counter {
            let mut previous = 0.0;
            for value in self.values {
                if *value < previous {
                    lost += previous;
                }
                previous = *value;
            }
        }
        let (last_time, last_value) = (*self.times.last()?, *self.values.last()?);
        let (first_time, first_value) = (*self.times.first()?, *self.values.first()?);
        let mut change = last_value - first_value + lost;
        // Thanos cuts fractions of a second off.
        let seconds = (range_ms / 1000) as f64;
        let to_end = (window.range_end - last_time) as f64;
        if !is_increase && first_time <= window.range_start && to_end < self.spacing() {
            change *= seconds / (covered / 1000.0);
        }
        if flavor.is_rate {
            change /= seconds;
        }
        Some(change)
    }

    /// From the first sample to the last, ms.
    fn covered(&self) -> f64 {
        match (self.times.first(), self.times.last()) {
            (Some(first), Some(last)) => (last - first) as f64,
            _ => 0.0,
        }
    }

    /// Between two samples on average, ms; NaN if there is only one.
    fn spacing(&self) -> f64 {
        self.covered() / (self.times.len() as f64 - 1.0)
    }
}
