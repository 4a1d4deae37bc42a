//! Orders of a vector, which only the result of an instant query keeps.

use std::cmp::Ordering;

use rutile_model::Labels;

use super::{Args, CallContext};
use crate::engine::column::{Operand, Row};

/// Up to this many are sorted by insertion, as Go does: an order that is none comes out the same.
const INSERTED: usize = 12;

/// By value, NaN last. Histograms go.
pub(super) fn by_value(
    context: &mut CallContext<'_>,
    mut rows: Vec<Row>,
    descending: bool,
) -> Operand {
    warn_if_useless(context);
    for row in &mut rows {
        row.column.histograms.clear();
    }
    if context.steps.len() > 1 {
        return Operand::Vector(rows);
    }
    rows.retain(|row| row.column.is_present(0));
    // A NaN comes after everything, other NaNs too: as in Prometheus, they turn round.
    let is_before = |a: &usize, b: &usize| {
        let [a, b] = [a, b].map(|at| rows.get(*at).and_then(|row| row.column.float(0)));
        match (a, b) {
            (Some(_), Some(b)) if b.is_nan() => true,
            (Some(a), Some(b)) if descending => a > b,
            (Some(a), Some(b)) => a < b,
            _ => false,
        }
    };
    let mut places: Vec<usize> = (0..rows.len()).collect();
    sort_by(&mut places, &is_before);
    in_order(rows, places)
}

/// By the values of labels, in the order of whoever counts; then by all labels.
pub(super) fn by_label(context: &mut CallContext<'_>, mut args: Args, descending: bool) -> Operand {
    warn_if_useless(context);
    let rows = args.vector();
    let mut names = Vec::new();
    while let Some(name) = args.next_string() {
        names.push(name);
    }
    let is_before = |a: &usize, b: &usize| {
        let order = compare(&rows[*a].labels, &rows[*b].labels, &names);
        if descending {
            order.is_gt()
        } else {
            order.is_lt()
        }
    };
    let mut places: Vec<usize> = (0..rows.len()).collect();
    sort_by(&mut places, &is_before);
    in_order(rows, places)
}

/// The rows at these places, each of which comes once.
fn in_order(rows: Vec<Row>, places: Vec<usize>) -> Operand {
    let mut rows: Vec<Option<Row>> = rows.into_iter().map(Some).collect();
    let sorted = places.into_iter().filter_map(|at| rows.get_mut(at)?.take());
    Operand::Vector(sorted.collect())
}

/// Sorting is of no use if the result is sorted by labels anyway. Of what is fixed in time Prometheus does not say so:
/// it evaluates it at one step, and repeats the result.
fn warn_if_useless(context: &mut CallContext<'_>) {
    if context.steps.start != context.steps.end && !context.is_fixed() {
        context.annotations.warn(
            context.call.span,
            "sort is ineffective for range queries since results are always ordered by labels",
        );
    }
}

fn compare(a: &Labels, b: &Labels, names: &[String]) -> Ordering {
    for name in names {
        let (a, b) = (a.value(name), b.value(name));
        if a != b {
            return match is_naturally_before(a.as_bytes(), b.as_bytes()) {
                true => Ordering::Less,
                false => Ordering::Greater,
            };
        }
    }
    a.cmp(b)
}

/// Sorts stably. What is compared need not be an order: `01` and `1` come each after the other, and what
/// stands between numbers may go round in a circle. The standard library may panic on such.
fn sort_by<T: Copy>(all: &mut [T], is_before: &impl Fn(&T, &T) -> bool) {
    if all.len() <= INSERTED {
        for end in 1..all.len() {
            let mut at = end;
            while at > 0 && is_before(&all[at], &all[at - 1]) {
                all.swap(at, at - 1);
                at -= 1;
            }
        }
        return;
    }
    let middle = all.len() / 2;
    let (left, right) = all.split_at_mut(middle);
    sort_by(left, is_before);
    sort_by(right, is_before);
    let (left, right) = (left.to_vec(), right.to_vec());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    for place in all {
        let from_right = match (left.peek(), right.peek()) {
            (Some(left), Some(right)) => is_before(right, left),
            (left, _) => left.is_none(),
        };
        let next = if from_right {
            right.next()
        } else {
            left.next()
        };
        if let Some(next) = next {
            *place = next;
        }
    }
}

/// Whether `a` comes before `b` if digits are read as numbers: `node2` before `node10`.
///
/// This is the order of the library that Prometheus uses, with its peculiarity: a zero before something
/// else than a digit is skipped, and what follows is then part of the number.
fn is_naturally_before(mut a: &[u8], mut b: &[u8]) -> bool {
    loop {
        let (Some(first_a), Some(first_b)) = (a.first(), b.first()) else {
            return a.is_empty() && !b.is_empty();
        };
        if first_a.is_ascii_digit() && first_b.is_ascii_digit() {
            let (number_a, number_b);
            (number_a, a) = number(a);
            (number_b, b) = number(b);
            let order = number_a.len().cmp(&number_b.len());
            match order.then_with(|| number_a.cmp(number_b)) {
                Ordering::Equal => {}
                order => return order.is_lt(),
            }
        } else if first_a == first_b {
            (a, b) = (
                a.get(1..).unwrap_or_default(),
                b.get(1..).unwrap_or_default(),
            );
        } else {
            return first_a < first_b;
        }
    }
}

/// Splits off the number that a text starts with, without leading zeros.
fn number(mut text: &[u8]) -> (&[u8], &[u8]) {
    while let [b'0', rest @ ..] = text
        && !rest.is_empty()
    {
        text = rest;
    }
    let more = text.iter().skip(1).take_while(|c| c.is_ascii_digit());
    text.split_at(more.count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_texts_are_compared_as_numbers() {
        for (a, b) in [
            ("node2", "node10"),
            ("a", "b"),
            ("", "a"),
            ("a", "a1"),
            ("a007", "a8"),
            ("1.9", "1.10"),
            ("10", "a"),
            ("x0", "x1"),
            // The peculiarity: `.5` is a number of two digits here.
            ("1", "0.5"),
        ] {
            assert!(is_naturally_before(a.as_bytes(), b.as_bytes()), "{a} {b}");
            assert!(!is_naturally_before(b.as_bytes(), a.as_bytes()), "{b} {a}");
        }
        assert!(!is_naturally_before(b"a01", b"a1") && !is_naturally_before(b"a1", b"a01"));
    }

    #[test]
    fn sorting_is_stable_and_needs_no_order() {
        let mut numbers: Vec<(u64, u64)> = (0..1000).map(|i| (i * 7919 % 31, i)).collect();
        let mut want = numbers.clone();
        want.sort();
        sort_by(&mut numbers, &|a, b| a.0 < b.0);
        assert_eq!(numbers, want);
        sort_by(&mut numbers, &|a, b| (a.1 + 1) % 3 == b.1 % 3);
        assert_eq!(numbers.len(), 1000);
    }
}
