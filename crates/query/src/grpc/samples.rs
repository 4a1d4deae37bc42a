//! Results as messages.

use rutile_model::{CounterResetHint, FloatHistogram, Labels};
use rutile_promql::{InstantSample, RangeSeries, SampleValue, Value};
use rutile_proto::prometheus_copy::histogram::{Count, ResetHint, ZeroCount};
use rutile_proto::prometheus_copy::{BucketSpan, Histogram, Sample, TimeSeries};
use rutile_proto::thanos::Label;

/// The series of a result. A scalar is one without labels; a string is none.
pub(super) fn series_of(value: Value) -> Box<dyn Iterator<Item = TimeSeries> + Send> {
    match value {
        Value::Scalar { time_ms, value } => {
            let samples = vec![sample(time_ms, value)];
            Box::new(std::iter::once(TimeSeries {
                samples,
                ..TimeSeries::default()
            }))
        }
        Value::String { .. } => Box::new(std::iter::empty()),
        Value::Vector(samples) => Box::new(samples.into_iter().map(of_instant)),
        Value::Matrix(series) => Box::new(series.into_iter().map(of_range)),
    }
}

fn of_instant(one: InstantSample) -> TimeSeries {
    let mut series = TimeSeries {
        labels: labels(&one.labels),
        ..TimeSeries::default()
    };
    match one.value {
        SampleValue::Float(value) => series.samples.push(sample(one.time_ms, value)),
        SampleValue::Histogram(value) => series.histograms.push(histogram(one.time_ms, &value)),
    }
    series
}

fn of_range(series: RangeSeries) -> TimeSeries {
    TimeSeries {
        labels: labels(&series.labels),
        samples: series
            .floats
            .into_iter()
            .map(|(time_ms, value)| sample(time_ms, value))
            .collect(),
        exemplars: Vec::new(),
        histograms: series
            .histograms
            .into_iter()
            .map(|(time_ms, value)| histogram(time_ms, &value))
            .collect(),
    }
}

fn labels(labels: &Labels) -> Vec<Label> {
    let label = |(name, value): (&str, &str)| Label {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    labels.iter().map(label).collect()
}

fn sample(timestamp: i64, value: f64) -> Sample {
    Sample { value, timestamp }
}

fn histogram(timestamp: i64, histogram: &FloatHistogram) -> Histogram {
    let spans = |spans: &[rutile_model::sample::Span]| {
        let span = |span: &rutile_model::sample::Span| BucketSpan {
            offset: span.offset,
            length: span.length,
        };
        spans.iter().map(span).collect()
    };
    let hint = match histogram.counter_reset_hint {
        CounterResetHint::Unknown => ResetHint::Unknown,
        CounterResetHint::Reset => ResetHint::Yes,
        CounterResetHint::NotReset => ResetHint::No,
        CounterResetHint::Gauge => ResetHint::Gauge,
    };
    Histogram {
        count: Some(Count::CountFloat(histogram.count)),
        sum: histogram.sum,
        schema: histogram.schema,
        zero_threshold: histogram.zero_threshold,
        zero_count: Some(ZeroCount::ZeroCountFloat(histogram.zero_count)),
        negative_spans: spans(&histogram.negative_spans),
        negative_counts: histogram.negative_buckets.clone(),
        positive_spans: spans(&histogram.positive_spans),
        positive_counts: histogram.positive_buckets.clone(),
        reset_hint: hint.into(),
        timestamp,
        custom_values: histogram.custom_values.clone(),
        ..Histogram::default()
    }
}
