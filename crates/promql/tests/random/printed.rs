//! Answers as the recorded ones are written: floats by their bits, histograms by their test notation.

use rutile_model::{CounterResetHint, FloatHistogram};
use rutile_promql::{RangeSeries, SampleValue};

pub(crate) fn bits(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    format!("{:016x}", value.to_bits())
}

pub(crate) fn point(time_ms: i64, value: &SampleValue) -> String {
    match value {
        SampleValue::Float(value) => format!("{time_ms} {}", bits(*value)),
        SampleValue::Histogram(histogram) => histogram_point(time_ms, histogram),
    }
}

fn histogram_point(time_ms: i64, histogram: &FloatHistogram) -> String {
    let hint = match histogram.counter_reset_hint {
        CounterResetHint::Unknown => 0,
        CounterResetHint::Reset => 1,
        CounterResetHint::NotReset => 2,
        CounterResetHint::Gauge => 3,
    };
    let text = histogram.test_expression().expect("it is sound");
    let (count, sum) = (bits(histogram.count), bits(histogram.sum));
    format!("{time_ms} {text} {count} {sum} {hint}")
}

pub(crate) fn series_row(series: &RangeSeries) -> Vec<String> {
    let mut row = vec![series.labels.to_string()];
    row.extend(
        series
            .floats
            .iter()
            .map(|(time, value)| format!("{time} {}", bits(*value))),
    );
    row.extend(
        series
            .histograms
            .iter()
            .map(|(time, h)| histogram_point(*time, h)),
    );
    row
}
