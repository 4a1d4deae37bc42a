//! Whether a counter was reset between two histograms.
//!
//! Source: Prometheus 3.14, `model/histogram/float_histogram.go` (`DetectReset`, `detectReset`,
//! `floatBucketIterator`).

use super::{
    bounds, custom,
    layout::Slots,
    resolution::{shift, target_index},
};
use crate::sample::{CounterResetHint, FloatHistogram, Span};

impl FloatHistogram {
    /// Whether this histogram cannot follow `previous` without a counter reset: a count is smaller,
    /// or a populated bucket is gone. Its hint, if there is one, is believed.
    ///
    /// A higher resolution or a narrower zero bucket comes with a reset only; a lower resolution or a
    /// wider zero bucket is compared with what `previous` would be with it.
    #[must_use]
    pub fn detect_reset(&self, previous: &Self) -> bool {
        match self.counter_reset_hint {
            CounterResetHint::Reset => return true,
            CounterResetHint::NotReset => return false,
            // A gauge that is taken for a counter is compared, too.
            CounterResetHint::Unknown | CounterResetHint::Gauge => {}
        }
        if self.count < previous.count {
            return true;
        }
        if self.uses_custom_buckets() {
            if !previous.uses_custom_buckets() {
                return true;
            }
            if !bounds::same_bounds(&self.custom_values, &previous.custom_values) {
                return custom::mismatched_reset(self, previous);
            }
        }
        if self.schema > previous.schema || self.zero_threshold < previous.zero_threshold {
            return true;
        }
        let zero = previous.zero_bucket_up_to(self.zero_threshold, None);
        if zero.threshold != self.zero_threshold || self.zero_count < zero.count {
            return true;
        }
        self.side_reset(
            previous,
            (&self.positive_spans, &self.positive_buckets),
            (&previous.positive_spans, &previous.positive_buckets),
        ) || self.side_reset(
            previous,
            (&self.negative_spans, &self.negative_buckets),
            (&previous.negative_spans, &previous.negative_buckets),
        )
    }

    /// Whether any populated bucket of one side of `previous` is gone, or holds less.
    fn side_reset(
        &self,
        previous: &Self,
        now: (&[Span], &[f64]),
        before: (&[Span], &[f64]),
    ) -> bool {
        // Buckets in the zero bucket are accounted for there.
        let outside = |(index, _): &(i64, f64)| {
            self.zero_threshold == 0.0
                || !self.uses_exponential_buckets()
                || bounds::exponential(*index, self.schema) > self.zero_threshold
        };
        let mut now = Merged::new(now, 0).skip_while(|bucket| !outside(bucket));
        let before = Merged::new(before, shift(previous.schema, self.schema));
        let mut current = now.next();
        for (index, count) in before.skip_while(|bucket| !outside(bucket)) {
            while current.is_some_and(|(current, _)| current < index) {
                current = now.next();
            }
            let reset = match current {
                Some((current, now)) if current == index => now < count,
                _ => count != 0.0,
            };
            if reset {
                return true;
            }
        }
        false
    }
}

/// The buckets of a lower resolution, with their indexes.
struct Merged<'a> {
    slots: std::iter::Peekable<Slots<'a>>,
    shift: u32,
}

impl<'a> Merged<'a> {
    fn new((spans, counts): (&'a [Span], &'a [f64]), shift: u32) -> Self {
        Self {
            slots: Slots::new(spans, counts).peekable(),
            shift,
        }
    }
}

impl Iterator for Merged<'_> {
    type Item = (i64, f64);

    fn next(&mut self) -> Option<(i64, f64)> {
        let (index, mut sum) = self.slots.next()?;
        if self.shift == 0 {
            return Some((index, sum));
        }
        let (target, shift) = (target_index(index, self.shift), self.shift);
        let same = |(index, _): &(i64, f64)| target_index(*index, shift) == target;
        while let Some((_, count)) = self.slots.next_if(same) {
            sum += count;
        }
        Some((target, sum))
    }
}
