//! Samples: floats and native histograms, as the chunks of a block hold them.
//!
//! Equality is that of the bits of the floats: a NaN equals itself, and the marker of staleness
//! differs from other NaNs. Nothing here validates; what was decoded is kept as it is.

/// The NaN that marks the end of a series (Prometheus' `value.StaleNaN`).
pub const STALE_NAN: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// The NaN of ordinary results (Prometheus' `value.NormalNaN`).
pub const NORMAL_NAN: f64 = f64::from_bits(0x7ff8_0000_0000_0001);

/// The schema of histograms whose bucket bounds are listed in `custom_values`.
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;

/// Whether `value` is the marker of staleness; other NaNs are not.
#[must_use]
pub fn is_stale_nan(value: f64) -> bool {
    value.to_bits() == STALE_NAN.to_bits()
}

/// A float at a time.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// Any float; see [`STALE_NAN`].
    pub value: f64,
}

impl PartialEq for Sample {
    fn eq(&self, other: &Self) -> bool {
        self.time_ms == other.time_ms && self.value.to_bits() == other.value.to_bits()
    }
}

impl Eq for Sample {}

/// What is known about a counter reset between this histogram and the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CounterResetHint {
    /// Nothing: compare them.
    #[default]
    Unknown,
    /// There was one.
    Reset,
    /// There was none.
    NotReset,
    /// A gauge has none.
    Gauge,
}

/// A run of consecutive buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Span {
    /// Gap to the previous span; for the first one, the index of its first bucket.
    pub offset: i32,
    /// How many buckets.
    pub length: u32,
}

/// A native histogram with integer counts.
#[derive(Debug, Clone, Default)]
pub struct Histogram {
    /// About the one before.
    pub counter_reset_hint: CounterResetHint,
    /// Resolution, -4 to 8, or [`CUSTOM_BUCKETS_SCHEMA`].
    pub schema: i32,
    /// Observations with an absolute value up to this fall into the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: u64,
    /// All observations.
    pub count: u64,
    /// Their sum; [`STALE_NAN`] marks staleness.
    pub sum: f64,
    /// Where the positive buckets lie.
    pub positive_spans: Vec<Span>,
    /// Where the negative buckets lie.
    pub negative_spans: Vec<Span>,
    /// Counts of the positive buckets, each as the difference to the one before.
    pub positive_buckets: Vec<i64>,
    /// Counts of the negative buckets, each as the difference to the one before.
    pub negative_buckets: Vec<i64>,
    /// Upper bounds of the buckets, for [`CUSTOM_BUCKETS_SCHEMA`] alone.
    pub custom_values: Vec<f64>,
}

/// A native histogram with float counts.
#[derive(Debug, Clone, Default)]
pub struct FloatHistogram {
    /// About the one before.
    pub counter_reset_hint: CounterResetHint,
    /// Resolution, -4 to 8, or [`CUSTOM_BUCKETS_SCHEMA`].
    pub schema: i32,
    /// Observations with an absolute value up to this fall into the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: f64,
    /// All observations.
    pub count: f64,
    /// Their sum; [`STALE_NAN`] marks staleness.
    pub sum: f64,
    /// Where the positive buckets lie.
    pub positive_spans: Vec<Span>,
    /// Where the negative buckets lie.
    pub negative_spans: Vec<Span>,
    /// Counts of the positive buckets, absolute.
    pub positive_buckets: Vec<f64>,
    /// Counts of the negative buckets, absolute.
    pub negative_buckets: Vec<f64>,
    /// Upper bounds of the buckets, for [`CUSTOM_BUCKETS_SCHEMA`] alone.
    pub custom_values: Vec<f64>,
}

impl Histogram {
    /// Whether the bucket bounds are listed instead of computed.
    #[must_use]
    pub fn uses_custom_buckets(&self) -> bool {
        self.schema == CUSTOM_BUCKETS_SCHEMA
    }

    /// Whether it marks the end of its series.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        is_stale_nan(self.sum)
    }

    /// The same histogram with float counts. With custom buckets, the zero bucket and the negative
    /// ones are left out: they have no meaning there.
    #[must_use]
    pub fn to_float(&self) -> FloatHistogram {
        self.clone().into_float()
    }

    /// As [`Self::to_float`], in the memory of this histogram.
    #[must_use]
    pub fn into_float(self) -> FloatHistogram {
        let is_custom = self.uses_custom_buckets();
        let float = FloatHistogram {
            counter_reset_hint: self.counter_reset_hint,
            schema: self.schema,
            count: self.count as f64,
            sum: self.sum,
            positive_spans: self.positive_spans,
            positive_buckets: running_sums(self.positive_buckets),
            ..FloatHistogram::default()
        };
        if is_custom {
            return FloatHistogram {
                custom_values: self.custom_values,
                ..float
            };
        }
        FloatHistogram {
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count as f64,
            negative_spans: self.negative_spans,
            negative_buckets: running_sums(self.negative_buckets),
            ..float
        }
    }
}

