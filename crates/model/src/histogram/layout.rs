//! Where buckets lie: walking over spans, building them, comparing them.
//!
//! Indexes are `i64` here, so that no sum of the `i32` offsets of an invalid histogram overflows.

use super::{HistogramError, bounds};
use crate::sample::{FloatHistogram, Span};

/// The indexes of all buckets that spans describe, in order; whether a bucket is the first of its
/// span comes along. Only as long as the spans claim: always zip it with the buckets.
#[derive(Debug, Clone)]
pub(super) struct Indexes<'a> {
    spans: std::slice::Iter<'a, Span>,
    next: i64,
    left: u32,
}

impl<'a> Indexes<'a> {
    pub(super) fn new(spans: &'a [Span]) -> Self {
        Self {
            spans: spans.iter(),
            next: 0,
            left: 0,
        }
    }
}

impl Iterator for Indexes<'_> {
    type Item = (i64, bool);

    fn next(&mut self) -> Option<(i64, bool)> {
        let mut starts = false;
        while self.left == 0 {
            let span = self.spans.next()?;
            self.next += i64::from(span.offset);
            self.left = span.length;
            starts = true;
        }
        self.left -= 1;
        self.next += 1;
        Some((self.next - 1, starts))
    }
}

/// The index and the count of each bucket, from both ends. Ends where spans or buckets end.
#[derive(Debug, Clone)]
pub(super) struct Slots<'a> {
    spans: &'a [Span],
    counts: &'a [f64],
    /// Index of the next bucket from the front, and how many of the first span were taken.
    front: i64,
    taken: u32,
    /// Index after the next bucket from the back, and how many of the last span are left.
    back: i64,
    left: u32,
}

impl<'a> Slots<'a> {
    pub(super) fn new(spans: &'a [Span], counts: &'a [f64]) -> Self {
        // Where the last bucket is, which with too few buckets lies before the end of the spans.
        let mut missing = counts.len() as u64;
        let mut back = 0;
        let mut left = 0;
        let mut used = 0;
        for span in spans {
            if missing == 0 {
                break;
            }
            left = u64::from(span.length).min(missing) as u32;
            missing -= u64::from(left);
            back += i64::from(span.offset) + i64::from(left);
            used += 1;
        }
        let spans = spans.get(..used).unwrap_or_default();
        let found = counts.len().saturating_sub(missing as usize);
        Self {
            spans,
            counts: counts.get(..found).unwrap_or_default(),
            front: spans.first().map_or(0, |span| i64::from(span.offset)),
            taken: 0,
            back,
            left,
        }
    }
}

impl Iterator for Slots<'_> {
    type Item = (i64, f64);

    fn next(&mut self) -> Option<(i64, f64)> {
        let (&count, rest) = self.counts.split_first()?;
        while self.taken >= self.spans.first()?.length {
            self.spans = self.spans.get(1..)?;
            self.taken = 0;
            self.front += i64::from(self.spans.first()?.offset);
        }
        self.counts = rest;
        self.taken += 1;
        self.front += 1;
        Some((self.front - 1, count))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.counts.len(), Some(self.counts.len()))
    }
}

impl DoubleEndedIterator for Slots<'_> {
    fn next_back(&mut self) -> Option<(i64, f64)> {
        let (&count, rest) = self.counts.split_last()?;
        while self.left == 0 {
            let (last, before) = self.spans.split_last()?;
            self.back -= i64::from(last.offset);
            self.left = before.last()?.length;
            self.spans = before;
        }
        self.counts = rest;
        self.left -= 1;
        self.back -= 1;
        Some((self.back, count))
    }
}

impl ExactSizeIterator for Slots<'_> {}

/// The spans of buckets that are named one after the other, in ascending order.
#[derive(Debug, Default)]
pub(super) struct SpanBuilder {
    spans: Vec<Span>,
    /// Index after the last bucket.
    end: i64,
}

impl SpanBuilder {
    pub(super) fn end(&self) -> i64 {
        self.end
    }

