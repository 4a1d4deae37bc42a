//! Buckets with their bounds, one after the other.
//!
//! Source: Prometheus 3.14, `model/histogram/generic.go` (`Bucket`, `baseBucketIterator`) and
//! `float_histogram.go` (the bucket iterators).

use std::fmt;

use super::{bounds, layout::Slots};
use crate::{
    go_float::{GoFloat, log2},
    sample::FloatHistogram,
};

/// A bucket: an interval and how many observations lie in it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Bucket {
    /// Where it starts.
    pub lower: f64,
    /// Where it ends.
    pub upper: f64,
    /// Whether observations of exactly `lower` are part of it.
    pub lower_inclusive: bool,
    /// Whether observations of exactly `upper` are part of it.
    pub upper_inclusive: bool,
    /// Observations in it.
    pub count: f64,
    /// Number of the bucket in its schema, on its side of zero; 0 for the zero bucket.
    pub index: i32,
}

impl Bucket {
    /// Which part of the bucket's width lies below `value`, which must lie strictly between its
    /// finite bounds: by its position on a line, or else on a logarithmic scale.
    #[must_use]
    pub fn fraction_below(&self, value: f64, linear: bool) -> f64 {
        if linear {
            return (value - self.lower) / (self.upper - self.lower);
        }
        let lower = log2(self.lower.abs());
        let upper = log2(self.upper.abs());
        let at = log2(value.abs());
        if value > 0.0 {
            (at - lower) / (upper - lower)
        } else {
            1.0 - ((at - upper) / (lower - upper))
        }
    }
}

/// As an interval with its count: `(1,2]:3`.
impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = if self.lower_inclusive { '[' } else { '(' };
        let close = if self.upper_inclusive { ']' } else { ')' };
        let [lower, upper, count] = [self.lower, self.upper, self.count].map(GoFloat);
        write!(f, "{open}{lower},{upper}{close}:{count}")
    }
}

/// The buckets of one side of zero, from the one next to zero outwards; from the other end with
/// `rev`. Empty buckets within spans are part of it, gaps between spans are not.
#[derive(Debug, Clone)]
pub struct Buckets<'a> {
    slots: Slots<'a>,
    schema: i32,
    /// The upper bounds, if they are listed.
    custom: Option<&'a [f64]>,
    negative: bool,
}

impl Buckets<'_> {
    fn bucket(&self, (index, count): (i64, f64)) -> Bucket {
        let bound = |index| match self.custom {
            Some(bounds) => bounds::custom(index, bounds),
            None => bounds::exponential(index, self.schema),
        };
        let (inner, outer) = (bound(index - 1), bound(index));
        let (lower, upper) = if self.negative {
            (-outer, -inner)
        } else {
            (inner, outer)
        };
        let custom = self.custom.is_some();
        Bucket {
            lower,
            upper,
            lower_inclusive: if custom { index == 0 } else { lower < 0.0 },
            upper_inclusive: custom || upper > 0.0,
            count,
            index: i32::try_from(index).unwrap_or(if index < 0 { i32::MIN } else { i32::MAX }),
        }
    }
}

impl Iterator for Buckets<'_> {
    type Item = Bucket;

    fn next(&mut self) -> Option<Bucket> {
        let slot = self.slots.next()?;
        Some(self.bucket(slot))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.slots.size_hint()
    }
}

impl DoubleEndedIterator for Buckets<'_> {
    fn next_back(&mut self) -> Option<Bucket> {
        let slot = self.slots.next_back()?;
        Some(self.bucket(slot))
    }
}

impl ExactSizeIterator for Buckets<'_> {}

/// All buckets in ascending order: the negative ones, the zero bucket if it is populated, the
/// positive ones; in descending order with `rev`. Where a bucket reaches into the zero bucket, it
/// ends at the zero threshold.
#[derive(Debug, Clone)]
pub struct AllBuckets<'a> {
    negative: Buckets<'a>,
    zero: Option<Bucket>,
    positive: Buckets<'a>,
    threshold: f64,
}

impl AllBuckets<'_> {
    fn clamp(&self, mut bucket: Bucket) -> Bucket {
        if bucket.upper < 0.0 && bucket.upper > -self.threshold {
            bucket.upper = -self.threshold;
        } else if bucket.lower > 0.0 && bucket.lower < self.threshold {
            bucket.lower = self.threshold;
        }
        bucket
    }
}

impl Iterator for AllBuckets<'_> {
    type Item = Bucket;

    fn next(&mut self) -> Option<Bucket> {
        if let Some(bucket) = self.negative.next_back() {
            return Some(self.clamp(bucket));
        }
        if let Some(zero) = self.zero.take() {
            return Some(zero);
        }
        let bucket = self.positive.next()?;
        Some(self.clamp(bucket))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let zero = usize::from(self.zero.is_some());
        let buckets = self.negative.len() + zero + self.positive.len();
        (buckets, Some(buckets))
    }
}

impl DoubleEndedIterator for AllBuckets<'_> {
    fn next_back(&mut self) -> Option<Bucket> {
        if let Some(bucket) = self.positive.next_back() {
            return Some(self.clamp(bucket));
        }
        if let Some(zero) = self.zero.take() {
            return Some(zero);
        }
        let bucket = self.negative.next()?;
        Some(self.clamp(bucket))
    }
}

impl ExactSizeIterator for AllBuckets<'_> {}

impl FloatHistogram {
    /// The positive buckets, ascending.
    #[must_use]
    pub fn positive(&self) -> Buckets<'_> {
        Buckets {
            slots: Slots::new(&self.positive_spans, &self.positive_buckets),
            schema: self.schema,
            custom: self
                .uses_custom_buckets()
                .then_some(self.custom_values.as_slice()),
            negative: false,
        }
    }

    /// The negative buckets, descending from zero. There are none with custom buckets.
    #[must_use]
    pub fn negative(&self) -> Buckets<'_> {
        let slots = if self.uses_custom_buckets() {
            Slots::new(&[], &[])
        } else {
            Slots::new(&self.negative_spans, &self.negative_buckets)
        };
        Buckets {
            slots,
            schema: self.schema,
            custom: None,
            negative: true,
        }
    }

    /// The bucket around zero, which histograms with custom buckets do not have.
    #[must_use]
    pub fn zero_bucket(&self) -> Option<Bucket> {
        (!self.uses_custom_buckets()).then_some(Bucket {
            lower: -self.zero_threshold,
            upper: self.zero_threshold,
            lower_inclusive: true,
            upper_inclusive: true,
            count: self.zero_count,
            index: 0,
        })
    }

    /// All buckets, ascending.
    #[must_use]
    pub fn buckets(&self) -> AllBuckets<'_> {
        AllBuckets {
            negative: self.negative(),
            zero: self.zero_bucket().filter(|zero| zero.count > 0.0),
            positive: self.positive(),
            threshold: self.zero_threshold,
        }
    }
}
