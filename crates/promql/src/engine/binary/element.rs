//! Operators between single samples, of which one at least may be a histogram.

use std::sync::Arc;

use rutile_model::histogram::{HistogramError, Keep, Reconciled};
use rutile_model::{CounterResetHint, FloatHistogram};

use super::fault::Fault;
use super::floats::{self, Yields};
use crate::ast::BinaryOp;
use crate::engine::column::SampleValue;

/// The result of a pair of samples.
#[derive(Debug)]
pub(super) struct Outcome {
    /// None if a comparison does not hold.
    pub(super) value: Option<SampleValue>,
    /// What is to be told nevertheless.
    pub(super) fault: Option<Fault>,
}

impl Outcome {
    fn of(value: Option<SampleValue>) -> Self {
        Self { value, fault: None }
    }

    fn histogram(histogram: FloatHistogram) -> Self {
        Self::of(Some(SampleValue::Histogram(Arc::new(histogram))))
    }
}

/// Applies an operator to two samples.
///
/// # Errors
/// The fault for which there is no result at all, not even that of a comparison.
pub(super) fn combine(
    op: BinaryOp,
    yields: Yields,
    lhs: &SampleValue,
    rhs: &SampleValue,
) -> Result<Outcome, Fault> {
    let incompatible = Fault::Types {
        left_is_histogram: matches!(lhs, SampleValue::Histogram(_)),
        right_is_histogram: matches!(rhs, SampleValue::Histogram(_)),
    };
    match (lhs, rhs) {
        (SampleValue::Float(a), SampleValue::Float(b)) => {
            let result = floats::zip(op, yields, &[*a], &[*b]).ok_or(incompatible)?;
            let present = result
                .first()
                .filter(|v| !rutile_model::sample::is_stale_nan(**v));
            Ok(Outcome::of(present.copied().map(SampleValue::Float)))
        }
        (SampleValue::Float(factor), SampleValue::Histogram(histogram)) => match op {
            BinaryOp::Mul => Ok(scaled(histogram, |h| h.mul(*factor))),
            _ => Err(incompatible),
        },
        (SampleValue::Histogram(histogram), SampleValue::Float(value)) => match op {
            BinaryOp::Mul => Ok(scaled(histogram, |h| h.mul(*value))),
            BinaryOp::Div => Ok(scaled(histogram, |h| h.div(*value))),
            BinaryOp::TrimUpper => Ok(trimmed(histogram, *value, Keep::Below)),
            BinaryOp::TrimLower => Ok(trimmed(histogram, *value, Keep::Above)),
            _ => Err(incompatible),
        },
        (SampleValue::Histogram(a), SampleValue::Histogram(b)) => match op {
            BinaryOp::Add => added(a, |sum| sum.add(b)),
            BinaryOp::Sub => added(a, |sum| {
                let reconciled = sum.sub(b)?;
                sum.counter_reset_hint = CounterResetHint::Gauge;
                Ok(reconciled)
            }),
            BinaryOp::Equal => Ok(compared(yields, lhs, rhs, a.equals(b))),
            BinaryOp::NotEqual => Ok(compared(yields, lhs, rhs, !a.equals(b))),
            _ => Err(incompatible),
        },
    }
}

fn scaled(histogram: &FloatHistogram, scale: impl Fn(&mut FloatHistogram)) -> Outcome {
    let mut result = histogram.clone();
    scale(&mut result);
    result.compact(0);
    Outcome::histogram(result)
}

fn trimmed(histogram: &FloatHistogram, value: f64, keep: Keep) -> Outcome {
    let mut result = histogram.clone();
    result.trim(value, keep);
    Outcome::histogram(result)
}

fn added(
    histogram: &FloatHistogram,
    add: impl Fn(&mut FloatHistogram) -> Result<Reconciled, HistogramError>,
) -> Result<Outcome, Fault> {
    let mut result = histogram.clone();
    let reconciled = add(&mut result).map_err(|error| match error {
        HistogramError::MixedSchemas => Fault::Layout,
        _ => Fault::Unusable,
    })?;
    if reconciled.reset_collision {
        // Prometheus gives the warning instead of the result.
        return Err(Fault::ResetCollision);
    }
    result.compact(0);
    Ok(Outcome {
        fault: reconciled.custom_bounds.then_some(Fault::CustomBounds),
        ..Outcome::histogram(result)
    })
}

fn compared(yields: Yields, lhs: &SampleValue, rhs: &SampleValue, holds: bool) -> Outcome {
    Outcome::of(match yields {
        Yields::Bool => Some(SampleValue::Float(f64::from(u8::from(holds)))),
        Yields::Left => holds.then(|| lhs.clone()),
        Yields::Right => holds.then(|| rhs.clone()),
    })
}
