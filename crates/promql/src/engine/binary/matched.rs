//! Operators between two vectors, but for set operators: each row of the side of many finds its partner
//! on the side of one, which is the left side for `group_right` and else the right one. Without `group_x`
//! there is one row on both sides.

use std::borrow::Cow;

use rutile_model::Labels;

use super::BinaryContext;
use super::element;
use super::fault::Faults;
use super::floats::{self, Yields};
use super::groups;
use super::unique;
use crate::ast::{BinaryOp, Cardinality, VectorMatching};
use crate::engine::Result;
use crate::engine::column::{Column, Row};
use crate::engine::eval::without_name;
use crate::engine::signature::Signatures;
use crate::engine::stop::Stop;

/// Both sides, and which of their rows belong together.
pub(super) struct Sides<'a> {
    pub(super) matching: &'a VectorMatching,
    pub(super) operation: Operation,
    pub(super) many: &'a [Row],
    pub(super) one: &'a [Row],
    /// The number of the signature of each row.
    pub(super) many_numbers: &'a [usize],
    pub(super) one_numbers: &'a [usize],
    pub(super) steps: usize,
    pub(super) stop: &'a Stop,
}

/// What is done with two samples.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operation {
    op: BinaryOp,
    yields: Yields,
    /// Whether the left operand is the side of one.
    one_is_left: bool,
}

/// What rows of a signature are combined with.
pub(super) struct Partner<'a> {
    /// Those of a row of the side of one; none if there is a fill value only, or if they do not matter.
    labels: Option<&'a Labels>,
    pub(super) column: Cow<'a, Column>,
}

/// Applies an operator.
pub(super) fn apply(
    context: &mut BinaryContext<'_>,
    lhs: Vec<Row>,
    rhs: Vec<Row>,
) -> Result<Vec<Row>> {
    let numbers = groups::numbers(context, &lhs, &rhs);
    let default = VectorMatching::default();
    let binary = context.binary;
    let matching = binary.matching.as_ref().unwrap_or(&default);
    let one_is_left = matching.card == Cardinality::OneToMany;
    let operation = Operation {
        op: binary.op,
        yields: if binary.return_bool {
            Yields::Bool
        } else {
            Yields::Left
        },
        one_is_left,
    };
    let mut sides = Sides {
        matching,
        operation,
        many: &lhs,
        one: &rhs,
        many_numbers: &numbers.left,
        one_numbers: &numbers.right,
        steps: context.steps,
        stop: context.stop,
    };
    if one_is_left {
        (sides.many, sides.one) = (sides.one, sides.many);
        (sides.many_numbers, sides.one_numbers) = (sides.one_numbers, sides.many_numbers);
    }
    let partners = sides.partners(numbers.count);
    let labels = ResultLabels {
        matching,
        signatures: groups::signatures(matching),
        drops_name: super::changes_schema(binary.op)
            || binary.return_bool && !context.options.delayed_name_removal,
    };
    let mut faults = Faults::default();
    let mut out = sides.combined(&partners, &labels, &mut faults);
    unique::check(&sides, &partners, &out)?;
    let mut out: Vec<Row> = out.drain(..).map(|combined| combined.row).collect();
    if let Some(fill) = matching.fill.lhs {
        let matched = unique::matched(&sides, &partners);
        for (row, number) in sides.one.iter().zip(sides.one_numbers) {
            let taken = matched.get(*number);
            if taken.is_some_and(|taken| taken.iter().all(|taken| *taken)) {
                continue;
            }
            let filler = Column {
                floats: unique::filled(sides.steps, fill, taken),
                histograms: Vec::new(),
            };
            let column = operation.columns(&filler, &row.column, &mut faults);
            let many = labels.signatures.part(&row.labels);
            out.push(Row::new(labels.of(&many, Some(&row.labels)), column));
        }
    }
    faults.report(context);
    out.retain(|row| !row.column.is_empty());
    for row in &mut out {
        row.drop_name = binary.return_bool;
    }
    Ok(out)
}

/// A row that came out, and what it came from.
pub(super) struct Combined {
    pub(super) row: Row,
    /// Place of the row on the side of many.
    pub(super) many: usize,
    /// Place of the partner among those of the signature.
    pub(super) partner: usize,
}