    pub(super) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Adds a bucket to the last span if it follows it directly, and else begins a new span.
    pub(super) fn push(&mut self, index: i64) {
        match self.spans.last_mut() {
            Some(last) if index == self.end => last.length = last.length.saturating_add(1),
            _ => return self.begin(index),
        }
        self.end = index.saturating_add(1);
    }

    /// Adds a bucket in a span of its own.
    pub(super) fn begin(&mut self, index: i64) {
        let gap = index.saturating_sub(self.end);
        self.spans.push(Span {
            offset: i32::try_from(gap).unwrap_or(i32::MAX),
            length: 1,
        });
        self.end = index.saturating_add(1);
    }

    pub(super) fn finish(self) -> Vec<Span> {
        self.spans
    }
}

/// Whether the spans ascend and describe that many buckets, with indexes that fit.
pub(super) fn check(spans: &[Span], buckets: usize) -> Result<(), HistogramError> {
    let mut needed = 0_u64;
    let mut end = 0_i64;
    for (number, span) in spans.iter().enumerate() {
        if number > 0 && span.offset < 0 {
            return Err(HistogramError::NegativeOffset {
                span: number + 1,
                offset: span.offset,
            });
        }
        needed = needed.saturating_add(u64::from(span.length));
        end = end.saturating_add(i64::from(span.offset) + i64::from(span.length));
    }
    if needed != buckets as u64 {
        return Err(HistogramError::BucketMismatch {
            needed,
            found: buckets,
        });
    }
    if end > i64::from(i32::MAX) {
        return Err(HistogramError::IndexOutOfRange);
    }
    Ok(())
}

/// Whether all of the histogram's bucket bounds are known and can be relied upon.
pub(super) fn check_histogram(histogram: &FloatHistogram) -> Result<(), HistogramError> {
    if !bounds::is_usable_schema(histogram.schema) {
        return Err(HistogramError::UnsupportedSchema(histogram.schema));
    }
    check(&histogram.positive_spans, histogram.positive_buckets.len())?;
    if histogram.uses_custom_buckets() {
        return Ok(());
    }
    if histogram.zero_threshold.is_nan() {
        return Err(HistogramError::ThresholdNotANumber);
    }
    check(&histogram.negative_spans, histogram.negative_buckets.len())
}

/// Whether what [`check_histogram`] says of one holds of the other one, too: the common case, told at little cost.
pub(super) fn are_alike(a: &FloatHistogram, b: &FloatHistogram) -> bool {
    a.schema == b.schema
        && a.zero_threshold == b.zero_threshold
        && a.positive_buckets.len() == b.positive_buckets.len()
        && a.negative_buckets.len() == b.negative_buckets.len()
        && a.positive_spans == b.positive_spans
        && a.negative_spans == b.negative_spans
}

/// Whether spans describe the same layout: those without buckets count as part of the gap that they
/// lie in (Prometheus's `spansMatch`).
pub(super) fn same_layout(a: &[Span], b: &[Span]) -> bool {
    a == b || populated(a).eq(populated(b))
}

/// Gap and length of each span that has buckets.
fn populated(spans: &[Span]) -> impl Iterator<Item = (i64, u32)> + '_ {
    let mut gap = 0_i64;
    spans.iter().filter_map(move |span| {
        gap += i64::from(span.offset);
        (span.length > 0).then(|| (std::mem::take(&mut gap), span.length))
    })
}

/// Whether `outer` has all the buckets of `inner` from the index `from` on. Both must ascend.
pub(super) fn covers(outer: &[Span], inner: &[Span], from: i64) -> bool {
    let mut outer = runs(outer);
    let mut current = outer.next();
    for (start, end) in runs(inner) {
        if end <= from {
            continue;
        }
        let start = start.max(from);
        while current.is_some_and(|(_, outer_end)| outer_end < end) {
            current = outer.next();
        }
        if current.is_none_or(|(outer_start, _)| outer_start > start) {
            return false;
        }
    }
    true
}

