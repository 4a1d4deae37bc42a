//! Numbers that describe a native histogram.

use rutile_model::FloatHistogram;
use rutile_model::sample::STALE_NAN;

use crate::ast::FunctionId;

use super::{CallContext, column};
use crate::engine::column::{Operand, Row};
use crate::engine::eval::METRIC_NAME;

/// What tells the number.
pub(super) fn number(id: FunctionId) -> Option<fn(&FloatHistogram) -> f64> {
    Some(match id {
        FunctionId::HistogramCount => |histogram| histogram.count,
        FunctionId::HistogramSum => |histogram| histogram.sum,
        FunctionId::HistogramAvg => FloatHistogram::avg,
        FunctionId::HistogramStddev => FloatHistogram::standard_deviation,
        FunctionId::HistogramStdvar => FloatHistogram::variance,
        _ => return None,
    })
}

/// The number of each histogram; floats go.
pub(super) fn apply(
    context: &CallContext<'_>,
    rows: Vec<Row>,
    number: fn(&FloatHistogram) -> f64,
) -> Operand {
    let with_histograms = rows
        .into_iter()
        .filter(|row| !row.column.histograms.is_empty());
    let rows = with_histograms.map(|mut row| {
        let places = row.column.histograms.iter();
        let numbers = places.map(|place| match place {
            Some(histogram) => number(histogram),
            None => STALE_NAN,
        });
        row.column = column(numbers.collect());
        if context.options.delayed_name_removal {
            row.drop_name = true;
        } else {
            // Unlike other functions, these leave the labels of type and unit.
            row.labels = row.labels.without(&[METRIC_NAME]);
        }
        row
    });
    Operand::Vector(rows.collect())
}
