//! Classic histograms: cumulative counts by upper bound, each a series of its own.
//!
//! Source: Prometheus 3.14, `promql/quantile.go` (`BucketQuantile`, `BucketFraction`,
//! `coalesceBuckets`, `ensureMonotonicAndIgnoreSmallDeltas`) and `util/almost/almost.go` (`Equal`).

use crate::sample::is_stale_nan;

/// Relative difference of neighbouring counts that is taken for an error of rounding.
const SMALL_DELTA: f64 = 1e-12;

/// One series of a classic histogram, at one time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Bucket {
    /// Value of the label `le`.
    pub upper_bound: f64,
    /// Observations up to that bound.
    pub count: f64,
}

/// Where counts went down although they are cumulative, and were raised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ForcedMonotonic {
    /// Lowest upper bound of a bucket that was raised.
    pub lowest: f64,
    /// Highest upper bound of a bucket that was raised.
    pub highest: f64,
    /// By how much at most.
    pub largest: f64,
}

/// A quantile of a classic histogram, and what had to be mended to get it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantile {
    /// The quantile.
    pub value: f64,
    /// If counts went down.
    pub forced_monotonic: Option<ForcedMonotonic>,
    /// Whether counts differed by so little that the difference was ignored.
    pub small_deltas: bool,
}

impl From<f64> for Quantile {
    fn from(value: f64) -> Self {
        Self {
            value,
            forced_monotonic: None,
            small_deltas: false,
        }
    }
}

/// The value below which the share `q` of the observations lies (`histogram_quantile`), by position
/// on a line within its bucket. The buckets are sorted and mended on the way.
///
/// The lowest bucket starts at 0, or if its bound is not above that, is all at its bound. What lies
/// in the highest bucket is at the bound of the one below. Infinite, with its sign, if `q` is below 0
/// or above 1. NaN if `q` is, without observations, with less than two buckets, and if the highest
/// bound is not infinity.
#[must_use]
pub fn quantile(q: f64, buckets: &mut Vec<Bucket>) -> Quantile {
    if q.is_nan() {
        return f64::NAN.into();
    }
    if q < 0.0 {
        return f64::NEG_INFINITY.into();
    }
    if q > 1.0 {
        return f64::INFINITY.into();
    }
    if !prepare(buckets) {
        return f64::NAN.into();
    }
    let (forced_monotonic, small_deltas) = make_monotonic(buckets, SMALL_DELTA);
    Quantile {
        value: quantile_of_monotonic(q, buckets),
        forced_monotonic,
        small_deltas,
    }
}

fn quantile_of_monotonic(q: f64, buckets: &[Bucket]) -> f64 {
    let [.., below, highest] = buckets else {
        return f64::NAN;
    };
    if highest.count == 0.0 {
        return f64::NAN;
    }
    let mut rank = q * highest.count;
    let found = first_reaching(rank, buckets);
    let Some(bucket) = buckets.get(found).filter(|_| found + 1 < buckets.len()) else {
        return below.upper_bound;
    };
    let previous = found.checked_sub(1).and_then(|before| buckets.get(before));
    let (start, count) = match previous {
        None if bucket.upper_bound <= 0.0 => return bucket.upper_bound,
        None => (0.0, bucket.count),
        Some(previous) => (previous.upper_bound, bucket.count - previous.count),
    };
    if let Some(previous) = previous {
        rank -= previous.count;
    }
    start + (bucket.upper_bound - start) * (rank / count)
}