/// Adds in floating point, as the reference does: counts beyond 2^53 round alike, nothing overflows.
fn running_sums(deltas: Vec<i64>) -> Vec<f64> {
    let add = |sum: &mut f64, delta: i64| {
        *sum += delta as f64;
        Some(*sum)
    };
    deltas.into_iter().scan(0.0, add).collect()
}

impl FloatHistogram {
    /// Whether the bucket bounds are listed instead of computed.
    #[must_use]
    pub fn uses_custom_buckets(&self) -> bool {
        self.schema == CUSTOM_BUCKETS_SCHEMA
    }

    /// Whether it marks the end of its series.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        is_stale_nan(self.sum)
    }
}

impl PartialEq for Histogram {
    fn eq(&self, other: &Self) -> bool {
        self.counter_reset_hint == other.counter_reset_hint
            && self.schema == other.schema
            && same_bits(
                &[self.zero_threshold, self.sum],
                &[other.zero_threshold, other.sum],
            )
            && self.zero_count == other.zero_count
            && self.count == other.count
            && self.positive_spans == other.positive_spans
            && self.negative_spans == other.negative_spans
            && self.positive_buckets == other.positive_buckets
            && self.negative_buckets == other.negative_buckets
            && same_bits(&self.custom_values, &other.custom_values)
    }
}

impl Eq for Histogram {}

impl PartialEq for FloatHistogram {
    fn eq(&self, other: &Self) -> bool {
        let scalars = |h: &Self| [h.zero_threshold, h.zero_count, h.count, h.sum];
        self.counter_reset_hint == other.counter_reset_hint
            && self.schema == other.schema
            && same_bits(&scalars(self), &scalars(other))
            && self.positive_spans == other.positive_spans
            && self.negative_spans == other.negative_spans
            && same_bits(&self.positive_buckets, &other.positive_buckets)
            && same_bits(&self.negative_buckets, &other.negative_buckets)
            && same_bits(&self.custom_values, &other.custom_values)
    }
}

impl Eq for FloatHistogram {}

fn same_bits(a: &[f64], b: &[f64]) -> bool {
    a.iter()
        .map(|v| v.to_bits())
        .eq(b.iter().map(|v| v.to_bits()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equality_is_bitwise() {
        let at = |value| Sample { time_ms: 1, value };
        assert_eq!(at(STALE_NAN), at(STALE_NAN));
        assert_ne!(at(STALE_NAN), at(NORMAL_NAN));
        assert_ne!(at(0.0), at(-0.0));
        assert!(is_stale_nan(STALE_NAN) && !is_stale_nan(NORMAL_NAN) && !is_stale_nan(f64::NAN));
        let stale = Histogram {
            sum: STALE_NAN,
            ..Histogram::default()
        };
        assert!(stale.is_stale() && stale == stale.clone() && stale.to_float().is_stale());
        assert_ne!(
            stale,
            Histogram {
                sum: NORMAL_NAN,
                ..Histogram::default()
            }
        );
    }

    #[test]
    fn float_buckets_are_absolute() {
        let histogram = Histogram {
            counter_reset_hint: CounterResetHint::Gauge,
            schema: 3,
            zero_threshold: 0.001,
            zero_count: 2,
            count: 13,
            sum: 4.5,
            positive_spans: vec![Span {
                offset: -2,
                length: 3,
            }],
            negative_spans: vec![Span {
                offset: 0,
                length: 1,
            }],
            positive_buckets: vec![3, -1, 2],
            negative_buckets: vec![2],
            custom_values: vec![],
        };
        let float = histogram.to_float();
        assert_eq!(float.positive_buckets, [3.0, 2.0, 4.0]);
        assert_eq!(
            (float.negative_buckets.as_slice(), float.zero_count),
            ([2.0].as_slice(), 2.0)
        );
        assert_eq!((float.count, float.sum, float.schema), (13.0, 4.5, 3));
    }

    #[test]
    fn custom_buckets_keep_their_bounds_and_nothing_below_zero() {
        let histogram = Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            zero_count: 7,
            negative_buckets: vec![1],
            positive_buckets: vec![i64::MAX, i64::MAX],
            custom_values: vec![0.1, 1.0],
            ..Histogram::default()
        };
        let float = histogram.to_float();
        assert!(float.uses_custom_buckets() && float.negative_buckets.is_empty());
        assert_eq!(
            (float.zero_count, float.custom_values),
            (0.0, vec![0.1, 1.0])
        );
        assert_eq!(float.positive_buckets[1], 2.0 * i64::MAX as f64);
    }
}
