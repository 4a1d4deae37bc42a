//! How floats of a range lie around their middle: variance, quantiles, the median deviation.

use rutile_model::histogram::kahan_inc;
use rutile_model::sample::NORMAL_NAN;

use super::{Context, Window};
use crate::engine::column::SampleValue;

pub(super) fn variance(window: &Window<'_>, context: &mut Context<'_>) -> Option<SampleValue> {
    variance_of(window, context).map(SampleValue::Float)
}

pub(super) fn standard_deviation(
    window: &Window<'_>,
    context: &mut Context<'_>,
) -> Option<SampleValue> {
    variance_of(window, context).map(|variance| SampleValue::Float(variance.sqrt()))
}

/// Welford's algorithm, compensated.
fn variance_of(window: &Window<'_>, context: &mut Context<'_>) -> Option<f64> {
    let (_, values) = window.floats();
    note_ignored(window, &values, context)?;
    let (mut count, mut mean, mut squares) = (0.0, (0.0, 0.0), (0.0, 0.0));
    for value in values.iter() {
        count += 1.0;
        let delta = value - (mean.0 + mean.1);
        mean = kahan_inc(delta / count, mean.0, mean.1);
        squares = kahan_inc(delta * (value - (mean.0 + mean.1)), squares.0, squares.1);
    }
    Some((squares.0 + squares.1) / count)
}

pub(super) fn quantile_over_time(
    window: &Window<'_>,
    context: &mut Context<'_>,
) -> Option<SampleValue> {
    let q = context.scalar(0);
    let (_, values) = window.floats();
    if values.is_empty() {
        return None;
    }
    if !(0.0..=1.0).contains(&q) {
        context.warn_quantile(q);
    }
    note_ignored(window, &values, context)?;
    let scratch = &mut context.findings.scratch;
    scratch.clear();
    scratch.extend_from_slice(&values);
    Some(SampleValue::Float(quantile(q, scratch)))
}

/// The median of the distances from the median.
pub(super) fn median_deviation(
    window: &Window<'_>,
    context: &mut Context<'_>,
) -> Option<SampleValue> {
    let (_, values) = window.floats();
    note_ignored(window, &values, context)?;
    if values.iter().any(|value| value.is_nan()) {
        return Some(SampleValue::Float(NORMAL_NAN));
    }
    let scratch = &mut context.findings.scratch;
    scratch.clear();
    scratch.extend_from_slice(&values);
    let median = quantile(0.5, scratch);
    for value in scratch.iter_mut() {
        *value = (*value - median).abs();
    }
    Some(SampleValue::Float(quantile(0.5, scratch)))
}

/// Says so if there are histograms beside the floats; nothing if there are no floats.
fn note_ignored(window: &Window<'_>, values: &[f64], context: &mut Context<'_>) -> Option<()> {
    if values.is_empty() {
        return None;
    }
    if values.len() < window.len() {
        context.note_ignored_histograms();
    }
    Some(())
}

/// The quantile of some values, which are reordered; between two of them by their weighted average.
/// NaN counts as the lowest value.
fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return NORMAL_NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let last = values.len() - 1;
    let rank = q * last as f64;
    let lower = (rank.floor() as usize).min(last);
    let weight = rank - rank.floor();
    let order = |a: &f64, b: &f64| b.is_nan().cmp(&a.is_nan()).then_with(|| a.total_cmp(b));
    let (_, below, above) = values.select_nth_unstable_by(lower, order);
    let below = *below;
    let next = above.iter().copied().min_by(order).unwrap_or(below);
    below * (1.0 - weight) + next * weight
}

#[cfg(test)]
mod tests {
    use super::quantile;

    #[test]
    fn quantiles_lie_between_values() {
        let of = |q, values: &[f64]| quantile(q, &mut values.to_vec());
        assert_eq!(of(0.5, &[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(of(0.25, &[4.0, 1.0, 2.0, 3.0]), 1.75);
        assert_eq!(of(1.0, &[2.0, 7.0, 3.0]), 7.0);
        assert_eq!(of(0.0, &[2.0]), 2.0);
        assert!(of(0.0, &[2.0, f64::NAN]).is_nan(), "NaN is the lowest");
        assert_eq!(of(1.0, &[2.0, f64::NAN]), 2.0);
        assert!(of(0.5, &[]).is_nan() && of(f64::NAN, &[1.0]).is_nan());
        assert_eq!(of(-0.1, &[1.0]), f64::NEG_INFINITY);
        assert_eq!(of(1.1, &[1.0]), f64::INFINITY);
    }
}
