//! Histograms as PromQL shows them.
//!
//! Source: Prometheus 3.14, `model/histogram/float_histogram.go` (`String`, `TestExpression`).

use std::fmt::{self, Write as _};

use super::HistogramError;
use crate::{
    go_float::GoFloat,
    sample::{CounterResetHint, FloatHistogram, Span},
};

/// Count, sum and the populated buckets, ascending: `{count:3, sum:4.5, [-1,1]:1, (1,2]:2}`.
impl fmt::Display for FloatHistogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{{count:{}, sum:{}",
            GoFloat(self.count),
            GoFloat(self.sum)
        )?;
        for bucket in self.negative().rev().filter(|bucket| bucket.count != 0.0) {
            write!(f, ", {bucket}")?;
        }
        if let Some(zero) = self.zero_bucket().filter(|zero| zero.count != 0.0) {
            write!(f, ", {zero}")?;
        }
        for bucket in self.positive().filter(|bucket| bucket.count != 0.0) {
            write!(f, ", {bucket}")?;
        }
        f.write_char('}')
    }
}

impl FloatHistogram {
    /// The histogram in the notation of unit tests for rules and of PromQL's own tests:
    /// `{{schema:1 count:3 sum:4.5 buckets:[1 2]}}`. That has only one run of buckets on each side,
    /// with the gaps filled, so it fails if the buckets lie further apart than any floats do, and if
    /// spans and buckets contradict each other.
    pub fn test_expression(&self) -> Result<String, HistogramError> {
        super::layout::check(&self.positive_spans, self.positive_buckets.len())?;
        super::layout::check(&self.negative_spans, self.negative_buckets.len())?;
        let mut compact = self.clone();
        compact.compact(usize::MAX);
        let custom = compact.uses_custom_buckets();
        let mut parts = Vec::new();
        if compact.schema != 0 {
            parts.push(format!("schema:{}", compact.schema));
        }
        let zero = |value: f64| if custom { 0.0 } else { value };
        for (key, value) in [
            ("count", compact.count),
            ("sum", compact.sum),
            ("z_bucket", zero(compact.zero_count)),
            ("z_bucket_w", zero(compact.zero_threshold)),
        ] {
            if value != 0.0 {
                parts.push(format!("{key}:{}", GoFloat(value)));
            }
        }
        if custom {
            parts.push(format!("custom_values:{}", list(&compact.custom_values)));
        }
        match compact.counter_reset_hint {
            CounterResetHint::Unknown => {}
            CounterResetHint::Reset => parts.push("counter_reset_hint:reset".to_owned()),
            CounterResetHint::NotReset => parts.push("counter_reset_hint:not_reset".to_owned()),
            CounterResetHint::Gauge => parts.push("counter_reset_hint:gauge".to_owned()),
        }
        let mut side = |spans: &[Span], counts: &[f64], prefix: &str| {
            if spans.len() > 1 {
                return Err(HistogramError::TooWide);
            }
            for span in spans.iter().filter(|span| span.offset != 0) {
                parts.push(format!("{prefix}offset:{}", span.offset));
            }
            if !counts.is_empty() {
                parts.push(format!("{prefix}buckets:{}", list(counts)));
            }
            Ok(())
        };
        side(&compact.positive_spans, &compact.positive_buckets, "")?;
        if !custom {
            side(&compact.negative_spans, &compact.negative_buckets, "n_")?;
        }
        Ok(format!("{{{{{}}}}}", parts.join(" ")))
    }
}

/// `[1 2 3]`.
fn list(values: &[f64]) -> String {
    let mut text = String::from("[");
    for (place, value) in values.iter().enumerate() {
        if place > 0 {
            text.push(' ');
        }
        text.push_str(&GoFloat(*value).to_string());
    }
    text.push(']');
    text
}
