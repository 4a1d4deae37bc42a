use std::sync::Arc;

use rutile_model::sample::STALE_NAN;
use rutile_model::{FloatHistogram, Labels, Patterns};

use super::*;
use crate::ast::Expr;
use crate::engine::column::SampleValue;
use crate::parse::{ParserOptions, parse_expr, parse_metric};

/// A place without a value.
const NONE: f64 = STALE_NAN;

/// Floats of a series, at steps.
fn row(series: &str, floats: &[f64]) -> Row {
    Row::new(parse_metric(series).unwrap(), column(floats.to_vec()))
}

fn rows(all: &[(&str, &[f64])]) -> Operand {
    Operand::Vector(
        all.iter()
            .map(|(series, floats)| row(series, floats))
            .collect(),
    )
}

fn text(text: &str) -> Operand {
    Operand::String(text.to_owned())
}

/// What a call yields at three steps, a minute apart, of a query that began a minute before.
struct Called {
    result: Result<Operand>,
    annotations: Annotations,
}

fn call(query: &str, args: Vec<Operand>, options: EngineOptions) -> Called {
    let Expr::Call(call) = parse_expr(query, &ParserOptions::all()).unwrap() else {
        panic!("{query} is no call");
    };
    let mut annotations = Annotations::default();
    let mut context = CallContext {
        call: &call,
        steps: Steps::range(60_000, 180_000, 60_000).unwrap(),
        query: Steps::range(0, 190_000, 60_000).unwrap(),
        options: &options,
        annotations: &mut annotations,
        patterns: &mut Patterns::default(),
        stop: &Stop::default(),
    };
    Called {
        result: apply(&mut context, args),
        annotations,
    }
}

impl Called {
    /// Each row as `labels floats`, a place without a value as `_`.
    fn lines(self) -> Vec<String> {
        let rows = match self.result.unwrap() {
            Operand::Vector(rows) => rows,
            Operand::Scalar(values) => vec![Row::new(Labels::empty(), column(values))],
            Operand::String(text) => return vec![text],
        };
        let line = |row: Row| {
            let values = (0..row.column.len()).map(|step| match row.column.get(step) {
                Some(SampleValue::Float(value)) => value.to_string(),
                Some(SampleValue::Histogram(histogram)) => histogram.to_string(),
                None => "_".to_owned(),
            });
            format!("{} {}", row.labels, values.collect::<Vec<_>>().join(" "))
        };
        rows.into_iter().map(line).collect()
    }

    fn notes(&self, query: &str) -> Vec<String> {
        self.annotations
            .iter()
            .map(|note| note.render(query))
            .collect()
    }
}

fn check(query: &str, args: Vec<Operand>, want: &[&str]) {
    let called = call(query, args, EngineOptions::default());
    assert_eq!(called.lines(), want, "{query}");
}

fn check_error(query: &str, args: Vec<Operand>, want: &str) {
    let called = call(query, args, EngineOptions::default());
    assert_eq!(called.result.unwrap_err().to_string(), want, "{query}");
}

#[test]
fn what_is_absent_stays_absent() {
    let x = || rows(&[("x{a=\"1\", __type__=\"gauge\"}", &[-1.5, NONE, 2.0])]);
    check("abs(x)", vec![x()], &["{a=\"1\"} 1.5 _ 2"]);
    check("timestamp(-x)", vec![x()], &["{a=\"1\"} 60 _ 180"]);
    let bounds = |low: [f64; 3], high: [f64; 3]| {
        vec![
            x(),
            Operand::Scalar(low.to_vec()),
            Operand::Scalar(high.to_vec()),
        ]
    };
    let args = bounds([0.0, 0.0, 5.0], [1.0, 1.0, 4.0]);
    check("clamp(x, 0, 1)", args, &["{a=\"1\"} 0 _ _"]);
    check("year(x)", vec![x()], &["{a=\"1\"} 1969 _ 1970"]);
    check("minute()", vec![], &["{} 1 2 3"]);
}

#[test]
fn scalars_are_the_only_float_of_a_step() {
    let x = rows(&[
        ("x{a=\"1\"}", &[1.0, NONE, 2.0]),
        ("x{a=\"2\"}", &[NONE, NONE, 3.0]),
    ]);
    check("scalar(x)", vec![x], &["{} 1 NaN NaN"]);
}

#[test]
fn queries_tell_their_own_times() {
    for (query, want) in [
        ("time()", "{} 60 120 180"),
        ("start()", "{} 0 0 0"),
        ("end()", "{} 190 190 190"),
        ("range()", "{} 190 190 190"),
        ("step()", "{} 60 60 60"),
    ] {
        check(query, vec![], &[want]);
    }
}

