//! Histograms with listed bounds that are not the same.
//!
//! Source: Prometheus 3.14, `model/histogram/float_histogram.go` (`intersectCustomBucketBounds`,
//! `addCustomBucketsWithMismatches`, `detectResetWithMismatchedCustomBounds`).

use super::{
    Bucket, Buckets,
    kahan::{Compensation, inc},
    layout::{Slots, SpanBuilder},
};
use crate::sample::{FloatHistogram, Span};

/// The positive buckets of a histogram with listed bounds, to be added with a sign.
pub(super) struct Summand<'a> {
    spans: &'a [Span],
    counts: &'a [f64],
    carry: Option<&'a [f64]>,
    bounds: &'a [f64],
    sign: f64,
}

impl<'a> Summand<'a> {
    pub(super) fn of(histogram: &'a FloatHistogram, sign: f64) -> Self {
        Self {
            spans: &histogram.positive_spans,
            counts: &histogram.positive_buckets,
            carry: None,
            bounds: &histogram.custom_values,
            sign,
        }
    }
}

/// Adds histograms with different bounds: the result has the bounds that both have, and no empty
/// buckets.
pub(super) fn add_mismatched(
    to: &mut FloatHistogram,
    other: Summand<'_>,
    carry: Option<&mut Compensation>,
) {
    let bounds = intersection(&to.custom_values, other.bounds);
    let mut sums = Sums::new(&bounds);
    sums.add(&Summand {
        carry: carry.as_deref().map(|carry| carry.positive.as_slice()),
        ..Summand::of(to, 1.0)
    });
    sums.add(&other);
    let mut spans = SpanBuilder::default();
    to.positive_buckets.clear();
    let mut lost = Vec::new();
    for (index, (sum, carry)) in (0..).zip(sums.buckets) {
        if sum == 0.0 && carry == 0.0 {
            continue;
        }
        spans.push(index);
        to.positive_buckets.push(sum);
        lost.push(carry);
    }
    to.positive_spans = spans.finish();
    if let Some(carry) = carry {
        carry.positive = lost;
    }
    to.custom_values = bounds;
}

/// The bounds in both of two ascending lists.
fn intersection(a: &[f64], b: &[f64]) -> Vec<f64> {
    let (mut i, mut j) = (0, 0);
    let mut both = Vec::new();
    while let (Some(&left), Some(&right)) = (a.get(i), b.get(j)) {
        if left == right {
            both.push(left);
            i += 1;
            j += 1;
        } else if left < right {
            i += 1;
        } else {
            j += 1;
        }
    }
    both
}

/// Buckets up to each of some bounds, and the one beyond, with their compensation.
struct Sums<'a> {
    bounds: &'a [f64],
    buckets: Vec<(f64, f64)>,
}

impl<'a> Sums<'a> {
    fn new(bounds: &'a [f64]) -> Self {
        Self {
            bounds,
            buckets: vec![(0.0, 0.0); bounds.len() + 1],
        }
    }

    fn add(&mut self, summand: &Summand<'_>) {
        let mut reached = 0;
        for (place, (index, count)) in Slots::new(summand.spans, summand.counts).enumerate() {
            let last = self.bounds.len();
            let own = usize::try_from(index).ok();
            let target = match own.and_then(|index| summand.bounds.get(index)) {
                Some(bound) => {
                    // Both lists ascend: go on from where the bucket before was found.
                    while self
                        .bounds
                        .get(reached)
                        .is_some_and(|b| b < bound || bound.is_nan())
                    {
                        reached += 1;
                    }
                    reached
                }
                None => last,
            };
            let Some((sum, carry)) = self.buckets.get_mut(target) else {
                continue;
            };
            inc(count * summand.sign, sum, carry);
            if let Some(lost) = summand.carry.and_then(|lost| lost.get(place)) {
                inc(*lost, sum, carry);
            }
        }
    }
}

/// Whether any bucket of `current`, brought to the bounds that both histograms have, holds less than
/// that of `previous`.
pub(super) fn mismatched_reset(current: &FloatHistogram, previous: &FloatHistogram) -> bool {
    let mut now = Rollup::new(current.positive());
    let mut before = Rollup::new(previous.positive());
    let common = intersection(&current.custom_values, &previous.custom_values);
    let mut bounds = common.into_iter().chain([f64::INFINITY]);
    bounds.any(|bound| now.up_to(bound) < before.up_to(bound))
}

/// Sums up buckets that follow each other.
struct Rollup<'a> {
    buckets: std::iter::Peekable<Buckets<'a>>,
}

impl<'a> Rollup<'a> {
    fn new(buckets: Buckets<'a>) -> Self {
        Self {
            buckets: buckets.peekable(),
        }
    }

    /// The observations in buckets that end up to `bound` and were not summed up yet.
    fn up_to(&mut self, bound: f64) -> f64 {
        let mut sum = 0.0;
        while let Some(Bucket { count, .. }) = self.buckets.next_if(|b| b.upper <= bound) {
            sum += count;
        }
        sum
    }
}
