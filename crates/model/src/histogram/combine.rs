//! The sum or difference of two histograms, with or without compensation.
//!
//! Source: Prometheus 3.14, `model/histogram/float_histogram.go` (`Add`, `KahanAdd`, `Sub`,
//! `addBuckets`, `kahanAddBuckets`). There, a missing bucket is inserted where it belongs, which
//! moves all that follow; here, both sides are merged once if any bucket is missing. The result is
//! the same, but that spans without buckets do not survive a merge.

use super::{
    HistogramError, Reconciled, bounds,
    custom::{self, Summand},
    kahan::{Compensation, inc},
    layout::{self, Indexes, SpanBuilder},
    resolution,
};
use crate::sample::{FloatHistogram, Span};

/// One side of the histogram that is added to, with its compensation.
struct Target<'a> {
    spans: &'a mut Vec<Span>,
    counts: &'a mut Vec<f64>,
    carry: Option<&'a mut Vec<f64>>,
}

/// One side of the histogram that is added, with the compensation that merging its buckets gave.
struct Addend<'a> {
    spans: &'a [Span],
    counts: &'a [f64],
    carry: Option<&'a [f64]>,
    sign: f64,
}

/// Adds `sign * other` to `to`. Nothing is changed on an error.
pub(super) fn combine(
    to: &mut FloatHistogram,
    other: &FloatHistogram,
    sign: f64,
    mut carry: Option<&mut Compensation>,
) -> Result<Reconciled, HistogramError> {
    if to.uses_custom_buckets() != other.uses_custom_buckets() {
        return Err(HistogramError::MixedSchemas);
    }
    layout::check_histogram(to)?;
    if !layout::are_alike(to, other) {
        layout::check_histogram(other)?;
    }
    let mut reconciled = Reconciled {
        reset_collision: to.adjust_hint(other.counter_reset_hint),
        custom_bounds: false,
    };
    if let Some(carry) = carry.as_deref_mut() {
        carry.fit(to);
    }
    if !to.uses_custom_buckets() {
        let (zero_count, zero_carry) = to.reconcile_zero_buckets(other, carry.as_deref_mut());
        if let Some(carry) = carry.as_deref_mut() {
            inc(zero_count, &mut to.zero_count, &mut carry.zero_count);
            inc(zero_carry, &mut to.zero_count, &mut carry.zero_count);
        } else {
            to.zero_count += sign * zero_count;
        }
    }
    if let Some(carry) = carry.as_deref_mut() {
        inc(other.count, &mut to.count, &mut carry.count);
        inc(other.sum, &mut to.sum, &mut carry.sum);
    } else {
        to.count += sign * other.count;
        to.sum += sign * other.sum;
    }
    if !to.uses_custom_buckets() {
        add_exponential(to, other, sign, carry);
    } else if bounds::same_bounds(&to.custom_values, &other.custom_values) {
        add_positive(to, other, sign, carry);
    } else {
        reconciled.custom_bounds = true;
        custom::add_mismatched(to, Summand::of(other, sign), carry);
    }
    Ok(reconciled)
}

/// Adds the positive buckets of a histogram with the same bounds.
fn add_positive(
    to: &mut FloatHistogram,
    other: &FloatHistogram,
    sign: f64,
    carry: Option<&mut Compensation>,
) {
    let target = Target {
        spans: &mut to.positive_spans,
        counts: &mut to.positive_buckets,
        carry: carry.map(|carry| &mut carry.positive),
    };
    let addend = Addend {
        spans: &other.positive_spans,
        counts: &other.positive_buckets,
        carry: None,
        sign,
    };
    target.add(&addend, 0);
}

/// Adds all buckets but the zero bucket, at the lower resolution of the two.
fn add_exponential(
    to: &mut FloatHistogram,
    other: &FloatHistogram,
    sign: f64,
    mut carry: Option<&mut Compensation>,
) {
    if other.schema < to.schema {
        resolution::reduce(to, other.schema, carry.as_deref_mut());
    }
    let compensated = carry.is_some();
    let (schema, threshold) = (to.schema, to.zero_threshold);
    let shift = resolution::shift(other.schema, schema);
    let (mut positive_carry, mut negative_carry) = (None, None);
    if let Some(carry) = carry {
        positive_carry = Some(&mut carry.positive);
        negative_carry = Some(&mut carry.negative);
    }
    let targets = [
        Target {
            spans: &mut to.positive_spans,
            counts: &mut to.positive_buckets,
            carry: positive_carry,
        },
        Target {
            spans: &mut to.negative_spans,
            counts: &mut to.negative_buckets,
            carry: negative_carry,
        },
    ];
    let others = [
        (&other.positive_spans, &other.positive_buckets),
        (&other.negative_spans, &other.negative_buckets),
    ];
    for (target, (spans, counts)) in targets.into_iter().zip(others) {
        let merged = (shift > 0).then(|| resolution::merged(spans, counts, shift, compensated));
        let addend = match &merged {
            Some(merged) => Addend {
                spans: &merged.spans,
                counts: &merged.counts,
                carry: merged.carry.as_deref(),
                sign,
            },
            None => Addend {
                spans,
                counts,
                carry: None,
                sign,
            },
        };
        let within = bounds::leading_within(addend.spans, schema, threshold, addend.counts.len());
        target.add(&addend, within);
    }
}