#[test]
fn absence_is_that_of_all_rows() {
    let x = || {
        rows(&[
            ("x{a=\"1\"}", &[1.0, NONE, NONE]),
            ("x{a=\"2\"}", &[NONE, NONE, 3.0]),
        ])
    };
    check("absent((x{b=\"2\"}))", vec![x()], &["{b=\"2\"} _ 1 _"]);
    check(
        "absent_over_time(x{b=\"2\"}[5m])",
        vec![x()],
        &["{b=\"2\"} _ 1 _"],
    );
    check("absent(abs(x{b=\"2\"}))", vec![x()], &["{} _ 1 _"]);
    check("absent(x)", vec![rows(&[("x", &[1.0; 3])])], &[]);
}

#[test]
fn sorting_of_a_range_is_only_warned_of() {
    let query = "sort(x)";
    let mut x = row("x", &[3.0, 1.0, NONE]);
    let histogram = Arc::new(FloatHistogram::default());
    x.column.set(2, Some(SampleValue::Histogram(histogram)));
    let called = call(
        query,
        vec![Operand::Vector(vec![x])],
        EngineOptions::default(),
    );
    assert_eq!(
        called.notes(query),
        [
            "PromQL warning: sort is ineffective for range queries since results are always ordered \
          by labels (1:1)"
        ]
    );
    assert_eq!(called.lines(), ["{__name__=\"x\"} 3 1 _"]);
}

#[test]
fn sorting_of_what_is_fixed_in_time_is_not_warned_of() {
    for (query, warned) in [
        ("sort(x @ 5)", 0),
        ("sort(x + y @ 5)", 1),
        ("sort_desc(max_over_time(x[5m:1m] @ 5) + 1)", 0),
        ("sort(timestamp(x @ 5))", 0),
        ("sort(timestamp(abs(x @ 5)))", 1),
        ("sort(topk(scalar(y), x @ 5))", 0),
        ("sort(vector(1))", 0),
        ("sort(vector(time()))", 1),
    ] {
        let args = vec![rows(&[("x", &[1.0; 3])])];
        let called = call(query, args, EngineOptions::default());
        assert_eq!(called.notes(query).len(), warned, "{query}");
    }
}

#[test]
fn counts_that_are_fixed_in_time_are_mended_once() {
    let query = "histogram_quantile(0.5, x @ 5)";
    let args = vec![
        Operand::Scalar(vec![0.5; 3]),
        rows(&[
            ("x{le=\"1\"}", &[50.0; 3]),
            ("x{le=\"2\"}", &[20.0; 3]),
            ("x{le=\"+Inf\"}", &[70.0; 3]),
        ]),
    ];
    let notes = call(query, args, EngineOptions::default()).notes(query);
    assert!(
        notes.iter().any(|note| note.contains("over 1 samples")),
        "{notes:?}"
    );
}

#[test]
fn counts_that_many_quantiles_need_mended_are_told_once() {
    let query = "histogram_quantiles(x, \"q\", NaN, 0.5, 0.9)";
    let args = vec![
        rows(&[
            ("x{le=\"1\"}", &[50.0; 3]),
            ("x{le=\"2\"}", &[20.0, 60.0, 20.0]),
            ("x{le=\"+Inf\"}", &[70.0; 3]),
        ]),
        text("q"),
        Operand::Scalar(vec![f64::NAN; 3]),
        Operand::Scalar(vec![0.5; 3]),
        Operand::Scalar(vec![0.9; 3]),
    ];
    let notes = call(query, args, EngineOptions::default()).notes(query);
    assert!(
        notes.iter().any(|note| note.contains("over 2 samples")),
        "{notes:?}"
    );
}

#[test]
fn labels_are_changed_one_by_one() {
    let x = || {
        rows(&[
            ("x{a=\"one\", b=\"two\"}", &[1.0; 3]),
            ("x{b=\"2\"}", &[1.0; 3]),
        ])
    };
    let args = ["c", "$1-$2", "a", "(.)(.*)"].map(text);
    check(
        "label_replace(x, \"c\", \"$1-$2\", \"a\", \"(.)(.*)\")",
        std::iter::once(x()).chain(args).collect(),
        &[
            "{__name__=\"x\", a=\"one\", b=\"two\", c=\"o-ne\"} 1 1 1",
            "{__name__=\"x\", b=\"2\"} 1 1 1",
        ],
    );
    let args = ["b", "", "b", ".*"].map(text);
    check(
        "label_replace(x, \"b\", \"\", \"b\", \".*\")",
        std::iter::once(x()).chain(args).collect(),
        &[
            "{__name__=\"x\", a=\"one\"} 1 1 1",
            "{__name__=\"x\"} 1 1 1",
        ],
    );
    let args = ["__name__", "_", "a", "b"].map(text);
    check(
        "label_join(x, \"__name__\", \"_\", \"a\", \"b\")",
        std::iter::once(x()).chain(args).collect(),
        &[
            "{__name__=\"one_two\", a=\"one\", b=\"two\"} 1 1 1",
            "{__name__=\"_2\", b=\"2\"} 1 1 1",
        ],
    );
}

