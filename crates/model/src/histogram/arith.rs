//! Adding, subtracting and scaling histograms.
//!
//! Source: Prometheus 3.14, `model/histogram/float_histogram.go` (`Add`, `Sub`, `Mul`, `Div`,
//! `adjustCounterReset`, `HasOverflow`).

use super::{HistogramError, combine};
use crate::sample::{CounterResetHint, FloatHistogram};

/// What had to be made equal before two histograms could be added or subtracted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reconciled {
    /// One came with [`CounterResetHint::Reset`], the other with [`CounterResetHint::NotReset`]; the
    /// result has [`CounterResetHint::Unknown`].
    pub reset_collision: bool,
    /// They have different custom bounds; the result has those that both have.
    pub custom_bounds: bool,
}

impl FloatHistogram {
    /// Adds another histogram. The result has the lower resolution of the two, a zero bucket that
    /// spans both, and all buckets of both, some perhaps empty: see [`compact`](Self::compact).
    ///
    /// Without allocation if this one has all the buckets already. On an error, nothing was changed.
    pub fn add(&mut self, other: &Self) -> Result<Reconciled, HistogramError> {
        combine::combine(self, other, 1.0, None)
    }

    /// Subtracts another histogram, else like [`add`](Self::add). The hint is that of a sum, too; the
    /// difference that a user asks for is to be made a gauge by the caller.
    pub fn sub(&mut self, other: &Self) -> Result<Reconciled, HistogramError> {
        combine::combine(self, other, -1.0, None)
    }

    /// Multiplies all counts and the sum. A negative factor makes it a gauge.
    pub fn mul(&mut self, factor: f64) {
        self.each(|value| value * factor);
        if factor < 0.0 {
            self.counter_reset_hint = CounterResetHint::Gauge;
        }
    }

    /// Divides all counts and the sum. A negative divisor makes it a gauge, one of zero removes all
    /// buckets but the zero bucket.
    pub fn div(&mut self, divisor: f64) {
        if divisor == 0.0 {
            self.positive_spans.clear();
            self.negative_spans.clear();
            self.positive_buckets.clear();
            self.negative_buckets.clear();
        }
        self.each(|value| value / divisor);
        if divisor < 0.0 {
            self.counter_reset_hint = CounterResetHint::Gauge;
        }
    }

    /// The unary minus.
    pub fn negate(&mut self) {
        self.mul(-1.0);
    }

    /// Whether a count, the sum or a bound is infinite, as sums of many histograms may become.
    #[must_use]
    pub fn has_overflow(&self) -> bool {
        let scalars = [self.zero_count, self.count, self.sum];
        let lists = [
            &self.positive_buckets,
            &self.negative_buckets,
            &self.custom_values,
        ];
        let mut values = scalars.iter().chain(lists.into_iter().flatten());
        values.any(|value| value.is_infinite())
    }

    fn each(&mut self, change: impl Fn(f64) -> f64) {
        for value in [&mut self.zero_count, &mut self.count, &mut self.sum] {
            *value = change(*value);
        }
        for buckets in [&mut self.positive_buckets, &mut self.negative_buckets] {
            for count in buckets {
                *count = change(*count);
            }
        }
    }

    /// Sets the hint of a sum with a histogram that comes with `other`; whether the two contradict.
    pub(super) fn adjust_hint(&mut self, other: CounterResetHint) -> bool {
        use CounterResetHint::{Gauge, NotReset, Reset, Unknown};
        let (hint, collision) = match (self.counter_reset_hint, other) {
            (Gauge, _) | (_, Gauge) => (Gauge, false),
            (Unknown, _) | (_, Unknown) => (Unknown, false),
            (Reset, NotReset) | (NotReset, Reset) => (Unknown, true),
            (Reset, Reset) => (Reset, false),
            (NotReset, NotReset) => (NotReset, false),
        };
        self.counter_reset_hint = hint;
        collision
    }
}
