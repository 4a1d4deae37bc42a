//! Keeping only the observations above or below a value: PromQL's operators `>/` and `</`.
//!
//! Source: Prometheus 3.14, `model/histogram/float_histogram.go` (`TrimBuckets`,
//! `computeBucketTrim`, `handleInfinityBuckets`, `computeZeroBucketTrim`, `computeMidpoint`).

use super::Bucket;
use crate::sample::FloatHistogram;

/// Which observations to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Those below the value: operator `</`.
    Below,
    /// Those above the value: operator `>/`.
    Above,
}

/// How the observations of a bucket are assumed to lie in it.
#[derive(Debug, Clone, Copy)]
struct Scale {
    linear: bool,
    positive: bool,
}

/// What is left of the buckets seen so far.
#[derive(Debug, Default)]
struct Left {
    count: f64,
    sum: f64,
    trimmed: bool,
}

impl FloatHistogram {
    /// Removes the observations on the other side of `value`. Of the bucket that holds it, a part is
    /// kept by interpolation; of a bucket without end, all or nothing.
    ///
    /// Count and sum are estimated from the buckets then, and the result is compact. Nothing changes
    /// if nothing has to be removed.
    pub fn trim(&mut self, value: f64, keep: Keep) {
        let mut left = Left::default();
        let has_positive = self.trim_side(value, keep, true, &mut left);
        let has_negative = self.trim_side(value, keep, false, &mut left);
        if let Some(zero) = self.zero_bucket().filter(|zero| zero.count > 0.0) {
            let ends = (
                if has_positive && !has_negative {
                    0.0
                } else {
                    zero.lower
                },
                if has_negative && !has_positive {
                    0.0
                } else {
                    zero.upper
                },
            );
            let (count, middle) = trim_zero(zero.count, ends, value, keep);
            if self.zero_count != count {
                self.zero_count = count;
                left.trimmed = true;
            }
            left.sum += middle * count;
            left.count += count;
        }
        if left.trimmed {
            self.count = left.count;
            self.sum = left.sum;
            self.compact(0);
        }
    }

    /// Trims the buckets of one side; returns whether any was populated.
    fn trim_side(&mut self, value: f64, keep: Keep, positive: bool, left: &mut Left) -> bool {
        let scale = Scale {
            linear: self.uses_custom_buckets(),
            positive,
        };
        let buckets = if positive {
            self.positive()
        } else {
            self.negative()
        };
        let mut populated = false;
        let mut kept = Vec::with_capacity(buckets.len());
        for bucket in buckets {
            if bucket.count == 0.0 {
                kept.push(bucket.count);
                continue;
            }
            populated = true;
            let (whole, cut) = match keep {
                Keep::Below => (bucket.upper <= value, bucket.lower < value),
                Keep::Above => (bucket.lower >= value, bucket.upper > value),
            };
            let (count, middle) = if whole {
                (bucket.count, midpoint(bucket.lower, bucket.upper, scale))
            } else if cut {
                let (count, middle) = trim_bucket(&bucket, value, keep, scale);
                left.trimmed |= bucket.count != count;
                (count, middle)
            } else {
                left.trimmed = true;
                kept.push(0.0);
                continue;
            };
            left.count += count;
            left.sum += middle * count;
            kept.push(count);
        }
        let counts = if positive {
            &mut self.positive_buckets
        } else {
            &mut self.negative_buckets
        };
        for (count, kept) in counts.iter_mut().zip(kept) {
            *count = kept;
        }
        populated
    }
}

/// How much of a bucket that holds `value` is kept, and where the middle of that is.
fn trim_bucket(bucket: &Bucket, value: f64, keep: Keep, scale: Scale) -> (f64, f64) {
    if bucket.lower == f64::NEG_INFINITY {
        return trim_endless_below(bucket, value, keep);
    }
    if bucket.upper == f64::INFINITY {
        return trim_endless_above(bucket, value, keep);
    }
    let below = if value <= bucket.lower {
        0.0
    } else if value >= bucket.upper {
        bucket.count
    } else {
        bucket.count * bucket.fraction_below(value, scale.linear)
    };
    match keep {
        Keep::Below => (below, midpoint(bucket.lower, value, scale)),
        Keep::Above => (bucket.count - below, midpoint(value, bucket.upper, scale)),
    }
}

/// A bucket without a lower bound. If it ends above zero, which only listed bounds can give, it is
/// taken to start at zero; else nothing is known of where its observations lie.
fn trim_endless_below(bucket: &Bucket, value: f64, keep: Keep) -> (f64, f64) {
    let Bucket { upper, count, .. } = *bucket;
    match keep {
        Keep::Below if value >= upper => (count, 0.0),
        Keep::Below if value > 0.0 && upper > 0.0 && upper.is_finite() => {
            (count * value / upper, value / 2.0)
        }
        Keep::Below if upper <= 0.0 => (count, value),
        Keep::Above if value == f64::NEG_INFINITY => (count, 0.0),
        Keep::Above if value >= 0.0 && upper > value && upper.is_finite() => {
            (count * (1.0 - value / upper), (value + upper) / 2.0)
        }
        Keep::Below | Keep::Above => (0.0, finite_or_zero(upper)),
    }
}

/// A bucket without an upper bound: kept whole if what is above a value in it is asked for.
fn trim_endless_above(bucket: &Bucket, value: f64, keep: Keep) -> (f64, f64) {
    if keep == Keep::Above && value >= bucket.lower {
        (bucket.count, value)
    } else {
        (0.0, finite_or_zero(bucket.lower))
    }
}

fn finite_or_zero(value: f64) -> f64 {
    if value.is_infinite() { 0.0 } else { value }
}

/// How much of the zero bucket is kept, and where the middle of that is.
fn trim_zero(count: f64, (lower, upper): (f64, f64), value: f64, keep: Keep) -> (f64, f64) {
    let whole = (count, (lower + upper) / 2.0);
    match keep {
        Keep::Below if value <= lower => (0.0, 0.0),
        Keep::Below if value >= upper => whole,
        Keep::Below => {
            let fraction = (value - lower) / (upper - lower);
            (count * fraction, (lower + value) / 2.0)
        }
        Keep::Above if value <= lower => whole,
        Keep::Above if value >= upper => (0.0, 0.0),
        Keep::Above => {
            let fraction = (upper - value) / (upper - lower);
            (count * fraction, (value + upper) / 2.0)
        }
    }
}

/// The middle of an interval: the arithmetic mean of its bounds or the geometric one, and the bound
/// that there is if the other is infinite.
fn midpoint(lower: f64, upper: f64, scale: Scale) -> f64 {
    if lower.is_infinite() {
        return match upper {
            _ if upper.is_infinite() => 0.0,
            _ if upper > 0.0 => upper / 2.0,
            _ => upper,
        };
    }
    if upper.is_infinite() {
        return lower;
    }
    if scale.linear {
        return (lower + upper) / 2.0;
    }
    let mean = (lower * upper).abs().sqrt();
    if scale.positive { mean } else { -mean }
}
