//! Aggregations: `sum by (job) (...)` and their like.
//!
//! What makes one row of a group folds its rows in one by one, so that these need not be held; the others see all
//! rows. At every step the values are taken in the order of the rows, so that floating-point results are those of Prometheus 3.14
//! (`promql/engine.go`: `rangeEvalAgg`, `aggregation`, `aggregationK`, `aggregationCountValues`) to the
//! last bit. Groups come out in the order of their first row.

mod by_step;
mod count_values;
mod float;
mod fold;
mod groups;
mod histogram;
mod param;
mod pick;
mod quantile;

#[cfg(test)]
mod tests;

use crate::ast::{Aggregate, AggregateOp};

use super::annotation::Annotations;
use super::column::{Operand, Row};
use super::memory::Memory;
use super::stop::Stop;
use super::{EngineOptions, Result};
pub(crate) use fold::Fold;

/// What an aggregation is told beside its operands.
#[derive(Debug)]
pub(crate) struct AggregateContext<'a> {
    pub(crate) aggregate: &'a Aggregate,
    /// Number of steps; every column has so many places.
    pub(crate) steps: usize,
    pub(crate) options: &'a EngineOptions,
    pub(crate) annotations: &'a mut Annotations,
    pub(crate) memory: &'a mut Memory,
    pub(crate) stop: &'a Stop,
}

impl AggregateContext<'_> {
    /// Informs about what is aggregated.
    fn info(&mut self, message: &str) {
        let span = self.aggregate.expr.unwrap_parens().span();
        self.annotations.info(span, message);
    }
}

/// Refuses what is wrong whatever the rows are: to be called before these are evaluated.
pub(crate) fn check(aggregate: &Aggregate) -> Result<()> {
    match aggregate.op {
        AggregateOp::CountValues => count_values::check(aggregate),
        _ => Ok(()),
    }
}

/// Aggregates rows. The rows that come out have labels of their own each.
pub(crate) fn apply(
    context: &mut AggregateContext<'_>,
    param: Option<Operand>,
    rows: Vec<Row>,
) -> Result<Vec<Row>> {
    match (context.aggregate.op, param) {
        (AggregateOp::CountValues, Some(Operand::String(label))) => {
            count_values::apply(context, &label, rows)
        }
        (AggregateOp::Topk | AggregateOp::Bottomk, param) => {
            let Some(counts) = param::counts(&values(param))? else {
                return Ok(Vec::new());
            };
            Ok(pick::extremes(context, &counts, rows))
        }
        (AggregateOp::Limitk, param) => {
            let Some(counts) = param::counts(&values(param))? else {
                return Ok(Vec::new());
            };
            Ok(pick::first(context, &counts, rows))
        }
        (AggregateOp::LimitRatio, param) => {
            let Some(ratios) = param::ratios(context, &values(param))? else {
                return Ok(Vec::new());
            };
            Ok(pick::share(context, &ratios, rows))
        }
        (AggregateOp::Quantile, param) => {
            let quantiles = values(param);
            param::check_quantiles(context, &quantiles);
            Ok(quantile::apply(context, &quantiles, &rows))
        }
        _ => {
            let Some(mut fold) = Fold::new(context.aggregate, context.steps) else {
                return Ok(Vec::new());
            };
            fold.take(&rows);
            let (rows, annotations) = fold.finish();
            context.annotations.extend(annotations);
            Ok(rows)
        }
    }
}

fn values(param: Option<Operand>) -> Vec<f64> {
    param.map(Operand::into_scalar).unwrap_or_default()
}
