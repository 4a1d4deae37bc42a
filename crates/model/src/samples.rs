//! The samples of a series, as columns.

use std::sync::Arc;

use crate::FloatHistogram;
use crate::sample::is_stale_nan;

/// Samples of one series, as columns: floats and native histograms in one order.
#[derive(Debug, Clone, Default)]
pub struct Samples {
    /// Milliseconds since the Unix epoch, ascending.
    pub times: Vec<i64>,
    /// As many as `times`; of no meaning where there is a histogram. Stale markers are kept.
    pub floats: Vec<f64>,
    /// Empty if all are floats, else as many as `times`.
    pub histograms: Vec<Option<Arc<FloatHistogram>>>,
    /// When each counter began, ms; empty if unknown, else as many as `times`, 0 where unknown.
    pub starts: Vec<i64>,
    spare: Spare,
}

/// Histograms that were cleared, for their memory: there is one for each sample, of several lists. At most
/// as many as the columns had before.
#[derive(Debug, Default)]
struct Spare(Vec<Arc<FloatHistogram>>);

impl Clone for Spare {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Samples {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Takes all out, keeping the memory.
    pub fn clear(&mut self) {
        self.times.clear();
        self.floats.clear();
        self.spare.0.clear();
        let unshared = |histogram: &Arc<_>| Arc::strong_count(histogram) == 1;
        let cleared = self.histograms.drain(..).flatten().filter(unshared);
        self.spare.0.extend(cleared);
        self.starts.clear();
    }

    /// Appends a float.
    pub fn push_float(&mut self, time_ms: i64, value: f64) {
        self.times.push(time_ms);
        self.floats.push(value);
        if !self.histograms.is_empty() {
            self.histograms.push(None);
        }
    }

    /// Appends a histogram.
    pub fn push_histogram(&mut self, time_ms: i64, histogram: Arc<FloatHistogram>) {
        if self.histograms.len() < self.times.len() {
            self.histograms.resize(self.times.len(), None);
        }
        self.times.push(time_ms);
        self.floats.push(0.0);
        self.histograms.push(Some(histogram));
    }

    /// Appends the histogram that `write` makes of an old one, all of whose fields it must set. What was
    /// cleared is used again: the lists of the old one are worth keeping.
    pub fn push_histogram_with(&mut self, time_ms: i64, write: impl FnOnce(&mut FloatHistogram)) {
        let mut histogram = self.spare.0.pop().unwrap_or_default();
        write(Arc::make_mut(&mut histogram));
        self.push_histogram(time_ms, histogram);
    }

    /// The histogram at a place, if it is one.
    #[must_use]
    pub fn histogram(&self, i: usize) -> Option<&Arc<FloatHistogram>> {
        self.histograms.get(i)?.as_ref()
    }

    /// These and others, without start timestamps; none if both have a sample at the same time.
    #[must_use]
    pub fn merged(&self, others: &Self) -> Option<Self> {
        let mut merged = Self::default();
        let (mut i, mut j) = (0, 0);
        while i < self.len() || j < others.len() {
            let (from, at) = match (self.times.get(i), others.times.get(j)) {
                (Some(a), Some(b)) if a == b => return None,
                (Some(a), Some(b)) if a > b => (others, &mut j),
                (None, _) => (others, &mut j),
                (Some(_), _) => (self, &mut i),
            };
            match from.histogram(*at) {
                Some(histogram) => merged.push_histogram(from.times[*at], Arc::clone(histogram)),
                None => merged.push_float(from.times[*at], from.floats[*at]),
            }
            *at += 1;
        }
        Some(merged)
    }

    /// Whether the sample at a place marks the end of its series.
    #[must_use]
    pub fn is_stale(&self, i: usize) -> bool {
        match self.histogram(i) {
            Some(histogram) => is_stale_nan(histogram.sum),
            None => self.floats.get(i).is_some_and(|value| is_stale_nan(*value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_cleared_is_written_over_unless_somebody_has_it() {
        let mut samples = Samples::default();
        for count in [1.0, 2.0, 3.0] {
            samples.push_histogram_with(0, |histogram| histogram.count = count);
        }
        let kept = samples.histogram(2).map(Arc::clone);
        let clone = samples.clone();
        drop(clone);
        samples.clear();
        for expected in [2.0, 1.0, 0.0] {
            samples.push_histogram_with(0, |histogram| {
                assert_eq!(histogram.count, expected, "of what was cleared");
                histogram.count = 9.0;
            });
        }
        assert_eq!(kept.map(|histogram| histogram.count), Some(3.0));
    }
}
