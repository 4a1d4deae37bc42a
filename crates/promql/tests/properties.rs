//! No text makes the parser panic, and what is printed reads back.

use proptest::prelude::*;
use rutile_promql::{
    Expr, ParserOptions, parse_expr, parse_metric, parse_metric_selector, parse_series,
    parse_start_timestamps,
};

const TOKENS: &[&str] = &[
    "a",
    "a:b",
    "sum",
    "topk",
    "count_values",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "bool",
    "offset",
    "anchored",
    "smoothed",
    "fill",
    "fill_left",
    "start",
    "end",
    "step",
    "range",
    "max_of",
    "min_of",
    "and",
    "or",
    "unless",
    "atan2",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    ",",
    "=",
    "==",
    "!=",
    "=~",
    "!~",
    "<",
    "</",
    ">/",
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "@",
    ":",
    "5m",
    "1.5",
    "0x1f",
    "Inf",
    "NaN",
    "\"a\"",
    "'b'",
    "`c`",
    "\"\\xff\"",
    "rate",
    "info",
    "time",
    "xrate",
    "#c\n",
    "\n",
    "é",
    "\u{FFFD}",
    "[5m]",
    "[5m:1m]",
    "{a=\"b\"}",
    "{\"x y\"}",
    "()",
    "step()",
    "(a)",
    "{{",
    "}}",
    "x3",
    "_",
    "stale",
    "schema:1",
    "buckets:[1 2]",
    "{{sum:1}}",
    "@st",
    "-1m",
];

/// Calls everything that reads text.
fn read(text: &str) {
    for options in [ParserOptions::all(), ParserOptions::default()] {
        if let Ok(expr) = parse_expr(text, &options) {
            let _text = (expr.to_string(), expr.pretty());
        }
    }
    let _results = (
        parse_metric(text),
        parse_metric_selector(text),
        parse_series(text),
        parse_start_timestamps(text),
    );
}

/// Queries that are well formed, by the grammar.
fn query() -> impl Strategy<Value = String> {
    let duration = prop_oneof![
        "[1-9][0-9]{0,2}(ms|s|m|h)",
        Just("step()".to_owned()),
        Just("(1m * 2 - range())".to_owned()),
        Just("-min_of(5, 1h) ^ 2".to_owned()),
    ];
    let name = prop_oneof![
        "[a-z_]{2}(:[a-z]+)?",
        Just("sum".to_owned()),
        Just("by".to_owned())
    ];
    let matchers = prop_oneof![
        Just(String::new()),
        ("[a-z]{1,2}", "(=|!=|=~|!~)", "[a-z.|]{0,3}")
            .prop_map(|(n, op, v)| format!("{{{n}{op}\"{v}\"}}")),
        "[^\\p{C}\"\\\\\u{FFFD}]{1,4}".prop_map(|n| format!("{{\"{n}\"='x\\n\\u00e9\"'}}")),
    ];
    let modifier = prop_oneof![
        Just(String::new()),
        duration.clone().prop_map(|d| format!(" offset {d}")),
        (-99_999i32..99_999).prop_map(|t| format!(" @ {t}.5")),
        Just(" @ end() smoothed".to_owned()),
    ];
    let leaf = prop_oneof![
        any::<f64>().prop_map(|v| v.to_string()),
        "[1-9][0-9]{0,2}(ms|s|m|h|d|w|y)",
        (name, matchers, modifier.clone()).prop_map(|(n, m, o)| format!("{n}{m}{o}")),
        duration
            .clone()
            .prop_map(|d| format!("rate(foo[{}])", d.trim_start_matches('-'))),
    ];
    let operator = prop_oneof![
        "[-+*/%^]",
        "(==|!=|<|>=|and|or|unless|atan2|</|>/)",
        Just("== bool on (a, \"b c\")".to_owned()),
        Just("* ignoring () group_left".to_owned()),
        Just("- on (a) group_right (b) fill_left(1e-7) fill_right(-Inf)".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 3, move |inner| {
        prop_oneof![
            (inner.clone(), operator.clone(), inner.clone())
                .prop_map(|(l, op, r)| format!("{l} {op} {r}")),
            inner.clone().prop_map(|e| format!("({e})")),
            inner.clone().prop_map(|e| format!("-{e}")),
            inner
                .clone()
                .prop_map(|e| format!("sum by (a, \"b.c\") ({e})")),
            inner
                .clone()
                .prop_map(|e| format!("quantile(0.5, {e}) without (le,)")),
            (inner.clone(), duration.clone(), modifier.clone())
                .prop_map(|(e, d, m)| format!("max_over_time(({e})[1h:{d}]{m})")),
            inner.prop_map(|e| format!("label_replace({e}, \"a\", '$1', `b`, \"\\xff\")")),
        ]
    })
}

fn erased(mut expr: Expr) -> Expr {
    expr.erase_spans();
    expr
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_is_read_without_panic(text in any::<String>()) {
        read(&text);
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        read(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_tokens_are_read_without_panic(
        tokens in prop::collection::vec((prop::sample::select(TOKENS), "[ ]?"), 0..16),
    ) {
        let text: String = tokens.iter().map(|(token, blank)| format!("{token}{blank}")).collect();
        read(&text);
    }

    #[test]
    fn what_is_printed_reads_back(query in query()) {
        let options = ParserOptions::all();
        // Types may be wrong; the grammar is not.
        let Ok(expr) = parse_expr(&query, &options) else { return Ok(()) };
        let text = expr.to_string();
        let again = parse_expr(&text, &options).map_err(|e| TestCaseError::fail(format!("{text}: {e}")))?;
        prop_assert_eq!(again.to_string(), text.as_str());
        let pretty = expr.pretty();
        let layout = parse_expr(&pretty, &options).map_err(|e| TestCaseError::fail(format!("{pretty}: {e}")))?;
        let again = erased(again);
        prop_assert_eq!(erased(layout), again);
    }
}
