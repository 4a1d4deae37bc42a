use std::sync::Arc;

use rutile_model::sample::STALE_NAN as NONE;
use rutile_model::{CounterResetHint, FloatHistogram};

use super::*;
use crate::engine::column::{Column, Row, SampleValue};
use crate::{Expr, ParserOptions, parse_expr, parse_metric};

fn row(metric: &str, floats: &[f64]) -> Row {
    let labels = parse_metric(metric).expect("a metric");
    let column = Column {
        floats: floats.to_vec(),
        histograms: Vec::new(),
    };
    Row::new(labels, column)
}

fn histogram(hint: CounterResetHint) -> SampleValue {
    SampleValue::Histogram(Arc::new(FloatHistogram {
        count: 1.0,
        counter_reset_hint: hint,
        ..FloatHistogram::default()
    }))
}

/// What `a OP b` gives for rows of two sides: lines of labels and values; and what is told about it.
fn run(query: &str, lhs: Vec<Row>, rhs: Vec<Row>) -> Result<(Vec<String>, Vec<String>)> {
    let expr = parse_expr(query, &ParserOptions::all())?;
    let Expr::Binary(binary) = expr else {
        panic!("not an operator: {query}")
    };
    let mut annotations = Annotations::default();
    let mut context = BinaryContext {
        binary: &binary,
        steps: lhs
            .iter()
            .chain(&rhs)
            .map(|row| row.column.len())
            .max()
            .unwrap_or(1),
        options: &EngineOptions::default(),
        annotations: &mut annotations,
        stop: &Stop::default(),
    };
    let result = apply(&mut context, Operand::Vector(lhs), Operand::Vector(rhs))?;
    let line = |row: &Row| {
        let value = |step| match row.column.get(step) {
            None => "_".to_owned(),
            Some(SampleValue::Float(value)) => value.to_string(),
            Some(SampleValue::Histogram(histogram)) => histogram.to_string(),
        };
        let values: Vec<String> = (0..row.column.len()).map(value).collect();
        format!("{} {}", row.labels, values.join(" "))
    };
    let lines = result.into_vector().iter().map(line).collect();
    Ok((lines, annotations.iter().map(ToString::to_string).collect()))
}

#[track_caller]
fn check(query: &str, lhs: Vec<Row>, rhs: Vec<Row>, expected: &[&str]) {
    let (lines, annotations) = run(query, lhs, rhs).expect("no error");
    assert_eq!(lines, expected, "{query}");
    assert!(annotations.is_empty(), "{annotations:?}");
}

#[track_caller]
fn check_error(query: &str, lhs: Vec<Row>, rhs: Vec<Row>, expected: &str) {
    let error = run(query, lhs, rhs).expect_err("an error");
    assert_eq!(error.to_string(), expected, "{query}");
}

