//! Floats as Go writes and computes them.
//!
//! PromQL's results are those of Go's `strconv` and `math` on amd64, down to the last bit: the
//! platform's `log2` and `exp2` differ from them by a unit in the last place now and then, and Rust
//! prints large and small numbers in another form. Source of the algorithms: Go 1.26,
//! `src/math/{log,log10,exp,ldexp,frexp}.go`, which follow FreeBSD's `e_log.c` and `e_exp.c`; the modules
//! name theirs.

mod exp;
mod hyperbolic;
mod trig;

use std::fmt;

pub use exp::exp;
pub use hyperbolic::{acosh, asinh, atanh, cosh, sinh, tanh};
pub use trig::{acos, asin, atan, cos, sin, tan};

/// High and low part of the natural logarithm of 2: the high part times a small whole number is
/// exact.
const LN2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
const LN2_LOW: f64 = f64::from_bits(0x3dea_39ef_3579_3c76);

/// Writes a float as Go's verb `%g` does without a precision: the fewest digits that read back as
/// the same float, with an exponent below 1e-4 and from 1e6 on; `NaN`, `+Inf`, `-Inf`.
#[derive(Debug, Clone, Copy)]
pub struct GoFloat(pub f64);

impl fmt::Display for GoFloat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0;
        if value.is_nan() {
            return f.write_str("NaN");
        }
        if value.is_infinite() {
            return f.write_str(if value > 0.0 { "+Inf" } else { "-Inf" });
        }
        let scientific = shortest(value);
        let Some((digits, exponent)) = scientific.split_once('e') else {
            return f.write_str(&scientific);
        };
        let power: i32 = exponent.parse().unwrap_or_default();
        if (-4..6).contains(&power) || value == 0.0 {
            let fraction = digits
                .split_once('.')
                .map_or(0, |(_, fraction)| fraction.len());
            let decimals = i32::try_from(fraction)
                .unwrap_or(i32::MAX)
                .saturating_sub(power);
            let decimals = usize::try_from(decimals).unwrap_or_default();
            return write!(f, "{value:.decimals$}");
        }
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => ('-', exponent),
            None => ('+', exponent),
        };
        write!(f, "{digits}e{sign}{exponent:0>2}")
    }
}

/// The fewest digits that read back as the same float, with an exponent: `-1.25e3`. If two such numbers
/// are equally near, Rust takes the upper one and Go the one with the even digit, as rounding does.
#[must_use]
pub fn shortest(value: f64) -> String {
    // With fewer digits, the number in the middle would be written instead.
    const FEWEST_DIGITS_OF_A_TIE: usize = 15;
    let shortest = format!("{value:e}");
    let digits = shortest.split_once('e').map_or("", |(digits, _)| digits);
    let decimals = digits
        .split_once('.')
        .map_or(0, |(_, decimals)| decimals.len());
    if decimals + 1 < FEWEST_DIGITS_OF_A_TIE {
        return shortest;
    }
    let rounded = format!("{value:.decimals$e}");
    if rounded.parse() == Ok(value) {
        rounded
    } else {
        shortest
    }
}

/// Splits a float into a fraction from 0.5 up to but not including 1, with its sign, and the power
/// of two to multiply it with. Zeros, infinities and NaN come back as they are.
#[must_use]
pub fn frexp(value: f64) -> (f64, i64) {
    if value == 0.0 || !value.is_finite() {
        return (value, 0);
    }
    let (normal, shift) = if value.abs() < f64::MIN_POSITIVE {
        (value * (1_u64 << 52) as f64, -52)
    } else {
        (value, 0)
    };
    let bits = normal.to_bits();
    let exponent = i64::from((bits >> 52) as u32 & 0x7ff) - 1022 + shift;
    (
        f64::from_bits(bits & !(0x7ff << 52) | (1022 << 52)),
        exponent,
    )
}

/// `fraction` times 2 to the power of `exponent`, rounded once.
#[must_use]
pub fn ldexp(fraction: f64, exponent: i64) -> f64 {
    let bits = fraction.to_bits();
    let biased = (bits >> 52 & 0x7ff).cast_signed();
    let scaled = biased.saturating_add(exponent);
    if biased != 0 && (1..0x7ff).contains(&scaled) && biased != 0x7ff {
        // Of normal numbers only the exponent changes.
        return f64::from_bits(bits & !(0x7ff << 52) | (scaled.cast_unsigned() << 52));
    }
    if fraction == 0.0 || !fraction.is_finite() {
        return fraction;
    }
    let (unit, shift) = frexp(fraction);
    // Of the form 1.xxx, as the bits hold it.
    let power = exponent.saturating_add(shift).saturating_sub(1);
    if power < -1075 {
        return 0.0_f64.copysign(fraction);
    }
    if power > 1023 {
        return f64::INFINITY.copysign(fraction);
    }
    // A subnormal result is made in two steps, of which only the last one rounds.
    let (power, scale) = if power < -1022 {
        (power + 53, 1.0 / (1_u64 << 53) as f64)
    } else {
        (power, 1.0)
    };
    let biased = (power + 1023).unsigned_abs();
    scale * f64::from_bits(unit.to_bits() & !(0x7ff << 52) | (biased << 52))
}

