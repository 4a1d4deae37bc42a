//! Which rows of two sides have the same signature: the labels by which they are matched.

use super::BinaryContext;
use crate::ast::VectorMatching;
use crate::engine::column::Row;
use crate::engine::signature::Signatures;

/// The signatures of the rows of two sides, numbered.
#[derive(Debug)]
pub(super) struct Numbers {
    pub(super) left: Vec<usize>,
    pub(super) right: Vec<usize>,
    /// How many different ones there are.
    pub(super) count: usize,
}

/// Numbers the signatures of two sides.
pub(super) fn numbers(context: &BinaryContext<'_>, lhs: &[Row], rhs: &[Row]) -> Numbers {
    let default = VectorMatching::default();
    let matching = context.binary.matching.as_ref().unwrap_or(&default);
    let mut signatures = signatures(matching);
    let mut number = |rows: &[Row]| -> Vec<usize> {
        let numbers = rows.iter().map(|row| signatures.number(&row.labels));
        numbers.collect()
    };
    let (left, right) = (number(lhs), number(rhs));
    Numbers {
        left,
        right,
        count: signatures.len(),
    }
}

/// What tells signatures apart.
pub(super) fn signatures(matching: &VectorMatching) -> Signatures {
    if matching.on {
        Signatures::keeping(&matching.labels)
    } else {
        Signatures::without(&matching.labels)
    }
}
