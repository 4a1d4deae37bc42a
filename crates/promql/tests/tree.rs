//! The parts of the tree that its spelling does not show, and the errors as data.

#![expect(clippy::unwrap_used, reason = "a test that meets bad data has failed")]

use rutile_model::{ErrorKind, Labels, Matcher};
use rutile_promql::{
    At, BinaryOp, Cardinality, DurationExpr, DurationSpec, Expr, Extension, FunctionId,
    ParserOptions, Span, ValueType, parse_expr, parse_metric, parse_metric_selector,
};

fn parse(query: &str) -> Expr {
    parse_expr(query, &ParserOptions::all()).unwrap_or_else(|errors| panic!("{query}: {errors}"))
}

/// The messages and starts of all errors.
fn errors(query: &str) -> Vec<(usize, String)> {
    let errors = parse_expr(query, &ParserOptions::all()).unwrap_err();
    let show = |e: &rutile_promql::ParseError| (e.span.start, e.message.clone());
    errors.as_slice().iter().map(show).collect()
}

#[test]
fn selectors() {
    let Expr::Matrix(matrix) = parse("up{job=\"a\"}[5m] anchored @ 1.5 offset -1h") else {
        panic!("not a matrix");
    };
    let selector = &matrix.selector;
    let names: Vec<_> = selector.matchers.iter().map(Matcher::to_string).collect();
    assert_eq!(names, ["job=\"a\"", "__name__=\"up\""]);
    assert_eq!(selector.name.as_deref(), Some("up"));
    assert_eq!(selector.at, Some(At::Timestamp(1500)));
    assert_eq!(selector.offset, Some(DurationSpec::Ms(-3_600_000)));
    assert_eq!(selector.extension, Some(Extension::Anchored));
    assert_eq!(matrix.range.as_ms(), Some(300_000));
    assert_eq!(selector.span, Span::new(0, 11));

    let Expr::Subquery(subquery) = parse("up[1h:] @ end() offset step()") else {
        panic!("not a subquery");
    };
    let step = DurationExpr::Step(Span::new(23, 29));
    assert_eq!(subquery.offset, Some(DurationSpec::Expr(Box::new(step))));
    assert_eq!((subquery.step, subquery.at), (None, Some(At::End)));
}

#[test]
fn types_settle_what_is_matched() {
    for (query, card) in [
        ("a + b", Some(Cardinality::OneToOne)),
        ("a and b", Some(Cardinality::ManyToMany)),
        ("a * on (x) group_left b", Some(Cardinality::ManyToOne)),
        ("a + 1", None),
        ("1 + 1", None),
    ] {
        let Expr::Binary(binary) = parse(query) else {
            panic!("{query}");
        };
        assert_eq!(binary.matching.map(|m| m.card), card, "{query}");
    }
    let Expr::Call(info) = parse("info(a, {b=\"\"})") else {
        panic!("not a call");
    };
    assert_eq!(info.function.id, FunctionId::Info);
    assert!(matches!(&info.args[1], Expr::Vector(v) if v.may_match_all));
    assert_eq!(parse("-(1 + time())").value_type(), ValueType::Scalar);
    assert_eq!(parse("-a ^ 2").value_type(), ValueType::Vector);
}

#[test]
fn operators_bind() {
    let shape = |query: &str| {
        let Expr::Binary(binary) = parse(query) else {
            panic!("{query}");
        };
        (binary.op, binary.lhs.to_string(), binary.rhs.to_string())
    };
    let want = |op, l: &str, r: &str| (op, l.to_owned(), r.to_owned());
    for (query, wanted) in [
        ("a - b - c", want(BinaryOp::Sub, "a - b", "c")),
        ("a ^ b ^ c", want(BinaryOp::Pow, "a", "b ^ c")),
        ("-a * b", want(BinaryOp::Mul, "-a", "b")),
        ("a * -b ^ c", want(BinaryOp::Mul, "a", "-b ^ c")),
        ("a or b and c", want(BinaryOp::Or, "a", "b and c")),
        ("a </ 1 + b", want(BinaryOp::TrimUpper, "a", "1 + b")),
        ("a offset 5m - 8", want(BinaryOp::Sub, "a offset 5m", "8")),
        ("a offset -2 ^ 2", want(BinaryOp::Pow, "a offset -2s", "2")),
    ] {
        assert_eq!(shape(query), wanted, "{query}");
    }
    let text = parse("a offset (5m) - 8").to_string();
    assert_eq!(text, "a offset (5m) - 8");
    assert!(matches!(parse("a offset (5m) - 8"), Expr::Vector(_)));
}

#[test]
fn errors_are_data() {
    let all = errors("foo and on(bar) group_left(baz) bar");
    assert_eq!(
        all,
        [
            (0, "no grouping allowed for \"and\" operation".to_owned()),
            (0, "set operations must always be many-to-many".to_owned()),
        ]
    );
    let all = errors("nope(1) + topk(a)");
    assert_eq!(all.len(), 2);
    assert_eq!(
        all[0],
        (0, "unknown function with name \"nope\"".to_owned())
    );

    let errors = parse_expr("a +\n  sum b", &ParserOptions::default()).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "2:7: parse error: unexpected identifier \"b\""
    );
    assert_eq!(errors.kind(), ErrorKind::Invalid);
    let later = errors.after_lines(40).to_string();
    assert_eq!(later, "42:7: parse error: unexpected identifier \"b\"");
}

#[test]
fn thanos_functions_are_an_option() {
    for name in ["xrate", "xincrease", "xdelta"] {
        let query = format!("{name}(a[5m])");
        assert_eq!(parse(&query).to_string(), query);
        let errors = parse_expr(&query, &ParserOptions::default()).unwrap_err();
        let want = format!("1:1: parse error: unknown function with name \"{name}\"");
        assert_eq!(errors.to_string(), want);
    }
}

#[test]
fn texts_that_are_not_utf8() {
    let Expr::String(literal) = parse(r#""a\xffb""#) else {
        panic!("not a text");
    };
    assert_eq!(literal.value, "a\u{FFFD}b");
    assert_eq!(literal.not_utf8.as_deref(), Some(b"a\xffb".as_slice()));
}

#[test]
fn metrics_and_selectors() {
    let labels = parse_metric("up{a=\"b\", c=\"\"}").unwrap();
    assert_eq!(labels, Labels::from([("__name__", "up"), ("a", "b")]));
    let matchers = parse_metric_selector("{\"x.y\", a!~\"b|c\",}").unwrap();
    assert_eq!(matchers.len(), 2);
    assert!(parse_metric_selector("{}").unwrap().is_empty());
    for (selector, want) in [
        ("up offset 5m", "1:4: parse error: unexpected <offset>"),
        ("", "unknown position: parse error: unexpected end of input"),
        (
            "up{a=~\"(\"}",
            "1:4: parse error: error parsing regexp: missing closing ): `(`",
        ),
    ] {
        let errors = parse_metric_selector(selector).unwrap_err();
        assert_eq!(errors.to_string(), want);
    }
}
