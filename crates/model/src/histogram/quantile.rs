//! Quantiles of native histograms, and the reverse: the share of observations in a range.
//!
//! Source: Prometheus 3.14, `promql/quantile.go` (`HistogramQuantile`, `HistogramFraction`).
//!
//! Within a bucket, observations are taken to be spread evenly: on a line with custom buckets and in
//! the zero bucket, on a logarithmic scale in the others.

use super::Bucket;
use crate::{
    go_float::{exp2, log2},
    sample::FloatHistogram,
};

/// What observations of NaN did to a result. They are part of a histogram's count, but of no bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NanObservations {
    /// They count as larger than all others, which moves the quantile up.
    Skew,
    /// The quantile lies among them, and is NaN therefore.
    Result,
    /// They lie in no range, so that fractions do not add up to one.
    Excluded,
}

impl FloatHistogram {
    /// The value below which the share `q` of the observations lies (`histogram_quantile`), and what
    /// observations of NaN did to it.
    ///
    /// Infinite, with its sign, if `q` is below 0 or above 1; NaN if `q` is, or without observations.
    #[must_use]
    pub fn quantile(&self, q: f64) -> (f64, Option<NanObservations>) {
        if q < 0.0 {
            return (f64::NEG_INFINITY, None);
        }
        if q > 1.0 {
            return (f64::INFINITY, None);
        }
        if self.count == 0.0 || q.is_nan() {
            return (f64::NAN, None);
        }
        // Observations of NaN are above all buckets: only counting from below gets it right. Else
        // count from the end that is nearer.
        if self.sum.is_nan() || q < 0.5 {
            self.quantile_along(self.buckets(), q * self.count, true)
        } else {
            self.quantile_along(self.buckets().rev(), (1.0 - q) * self.count, false)
        }
    }

    fn quantile_along(
        &self,
        mut buckets: impl Iterator<Item = Bucket>,
        rank: f64,
        ascending: bool,
    ) -> (f64, Option<NanObservations>) {
        let custom = self.uses_custom_buckets();
        let mut bucket = Bucket::default();
        let mut count = 0.0;
        for next in buckets.by_ref() {
            bucket = next;
            if bucket.count == 0.0 {
                continue;
            }
            count += bucket.count;
            if count >= rank {
                break;
            }
        }
        if custom {
            if bucket.lower == f64::NEG_INFINITY {
                if bucket.upper <= 0.0 {
                    return (bucket.upper, None);
                }
                bucket.lower = 0.0;
            } else if bucket.upper == f64::INFINITY {
                return (bucket.lower, None);
            }
        } else if bucket.lower < 0.0 && bucket.upper > 0.0 {
            self.narrow_zero_bucket(&mut bucket);
        }
        // Rounding may have counted more than there are.
        if count > self.count {
            count = self.count;
        }
        if count < rank {
            if self.sum.is_nan() {
                return (f64::NAN, Some(NanObservations::Result));
            }
            // Count and buckets contradict each other.
            return (bucket.upper, None);
        }
        let within = if ascending {
            rank - (count - bucket.count)
        } else {
            count - rank
        };
        let mut note = None;
        if self.sum.is_nan() {
            // The reference reads on in the same variable, so that the result is interpolated in the
            // last bucket, wherever the quantile was found.
            for next in buckets {
                bucket = next;
                count += bucket.count;
            }
            if count < self.count {
                note = Some(NanObservations::Skew);
            }
        }
        (interpolate(&bucket, within, custom), note)
    }

    /// Without negative buckets, the zero bucket is taken to start at zero; without positive ones,
    /// to end there.
    fn narrow_zero_bucket(&self, bucket: &mut Bucket) {
        let none_negative = self.negative_buckets.is_empty();
        let none_positive = self.positive_buckets.is_empty();
        if none_negative && !none_positive {
            bucket.lower = 0.0;
        } else if none_positive && !none_negative {
            bucket.upper = 0.0;
        }
    }

    /// The share of the observations that lie between two values (`histogram_fraction`), and whether
    /// observations of NaN were left out.
    ///
    /// NaN if a value is, or without observations; 0 if the range is empty.
    #[must_use]
    pub fn fraction(&self, lower: f64, upper: f64) -> (f64, Option<NanObservations>) {
        if self.count == 0.0 || lower.is_nan() || upper.is_nan() {
            return (f64::NAN, None);
        }
        if lower >= upper {
            return (0.0, None);
        }
        let (mut count, mut rank) = (0.0, 0.0);
        let (mut lower_rank, mut upper_rank) = (None, None);
        let mut buckets = self.buckets();
        for mut bucket in buckets.by_ref() {
            count += bucket.count;
            let around_zero = bucket.lower <= 0.0 && bucket.upper >= 0.0;
            if around_zero {
                self.narrow_zero_bucket(&mut bucket);
            }
            let linear = self.uses_custom_buckets() || around_zero;
            lower_rank = lower_rank.or_else(|| rank_at_start(&bucket, rank, lower));
            upper_rank = upper_rank.or_else(|| rank_at_start(&bucket, rank, upper));
            if lower_rank.is_some() && upper_rank.is_some() {
                break;
            }
            lower_rank = lower_rank.or_else(|| rank_within(&bucket, rank, lower, linear));
            upper_rank = upper_rank.or_else(|| rank_within(&bucket, rank, upper, linear));
            if lower_rank.is_some() && upper_rank.is_some() {
                break;
            }
            rank += bucket.count;
        }
        let mut note = None;
        if self.sum.is_nan() {
            for bucket in buckets {
                count += bucket.count;
            }
            if count < self.count {
                note = Some(NanObservations::Excluded);
            }
        } else {
            count = self.count;
        }
        let capped = |rank: Option<f64>| match rank {
            Some(rank) if rank > count => count,
            Some(rank) => rank,
            None => count,
        };
        let between = capped(upper_rank) - capped(lower_rank);
        (between / self.count, note)
    }
}

/// The observations below `value` if it lies at or before the start of the bucket.
fn rank_at_start(bucket: &Bucket, rank: f64, value: f64) -> Option<f64> {
    (bucket.lower >= value).then_some(rank)
}

/// The observations below `value` if it lies within the bucket.
fn rank_within(bucket: &Bucket, rank: f64, value: f64, linear: bool) -> Option<f64> {
    if !(bucket.lower < value && bucket.upper > value) {
        return None;
    }
    if linear && bucket.lower == f64::NEG_INFINITY {
        // Nothing can be told of where they lie: none is taken to be above.
        return Some(bucket.count);
    }
    Some(rank + bucket.count * bucket.fraction_below(value, linear))
}

/// The value with `within` of the bucket's observations below it.
fn interpolate(bucket: &Bucket, within: f64, custom: bool) -> f64 {
    let fraction = within / bucket.count;
    if custom || (bucket.lower <= 0.0 && bucket.upper >= 0.0) {
        return bucket.lower + (bucket.upper - bucket.lower) * fraction;
    }
    let lower = log2(bucket.lower.abs());
    let upper = log2(bucket.upper.abs());
    if bucket.lower > 0.0 {
        exp2(lower + (upper - lower) * fraction)
    } else {
        -exp2(upper + (lower - upper) * (1.0 - fraction))
    }
}
