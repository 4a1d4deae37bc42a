//! Operators between floats: whole columns at a time.

use rutile_model::sample::{STALE_NAN, is_stale_nan};

use super::go_math;
use crate::ast::BinaryOp;

/// What a comparison yields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Yields {
    /// The left value, where it holds.
    Left,
    /// The right value, where it holds: if the left one is a scalar.
    Right,
    /// 1 where it holds, else 0.
    Bool,
}

/// The results of an operator at all steps, absent where one of its values is. None for the trims, which
/// are not for floats, and for set operators.
pub(super) fn zip(op: BinaryOp, yields: Yields, lhs: &[f64], rhs: &[f64]) -> Option<Vec<f64>> {
    Some(match op {
        BinaryOp::Add => map(lhs, rhs, |a, b| a + b),
        BinaryOp::Sub => map(lhs, rhs, |a, b| a - b),
        BinaryOp::Mul => map(lhs, rhs, |a, b| a * b),
        BinaryOp::Div => map(lhs, rhs, |a, b| a / b),
        BinaryOp::Mod => map(lhs, rhs, |a, b| a % b),
        BinaryOp::Pow => map(lhs, rhs, go_math::pow),
        BinaryOp::Atan2 => map(lhs, rhs, go_math::atan2),
        BinaryOp::Equal => compare(lhs, rhs, yields, |a, b| a == b),
        BinaryOp::NotEqual => compare(lhs, rhs, yields, |a, b| a != b),
        BinaryOp::Less => compare(lhs, rhs, yields, |a, b| a < b),
        BinaryOp::LessOrEqual => compare(lhs, rhs, yields, |a, b| a <= b),
        BinaryOp::Greater => compare(lhs, rhs, yields, |a, b| a > b),
        BinaryOp::GreaterOrEqual => compare(lhs, rhs, yields, |a, b| a >= b),
        BinaryOp::TrimUpper
        | BinaryOp::TrimLower
        | BinaryOp::And
        | BinaryOp::Or
        | BinaryOp::Unless => return None,
    })
}

fn compare(lhs: &[f64], rhs: &[f64], yields: Yields, holds: impl Fn(f64, f64) -> bool) -> Vec<f64> {
    match yields {
        Yields::Left => map(lhs, rhs, |a, b| if holds(a, b) { a } else { STALE_NAN }),
        Yields::Right => map(lhs, rhs, |a, b| if holds(a, b) { b } else { STALE_NAN }),
        Yields::Bool => map(lhs, rhs, |a, b| f64::from(u8::from(holds(a, b)))),
    }
}

fn map(lhs: &[f64], rhs: &[f64], compute: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    let pairs = lhs.iter().zip(rhs);
    let results = pairs.map(|(a, b)| {
        if is_stale_nan(*a) || is_stale_nan(*b) {
            STALE_NAN
        } else {
            compute(*a, *b)
        }
    });
    results.collect()
}