/// The first bucket but the last one with at least that many observations, or else the last one. By
/// halves, in the steps of Go's `sort.Search`: counts of NaN order nothing.
fn first_reaching(rank: f64, buckets: &[Bucket]) -> usize {
    let (mut low, mut high) = (0, buckets.len().saturating_sub(1));
    while low < high {
        let middle = low.midpoint(high);
        if buckets.get(middle).is_some_and(|b| b.count >= rank) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// The share of the observations that lie between two values (`histogram_fraction`). The buckets are
/// sorted on the way.
///
/// NaN if a value is, without observations, and if the highest bound is not infinity; 0 if the range
/// is empty.
#[must_use]
pub fn fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if !prepare(buckets) {
        return f64::NAN;
    }
    let (Some(first), Some(last)) = (buckets.first(), buckets.last()) else {
        return f64::NAN;
    };
    let count = last.count;
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let mut start = if first.upper_bound <= 0.0 {
        f64::NEG_INFINITY
    } else {
        0.0
    };
    let mut rank = 0.0;
    let (mut lower_rank, mut upper_rank) = (None, None);
    for bucket in buckets.iter() {
        let end = bucket.upper_bound;
        let at = |value: f64| {
            if start >= value {
                Some(rank)
            } else if value >= end {
                None
            } else if start == f64::NEG_INFINITY {
                // Nothing can be told of where they lie: none is taken to be above.
                Some(bucket.count)
            } else {
                Some(rank + (bucket.count - rank) * (value - start) / (end - start))
            }
        };
        lower_rank = lower_rank.or_else(|| at(lower));
        upper_rank = upper_rank.or_else(|| at(upper));
        if lower_rank.is_some() && upper_rank.is_some() {
            break;
        }
        rank = bucket.count;
        start = end;
    }
    let capped = |rank: Option<f64>| match rank {
        Some(rank) if rank > count => count,
        Some(rank) => rank,
        None => count,
    };
    (capped(upper_rank) - capped(lower_rank)) / count
}

/// Sorts the buckets and adds up those with the same bound; whether the highest bound is infinity.
fn prepare(buckets: &mut Vec<Bucket>) -> bool {
    // Whoever asks at many times has sorted them once.
    if buckets.is_sorted_by(|a, b| a.upper_bound < b.upper_bound) {
        let highest = buckets.last();
        return highest.is_some_and(|highest| highest.upper_bound == f64::INFINITY);
    }
    // A NaN, which no label should hold, goes last: the order must be total.
    buckets.sort_by(|a, b| {
        let [a, b] = [a.upper_bound, b.upper_bound];
        a.partial_cmp(&b)
            .unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
    });
    if buckets
        .last()
        .is_none_or(|last| last.upper_bound != f64::INFINITY)
    {
        return false;
    }
    buckets.dedup_by(|next, kept| {
        let same = next.upper_bound == kept.upper_bound;
        if same {
            kept.count += next.count;
        }
        same
    });
    true
}

/// Makes cumulative counts never go down, and take no steps that are too small to be true.
fn make_monotonic(buckets: &mut [Bucket], tolerance: f64) -> (Option<ForcedMonotonic>, bool) {
    let mut forced: Option<ForcedMonotonic> = None;
    let mut small_deltas = false;
    let Some((first, rest)) = buckets.split_first_mut() else {
        return (None, false);
    };
    let mut previous = first.count;
    for Bucket { upper_bound, count } in rest {
        let current = *count;
        if current == previous {
            continue;
        }
        if is_clearly_above(current, previous) {
            previous = current;
            continue;
        }
        if almost_equal(previous, current, tolerance) {
            *count = previous;
            small_deltas = true;
            continue;
        }
        if current < previous {
            *count = previous;
            let mended = forced.get_or_insert(ForcedMonotonic {
                lowest: f64::INFINITY,
                highest: f64::NEG_INFINITY,
                largest: 0.0,
            });
            mended.lowest = mended.lowest.min(*upper_bound);
            mended.highest = mended.highest.max(*upper_bound);
            mended.largest = mended.largest.max(previous - current);
            continue;
        }
        previous = current;
    }
    (forced, small_deltas)
}

/// Whether a count is larger than another one that is not negative by so much that no tolerance matters:
/// most are, and this takes no division.
fn is_clearly_above(count: f64, other: f64) -> bool {
    other >= 0.0 && count > other * 1.001 && count > 1e-300
}

/// Whether two floats differ by less than `epsilon` times their sum. Markers of staleness are equal,
/// and so are other NaNs.
#[must_use]
pub fn almost_equal(a: f64, b: f64, epsilon: f64) -> bool {
    if is_stale_nan(a) || is_stale_nan(b) {
        return is_stale_nan(a) && is_stale_nan(b);
    }
    if (a.is_nan() && b.is_nan()) || a == b {
        return true;
    }
    let sum = a.abs() + b.abs();
    let difference = (a - b).abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < epsilon * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < epsilon
}
