//! The shortest layout of the same buckets.
//!
//! Source: Prometheus 3.14, `model/histogram/generic.go` (`compactBuckets`).

use super::{
    kahan::Compensation,
    layout::{self, Indexes, SpanBuilder},
};
use crate::sample::{FloatHistogram, Span};

/// Most empty buckets that merging spans may add to one side. All the floats there are lie within
/// fewer buckets of the highest resolution (about 2^19), so only a histogram that cannot be reaches
/// it: its spans stay apart.
const MAX_FILLED: u64 = 1 << 20;

impl FloatHistogram {
    /// Removes empty buckets at the ends of spans, and from within where more than `max_empty` follow
    /// each other; merges spans that are not more than `max_empty` buckets apart.
    ///
    /// In place if `max_empty` is 0. A side whose spans contradict its buckets stays as it is.
    pub fn compact(&mut self, max_empty: usize) {
        histogram(self, None, max_empty);
    }
}

/// Compacts a histogram together with its compensation. A bucket with either is not empty.
pub(super) fn histogram(
    histogram: &mut FloatHistogram,
    carry: Option<&mut Compensation>,
    max_empty: usize,
) {
    let (positive, negative) = match carry {
        Some(carry) => (Some(&mut carry.positive), Some(&mut carry.negative)),
        None => (None, None),
    };
    let sides = [
        Side {
            spans: &mut histogram.positive_spans,
            counts: &mut histogram.positive_buckets,
            carry: positive,
        },
        Side {
            spans: &mut histogram.negative_spans,
            counts: &mut histogram.negative_buckets,
            carry: negative,
        },
    ];
    for side in sides {
        side.compact(max_empty);
    }
}

struct Side<'a> {
    spans: &'a mut Vec<Span>,
    counts: &'a mut Vec<f64>,
    carry: Option<&'a mut Vec<f64>>,
}

impl Side<'_> {
    fn compact(mut self, max_empty: usize) {
        if self.is_compact(max_empty) {
            return;
        }
        if self.spans.iter().all(|span| span.length == 0) {
            if !self.spans.is_empty() {
                self.spans.clear();
                self.counts.clear();
                if let Some(carry) = self.carry {
                    carry.clear();
                }
            }
            return;
        }
        if layout::check(self.spans, self.counts.len()).is_err() {
            return;
        }
        if max_empty == 0 {
            self.squeeze();
        } else {
            self.refill(max_empty as u64);
        }
    }

    /// Tells the common case at little cost; some layouts that are compact are not seen to be.
    fn is_compact(&self, max_empty: usize) -> bool {
        let apart = |span: &Span| {
            let offset = i64::from(span.offset);
            u64::try_from(offset).is_ok_and(|offset| offset > max_empty as u64)
        };
        // Where the first span begins does not matter.
        self.counts.iter().all(|count| *count != 0.0)
            && self.spans.iter().all(|span| span.length > 0)
            && self.spans.iter().skip(1).all(apart)
    }

    fn is_empty(&self, place: usize) -> bool {
        let lost = self.carry.as_ref().and_then(|carry| carry.get(place));
        self.counts.get(place).is_some_and(|count| *count == 0.0)
            && lost.is_none_or(|lost| *lost == 0.0)
    }

    /// Keeps the populated buckets alone, in place.
    fn squeeze(&mut self) {
        let spans = std::mem::take(self.spans);
        let mut kept = SpanBuilder::default();
        let mut write = 0;
        for (read, (index, _)) in Indexes::new(&spans).take(self.counts.len()).enumerate() {
            if self.is_empty(read) {
                continue;
            }
            kept.push(index);
            self.counts.swap(write, read);
            if let Some(carry) = self.carry.as_mut() {
                carry.swap(write, read);
            }
            write += 1;
        }
        *self.spans = kept.finish();
        self.counts.truncate(write);
        if let Some(carry) = self.carry.as_mut() {
            carry.truncate(write);
        }
    }

    /// Keeps the populated buckets, with short gaps between them filled.
    fn refill(&mut self, max_empty: u64) {
        let spans = std::mem::take(self.spans);
        let mut kept = SpanBuilder::default();
        let mut from = Vec::with_capacity(self.counts.len());
        let mut budget = MAX_FILLED;
        for (read, (index, _)) in Indexes::new(&spans).take(self.counts.len()).enumerate() {
            if self.is_empty(read) {
                continue;
            }
            let gap = index.abs_diff(kept.end());
            let explicit = match from.last() {
                Some(&Some(last)) => (read - last - 1) as u64,
                _ => 0,
            };
            if kept.is_empty() || gap > max_empty || gap.saturating_sub(explicit) > budget {
                kept.begin(index);
            } else {
                budget -= gap.saturating_sub(explicit);
                // Empty buckets that were there in one run stay; else there are new ones.
                let stay = explicit == gap;
                for (place, empty) in (kept.end()..index).zip(read - explicit as usize..) {
                    kept.push(place);
                    from.push(stay.then_some(empty));
                }
                kept.push(index);
            }
            from.push(Some(read));
        }
        *self.spans = kept.finish();
        let gather = |values: &mut Vec<f64>| {
            let old = std::mem::take(values);
            let at = |place: &Option<usize>| place.and_then(|p| old.get(p).copied());
            *values = from.iter().map(|p| at(p).unwrap_or(0.0)).collect();
        };
        gather(self.counts);
        if let Some(carry) = self.carry.as_mut() {
            gather(carry);
        }
    }
}
