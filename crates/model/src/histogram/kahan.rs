//! Sums that lose no digits: Neumaier's variant of Kahan's summation.
//!
//! Source: Prometheus 3.14, `util/kahansum/kahansum.go` (`Inc`) and
//! `model/histogram/float_histogram.go` (`KahanAdd`, `newCompensationHistogram`).

use super::{HistogramError, Reconciled, combine};
use crate::{
    histogram::bounds,
    sample::{FloatHistogram, Span},
};

/// Adds `value` to the running `sum` with its compensation `carry`; returns both. What the sum lost
/// to rounding is collected in the carry, and is to be added once at the end. A sum that became
/// infinite has no carry.
#[inline]
#[must_use]
pub fn kahan_inc(value: f64, sum: f64, carry: f64) -> (f64, f64) {
    let total = sum + value;
    let carry = if total.is_infinite() {
        0.0
    } else if sum.abs() >= value.abs() {
        carry + ((sum - total) + value)
    } else {
        carry + ((value - total) + sum)
    };
    (total, carry)
}

/// [`kahan_inc`] where sum and carry are.
#[inline]
pub(super) fn inc(value: f64, sum: &mut f64, carry: &mut f64) {
    (*sum, *carry) = kahan_inc(value, *sum, *carry);
}

/// What the sum of many histograms lost to rounding, bucket by bucket.
///
/// Starts out empty, and goes along with one histogram that others are added to: see
/// [`FloatHistogram::kahan_add`]. Whatever is done to that histogram in between (scaling) must be
/// done to this one, too.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Compensation {
    /// Whether anything was added yet.
    pub(super) used: bool,
    pub(super) zero_count: f64,
    pub(super) count: f64,
    pub(super) sum: f64,
    /// As many as the histogram has buckets.
    pub(super) positive: Vec<f64>,
    pub(super) negative: Vec<f64>,
}

impl Compensation {
    /// Nothing lost yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Scales it along with its histogram.
    pub fn mul(&mut self, factor: f64) {
        self.each(|value| value * factor);
    }

    /// Divides it along with its histogram, which must not be by zero.
    pub fn div(&mut self, divisor: f64) {
        self.each(|value| value / divisor);
    }

    fn each(&mut self, change: impl Fn(f64) -> f64) {
        let scalars = [&mut self.zero_count, &mut self.count, &mut self.sum];
        let buckets = self.positive.iter_mut().chain(&mut self.negative);
        for value in scalars.into_iter().chain(buckets) {
            *value = change(*value);
        }
    }

    /// Makes it as wide as the histogram that it goes along with.
    pub(super) fn fit(&mut self, histogram: &FloatHistogram) {
        self.used = true;
        self.positive.resize(histogram.positive_buckets.len(), 0.0);
        self.negative.resize(histogram.negative_buckets.len(), 0.0);
    }
}

impl FloatHistogram {
    /// Adds another histogram as [`add`](Self::add) does, and collects in `carry` what is lost to
    /// rounding. At the end, [`add_compensation`](Self::add_compensation) gives the sum.
    pub fn kahan_add(
        &mut self,
        other: &Self,
        carry: &mut Compensation,
    ) -> Result<Reconciled, HistogramError> {
        combine::combine(self, other, 1.0, Some(carry))
    }

    /// Adds what was lost to rounding while this histogram was summed up. Does nothing if nothing
    /// was added with `carry`.
    pub fn add_compensation(&mut self, carry: &Compensation) {
        if !carry.used {
            return;
        }
        self.zero_count += carry.zero_count;
        self.count += carry.count;
        self.sum += carry.sum;
        let (schema, threshold) = (self.schema, self.zero_threshold);
        let add = |spans: &[Span], counts: &mut [f64], carry: &[f64]| {
            let skipped = bounds::leading_within(spans, schema, threshold, counts.len());
            for (count, lost) in counts.iter_mut().zip(carry).skip(skipped) {
                *count += lost;
            }
        };
        add(
            &self.positive_spans,
            &mut self.positive_buckets,
            &carry.positive,
        );
        add(
            &self.negative_spans,
            &mut self.negative_buckets,
            &carry.negative,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_terms_survive_large_ones() {
        let mut sum = (0.0, 0.0);
        for value in [1.0, 1e100, 1.0, -1e100] {
            sum = kahan_inc(value, sum.0, sum.1);
        }
        assert_eq!(sum.0 + sum.1, 2.0);
        assert_eq!(
            kahan_inc(f64::MAX, f64::MAX, 5.0),
            (f64::INFINITY, 0.0),
            "no NaN out of infinity minus infinity"
        );
    }
}
