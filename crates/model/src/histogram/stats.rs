//! Numbers that describe a histogram as a whole.
//!
//! Source: Prometheus 3.14, `promql/functions.go` (`funcHistogramAvg`, `histogramVariance`) and
//! `promql/histogram_stats_iterator.go`.

use super::{Bucket, kahan::inc};
use crate::sample::FloatHistogram;

impl FloatHistogram {
    /// Whether it has no observations at all, in any of its buckets either.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let buckets = self.positive_buckets.iter().chain(&self.negative_buckets);
        [self.count, self.sum, self.zero_count]
            .iter()
            .chain(buckets)
            .all(|value| *value == 0.0)
    }

    /// The same histogram without buckets: schema, count, sum and hint, which is all that the
    /// functions that ask for count, sum or average need.
    #[must_use]
    pub fn without_buckets(&self) -> Self {
        Self {
            counter_reset_hint: self.counter_reset_hint,
            schema: self.schema,
            count: self.count,
            sum: self.sum,
            ..Self::default()
        }
    }

    /// Average of the observations (`histogram_avg`).
    #[must_use]
    pub fn avg(&self) -> f64 {
        self.sum / self.count
    }

    /// Estimated variance of the observations (`histogram_stdvar`): each is taken to lie in the
    /// middle of its bucket.
    #[must_use]
    pub fn variance(&self) -> f64 {
        let mean = self.avg();
        let (mut variance, mut carry) = (0.0, 0.0);
        for bucket in self.buckets().filter(|bucket| bucket.count != 0.0) {
            let delta = self.middle(&bucket) - mean;
            inc(bucket.count * delta * delta, &mut variance, &mut carry);
        }
        (variance + carry) / self.count
    }

    /// Estimated standard deviation of the observations (`histogram_stddev`).
    #[must_use]
    pub fn standard_deviation(&self) -> f64 {
        self.variance().sqrt()
    }

    /// The arithmetic mean of listed bounds, zero in the zero bucket, else the geometric mean.
    fn middle(&self, bucket: &Bucket) -> f64 {
        if self.uses_custom_buckets() {
            return (bucket.upper + bucket.lower) / 2.0;
        }
        if bucket.lower <= 0.0 && bucket.upper >= 0.0 {
            return 0.0;
        }
        let mean = (bucket.upper * bucket.lower).sqrt();
        if bucket.upper < 0.0 { -mean } else { mean }
    }
}
