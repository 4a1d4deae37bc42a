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

/// What Go 1.26 says on amd64 of [`ARGUMENTS`]; that all bits are the same was also checked for 140,000
/// floats at random.
#[rustfmt::skip]
const GO: [[u64; 6]; 15] = [
    [0x3ff0_0419_19b7_ee34, 0x3ff7_de83_92fb_bfe0, 0x3fda_053c_c008_6e1e, 0x4015_e552_770d_f8a7, 0x42b0_063f_4e68_7ba2, 0x7ff0_0000_0000_0000],
    [0xc01b_a18a_998f_ffa0, 0xbfed_5240_f0e0_e077, NAN, 0x3fe0_fae8_1914_a991, 0x400b_5781_1666_499e, 0x4049_5414_6219_54fe],
    [0xc008_0000_0000_0000, 0xbfd9_77d9_5ec1_0c01, NAN, 0x3fcd_7f59_aa5b_ecb9, 0x3ff7_bfb1_3037_3d70, 0x4036_0000_0000_0000],
    [0x3f50_624d_a521_8a62, 0x3fd8_ec3a_e92b_676b, 0xbfe9_1103_985d_a841, 0x3fef_bbb7_d72f_98b7, 0xbfe9_614c_6061_2547, 0xbfeb_453a_b76b_f398],
    [0x3fef_fffe_f390_876c, 0x3fed_7954_e7db_a2f7, 0x3fe3_e43a_9692_e21d, 0xbfc0_7df9_f4a2_6c86, 0x3fe3_7d62_f559_eccf, 0x3fe0_be2c_ef01_c8f3],
    [0x3f50_624e_2e91_ebe4, 0x3fdb_0f0b_49dc_dcd8, 0xbff4_299b_a9c2_a137, 0xc01e_c952_123d_33f2, 0xbff4_d5e8_b66a_2c80, 0xbffa_0f79_c1b6_b259],
    [0x3f50_624e_00c1_cb16, 0x3fda_564a_c0e7_3a34, 0xbff1_ea93_705f_a172, NAN, NAN, NAN],
    [0x3ff9_1de2_c0c3_fca5, 0x3ff2_8c68_a40a_5e8b, 0x4005_8647_6251_e745, NAN, NAN, NAN],
    [0x3f50_624d_7751_6e16, 0x3fd8_5a37_6b67_7dc0, 0xbfe7_7338_a806_03be, 0x3ff0_a00a_3bce_369f, 0x3ff8_9bbc_196e_c7fe, 0x3ff9_21fb_5444_2d18],
    [0x3f50_624e_00c1_c9e3, 0x3fda_49c4_1f85_0ed3, 0xbff0_6c9c_cd5b_6af8, 0x4005_2a41_1348_ac57, 0x42a0_063f_4e68_7ba2, 0x7ff0_0000_0000_0000],
    [0x3ff0_0000_8637_bdc1, 0x3ff1_4c12_8b1a_7c2c, 0x3ff6_edeb_fd5d_8680, 0x4006_a063_dad3_44f7, 0x42a0_063f_4e68_7ba2, 0x7ff0_0000_0000_0000],
    [0x3f50_624d_7751_6ce2, 0x3fd8_5115_73c2_42d6, 0xbfe6_ebe9_82d6_605d, 0x3fed_eedf_00d3_e7f5, 0x3ff0_0000_0000_0000, 0x3ff0_0000_0000_0000],
    [0x3f50_624d_a521_8b95, 0x3fd8_f656_b3ac_ced6, 0xbfe9_e23c_e96e_38d4, 0x3ff4_d029_1473_fd4a, 0x4010_71cf_56f9_9cd7, 0x4049_accd_6e15_3de6],
    [NAN, NAN, NAN, 0x3ff1_f8c1_0d01_0fe6, 0x4010_7142_70a0_d740, 0x4049_accd_6e15_3de6],
    [0x3f50_624e_2e91_ed17, 0x3fdb_1d10_670a_ae9a, 0xbff7_8e36_0604_b32d, NAN, NAN, NAN],
];
const ARGUMENTS: [f64; 6] = [1e-3, 0.4, -0.9, 1.7, 30.5, 1e22];
const NAN: u64 = f64::NAN.to_bits();

#[test]
fn functions_are_those_of_go() {
    let functions = [
        exp, log, log10, sin, cos, tan, asin, acos, atan, sinh, cosh, tanh, asinh, acosh, atanh,
    ];
    for (i, (function, want)) in functions.into_iter().zip(GO).enumerate() {
        let got = ARGUMENTS.map(function).map(|value| match value.is_nan() {
            true => NAN,
            false => value.to_bits(),
        });
        assert_eq!(got, want, "function {i}");
    }
    for odd in [sin, tan, asin, atan, sinh, tanh, asinh, atanh] {
        assert_eq!(odd(-0.0).to_bits(), (-0.0_f64).to_bits());
    }
}
