//! Aggregations that make one row of a group: each row is folded into its group, and can go.

use rutile_model::Labels;
use rutile_model::histogram::{HistogramMatrix, HistogramSums};

use super::float::Floats;
use super::groups;
use super::histogram::Histograms;
use crate::ast::{Aggregate, AggregateOp, Span};
use crate::engine::annotation::Annotations;
use crate::engine::column::{Column, Row};
use crate::engine::memory::Held;
use crate::engine::signature::Signatures;

/// An aggregation of the rows that it was given so far.
#[derive(Debug)]
pub(crate) struct Fold {
    op: AggregateOp,
    /// What annotations point at: what is aggregated.
    span: Span,
    steps: usize,
    signatures: Signatures,
    /// In the order of their first row.
    groups: Vec<Group>,
    annotations: Annotations,
}

#[derive(Debug)]
struct Group {
    /// What `by` or `without` leaves of their labels.
    labels: Labels,
    floats: Floats,
    /// Of `sum` and `avg`; none as long as there are floats only.
    histograms: Option<Histograms>,
    /// Of `sum`, in place of all others, as long as all rows have histograms with much the same buckets.
    alike: Option<HistogramSums>,
    /// Whether there were other rows.
    has_others: bool,
    /// At which steps the metric name of a row is to go; empty if of none.
    drops_name: Vec<bool>,
}

impl Group {
    fn bytes(&self) -> usize {
        let histograms = self.histograms.as_ref().map_or(0, Histograms::bytes);
        let alike = self.alike.as_ref().map_or(0, HistogramSums::bytes);
        let values = self.floats.bytes() + histograms + alike + self.drops_name.len();
        size_of::<Self>() + self.labels.bytes() + values
    }

    /// Takes histograms in; false if these and what is there are too different to be added number by number.
    fn take_alike(&mut self, histograms: &HistogramMatrix) -> bool {
        match &mut self.alike {
            Some(sums) => sums.add(histograms),
            None if self.has_others => false,
            alike => {
                *alike = Some(HistogramSums::of(histograms));
                true
            }
        }
    }

    /// From now on, rows may be of any kind.
    fn take_others(&mut self) {
        self.has_others = true;
        if let Some(sums) = self.alike.take() {
            self.histograms = Some(Histograms::of_sums(sums));
        }
    }
}

impl Fold {
    /// Whether an aggregation makes one row of a group, and needs no row for long.
    pub(crate) fn suits(op: AggregateOp) -> bool {
        use AggregateOp::{Avg, Count, Group, Max, Min, Stddev, Stdvar, Sum};
        matches!(op, Avg | Count | Group | Max | Min | Stddev | Stdvar | Sum)
    }

    /// An aggregation without any row; none if it must see all of them at a time.
    pub(crate) fn new(aggregate: &Aggregate, steps: usize) -> Option<Self> {
        let op = aggregate.op;
        Self::suits(op).then(|| Self {
            op,
            span: aggregate.expr.unwrap_parens().span(),
            steps,
            signatures: groups::signatures(aggregate),
            groups: Vec::new(),
            annotations: Annotations::default(),
        })
    }

    /// Takes rows in, which follow those before.
    pub(crate) fn take(&mut self, rows: &[Row]) {
        for row in rows {
            let number = self.signatures.number(&row.labels);
            if number == self.groups.len() {
                self.groups.push(Group {
                    labels: self.signatures.part(&row.labels),
                    floats: Floats::new(self.op, self.steps),
                    histograms: None,
                    alike: None,
                    has_others: false,
                    drops_name: Vec::new(),
                });
            }
            let Some(histograms) = &row.alike else {
                self.take_row(number, row);
                continue;
            };
            let group = self.groups.get_mut(number);
            if group.is_none_or(|group| group.take_alike(histograms)) {
                continue;
            }
            let column = Column::of_alike(histograms);
            self.take_row(number, &Row::new(row.labels.clone(), column));
        }
    }

    /// What the groups hold so far: one sample of each group at each step.
    pub(crate) fn held(&self) -> Held {
        let groups = self.groups.iter().map(Group::bytes).sum::<usize>();
        let bytes = groups + self.signatures.bytes();
        Held {
            bytes: bytes as u64,
            samples: (self.groups.len() * self.steps) as u64,
        }
    }

    fn take_row(&mut self, number: usize, row: &Row) {
        let Some(group) = self.groups.get_mut(number) else {
            return;
        };
        group.take_others();
        match self.op {
            AggregateOp::Count | AggregateOp::Group => {}
            AggregateOp::Sum | AggregateOp::Avg => {
                if !row.column.histograms.is_empty() && group.histograms.is_none() {
                    group.histograms = Some(Histograms::new(&group.floats, self.steps));
                }
                if let Some(histograms) = &mut group.histograms {
                    let averages = self.op == AggregateOp::Avg;
                    histograms.take(row, averages, self.span, &mut self.annotations);
                }
            }
            op if row.column.histograms.iter().any(Option::is_some) => {
                let message = format!("ignored histogram in {op} aggregation");
                self.annotations.info(self.span, message);
            }
            _ => {}
        }
        group.floats.take(self.op, &row.column);
        if row.drop_name {
            group.drops_name.resize(self.steps, false);
            for (step, drops) in group.drops_name.iter_mut().enumerate() {
                *drops |= row.column.is_present(step);
            }
        }
    }

    /// A row for each group that has a value, and what came up.
    pub(crate) fn finish(mut self) -> (Vec<Row>, Annotations) {
        let mut rows = Vec::with_capacity(self.groups.len());
        for mut group in std::mem::take(&mut self.groups) {
            group.take_others();
            let mut column = Column {
                floats: group.floats.finish(self.op),
                histograms: Vec::new(),
            };
            if let Some(histograms) = group.histograms {
                let averages = self.op == AggregateOp::Avg;
                histograms.finish(&mut column, averages, self.span, &mut self.annotations);
            }
            let mut steps = (0..column.len()).rev();
            if let Some(last) = steps.find(|step| column.is_present(*step)) {
                // Prometheus forgets what earlier steps said about the name.
                let drop_name = group.drops_name.get(last) == Some(&true);
                rows.push(Row {
                    drop_name,
                    ..Row::new(group.labels, column)
                });
            }
        }
        (rows, self.annotations)
    }
}
