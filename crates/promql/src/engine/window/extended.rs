//! Ranges that are `anchored` or `smoothed`: their bounds have values, too.
//!
//! The value at a bound of an anchored range is that of the last sample up to it; that of a smoothed one
//! lies on the line between the samples around it. Nothing is extrapolated. Bounds are looked for within
//! the lookback before the range and, for a smoothed one, behind it.

use rutile_model::histogram::HistogramError;
use rutile_model::{FloatHistogram, Samples};

use super::rate::Flavor;
use super::{Kind, Window};
use crate::ast::Extension;
use crate::engine::{Error, Result};
/// Places of the samples of a window and of those that its bounds may need. Where floats and histograms
/// are mixed, all within the lookback may not be.
pub(super) fn reach(window: &Window<'_>) -> (usize, usize) {
    let times = &window.samples.times;
    let earliest = window.range_start - window.lookback_ms;
    let latest = match window.extension {
        Some(Extension::Smoothed) => window.range_end + window.lookback_ms,
        Some(Extension::Anchored) | None => window.range_end,
    };
    if window.profile.kind == Kind::Mixed {
        let from = times.partition_point(|time| *time <= earliest);
        let to = times.partition_point(|time| *time <= latest);
        return (from, to.max(from));
    }
    let before = window.from.checked_sub(1);
    let from = before.filter(|before| window.time_at(*before) > earliest);
    let has_next = times.get(window.to).is_some_and(|time| *time <= latest);
    let to = window.to + usize::from(has_next);
    (from.unwrap_or(window.from), to)
}

/// Places, from the first of some samples, of the two that give the bounds of a range their values.
/// Nothing if all samples lie before the range.
fn outermost(times: &[i64], (start, end): (i64, i64), smoothed: bool) -> Option<(usize, usize)> {
    let (last_time, before) = times.split_last()?;
    let first = before
        .partition_point(|time| *time <= start)
        .saturating_sub(1);
    let last = if smoothed {
        before.partition_point(|time| *time < end)
    } else {
        before.len()
    };
    let is_inside = times.get(last).unwrap_or(last_time) > &start;
    is_inside.then_some((first, last))
}

/// The same for a change over the range: nothing also if all samples lie behind the range.
pub(super) fn outermost_of_change(
    times: &[i64],
    (start, end): (i64, i64),
    smoothed: bool,
) -> Option<(usize, usize)> {
    let (first, last) = outermost(times, (start, end), smoothed)?;
    let is_behind = smoothed && times.get(first)? > &end;
    (!is_behind).then_some((first, last))
}

/// The value between two floats at a time; a counter that was reset began at zero.
pub(crate) fn interpolate(
    (before, previous): (i64, f64),
    (after, next): (i64, f64),
    time: i64,
    is_counter: bool,
) -> f64 {
    let base = if is_counter && next < previous {
        0.0
    } else {
        previous
    };
    base + (next - base) * (time - before) as f64 / (after - before) as f64
}

/// The histogram between two others at a time; a counter that was reset began without observations.
/// Says whether custom bounds had to be reconciled to subtract, and to add.
pub(crate) fn interpolate_histograms(
    (before, previous): (i64, &FloatHistogram),
    (after, next): (i64, &FloatHistogram),
    time: i64,
    is_counter: bool,
) -> Result<(FloatHistogram, [bool; 2]), HistogramError> {
    if time == before {
        return Ok((previous.clone(), [false; 2]));
    }
    let mut between = next.clone();
    if time == after {
        return Ok((between, [false; 2]));
    }
    let share = (time - before) as f64 / (after - before) as f64;
    if is_counter && next.detect_reset(previous) {
        between.mul(share);
        return Ok((between, [false; 2]));
    }
    let subtracted = between.sub(previous)?.custom_bounds;
    between.mul(share);
    let added = between.add(previous)?.custom_bounds;
    Ok((between, [subtracted, added]))
}

