//! Aggregations that keep some rows of a group as they are: `topk`, `bottomk`, `limitk`, `limit_ratio`.
//!
//! At a single step the rows come out as Prometheus sorts them, group by group; at many steps in the order
//! in which they came.

use rutile_model::sample::is_stale_nan;

use super::AggregateContext;
use super::by_step::ByStep;
use super::groups;
use crate::ast::AggregateOp;
use crate::engine::column::{Column, Row};

/// A candidate: its value, and the place of its row.
type Candidate = (f64, usize);

/// The `counts` largest or smallest values of each group at each step.
pub(super) fn extremes(
    context: &mut AggregateContext<'_>,
    counts: &[usize],
    rows: Vec<Row>,
) -> Vec<Row> {
    let op = context.aggregate.op;
    let mut picked = Picked::new(context.steps, rows.len());
    let mut pace = context.stop.pace();
    let mut ignored = false;
    let mut heap = Heap::new(if op == AggregateOp::Topk {
        less
    } else {
        greater
    });
    for group in groups::of(context.aggregate, &rows) {
        let columns: Vec<&Column> = group.columns(&rows).collect();
        let has_histograms = columns.iter().any(|column| !column.histograms.is_empty());
        let mut by_step = ByStep::new(&columns);
        for (step, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            if pace.ends_before(columns.len()) {
                break;
            }
            heap.items.clear();
            for (value, place) in by_step.floats(step).iter().zip(&group.members) {
                if !is_stale_nan(*value) {
                    heap.offer((*value, *place), *count);
                }
            }
            let is_histogram = |column: &&Column| column.histogram(step).is_some();
            ignored |= has_histograms && columns.iter().any(is_histogram);
            heap.sort_best_first();
            for (_, place) in &heap.items {
                picked.pick(&rows, *place, step);
            }
        }
    }
    if ignored {
        let message = format!("ignored histogram in {op} aggregation");
        context.annotations.info(context.aggregate.span, message);
    }
    picked.finish(rows)
}

/// The first `counts` rows of each group that have a value, at each step.
pub(super) fn first(context: &AggregateContext<'_>, counts: &[usize], rows: Vec<Row>) -> Vec<Row> {
    let mut picked = Picked::new(context.steps, rows.len());
    let mut pace = context.stop.pace();
    let mut heap = Heap::new(less);
    for group in groups::of(context.aggregate, &rows) {
        for (step, count) in counts.iter().enumerate() {
            if pace.ends_before(group.members.len()) {
                break;
            }
            heap.items.clear();
            for place in &group.members {
                if heap.items.len() == *count {
                    break;
                }
                heap.push_present(&rows, *place, step);
            }
            for (_, place) in &heap.items {
                picked.pick(&rows, *place, step);
            }
        }
    }
    picked.finish(rows)
}

/// The rows whose hash lies in the part of all hashes that `ratios` says, at each step: from below if it
/// is positive, from above if negative, so that a ratio and its complement have all rows together.
pub(super) fn share(context: &AggregateContext<'_>, ratios: &[f64], rows: Vec<Row>) -> Vec<Row> {
    // Which rows these are depends on the hash of their labels: it is that of Thanos's builds.
    let offsets: Vec<f64> = rows
        .iter()
        .map(|row| row.labels.hash() as f64 / u64::MAX as f64)
        .collect();
    let lies_within = |ratio: f64, place: usize| {
        let offset = offsets.get(place).copied().unwrap_or_default();
        (ratio >= 0.0 && offset < ratio) || (ratio < 0.0 && offset >= 1.0 + ratio)
    };
    let mut picked = Picked::new(context.steps, rows.len());
    let mut pace = context.stop.pace();
    let mut heap = Heap::new(less);
    for group in groups::of(context.aggregate, &rows) {
        for (step, ratio) in ratios.iter().enumerate() {
            if pace.ends_before(group.members.len()) {
                break;
            }
            heap.items.clear();
            for place in &group.members {
                if lies_within(*ratio, *place) {
                    heap.push_present(&rows, *place, step);
                }
            }
            for (_, place) in &heap.items {
                picked.pick(&rows, *place, step);
            }
        }
    }
    picked.finish(rows)
}

/// What was picked of each row.
struct Picked {
    steps: usize,
    columns: Vec<Option<Column>>,
    /// Places of rows, in the order in which they were picked first.
    order: Vec<usize>,
}

