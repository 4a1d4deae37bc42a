//! Trigonometric functions as Go computes them, after S. Moshier's Cephes library.

use std::f64::consts::{FRAC_1_PI, FRAC_PI_2, FRAC_PI_4};

use super::polynomial;

/// From here on, arguments are reduced with many digits of pi.
const LARGE: f64 = (1 << 29) as f64;
/// A quarter of pi in three parts, of which the first two have few bits.
const QUARTER: [f64; 3] = [
    f64::from_bits(0x3fe9_21fb_4000_0000),
    f64::from_bits(0x3e64_442d_0000_0000),
    f64::from_bits(0x3ce8_4698_98cc_5170),
];
const SIN: [f64; 6] = [
    f64::from_bits(0x3de5_d8fd_1fd1_9ccd),
    f64::from_bits(0xbe5a_e5e5_a929_1f5d),
    f64::from_bits(0x3ec7_1de3_567d_48a1),
    f64::from_bits(0xbf2a_01a0_19bf_df03),
    f64::from_bits(0x3f81_1111_1110_f7d0),
    f64::from_bits(0xbfc5_5555_5555_5548),
];
const COS: [f64; 6] = [
    f64::from_bits(0xbda8_fa49_a086_1a9b),
    f64::from_bits(0x3e21_ee9d_7b4e_3f05),
    f64::from_bits(0xbe92_7e4f_7eac_4bc6),
    f64::from_bits(0x3efa_01a0_19c8_44f5),
    f64::from_bits(0xbf56_c16c_16c1_4f91),
    f64::from_bits(0x3fa5_5555_5555_554b),
];
const TAN_ABOVE: [f64; 3] = [
    f64::from_bits(0xc0c9_92d8_d24f_3f38),
    f64::from_bits(0x4131_99ec_a5fc_9ddd),
    f64::from_bits(0xc171_1fea_d329_9176),
];
const TAN_BELOW: [f64; 5] = [
    1.0,
    f64::from_bits(0x40ca_b8a5_eeb3_6572),
    f64::from_bits(0xc134_27bc_582a_bc96),
    f64::from_bits(0x4177_d98f_c2ea_d8ef),
    f64::from_bits(0xc189_afe0_3cbe_5a31),
];
const ATAN_ABOVE: [f64; 5] = [
    -0.8750608600031904,
    -16.157537187333652,
    -75.00855792314705,
    -122.88666844901361,
    -64.85021904942025,
];
const ATAN_BELOW: [f64; 6] = [
    1.0,
    24.858464901423062,
    165.02700983169885,
    432.88106049129027,
    485.3903996359137,
    194.5506571482614,
];
/// What half of pi has beyond its float.
const MORE_OF_HALF: f64 = 6.123233995736766e-17;
/// The tangent of three eighths of pi.
const TAN_3_8: f64 = 2.414213562373095;

/// The binary digits of 4 divided by pi: 64 before the point, then 64 at a time.
const FOUR_BY_PI: [u64; 20] = [
    0x0000_0000_0000_0001,
    0x45f3_06dc_9c88_2a53,
    0xf84e_afa3_ea69_bb81,
    0xb6c5_2b32_7887_2083,
    0xfca2_c757_bd77_8ac3,
    0x6e48_dc74_849b_a5c0,
    0x0c92_5dd4_13a3_2439,
    0xfc3b_d639_6253_4e7d,
    0xd104_6bea_5d76_8909,
    0xd338_e04d_68be_fc82,
    0x7323_ac73_06a6_73e9,
    0x3908_bf17_7bf2_5076,
    0x3ff1_2fff_bc0b_301f,
    0xde5e_2316_b414_da3e,
    0xda6c_fd9e_4f96_136e,
    0x9e8c_7ecd_3cbf_d45a,
    0xea4f_758f_d7cb_e2f6,
    0x7a0e_73ef_14a5_25d4,
    0xd7f6_bf62_3f1a_ba10,
    0xac06_608d_f8f6_d757,
];

/// The sine (Go's `math.Sin`).
#[must_use]
pub fn sin(value: f64) -> f64 {
    if value == 0.0 || value.is_nan() {
        return value;
    }
    if value.is_infinite() {
        return f64::NAN;
    }
    let (octant, rest) = reduce(value.abs());
    let result = match octant % 4 {
        1 | 2 => cos_near_zero(rest),
        _ => sin_near_zero(rest),
    };
    negated_if((value < 0.0) != (octant > 3), result)
}

/// The cosine (Go's `math.Cos`).
#[must_use]
pub fn cos(value: f64) -> f64 {
    if !value.is_finite() {
        return f64::NAN;
    }
    let (octant, rest) = reduce(value.abs());
    let result = match octant % 4 {
        1 | 2 => sin_near_zero(rest),
        _ => cos_near_zero(rest),
    };
    negated_if((octant > 3) != (octant % 4 > 1), result)
}