/// The values of floats at the bounds of a range; `first` and `last` are what [`outermost`] found.
fn at_bounds(
    points: &Points<'_>,
    (first, last): (usize, usize),
    (start, end): (i64, i64),
    is_counter: bool,
) -> Option<(f64, f64)> {
    let mut left = points.at(first)?;
    if points.smoothed && left.0 < start {
        left.1 = interpolate(left, points.at(first + 1)?, start, is_counter);
    }
    let mut right = points.at(last)?;
    if points.smoothed && last > 0 && right.0 > end {
        right.1 = interpolate(points.at(last - 1)?, right, end, is_counter);
    }
    Some((left.1, right.1))
}

/// Floats with their times.
struct Points<'a> {
    times: &'a [i64],
    values: &'a [f64],
    smoothed: bool,
}

impl<'a> Points<'a> {
    fn of(samples: &'a Samples, (from, to): (usize, usize), extension: Option<Extension>) -> Self {
        Self {
            times: samples.times.get(from..to).unwrap_or_default(),
            values: samples.floats.get(from..to).unwrap_or_default(),
            smoothed: extension == Some(Extension::Smoothed),
        }
    }

    fn at(&self, i: usize) -> Option<(i64, f64)> {
        Some((*self.times.get(i)?, *self.values.get(i)?))
    }

    /// Places of those strictly within a range, out of `first..=last`.
    fn within(&self, (first, last): (usize, usize), (start, end): (i64, i64)) -> (usize, usize) {
        let is_at = |i: usize, is_out: fn(i64, i64) -> bool, bound| {
            self.times.get(i).is_some_and(|time| is_out(*time, bound))
        };
        let from = first + usize::from(is_at(first, |time, start| time <= start, start));
        let to = last + usize::from(!is_at(last, |time, end| time >= end, end));
        (from, to.max(from))
    }
}

/// The change of floats over the range; `reached` are the places of all that may be looked at.
pub(super) fn change(window: &Window<'_>, reached: (usize, usize), flavor: Flavor) -> Option<f64> {
    let points = Points::of(window.samples, reached, window.extension);
    let range = (window.range_start, window.range_end);
    let ends = outermost_of_change(points.times, range, points.smoothed)?;
    let (left, right) = at_bounds(&points, ends, range, flavor.is_counter)?;
    let mut change = right - left;
    if flavor.is_counter {
        // What was lost to resets next to the bounds is part of their values already.
        let (from, to) = points.within(ends, range);
        let (mut lost, mut previous) = (0.0, left);
        if let Some(within) = points.values.get(from..to)
            && let (Some(first), Some(last)) = (within.first(), within.last())
        {
            if *first < left {
                lost += left;
            }
            for reset in window.profile.events(reached.0 + from + 1, reached.0 + to) {
                lost += window.float_at(reset - 1);
            }
            previous = *last;
        }
        if right < previous {
            lost += previous;
        }
        change += lost;
    }
    if flavor.is_rate {
        change /= window.seconds();
    }
    Some(change)
}

/// The samples of a range vector that is shown as it is: those within the range, and its bounds.
///
/// # Errors
/// Where there are histograms, as in Prometheus.
pub(crate) fn extend(
    samples: &Samples,
    (start, end): (i64, i64),
    lookback_ms: i64,
    extension: Extension,
) -> Result<Samples> {
    let (modifier, behind_ms) = match extension {
        Extension::Anchored => ("anchored", 0),
        Extension::Smoothed => ("smoothed", lookback_ms),
    };
    let place = |bound: i64| samples.times.partition_point(|time| *time <= bound);
    let reached = (place(start - lookback_ms), place(end + behind_ms));
    if (reached.0..reached.1).any(|i| samples.histogram(i).is_some()) {
        return Err(Error::execution(format!(
            "{modifier} modifier is not supported with histograms"
        )));
    }
    let points = Points::of(samples, reached, Some(extension));
    let mut extended = Samples::default();
    let Some(ends) = outermost(points.times, (start, end), points.smoothed) else {
        return Ok(extended);
    };
    let Some((left, right)) = at_bounds(&points, ends, (start, end), false) else {
        return Ok(extended);
    };
    extended.push_float(start, left);
    let (from, to) = points.within(ends, (start, end));
    for (time, value) in (from..to).filter_map(|i| points.at(i)) {
        extended.push_float(time, value);
    }
    extended.push_float(end, right);
    Ok(extended)
}
