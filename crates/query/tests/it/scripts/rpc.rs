//! The same through the service `thanos.Query`: values must be those of the engine to the last bit, the buckets of
//! native histograms among them.
//!
//! Its requests know whole seconds, and an instant query at 0 is one at the time of its arrival: what the scripts ask
//! at other times is asked over ranges only, or left out.

use std::fmt::Debug;
use std::sync::Arc;

use rutile_model::{CounterResetHint, FloatHistogram, Labels, Span};
use rutile_promql::{Answer, Engine, Error, SampleValue, Source, Value};
use rutile_proto::prometheus_copy::histogram::{Count, ResetHint, ZeroCount};
use rutile_proto::prometheus_copy::{BucketSpan, Histogram, TimeSeries};
use rutile_proto::thanos::query_range_response::Result as Part;
use rutile_proto::thanos::{QueryRangeRequest, QueryRequest};
use tonic::Status;

use super::script::{Eval, When};
use crate::grpc::{call, series};
use crate::support::Cluster;

/// Around the time of an instant query, s: ranges have histograms before and behind it.
const MINUTE_S: i64 = 60;

/// What was compared.
#[derive(Debug, Default)]
pub(super) struct Compared {
    pub(super) answers: usize,
    pub(super) histograms: usize,
}

/// A series as the service has it and the engine, with everything as bits. Times are ms.
#[derive(Debug, PartialEq, Eq)]
struct Exact {
    labels: Vec<(String, String)>,
    floats: Vec<(i64, u64)>,
    histograms: Vec<(i64, ExactHistogram)>,
}

/// Without the buckets that are empty: a chunk has those of all its histograms in each.
#[derive(Debug, PartialEq, Eq)]
struct ExactHistogram {
    hint: CounterResetHint,
    schema: i32,
    /// Count, sum, zero threshold, zero count.
    numbers: [u64; 4],
    /// Offsets and lengths, negative ones first.
    spans: [Vec<Span>; 2],
    buckets: [Vec<u64>; 2],
    bounds: Vec<u64>,
}

impl Compared {
    /// Asks what the script asks, at its time and around it.
    pub(super) async fn check(
        &mut self,
        cluster: &Cluster,
        engine: &Engine,
        source: &Arc<dyn Source>,
        eval: &Eval,
    ) -> Result<(), String> {
        let query = &eval.query;
        let (start, end, step) = match eval.when {
            When::Range { start, end, step } => (start, end, step),
            When::At(time) => {
                let time = eval.expect.range_vector.map_or(time, |(_, end, _)| end);
                if let Some(time_seconds) = seconds(time).filter(|time| *time != 0) {
                    let request = QueryRequest {
                        query: query.clone(),
                        time_seconds,
                        ..QueryRequest::default()
                    };
                    let expected = engine.instant(source, query, time).await;
                    self.compare(query, expected, call(cluster, "Query", &request).await)?;
                }
                let minute = MINUTE_S * 1000;
                (time - minute, time + minute, minute)
            }
        };
        let (Some(first), Some(last), Some(interval)) =
            (seconds(start), seconds(end), seconds(step))
        else {
            return Ok(());
        };
        let request = QueryRangeRequest {
            query: query.clone(),
            start_time_seconds: first,
            end_time_seconds: last,
            interval_seconds: interval,
            response_batch_size: 3,
            ..QueryRangeRequest::default()
        };
        let expected = engine.range(source, query, (start, end), step).await;
        self.compare(query, expected, call(cluster, "QueryRange", &request).await)
    }

    fn compare(
        &mut self,
        query: &str,
        expected: Result<Answer, Error>,
        got: Result<Vec<Part>, Status>,
    ) -> Result<(), String> {
        self.answers += 1;
        let (answer, parts) = match (expected, got) {
            (Ok(answer), Ok(parts)) => (answer, parts),
            (Err(error), Err(status)) if status.message().contains(&error.to_string()) => {
                return Ok(());
            }
            (expected, got) => return Err(format!("expected {expected:?}\n    got      {got:?}")),
        };
        let annotations = answer.annotations.iter();
        let annotations: Vec<String> = annotations.map(|one| one.render(query)).collect();
        same(&annotations.join(", "), &warnings(&parts))?;
        let expected = of_engine(answer.value);
        let got: Vec<Exact> = series(&parts).into_iter().map(of_service).collect();
        self.histograms += got.iter().map(|one| one.histograms.len()).sum::<usize>();
        same(&expected, &got)
    }
}

fn same<T: PartialEq + Debug + ?Sized>(expected: &T, got: &T) -> Result<(), String> {
    match expected == got {
        true => Ok(()),
        false => Err(format!("expected {expected:?}\n    got      {got:?}")),
    }
}

/// A time in seconds, if it is a whole number of them.
fn seconds(ms: i64) -> Option<i64> {
    (ms % 1000 == 0).then_some(ms / 1000)
}

