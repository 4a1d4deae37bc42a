//! What is wrong with a histogram, or with two of them together.

use crate::ErrorKind;

/// Why an operation on histograms is refused.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HistogramError {
    /// One of the two has listed bounds, the other one computed bounds.
    #[error("one histogram has custom buckets, the other one exponential buckets")]
    MixedSchemas,
    /// Nothing is known about the bounds of this schema, or it may not be used here.
    #[error("schema {0} is not supported")]
    UnsupportedSchema(i32),
    /// The resolution can only be reduced, and only that of computed bounds.
    #[error("buckets of schema {from} cannot be merged to schema {to}")]
    NoSuchReduction {
        /// Schema of the histogram.
        from: i32,
        /// Schema that was asked for.
        to: i32,
    },
    /// A span, counted from 1, starts before the one in front of it ends.
    #[error("span {span} goes back by {offset}")]
    NegativeOffset {
        /// Number of the span.
        span: usize,
        /// Its offset.
        offset: i32,
    },
    /// The spans describe another number of buckets than there are.
    #[error("spans need {needed} buckets, there are {found}")]
    BucketMismatch {
        /// How many buckets the spans describe.
        needed: u64,
        /// How many there are.
        found: usize,
    },
    /// The spans reach further than a bucket index can.
    #[error("spans reach beyond the last possible bucket")]
    IndexOutOfRange,
    /// The zero bucket's width is not a number.
    #[error("zero threshold is not a number")]
    ThresholdNotANumber,
    /// There are fewer observations than none in the whole.
    #[error("negative observation count {0}")]
    NegativeCount(f64),
    /// There are fewer observations than none in a bucket; the zero bucket has number 0.
    #[error("bucket {bucket} has negative count {count}")]
    NegativeBucket {
        /// Number of the bucket on its side, counted from 1.
        bucket: usize,
        /// What it holds.
        count: f64,
    },
    /// Histograms with computed bounds must not list any.
    #[error("exponential buckets come with custom bounds")]
    UnexpectedBounds,
    /// A listed bound is not a number.
    #[error("custom bound is not a number")]
    BoundNotANumber,
    /// The list of bounds does not increase.
    #[error("custom bound {bound} follows {previous}")]
    BoundsNotIncreasing {
        /// The bound before.
        previous: f64,
        /// The bound that should be larger.
        bound: f64,
    },
    /// Infinity is the bound of the last bucket anyway, and must not be listed.
    #[error("custom bounds must be finite")]
    InfiniteBound,
    /// The spans reach beyond the list of bounds.
    #[error("{bounds} custom bounds for {needed} buckets")]
    TooFewBounds {
        /// How many bounds are listed.
        bounds: usize,
        /// How many buckets the spans reach over; the last of them needs no bound.
        needed: u64,
    },
    /// With custom buckets there is no zero bucket.
    #[error("custom buckets come with a zero bucket")]
    UnexpectedZeroBucket,
    /// With custom buckets there is no negative side.
    #[error("custom buckets come with negative buckets")]
    UnexpectedNegativeBuckets,
    /// The buckets lie further apart than any two floats do.
    #[error("buckets lie too far apart")]
    TooWide,
}

impl HistogramError {
    /// What a caller can do: it asked for something that these histograms do not allow, or, if the
    /// histogram came out of a block, the bytes were damaged before.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

impl From<HistogramError> for crate::Error {
    fn from(error: HistogramError) -> Self {
        Self::invalid(error.to_string())
    }
}
