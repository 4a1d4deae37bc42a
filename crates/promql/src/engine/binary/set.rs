//! `and`, `or`, `unless`: which samples stay depends on whether there are others with the same labels.

use rutile_model::sample::STALE_NAN;

use super::BinaryContext;
use super::groups;
use crate::ast::BinaryOp;
use crate::engine::column::{Column, Row};
use crate::engine::stop::Stop;

/// Applies a set operator.
pub(super) fn apply(context: &BinaryContext<'_>, mut lhs: Vec<Row>, mut rhs: Vec<Row>) -> Vec<Row> {
    let numbers = groups::numbers(context, &lhs, &rhs);
    match context.binary.op {
        BinaryOp::Or => {
            let present = presence(context, numbers.count, &lhs, &numbers.left);
            keep(context.stop, &mut rhs, &numbers.right, &present, false);
            lhs.append(&mut rhs);
        }
        op => {
            let present = presence(context, numbers.count, &rhs, &numbers.right);
            let wanted = op == BinaryOp::And;
            keep(context.stop, &mut lhs, &numbers.left, &present, wanted);
        }
    }
    lhs
}

/// At which steps any of the rows of a signature has a value; empty if at none.
fn presence(
    context: &BinaryContext<'_>,
    signatures: usize,
    rows: &[Row],
    numbers: &[usize],
) -> Vec<Vec<bool>> {
    let mut present = vec![Vec::new(); signatures];
    let mut pace = context.stop.pace();
    for (row, number) in rows.iter().zip(numbers) {
        if pace.ends_before(context.steps) {
            break;
        }
        let Some(at) = present.get_mut(*number) else {
            continue;
        };
        at.resize(context.steps, false);
        for (step, place) in at.iter_mut().enumerate() {
            *place |= row.column.is_present(step);
        }
    }
    present
}

/// Keeps the values at steps at which the presence of their signature is as `wanted`.
fn keep(stop: &Stop, rows: &mut Vec<Row>, numbers: &[usize], present: &[Vec<bool>], wanted: bool) {
    let mut pace = stop.pace();
    for (row, number) in rows.iter_mut().zip(numbers) {
        if pace.ends_before(row.column.len()) {
            return;
        }
        match present.get(*number) {
            Some(present) if !present.is_empty() => mask(&mut row.column, present, wanted),
            _ if wanted => row.column = Column::default(),
            _ => {}
        }
    }
    rows.retain(|row| !row.column.is_empty());
}

fn mask(column: &mut Column, present: &[bool], wanted: bool) {
    for (value, present) in column.floats.iter_mut().zip(present) {
        if *present != wanted {
            *value = STALE_NAN;
        }
    }
    for (histogram, present) in column.histograms.iter_mut().zip(present) {
        if *present != wanted {
            *histogram = None;
        }
    }
}
