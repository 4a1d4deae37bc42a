//! Histograms that have the same buckets, as rows of a matrix: nearly all series of native histograms are such. What is
//! done to them is done number by number, without a look at spans, and in memory that lies together.

use super::{bounds, equal, layout};
use crate::sample::{CUSTOM_BUCKETS_SCHEMA, Span};

/// What stands in a row before the buckets: count, zero count and sum.
pub(super) const SCALARS: usize = 3;
/// The place of the sum, which may go down without a reset.
const SUM: usize = 2;

/// What a row means: count, zero count and sum, then the positive buckets and the negative ones.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HistogramLayout {
    pub(super) schema: i32,
    pub(super) zero_threshold: f64,
    pub(super) spans: [Vec<Span>; 2],
    buckets: [usize; 2],
}

impl HistogramLayout {
    /// The layout of histograms with computed bounds, with so many buckets in the positive spans and in the negative
    /// ones; none of those that need care: with invalid spans, or with buckets within the zero bucket.
    #[must_use]
    pub fn new(
        schema: i32,
        zero_threshold: f64,
        spans: [&[Span]; 2],
        buckets: [usize; 2],
    ) -> Option<Self> {
        let is_usable = bounds::is_usable_schema(schema) && schema != CUSTOM_BUCKETS_SCHEMA;
        let is_plain = |(spans, buckets): (&[Span], usize)| {
            layout::check(spans, buckets).is_ok()
                && bounds::leading_within(spans, schema, zero_threshold, buckets) == 0
        };
        let are_plain = spans.into_iter().zip(buckets).all(is_plain);
        (is_usable && zero_threshold >= 0.0 && are_plain).then(|| Self {
            schema,
            zero_threshold,
            spans: spans.map(<[Span]>::to_vec),
            buckets,
        })
    }

    /// Whether it is that of other histograms.
    #[must_use]
    pub fn is_of(&self, schema: i32, zero_threshold: f64, spans: [&[Span]; 2]) -> bool {
        self.schema == schema
            && self.zero_threshold == zero_threshold
            && self
                .spans
                .iter()
                .zip(spans)
                .all(|(own, other)| own == other)
    }

    /// How many numbers a row has.
    #[must_use]
    pub fn width(&self) -> usize {
        SCALARS + self.buckets.iter().sum::<usize>()
    }

    /// The positive buckets of a row, and the negative ones.
    pub(super) fn sides<'r>(&self, row: &'r [f64]) -> [&'r [f64]; 2] {
        let buckets = row.get(SCALARS..).unwrap_or_default();
        let (positive, negative) = buckets.split_at(self.buckets[0].min(buckets.len()));
        [positive, negative]
    }

    /// As [`crate::FloatHistogram::size`] of each histogram.
    #[must_use]
    pub fn histogram_size(&self) -> usize {
        let spans = self.spans.iter().map(Vec::len).sum::<usize>();
        equal::size_with(spans + self.buckets.iter().sum::<usize>())
    }
}

/// Histograms of a series, in order of time. Of those between the ends of windows, it is known only when they were.
#[derive(Debug, Clone, Default)]
pub struct HistogramRows {
    layout: Option<HistogramLayout>,
    width: usize,
    values: Vec<f64>,
    /// Of all samples.
    times: Vec<i64>,
    /// Where the row of each sample begins, or that of one before it.
    starts: Vec<usize>,
    resets: Vec<usize>,
    /// When the last sample was, stale markers included.
    last_ms: Option<i64>,
}

impl HistogramRows {
    /// Takes all out, keeping the memory.
    pub fn clear(&mut self) {
        self.layout = None;
        self.width = 0;
        self.values.clear();
        self.times.clear();
        self.starts.clear();
        self.resets.clear();
        self.last_ms = None;
    }

    /// Says what comes next. False if it has other buckets than what is there, or buckets that need care.
    pub fn expect(
        &mut self,
        schema: i32,
        zero_threshold: f64,
        spans: [&[Span]; 2],
        buckets: [usize; 2],
    ) -> bool {
        if let Some(layout) = &self.layout {
            return layout.is_of(schema, zero_threshold, spans);
        }
        self.layout = HistogramLayout::new(schema, zero_threshold, spans, buckets);
        self.width = self.layout.as_ref().map_or(0, HistogramLayout::width);
        self.layout.is_some()
    }

