use std::sync::Arc;

use proptest::prelude::*;
use rutile_model::FloatHistogram;
use rutile_model::go_float::shortest;
use rutile_model::sample::Span;
use rutile_promql::{RangeSeries, Value, parse_metric};

use super::*;

fn written(push: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    push(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn floats_are_those_of_go() {
    let check = |value: f64, expected: &str| {
        assert_eq!(
            written(|out| push_float(out, value)),
            format!("\"{expected}\"")
        );
    };
    check(0.0, "0");
    check(-0.0, "-0");
    check(-1.0, "-1");
    check(0.1, "0.1");
    check(-2.5, "-2.5");
    check(1.234_567, "1.234567");
    check(0.000_001, "0.000001");
    check(0.000_000_9, "9e-07");
    check(-1.5e-10, "-1.5e-10");
    check(123_456.789_012_3, "123456.7890123");
    check(1.0 / 3.0, "0.3333333333333333");
    check(9_007_199_254_740_993.0, "9007199254740992");
    check(1e20, "100000000000000000000");
    check(1e21, "1e+21");
    check(1.797_693_134_862_315_7e308, "1.7976931348623157e+308");
    check(5e-324, "5e-324");
    check(f64::NAN, "NaN");
    check(f64::INFINITY, "+Inf");
    check(f64::NEG_INFINITY, "-Inf");
    // Two shortest numbers are equally near, the even one counts.
    check(5e22, "5e+22");
    check(1_125_899_906_842_624.0 + 0.25, "1125899906842624.2");
    check(1_125_899_906_842_624.0 + 0.75, "1125899906842624.8");
    check(9_007_199_254_740_992.0 * 513.0, "4620693217682129000");
    assert_eq!(
        written(|out| push_fixed(out, 1e22)),
        "\"10000000000000000000000\""
    );
    assert_eq!(written(|out| push_fixed(out, -2.5e-8)), "\"-0.000000025\"");
}

proptest! {
    #[test]
    fn floats_read_back(bits: u64, decimals in -1_000_000_000_000_i64..1_000_000_000_000) {
        for value in [f64::from_bits(bits), decimals as f64 / 1e4, decimals as f64 / 1e7] {
            let text = written(|out| push_float(out, value));
            let read: f64 = text.trim_matches('"').parse().unwrap();
            prop_assert!(value.is_nan() && read.is_nan() || read.to_bits() == value.to_bits(), "{text}");
            prop_assert_eq!(significant(&text), significant(&shortest(value)), "{}", text);
        }
    }

    #[test]
    fn small_floats_have_no_exponent(digits: u32, decimals in 9..17_i32) {
        let value = f64::from(digits) / 10_f64.powi(decimals);
        let text = written(|out| push_float(out, value));
        prop_assert_eq!(text.contains('e'), value != 0.0 && value < 1e-6, "{}", text);
        prop_assert_eq!(text.trim_matches('"').parse(), Ok(value), "{}", text);
        prop_assert_eq!(significant(&text), significant(&shortest(value)), "{}", text);
    }
}

/// The digits of a number, without zeros at both ends.
fn significant(text: &str) -> String {
    let number = text.split('e').next().unwrap_or_default();
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').to_owned()
}

#[test]
fn times_have_no_or_three_decimals() {
    let check = |ms: i64, time: &str, seconds: &str| {
        assert_eq!(written(|out| push_time(out, ms)), time);
        assert_eq!(written(|out| push_seconds(out, ms)), seconds);
    };
    check(0, "0", "0");
    check(1_435_781_451_000, "1435781451", "1435781451");
    check(1_435_781_450_000, "1435781450", "1435781450");
    check(1_435_781_451_050, "1435781451.050", "1435781451.05");
    check(-1, "-0.001", "-0.001");
    check(i64::MIN, "-9223372036854775.808", "-9223372036854775.808");
}

#[test]
fn strings_are_escaped_as_go_does() {
    let text = "a\"b\\c\nd\re\tf\u{1}g\u{8}h<i>&\u{2028}\u{2029}\u{20ac}ü";
    let plain = "\"a\\\"b\\\\c\\nd\\re\\tf\\u0001g\\u0008h<i>&\u{2028}\u{2029}\u{20ac}ü\"";
    let safe =
        "\"a\\\"b\\\\c\\nd\\re\\tf\\u0001g\\u0008h\\u003ci\\u003e\\u0026\\u2028\\u2029\u{20ac}ü\"";
    assert_eq!(written(|out| push_text(out, text)), plain);
    assert_eq!(written(|out| push_html_safe(out, text)), safe);
    let read: String = serde_json::from_str(safe).unwrap();
    assert_eq!(read, text);
}

fn histogram() -> FloatHistogram {
    FloatHistogram {
        schema: 0,
        zero_threshold: 0.25,
        zero_count: 3.0,
        count: 21.0,
        sum: 1.5,
        positive_spans: vec![Span {
            offset: 0,
            length: 3,
        }],
        negative_spans: vec![Span {
            offset: 1,
            length: 1,
        }],
        positive_buckets: vec![12.0, 0.0, 2.0],
        negative_buckets: vec![4.0],
        ..FloatHistogram::default()
    }
}

#[test]
fn histograms_name_their_bounds() {
    let expected = "{\"count\":\"21\",\"sum\":\"1.5\",\"buckets\":[[1,\"-2\",\"-1\",\"4\"],[3,\"-0.25\",\"0.25\",\"3\"],\
                    [0,\"0.5\",\"1\",\"12\"],[0,\"2\",\"4\",\"2\"]]}";
    assert_eq!(written(|out| push_histogram(out, &histogram())), expected);
    let empty = FloatHistogram::default();
    assert_eq!(
        written(|out| push_histogram(out, &empty)),
        "{\"count\":\"0\",\"sum\":\"0\"}"
    );
}

fn pieces(value: Value) -> Vec<String> {
    let text = |piece: bytes::Bytes| String::from_utf8(piece.to_vec()).unwrap();
    Pieces::new(b"<".to_vec(), value, b">".to_vec())
        .map(Piece::write)
        .map(text)
        .collect()
}

#[test]
fn a_matrix_has_floats_and_histograms() {
    let series = |labels: &str, floats: Vec<(i64, f64)>, histograms: usize| RangeSeries {
        labels: parse_metric(labels).unwrap(),
        floats,
        histograms: (0..histograms)
            .map(|_| (0, Arc::new(FloatHistogram::default())))
            .collect(),
    };
    let matrix = vec![
        series("up{a=\"<\"}", vec![(1000, 1.0), (2500, 0.5)], 0),
        series("{}", vec![(0, 1.0)], 1),
        series("x", vec![], 2),
    ];
    let empty = "{\"count\":\"0\",\"sum\":\"0\"}";
    let expected = format!(
        "<[{{\"metric\":{{\"__name__\":\"up\",\"a\":\"<\"}},\"values\":[[1,\"1\"],[2.500,\"0.5\"]]}},\
         {{\"metric\":{{}},\"values\":[[0,\"1\"]],\"histograms\":[[0,{empty}]]}},\
         {{\"metric\":{{\"__name__\":\"x\"}},\"histograms\":[[0,{empty}],[0,{empty}]]}}]>"
    );
    assert_eq!(pieces(Value::Matrix(matrix)), [expected]);
    assert_eq!(pieces(Value::Matrix(Vec::new())), ["<[]>"]);
    assert_eq!(pieces(Value::Vector(Vec::new())), ["<[]>"]);
}

#[test]
fn every_point_has_its_own_time() {
    let far = 9_000_000_000_000_000_000;
    let all = [
        vec![(1000, 1.0), (2000, 2.0), (3000, 3.0)],
        vec![(1000, 1.0), (2500, 2.0), (3000, 3.0), (4000, 4.0)],
        vec![(2000, 2.0), (2500, 2.0), (far, 3.0), (far, 4.0), (far, 5.0)],
        vec![
            (far, 1.0),
            (far, 2.0),
            (far, 3.0),
            (-1, 4.0),
            (far, 5.0),
            (0, 6.0),
        ],
    ];
    let series = all.iter().map(|floats| RangeSeries {
        labels: parse_metric("{}").unwrap(),
        floats: floats.clone(),
        histograms: Vec::new(),
    });
    let text = pieces(Value::Matrix(series.collect())).concat();
    let point = |(ms, value): &(i64, f64)| {
        let time = written(|out| push_time(out, *ms));
        format!("[{time},\"{value}\"]")
    };
    let of_one = |floats: &Vec<_>| {
        let points: Vec<_> = floats.iter().map(point).collect();
        format!("{{\"metric\":{{}},\"values\":[{}]}}", points.join(","))
    };
    let expected: Vec<_> = all.iter().map(of_one).collect();
    assert_eq!(text, format!("<[{}]>", expected.join(",")));
}

#[test]
fn scalars_and_strings_are_pairs() {
    let scalar = Value::Scalar {
        time_ms: 1500,
        value: 1e21,
    };
    assert_eq!(pieces(scalar), ["<[1.5,\"1000000000000000000000\"]>"]);
    let string = Value::String {
        time_ms: 1000,
        value: "a<b".to_owned(),
    };
    assert_eq!(pieces(string), ["<[1,\"a\\u003cb\"]>"]);
}

#[test]
fn a_long_answer_comes_in_bounded_pieces() {
    let floats: Vec<(i64, f64)> = (0..2_000).map(|i| (i * 15_000, i as f64 / 3.0)).collect();
    let series = |i: usize| RangeSeries {
        labels: parse_metric(&format!("up{{i=\"{i}\"}}")).unwrap(),
        floats: floats.clone(),
        histograms: vec![(0, Arc::new(histogram())); 100],
    };
    let one = pieces(Value::Matrix(vec![series(0)])).concat().len();
    let pieces = pieces(Value::Matrix((0..60).map(series).collect()));
    assert!(pieces.len() > 20);
    assert!(pieces.iter().all(|piece| piece.len() < (128 << 10) + one));
    let whole = pieces.concat();
    let json = whole.trim_start_matches('<').trim_end_matches('>');
    let read: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!(read.as_array().unwrap().len(), 60);
    for series in read.as_array().unwrap() {
        assert_eq!(series["values"].as_array().unwrap().len(), 2_000);
        assert_eq!(series["values"][1_999][0], 29_985);
        assert_eq!(series["histograms"].as_array().unwrap().len(), 100);
    }
}
