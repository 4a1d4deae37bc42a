//! Queries: any text, and texts of tokens, of which more are queries.

use std::sync::Arc;

use async_trait::async_trait;
use futures::executor::block_on;
use rutile_model::{Labels, Matcher};
use rutile_promql::{
    Engine, EngineOptions, ParserOptions, Samples, Select, Selected, SelectedStream, Series,
    SeriesValue, Source, SourceError, parse_expr, parse_metric, parse_metric_selector,
    parse_series,
};
use rutile_runtime::CpuPool;

/// Longest query: trees are bounded, but slow when instrumented.
const MAX_QUERY: usize = 2000;

/// One for each byte.
const TOKENS: &[&str] = &[
    "m",
    "h",
    "b",
    "m{a='x'}",
    "{a!='y'}",
    "{__name__=~'m|h'}",
    "[5m]",
    "[3m:1m]",
    "[step()+2m]",
    "[4m:]",
    " offset 1m",
    " offset -(1m*2)",
    " @ 120",
    " @ start()",
    " @ end()",
    " anchored",
    " smoothed",
    "(",
    "(",
    ")",
    ")",
    ",",
    "1",
    "0.5",
    "NaN",
    "Inf",
    "-1",
    "5m",
    "'a'",
    "\"le\"",
    "'$1'",
    "'(.*)'",
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    " atan2 ",
    "==",
    "!=",
    "<",
    ">=",
    " bool ",
    "</",
    ">/",
    " and ",
    " or ",
    " unless ",
    " on(a)",
    " ignoring(le)",
    " group_left(z)",
    " group_right()",
    " fill(0)",
    " fill_left(1)",
    " by(a)",
    " without(le)",
    "sum",
    "avg",
    "min",
    "count",
    "topk(2,",
    "quantile(0.9,",
    "count_values('v',",
    "limitk(1,",
    "limit_ratio(-0.5,",
    "stddev",
    "rate(",
    "increase(",
    "irate(",
    "delta(",
    "deriv(",
    "resets(",
    "changes(",
    "xrate(",
    "xincrease(",
    "abs(",
    "absent(",
    "absent_over_time(",
    "avg_over_time(",
    "max_over_time(",
    "stddev_over_time(",
    "mad_over_time(",
    "quantile_over_time(0.1,",
    "predict_linear(",
    "double_exponential_smoothing(",
    "histogram_quantile(0.9,",
    "histogram_quantiles(",
    "histogram_fraction(0,1,",
    "histogram_avg(",
    "histogram_count(",
    "histogram_stddev(",
    "info(",
    "label_replace(",
    "label_join(",
    "clamp(",
    "round(",
    "scalar(",
    "vector(",
    "time()",
    "pi()",
    "end()",
    "step()",
    "range()",
    "timestamp(",
    "sort(",
    "sort_by_label(",
    "day_of_year(",
    "min_of(",
    "max_of(",
    "ts_of_max_over_time(",
    "first_over_time(",
    "start_timestamp(",
];

/// What is printed reads back.
pub fn parse(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if text.len() > MAX_QUERY {
        return;
    }
    let options = ParserOptions::all();
    if let Ok(expr) = parse_expr(text, &options) {
        for printed in [expr.to_string(), expr.pretty()] {
            let again = parse_expr(&printed, &options);
            assert!(again.is_ok(), "{printed} does not read back");
        }
    }
    let _ = parse_expr(text, &ParserOptions::default());
    let _ = (
        parse_metric(text),
        parse_metric_selector(text),
        parse_series(text),
    );
}

/// A query of tokens, at one time and over a range.
pub fn evaluate(data: &[u8]) {
    let query: String = data
        .iter()
        .filter_map(|byte| TOKENS.get(usize::from(*byte)))
        .copied()
        .collect();
    if query.len() > MAX_QUERY {
        return;
    }
    let options = EngineOptions {
        parser: ParserOptions::all(),
        max_samples: 2000,
        delayed_name_removal: data.len() % 2 == 0,
        ..EngineOptions::default()
    };
    let engine = Engine::new(options, CpuPool::inline());
    let source: Arc<dyn Source> = Arc::new(Few::default());
    block_on(async {
        if engine.instant(&source, &query, 240_000).await.is_ok() {
            let _ = engine
                .range(&source, &query, (60_000, 300_000), 61_000)
                .await;
        }
    });
}

/// A counter, a native histogram and a classic one.
#[derive(Debug)]
struct Few(Vec<Arc<One>>);

#[derive(Debug)]
struct One(Labels, Samples);

impl Default for Few {
    fn default() -> Self {
        let lines = [
            "b{le=\"+Inf\"} 2+3x6",
            "b{le=\"1\"} 1+2x6",
            "h{a=\"x\"} {{schema:1 count:4 sum:5 buckets:[1 2 1]}}+{{schema:1 count:2 sum:1 buckets:[1 0 1]}}x5",
            "h{a=\"y\"} {{schema:-53 count:3 sum:5 custom_values:[1 2] buckets:[1 1 1]}}x3 stale 5 NaN",
            "m{a=\"x\"} 1 3 2 _ 4 -Inf 7",
            "m{a=\"y\"} 0+5x6",
        ];
        Self(lines.iter().map(|line| Arc::new(One::read(line))).collect())
    }
}

impl One {
    fn read(line: &str) -> Self {
        let (labels, values) = parse_series(line).unwrap();
        let mut samples = Samples::default();
        for (time, value) in (0..).step_by(60_000).zip(values) {
            match value {
                None => {}
                Some(SeriesValue::Float(value)) => samples.push_float(time, value),
                Some(SeriesValue::Histogram { histogram, .. }) => {
                    samples.push_histogram(time, histogram)
                }
            }
        }
        Self(labels, samples)
    }
}

#[async_trait]
impl Source for Few {
    async fn select(&self, select: &Select) -> Result<SelectedStream, SourceError> {
        let mut selected = Selected::default();
        for one in &self.0 {
            let matches = |matcher: &Matcher| matcher.matches(one.0.value(matcher.name()));
            if select.matchers.iter().all(matches) {
                selected.series.push(Arc::<One>::clone(one));
            }
        }
        Ok(selected.into_stream())
    }
}

impl Series for One {
    fn labels(&self) -> &Labels {
        &self.0
    }

    fn decode(&self, out: &mut Samples) -> Result<(), SourceError> {
        out.clone_from(&self.1);
        Ok(())
    }
}