/// The tangent (Go's `math.Tan`).
#[must_use]
pub fn tan(value: f64) -> f64 {
    if value == 0.0 || value.is_nan() {
        return value;
    }
    if value.is_infinite() {
        return f64::NAN;
    }
    let (octant, rest) = reduce(value.abs());
    let square = rest * rest;
    let mut result = rest;
    if square > 1e-14 {
        let above = square * polynomial(square, &TAN_ABOVE);
        result = rest + rest * (above / polynomial(square, &TAN_BELOW));
    }
    if octant & 2 == 2 {
        result = -1.0 / result;
    }
    negated_if(value < 0.0, result)
}

/// The inverse sine (Go's `math.Asin`).
#[must_use]
pub fn asin(value: f64) -> f64 {
    let size = value.abs();
    if value == 0.0 || value.is_nan() {
        return value;
    }
    if size > 1.0 {
        return f64::NAN;
    }
    let other = (1.0 - size * size).sqrt();
    let result = if size > 0.7 {
        FRAC_PI_2 - positive_atan(other / size)
    } else {
        positive_atan(size / other)
    };
    negated_if(value < 0.0, result)
}

/// The inverse cosine (Go's `math.Acos`).
#[must_use]
pub fn acos(value: f64) -> f64 {
    FRAC_PI_2 - asin(value)
}

/// The inverse tangent (Go's `math.Atan`).
#[must_use]
pub fn atan(value: f64) -> f64 {
    if value == 0.0 || value.is_nan() {
        return value;
    }
    negated_if(value < 0.0, positive_atan(value.abs()))
}

fn positive_atan(value: f64) -> f64 {
    if value <= 0.66 {
        atan_near_zero(value)
    } else if value > TAN_3_8 {
        FRAC_PI_2 - atan_near_zero(1.0 / value) + MORE_OF_HALF
    } else {
        FRAC_PI_4 + atan_near_zero((value - 1.0) / (value + 1.0)) + 0.5 * MORE_OF_HALF
    }
}

fn atan_near_zero(value: f64) -> f64 {
    let square = value * value;
    let above = square * polynomial(square, &ATAN_ABOVE);
    value * (above / polynomial(square, &ATAN_BELOW)) + value
}

fn sin_near_zero(value: f64) -> f64 {
    let square = value * value;
    value + value * square * polynomial(square, &SIN)
}

fn cos_near_zero(value: f64) -> f64 {
    let square = value * value;
    1.0 - 0.5 * square + square * square * polynomial(square, &COS)
}

fn negated_if(negative: bool, value: f64) -> f64 {
    if negative { -value } else { value }
}

/// Which even octant of the circle is nearest to a positive angle, and how far it is from its start.
fn reduce(angle: f64) -> (u64, f64) {
    if angle >= LARGE {
        return reduce_large(angle);
    }
    let octants = (angle * (4.0 * FRAC_1_PI)) as u64;
    let octants = octants + octants % 2;
    let [high, middle, low] = QUARTER;
    let count = octants as f64;
    let rest = ((angle - count * high) - count * middle) - count * low;
    (octants % 8, rest)
}

/// The same by the method of Payne and Hanek: of the product with 4 divided by pi, only those digits are
/// computed that are neither whole circles nor too small.
fn reduce_large(angle: f64) -> (u64, f64) {
    let bits = angle.to_bits();
    let mantissa = bits & ((1 << 52) - 1) | (1 << 52);
    // Of the mantissa's last bit; the product is to have three bits before the point.
    let first_bit = (bits >> 52) as usize + 61 - 1075;
    let digits = |at: usize| {
        let digit = |i: usize| FOUR_BY_PI.get(i).copied().unwrap_or_default();
        let (place, shift) = (at / 64, at % 64);
        let pair = u128::from(digit(place)) << 64 | u128::from(digit(place + 1));
        (pair << shift >> 64) as u64
    };
    let wide = |digits: u64| u128::from(digits) * u128::from(mantissa);
    let high = u128::from(digits(first_bit).wrapping_mul(mantissa)) << 64;
    let product = high
        .wrapping_add(wide(digits(first_bit + 64)))
        .wrapping_add(wide(digits(first_bit + 128)) >> 64);
    let (high, low) = ((product >> 64) as u64, product as u64);
    let octants = high >> 61;
    // The fraction is cut to the bits of a float, not rounded. What fills up a small one are not quite the
    // next bits, in Go.
    let fraction = high << 3 | low >> 61;
    let zeros = fraction.leading_zeros().min(62);
    let mantissa = (fraction << (zeros + 1) | low >> (63 - zeros)) >> 12;
    let rest = f64::from_bits(u64::from(1022 - zeros) << 52 | mantissa);
    if octants % 2 == 1 {
        ((octants + 1) % 8, (rest - 1.0) * FRAC_PI_4)
    } else {
        (octants, rest * FRAC_PI_4)
    }
}
