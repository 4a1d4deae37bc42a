//! `exp` as Go's assembly for amd64 computes it.
//!
//! The method is that of N. Shibata's SLEEF: a Taylor series of a sixteenth of the argument, squared four
//! times. Processors with fused multiplication round less often; all that are in use have it.

/// Where the result is no longer finite.
const OVERFLOW: f64 = 709.782712893384;
/// High and low part of the natural logarithm of 2.
const LN2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fefa_3000);
const LN2_LOW: f64 = 2.8235290563031577e-13;
/// One over the factorials of 8 down to 1.
const TAYLOR: [f64; 8] = [
    1.0 / 40_320.0,
    1.0 / 5_040.0,
    1.0 / 720.0,
    1.0 / 120.0,
    1.0 / 24.0,
    1.0 / 6.0,
    0.5,
    1.0,
];

/// e to the power of `value` (Go's `math.Exp`).
#[must_use]
pub fn exp(value: f64) -> f64 {
    if value.is_nan() {
        return value;
    }
    if value > OVERFLOW {
        return f64::INFINITY;
    }
    // What is too small for an integer becomes the smallest one, and the result zero.
    let power = (value * std::f64::consts::LOG2_E).round_ties_even() as i32;
    if power < -1075 {
        return 0.0;
    }
    let k = -f64::from(power);
    let rest = k.mul_add(LN2_LOW, k.mul_add(LN2_HIGH, value)) * 0.0625;
    let series = TAYLOR
        .iter()
        .copied()
        .reduce(|sum, next| rest.mul_add(sum, next));
    let mut less_one = rest * series.unwrap_or_default();
    // (1 + y)² - 1 = y (y + 2).
    for _ in 0..3 {
        less_one *= less_one + 2.0;
    }
    let unit = (less_one + 2.0).mul_add(less_one, 1.0);
    match power + 1023 {
        ..=0 => unit * power_of_two(power + 1022) * f64::MIN_POSITIVE,
        1..2047 => unit * power_of_two(power),
        _ => f64::INFINITY,
    }
}

/// 2 to a power that is that of a normal float.
fn power_of_two(power: i32) -> f64 {
    f64::from_bits(u64::from((power + 1023).unsigned_abs()) << 52)
}
