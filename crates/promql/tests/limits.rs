//! What is too deep or too long is refused, on a small stack and in a short time.

use rutile_model::ErrorKind;
use rutile_promql::{
    ParserOptions, parse::MAX_HEIGHT, parse::MAX_NESTING, parse_expr, parse_metric_selector,
    parse_series,
};

/// What takes time must take it in proportion to the text.
#[test]
fn long_queries_take_no_long_time() {
    let names = (0..40_000)
        .map(|i| format!("n{i}"))
        .collect::<Vec<_>>()
        .join(",");
    let half = names.get(..200_000).expect("it is longer");
    let matchers = "a=\"b\",".repeat(40_000);
    for query in [
        format!("a * on ({half}) group_left ({half}) b"),
        deep("(", &format!("{{{matchers}}}"), ")", 150),
        deep("", &format!("{{{matchers}}}"), " or a", 900),
        format!("label_join(a, \"b\", \"c\"{})", ", \"d\"".repeat(60_000)),
        format!(
            "a[{}]",
            deep("(", &"1+".repeat(900), "1m)+1s", 150).replace("+1m", "+1")
        ),
        deep(
            "sum(",
            &format!("label_join(a, \"b\", \"c\"{})", ",'d'".repeat(60_000)),
            ")",
            150,
        ),
    ] {
        if let Ok(expr) = parse_expr(&query, &ParserOptions::all()) {
            assert!(expr.pretty().len() > query.len() / 2);
        }
    }
}

/// The stack of a thread of our server is 2 MiB; debug builds take several times what others do.
const STACK: usize = 2 << 20;

fn on_a_small_stack(check: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(check);
    let thread = thread.expect("a thread can be started");
    thread.join().expect("it did not panic");
}

fn deep(open: &str, inner: &str, close: &str, times: usize) -> String {
    [&open.repeat(times), inner, &close.repeat(times)].concat()
}

#[test]
fn too_much_is_refused() {
    on_a_small_stack(|| {
        for (query, why) in [
            (deep("(", "1", ")", 10_000), "nested too deeply"),
            (deep("-", "a", "", 10_000), "nested too deeply"),
            (deep("abs(", "a", ")", 10_000), "nested too deeply"),
            (deep("sum(", "a", ")", 10_000), "nested too deeply"),
            (deep("1^", "1", "", 10_000), "nested too deeply"),
            (deep("a + (", "a", ")", 10_000), "nested too deeply"),
            (
                format!("a[{}]", deep("(", "1m", ")", 10_000)),
                "nested too deeply",
            ),
            (
                format!("a[{}]", deep("-", "1m", "", 10_000)),
                "nested too deeply",
            ),
            (
                format!("a[{}]", deep("max_of(1,", "1m", ")", 10_000)),
                "nested too deeply",
            ),
            (
                format!("a offset {}", deep("1m^(", "1m", ")", 10_000)),
                "expected type",
            ),
            (deep("", "a", "[1m:]", 10_000), "too long"),
            (deep("a or ", "a", "", 10_000), "too long"),
            (format!("a[{}]", deep("1+", "1m", "", 10_000)), "too long"),
            ("a".repeat(1 << 20), "too long"),
            (deep("(", "", "", 1 << 20), "too long"),
        ] {
            let errors = parse_expr(&query, &ParserOptions::all()).unwrap_err();
            if why != "expected type" {
                assert!(errors.first().message.contains(why), "{errors}");
                assert_eq!(errors.kind(), ErrorKind::Exhausted, "{errors}");
            }
        }
        let selector = format!("{{{}}}", "a=\"b\",".repeat(1 << 18));
        assert!(parse_metric_selector(&selector).is_err());
        assert!(parse_series("a 1x100001").is_err());
        assert!(parse_series("a _x18446744073709551615").is_err());
        assert!(parse_series("a {{}}+{{}}x18446744073709551615").is_err());
        assert!(parse_series(&format!("a {}", "1x60000 ".repeat(2))).is_err());
    });
}

#[test]
fn what_is_just_allowed_works() {
    let depth = MAX_NESTING as usize - 1;
    let length = MAX_HEIGHT as usize - 1;
    on_a_small_stack(move || {
        for query in [
            deep("(", "a", ")", depth),
            deep("sum by (b) (", "a", ")", depth),
            deep("abs(", "a", ")", depth),
            deep("-", "a", "", depth),
            deep("1^", "a", "", depth),
            deep("a or ", "a", "", length),
            format!("a[{}]", deep("(", "1m", ")", depth - 1)),
            format!("a offset {}", deep("max_of(step(),", "1m", ")", depth - 1)),
            format!("a[{}]", deep("1+", "1m", "", length)),
        ] {
            let parsed = parse_expr(&query, &ParserOptions::all());
            let mut expr = parsed.unwrap_or_else(|errors| panic!("{query}: {errors}"));
            let text = expr.to_string();
            let mut again = parse_expr(&text, &ParserOptions::all()).unwrap();
            expr.erase_spans();
            again.erase_spans();
            assert_eq!(expr, again);
            assert!(expr.pretty().len() >= text.len() && expr.clone() == again);
        }
    });
}
