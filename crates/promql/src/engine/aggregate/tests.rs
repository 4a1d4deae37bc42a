use std::sync::Arc;

use rutile_model::sample::STALE_NAN as NONE;
use rutile_model::{CounterResetHint, FloatHistogram};

use super::*;
use crate::engine::column::{Column, SampleValue};
use crate::{Expr, ParserOptions, parse_expr, parse_metric};

fn row(metric: &str, floats: &[f64]) -> Row {
    let labels = parse_metric(metric).expect("a metric");
    let column = Column {
        floats: floats.to_vec(),
        histograms: Vec::new(),
    };
    Row::new(labels, column)
}

fn histogram_row(metric: &str, sum: f64, hint: CounterResetHint) -> Row {
    let mut row = row(metric, &[NONE]);
    let histogram = FloatHistogram {
        count: 1.0,
        sum,
        counter_reset_hint: hint,
        ..FloatHistogram::default()
    };
    row.column
        .set(0, Some(SampleValue::Histogram(Arc::new(histogram))));
    row
}

/// What an aggregation gives for rows, and a parameter with a value for each step: lines of labels and
/// values; and what is told about it.
fn run(query: &str, param: &[f64], rows: Vec<Row>) -> Result<(Vec<String>, Vec<String>)> {
    let expr = parse_expr(query, &ParserOptions::all())?;
    let Expr::Aggregate(aggregate) = expr else {
        panic!("not an aggregation: {query}")
    };
    let param = match aggregate.param.as_deref() {
        Some(Expr::String(text)) => Some(Operand::String(text.value.clone())),
        Some(_) => Some(Operand::Scalar(param.to_vec())),
        None => None,
    };
    check(&aggregate)?;
    let mut annotations = Annotations::default();
    let mut context = AggregateContext {
        aggregate: &aggregate,
        steps: rows.first().map_or(1, |row| row.column.len()),
        options: &EngineOptions::default(),
        annotations: &mut annotations,
        memory: &mut Memory::unaccounted(u64::MAX),
        stop: &Stop::default(),
    };
    let rows = apply(&mut context, param, rows)?;
    let line = |row: &Row| {
        let value = |step| match row.column.get(step) {
            None => "_".to_owned(),
            Some(SampleValue::Float(value)) => value.to_string(),
            Some(SampleValue::Histogram(histogram)) => histogram.to_string(),
        };
        let values: Vec<String> = (0..row.column.len()).map(value).collect();
        format!("{} {}", row.labels, values.join(" "))
    };
    let lines = rows.iter().map(line).collect();
    Ok((lines, annotations.iter().map(ToString::to_string).collect()))
}

#[track_caller]
fn check_lines(query: &str, param: &[f64], rows: Vec<Row>, expected: &[&str]) {
    let (lines, annotations) = run(query, param, rows).expect("no error");
    assert_eq!(lines, expected, "{query}");
    assert!(annotations.is_empty(), "{annotations:?}");
}

#[test]
fn sums_and_means_keep_digits_and_do_not_overflow() {
    let rows = |values: &[f64]| -> Vec<Row> {
        let row = |(i, value)| row(&format!("a{{i=\"{i}\"}}"), &[value]);
        values.iter().copied().enumerate().map(row).collect()
    };
    check_lines("sum(a)", &[], rows(&[1.0, 1e100, 1.0, -1e100]), &["{} 2"]);
    check_lines(
        "avg(a)",
        &[],
        rows(&[1e308; 3]),
        &[&format!("{{}} {}", 1e308)],
    );
    check_lines("sum(a)", &[], rows(&[1e308; 3]), &["{} inf"]);
    // A sum of minus zero is zero: the carry is added to it.
    check_lines("sum(a)", &[], rows(&[-0.0]), &["{} 0"]);
    check_lines("stdvar(a)", &[], rows(&[f64::INFINITY]), &["{} NaN"]);
    check_lines("max(a)", &[], rows(&[f64::NAN, -1.0, f64::NAN]), &["{} -1"]);
    check_lines("min(a)", &[], rows(&[f64::NAN]), &["{} NaN"]);
    check_lines(
        "quantile(0.5, a)",
        &[0.5],
        rows(&[3.0, f64::NAN, 1.0]),
        &["{} 1"],
    );
}

