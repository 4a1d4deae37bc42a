//! Operators between scalars and vectors.

use crate::ast::Binary;

use super::annotation::Annotations;
use super::column::Operand;
use super::{EngineOptions, Error, Result};

/// What an operator is told beside its operands.
#[derive(Debug)]
pub(crate) struct BinaryContext<'a> {
    pub(crate) binary: &'a Binary,
    /// Number of steps; every column has so many places.
    pub(crate) steps: usize,
    pub(crate) options: &'a EngineOptions,
    pub(crate) annotations: &'a mut Annotations,
}

/// Applies an operator. Rows that come out may have equal labels: the evaluator joins them, or refuses
/// them.
pub(crate) fn apply(
    context: &mut BinaryContext<'_>,
    lhs: Operand,
    rhs: Operand,
) -> Result<Operand> {
    drop((lhs, rhs));
    let op = context.binary.op;
    Err(Error::execution(format!("{op} is not there yet")))
}
