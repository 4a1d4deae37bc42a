//! `quantile`: of all values of a group at a step, sorted.

use std::cmp::Ordering;

use rutile_model::sample::is_stale_nan;

use super::AggregateContext;
use super::by_step::ByStep;
use super::groups;
use crate::engine::column::{Column, Row};
use crate::engine::stop::Stop;

/// Makes one row of each group; `quantiles` has a value for each step.
pub(super) fn apply(
    context: &mut AggregateContext<'_>,
    quantiles: &[f64],
    rows: &[Row],
) -> Vec<Row> {
    let mut out = Vec::new();
    for group in groups::of(context.aggregate, rows) {
        let columns: Vec<&Column> = group.columns(rows).collect();
        let mut column = Column::absent(context.steps);
        fill(&columns, quantiles, &mut column, context.stop);
        let mut histograms = columns.iter().flat_map(|column| &column.histograms);
        if histograms.any(Option::is_some) {
            context.info("ignored histogram in quantile aggregation");
        }
        let mut present = (0..column.len()).rev();
        if let Some(last) = present.find(|step| column.is_present(*step)) {
            // Prometheus forgets what earlier steps said about the name.
            let dropped = |place: &usize| {
                let row = rows.get(*place);
                row.is_some_and(|row| row.drop_name && row.column.is_present(last))
            };
            out.push(Row {
                drop_name: group.members.iter().any(dropped),
                ..Row::new(group.labels, column)
            });
        }
    }
    out
}

fn fill(columns: &[&Column], quantiles: &[f64], out: &mut Column, stop: &Stop) {
    let mut pace = stop.pace();
    let mut by_step = ByStep::new(columns);
    let mut values = Vec::with_capacity(columns.len());
    for (step, place) in out.floats.iter_mut().enumerate() {
        if pace.ends_before(columns.len()) {
            return;
        }
        values.clear();
        let present = by_step.floats(step).iter().copied();
        values.extend(present.filter(|value| !is_stale_nan(*value)));
        if !values.is_empty() {
            let q = quantiles.get(step).copied().unwrap_or(f64::NAN);
            *place = quantile_of(q, &mut values);
        }
    }
}

/// The q-quantile of some values, interpolated between the two next to it; NaN is less than all numbers.
fn quantile_of(q: f64, values: &mut [f64]) -> f64 {
    if q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let rank = q * (values.len() as f64 - 1.0);
    let weight = rank - rank.floor();
    let lower = rank as usize;
    if lower >= values.len() {
        return f64::NAN;
    }
    let (_, lower, above) = values.select_nth_unstable_by(lower, nan_first);
    let least = above.iter().copied().min_by(nan_first);
    let upper = least.unwrap_or(*lower);
    *lower * (1.0 - weight) + upper * weight
}

fn nan_first(a: &f64, b: &f64) -> Ordering {
    let by_nan = b.is_nan().cmp(&a.is_nan());
    by_nan.then(a.partial_cmp(b).unwrap_or(Ordering::Equal))
}