impl Addend<'_> {
    /// The bucket at `place`, with the sign it is added with, and its compensation.
    fn at(&self, place: usize) -> (f64, f64) {
        let count = self.counts.get(place).copied().unwrap_or_default();
        let carry = self.carry.and_then(|carry| carry.get(place).copied());
        (count * self.sign, carry.unwrap_or_default())
    }
}

impl Target<'_> {
    /// Adds all buckets of `addend` but the first `skipped` ones, which lie in the zero bucket.
    fn add(mut self, addend: &Addend<'_>, skipped: usize) {
        let Some((first, _)) = Indexes::new(addend.spans).nth(skipped) else {
            return;
        };
        if *self.spans == addend.spans {
            self.add_aligned(addend, skipped);
        } else if layout::covers(self.spans, addend.spans, first) {
            self.add_covered(addend, skipped);
        } else {
            self.merge(addend, skipped);
        }
    }

    /// Both have the same buckets: the common case.
    fn add_aligned(&mut self, addend: &Addend<'_>, skipped: usize) {
        if addend.carry.is_some() {
            for place in skipped..addend.counts.len() {
                self.accumulate(place, addend.at(place));
            }
            return;
        }
        let sign = addend.sign;
        let pairs = self.counts.iter_mut().zip(addend.counts);
        match &mut self.carry {
            None => pairs
                .skip(skipped)
                .for_each(|(count, other)| *count += other * sign),
            Some(carry) => {
                let places = pairs.zip(carry.iter_mut()).skip(skipped);
                places.for_each(|((sum, other), own)| inc(other * sign, sum, own));
            }
        }
    }

    /// This side has all the buckets of the other one, and more.
    fn add_covered(&mut self, addend: &Addend<'_>, skipped: usize) {
        let spans = std::mem::take(self.spans);
        let mut own = Indexes::new(&spans).enumerate();
        let wanted = Indexes::new(addend.spans).enumerate().skip(skipped);
        for (bucket, (index, _)) in wanted {
            if let Some((place, _)) = own.find(|(_, (own, _))| *own == index) {
                self.accumulate(place, addend.at(bucket));
            }
        }
        *self.spans = spans;
    }

    /// Adds to the bucket that is there.
    fn accumulate(&mut self, place: usize, (count, carry): (f64, f64)) {
        let Some(sum) = self.counts.get_mut(place) else {
            return;
        };
        let own = self.carry.as_mut().and_then(|own| own.get_mut(place));
        let Some(own) = own else {
            *sum += count;
            return;
        };
        inc(count, sum, own);
        if carry != 0.0 {
            inc(carry, sum, own);
        }
    }

    /// Some buckets are missing: makes new spans and buckets out of both sides. A missing bucket
    /// extends the span in front of it, or else the one behind it, or else is a new span.
    fn merge(&mut self, addend: &Addend<'_>, skipped: usize) {
        let spans = std::mem::take(self.spans);
        let mut own = Indexes::new(&spans).enumerate().peekable();
        let mut wanted = Indexes::new(addend.spans)
            .enumerate()
            .skip(skipped)
            .peekable();
        let most = self.counts.len() + addend.counts.len().saturating_sub(skipped);
        let mut merged = SpanBuilder::default();
        let mut counts = Vec::with_capacity(most);
        let mut carry = Vec::with_capacity(if self.carry.is_some() { most } else { 0 });
        // Whether the last bucket was missing and stands at the head of its span.
        let mut new_head = false;
        loop {
            let own_index = own.peek().map(|(_, (index, _))| *index);
            let wanted_index = wanted.peek().map(|(_, (index, _))| *index);
            let missing = match (own_index, wanted_index) {
                (None, None) => break,
                (Some(own), Some(wanted)) => wanted < own,
                (own, _) => own.is_none(),
            };
            if missing {
                let Some((bucket, (index, _))) = wanted.next() else {
                    break;
                };
                new_head = merged.is_empty() || index != merged.end();
                merged.push(index);
                let (count, lost) = addend.at(bucket);
                counts.push(count);
                carry.push(lost);
                continue;
            }
            let Some((place, (index, starts))) = own.next() else {
                break;
            };
            if let Some((bucket, _)) = wanted.next_if(|(_, (wanted, _))| *wanted == index) {
                self.accumulate(place, addend.at(bucket));
            }
            if starts && !new_head {
                merged.begin(index);
            } else {
                merged.push(index);
            }
            new_head = false;
            counts.push(self.counts.get(place).copied().unwrap_or_default());
            let lost = self.carry.as_ref().and_then(|carry| carry.get(place));
            carry.push(lost.copied().unwrap_or_default());
        }
        *self.spans = merged.finish();
        *self.counts = counts;
        if let Some(own) = self.carry.as_deref_mut() {
            *own = carry;
        }
    }
}
