//! Where floats of a range are going: linear regression, double exponential smoothing.

use rutile_model::histogram::kahan_inc;
use rutile_model::sample::NORMAL_NAN;

use super::{Context, Window};
use crate::engine::Error;
use crate::engine::column::SampleValue;

pub(super) fn deriv(window: &Window<'_>, context: &mut Context<'_>) -> Option<SampleValue> {
    let (times, values) = window.floats();
    require_two(window, &values, context)?;
    // Times count from one that is near: differences of small numbers are exact.
    let line = Line::through(&times, &values, *times.first()?)?;
    Some(SampleValue::Float(line.slope))
}

pub(super) fn predict_linear(
    window: &Window<'_>,
    context: &mut Context<'_>,
) -> Option<SampleValue> {
    let seconds = context.scalar(0);
    let (times, values) = window.floats();
    require_two(window, &values, context)?;
    let line = Line::through(&times, &values, window.time)?;
    Some(SampleValue::Float(line.slope * seconds + line.intercept))
}

pub(super) fn double_exponential_smoothing(
    window: &Window<'_>,
    context: &mut Context<'_>,
) -> Option<SampleValue> {
    let factors = [
        (context.scalar(0), "smoothing", "sf"),
        (context.scalar(1), "trend", "tf"),
    ];
    for (factor, name, symbol) in factors {
        if factor <= 0.0 || factor >= 1.0 {
            let got = if factor.is_infinite() {
                if factor > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
            } else {
                format!("{factor:.6}")
            };
            context.findings.error = Some(Error::execution(format!(
                "invalid {name} factor. Expected: 0 < {symbol} < 1, got: {got}"
            )));
            return None;
        }
    }
    let [(smoothing, ..), (trending, ..)] = factors;
    let (_, values) = window.floats();
    require_two(window, &values, context)?;
    let [first, second, ..] = values[..] else {
        return None;
    };
    let (mut before, mut smoothed, mut trend) = (0.0, first, second - first);
    for (i, value) in values.iter().skip(1).enumerate() {
        let scaled = smoothing * value;
        if i > 0 {
            trend = trending * (smoothed - before) + (1.0 - trending) * trend;
        }
        let expected = (1.0 - smoothing) * (smoothed + trend);
        (before, smoothed) = (smoothed, scaled + expected);
    }
    Some(SampleValue::Float(smoothed))
}

/// Nothing if there are less than two floats; says so if histograms are left out.
fn require_two(window: &Window<'_>, values: &[f64], context: &mut Context<'_>) -> Option<()> {
    if !values.is_empty() && values.len() < window.len() {
        context.note_ignored_histograms();
    }
    (values.len() >= 2).then_some(())
}

struct Line {
    slope: f64,
    intercept: f64,
}

impl Line {
    /// The least squares; `origin_ms` is where it is intercepted.
    fn through(times: &[i64], values: &[f64], origin_ms: i64) -> Option<Self> {
        let first = *values.first()?;
        if values.iter().all(|value| *value == first) {
            let slope = if first.is_infinite() { NORMAL_NAN } else { 0.0 };
            let intercept = if first.is_infinite() {
                NORMAL_NAN
            } else {
                first
            };
            return Some(Self { slope, intercept });
        }
        let mut sums = [(0.0, 0.0); 4];
        for (time, y) in times.iter().zip(values) {
            let x = time.saturating_sub(origin_ms) as f64 / 1e3;
            for (sum, term) in sums.iter_mut().zip([x, *y, x * y, x * x]) {
                *sum = kahan_inc(term, sum.0, sum.1);
            }
        }
        let n = values.len() as f64;
        let [x, y, xy, xx] = sums.map(|(sum, carry)| sum + carry);
        let covariance = xy - x * y / n;
        let variance = xx - x * x / n;
        let slope = covariance / variance;
        Some(Self {
            slope,
            intercept: y / n - slope * x / n,
        })
    }
}
