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

    /// Makes room for so many more, and no others.
    pub fn reserve_exact(&mut self, more: usize) {
        self.times.reserve_exact(more);
        self.floats.reserve_exact(more);
    }

    /// The memory that they hold, bytes: of lists what these are large enough for.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let histograms = self.histograms.iter().flatten();
        let histograms = histograms.map(|histogram| size_of::<[usize; 2]>() + histogram.size());
        self.times.capacity() * size_of::<i64>()
            + self.floats.capacity() * size_of::<f64>()
            + self.starts.capacity() * size_of::<i64>()
            + self.histograms.capacity() * size_of::<Option<Arc<FloatHistogram>>>()
            + histograms.sum::<usize>()
    }

    /// Leaves those from `first_ms` to `last_ms`, both inclusive.
    pub fn cut(&mut self, first_ms: i64, last_ms: i64) {
        let from = self.times.partition_point(|time| *time < first_ms);
        let to = self.times.partition_point(|time| *time <= last_ms);
        self.truncate(to);
        let from = from.min(to);
        self.times.drain(..from);
        self.floats.drain(..from);
        if !self.histograms.is_empty() {
            self.histograms.drain(..from);
        }
        if !self.starts.is_empty() {
            self.starts.drain(..from);
        }
        self.forget_histograms_of_floats();
    }

    /// Gives back the memory that they do not need.
    pub fn shrink_to_fit(&mut self) {
        self.times.shrink_to_fit();
        self.floats.shrink_to_fit();
        self.histograms.shrink_to_fit();
        self.starts.shrink_to_fit();
        self.spare = Spare::default();
    }

    /// Leaves the first `to`.
    pub fn truncate(&mut self, to: usize) {
        self.times.truncate(to);
        self.floats.truncate(to);
        self.histograms.truncate(to);
        self.starts.truncate(to);
    }

    /// If all are floats.
    fn forget_histograms_of_floats(&mut self) {
        if self.histograms.iter().all(Option::is_none) {
            self.histograms.clear();
        }
    }

    /// Takes the stale markers out, in place.
    pub fn drop_stale(&mut self) {
        let mut kept = 0;
        for i in 0..self.len() {
            if self.is_stale(i) {
                continue;
            }
            self.times.swap(kept, i);
            self.floats.swap(kept, i);
            if !self.histograms.is_empty() {
                self.histograms.swap(kept, i);
            }
            if !self.starts.is_empty() {
                self.starts.swap(kept, i);
            }
            kept += 1;
        }
        self.truncate(kept);
        self.forget_histograms_of_floats();
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
    fn stale_markers_go_and_all_else_stays() {
        use crate::sample::STALE_NAN;
        let mut samples = Samples::default();
        let histogram = |sum| {
            Arc::new(FloatHistogram {
                sum,
                ..FloatHistogram::default()
            })
        };
        samples.push_float(1, STALE_NAN);
        samples.push_float(2, 2.0);
        samples.push_histogram(3, histogram(STALE_NAN));
        samples.push_histogram(4, histogram(4.0));
        samples.push_float(5, 5.0);
        samples.push_float(6, STALE_NAN);
        samples.starts = (11..=16).collect();
        samples.drop_stale();
        assert_eq!(samples.times, [2, 4, 5]);
        assert_eq!(samples.starts, [12, 14, 15]);
        assert_eq!((samples.floats[0], samples.floats[2]), (2.0, 5.0));
        let sums: Vec<_> = (0..3)
            .map(|i| samples.histogram(i).map(|h| h.sum))
            .collect();
        assert_eq!(sums, [None, Some(4.0), None]);
        samples.cut(3, 4);
        assert_eq!(
            (samples.len(), &samples.times[..], &samples.starts[..]),
            (1, &[4][..], &[14][..])
        );
        let mut floats = Samples::default();
        floats.push_float(1, 1.0);
        floats.push_histogram(2, histogram(STALE_NAN));
        floats.drop_stale();
        assert!(floats.histograms.is_empty(), "all are floats then");
    }

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