/// Maximal runs of neighbouring buckets, each as the index of its first and after its last one.
fn runs(spans: &[Span]) -> impl Iterator<Item = (i64, i64)> + '_ {
    let mut spans = populated(spans).peekable();
    let mut end = 0_i64;
    std::iter::from_fn(move || {
        let (gap, length) = spans.next()?;
        let start = end + gap;
        end = start + i64::from(length);
        while let Some((_, length)) = spans.next_if(|(gap, _)| *gap == 0) {
            end += i64::from(length);
        }
        Some((start, end))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(pairs: &[(i32, u32)]) -> Vec<Span> {
        let span = |&(offset, length)| Span { offset, length };
        pairs.iter().map(span).collect()
    }

    #[test]
    fn buckets_are_met_from_both_ends() {
        let spans = spans(&[(-3, 0), (1, 2), (4, 0), (0, 1), (0, 2), (7, 0)]);
        let counts = [1.0, 2.0, 3.0, 4.0, 5.0];
        let forward: Vec<_> = Slots::new(&spans, &counts).collect();
        assert_eq!(
            forward.iter().map(|s| s.0).collect::<Vec<_>>(),
            [-2, -1, 4, 5, 6]
        );
        let mut backward: Vec<_> = Slots::new(&spans, &counts).rev().collect();
        backward.reverse();
        assert_eq!(forward, backward);
        let mut both = Slots::new(&spans, &counts);
        assert_eq!(
            (both.next(), both.next_back()),
            (Some((-2, 1.0)), Some((6, 5.0)))
        );
        assert_eq!(
            (both.next(), both.next_back()),
            (Some((-1, 2.0)), Some((5, 4.0)))
        );
        assert_eq!(
            (both.len(), both.next_back(), both.next()),
            (1, Some((4, 3.0)), None)
        );
    }

    #[test]
    fn walks_end_with_the_shorter_of_spans_and_buckets() {
        let long = spans(&[(i32::MAX, u32::MAX), (i32::MAX, u32::MAX)]);
        assert_eq!(Slots::new(&long, &[1.0]).rev().count(), 1);
        assert_eq!(Slots::new(&spans(&[(0, 1)]), &[1.0, 2.0]).count(), 1);
        assert_eq!(Slots::new(&spans(&[(0, 1)]), &[1.0, 2.0]).rev().count(), 1);
        assert_eq!(Slots::new(&[], &[1.0]).count(), 0);
    }

    #[test]
    fn one_layout_covers_another() {
        let outer = spans(&[(0, 2), (0, 2), (3, 1), (1, 0), (1, 2)]); // 0-3, 7, 10-11
        for (inner, from, covered) in [
            (&[(1, 3)][..], i64::MIN, true),
            (&[(1, 4)][..], i64::MIN, false),
            (&[(3, 1), (3, 1)][..], i64::MIN, true),
            (&[(5, 1), (1, 1)][..], i64::MIN, false),
            (&[(5, 1), (1, 1)][..], 6, true),
            (&[(10, 1), (0, 1)][..], i64::MIN, true),
            (&[(12, 1)][..], i64::MIN, false),
            (&[][..], i64::MIN, true),
        ] {
            assert_eq!(
                covers(&outer, &spans(inner), from),
                covered,
                "{inner:?} from {from}"
            );
        }
    }

    #[test]
    fn spans_without_buckets_do_not_matter() {
        let same = |a: &[(i32, u32)], b: &[(i32, u32)]| same_layout(&spans(a), &spans(b));
        assert!(same(&[], &[(7, 0)]));
        assert!(same(&[(1, 2), (3, 1)], &[(1, 2), (1, 0), (2, 1), (9, 0)]));
        assert!(
            !same(&[(1, 2)], &[(1, 1), (0, 1)]),
            "they are split elsewhere"
        );
        assert!(!same(&[(1, 2)], &[(2, 2)]));
    }
}
