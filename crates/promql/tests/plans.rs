//! How queries are evaluated, as far as it can be seen: what is asked of a source and when, what is held, what
//! is told about it; and that answers are the same without the rules of plans.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use parking_lot::Mutex;
use rutile_model::{ErrorKind, Labels};
use rutile_promql::{
    Analysis, Answer, Engine, EngineOptions, Explanation, ParserOptions, Samples, Select, Selected,
    SelectedStream, Series, Source, SourceError, Value,
};
use rutile_runtime::{CpuPool, Ledger};

const MINUTE: i64 = 60_000;

/// A counter that has a sample each 15 s.
#[derive(Debug)]
struct Counter {
    labels: Labels,
    number: usize,
    decoded: Arc<AtomicUsize>,
}

impl Series for Counter {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn decode(&self, out: &mut Samples) -> Result<(), SourceError> {
        self.decoded.fetch_add(1, Ordering::SeqCst);
        out.clear();
        for i in 0..240 {
            // Resets now and then, and sums that round.
            let value = ((i * (self.number as i64 + 1)) % 97) as f64 * 0.1;
            out.push_float(i * 15_000, value);
        }
        Ok(())
    }
}

/// Gives `series` counters of each metric, three to a part; none of `missing`.
#[derive(Debug, Default)]
struct Counters {
    series: usize,
    selects: Mutex<Vec<Select>>,
    announced: Mutex<Vec<Select>>,
    decoded: Arc<AtomicUsize>,
    /// The parts that were taken.
    parts: Arc<AtomicUsize>,
}

impl Counters {
    fn of(series: usize) -> Arc<Self> {
        Arc::new(Self {
            series,
            ..Self::default()
        })
    }
}

#[async_trait]
impl Source for Counters {
    async fn select(&self, select: &Select) -> Result<SelectedStream, SourceError> {
        self.selects.lock().push(select.clone());
        let by_name = select.matchers.iter().find(|m| m.name() == "__name__");
        let name = by_name.map_or("a", |matcher| matcher.value()).to_owned();
        let all: Vec<Arc<dyn Series>> = (0..self.series)
            .map(|number| {
                let (job, pod) = (format!("j{}", number % 4), format!("p{number:04}"));
                let labels = [("__name__", name.as_str()), ("job", &job), ("pod", &pod)];
                let labels = Labels::from(labels);
                Arc::new(Counter {
                    labels,
                    number,
                    decoded: Arc::clone(&self.decoded),
                }) as Arc<dyn Series>
            })
            .collect();
        let is_wanted = |series: &Arc<dyn Series>| {
            let others = select.matchers.iter().filter(|m| m.name() != "__name__");
            let labels = series.labels();
            others
                .into_iter()
                .all(|m| m.matches(labels.value(m.name())))
        };
        let all: Vec<_> = all.into_iter().filter(is_wanted).collect();
        let parts: Vec<_> = all.chunks(3).map(<[_]>::to_vec).collect();
        let taken = Arc::clone(&self.parts);
        let parts = stream::iter(parts).map(move |series| {
            taken.fetch_add(1, Ordering::SeqCst);
            Ok(Selected {
                series,
                warnings: vec!["a store is slow".to_owned()],
            })
        });
        Ok(parts.boxed())
    }

    fn announce(&self, selects: Vec<Select>) {
        self.announced.lock().extend(selects);
    }
}

fn engine(optimize: bool, threads: usize) -> Engine {
    let options = EngineOptions {
        parser: ParserOptions::all(),
        analyze: true,
        optimize,
        ..EngineOptions::default()
    };
    Engine::new(options, CpuPool::new(threads))
}

async fn ask(engine: &Engine, source: &Arc<Counters>, query: &str) -> Answer {
    let source: Arc<dyn Source> = Arc::<Counters>::clone(source);
    let answer = engine.range(&source, query, (0, 50 * MINUTE), MINUTE).await;
    answer.expect("it can be evaluated")
}

