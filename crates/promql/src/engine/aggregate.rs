//! Aggregations: `sum by (job) (...)` and their like.

use crate::ast::Aggregate;

use super::annotation::Annotations;
use super::column::{Operand, Row};
use super::{EngineOptions, Error, Result};

/// What an aggregation is told beside its operands.
#[derive(Debug)]
pub(crate) struct AggregateContext<'a> {
    pub(crate) aggregate: &'a Aggregate,
    /// Number of steps; every column has so many places.
    pub(crate) steps: usize,
    pub(crate) options: &'a EngineOptions,
    pub(crate) annotations: &'a mut Annotations,
}

/// Aggregates rows. The rows that come out have labels of their own each.
pub(crate) fn apply(
    context: &mut AggregateContext<'_>,
    param: Option<Operand>,
    rows: Vec<Row>,
) -> Result<Vec<Row>> {
    drop((param, rows));
    let name = context.aggregate.op;
    Err(Error::execution(format!("{name} is not there yet")))
}
