//! `^` and `atan2` as Go computes them on amd64 (with fused multiply-add, which all processors in use
//! have), to the last bit: the platform's own functions differ in it now and then. Only the logarithms of
//! subnormal numbers, which Go gets wrong, are right here.
//!
//! Source of the algorithms: Go 1.26, `src/math/{pow,atan,atan2}.go` and `exp_amd64.s`; the arctangent is
//! that of the Cephes library.

use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, LOG2_E, PI};

use rutile_model::go_float::{frexp, ldexp, log};

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

/// e to the power of `value`: Go's `math.Exp`.
fn exp(value: f64) -> f64 {
    const OVERFLOW: f64 = 709.782712893384;
    const LN2_HIGH: f64 = 0.693147180559663;
    const LN2_LOW: f64 = 2.823529056303158e-13;
    const TAYLOR: [f64; 7] = [
        0.0001984126984126984,
        0.001388888888888889,
        0.008333333333333333,
        0.041666666666666664,
        0.16666666666666666,
        0.5,
        1.0,
    ];
    const SMALLEST: i32 = -52;
    if value.is_nan() || value == f64::INFINITY {
        return value;
    }
    if value > OVERFLOW {
        return f64::INFINITY;
    }
    let power = (value * LOG2_E).round_ties_even();
    let rest = (-power).mul_add(LN2_LOW, (-power).mul_add(LN2_HIGH, value)) / 16.0;
    let series = |sum: f64, term: &f64| sum.mul_add(rest, *term);
    let mut result = rest * TAYLOR.iter().fold(2.48015873015873e-05, series);
    // From e^r - 1 to e^16r - 1, by squares; the last of them adds the 1.
    for _ in 0..3 {
        result *= result + 2.0;
    }
    result = (result + 2.0).mul_add(result, 1.0);
    let biased = (power as i32).saturating_add(1023);
    match biased {
        2047.. => f64::INFINITY,
        1.. => result * power_of_two(biased),
        SMALLEST.. => result * power_of_two(biased + 1022) * f64::MIN_POSITIVE,
        _ => 0.0,
    }
}

/// The power of two with a biased exponent of 1 to 2046.
fn power_of_two(biased: i32) -> f64 {
    f64::from_bits(u64::from(biased.unsigned_abs()) << 52)
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

/// Go's `math.Atan`.
fn atan(value: f64) -> f64 {
    /// What the float nearest to half of pi lacks.
    const REST: f64 = 6.123233995736766e-17;
    const TAN_3_EIGHTHS_PI: f64 = 2.414213562373095;
    let size = value.abs();
    let angle = if size <= 0.66 {
        small_atan(size)
    } else if size > TAN_3_EIGHTHS_PI {
        FRAC_PI_2 - small_atan(1.0 / size) + REST
    } else {
        FRAC_PI_4 + small_atan((size - 1.0) / (size + 1.0)) + 0.5 * REST
    };
    angle.copysign(value)
}

/// The arctangent of a value of at most 0.66, by a rational function.
fn small_atan(value: f64) -> f64 {
    const P: [f64; 5] = [
        -0.8750608600031904,
        -16.157537187333652,
        -75.00855792314705,
        -122.88666844901361,
        -64.85021904942025,
    ];
    const Q: [f64; 6] = [
        1.0,
        24.858464901423062,
        165.02700983169885,
        432.88106049129027,
        485.3903996359137,
        194.5506571482614,
    ];
    let square = value * value;
    let at_square = |sum: f64, factor: &f64| sum * square + factor;
    let above = P.iter().fold(0.0, at_square);
    let below = Q.iter().fold(0.0, at_square);
    value * (square * above / below) + value
}
