use super::*;

#[test]
fn text_is_that_of_go() {
    let cases = [
        (1e6, "1e+06"),
        (999_999.0, "999999"),
        (123_456_789.0, "1.23456789e+08"),
        (1e-4, "0.0001"),
        (1e-5, "1e-05"),
        (0.1, "0.1"),
        (0.0, "0"),
        (-0.0, "-0"),
        (f64::MAX, "1.7976931348623157e+308"),
        (5e-324, "5e-324"),
        (1.5e22, "1.5e+22"),
        (-2.5e-7, "-2.5e-07"),
        (
            f64::from_bits(0x4313_ed1c_c463_4261),
            "1.4021830918022642e+15",
        ),
        (
            f64::from_bits(0x4313_ed1c_c463_4263),
            "1.4021830918022648e+15",
        ),
        (9_007_199_254_740_993.0, "9.007199254740992e+15"),
        (123_456.789, "123456.789"),
        (-0.000_123, "-0.000123"),
        (f64::NAN, "NaN"),
        (f64::INFINITY, "+Inf"),
        (f64::NEG_INFINITY, "-Inf"),
    ];
    for (value, text) in cases {
        assert_eq!(GoFloat(value).to_string(), text);
    }
}

#[test]
fn parts_of_a_float_make_it_again() {
    for value in [
        1.0,
        -3.75,
        0.1,
        f64::MAX,
        f64::MIN_POSITIVE,
        5e-324,
        -1.5e-310,
    ] {
        let (fraction, exponent) = frexp(value);
        assert!((0.5..1.0).contains(&fraction.abs()), "{value}");
        assert_eq!(ldexp(fraction, exponent), value);
    }
    assert_eq!(frexp(0.0), (0.0, 0));
    assert_eq!(ldexp(1.0, 1024), f64::INFINITY);
    assert_eq!(ldexp(-1.0, -1076).to_bits(), (-0.0_f64).to_bits());
    assert_eq!(ldexp(1.0, -1074), 5e-324);
    assert_eq!(ldexp(1.0, i64::MIN), 0.0);
    assert_eq!(ldexp(1.0, i64::MAX), f64::INFINITY);
}

#[test]
fn logarithms_and_powers_at_their_ends() {
    for power in -1074..=1023 {
        let value = ldexp(1.0, power);
        assert_eq!(log2(value), power as f64);
        assert_eq!(exp2(power as f64), value);
    }
    assert_eq!(log2(0.0), f64::NEG_INFINITY);
    assert!(log2(-1.0).is_nan() && log2(f64::NAN).is_nan() && exp2(f64::NAN).is_nan());
    assert_eq!(
        [log2(f64::INFINITY), exp2(f64::INFINITY), exp2(1024.0)],
        [f64::INFINITY; 3]
    );
    assert_eq!([exp2(f64::NEG_INFINITY), exp2(-1075.0)], [0.0; 2]);
}
