//! Between scalars and vectors, and what a query tells of itself.

use std::f64::consts::PI;

use rutile_model::Labels;
use rutile_model::sample::STALE_NAN;

use crate::ast::FunctionId;

use super::{CallContext, column};
use crate::engine::column::{Operand, Row};

/// The functions without arguments.
pub(super) fn of_query(context: &CallContext<'_>) -> Operand {
    let query = context.query;
    let seconds = |ms: i64| ms as f64 / 1000.0;
    let constant = match context.call.function.id {
        FunctionId::Time => {
            return Operand::Scalar(context.steps.times().map(seconds).collect());
        }
        FunctionId::Start => seconds(query.start),
        FunctionId::End => seconds(query.end),
        FunctionId::Range => seconds(query.end - query.start),
        // A range of one time counts as an instant query.
        FunctionId::Step if query.start == query.end => 0.0,
        FunctionId::Step => seconds(query.step_ms()),
        _ => PI,
    };
    Operand::Scalar(vec![constant; context.steps.len()])
}

/// The float of a step, if there is one only; else NaN.
pub(super) fn scalar(context: &CallContext<'_>, rows: &[Row]) -> Operand {
    // How many floats a step has: none, one, or more.
    let mut found = vec![0_u8; context.steps.len()];
    let mut values = vec![f64::NAN; context.steps.len()];
    for row in rows {
        for (step, (found, value)) in found.iter_mut().zip(&mut values).enumerate() {
            if let Some(float) = row.column.float(step) {
                *value = if *found == 0 { float } else { f64::NAN };
                *found = 1;
            }
        }
    }
    Operand::Scalar(values)
}

pub(super) fn vector(values: Vec<f64>) -> Operand {
    Operand::Vector(vec![Row::new(Labels::empty(), column(values))])
}

/// The times of samples that were computed: those of the steps.
pub(super) fn timestamp(context: &CallContext<'_>, mut rows: Vec<Row>) -> Operand {
    for row in &mut rows {
        let times = context.steps.times().enumerate();
        let times = times.map(|(step, time)| match row.column.is_present(step) {
            true => time as f64 / 1000.0,
            false => STALE_NAN,
        });
        row.column = column(times.collect());
        context.drop_name(row);
    }
    Operand::Vector(rows)
}
