//! What must be unique for two vectors to be matched, at each step by itself; and what found no match.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use rutile_model::Labels;
use rutile_model::sample::STALE_NAN;

use super::groups;
use super::matched::{Combined, Partner, Sides};
use crate::ast::Cardinality;
use crate::engine::{Error, Result};

/// A row of the side of one at a step at which a row before it has a value, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Duplicate {
    step: usize,
    place: usize,
    first: usize,
}

/// Refuses several matches for a row, as Prometheus does at the first step at which there are any.
pub(super) fn check(
    sides: &Sides<'_>,
    partners: &[Vec<Partner<'_>>],
    combined: &[Combined],
) -> Result<()> {
    let clash = clash(sides, partners, combined);
    if let Some(duplicate) = duplicate(sides, partners.len())
        && clash.is_none_or(|step| duplicate.step <= step)
    {
        return Err(duplicate.error(sides));
    }
    let one_to_one = sides.matching.card == Cardinality::OneToOne;
    match clash {
        None => Ok(()),
        Some(_) if one_to_one => Err(Error::execution(
            "multiple matches for labels: many-to-one matching must be explicit \
             (group_left/group_right)",
        )),
        Some(_) => Err(Error::execution(
            "multiple matches for labels: grouping labels must ensure unique matches",
        )),
    }
}

impl Duplicate {
    fn error(self, sides: &Sides<'_>) -> Error {
        let (Some(row), Some(first)) = (sides.one.get(self.place), sides.one.get(self.first))
        else {
            return Error::execution("many-to-many matching not allowed");
        };
        let group = groups::signatures(sides.matching).part(&row.labels);
        let side = if sides.operation.one_is_left() {
            "left"
        } else {
            "right"
        };
        let mut series = [row.labels.to_string(), first.labels.to_string()];
        series.sort_unstable();
        let [a, b] = series;
        Error::execution(format!(
            "found duplicate series for the match group {group} on the {side} hand-side of the \
             operation: [{a}, {b}];many-to-many matching not allowed: matching labels must be unique \
             on one side"
        ))
    }
}

/// The first step at which two rows of the side of one have a value and the same signature.
fn duplicate(sides: &Sides<'_>, signatures: usize) -> Option<Duplicate> {
    let mut found: Option<Duplicate> = None;
    // Without a fill value, nothing is looked at where the side of many is empty.
    let mut compared: Option<Vec<bool>> = None;
    for rows in by_signature(sides.one_numbers, signatures) {
        if rows.len() < 2 {
            continue;
        }
        let compared = compared.get_or_insert_with(|| compared_steps(sides));
        let mut first: Vec<Option<usize>> = vec![None; sides.steps];
        for place in rows {
            let Some(row) = sides.one.get(place) else {
                continue;
            };
            for (step, (first, compared)) in first.iter_mut().zip(compared.iter()).enumerate() {
                if !compared || !row.column.is_present(step) {
                    continue;
                }
                let first = *first.get_or_insert(place);
                let duplicate = Duplicate { step, place, first };
                if first != place && found.is_none_or(|found| duplicate < found) {
                    found = Some(duplicate);
                }
            }
        }
    }
    found
}

fn compared_steps(sides: &Sides<'_>) -> Vec<bool> {
    let fill = sides.matching.fill;
    if fill.lhs.is_some() || fill.rhs.is_some() {
        return vec![true; sides.steps];
    }
    let is_present = |step| sides.many.iter().any(|row| row.column.is_present(step));
    (0..sides.steps).map(is_present).collect()
}

/// The first step at which two rows of the side of many have a match that only one may have: of the same
/// signature, and if many are allowed, with the same labels as a result.
fn clash(sides: &Sides<'_>, partners: &[Vec<Partner<'_>>], combined: &[Combined]) -> Option<usize> {
    let one_to_one = sides.matching.card == Cardinality::OneToOne;
    let mut rivals: HashMap<(usize, Option<&Labels>), Vec<&Combined>, FixedState> =
        HashMap::default();
    for one in combined {
        let number = sides
            .many_numbers
            .get(one.many)
            .copied()
            .unwrap_or_default();
        let labels = (!one_to_one).then_some(&one.row.labels);
        rivals.entry((number, labels)).or_default().push(one);
    }
    let mut first: Option<usize> = None;
    for ((number, _), rivals) in rivals {
        if rivals.len() < 2 {
            continue;
        }
        let known = partners.get(number).map(Vec::as_slice).unwrap_or_default();
        let last = first.unwrap_or(sides.steps);
        let clashes = |step: &usize| {
            let matches = rivals.iter().filter(|rival| {
                let row = sides.many.get(rival.many);
                let partner = known.get(rival.partner);
                let pair = row.zip(partner);
                pair.is_some_and(|(row, partner)| {
                    sides.operation.matches(&row.column, &partner.column, *step)
                })
            });
            matches.take(2).count() > 1
        };
        first = (0..last).find(clashes).or(first);
    }
    first
}

/// At which steps each signature has a match.
pub(super) fn matched(sides: &Sides<'_>, partners: &[Vec<Partner<'_>>]) -> Vec<Vec<bool>> {
    let mut matched = vec![vec![false; sides.steps]; partners.len()];
    for (row, number) in sides.many.iter().zip(sides.many_numbers) {
        let (Some(matched), Some(known)) = (matched.get_mut(*number), partners.get(*number)) else {
            continue;
        };
        for partner in known {
            for (step, matched) in matched.iter_mut().enumerate() {
                *matched = *matched || sides.operation.matches(&row.column, &partner.column, step);
            }
        }
    }
    matched
}

/// A fill value at the steps that are not `taken`.
pub(super) fn filled(steps: usize, fill: f64, taken: Option<&Vec<bool>>) -> Vec<f64> {
    let is_taken = |step| {
        taken
            .and_then(|taken| taken.get(step))
            .copied()
            .unwrap_or_default()
    };
    let values = (0..steps).map(|step| if is_taken(step) { STALE_NAN } else { fill });
    values.collect()
}

/// The places of the rows of each signature.
fn by_signature(numbers: &[usize], signatures: usize) -> Vec<Vec<usize>> {
    let mut rows = vec![Vec::new(); signatures];
    for (place, number) in numbers.iter().enumerate() {
        if let Some(rows) = rows.get_mut(*number) {
            rows.push(place);
        }
    }
    rows
}