fn warnings(parts: &[Part]) -> String {
    let texts = parts.iter().filter_map(|part| match part {
        Part::Warnings(text) => Some(text.as_str()),
        Part::Timeseries(_) | Part::TimeseriesBatch(_) | Part::Stats(_) => None,
    });
    texts.collect::<Vec<_>>().join(", ")
}

fn of_engine(value: Value) -> Vec<Exact> {
    let series = |labels: &Labels| Exact {
        labels: labels
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        floats: Vec::new(),
        histograms: Vec::new(),
    };
    match value {
        Value::String { .. } => Vec::new(),
        Value::Scalar { time_ms, value } => vec![Exact {
            floats: vec![(time_ms, sent(value))],
            ..series(&Labels::empty())
        }],
        Value::Vector(samples) => {
            let of_sample = |sample: rutile_promql::InstantSample| {
                let mut exact = series(&sample.labels);
                match &sample.value {
                    SampleValue::Float(value) => {
                        exact.floats.push((sample.time_ms, sent(*value)));
                    }
                    SampleValue::Histogram(histogram) => {
                        let histogram = ExactHistogram::from(&**histogram);
                        exact.histograms.push((sample.time_ms, histogram));
                    }
                }
                exact
            };
            samples.into_iter().map(of_sample).collect()
        }
        Value::Matrix(all) => {
            let of_series = |one: &rutile_promql::RangeSeries| {
                let floats = one.floats.iter();
                let histograms = one.histograms.iter();
                Exact {
                    floats: floats.map(|(time, value)| (*time, sent(*value))).collect(),
                    histograms: histograms
                        .map(|(time, value)| (*time, ExactHistogram::from(&**value)))
                        .collect(),
                    ..series(&one.labels)
                }
            };
            all.iter().map(of_series).collect()
        }
    }
}

fn of_service(series: &TimeSeries) -> Exact {
    let labels = series.labels.iter();
    let floats = series.samples.iter();
    let histograms = series.histograms.iter();
    Exact {
        labels: labels
            .map(|label| (label.name.clone(), label.value.clone()))
            .collect(),
        floats: floats
            .map(|sample| (sample.timestamp, sent(sample.value)))
            .collect(),
        histograms: histograms
            .map(|one| (one.timestamp, ExactHistogram::from(&read(one))))
            .collect(),
    }
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().copied().map(sent).collect()
}

/// The bits of a number. A field that is zero is not sent, so that the sign of zero is lost, as it is in Thanos.
fn sent(value: f64) -> u64 {
    if value == 0.0 { 0 } else { value.to_bits() }
}

impl From<&FloatHistogram> for ExactHistogram {
    fn from(histogram: &FloatHistogram) -> Self {
        let mut histogram = histogram.clone();
        histogram.compact(0);
        let FloatHistogram {
            count,
            sum,
            zero_threshold,
            zero_count,
            ..
        } = histogram;
        Self {
            hint: histogram.counter_reset_hint,
            schema: histogram.schema,
            numbers: [count, sum, zero_threshold, zero_count].map(sent),
            buckets: [
                bits(&histogram.negative_buckets),
                bits(&histogram.positive_buckets),
            ],
            bounds: bits(&histogram.custom_values),
            spans: [histogram.negative_spans, histogram.positive_spans],
        }
    }
}

/// What a querier sends is a histogram of floats: it has no integers, and no differences.
fn read(histogram: &Histogram) -> FloatHistogram {
    let (Some(Count::CountFloat(count)), Some(ZeroCount::ZeroCountFloat(zero_count))) =
        (&histogram.count, &histogram.zero_count)
    else {
        panic!("no histogram of floats: {histogram:?}");
    };
    assert!(histogram.negative_deltas.is_empty() && histogram.positive_deltas.is_empty());
    let spans = |spans: &[BucketSpan]| {
        let span = |span: &BucketSpan| Span {
            offset: span.offset,
            length: span.length,
        };
        spans.iter().map(span).collect()
    };
    FloatHistogram {
        counter_reset_hint: match histogram.reset_hint() {
            ResetHint::Unknown => CounterResetHint::Unknown,
            ResetHint::Yes => CounterResetHint::Reset,
            ResetHint::No => CounterResetHint::NotReset,
            ResetHint::Gauge => CounterResetHint::Gauge,
        },
        schema: histogram.schema,
        count: *count,
        sum: histogram.sum,
        zero_threshold: histogram.zero_threshold,
        zero_count: *zero_count,
        negative_spans: spans(&histogram.negative_spans),
        positive_spans: spans(&histogram.positive_spans),
        negative_buckets: histogram.negative_counts.clone(),
        positive_buckets: histogram.positive_counts.clone(),
        custom_values: histogram.custom_values.clone(),
    }
}
