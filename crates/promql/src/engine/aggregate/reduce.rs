//! Aggregations that make one row of a group: `sum`, `avg`, `quantile` and their like.

use super::groups::{self, Group};
use super::{AggregateContext, float, histogram};
use crate::ast::AggregateOp;
use crate::engine::column::{Column, Row};

/// Reduces each group to a row. `quantiles` has a value for each step if `quantile` is what is asked for.
pub(super) fn apply(
    context: &mut AggregateContext<'_>,
    quantiles: &[f64],
    rows: &[Row],
) -> Vec<Row> {
    let mut out = Vec::new();
    let mut scratch = float::Scratch::default();
    for group in groups::of(context.aggregate, rows) {
        let columns: Vec<&Column> = group.columns(rows).collect();
        let mut column = Column::absent(context.steps);
        match context.aggregate.op {
            AggregateOp::Sum => float::sum(&columns, &mut column, &mut scratch),
            AggregateOp::Avg => float::avg(&columns, &mut column, &mut scratch),
            AggregateOp::Min => float::min(&columns, &mut column),
            AggregateOp::Max => float::max(&columns, &mut column),
            AggregateOp::Count => float::count(&columns, &mut column),
            AggregateOp::Group => float::group(&columns, &mut column),
            AggregateOp::Stddev => float::stddev(&columns, &mut column, &mut scratch),
            AggregateOp::Stdvar => float::stdvar(&columns, &mut column, &mut scratch),
            AggregateOp::Quantile => float::quantile(&columns, quantiles, &mut column),
            // These keep rows as they are, and do not come here.
            AggregateOp::Topk
            | AggregateOp::Bottomk
            | AggregateOp::CountValues
            | AggregateOp::Limitk
            | AggregateOp::LimitRatio => {}
        }
        with_histograms(context, &group, rows, &mut column);
        if let Some(last) = (0..column.len())
            .rev()
            .find(|step| column.is_present(*step))
        {
            // Prometheus forgets what earlier steps said about the name.
            let dropped = |place: &usize| {
                let row = rows.get(*place);
                row.is_some_and(|row| row.drop_name && row.column.is_present(last))
            };
            let drop_name = group.members.iter().any(dropped);
            out.push(Row {
                labels: group.labels,
                drop_name,
                column,
            });
        }
    }
    out
}

/// Does what the operation does where the group has histograms.
fn with_histograms(
    context: &mut AggregateContext<'_>,
    group: &Group,
    rows: &[Row],
    column: &mut Column,
) {
    let op = context.aggregate.op;
    let all: Vec<&Column> = group
        .columns(rows)
        .filter(|column| !column.histograms.is_empty())
        .collect();
    for step in 0..context.steps {
        if !all.iter().any(|column| column.histogram(step).is_some()) {
            continue;
        }
        match op {
            AggregateOp::Sum | AggregateOp::Avg => {
                let value = histogram::combined(context, group, rows, step);
                column.set(step, value);
            }
            AggregateOp::Count | AggregateOp::Group => return,
            _ => {
                context.info(&format!("ignored histogram in {op} aggregation"));
                return;
            }
        }
    }
}
