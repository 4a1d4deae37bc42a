//! Queries that would take more time or memory than anybody has: refused with a message that says why, most of them
//! before anything is read. What is too long or too deep is in `limits`, times without end in `extremes`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use rutile_model::{ErrorKind, Labels};
use rutile_promql::{
    Answer, Engine, EngineOptions, Error, ParserOptions, Samples, Select, Selected, SelectedStream,
    Series, Source, SourceError, Value, parse_expr,
};
use rutile_runtime::CpuPool;

/// The most samples of a query here.
const MAX_SAMPLES: u64 = 100_000;

/// Three series, and how often they were asked for and decoded.
#[derive(Debug, Default)]
struct Counting {
    selects: AtomicU64,
    decodes: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Up {
    labels: Labels,
    decodes: Arc<AtomicU64>,
}

#[async_trait]
impl Source for Counting {
    async fn select(&self, _: &Select) -> Result<SelectedStream, SourceError> {
        self.selects.fetch_add(1, Ordering::Relaxed);
        let mut selected = Selected::default();
        for le in ["0.5", "1", "+Inf"] {
            selected.series.push(Arc::new(Up {
                labels: Labels::from_iter([("__name__", "up"), ("a", &"x".repeat(64)), ("le", le)]),
                decodes: Arc::clone(&self.decodes),
            }));
        }
        Ok(selected.into_stream())
    }
}

impl Series for Up {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn decode(&self, out: &mut Samples) -> Result<(), SourceError> {
        self.decodes.fetch_add(1, Ordering::Relaxed);
        out.clear();
        for time in 0..100 {
            out.push_float(time * 60_000, time as f64);
        }
        Ok(())
    }
}

struct Refusal {
    error: Error,
    selects: u64,
}

/// Evaluates a query at one time, or at so many steps.
async fn ask(query: &str, steps: i64) -> (Result<Answer, Error>, Arc<Counting>) {
    let options = EngineOptions {
        parser: ParserOptions::all(),
        max_samples: MAX_SAMPLES,
        ..EngineOptions::default()
    };
    let engine = Engine::new(options, CpuPool::inline());
    let counting = Arc::new(Counting::default());
    let source: Arc<dyn Source> = Arc::<Counting>::clone(&counting);
    let answer = match steps {
        1 => engine.instant(&source, query, 3_600_000).await,
        _ => {
            engine
                .range(&source, query, (0, (steps - 1) * 1000), 1000)
                .await
        }
    };
    (answer, counting)
}

/// How a query is refused.
async fn refused(query: &str, steps: i64) -> Refusal {
    let (answer, counting) = ask(query, steps).await;
    let shown: String = query.chars().take(100).collect();
    Refusal {
        error: answer
            .map(|answer| format!("{answer:.100?}"))
            .expect_err(&shown),
        selects: counting.selects.load(Ordering::Relaxed),
    }
}

#[tokio::test]
async fn too_many_points_are_refused_before_anything_is_read() {
    for steps in [11_002, 1_000_000_000_000] {
        let refusal = refused("up", steps).await;
        let message = refusal.error.to_string();
        assert!(
            message.contains("11,000 points per timeseries"),
            "{message}"
        );
        assert_eq!(
            (refusal.error.kind(), refusal.selects),
            (ErrorKind::Invalid, 0)
        );
    }
}

#[tokio::test]
async fn subqueries_of_too_many_steps_are_refused_before_anything_is_read() {
    for query in [
        "up[100y:1ms]",
        "sum_over_time(up[100y:1ms])",
        "sum_over_time(vector(1)[292y:1ms])",
        "max_over_time(max_over_time(up[1y:1s])[1y:1s])",
        "rate(up[1m:1ms] offset 200y) + count_over_time(up[200s:1ms])",
        "quantile_over_time(0.5, up[200y:1ms] @ 9e15)",
        "absent_over_time(up[1y:1s])",
        "up[step() + 1y:1ms * 2]",
    ] {
        let refusal = refused(query, 1).await;
        let message = refusal.error.to_string();
        assert!(message.contains("too many samples"), "{query}: {message}");
        assert_eq!(refusal.error.kind(), ErrorKind::Exhausted, "{query}");
        assert_eq!(
            refusal.selects,
            u64::from(query.starts_with("rate(")),
            "{query}"
        );
    }
}

/// Each subquery is small; together they look at 72,000 steps, of which few hold anything.
#[tokio::test]
async fn subqueries_within_each_other_are_bounded() {
    let query = (0..50).fold("up".to_owned(), |inner, _| {
        format!("max_over_time({inner}[1d:1m])")
    });
    let (answer, counting) = ask(&query, 1).await;
    let stats = answer.expect("it fits").stats;
    assert!(stats.peak_samples < MAX_SAMPLES, "{stats:?}");
    assert!(stats.peak_bytes < 16 << 20, "{stats:?}");
    assert!(counting.decodes.load(Ordering::Relaxed) <= 3);
}

#[tokio::test]
async fn rows_that_multiply_are_refused() {
    let bucket = "sum by (le) (up)";
    for query in [
        format!("histogram_quantiles({bucket}, \"q\", time() / 1e9)"),
        "count_values(\"v\", up + time())".to_owned(),
    ] {
        let refusal = refused(&query, 5000).await;
        let message = refusal.error.to_string();
        assert!(message.contains("too many samples"), "{query}: {message}");
    }
}

/// Each call makes a value of twice the length.
#[tokio::test]
async fn labels_that_double_are_refused() {
    let replaced =
        |inner: String, _| format!("label_replace({inner}, \"a\", \"$1$1\", \"a\", \"(.*)\")");
    let joined = |inner: String, _| format!("label_join({inner}, \"a\", \"\", \"a\", \"a\")");
    let at_once = format!(
        "label_replace(up, \"a\", \"{}\", \"a\", \"(.*)\")",
        "$1".repeat(100_000)
    );
    for query in [
        (0..60).fold("up".to_owned(), replaced),
        (0..60).fold("up".to_owned(), joined),
        at_once,
    ] {
        let refusal = refused(&query, 1).await;
        let message = refusal.error.to_string();
        assert!(
            message.contains("label values of more than 800000 bytes"),
            "{message}"
        );
        assert_eq!(refusal.error.kind(), ErrorKind::Exhausted);
    }
}

/// Every step has a message of its own.
#[tokio::test]
async fn messages_are_bounded() {
    let options = EngineOptions {
        parser: ParserOptions::all(),
        ..EngineOptions::default()
    };
    let engine = Engine::new(options, CpuPool::inline());
    let source: Arc<dyn Source> = Arc::new(Counting::default());
    let query = "sum_over_time(histogram_quantile(time(), up)[50000s:1s] @ 50100)";
    let answer = engine.instant(&source, query, 0).await.expect("an answer");
    assert_eq!(answer.annotations.iter().count(), 1000);
    let last = answer.annotations.iter().last().expect("one");
    assert!(
        last.message
            .contains("there are more annotations than the 999 first"),
        "{last}"
    );
}

#[test]
fn regular_expressions_that_explode_are_refused() {
    let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), "{1,100})".repeat(depth));
    for pattern in [
        "a{1001}".to_owned(),
        "(a{1000}){1000}".to_owned(),
        nested(5),
        nested(150),
        "(".repeat(10_000) + "a" + &")".repeat(10_000),
        "(\\\\pL{500}\\\\pN{500}){1000}".to_owned(),
        "(?:a?){1000}(?:a?){1000}".repeat(200),
    ] {
        for query in [
            format!("up{{a=~\"{pattern}\"}}"),
            format!("{{__name__!~\"{pattern}\"}}"),
        ] {
            let errors = parse_expr(&query, &ParserOptions::all());
            let shown: String = query.chars().take(60).collect();
            let message = errors.expect_err(&shown).to_string();
            assert!(message.contains("error parsing regexp"), "{message:.300}");
        }
    }
}