#[test]
fn rows_take_part_at_the_steps_at_which_they_have_a_value() {
    // The row on the right is another one from the second step on.
    let rhs = || {
        vec![
            row(r#"b{v="1"}"#, &[1.0, NONE, NONE]),
            row(r#"b{v="2"}"#, &[NONE, 2.0, 2.0]),
        ]
    };
    let lhs = || vec![row("a", &[10.0, 20.0, NONE])];
    check("a + on() b", lhs(), rhs(), &["{} 11 22 _"]);
    check("a + on() fill_right(5) b", lhs(), rhs(), &["{} 11 22 _"]);
    check(
        "a + on() fill_left(5) b",
        lhs(),
        rhs(),
        &["{} 11 22 _", "{} _ _ 7"],
    );
    check(
        "a + on() group_left(v) b",
        lhs(),
        rhs(),
        &[r#"{v="1"} 11 _ _"#, r#"{v="2"} _ 22 _"#],
    );
    check(
        "a unless on() b",
        vec![row("a", &[1.0, 2.0, 3.0])],
        rhs(),
        &[],
    );
    check(
        "a and on() b",
        vec![row("a", &[1.0, 2.0, 3.0])],
        vec![row("b", &[NONE, f64::NAN, NONE])],
        &[r#"{__name__="a"} _ 2 _"#],
    );
}

#[test]
fn duplicates_count_where_both_sides_have_values() {
    let rhs = || {
        vec![
            row(r#"b{v="2"}"#, &[1.0, 1.0]),
            row(r#"b{v="1"}"#, &[NONE, 2.0]),
        ]
    };
    check(
        "a + on() b",
        vec![row("a", &[1.0, NONE])],
        rhs(),
        &["{} 2 _"],
    );
    let text = r#"found duplicate series for the match group {} on the right hand-side of the operation: [{__name__="b", v="1"}, {__name__="b", v="2"}];many-to-many matching not allowed: matching labels must be unique on one side"#;
    check_error("a + on() b", vec![row("a", &[1.0, 1.0])], rhs(), text);
    // With a fill value, what is to be filled is looked at, too.
    check_error(
        "a + on() fill_left(1) b",
        vec![row("a", &[1.0, NONE])],
        rhs(),
        text,
    );
    check_error(
        "b + on() group_right a",
        rhs(),
        vec![row("a", &[1.0, 1.0])],
        &text.replace("right", "left"),
    );
}

#[test]
fn the_first_step_decides_about_the_error() {
    let lhs = || {
        vec![
            row(r#"a{v="1"}"#, &[1.0, 1.0]),
            row(r#"a{v="2"}"#, &[2.0, 2.0]),
        ]
    };
    let rhs = vec![
        row(r#"b{v="1"}"#, &[1.0, 1.0]),
        row(r#"b{v="2"}"#, &[NONE, 2.0]),
    ];
    // Whether a comparison holds does not matter.
    check_error(
        "a > on() b",
        lhs(),
        rhs,
        "multiple matches for labels: many-to-one matching must be explicit \
         (group_left/group_right)",
    );
    check_error(
        "a + on() group_left(v) b",
        lhs(),
        vec![row("b", &[1.0, 1.0])],
        "multiple matches for labels: grouping labels must ensure unique matches",
    );
}

#[test]
fn samples_that_do_not_go_together_find_no_match() {
    let mut left = row("a", &[1.0, 1.0]);
    left.column
        .set(1, Some(histogram(CounterResetHint::Unknown)));
    let (lines, annotations) = run(
        "a > fill_left(7) b",
        vec![left],
        vec![row("b", &[0.0, 0.0])],
    )
    .expect("no error");
    assert_eq!(lines, [r#"{__name__="a"} 1 _"#, "{} _ 7"]);
    let text =
        r#"incompatible sample types encountered for binary operator ">": histogram > float"#;
    // Only the last fault of a step is told of, and the second match had none.
    assert_eq!(annotations, [text]);
}

#[test]
fn histograms_with_contradicting_hints_are_not_added() {
    let with = |name: &str, hint| {
        let mut row = row(name, &[NONE]);
        row.column.set(0, Some(histogram(hint)));
        vec![row]
    };
    let lhs = with("a", CounterResetHint::Reset);
    let rhs = with("b", CounterResetHint::NotReset);
    let (lines, annotations) = run("a - b", lhs, rhs).expect("no error");
    assert!(lines.is_empty());
    assert_eq!(
        annotations,
        ["conflicting counter resets during histogram subtraction"]
    );
}

#[test]
fn scalars_are_compared_by_their_value() {
    let compared = scalar::scalars(BinaryOp::Less, &[1.0, 2.0], &[2.0, 1.0]);
    assert_eq!(compared.expect("no error"), [1.0, 0.0]);
    let error = scalar::scalars(BinaryOp::TrimUpper, &[1.0], &[2.0]).expect_err("an error");
    assert_eq!(
        error.to_string(),
        "operator \"</\" not allowed for Scalar operations"
    );
}

#[test]
fn powers_and_angles_are_those_of_go() {
    let powers = [
        (0.5, -0.5, 0x3ff6_a09e_667f_3bcc),
        (0.5, -2.5, 0x4016_a09e_667f_3bcc),
        (2.0, 1.5, 0x4006_a09e_667f_3bcc),
        (3.0, -0.5, 0x3fe2_79a7_4590_331d),
        (3.0, -2.5, 0x3fb0_6c22_e880_2d6f),
        (-3.0, 3.0, (-27.0_f64).to_bits()),
        (-0.0, -3.0, f64::NEG_INFINITY.to_bits()),
        (-0.0, 3.0, (-0.0_f64).to_bits()),
        (f64::NEG_INFINITY, -3.0, (-0.0_f64).to_bits()),
        (0.5, f64::INFINITY, 0),
        (-1.0, f64::NEG_INFINITY, 1.0_f64.to_bits()),
        (f64::NAN, 0.0, 1.0_f64.to_bits()),
        (2.0, -1074.0, 1),
        (2.0, 1e300, f64::INFINITY.to_bits()),
    ];
    for (x, y, expected) in powers {
        assert_eq!(go_math::pow(x, y).to_bits(), expected, "{x} ^ {y}");
    }
    assert!(go_math::pow(-2.0, 0.3).is_nan());
    let angles = [
        (0.5, -2.5, 0x4007_8db7_34b4_bab7),
        (2.0, 0.5, 0x3ff5_368c_951e_9cfc),
        (3.0, -1.0, 0x3ffe_47df_3d0d_d4d0),
        (3.0, 0.5, 0x3ff6_7d88_63bc_99bc),
        (-0.0, 1.0, (-0.0_f64).to_bits()),
        (f64::INFINITY, f64::NEG_INFINITY, 0x4002_d97c_7f33_21d2),
    ];
    for (y, x, expected) in angles {
        assert_eq!(go_math::atan2(y, x).to_bits(), expected, "{y} atan2 {x}");
    }
}
