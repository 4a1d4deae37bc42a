//! Arithmetic on the floats of a vector.

use std::f64::consts::PI;

use rutile_model::go_float;

use crate::ast::FunctionId;

use super::{Args, CallContext, at};
use crate::engine::column::Operand;

/// What computes a function of one number.
pub(super) fn of_one(id: FunctionId) -> Option<fn(f64) -> f64> {
    Some(match id {
        FunctionId::Abs => f64::abs,
        FunctionId::Ceil => f64::ceil,
        FunctionId::Floor => f64::floor,
        FunctionId::Exp => go_float::exp,
        FunctionId::Sqrt => f64::sqrt,
        FunctionId::Ln => go_float::log,
        FunctionId::Log2 => go_float::log2,
        FunctionId::Log10 => go_float::log10,
        FunctionId::Sin => go_float::sin,
        FunctionId::Cos => go_float::cos,
        FunctionId::Tan => go_float::tan,
        FunctionId::Asin => go_float::asin,
        FunctionId::Acos => go_float::acos,
        FunctionId::Atan => go_float::atan,
        FunctionId::Sinh => go_float::sinh,
        FunctionId::Cosh => go_float::cosh,
        FunctionId::Tanh => go_float::tanh,
        FunctionId::Asinh => go_float::asinh,
        FunctionId::Acosh => go_float::acosh,
        FunctionId::Atanh => go_float::atanh,
        // Not Rust's own: the order of the operations decides about the last bit.
        FunctionId::Rad => |value| value * PI / 180.0,
        FunctionId::Deg => |value| value * 180.0 / PI,
        FunctionId::Sgn => |value| match value {
            _ if value < 0.0 => -1.0,
            _ if value > 0.0 => 1.0,
            _ => value,
        },
        _ => return None,
    })
}

/// A function of two scalars.
pub(super) fn of_two(mut args: Args, function: fn(f64, f64) -> f64) -> Operand {
    let (a, b) = (args.scalar(), args.scalar());
    Operand::Scalar(a.iter().zip(&b).map(|(a, b)| function(*a, *b)).collect())
}

pub(super) fn clamp(context: &CallContext<'_>, mut args: Args) -> Operand {
    let (rows, low, high) = (args.vector(), args.scalar(), args.scalar());
    context.map_floats(rows, |step, value| {
        let (low, high) = (at(&low, step), at(&high, step));
        let is_empty = high < low;
        (!is_empty).then(|| max(low, min(high, value)))
    })
}

pub(super) fn clamp_min(context: &CallContext<'_>, mut args: Args) -> Operand {
    let (rows, low) = (args.vector(), args.scalar());
    context.map_floats(rows, |step, value| {
        Some(max(at(&low, step), min(f64::INFINITY, value)))
    })
}

pub(super) fn clamp_max(context: &CallContext<'_>, mut args: Args) -> Operand {
    let (rows, high) = (args.vector(), args.scalar());
    context.map_floats(rows, |step, value| {
        Some(max(f64::NEG_INFINITY, min(at(&high, step), value)))
    })
}

/// To the nearest multiple, up if two are equally near.
pub(super) fn round(context: &CallContext<'_>, mut args: Args) -> Operand {
    let (rows, nearest) = (args.vector(), args.next_scalar());
    context.map_floats(rows, |step, value| {
        // To divide by the inverse loses fewer bits for 0.1 and its like.
        let inverse = 1.0 / nearest.as_ref().map_or(1.0, |nearest| at(nearest, step));
        Some((value * inverse + 0.5).floor() / inverse)
    })
}

/// The larger one as Go has it: infinity above all, then NaN, and zero above minus zero.
pub(super) fn max(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a == 0.0 && b == 0.0 {
        if a.is_sign_negative() { b } else { a }
    } else if a > b {
        a
    } else {
        b
    }
}

/// The smaller one, likewise.
pub(super) fn min(a: f64, b: f64) -> f64 {
    -max(-a, -b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn infinities_win_over_nan() {
        let same = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan());
        for (a, b, larger, smaller) in [
            (1.0, 2.0, 2.0, 1.0),
            (f64::NAN, f64::INFINITY, f64::INFINITY, f64::NAN),
            (f64::NEG_INFINITY, f64::NAN, f64::NAN, f64::NEG_INFINITY),
            (f64::NAN, 1.0, f64::NAN, f64::NAN),
        ] {
            assert!(
                same(max(a, b), larger) && same(max(b, a), larger),
                "{a} {b}"
            );
            assert!(
                same(min(a, b), smaller) && same(min(b, a), smaller),
                "{a} {b}"
            );
        }
        assert!(max(-0.0, 0.0).is_sign_positive() && max(0.0, -0.0).is_sign_positive());
        assert!(min(-0.0, 0.0).is_sign_negative() && min(0.0, -0.0).is_sign_negative());
    }
}