#[tokio::test]
async fn exploding_replacements_are_refused() {
    for pattern in ["(a{1000}){1000}", "((((a{1,100}){1,100}){1,100}){1,100})"] {
        let query = format!("label_replace(up, \"b\", \"$1\", \"a\", \"{pattern}\")");
        let refusal = refused(&query, 1).await;
        let message = refusal.error.to_string();
        assert!(
            message.contains("invalid regular expression in label_replace()"),
            "{message}"
        );
    }
}

/// Backtracking would not come to an end here.
#[tokio::test]
async fn matching_takes_time_in_proportion_to_the_text() {
    let options = EngineOptions::default();
    let engine = Engine::new(options, CpuPool::inline());
    let source: Arc<dyn Source> = Arc::new(Counting::default());
    for pattern in [
        "(x+x+)+y",
        "(x*)*y",
        "(x|xx)*y",
        "(.*)(.*)(.*)(.*)(.*)(.*)y",
    ] {
        let query = format!("label_replace(up, \"b\", \"$1\", \"a\", \"{pattern}\")");
        let answer = engine.instant(&source, &query, 0).await.expect("an answer");
        let Value::Vector(samples) = answer.value else {
            panic!("a vector")
        };
        assert!(samples.len() == 3 && samples.iter().all(|s| s.labels.get("b").is_none()));
    }
}

/// Each is harmless, and there are hundreds of them.
#[tokio::test]
async fn regular_expressions_are_bounded_together() {
    let large = |i: usize| format!("x{i}\\\\pL{{40}}y");
    let matchers = |i: usize| format!("up{{a=~\"{}\"}}", large(i));
    assert!(parse_expr(&matchers(0), &ParserOptions::all()).is_ok());
    let selectors: Vec<String> = (0..300).map(matchers).collect();
    let together = "does not fit beside the others: use fewer or simpler ones";
    for query in [
        selectors.join(" or "),
        format!(
            "count_over_time({{{}}}[1m])",
            (0..300)
                .map(|i| format!("a{i}!~\"{}\"", large(i)))
                .collect::<Vec<_>>()
                .join(",")
        ),
    ] {
        let refusal = refused(&query, 1).await;
        let message = refusal.error.to_string();
        assert!(
            message.contains(together) && message.len() < 500,
            "{message:.1000}"
        );
        assert_eq!(
            (refusal.error.kind(), refusal.selects),
            (ErrorKind::Exhausted, 0)
        );
    }
    let replaced = |inner: String, i: usize| {
        format!(
            "label_replace({inner}, \"b\", \"$1\", \"a\", \"{}\")",
            large(i)
        )
    };
    let refusal = refused(&(0..100).fold("up".to_owned(), replaced), 1).await;
    let message = refusal.error.to_string();
    assert!(message.contains(together), "{message:.1000}");
    let one = replaced("up".to_owned(), 1);
    assert!(ask(&one, 1).await.0.is_ok());
}

/// What is the same is compiled once.
#[tokio::test]
async fn equal_regular_expressions_count_once() {
    let selector = "up{a=~\"x\\\\pL{40}y\"}";
    let query = [selector].repeat(300).join(" or ");
    assert!(ask(&query, 1).await.0.is_ok());
}