impl Picked {
    fn new(steps: usize, rows: usize) -> Self {
        Self {
            steps,
            columns: vec![None; rows],
            order: Vec::new(),
        }
    }

    fn pick(&mut self, rows: &[Row], place: usize, step: usize) {
        let (Some(picked), Some(row)) = (self.columns.get_mut(place), rows.get(place)) else {
            return;
        };
        let column = picked.get_or_insert_with(|| {
            self.order.push(place);
            Column::absent(self.steps)
        });
        column.set(step, row.column.get(step));
    }

    fn finish(mut self, mut rows: Vec<Row>) -> Vec<Row> {
        if self.steps > 1 {
            self.order.sort_unstable();
        }
        let mut out = Vec::with_capacity(self.order.len());
        for place in self.order {
            let column = self.columns.get_mut(place).and_then(Option::take);
            if let (Some(column), Some(row)) = (column, rows.get_mut(place)) {
                let labels = std::mem::take(&mut row.labels);
                out.push(Row {
                    drop_name: row.drop_name,
                    ..Row::new(labels, column)
                });
            }
        }
        out
    }
}

/// Whether the first value comes before the second; NaN comes before everything, itself included.
type Before = fn(f64, f64) -> bool;

fn less(a: f64, b: f64) -> bool {
    a.is_nan() || a < b
}

fn greater(a: f64, b: f64) -> bool {
    a.is_nan() || a > b
}

/// A binary heap as Go's `container/heap` keeps it: which of equal values stay, and in which order, is
/// visible in results.
struct Heap {
    items: Vec<Candidate>,
    before: Before,
}

impl Heap {
    fn new(before: Before) -> Self {
        Self {
            items: Vec::new(),
            before,
        }
    }

    /// Adds a candidate if there are less than `most`, or if it is better than the worst one, which is on
    /// top.
    fn offer(&mut self, candidate: Candidate, most: usize) {
        if self.items.len() < most {
            self.push(candidate);
            return;
        }
        let Some(worst) = self.items.first_mut() else {
            return;
        };
        let value = candidate.0;
        if worst.0.is_nan() && !value.is_nan() || !worst.0.is_nan() && (self.before)(worst.0, value)
        {
            *worst = candidate;
            self.sink();
        }
    }

    fn push_present(&mut self, rows: &[Row], place: usize, step: usize) {
        let Some(row) = rows.get(place).filter(|row| row.column.is_present(step)) else {
            return;
        };
        self.push((row.column.float(step).unwrap_or_default(), place));
    }

    fn push(&mut self, candidate: Candidate) {
        self.items.push(candidate);
        let mut at = self.items.len() - 1;
        while at > 0 {
            let parent = (at - 1) / 2;
            if !self.is_before(at, parent) {
                break;
            }
            self.items.swap(at, parent);
            at = parent;
        }
    }

    /// Moves the top to where it belongs.
    fn sink(&mut self) {
        let mut at = 0;
        loop {
            let mut child = 2 * at + 1;
            if child >= self.items.len() {
                return;
            }
            if child + 1 < self.items.len() && self.is_before(child + 1, child) {
                child += 1;
            }
            if !self.is_before(child, at) {
                return;
            }
            self.items.swap(at, child);
            at = child;
        }
    }

    fn is_before(&self, a: usize, b: usize) -> bool {
        match (self.items.get(a), self.items.get(b)) {
            (Some(a), Some(b)) => (self.before)(a.0, b.0),
            _ => false,
        }
    }

    /// Best values first, NaN last.
    fn sort_best_first(&mut self) {
        /// Up to so many, Go sorts by insertion; with more, the order of equal values is not known.
        const SORTED_BY_INSERTION: usize = 12;
        if self.items.len() > SORTED_BY_INSERTION {
            let before = self.before;
            self.items
                .sort_by(|(a, _), (b, _)| match (a.is_nan(), b.is_nan()) {
                    (false, false) if before(*b, *a) => std::cmp::Ordering::Less,
                    (false, false) if before(*a, *b) => std::cmp::Ordering::Greater,
                    (a_is_nan, b_is_nan) => a_is_nan.cmp(&b_is_nan),
                });
            return;
        }
        for from in 1..self.items.len() {
            let mut at = from;
            while at > 0 && self.is_before(at - 1, at) {
                self.items.swap(at - 1, at);
                at -= 1;
            }
        }
    }
}
