//! The first argument of aggregations that take two: a number for each step.

use rutile_model::go_float::GoFloat;

use super::AggregateContext;
use crate::ast::Span;
use crate::engine::{Error, Result};

/// Numbers of series from here on are refused, and so are those at or below its negative.
const TOO_MANY: f64 = 9_223_372_036_854_774_784.0;
const TOO_FEW: f64 = -9_223_372_036_854_775_808.0;

/// What is said about a parameter before any step is looked at.
#[derive(Debug)]
struct Bounds {
    least: f64,
    most: f64,
    any_nan: bool,
}

impl Bounds {
    /// As Go's `math.Min` and `math.Max` find them: NaN wins over all but the infinity looked for.
    fn of(values: &[f64]) -> Self {
        let any_nan = values.iter().any(|value| value.is_nan());
        let bound = |infinity: f64, pick: fn(f64, f64) -> f64, start: f64| {
            if values.contains(&infinity) {
                infinity
            } else if any_nan {
                f64::NAN
            } else {
                values.iter().copied().fold(start, pick)
            }
        };
        Self {
            least: bound(f64::NEG_INFINITY, f64::min, f64::MAX),
            most: bound(f64::INFINITY, f64::max, f64::MIN),
            any_nan,
        }
    }
}

/// How many series `topk` and its like pick at each step; none if it is less than one at all of them.
pub(super) fn counts(values: &[f64]) -> Result<Option<Vec<usize>>> {
    let bounds = Bounds::of(values);
    if bounds.most < 1.0 {
        return Ok(None);
    }
    if bounds.any_nan {
        return Err(Error::execution("Parameter value is NaN"));
    }
    if bounds.least <= TOO_FEW {
        let value = GoFloat(bounds.least);
        return Err(Error::execution(format!(
            "Scalar value {value} underflows int64"
        )));
    }
    if bounds.most >= TOO_MANY {
        let value = GoFloat(bounds.most);
        return Err(Error::execution(format!(
            "Scalar value {value} overflows int64"
        )));
    }
    // The cast cuts off fractions and makes what is negative 0.
    Ok(Some(values.iter().map(|value| *value as usize).collect()))
}

/// Which share of the series `limit_ratio` picks at each step, -1 to 1; none if it is 0 at all of them.
pub(super) fn ratios(
    context: &mut AggregateContext<'_>,
    values: &[f64],
) -> Result<Option<Vec<f64>>> {
    let bounds = Bounds::of(values);
    if bounds.most == 0.0 && bounds.least == 0.0 {
        return Ok(None);
    }
    if bounds.any_nan {
        return Err(Error::execution("Ratio value is NaN"));
    }
    let span = span(context);
    let mut capped = |value: f64, to: f64| {
        let (value, to) = (GoFloat(value), GoFloat(to));
        let message =
            format!("ratio value should be between -1 and 1, got {value}, capping to {to}");
        context.annotations.warn(span, message);
    };
    if bounds.most > 1.0 {
        capped(bounds.most, 1.0);
    }
    if bounds.least < -1.0 {
        capped(bounds.least, -1.0);
    }
    Ok(Some(
        values.iter().map(|value| value.clamp(-1.0, 1.0)).collect(),
    ))
}

/// Warns about quantiles outside of 0 to 1.
pub(super) fn check_quantiles(context: &mut AggregateContext<'_>, values: &[f64]) {
    let bounds = Bounds::of(values);
    let span = span(context);
    let mut warn = |value: f64| {
        let value = GoFloat(value);
        let message = format!("quantile value should be between 0 and 1, got {value}");
        context.annotations.warn(span, message);
    };
    if bounds.any_nan {
        warn(f64::NAN);
    }
    if bounds.most > 1.0 {
        warn(bounds.most);
    }
    if bounds.least < 0.0 {
        warn(bounds.least);
    }
}

fn span(context: &AggregateContext<'_>) -> Span {
    let aggregate = context.aggregate;
    aggregate
        .param
        .as_ref()
        .map_or(aggregate.span, |param| param.unwrap_parens().span())
}
