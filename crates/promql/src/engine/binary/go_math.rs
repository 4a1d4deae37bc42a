//! `^` and `atan2` as Go computes them on amd64 (with fused multiply-add, which all processors in use
//! have), to the last bit: the platform's own functions differ in it now and then.
//!
//! Source of the algorithms: Go 1.26, `src/math/{pow,atan2}.go`.

use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};

use rutile_model::go_float::{atan, exp, frexp, ldexp, log};

/// Powers of two beyond this over- or underflow whatever they are multiplied with.
const FAR_POWER: i64 = 1 << 12;

/// `x` to the power of `y`: Go's `math.Pow`.
pub(super) fn pow(x: f64, y: f64) -> f64 {
    special_pow(x, y).unwrap_or_else(|| ordinary_pow(x, y))
}

/// The cases for which there is a rule.
fn special_pow(x: f64, y: f64) -> Option<f64> {
    /// From here on, all floats are even, and a power is either nothing or beyond all floats.
    const HUGE: f64 = (1_u64 << 63) as f64;
    let limit = |grows: bool| if grows { f64::INFINITY } else { 0.0 };
    if y == 0.0 || x == 1.0 {
        return Some(1.0);
    }
    if y == 1.0 {
        return Some(x);
    }
    if x.is_nan() || y.is_nan() {
        return Some(f64::NAN);
    }
    if x == 0.0 {
        let sign = if x.is_sign_negative() && is_odd(y) {
            -1.0
        } else {
            1.0
        };
        return Some(limit(y < 0.0).copysign(sign));
    }
    if x.is_infinite() && y.is_finite() {
        let sign = if x < 0.0 && is_odd(y) { -1.0 } else { 1.0 };
        return Some(limit(y > 0.0).copysign(sign));
    }
    if y.abs() >= HUGE {
        return Some(match x.abs() {
            _ if x == -1.0 => 1.0,
            size => limit((size > 1.0) == (y > 0.0)),
        });
    }
    if y == 0.5 {
        return Some(x.sqrt());
    }
    if y == -0.5 {
        return Some(1.0 / x.sqrt());
    }
    (x < 0.0 && y.fract() != 0.0).then_some(f64::NAN)
}

fn is_odd(value: f64) -> bool {
    value.fract() == 0.0 && value % 2.0 != 0.0
}

/// By squares for the whole part of the exponent, by logarithms for what is left of it. Powers of two
/// are counted apart, so that nothing overflows on the way.
fn ordinary_pow(x: f64, y: f64) -> f64 {
    let (mut whole, mut part) = (y.abs().trunc(), y.abs().fract());
    if part > 0.5 {
        part -= 1.0;
        whole += 1.0;
    }
    let mut result = if part == 0.0 { 1.0 } else { exp(part * log(x)) };
    let mut power = 0_i64;
    let (mut square, mut square_power) = frexp(x);
    let mut bits = whole as u64;
    while bits != 0 {
        if square_power.abs() > FAR_POWER {
            power += square_power;
            break;
        }
        if bits & 1 == 1 {
            result *= square;
            power += square_power;
        }
        square *= square;
        square_power *= 2;
        if square < 0.5 {
            square += square;
            square_power -= 1;
        }
        bits >>= 1;
    }
    // In this order the reciprocal of a subnormal does not overflow.
    if y < 0.0 {
        ldexp(1.0 / result, -power)
    } else {
        ldexp(result, power)
    }
}

/// The angle of the point `(x, y)`: Go's `math.Atan2`.
pub(super) fn atan2(y: f64, x: f64) -> f64 {
    const THREE_QUARTERS_PI: f64 = 2.356194490192345;
    if x.is_nan() || y.is_nan() {
        return f64::NAN;
    }
    if y == 0.0 {
        let angle = if x.is_sign_negative() { PI } else { 0.0 };
        return angle.copysign(y);
    }
    if x == 0.0 {
        return FRAC_PI_2.copysign(y);
    }
    if x.is_infinite() {
        let angle = match (x > 0.0, y.is_infinite()) {
            (true, true) => FRAC_PI_4,
            (true, false) => 0.0,
            (false, true) => THREE_QUARTERS_PI,
            (false, false) => PI,
        };
        return angle.copysign(y);
    }
    if y.is_infinite() {
        return FRAC_PI_2.copysign(y);
    }
    let angle = atan(y / x);
    if x >= 0.0 {
        angle
    } else if angle <= 0.0 {
        angle + PI
    } else {
        angle - PI
    }
}
