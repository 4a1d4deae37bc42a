//! Hyperbolic functions and their inverses as Go computes them, after Hart and Cheney, Cephes, and
//! FreeBSD's `s_log1p.c`.

use std::f64::consts::{LN_2, SQRT_2};

use super::{LN2_HIGH, LN2_LOW, LOG, exp, log, polynomial};

const SINH_ABOVE: [f64; 4] = [
    -26.30563213397497,
    -2894.211355989564,
    -89912.72022039509,
    -630767.3640497717,
];
const SINH_BELOW: [f64; 4] = [
    1.0,
    -173.6789535582337,
    15215.17378790019,
    -630767.3640497717,
];
const TANH_ABOVE: [f64; 3] = [-0.9643991794250523, -99.28772310019185, -1614.6876844170845];
const TANH_BELOW: [f64; 4] = [
    1.0,
    112.81167849163293,
    2235.4883906010045,
    4844.063053251255,
];
/// From here on the hyperbolic tangent is 1.
const TANH_IS_ONE: f64 = 0.5 * 88.02969193111305;
/// Beyond it, a square makes no difference to what is added to it.
const LARGE: f64 = (1 << 28) as f64;

/// The hyperbolic sine (Go's `math.Sinh`).
#[must_use]
pub fn sinh(value: f64) -> f64 {
    if value == 0.0 {
        return value;
    }
    let size = value.abs();
    let result = if size > 21.0 {
        exp(size) * 0.5
    } else if size > 0.5 {
        let power = exp(size);
        (power - 1.0 / power) * 0.5
    } else {
        let square = size * size;
        polynomial(square, &SINH_ABOVE) * size / polynomial(square, &SINH_BELOW)
    };
    if value < 0.0 { -result } else { result }
}

/// The hyperbolic cosine (Go's `math.Cosh`).
#[must_use]
pub fn cosh(value: f64) -> f64 {
    let power = exp(value.abs());
    if value.abs() > 21.0 {
        return power * 0.5;
    }
    (power + 1.0 / power) * 0.5
}

/// The hyperbolic tangent (Go's `math.Tanh`).
#[must_use]
pub fn tanh(value: f64) -> f64 {
    let size = value.abs();
    if size > TANH_IS_ONE {
        return 1.0_f64.copysign(value);
    }
    if size >= 0.625 {
        let result = 1.0 - 2.0 / (exp(2.0 * size) + 1.0);
        return result.copysign(value);
    }
    if value == 0.0 {
        return value;
    }
    let square = value * value;
    let above = value * square * polynomial(square, &TANH_ABOVE);
    value + above / polynomial(square, &TANH_BELOW)
}

/// The inverse hyperbolic sine (Go's `math.Asinh`).
#[must_use]
pub fn asinh(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let size = value.abs();
    let result = if size > LARGE {
        log(size) + LN_2
    } else if size > 2.0 {
        log(2.0 * size + 1.0 / ((size * size + 1.0).sqrt() + size))
    } else if size < 1.0 / LARGE {
        size
    } else {
        log1p(size + size * size / (1.0 + (1.0 + size * size).sqrt()))
    };
    if value < 0.0 { -result } else { result }
}

/// The inverse hyperbolic cosine (Go's `math.Acosh`).
#[must_use]
pub fn acosh(value: f64) -> f64 {
    if value.is_nan() || value < 1.0 {
        return f64::NAN;
    }
    if value == 1.0 {
        return 0.0;
    }
    if value >= LARGE {
        return log(value) + LN_2;
    }
    if value > 2.0 {
        return log(2.0 * value - 1.0 / (value + (value * value - 1.0).sqrt()));
    }
    let t = value - 1.0;
    log1p(t + (2.0 * t + t * t).sqrt())
}

/// The inverse hyperbolic tangent (Go's `math.Atanh`).
#[must_use]
pub fn atanh(value: f64) -> f64 {
    let size = value.abs();
    if value.is_nan() || size > 1.0 {
        return f64::NAN;
    }
    if value == 0.0 {
        return value;
    }
    let result = if size == 1.0 {
        f64::INFINITY
    } else if size < 1.0 / LARGE {
        size
    } else if size < 0.5 {
        let twice = size + size;
        0.5 * log1p(twice + twice * size / (1.0 - size))
    } else {
        0.5 * log1p((size + size) / (1.0 - size))
    };
    if value < 0.0 { -result } else { result }
}

/// The natural logarithm of 1 + `value`, of which all bits count, for a value that is not negative.
fn log1p(value: f64) -> f64 {
    const TINY: f64 = 1.0 / (1_u64 << 54) as f64;
    const SMALL: f64 = 1.0 / (1_u64 << 29) as f64;
    const MANTISSA: u64 = (1 << 52) - 1;
    if value.is_infinite() || value < TINY {
        return value;
    }
    if value < SMALL {
        return value - value * value * 0.5;
    }
    // 1 + value = 2^k (1 + f), and the correction is what was lost in that.
    let (mut f, mut k, mut correction) = (value, 0.0, 0.0);
    let mut is_short = false;
    if value >= SQRT_2 - 1.0 {
        let sum = if value < (1_u64 << 53) as f64 {
            1.0 + value
        } else {
            value
        };
        let bits = sum.to_bits();
        k = (bits >> 52) as f64 - 1023.0;
        if value < (1_u64 << 53) as f64 {
            let lost = if k > 0.0 {
                1.0 - (sum - value)
            } else {
                value - (sum - 1.0)
            };
            correction = lost / sum;
        }
        let mantissa = bits & MANTISSA;
        let (unit, distance) = if mantissa < SQRT_2.to_bits() & MANTISSA {
            (mantissa | 1023 << 52, mantissa)
        } else {
            k += 1.0;
            (mantissa | 1022 << 52, ((1 << 52) - mantissa) >> 2)
        };
        is_short = distance == 0;
        f = f64::from_bits(unit) - 1.0;
    }
    let half_square = 0.5 * f * f;
    let low = k * LN2_LOW + correction;
    if is_short {
        if f == 0.0 {
            return k * LN2_HIGH + low;
        }
        let rest = half_square * (1.0 - 2.0 / 3.0 * f);
        return k * LN2_HIGH - ((rest - low) - f);
    }
    let s = f / (2.0 + f);
    let square = s * s;
    let [first, ..] = LOG;
    let mut rest = 0.0;
    for coefficient in LOG.iter().skip(1).rev() {
        rest = square * (coefficient + rest);
    }
    let rest = square * (first + rest);
    if k == 0.0 {
        return f - (half_square - s * (half_square + rest));
    }
    k * LN2_HIGH - ((half_square - (s * (half_square + rest) + low)) - f)
}
