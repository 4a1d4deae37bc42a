//! Compares with what Prometheus 3.14's own parser said about some 2,000 queries and 850 series
//! (`testdata/README.md` says where they are from): spelling, layout, messages and positions.

use rutile_model::{CounterResetHint, FloatHistogram, sample::Span};
use rutile_promql::{Expr, ParserOptions, SeriesValue, parse_expr, parse_series};
use serde::Deserialize;

#[derive(Deserialize)]
struct Query {
    r#in: String,
    /// With all options on.
    on: Outcome,
    /// With all options off, if that differs.
    off: Option<Outcome>,
    /// Kind and bytes of each node, outer ones first.
    spans: Option<String>,
}

#[derive(Deserialize, Debug, PartialEq)]
struct Outcome {
    text: Option<String>,
    /// If it differs from `text`.
    pretty: Option<String>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Series {
    r#in: String,
    text: Option<String>,
    error: Option<String>,
}

fn lines<T: for<'de> Deserialize<'de>>(text: &str) -> Vec<T> {
    let parse = |line| serde_json::from_str(line).expect("the file is JSON lines");
    text.lines().map(parse).collect()
}

fn outcome(query: &str, options: &ParserOptions) -> Outcome {
    match parse_expr(query, options) {
        Ok(expr) => {
            let (text, pretty) = (expr.to_string(), expr.pretty());
            Outcome {
                pretty: (pretty != text).then_some(pretty),
                text: Some(text),
                error: None,
            }
        }
        Err(errors) => Outcome {
            text: None,
            pretty: None,
            error: Some(errors.to_string()),
        },
    }
}

#[test]
fn queries() {
    let cases: Vec<Query> = lines(include_str!("../testdata/reference.jsonl"));
    assert!(cases.len() > 2000);
    for case in cases {
        let query = &case.r#in;
        let prometheus = ParserOptions {
            thanos_functions: false,
            ..ParserOptions::all()
        };
        assert_eq!(outcome(query, &prometheus), case.on, "{query}");
        if let Some(want) = case.spans {
            assert_eq!(spans_of(query), want, "{query}");
        }
        let off = case.off.as_ref().unwrap_or(&case.on);
        assert_eq!(&outcome(query, &ParserOptions::default()), off, "{query}");
    }
}

fn spans_of(query: &str) -> String {
    let expr = parse_expr(query, &ParserOptions::all()).expect("it was read before");
    let mut spans = Vec::new();
    expr.walk(&mut |expr| {
        let kind = match expr {
            Expr::Number(_) => 'N',
            Expr::String(_) | Expr::Subquery(_) => 'S',
            Expr::Vector(_) => 'V',
            Expr::Matrix(_) => 'M',
            Expr::Paren(_) => 'P',
            Expr::Unary(_) => 'U',
            Expr::Binary(_) => 'B',
            Expr::Aggregate(_) => 'A',
            Expr::Call(_) => 'C',
        };
        spans.push(format!("{kind}{}-{}", expr.span().start, expr.span().end));
    });
    spans.join(" ")
}

#[test]
fn series() {
    let cases: Vec<Series> = lines(include_str!("../testdata/reference_series.jsonl"));
    assert!(cases.len() > 800);
    for case in cases {
        let text = &case.r#in;
        match parse_series(text) {
            Ok((labels, values)) => {
                let mut shown = labels.to_string();
                for value in &values {
                    shown.push(' ');
                    shown.push_str(&show(value.as_ref()));
                }
                assert_eq!(Some(shown), case.text, "{text}");
            }
            Err(errors) => assert_eq!(Some(errors.to_string()), case.error, "{text}"),
        }
    }
}

/// A value in the notation of the file: the bits of all floats.
fn show(value: Option<&SeriesValue>) -> String {
    match value {
        None => "_".to_owned(),
        Some(SeriesValue::Float(value)) => bits(&[*value]),
        Some(SeriesValue::Histogram {
            histogram,
            has_hint,
        }) => show_histogram(histogram, *has_hint),
    }
}

fn show_histogram(h: &FloatHistogram, has_hint: bool) -> String {
    let hint = match h.counter_reset_hint {
        CounterResetHint::Unknown => 0,
        CounterResetHint::Reset => 1,
        CounterResetHint::NotReset => 2,
        CounterResetHint::Gauge => 3,
    };
    format!(
        "H{}|{}|{}|{}|{}|{}|{}|{hint}|{has_hint}",
        h.schema,
        bits(&[h.zero_threshold, h.zero_count, h.count, h.sum]),
        spans(&h.positive_spans),
        bits(&h.positive_buckets),
        spans(&h.negative_spans),
        bits(&h.negative_buckets),
        bits(&h.custom_values),
    )
}

fn bits(values: &[f64]) -> String {
    let hex: Vec<_> = values
        .iter()
        .map(|v| format!("{:x}", v.to_bits()))
        .collect();
    hex.join(",")
}

fn spans(spans: &[Span]) -> String {
    let show = |span: &Span| format!("{}:{};", span.offset, span.length);
    spans.iter().map(show).collect()
}
