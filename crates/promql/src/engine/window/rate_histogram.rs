//! The change between the first and the last native histogram of a range.

use rutile_model::histogram::HistogramError;
use rutile_model::{CounterResetHint, FloatHistogram};

use super::note::Operation;
use super::rate::Flavor;
use super::starts::Stamp;
use super::{Context, Window};

/// The last histogram less the first, and what was lost to counter resets added, written over `change`. There are two
/// at least.
///
/// Nothing if they do not fit together; what was remarked before that is not said then, as in Prometheus.
pub(super) fn change(
    window: &Window<'_>,
    context: &mut Context<'_>,
    flavor: Flavor,
    change: &mut FloatHistogram,
) -> Option<()> {
    let first = window.histogram_at(window.from)?;
    let second = window.histogram_at(window.from + 1)?;
    let last = window.histogram_at(window.to.checked_sub(1)?)?;
    let mut not_counter = flavor.is_counter && (is_gauge(first) || is_gauge(last));
    // Only what follows the reset counts then, so that the first need not fit to the others.
    let replaced =
        (flavor.is_counter && is_reset(window, window.from + 1)).then(|| nothing_like(second));
    let first = replaced.as_ref().unwrap_or(first);
    let custom = first.uses_custom_buckets();
    if last.uses_custom_buckets() != custom {
        if not_counter {
            context.warn_not_counter();
        }
        context.warn_mixed_buckets();
        return None;
    }
    let mut schema = last.schema.min(first.schema);
    if flavor.is_counter && !window.profile.uniform {
        let between = window.histograms().skip(1).take(window.len() - 2);
        for histogram in between {
            not_counter |= is_gauge(histogram);
            schema = schema.min(histogram.schema);
            if histogram.uses_custom_buckets() != custom {
                context.warn_mixed_buckets();
                return None;
            }
        }
    }
    change.copy_from_at(last, schema).ok()?;
    let subtracted = change.sub(first).map(|done| done.custom_bounds);
    let added = match subtracted {
        Ok(_) if flavor.is_counter => add_lost(window, first, change, context.start_timestamps),
        Ok(_) => Ok(false),
        Err(error) => Err(error),
    };
    let (subtracted, added) = match (subtracted, added) {
        (Ok(subtracted), Ok(added)) => (subtracted, added),
        (Err(error), _) | (_, Err(error)) => {
            context.judge(Err(error), Operation::Addition);
            return None;
        }
    };
    if flavor.is_counter && window.profile.has_overlap(window.from + 1, window.to) {
        context.warn_start_overlap();
    }
    if not_counter {
        context.warn_not_counter();
    }
    if subtracted {
        context.note_reconciled(Operation::Subtraction);
    }
    if added {
        context.note_reconciled(Operation::Addition);
    }
    let are_gauges = is_gauge(first) && is_gauge(last);
    if !flavor.is_counter && !are_gauges {
        context.warn_not_gauge();
    }
    change.counter_reset_hint = CounterResetHint::Gauge;
    change.compact(0);
    Some(())
}

/// Adds the value before each counter reset; whether custom bounds had to be reconciled. If there is a
/// reset right after the first histogram, `first` is what it was replaced by, and compared anew.
fn add_lost(
    window: &Window<'_>,
    first: &FloatHistogram,
    change: &mut FloatHistogram,
    with_starts: bool,
) -> Result<bool, HistogramError> {
    let second = window.from + 1;
    let mut reconciled = false;
    if is_reset(window, second)
        && (with_starts && began_anew(window, second)
            || window
                .histogram_at(second)
                .is_some_and(|h| h.detect_reset(first)))
    {
        reconciled |= change.add(first)?.custom_bounds;
    }
    for reset in window.profile.events(second + 1, window.to) {
        if let Some(lost) = window.histogram_at(reset - 1) {
            reconciled |= change.add(lost)?.custom_bounds;
        }
    }
    Ok(reconciled)
}

/// Whether the start timestamp says that the counter began anew before a sample.
fn began_anew(window: &Window<'_>, i: usize) -> bool {
    let stamp = |i| Stamp {
        time: window.time_at(i),
        start: window.start_at(i),
    };
    stamp(i).is_reset_since(stamp(i - 1))
}

fn is_reset(window: &Window<'_>, i: usize) -> bool {
    !window.profile.events(i, i + 1).is_empty()
}

fn is_gauge(histogram: &FloatHistogram) -> bool {
    histogram.counter_reset_hint == CounterResetHint::Gauge
}

/// A histogram without observations that fits to another one.
fn nothing_like(histogram: &FloatHistogram) -> FloatHistogram {
    FloatHistogram {
        schema: histogram.schema,
        custom_values: histogram.custom_values.clone(),
        ..FloatHistogram::default()
    }
}
