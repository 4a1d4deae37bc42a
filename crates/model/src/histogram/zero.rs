//! One zero bucket for two histograms.
//!
//! Source: Prometheus 3.14, `model/histogram/float_histogram.go` (`reconcileZeroBuckets`,
//! `zeroCountForLargerThreshold`, `trimBucketsInZeroBucket`).

use super::{
    compact,
    kahan::{Compensation, inc},
};
use crate::sample::FloatHistogram;

/// The zero bucket that a histogram would have.
pub(super) struct ZeroBucket {
    pub(super) count: f64,
    pub(super) carry: f64,
    pub(super) threshold: f64,
}

impl FloatHistogram {
    /// The zero bucket if its threshold were `threshold`, which is not smaller than it is now. If
    /// that lies within a populated bucket, the threshold is that bucket's outer bound instead.
    pub(super) fn zero_bucket_up_to(
        &self,
        mut threshold: f64,
        carry: Option<&Compensation>,
    ) -> ZeroBucket {
        // Not set back when the threshold moves: the reference carries it on, too.
        let mut lost = carry.map_or(0.0, |carry| carry.zero_count);
        if threshold <= self.zero_threshold {
            return ZeroBucket {
                count: self.zero_count,
                carry: lost,
                threshold,
            };
        }
        let bucket_carry = |side: fn(&Compensation) -> &Vec<f64>, place: usize| {
            carry.and_then(|carry| side(carry).get(place).copied())
        };
        'again: loop {
            let mut count = self.zero_count;
            for (place, bucket) in self.positive().enumerate() {
                if bucket.lower >= threshold {
                    break;
                }
                inc(bucket.count, &mut count, &mut lost);
                if let Some(carry) = bucket_carry(|carry| &carry.positive, place) {
                    inc(carry, &mut count, &mut lost);
                }
                if bucket.upper > threshold {
                    if bucket.count != 0.0 {
                        threshold = bucket.upper;
                    }
                    break;
                }
            }
            for (place, bucket) in self.negative().enumerate() {
                if bucket.upper <= -threshold {
                    break;
                }
                inc(bucket.count, &mut count, &mut lost);
                if let Some(carry) = bucket_carry(|carry| &carry.negative, place) {
                    inc(carry, &mut count, &mut lost);
                }
                if bucket.lower < -threshold {
                    if bucket.count != 0.0 {
                        // The positive buckets have to be looked at again.
                        threshold = -bucket.lower;
                        continue 'again;
                    }
                    break;
                }
            }
            return ZeroBucket {
                count,
                carry: lost,
                threshold,
            };
        }
    }

    /// Widens the zero bucket until it spans that of `other` and cuts no populated bucket of either.
    /// Returns what the zero bucket of `other` holds then, and the compensation of that.
    ///
    /// Both thresholds must be numbers. Each round moves one of them up to a bound of the coarser
    /// histogram, which is one of the finer histogram, too, so that a few rounds are enough.
    pub(super) fn reconcile_zero_buckets(
        &mut self,
        other: &Self,
        mut carry: Option<&mut Compensation>,
    ) -> (f64, f64) {
        let mut theirs = ZeroBucket {
            count: other.zero_count,
            carry: 0.0,
            threshold: other.zero_threshold,
        };
        while theirs.threshold != self.zero_threshold {
            if self.zero_threshold > theirs.threshold {
                theirs = other.zero_bucket_up_to(self.zero_threshold, None);
            }
            if theirs.threshold > self.zero_threshold {
                let zero = self.zero_bucket_up_to(theirs.threshold, carry.as_deref());
                self.zero_count = zero.count;
                self.zero_threshold = zero.threshold;
                if let Some(carry) = carry.as_deref_mut() {
                    carry.zero_count = zero.carry;
                }
                self.drop_buckets_in_zero_bucket(carry.as_deref_mut());
            }
        }
        (theirs.count, theirs.carry)
    }

    /// Removes the buckets that the zero bucket has swallowed.
    fn drop_buckets_in_zero_bucket(&mut self, carry: Option<&mut Compensation>) {
        let threshold = self.zero_threshold;
        let positive = self.positive();
        let positive = positive.take_while(|b| b.lower < threshold).count();
        let negative = self.negative();
        let negative = negative.take_while(|b| b.upper > -threshold).count();
        let clear = |counts: &mut [f64], first: usize| {
            counts.iter_mut().take(first).for_each(|count| *count = 0.0);
        };
        clear(&mut self.positive_buckets, positive);
        clear(&mut self.negative_buckets, negative);
        if let Some(carry) = carry {
            clear(&mut carry.positive, positive);
            clear(&mut carry.negative, negative);
            compact::histogram(self, Some(carry), 0);
        } else {
            compact::histogram(self, None, 0);
        }
    }
}
