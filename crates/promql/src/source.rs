//! Where series come from: the one thing the engine asks of the world.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use rutile_model::sample::is_stale_nan;
use rutile_model::{ErrorKind, FloatHistogram, Labels, Matcher};

/// What a selector wants. The times are bounds of samples, in milliseconds, both inclusive.
#[derive(Debug, Clone, PartialEq)]
pub struct Select {
    /// All of them must match.
    pub matchers: Vec<Matcher>,
    /// The first time of which a sample may count.
    pub min_time: i64,
    /// The last one.
    pub max_time: i64,
    /// Between two evaluations; 0 if there is one only.
    pub step_ms: i64,
    /// The length of a range selector; 0 of an instant one.
    pub range_ms: i64,
    /// The function or aggregation right around it: a source may answer from aggregates that suit it.
    pub function: Option<&'static str>,
}

/// Gives series. Cheap to clone behind its `Arc`.
#[async_trait]
pub trait Source: Send + Sync + fmt::Debug {
    /// All series that match, sorted by their labels, each label set once, and what went wrong
    /// without being an error.
    ///
    /// # Errors
    /// Whatever keeps it from giving all that was asked for.
    async fn select(&self, select: &Select) -> Result<Selected, SourceError>;
}

/// An answer to a [`Select`].
#[derive(Debug, Default)]
pub struct Selected {
    /// In order of their labels.
    pub series: Vec<Arc<dyn Series>>,
    /// For whoever reads the result: a store that did not answer, for example.
    pub warnings: Vec<String>,
}

/// A series whose samples are decoded when they are needed, once, on whatever thread needs them.
pub trait Series: Send + Sync + fmt::Debug {
    /// Its labels.
    fn labels(&self) -> &Labels;

    /// Replaces what is in `out` by its samples, in order of time, each time once. Samples outside of what was
    /// selected may be among them.
    ///
    /// # Errors
    /// `Corrupt` when they cannot be decoded.
    fn decode(&self, out: &mut Samples) -> Result<(), SourceError>;
}

/// Samples of one series, as columns.
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
        self.histograms.clear();
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
        self.histograms.resize(self.times.len(), None);
        self.times.push(time_ms);
        self.floats.push(0.0);
        self.histograms.push(Some(histogram));
    }

    /// The histogram at a place, if it is one.
    #[must_use]
    pub fn histogram(&self, i: usize) -> Option<&Arc<FloatHistogram>> {
        self.histograms.get(i)?.as_ref()
    }

    /// These and others, without start timestamps; none if both have a sample at the same time.
    pub(crate) fn merged(&self, others: &Self) -> Option<Self> {
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

/// Why a source did not answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    /// What can be done about it.
    pub kind: ErrorKind,
    /// What happened, and where.
    pub message: String,
}
