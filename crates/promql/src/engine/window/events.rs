//! `changes` and `resets`: how often neighbours differ.

use super::{Context, Window};
use crate::ast::Extension;
use crate::engine::column::SampleValue;

/// Counts the events that the profile has found.
pub(super) fn count(window: &Window<'_>, _: &mut Context<'_>) -> Option<SampleValue> {
    if window.from == window.to {
        return None;
    }
    let first = match window.extension {
        Some(Extension::Anchored) => anchor(window).unwrap_or(window.from),
        Some(Extension::Smoothed) | None => window.from,
    };
    let events = window.profile.events(first + 1, window.to);
    Some(SampleValue::Float(events.len() as f64))
}

/// The last sample before the range, if it lies within the lookback.
fn anchor(window: &Window<'_>) -> Option<usize> {
    let before = window.from.checked_sub(1)?;
    let earliest = window.range_start - window.lookback_ms;
    (window.time_at(before) > earliest).then_some(before)
}
