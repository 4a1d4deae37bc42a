//! `avg_over_time` and `sum_over_time`.

use std::sync::Arc;

use rutile_model::histogram::{Compensation, HistogramError, kahan_inc};
use rutile_model::{CounterResetHint, FloatHistogram};

use super::note::Operation;
use super::{Context, Kind, Window};
use crate::engine::column::SampleValue;

pub(super) fn sum(window: &Window<'_>, context: &mut Context<'_>) -> Option<SampleValue> {
    summarize(window, context, sum_of_floats, sum_of_histograms)
}

pub(super) fn avg(window: &Window<'_>, context: &mut Context<'_>) -> Option<SampleValue> {
    summarize(window, context, average_of_floats, average_of_histograms)
}

/// A histogram out of those of a window, and whether custom bounds had to be reconciled.
type Summed = Result<(FloatHistogram, bool), HistogramError>;

fn summarize(
    window: &Window<'_>,
    context: &mut Context<'_>,
    floats: fn(&[f64]) -> f64,
    histograms: fn(&Window<'_>, FloatHistogram) -> Summed,
) -> Option<SampleValue> {
    match window.kind() {
        Kind::Floats => {
            let (_, values) = window.floats();
            Some(SampleValue::Float(floats(&values)))
        }
        Kind::Histograms => {
            let first = window.histogram_at(window.from)?.clone();
            let done = histograms(window, first);
            // Once for all additions, and only if there is a result.
            let (histogram, reconciled) = match done {
                Ok(done) => done,
                Err(HistogramError::MixedSchemas) => {
                    context.warn_mixed_buckets();
                    return None;
                }
                Err(_) => return None,
            };
            if hints_collide(window) {
                context.warn_reset_collision();
            }
            if reconciled {
                context.note_reconciled(Operation::Aggregation);
            }
            Some(SampleValue::Histogram(Arc::new(histogram)))
        }
        Kind::Mixed => {
            context.warn_mixed_samples();
            None
        }
    }
}

/// Whether some of the histograms say that there was a reset, and others that there was none.
fn hints_collide(window: &Window<'_>) -> bool {
    let has = |hint| {
        let mut histograms = window.histograms();
        histograms.any(|histogram| histogram.counter_reset_hint == hint)
    };
    has(CounterResetHint::Reset) && has(CounterResetHint::NotReset)
}

pub(super) fn sum_of_floats(values: &[f64]) -> f64 {
    let (mut sum, mut carry) = (0.0, 0.0);
    for value in values {
        (sum, carry) = kahan_inc(*value, sum, carry);
    }
    if sum.is_infinite() { sum } else { sum + carry }
}

/// Divides the sum; from where the sum would overflow, goes on with a mean that moves.
pub(super) fn average_of_floats(values: &[f64]) -> f64 {
    let Some((first, rest)) = values.split_first() else {
        return 0.0;
    };
    let (mut sum, mut carry, mut count) = (*first, 0.0, 1.0);
    let mut rest = rest.iter();
    for value in rest.by_ref() {
        let (next, next_carry) = kahan_inc(*value, sum, carry);
        count += 1.0;
        if next.is_infinite() {
            let mean = (sum / (count - 1.0), carry / (count - 1.0));
            return moving_mean(mean, count, *value, rest.as_slice());
        }
        (sum, carry) = (next, next_carry);
    }
    sum / count + carry / count
}

/// The mean with compensation of `count - 1` values is moved on by `value` and by the rest.
fn moving_mean((mut mean, mut carry): (f64, f64), mut count: f64, value: f64, rest: &[f64]) -> f64 {
    for value in std::iter::once(&value).chain(rest) {
        let share = (count - 1.0) / count;
        (mean, carry) = kahan_inc(value / count, share * mean, share * carry);
        count += 1.0;
    }
    mean + carry
}

fn sum_of_histograms(window: &Window<'_>, first: FloatHistogram) -> Summed {
    let (mut sum, mut carry, mut reconciled) = (first, Compensation::new(), false);
    for histogram in window.histograms().skip(1) {
        reconciled |= sum.kahan_add(histogram, &mut carry)?.custom_bounds;
    }
    sum.add_compensation(&carry);
    Ok((sum, reconciled))
}

/// As [`average_of_floats`]. Nearly no sum overflows, so it is not copied before each addition: the one
/// that did not overflow yet is computed again if one does.
fn average_of_histograms(window: &Window<'_>, first: FloatHistogram) -> Summed {
    let (mut sum, mut carry, mut reconciled) = (first, Compensation::new(), false);
    for (added, histogram) in window.histograms().skip(1).enumerate() {
        reconciled |= sum.kahan_add(histogram, &mut carry)?.custom_bounds;
        if sum.has_overflow() {
            return moving_mean_of_histograms(window, added + 1, reconciled);
        }
    }
    let count = window.len() as f64;
    sum.div(count);
    carry.div(count);
    sum.add_compensation(&carry);
    Ok((sum, reconciled))
}

/// The average where the sum of the first `summed` histograms is the last without overflow.
fn moving_mean_of_histograms(window: &Window<'_>, summed: usize, mut reconciled: bool) -> Summed {
    let mut histograms = window.histograms();
    let mut mean = histograms.next().cloned().unwrap_or_default();
    let mut carry = Compensation::new();
    for histogram in histograms.by_ref().take(summed.saturating_sub(1)) {
        mean.kahan_add(histogram, &mut carry)?;
    }
    let mut count = summed as f64;
    mean.div(count);
    carry.div(count);
    for histogram in histograms {
        count += 1.0;
        let share = (count - 1.0) / count;
        carry.mul(share);
        mean.mul(share);
        let mut part = histogram.clone();
        part.div(count);
        reconciled |= mean.kahan_add(&part, &mut carry)?.custom_bounds;
    }
    mean.add_compensation(&carry);
    Ok((mean, reconciled))
}

#[cfg(test)]
mod tests {
    use super::{average_of_floats, sum_of_floats};

    #[test]
    fn averages_do_not_overflow() {
        assert_eq!(average_of_floats(&[f64::MAX; 2]), f64::MAX);
        let close_to_zero = average_of_floats(&[f64::MAX, f64::MAX, -f64::MAX, -f64::MAX]);
        assert!(close_to_zero.abs() < 1e300);
        assert_eq!(average_of_floats(&[f64::INFINITY, 1.0]), f64::INFINITY);
        assert!(average_of_floats(&[f64::INFINITY, f64::NEG_INFINITY]).is_nan());
    }

    #[test]
    fn sums_keep_what_rounding_loses() {
        assert_eq!(sum_of_floats(&[1.0, 1e100, 1.0, -1e100]), 2.0);
        assert_eq!(average_of_floats(&[1.0, 1e100, 1.0, -1e100]), 0.5);
        assert_eq!(sum_of_floats(&[f64::MAX, f64::MAX]), f64::INFINITY);
    }
}
