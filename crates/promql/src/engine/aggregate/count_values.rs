//! `count_values`: how many series of a group have each value.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use rutile_model::Labels;
use rutile_model::go_float::GoFloat;
use rutile_model::sample::is_stale_nan;

use super::AggregateContext;
use super::groups;
use crate::ast::{Aggregate, Expr};
use crate::engine::column::{Column, Row, SampleValue};
use crate::engine::eval::METRIC_NAME;
use crate::engine::memory::{Held, Memory, too_many};
use crate::engine::{Error, Result};

/// Rows of counts that come into being as values are met.
struct Counts<'a> {
    label: &'a str,
    /// Whether the groups keep the label of the value.
    shows_value: bool,
    steps: usize,
    most_rows: u64,
    max_samples: u64,
    memory: &'a mut Memory,
    rows: Vec<Row>,
    by_labels: HashMap<Labels, usize, FixedState>,
    /// Rows by the number of the group and the bits of the value.
    by_float: HashMap<(usize, u64), usize, FixedState>,
}

/// Refuses a label that is none.
pub(super) fn check(aggregate: &Aggregate) -> Result<()> {
    let Some(param) = aggregate.param.as_deref() else {
        return Ok(());
    };
    match param.unwrap_parens() {
        Expr::String(text) if text.value.is_empty() || text.not_utf8.is_some() => {
            Err(Error::execution(format!("invalid label name {param}")))
        }
        _ => Ok(()),
    }
}

/// Counts the values of each group at each step; `label` is that of the value.
pub(super) fn apply(
    context: &mut AggregateContext<'_>,
    label: &str,
    rows: Vec<Row>,
) -> Result<Vec<Row>> {
    let aggregate = context.aggregate;
    let is_grouped = aggregate.grouping.iter().any(|name| name == label);
    let mut counts = Counts {
        label,
        shows_value: !aggregate.without || !(is_grouped || label == METRIC_NAME),
        steps: context.steps,
        max_samples: context.options.max_samples,
        most_rows: context.options.max_samples / context.steps.max(1) as u64,
        memory: &mut *context.memory,
        rows: Vec::new(),
        by_labels: HashMap::default(),
        by_float: HashMap::default(),
    };
    let mut signatures = groups::signatures(aggregate);
    for row in rows {
        context.stop.check()?;
        // The value takes the place of a label of its name.
        let labels = signatures.part(&row.labels.without(&[label]));
        let group = signatures.number(&labels);
        counts.take(&labels, group, &row.column)?;
    }
    Ok(counts.rows)
}

impl Counts<'_> {
    fn take(&mut self, group: &Labels, number: usize, column: &Column) -> Result<()> {
        // Values often stay the same for many steps.
        let mut last: Option<(u64, usize)> = None;
        for step in 0..self.steps {
            let row = match column.get(step) {
                None => continue,
                Some(SampleValue::Histogram(histogram)) => {
                    self.row(group, &histogram.to_string())?
                }
                Some(SampleValue::Float(value)) => {
                    let bits = if value.is_nan() { f64::NAN } else { value }.to_bits();
                    match last {
                        Some((same, row)) if same == bits => row,
                        _ => self.float_row(group, number, bits)?,
                    }
                }
            };
            last = column.float(step).map(|value| (value.to_bits(), row));
            let counted = self.rows.get_mut(row);
            if let Some(count) = counted.and_then(|row| row.column.floats.get_mut(step)) {
                *count = if is_stale_nan(*count) {
                    1.0
                } else {
                    *count + 1.0
                };
            }
        }
        Ok(())
    }

    fn float_row(&mut self, group: &Labels, number: usize, bits: u64) -> Result<usize> {
        if let Some(row) = self.by_float.get(&(number, bits)) {
            return Ok(*row);
        }
        let row = self.row(group, &plain(f64::from_bits(bits)))?;
        self.by_float.insert((number, bits), row);
        Ok(row)
    }

    /// A row, and where it is found. It counts as samples when it is a result.
    fn held_by_a_row(&self, labels: &Labels) -> Held {
        let found = size_of::<(Labels, usize)>() + size_of::<((usize, u64), usize)>();
        let values = self.steps * size_of::<f64>();
        Held {
            bytes: (size_of::<Row>() + labels.bytes() + values + 2 * found) as u64,
            samples: 0,
        }
    }

    /// The place of the row of a value.
    fn row(&mut self, group: &Labels, value: &str) -> Result<usize> {
        let labels: Labels = if self.shows_value {
            group.iter().chain([(self.label, value)]).collect()
        } else {
            group.clone()
        };
        if let Some(row) = self.by_labels.get(&labels) {
            return Ok(*row);
        }
        let row = self.rows.len();
        if row as u64 >= self.most_rows {
            return Err(too_many(self.max_samples));
        }
        self.memory.add(self.held_by_a_row(&labels))?;
        self.rows
            .push(Row::new(labels.clone(), Column::absent(self.steps)));
        self.by_labels.insert(labels, row);
        Ok(row)
    }
}

/// A float without an exponent, with the fewest digits that read back as the same float: Go's `%f` with
/// the precision -1.
fn plain(value: f64) -> String {
    let text = GoFloat(value).to_string();
    let Some((digits, exponent)) = text.split_once('e') else {
        return text;
    };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", digits),
    };
    let digits = digits.replace('.', "");
    let places = exponent.unsigned_abs() as usize;
    if exponent < 0 {
        let zeros = "0".repeat(places - 1);
        return format!("{sign}0.{zeros}{digits}");
    }
    let whole = places + 1;
    if digits.len() <= whole {
        let zeros = "0".repeat(whole - digits.len());
        return format!("{sign}{digits}{zeros}");
    }
    let (before, after) = digits.split_at(whole);
    format!("{sign}{before}.{after}")
}
