//! `rate` and `increase` of histograms that have the same buckets, at all steps: the changes of [`super::rate`], bit for
//! bit, number by number.

use rutile_model::histogram::{HistogramLayout, HistogramMatrix, HistogramRows};

use super::rate::{INCREASE, RATE};
use super::reach::Reach;
use super::{Within, seconds};
use crate::ast::FunctionId;
use crate::engine::select::Looks;
use crate::engine::stop::Stop;

/// The windows of a series at all steps.
#[derive(Debug)]
pub(crate) struct Rows<'a> {
    pub(crate) histograms: &'a HistogramRows,
    pub(crate) layout: &'a HistogramLayout,
    pub(crate) looks: Looks,
    pub(crate) range_ms: i64,
    pub(crate) stop: &'a Stop,
}

/// The change in each window that has two samples at least, and how many samples were looked at, each once for each step,
/// where a histogram counts for `weight` of them.
pub(crate) fn changes(rows: &Rows<'_>, id: FunctionId, weight: u64) -> (HistogramMatrix, u64) {
    let steps = rows.looks.steps.len();
    let mut changes = HistogramMatrix::absent(rows.layout.clone(), steps);
    let (mut within, mut looked_at) = (Within::default(), 0);
    let times = rows.histograms.times();
    let mut pace = rows.stop.pace();
    for step in 0..steps {
        let end = rows.looks.time(step);
        let start = end - rows.range_ms;
        within.move_to(times, start, end);
        let Within { from, to } = within;
        if pace.ends_before(to - from) {
            break;
        }
        looked_at += (to - from) as u64 * weight;
        if to - from >= 2 {
            let change = changes.row_mut(step);
            write_change(rows.histograms, (from, to), change);
            let factor = factor(rows, (from, to), (start, end), change, id);
            change.iter_mut().for_each(|number| *number *= factor);
        }
    }
    (changes, looked_at)
}

/// The last row less the first, and what was lost to resets added. What was before a reset right behind the first one
/// does not count.
fn write_change(histograms: &HistogramRows, (from, to): (usize, usize), change: &mut [f64]) {
    let (first, last) = (histograms.row(from), histograms.row(to - 1));
    let all = histograms.resets();
    let behind_first = all.partition_point(|place| *place <= from);
    let mut resets = all
        .get(behind_first..)
        .unwrap_or_default()
        .iter()
        .take_while(|place| **place < to)
        .peekable();
    if resets.next_if_eq(&&(from + 1)).is_some() {
        change.copy_from_slice(last);
    } else {
        for ((change, last), first) in change.iter_mut().zip(last).zip(first) {
            *change = last - first;
        }
    }
    for reset in resets {
        for (change, lost) in change.iter_mut().zip(histograms.row(reset - 1)) {
            *change += lost;
        }
    }
}

fn factor(
    rows: &Rows<'_>,
    (from, to): (usize, usize),
    range: (i64, i64),
    change: &[f64],
    id: FunctionId,
) -> f64 {
    let time = |place| rows.histograms.times().get(place).copied();
    let times = time(from).zip(time(to - 1)).unwrap_or_default();
    let mut reach = Reach::between(times, to - from, range);
    reach.limit_start();
    let count = |row: &[f64]| row.first().copied().unwrap_or_default();
    let (change, first) = (count(change), count(rows.histograms.row(from)));
    if change > 0.0 && first >= 0.0 {
        reach.limit_to_zero(first, change);
    }
    let is_rate = id == FunctionId::Rate;
    reach.factor(
        seconds(range.1 - range.0),
        if is_rate { RATE } else { INCREASE },
    )
}
