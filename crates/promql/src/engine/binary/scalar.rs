//! Operators one or both sides of which are scalars.

use super::BinaryContext;
use super::element;
use super::fault::Faults;
use super::floats::{self, Yields};
use crate::ast::BinaryOp;
use crate::engine::column::{Column, Row, SampleValue};
use crate::engine::eval::without_name;
use crate::engine::{Error, Result};

/// An operator between scalars: comparisons yield 0 or 1.
pub(super) fn scalars(op: BinaryOp, lhs: &[f64], rhs: &[f64]) -> Result<Vec<f64>> {
    floats::zip(op, Yields::Bool, lhs, rhs).ok_or_else(|| {
        Error::execution(format!(
            "operator \"{op}\" not allowed for Scalar operations"
        ))
    })
}

/// An operator between a vector and a scalar, which may stand at the left.
pub(super) fn vector(
    context: &mut BinaryContext<'_>,
    mut rows: Vec<Row>,
    scalars: &[f64],
    scalar_is_left: bool,
) -> Vec<Row> {
    let (op, return_bool) = (context.binary.op, context.binary.return_bool);
    let yields = match (return_bool, scalar_is_left) {
        (true, _) => Yields::Bool,
        (false, true) => Yields::Right,
        (false, false) => Yields::Left,
    };
    let mut faults = Faults::default();
    let mut pace = context.stop.pace();
    for row in &mut rows {
        if pace.ends_before(scalars.len()) {
            break;
        }
        let values = &row.column.floats;
        let (lhs, rhs) = if scalar_is_left {
            (scalars, values.as_slice())
        } else {
            (values.as_slice(), scalars)
        };
        match floats::zip(op, yields, lhs, rhs) {
            Some(results) if row.column.histograms.is_empty() => row.column.floats = results,
            _ => with_histograms(
                op,
                yields,
                &mut row.column,
                scalars,
                scalar_is_left,
                &mut faults,
            ),
        }
        if super::changes_schema(op) || return_bool {
            if context.options.delayed_name_removal {
                row.drop_name = true;
            } else {
                row.labels = without_name(&row.labels);
            }
        }
    }
    faults.report(context);
    rows.retain(|row| !row.column.is_empty());
    rows
}

/// Goes through the steps of a row one by one.
fn with_histograms(
    op: BinaryOp,
    yields: Yields,
    column: &mut Column,
    scalars: &[f64],
    scalar_is_left: bool,
    faults: &mut Faults,
) {
    for (step, scalar) in scalars.iter().enumerate() {
        let Some(value) = column.get(step) else {
            continue;
        };
        let scalar = SampleValue::Float(*scalar);
        let combined = if scalar_is_left {
            element::combine(op, yields, &scalar, &value)
        } else {
            element::combine(op, yields, &value, &scalar)
        };
        match combined {
            Ok(outcome) => column.set(step, outcome.value),
            Err(fault) => {
                faults.put(step, fault);
                column.set(step, None);
            }
        }
    }
}