#[test]
fn groups_come_in_the_order_of_their_first_row() {
    let rows = vec![
        row(r#"b{x="2"}"#, &[NONE, 1.0]),
        row(r#"a{x="1"}"#, &[1.0, 2.0]),
    ];
    check_lines(
        "count by (x) (a)",
        &[],
        rows.clone(),
        &[r#"{x="2"} _ 1"#, r#"{x="1"} 1 1"#],
    );
    check_lines("group without (x) (a)", &[], rows, &["{} 1 1"]);
}

#[test]
fn the_parameter_may_vary_by_step() {
    let rows = || {
        vec![
            row(r#"a{i="0"}"#, &[1.0, 1.0, 1.0]),
            row(r#"a{i="1"}"#, &[3.0, 3.0, NONE]),
            row(r#"a{i="2"}"#, &[2.0, 2.0, f64::NAN]),
        ]
    };
    let named = |i: u8, values: &str| format!("{{__name__=\"a\", i=\"{i}\"}} {values}");
    let expected = [named(0, "_ _ 1"), named(1, "3 3 _"), named(2, "_ 2 NaN")];
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    check_lines("topk(scalar(x), a)", &[1.9, 2.0, 5.0], rows(), &expected);
    let expected = [named(0, "_ 1 1")];
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    check_lines("limitk(scalar(x), a)", &[-3.0, 1.0, 1.0], rows(), &expected);
    check_lines("topk(scalar(x), a)", &[0.5, 0.0, -1.0], rows(), &[]);
    for (k, text) in [
        (f64::NAN, "Parameter value is NaN"),
        (1e30, "Scalar value 1e+30 overflows int64"),
        (f64::NEG_INFINITY, "Scalar value -Inf underflows int64"),
    ] {
        let error = run("topk(scalar(x), a)", &[1.0, k, 1.0], rows()).expect_err("an error");
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn the_best_values_come_first_at_a_single_step() {
    let values = [5.0, f64::NAN, 7.0, 5.0, -1.0];
    let rows: Vec<Row> = (0..)
        .zip(values)
        .map(|(i, v): (u8, f64)| row(&format!("{{i=\"{i}\"}}"), &[v]))
        .collect();
    let top = [
        r#"{i="2"} 7"#,
        r#"{i="3"} 5"#,
        r#"{i="0"} 5"#,
        r#"{i="4"} -1"#,
        r#"{i="1"} NaN"#,
    ];
    check_lines("topk(9, a)", &[9.0], rows.clone(), &top);
    check_lines("topk(2, a)", &[2.0], rows.clone(), &[top[0], top[2]]);
    check_lines("bottomk(2, a)", &[2.0], rows, &[top[3], top[2]]);
    let many = (0..40)
        .map(|i| row(&format!("{{i=\"{i}\"}}"), &[f64::from(i % 7)]))
        .collect();
    let (lines, _) = run("bottomk(20, a)", &[20.0], many).expect("no error");
    let values: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.split(' ').nth(1))
        .collect();
    assert!(values.is_sorted() && values.len() == 20, "{lines:?}");
}

#[test]
fn steps_are_looked_at_one_by_one_however_many_there_are() {
    let values: Vec<f64> = (0..75).map(f64::from).collect();
    let doubled: Vec<f64> = values.iter().map(|value| value * 2.0).collect();
    let rows = vec![row(r#"a{i="0"}"#, &values), row(r#"a{i="1"}"#, &doubled)];
    let line = |values: &[f64]| {
        let values: Vec<String> = values.iter().map(ToString::to_string).collect();
        values.join(" ")
    };
    let expected = format!("{{}} {}", line(&doubled));
    check_lines("quantile(1, a)", &[1.0; 75], rows.clone(), &[&expected]);
    let expected = format!(r#"{{__name__="a", i="0"}} {}"#, line(&values));
    let (lines, _) = run("bottomk(1, a)", &[1.0; 75], rows).expect("no error");
    // Both have the same value at the first step.
    assert_eq!(lines[0], expected);
    assert_eq!(lines.len(), 1);
}

#[test]
fn a_ratio_and_its_complement_have_all_rows() {
    let rows: Vec<Row> = (0..50)
        .map(|i| row(&format!("a{{i=\"{i}\"}}"), &[1.0]))
        .collect();
    let (mut some, _) = run("limit_ratio(0.3, a)", &[0.3], rows.clone()).expect("no error");
    let (others, _) = run("limit_ratio(-0.7, a)", &[-0.7], rows).expect("no error");
    assert!(!some.is_empty() && !others.is_empty());
    some.extend(others);
    some.sort_unstable();
    some.dedup();
    assert_eq!(some.len(), 50);
}

#[test]
fn values_are_written_without_exponents() {
    let rows = vec![
        row(r#"a{i="0"}"#, &[1e21, 1.5]),
        row(r#"a{i="1"}"#, &[-1.25e-7, 1.5]),
        row(r#"a{i="2"}"#, &[f64::NEG_INFINITY, NONE]),
        row(r#"a{i="3"}"#, &[123_456_789.5, f64::NAN]),
    ];
    let expected = [
        r#"{v="1000000000000000000000"} 1 _"#,
        r#"{v="1.5"} _ 2"#,
        r#"{v="-0.000000125"} 1 _"#,
        r#"{v="-Inf"} 1 _"#,
        r#"{v="123456789.5"} 1 _"#,
        r#"{v="NaN"} _ 1"#,
    ];
    check_lines(r#"count_values("v", a)"#, &[], rows.clone(), &expected);
    // The label takes the place of another one, and goes with those that `without` names.
    check_lines(
        r#"count_values without (v) ("v", a)"#,
        &[],
        rows[..1].to_vec(),
        &[r#"{i="0"} 1 1"#],
    );
    check_lines(
        r#"count_values by (i) ("i", a)"#,
        &[],
        rows[2..3].to_vec(),
        &[r#"{i="-Inf"} 1 _"#],
    );
    let error = run(r#"count_values("", a)"#, &[], rows).expect_err("an error");
    assert_eq!(error.to_string(), r#"invalid label name """#);
}

#[test]
fn a_mean_of_histograms_does_not_overflow() {
    let rows = ["0", "1", "2"]
        .map(|i| histogram_row(&format!("a{{i=\"{i}\"}}"), 1e308, CounterResetHint::Unknown));
    check_lines("avg(a)", &[], rows.to_vec(), &["{} {count:1, sum:1e+308}"]);
    check_lines("sum(a)", &[], rows.to_vec(), &["{} {count:3, sum:+Inf}"]);
    check_lines("count(a)", &[], rows.to_vec(), &["{} 3"]);
}

#[test]
fn what_cannot_be_combined_is_told() {
    let reset = histogram_row("a", 1.0, CounterResetHint::Reset);
    let same = histogram_row("b", 1.0, CounterResetHint::NotReset);
    let (lines, told) = run("sum(a)", &[], vec![reset.clone(), same]).expect("no error");
    assert_eq!(lines, ["{} {count:2, sum:2}"]);
    assert_eq!(
        told,
        ["conflicting counter resets during histogram aggregation"]
    );
    let (lines, told) =
        run("avg(a)", &[], vec![row("f", &[1.0]), reset.clone()]).expect("no error");
    assert!(lines.is_empty());
    assert_eq!(
        told,
        ["encountered a mix of histograms and floats for aggregation"]
    );
    for op in ["min", "stddev"] {
        let rows = vec![reset.clone(), row("f", &[2.0])];
        let (lines, told) = run(&format!("{op}(a)"), &[], rows).expect("no error");
        assert_eq!(lines.len(), 1);
        assert_eq!(told, [format!("ignored histogram in {op} aggregation")]);
    }
}

#[test]
fn a_group_drops_the_name_if_a_row_of_its_last_step_does() {
    let mut rows = vec![
        row(r#"a{i="0"}"#, &[1.0, NONE]),
        row(r#"a{i="1"}"#, &[1.0, 1.0]),
    ];
    rows[0].drop_name = true;
    let expr = parse_expr("sum by (__name__) (a)", &ParserOptions::all()).expect("a query");
    let Expr::Aggregate(aggregate) = expr else {
        panic!("not an aggregation")
    };
    for (last, drops) in [(NONE, false), (2.0, true)] {
        rows[0].column.floats[1] = last;
        let mut context = AggregateContext {
            aggregate: &aggregate,
            steps: 2,
            options: &EngineOptions::default(),
            annotations: &mut Annotations::default(),
            memory: &mut Memory::unaccounted(u64::MAX),
            stop: &Stop::default(),
        };
        let out = apply(&mut context, None, rows.clone()).expect("no error");
        assert_eq!(out[0].drop_name, drops);
    }
}