/// Coefficients of the logarithm of (1 + s) / (1 - s), by even powers of s.
const LOG: [f64; 7] = [
    f64::from_bits(0x3fe5_5555_5555_5593),
    f64::from_bits(0x3fd9_9999_9997_fa04),
    f64::from_bits(0x3fd2_4924_9422_9359),
    f64::from_bits(0x3fcc_71c5_1d8e_78af),
    f64::from_bits(0x3fc7_4664_96cb_03de),
    f64::from_bits(0x3fc3_9a09_d078_c69f),
    f64::from_bits(0x3fc2_f112_df3e_5244),
];

/// The natural logarithm of a fraction from 0.5 up to 1, times a power of two.
fn ln(mut fraction: f64, mut power: i64) -> f64 {
    // The boundary itself belongs to the lower half on amd64.
    if fraction <= std::f64::consts::FRAC_1_SQRT_2 {
        fraction *= 2.0;
        power -= 1;
    }
    let f = fraction - 1.0;
    let k = power as f64;
    let s = f / (2.0 + f);
    let s2 = s * s;
    let s4 = s2 * s2;
    let odd = s2 * (LOG[0] + s4 * (LOG[2] + s4 * (LOG[4] + s4 * LOG[6])));
    let even = s4 * (LOG[1] + s4 * (LOG[3] + s4 * LOG[5]));
    let rest = odd + even;
    let half_square = 0.5 * f * f;
    k * LN2_HIGH - ((half_square - (s * (half_square + rest) + k * LN2_LOW)) - f)
}

/// A polynomial, whose coefficients begin with that of the highest power.
fn polynomial(value: f64, coefficients: &[f64]) -> f64 {
    let sum = coefficients.iter().copied();
    sum.reduce(|sum, next| sum * value + next)
        .unwrap_or_default()
}

/// The natural logarithm (Go's `math.Log`).
#[must_use]
pub fn log(value: f64) -> f64 {
    if value.is_nan() || value == f64::INFINITY {
        return value;
    }
    if value == 0.0 {
        return f64::NEG_INFINITY;
    }
    if value < 0.0 {
        return f64::NAN;
    }
    if value < f64::MIN_POSITIVE {
        // Go's assembly for amd64 reads subnormal floats as if they were normal.
        return ln(f64::from_bits(value.to_bits() | 1022 << 52), -1022);
    }
    let (fraction, power) = frexp(value);
    ln(fraction, power)
}

/// The decimal logarithm (Go's `math.Log10`).
#[must_use]
pub fn log10(value: f64) -> f64 {
    log(value) * std::f64::consts::LOG10_E
}

/// The binary logarithm (Go's `math.Log2`): exact for powers of two.
#[must_use]
pub fn log2(value: f64) -> f64 {
    if value.is_nan() || value == f64::INFINITY {
        return value;
    }
    if value == 0.0 {
        return f64::NEG_INFINITY;
    }
    if value < 0.0 {
        return f64::NAN;
    }
    let (fraction, exponent) = frexp(value);
    if fraction == 0.5 {
        return (exponent - 1) as f64;
    }
    ln(fraction, 0) * (1.0 / std::f64::consts::LN_2) + exponent as f64
}

/// 2 to the power of `value` (Go's `math.Exp2`).
#[must_use]
pub fn exp2(value: f64) -> f64 {
    const P: [f64; 5] = [
        f64::from_bits(0x3fc5_5555_5555_5555),
        f64::from_bits(0xbf66_c16c_16be_bd93),
        f64::from_bits(0x3f11_566a_af25_de2c),
        f64::from_bits(0xbebb_bd41_c5d2_6bf1),
        f64::from_bits(0x3e66_3769_72be_a4d0),
    ];
    const OVERFLOW: f64 = f64::from_bits(0x408f_ffff_ffff_ffff);
    const UNDERFLOW: f64 = -1074.0;
    if value.is_nan() {
        return value;
    }
    if value > OVERFLOW {
        return f64::INFINITY;
    }
    if value < UNDERFLOW {
        return 0.0;
    }
    let power = if value > 0.0 {
        (value + 0.5).trunc()
    } else if value < 0.0 {
        (value - 0.5).trunc()
    } else {
        0.0
    };
    let t = value - power;
    let high = t * LN2_HIGH;
    let low = -t * LN2_LOW;
    let r = high - low;
    let square = r * r;
    let c =
        r - square * (P[0] + square * (P[1] + square * (P[2] + square * (P[3] + square * P[4]))));
    let y = 1.0 - ((low - (r * c) / (2.0 - c)) - high);
    ldexp(y, power as i64)
}

#[cfg(test)]
mod tests;