/// Labels, times and the bits of values.
fn bits(answer: &Answer) -> Vec<(String, Vec<(i64, u64)>)> {
    let Value::Matrix(series) = &answer.value else {
        panic!("a range query gives a matrix");
    };
    let of_series = |floats: &[(i64, f64)]| floats.iter().map(|(t, v)| (*t, v.to_bits())).collect();
    series
        .iter()
        .map(|series| (series.labels.to_string(), of_series(&series.floats)))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_the_same_without_rules_and_on_any_number_of_cores() {
    for query in [
        "sum by (job) (rate(a_total[5m]))",
        "avg(-a_total * 3.7)",
        "stddev by (job) (abs(delta(a_total[10m])) > 1)",
        "max without (pod) (max_over_time(a_total[7m])) - min by (job) (min_over_time(a_total[7m]))",
        "count(clamp(a_total, 1, 3) >= bool 2)",
        "group by (pod) (sum_over_time(a_total[3m]))",
        "quantile by (job) (0.3, increase(a_total[5m]))",
        "topk(2, avg_over_time(a_total[5m]))",
        "sum(a_total @ 600) + sum(a_total)",
        "sum by (job) (rate(a_total[5m] @ end())) / on (job) sum by (job) (rate(a_total[5m]))",
        "max_over_time(sum(rate(a_total[2m]))[10m:1m])",
        "a_total > 4 and a_total < 6",
        r#"sum by (job) (rate(a_total{job="j1"}[5m])) / sum by (job) (rate(b_total[5m]))"#,
        r#"max by (job) (a{job=~"j1|j2"}) > bool on (job) -min by (job, pod) (b{pod="p0001"})"#,
        // The names of two metrics go: what is left is the same.
        r#"sum by (pod) (abs({__name__=~"a|b"}))"#,
    ] {
        let source = Counters::of(100);
        let expected = ask(&engine(false, 1), &source, query).await;
        for threads in [1, 2, 5] {
            let answer = ask(&engine(true, threads), &source, query).await;
            assert_eq!(bits(&answer), bits(&expected), "{query}");
            assert_eq!(answer.annotations, expected.annotations, "{query}");
            assert_eq!(answer.warnings, ["a store is slow"], "{query}");
        }
        assert!(!bits(&expected).is_empty(), "{query}");
    }
}

/// The names of a plan, outer ones first, indented.
fn outline(plan: &Explanation, depth: usize) -> String {
    let inner: String = plan
        .children
        .iter()
        .map(|c| outline(c, depth + 1))
        .collect();
    format!("{}{}\n{inner}", "  ".repeat(depth), plan.name)
}

#[test]
fn plans_explain_themselves() {
    for (query, expected) in [
        (
            "sum by (job) (rate(a_total[5m]))",
            "[aggregation] sum by (job)
  [function] rate (row by row)
    [range selector] a_total[5m]
",
        ),
        (
            "(a) / on (job) group_left () -a offset 5m",
            "[operator] /
  [selector] a (row by row)
  [sign] - (row by row)
    [selector] a offset 5m (row by row)
",
        ),
        (
            "a > 1 unless a > scalar(max(b @ 0))",
            "[operator] unless
  [operator] > (row by row)
    [selector] a (row by row, shared)
    [number] 1 (once)
  [operator] > (row by row)
    [selector] a (row by row, shared)
    [function] scalar (once)
      [aggregation] max (once)
        [selector] b @ 0.000 (row by row, once)
",
        ),
        (
            "max_over_time(sort(a @ 1)[5m:1m] @ 7) + time()",
            "[operator] + (row by row)
  [function] max_over_time (row by row, once)
    [subquery] [5m:1m] @ 7.000 (once)
      [function] sort
        [selector] a @ 1.000 (row by row, once)
  [function] time
",
        ),
    ] {
        let plan = engine(true, 1).explain(query).expect("a query");
        assert_eq!(outline(&plan, 0), expected, "{query}");
    }
    assert!(engine(true, 1).explain("sum(").is_err());
}

/// What the selectors of a query select.
fn selected(plan: &Explanation) -> Vec<String> {
    let below = plan.children.iter().flat_map(selected);
    match plan.name.split_once("selector] ") {
        Some((_, rest)) => vec![rest.trim_end_matches(" (row by row)").to_owned()],
        None => below.collect(),
    }
}

#[test]
fn matchers_go_to_the_other_side() {
    for (query, expected) in [
        (
            r#"sum by (job) (rate(a{job="x", pod="p"}[5m])) / (sum by (job) (rate(b[5m])))"#,
            [r#"a{job="x",pod="p"}[5m]"#, r#"b{job="x"}[5m]"#],
        ),
        // From both sides to both.
        (
            r#"sum by (k, l) (-a{k="1"}) * on (k, l) max by (k, l) (abs(b{l!="2"}))"#,
            [r#"a{k="1",l!="2"}"#, r#"b{k="1",l!="2"}"#],
        ),
        (
            r#"a{job="x"} / on (job) group_left () sum by (job) (b)"#,
            [r#"a{job="x"}"#, r#"b{job="x"}"#],
        ),
        // The label is none by which rows find each other; there may be duplicates; both sides are not needed;
        // the label is not that of the series; the name is another one; some rows are picked of all.
        (
            r#"sum by (job) (a{job="x"}) / ignoring (job) sum by (job) (b)"#,
            [r#"a{job="x"}"#, "b"],
        ),
        (
            r#"sum by (job) (a{job="x"}) / on (job) b"#,
            [r#"a{job="x"}"#, "b"],
        ),
        (
            r#"sum by (job) (a{job="x"}) / on () sum by (job) (b)"#,
            [r#"a{job="x"}"#, "b"],
        ),
        (
            r#"sum by (job) (a{job="x"}) or sum by (job) (b)"#,
            [r#"a{job="x"}"#, "b"],
        ),
        (
            r#"sum by (job) (a{job="x"}) + fill (0) sum by (job) (b)"#,
            [r#"a{job="x"}"#, "b"],
        ),
        (
            r#"sum by (job) (a{job="x"}) / sum by (job) (sum by (pod) (b))"#,
            [r#"a{job="x"}"#, "b"],
        ),
        (
            r#"sum by (job) (a{job="x"}) / sum by (job) (topk(1, b))"#,
            [r#"a{job="x"}"#, "b"],
        ),
    ] {
        let plan = engine(true, 1).explain(query).expect("a query");
        assert_eq!(selected(&plan), expected, "{query}");
        let plain = engine(false, 1).explain(query).expect("a query");
        let right = selected(&plain).pop();
        assert!(right.is_some_and(|right| !right.contains("job")), "{query}");
    }
}

#[tokio::test]
async fn equal_selectors_are_selected_once() {
    for (query, optimized, plain) in [
        ("a > 4 and a < 6", 1, 2),
        ("sum(rate(a_total[5m])) / sum(rate(a_total[5m]))", 1, 2),
        // A source may answer from aggregates that suit the function.
        ("sum(rate(a_total[5m])) / sum(increase(a_total[5m]))", 2, 2),
        ("a + a offset 5m", 2, 2),
        // Once more over the longer time of the subquery.
        ("a + max_over_time(a[10m:1m])", 2, 2),
    ] {
        for (optimize, expected) in [(true, optimized), (false, plain)] {
            let source = Counters::of(10);
            ask(&engine(optimize, 1), &source, query).await;
            assert_eq!(source.selects.lock().len(), expected, "{query}");
        }
    }
}

/// What is announced is asked for next: a source gives up what is passed over.
#[tokio::test]
async fn selects_are_announced_in_the_order_in_which_they_come() {
    for (query, expected) in [
        ("a", 0),
        ("a > 4 and a < 6", 0),
        ("sum(rate(a[5m])) / sum(rate(b[5m]))", 2),
        (r#"sum by (job) (a{job="j1"}) / sum by (job) (b)"#, 2),
        ("a or b offset 5m or max_over_time(c[10m:1m])", 3),
        ("max_over_time((a or b)[10m:1m] @ 600 offset 5m) or c", 3),
        // The interval leaves nothing to look at.
        ("max_over_time(a[1s:11s] @ 5) or b or c", 2),
        // What is taken as it comes is asked for last.
        ("clamp(-a, scalar(b), scalar(max(c))) or d", 4),
        ("topk(scalar(count(b)), a) or bottomk(1, c)", 3),
        ("predict_linear(a[5m], scalar(b)) or quantile(0.5, c)", 3),
        ("scalar(a) + scalar(b) * c", 3),
        (
            "sort(a) or label_replace(b, 'x', 'y', 'job', '.*') or vector(scalar(c))",
            3,
        ),
        (
            "absent(a) or absent_over_time(b[5m]) or count_values('v', c)",
            3,
        ),
        (
            "rate(a[5m] anchored) or increase(b[5m] smoothed) or xrate(c[5m]) or d smoothed",
            4,
        ),
        (
            "sum(a @ 600) or sum(b @ end()) or sum(sum_over_time(c[5m] @ 0))",
            3,
        ),
        // Behind these it is not known.
        ("a or b or timestamp(c) or d", 2),
        ("a or info(b) or c", 2),
    ] {
        for (optimize, expected) in [(true, expected), (false, 0)] {
            let source = Counters::of(4);
            ask(&engine(optimize, 1), &source, query).await;
            let (announced, selects) = (source.announced.lock(), source.selects.lock());
            assert_eq!(announced.len(), expected, "{query}");
            assert_eq!(announced[..], selects[..expected], "{query}");
        }
    }
}

#[tokio::test]
async fn what_is_fixed_is_computed_once() {
    let source = Counters::of(4);
    let answer = ask(&engine(true, 1), &source, "sum(rate(a_total[5m] @ 600))").await;
    let analysis = answer.analysis.clone().expect("it was asked for");
    assert_eq!(answer.stats.samples, 4 * 20, "of one step");
    assert_eq!(analysis.children[0].samples, 4 * 20);
    let [(_, points)] = &bits(&answer)[..] else {
        panic!("one series")
    };
    assert_eq!(points.len(), 51);
}

#[tokio::test]
async fn figures_are_those_of_what_was_done() {
    let source = Counters::of(100);
    let query = "histogram_quantile(0.9, sum by (job) (rate(a_total[5m]))) or sum(a_total)";
    let answer = ask(&engine(true, 2), &source, query).await;
    // Steps at 0 to 50 minutes: windows of 1, 5, 9, 13, 17 and then 20 samples; one sample each of `a_total`.
    let samples = 100 * (1 + 5 + 9 + 13 + 17 + 46 * 20);
    assert_eq!(answer.stats.samples, samples + 100 * 51);
    // The groups, not the rows: the result of the left side is empty.
    assert!(
        answer.stats.peak_samples <= 4 * 51 + 3 * 51,
        "{:?}",
        answer.stats
    );
    let analysis = answer.analysis.expect("it was asked for");
    let find = |name: &str| -> Analysis {
        fn search(node: &Analysis, name: &str) -> Option<Analysis> {
            if node.name.contains(name) {
                return Some(node.clone());
            }
            node.children.iter().find_map(|child| search(child, name))
        }
        search(&analysis, name).expect("it is in the plan")
    };
    assert_eq!((find("rate").series, find("rate").samples), (100, samples));
    assert_eq!(find("[range selector]").samples, samples);
    assert_eq!(find("sum by (job)").series, 4);
    assert!(find("sum by (job)").peak_bytes > 0);

    let quiet = EngineOptions {
        analyze: false,
        ..EngineOptions::default()
    };
    let quiet = Engine::new(quiet, CpuPool::inline());
    assert!(ask(&quiet, &source, "sum(a)").await.analysis.is_none());
}

#[tokio::test]
async fn a_fold_holds_groups_and_not_rows() {
    let source = Counters::of(1000);
    let dynamic: Arc<dyn Source> = Arc::<Counters>::clone(&source);
    let ask = async |query: &str, max_samples: u64, ledger: &Ledger| {
        let options = EngineOptions {
            max_samples,
            ..EngineOptions::default()
        };
        let engine = Engine::new(options, CpuPool::inline()).with_account(ledger.account("query"));
        engine
            .range(&dynamic, query, (0, 50 * MINUTE), MINUTE)
            .await
            .map_err(|error| (error.kind(), error.to_string()))
    };
    let large = Ledger::new(1 << 30);
    assert!(
        ask("sum by (job) (rate(a_total[5m]))", 5100, &large)
            .await
            .is_ok()
    );
    let (kind, message) = ask("rate(a_total[5m])", 5100, &large).await.unwrap_err();
    assert_eq!(kind, ErrorKind::Exhausted);
    assert!(message.contains("more than 5100"), "{message}");
    assert!(message.contains("--query.max-samples"), "{message}");
    assert_eq!(large.stats().accounts, 0, "what was reserved is given back");

    let small = Ledger::new(300 << 10);
    let (kind, message) = ask("sum by (pod) (rate(a_total[5m]))", 1 << 30, &small)
        .await
        .unwrap_err();
    assert_eq!(kind, ErrorKind::Exhausted);
    assert!(message.contains("--memory.limit"), "{message}");
    assert_eq!(small.stats().accounts, 0);
}

/// Only a few batches are under way, so that what nobody takes is not computed; and nothing goes on without
/// whoever asked.
#[tokio::test]
async fn a_dropped_query_stops() {
    let source = Counters::of(9000);
    let dynamic: Arc<dyn Source> = Arc::<Counters>::clone(&source);
    let engine = engine(true, 2);
    {
        let query = engine.range(&dynamic, "sum(rate(a[5m]))", (0, 50 * MINUTE), MINUTE);
        let mut query = Box::pin(query);
        assert!(futures::poll!(query.as_mut()).is_pending());
    }
    // Whatever had begun ends before this, which has to wait for its turn: each takes one of two places.
    ask(&engine, &Counters::of(1), "a").await;
    let (parts, decoded) = (&source.parts, &source.decoded);
    let now = (parts.load(Ordering::SeqCst), decoded.load(Ordering::SeqCst));
    assert!(now.0 <= 64 && now.1 < 9000 / 10, "{now:?}");
}

/// Chains of operators may be longer than a stack is deep; and what is done to rows is kept at each level of a deep
/// query, which must not keep all levels below.
#[tokio::test]
async fn deep_queries_are_evaluated() {
    for (query, expected) in [
        (format!("a{}", " + 1".repeat(900)), 900.0),
        (format!("a{}", " or b".repeat(900)), 0.0),
        (format!("1{} + a", " + 1".repeat(900)), 901.0),
        (format!("{}a{}", "abs(".repeat(60), ")".repeat(60)), 0.0),
        (format!("{}a{}", "max(".repeat(60), ")".repeat(60)), 0.0),
        (format!("{{__name__=~'a|b'}}{}", " < 1".repeat(900)), 0.0),
    ] {
        for optimize in [true, false] {
            let source = Counters::of(1);
            let answer = ask(&engine(optimize, 2), &source, &query).await;
            let (_, points) = &bits(&answer)[0];
            assert_eq!(
                points.first(),
                Some(&(0, f64::to_bits(expected))),
                "{query}"
            );
            assert!(source.selects.lock().len() < 1000);
        }
    }
}
