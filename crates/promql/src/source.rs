//! Where series come from: the one thing the engine asks of the world.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use rutile_model::histogram::HistogramRows;
use rutile_model::{ErrorKind, Labels, Matcher, Samples, WindowTimes};

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
    /// All series that match, a part at a time, and what went wrong without being an error.
    ///
    /// # Errors
    /// Whatever keeps it from giving all that was asked for: before the first part, or in its place.
    async fn select(&self, select: &Select) -> Result<SelectedStream, SourceError>;

    /// Says which selects will come, in this order, as far as that is known: a source may begin with them. Not all of
    /// them need come, and others may come between them.
    fn announce(&self, selects: Vec<Select>) {
        drop(selects);
    }
}

/// The parts of an answer: series sorted by their labels over all parts, each label set once. Ends
/// after the first error; dropping it cancels the select.
pub type SelectedStream = BoxStream<'static, Result<Selected, SourceError>>;

/// A part of an answer to a [`Select`].
#[derive(Debug, Default)]
pub struct Selected {
    /// In order of their labels.
    pub series: Vec<Arc<dyn Series>>,
    /// For whoever reads the result: a store that did not answer, for example.
    pub warnings: Vec<String>,
}

impl Selected {
    /// The whole answer, in one part.
    #[must_use]
    pub fn into_stream(self) -> SelectedStream {
        stream::once(async { Ok(self) }).boxed()
    }
}

/// A series whose samples are decoded when they are needed, on whatever thread needs them; again if a query
/// needs them again.
pub trait Series: Send + Sync + fmt::Debug {
    /// Its labels.
    fn labels(&self) -> &Labels;

    /// What it holds of samples that are not decoded yet, about, bytes: how much work it is. 0 if that is not known.
    fn encoded_bytes(&self) -> usize {
        0
    }

    /// Replaces what is in `out` by its samples, in order of time, each time once. Samples outside of what was
    /// selected may be among them.
    ///
    /// # Errors
    /// `Corrupt` when they cannot be decoded.
    fn decode(&self, out: &mut Samples) -> Result<(), SourceError>;

    /// The same for windows of which only the first and the last sample are looked at, where counters were not reset:
    /// histograms between these may be equal to the one before them, but for their times. Hints must be right, and so must
    /// be what stands on both sides of a reset that no hint rules out.
    ///
    /// # Errors
    /// As of [`Series::decode`].
    fn decode_ends(&self, windows: &WindowTimes, out: &mut Samples) -> Result<(), SourceError> {
        let _: &WindowTimes = windows;
        self.decode(out)
    }

    /// The same as rows, without stale markers, if all samples are histograms with the same buckets that count up, apart
    /// from resets. False if not, or if that is not known: then `out` is of no use.
    ///
    /// # Errors
    /// As of [`Series::decode`].
    fn decode_rows(
        &self,
        windows: &WindowTimes,
        out: &mut HistogramRows,
    ) -> Result<bool, SourceError> {
        let (_, _): (&WindowTimes, &mut HistogramRows) = (windows, out);
        Ok(false)
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
