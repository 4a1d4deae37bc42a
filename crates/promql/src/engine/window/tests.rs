//! What Prometheus's scripts and recorded answers do not cover: Thanos's functions, failures, start
//! timestamps that are switched off.

use std::sync::Arc;

use async_trait::async_trait;
use rutile_model::{Labels, Samples};
use rutile_runtime::CpuPool;

use crate::engine::{Engine, EngineOptions, Result, SampleValue, Value};
use crate::source::{Select, Selected, SelectedStream, Series, Source, SourceError};
use crate::{ParserOptions, SeriesValue, parse_series};

#[derive(Debug, Clone)]
struct One {
    labels: Labels,
    samples: Samples,
}

impl Series for One {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn decode(&self, out: &mut Samples) -> Result<(), SourceError> {
        out.clone_from(&self.samples);
        Ok(())
    }
}

#[async_trait]
impl Source for One {
    async fn select(&self, _: &Select) -> Result<SelectedStream, SourceError> {
        let selected = Selected {
            series: vec![Arc::new(self.clone())],
            warnings: Vec::new(),
        };
        Ok(selected.into_stream())
    }
}

/// A series of test notation, with a sample every `step` seconds, that knows when its counter began.
fn source(series: &str, step: i64, began: i64) -> Arc<dyn Source> {
    let (labels, values) = parse_series(series).expect("it is a series");
    let mut samples = Samples::default();
    for (i, value) in (0..).zip(values) {
        let time = i * step * 1000;
        match value {
            None => continue,
            Some(SeriesValue::Float(value)) => samples.push_float(time, value),
            Some(SeriesValue::Histogram { histogram, .. }) => {
                samples.push_histogram(time, histogram);
            }
        }
        samples.starts.push(began * 1000);
    }
    Arc::new(One { labels, samples })
}

/// The float that a query yields at a time, in seconds.
async fn value(one: &Arc<dyn Source>, query: &str, time: i64, starts: bool) -> Option<f64> {
    let options = EngineOptions {
        parser: ParserOptions::all(),
        start_timestamps: starts,
        ..EngineOptions::default()
    };
    let engine = Engine::new(options, CpuPool::inline());
    let answer = engine.instant(one, query, time * 1000).await;
    let Value::Vector(samples) = answer.expect("it can be evaluated").value else {
        panic!("{query} is no vector");
    };
    match samples.first()?.value {
        SampleValue::Float(value) => Some(value),
        SampleValue::Histogram(_) => panic!("{query} yields a histogram"),
    }
}

#[tokio::test]
async fn functions_of_thanos() {
    for (series, step, query, time, expected) in [
        ("m 0+10x10", 5, "xincrease(m[50s])", 50, 100.0),
        ("m 0+10x5 0+10x4", 5, "xincrease(m[50s])", 50, 90.0),
        ("m 0+10x10", 5, "xincrease(m[3s])", 50, 10.0),
        ("m 0+10x10", 5, "xincrease(m[5s])", 17, 10.0),
        ("m 0+10x10", 5, "xincrease(m[10s])", 17, 20.0),
        ("m 0 1 2 3 2 3 4", 300, "xincrease(m[30m])", 1800, 7.0),
        ("m stale stale stale 5", 300, "xincrease(m[75m])", 4500, 5.0),
        ("m 0x3 1x3", 30, "xincrease(m[2m1s])", 240, 1.0),
        ("m 0x3 1x3", 30, "xincrease(m[2m])", 240, 0.0),
        ("m 1 5 10 20 _ 40", 10, "xincrease(m[10s])", 0, 1.0),
        ("m 1 5 10 20 _ 40", 10, "xincrease(m[10s])", 40, 0.0),
        ("m 1 5 10 20 _ 40", 10, "xincrease(m[10s])", 50, 20.0),
        ("m 0+10x10", 5, "xrate(m[50s])", 50, 2.0),
        ("m 0+10x5 0+10x4", 5, "xrate(m[100s])", 50, 0.9),
        ("m 0+10x10", 5, "xrate(m[3s])", 50, 2.0),
        ("m 0 50 300 150 200", 300, "xdelta(m[20m])", 1200, 200.0),
        ("m 200 150 300 50 0", 300, "xdelta(m[19m])", 1200, -190.0),
        ("m 200 150 300 50 0", 300, "xdelta(m[1m])", 1200, -10.0),
    ] {
        let one = source(series, step, 0);
        let got = value(&one, query, time, false).await;
        assert_eq!(got, Some(expected), "{query} at {time} of {series}");
    }
    let one = source("m 1", 60, 0);
    assert_eq!(value(&one, "xrate(m[1m])", 3601, false).await, Some(0.0));
    assert_eq!(value(&one, "xrate(m[1m])", 3660, false).await, None);
}

#[tokio::test]
async fn functions_fail_where_they_have_no_answer() {
    for (series, query, expected) in [
        (
            "m {{count:1}}",
            "xrate(m[1m])",
            "native histograms are not supported in extended range functions",
        ),
        (
            "m 1",
            "double_exponential_smoothing(m[1m], 0.5, 1)",
            "invalid trend factor. Expected: 0 < tf < 1, got: 1.000000",
        ),
        (
            "m 1",
            "double_exponential_smoothing(m[1m], -Inf, 1)",
            "invalid smoothing factor. Expected: 0 < sf < 1, got: -Inf",
        ),
        (
            "m 1",
            "deriv(m[1m] anchored)",
            "anchored modifier can only be used with: changes, delta, increase, rate, resets - not \
             with deriv",
        ),
    ] {
        let options = EngineOptions {
            parser: ParserOptions::all(),
            ..EngineOptions::default()
        };
        let engine = Engine::new(options, CpuPool::inline());
        let one = source(series, 60, 0);
        let error = engine.instant(&one, query, 0).await.expect_err(query);
        assert_eq!(error.to_string(), expected);
    }
    // Without samples, nobody looks at the factors.
    let one = source("m 1", 60, 0);
    let query = "double_exponential_smoothing(m[1m], 2, 2)";
    assert_eq!(value(&one, query, 600, false).await, None);
}

#[tokio::test]
async fn start_timestamps_count_only_if_they_are_in_use() {
    let one = source("m _ 60", 60, 30);
    assert_eq!(value(&one, "increase(m[1m])", 60, true).await, Some(60.0));
    assert_eq!(value(&one, "increase(m[1m])", 60, false).await, None);
    assert_eq!(value(&one, "delta(m[1m])", 60, true).await, None);
    let one = source("m 60 60", 60, 30);
    assert_eq!(value(&one, "irate(m[2m])", 60, true).await, Some(1.0));
    assert_eq!(value(&one, "irate(m[2m])", 60, false).await, Some(0.0));
    assert_eq!(value(&one, "resets(m[2m])", 60, true).await, Some(1.0));
    assert_eq!(value(&one, "resets(m[2m])", 60, false).await, Some(0.0));
}

#[tokio::test]
async fn far_times_are_no_trouble() {
    let one = source("m 1 2", 60, 0);
    for query in [
        "increase(m[200y] @ 9223372036854775 offset -200y)",
        "increase(m[200y] @ -9223372036854775 offset 200y)",
        "rate(m[200y] smoothed @ 9223372036854775 offset -200y)",
        "m smoothed @ -9223372036854775 offset 200y",
        "xrate(m[200y] @ -9223372036854775)",
    ] {
        assert_eq!(value(&one, query, 0, false).await, None, "{query}");
    }
}