    /// Appends a histogram; `write` sets all numbers of its row. If the counter `may_be` reset, the row before, which
    /// must be that of the sample before, shows whether it was.
    #[inline]
    pub fn push(&mut self, time_ms: i64, may_be_reset: bool, write: impl FnOnce(&mut [f64])) {
        let start = self.values.len();
        self.values.resize(start + self.width, 0.0);
        let (before, row) = self.values.split_at_mut(start);
        write(row);
        if may_be_reset
            && let Some(last) = self.starts.last()
            && is_reset(before.get(*last..).unwrap_or_default(), row)
        {
            self.resets.push(self.times.len());
        }
        self.skip(time_ms);
        self.times.push(time_ms);
        self.starts.push(start);
    }

    /// Appends a histogram at no end of a window: nobody looks at its row.
    #[inline]
    pub fn push_between(&mut self, time_ms: i64) {
        self.skip(time_ms);
        self.times.push(time_ms);
        self.starts
            .push(self.starts.last().copied().unwrap_or_default());
    }

    /// Goes past a stale marker.
    #[inline]
    pub fn skip(&mut self, time_ms: i64) {
        self.last_ms = Some(time_ms);
    }

    /// When the last sample was, stale markers included.
    #[inline]
    #[must_use]
    pub fn last_ms(&self) -> Option<i64> {
        self.last_ms
    }

    /// Gives the last histogram the row that it was not to have; `write` sets all numbers of it.
    pub fn complete_last(&mut self, write: impl FnOnce(&mut [f64])) {
        let start = self.values.len();
        self.values.resize(start + self.width, 0.0);
        write(self.values.get_mut(start..).unwrap_or_default());
        if let Some(last) = self.starts.last_mut() {
            *last = start;
        }
    }

    /// What the rows mean; none if there is no sample.
    #[must_use]
    pub fn layout(&self) -> Option<&HistogramLayout> {
        self.layout.as_ref()
    }

    /// When the samples were, ms since the Unix epoch, ascending.
    #[must_use]
    pub fn times(&self) -> &[i64] {
        &self.times
    }

    /// The places of samples before which the counter was reset, ascending.
    #[must_use]
    pub fn resets(&self) -> &[usize] {
        &self.resets
    }

    /// The row of a sample at the end of a window.
    #[inline]
    #[must_use]
    pub fn row(&self, sample: usize) -> &[f64] {
        let start = self.starts.get(sample).copied().unwrap_or_default();
        self.values
            .get(start..start + self.width)
            .unwrap_or_default()
    }

    /// The memory that they hold, bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let words = self.values.capacity() + self.times.capacity();
        (words + self.starts.capacity() + self.resets.capacity()) * size_of::<u64>()
    }
}

/// Whether a count is smaller than before: [`crate::FloatHistogram::detect_reset`] where no hint tells.
fn is_reset(before: &[f64], row: &[f64]) -> bool {
    let mut pairs = before.iter().zip(row).enumerate();
    pairs.any(|(place, (before, now))| place != SUM && now < before)
}

/// A histogram for each step, or none.
#[derive(Debug, Clone)]
pub struct HistogramMatrix {
    /// What the rows mean.
    pub layout: HistogramLayout,
    pub(super) values: Vec<f64>,
    pub(super) present: Vec<bool>,
}

impl HistogramMatrix {
    /// Without any histogram.
    #[must_use]
    pub fn absent(layout: HistogramLayout, steps: usize) -> Self {
        Self {
            values: vec![0.0; layout.width() * steps],
            present: vec![false; steps],
            layout,
        }
    }

    /// The row of a step, to be written: there is a histogram then.
    #[inline]
    pub fn row_mut(&mut self, step: usize) -> &mut [f64] {
        if let Some(present) = self.present.get_mut(step) {
            *present = true;
        }
        let width = self.layout.width();
        self.values
            .get_mut(step * width..(step + 1) * width)
            .unwrap_or_default()
    }

    /// The rows of all steps.
    pub fn rows(&self) -> impl Iterator<Item = Option<&[f64]>> {
        let rows = self.values.chunks_exact(self.layout.width());
        let rows = rows.zip(&self.present);
        rows.map(|(row, is_present)| is_present.then_some(row))
    }

    /// Whether there is no histogram at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.present.contains(&true)
    }

    /// The memory that it holds, bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(self.values.as_slice()) + self.present.len()
    }
}
