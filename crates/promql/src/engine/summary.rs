//! Histograms of which only count, sum and average are asked for.
//!
//! Below `histogram_count`, `histogram_sum` and `histogram_avg` the buckets matter for one thing alone: to
//! see counter resets. They are looked for once, here, and written into the hints; then the buckets
//! go. This is visible: what would be said about buckets is not said, and hints can contradict each other.

use std::sync::Arc;

use rutile_model::{CounterResetHint, FloatHistogram, Samples};

use crate::ast::{BinaryOp, Expr, FunctionId};
/// What the expressions around one say about buckets.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Summary {
    /// One of them asks for count, sum or average.
    asked: bool,
    /// One of them needs buckets, or sees resets between samples that are not neighbours.
    refused: bool,
}

impl Summary {
    /// The same inside `expr`.
    pub(crate) fn inside(mut self, expr: &Expr) -> Self {
        use FunctionId::{
            HistogramAvg, HistogramCount, HistogramFraction, HistogramQuantile, HistogramQuantiles,
            HistogramSum,
        };
        match expr {
            Expr::Subquery(_) => self.refused = true,
            Expr::Binary(binary) => {
                self.refused |= matches!(binary.op, BinaryOp::TrimLower | BinaryOp::TrimUpper);
            }
            Expr::Call(call) => match call.function.id {
                HistogramAvg | HistogramCount | HistogramSum => self.asked = true,
                HistogramFraction | HistogramQuantile | HistogramQuantiles => self.refused = true,
                _ => {}
            },
            _ => {}
        }
        self
    }

    /// Whether buckets may go.
    pub(crate) fn applies(self) -> bool {
        self.asked && !self.refused
    }
}

/// Looks for resets between the samples from `since` on, and takes their buckets.
pub(crate) fn summarize(samples: &mut Samples, since: i64) {
    let mut last: Option<Arc<FloatHistogram>> = None;
    for (time, place) in samples.times.iter().zip(&mut samples.histograms) {
        let Some(histogram) = place.take() else {
            continue;
        };
        let mut summary = histogram.without_buckets();
        if summary.counter_reset_hint == CounterResetHint::Unknown
            && let Some(last) = &last
        {
            summary.counter_reset_hint = match histogram.detect_reset(last) {
                true => CounterResetHint::Reset,
                false => CounterResetHint::NotReset,
            };
        }
        *place = Some(Arc::new(summary));
        if *time >= since && !histogram.is_stale() {
            last = Some(histogram);
        }
    }
}
