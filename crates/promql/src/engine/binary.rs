//! Operators between scalars and vectors.
//!
//! Which rows belong together is found out once; then each pair of rows is computed column by column.
//! Matching is still a matter of each step: a row without a value at a step does not take part in it, and
//! what must be unique must be so at that step only. Source: Prometheus 3.14, `promql/engine.go`
//! (`VectorBinop`, `VectorscalarBinop`, `scalarBinop`, `vectorElemBinop`, `resultMetric`, `VectorAnd`,
//! `VectorOr`, `VectorUnless`).

mod element;
mod fault;
mod floats;
mod go_math;
mod groups;
mod matched;
mod scalar;
mod set;
mod unique;

#[cfg(test)]
mod tests;

use crate::ast::{Binary, BinaryOp};

use super::annotation::Annotations;
use super::column::Operand;
use super::stop::Stop;
use super::{EngineOptions, Error, Result};

/// What an operator is told beside its operands.
#[derive(Debug)]
pub(crate) struct BinaryContext<'a> {
    pub(crate) binary: &'a Binary,
    /// Number of steps; every column has so many places.
    pub(crate) steps: usize,
    pub(crate) options: &'a EngineOptions,
    pub(crate) annotations: &'a mut Annotations,
    pub(crate) stop: &'a Stop,
}

/// Whether the result is no longer the metric that it came from.
fn changes_schema(op: BinaryOp) -> bool {
    matches!(
        op,
        BinaryOp::Add
            | BinaryOp::Sub
            | BinaryOp::Div
            | BinaryOp::Mul
            | BinaryOp::Pow
            | BinaryOp::Mod
            | BinaryOp::Atan2
    )
}

/// Applies an operator. Rows that come out may have equal labels: the evaluator joins them, or refuses
/// them.
pub(crate) fn apply(
    context: &mut BinaryContext<'_>,
    lhs: Operand,
    rhs: Operand,
) -> Result<Operand> {
    match (lhs, rhs) {
        (Operand::Scalar(lhs), Operand::Scalar(rhs)) => {
            scalar::scalars(context.binary.op, &lhs, &rhs).map(Operand::Scalar)
        }
        (Operand::Vector(rows), Operand::Scalar(values)) => Ok(Operand::Vector(scalar::vector(
            context, rows, &values, false,
        ))),
        (Operand::Scalar(values), Operand::Vector(rows)) => Ok(Operand::Vector(scalar::vector(
            context, rows, &values, true,
        ))),
        (Operand::Vector(lhs), Operand::Vector(rhs)) => {
            let rows = if context.binary.op.is_set() {
                set::apply(context, lhs, rhs)
            } else {
                matched::apply(context, lhs, rhs)?
            };
            Ok(Operand::Vector(rows))
        }
        (Operand::String(_), _) | (_, Operand::String(_)) => {
            Err(Error::execution("operators do not take strings"))
        }
    }
}