#[test]
fn labels_must_have_names() {
    for (query, args, want) in [
        (
            "label_replace(x, \"a\", \"\", \"b\", \"(\")",
            ["a", "", "b", "("],
            "invalid regular expression in label_replace(): (",
        ),
        (
            "label_replace(x, \"\", \"\", \"b\", \"\")",
            ["", "", "b", ""],
            "invalid destination label name in label_replace(): ",
        ),
        (
            "label_join(x, \"a\", \"\", \"b\", \"\")",
            ["a", "", "b", ""],
            "invalid source label name in label_join(): ",
        ),
    ] {
        let args = std::iter::once(rows(&[])).chain(args.map(text));
        check_error(query, args.collect(), want);
    }
}

fn buckets() -> Operand {
    rows(&[
        ("h{le=\"+Inf\"}", &[4.0, 4.0, 2.0]),
        ("h{le=\"1\"}", &[2.0, 2.0, 4.0]),
        ("h{le=\"2\"}", &[4.0, NONE, 3.0]),
        ("h{le=\"x\"}", &[NONE, NONE, NONE]),
        ("h", &[NONE, 1.0, NONE]),
    ])
}

#[test]
fn quantiles_of_classic_histograms() {
    let query = "histogram_quantile(2, h)";
    let quantiles = Operand::Scalar(vec![0.75, 0.5, 2.0]);
    let called = call(query, vec![quantiles, buckets()], EngineOptions::default());
    assert_eq!(
        called.notes(query),
        [
            "PromQL warning: quantile value should be between 0 and 1, got 2 (1:20)",
            "PromQL warning: bucket label \"le\" is missing or has a malformed value of \"\" (1:23)",
        ]
    );
    assert_eq!(called.lines(), ["{} 1.5 1 inf"]);
}

#[test]
fn quantiles_that_change_have_rows_of_their_own() {
    let quantiles = Operand::Scalar(vec![0.75, 0.5, 0.75]);
    let halves = Operand::Scalar(vec![0.5; 3]);
    check(
        "histogram_quantiles(h, \"q\", 1, 0.5)",
        vec![buckets(), text("q"), quantiles, halves],
        &[
            "{q=\"0.75\"} 1.5 _ 0.75",
            "{q=\"0.5\"} _ 1 _",
            "{q=\"0.5\"} 1 1 0.5",
        ],
    );
}

#[test]
fn counts_that_go_down_are_told_of_once() {
    let query = "histogram_quantile(0.5, h)";
    let options = EngineOptions {
        delayed_name_removal: true,
        ..EngineOptions::default()
    };
    let falling = rows(&[
        ("h{le=\"1\"}", &[4.0, 9.0, 1.0]),
        ("h{le=\"2\"}", &[3.0, 8.0, 2.0]),
        ("h{le=\"+Inf\"}", &[2.0, 8.0, 3.0]),
    ]);
    let called = call(query, vec![Operand::Scalar(vec![0.5; 3]), falling], options);
    assert_eq!(
        called.notes(query),
        [
            "PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see \
          https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile) for \
          metric name \"h\", from buckets 2 to +Inf, with a max diff of 2, over 2 samples from \
          1970-01-01T00:01:00Z to 1970-01-01T00:02:00Z (1:25)"
        ]
    );
}

#[test]
fn native_and_classic_histograms_exclude_each_other() {
    let query = "histogram_fraction(0, 1, h)";
    let mut native = row("h", &[NONE; 3]);
    let histogram = FloatHistogram {
        count: 1.0,
        zero_count: 1.0,
        ..FloatHistogram::default()
    };
    for step in [0, 2] {
        let histogram = Arc::new(histogram.clone());
        native
            .column
            .set(step, Some(SampleValue::Histogram(histogram)));
    }
    let mut all = vec![native];
    all.push(row("h{le=\"1\"}", &[1.0, 1.0, NONE]));
    all.push(row("h{le=\"+Inf\"}", &[1.0, 2.0, NONE]));
    let bound = |value| Operand::Scalar(vec![value; 3]);
    let args = vec![bound(0.0), bound(1.0), Operand::Vector(all)];
    let called = call(query, args, EngineOptions::default());
    assert_eq!(
        called.notes(query),
        ["PromQL warning: vector contains a mix of classic and native histograms (1:26)"]
    );
    assert_eq!(called.lines(), ["{} _ _ 1", "{} _ 0.5 _"]);
}

#[test]
fn numbers_of_histograms_leave_the_type() {
    let mut native = row("h{__type__=\"histogram\"}", &[1.0; 3]);
    let histogram = Arc::new(FloatHistogram {
        count: 2.0,
        sum: 3.0,
        ..FloatHistogram::default()
    });
    native
        .column
        .set(1, Some(SampleValue::Histogram(histogram)));
    let args = || vec![Operand::Vector(vec![native.clone(), row("x", &[1.0; 3])])];
    check(
        "histogram_avg(h)",
        args(),
        &["{__type__=\"histogram\"} _ 1.5 _"],
    );
    check(
        "histogram_count(h)",
        args(),
        &["{__type__=\"histogram\"} _ 2 _"],
    );
}
