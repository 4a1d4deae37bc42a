//! Every query and every series of Prometheus' test scripts can be read.

use std::fs;

use rutile_promql::{ParserOptions, parse_expr, parse_series, parse_start_timestamps};

/// Calls `check` with every line of every script, and where it is.
fn for_each_line(mut check: impl FnMut(&str, &str)) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata");
    let mut scripts = 0;
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it can be listed").path();
        if path.extension().is_none_or(|extension| extension != "test") {
            continue;
        }
        scripts += 1;
        let script = fs::read_to_string(&path).expect("it can be read");
        for (number, line) in script.lines().enumerate() {
            check(line, &format!("{}:{}", path.display(), number + 1));
        }
    }
    assert_eq!(scripts, 21);
}

/// The query in a line such as `eval range from 0 to 1m step 10s rate(up[1m])`.
fn query_of(line: &str) -> Option<&str> {
    let rest = line.trim().strip_prefix("eval")?;
    let (kind, rest) = rest.split_once(" instant at ").map_or_else(
        || rest.split_once(" range from ").map(|(_, rest)| (5, rest)),
        |(_, rest)| Some((1, rest)),
    )?;
    let mut rest = rest.trim_start();
    for _ in 0..kind {
        rest = rest.split_once([' ', '\t'])?.1.trim_start();
    }
    Some(rest)
}

#[test]
fn queries() {
    let mut queries = 0;
    for_each_line(|line, place| {
        let Some(query) = query_of(line) else { return };
        queries += 1;
        let expr = parse_expr(query, &ParserOptions::all());
        let expr = expr.unwrap_or_else(|errors| panic!("{place}: {query}: {errors}"));
        let again = parse_expr(&expr.to_string(), &ParserOptions::all());
        let mut again = again.unwrap_or_else(|errors| panic!("{place}: {expr}: {errors}"));
        let layout = parse_expr(&expr.pretty(), &ParserOptions::all());
        let mut layout = layout.unwrap_or_else(|errors| panic!("{place}: {expr}: {errors}"));
        again.erase_spans();
        layout.erase_spans();
        assert_eq!(again, layout, "{place}");
    });
    assert!(queries > 2000, "{queries}");
}

#[test]
fn series() {
    let (mut loading, mut series, mut starts) = (false, 0, 0);
    for_each_line(|line, place| {
        if !line.starts_with([' ', '\t']) {
            loading = line.starts_with("load");
            return;
        }
        let line = line.trim();
        if !loading || line.is_empty() || line.starts_with('#') {
            return;
        }
        let start = parse_start_timestamps(line);
        let start = start.unwrap_or_else(|errors| panic!("{place}: {line}: {errors}"));
        if start.is_some() {
            starts += 1;
            return;
        }
        series += 1;
        let parsed = parse_series(line);
        let (labels, values) = parsed.unwrap_or_else(|errors| panic!("{place}: {line}: {errors}"));
        assert!(!labels.is_empty() && !values.is_empty(), "{place}: {line}");
    });
    assert!(series > 1000 && starts > 10, "{series} {starts}");
}

#[test]
fn start_timestamps() {
    let read = |line: &str| parse_start_timestamps(line).map(|s| s.map(|s| s.offsets));
    let offsets = read("a{b=\"c\"}@st _ _x2 -1m 30sx1 -59999ms-1mx1 0s+500msx1");
    let want = [None; 3]
        .into_iter()
        .chain([-60_000, 30_000, 30_000, -59_999, -119_999, 0, 500].map(Some));
    assert_eq!(offsets, Ok(Some(want.collect())));
    assert_eq!(read("a{b=\"c\"} 1 2"), Ok(None));
    for (line, want) in [
        (
            "a@st 1m5",
            "invalid ST item \"1m5\": unexpected character '5' after duration",
        ),
        ("a@st _x0", "invalid ST item \"_x0\": invalid repeat count"),
        (
            "a@st x",
            "invalid ST item \"x\": expected digits in duration \"x\"",
        ),
        (
            "a@st 1m-1m",
            "invalid ST item \"1m-1m\": expected 'x<count>' after step duration",
        ),
        (
            "a@st _x99999999",
            "invalid ST item \"_x99999999\": too many values: more than 100000",
        ),
    ] {
        let message = read(line).unwrap_err().first().message.clone();
        assert_eq!(message, want, "{line}");
    }
}