impl<'a> Sides<'a> {
    /// The partners of each signature.
    fn partners(&self, signatures: usize) -> Vec<Vec<Partner<'a>>> {
        let mut partners: Vec<Vec<Partner<'a>>> = Vec::new();
        partners.resize_with(signatures, Vec::new);
        let mut pace = self.stop.pace();
        for (row, number) in self.one.iter().zip(self.one_numbers) {
            if pace.ends_before(self.steps) {
                break;
            }
            let Some(known) = partners.get_mut(*number) else {
                continue;
            };
            match known.first_mut() {
                // At each step one of them has a value at most, and their labels do not matter.
                Some(first) if self.matching.include.is_empty() => {
                    merge(&mut first.column, &row.column);
                }
                _ => known.push(Partner {
                    labels: Some(&row.labels),
                    column: Cow::Borrowed(&row.column),
                }),
            }
        }
        // Not that of the side of one: Prometheus does not swap the values for `group_right`.
        if let Some(fill) = self.matching.fill.rhs {
            for known in &mut partners {
                self.fill(known, fill);
            }
        }
        partners
    }

    /// Puts a value where no partner has one.
    fn fill(&self, partners: &mut Vec<Partner<'a>>, fill: f64) {
        let is_present = |step: usize| partners.iter().any(|p| p.column.is_present(step));
        let present: Vec<bool> = (0..self.steps).map(is_present).collect();
        if present.iter().all(|present| *present) {
            return;
        }
        let filler = Column {
            floats: unique::filled(self.steps, fill, Some(&present)),
            histograms: Vec::new(),
        };
        match partners.first_mut() {
            Some(first) if self.matching.include.is_empty() => merge(&mut first.column, &filler),
            _ => partners.push(Partner {
                labels: None,
                column: Cow::Owned(filler),
            }),
        }
    }

    /// Combines each row with its partners.
    fn combined(
        &self,
        partners: &[Vec<Partner<'_>>],
        labels: &ResultLabels<'_>,
        faults: &mut Faults,
    ) -> Vec<Combined> {
        let mut out = Vec::with_capacity(self.many.len());
        let mut pace = self.stop.pace();
        for (many, (row, number)) in self.many.iter().zip(self.many_numbers).enumerate() {
            let known = partners.get(*number).map(Vec::as_slice).unwrap_or_default();
            for (place, partner) in known.iter().enumerate() {
                if pace.ends_before(self.steps) {
                    return out;
                }
                let column = self.operation.columns(&row.column, &partner.column, faults);
                out.push(Combined {
                    row: Row::new(labels.of(&row.labels, partner.labels), column),
                    many,
                    partner: place,
                });
            }
        }
        out
    }
}

/// Puts the values of another column into one.
fn merge(column: &mut Cow<'_, Column>, other: &Column) {
    let column = column.to_mut();
    for step in 0..other.len() {
        if let Some(value) = other.get(step) {
            column.set(step, Some(value));
        }
    }
}

impl Operation {
    /// Combines two columns.
    fn columns(self, many: &Column, one: &Column, faults: &mut Faults) -> Column {
        let (lhs, rhs) = self.sides(many, one);
        if lhs.histograms.is_empty()
            && rhs.histograms.is_empty()
            && let Some(floats) = floats::zip(self.op, self.yields, &lhs.floats, &rhs.floats)
        {
            return Column {
                floats,
                histograms: Vec::new(),
            };
        }
        let mut out = Column::absent(lhs.len());
        for step in 0..lhs.len() {
            let (Some(lhs), Some(rhs)) = (lhs.get(step), rhs.get(step)) else {
                continue;
            };
            match element::combine(self.op, self.yields, &lhs, &rhs) {
                Ok(outcome) => {
                    out.set(step, outcome.value);
                    if let Some(fault) = outcome.fault {
                        faults.put(step, fault);
                    }
                }
                Err(fault) => faults.put(step, fault),
            }
        }
        out
    }

    /// Whether two columns match at a step: both have a value, and the operator takes them.
    pub(super) fn matches(self, many: &Column, one: &Column, step: usize) -> bool {
        let (lhs, rhs) = self.sides(many, one);
        if lhs.float(step).is_some() && rhs.float(step).is_some() {
            return !matches!(self.op, BinaryOp::TrimLower | BinaryOp::TrimUpper);
        }
        match (lhs.get(step), rhs.get(step)) {
            (Some(lhs), Some(rhs)) => element::combine(self.op, self.yields, &lhs, &rhs).is_ok(),
            _ => false,
        }
    }

    pub(super) fn one_is_left(self) -> bool {
        self.one_is_left
    }

    fn sides<'a>(self, many: &'a Column, one: &'a Column) -> (&'a Column, &'a Column) {
        if self.one_is_left {
            (one, many)
        } else {
            (many, one)
        }
    }
}

/// How the labels of a result come about.
struct ResultLabels<'a> {
    matching: &'a VectorMatching,
    signatures: Signatures,
    drops_name: bool,
}

impl ResultLabels<'_> {
    /// The labels of what a row of the side of many and its partner give.
    fn of(&self, many: &Labels, one: Option<&Labels>) -> Labels {
        let mut labels = if self.drops_name {
            without_name(many)
        } else {
            many.clone()
        };
        if self.matching.card == Cardinality::OneToOne {
            labels = if self.matching.on {
                self.signatures.part(&labels)
            } else {
                labels.without(&self.matching.labels)
            };
        }
        let include = &self.matching.include;
        if include.is_empty() {
            return labels;
        }
        let filled = one.is_none().then(|| self.signatures.part(many));
        let one = one.or(filled.as_ref());
        let included = include.iter().filter_map(|name| {
            let value = one?.get(name).filter(|value| !value.is_empty())?;
            Some((name.as_str(), value))
        });
        let kept = labels
            .iter()
            .filter(|(name, _)| !include.iter().any(|n| n == name));
        kept.chain(included).collect()
    }
}
