//! Series as a fan-out holds them: what the generated messages say, in fewer and smaller pieces.
//!
//! Their labels are one text, payloads stay slices of the message that they came in, and aggregates
//! that a chunk does not have take no room. [`SeriesDecoder`] makes them straight of an answer's bytes.

mod decoder;
mod fields;

use rutile_model::Labels;
use smallvec::SmallVec;

pub use self::decoder::SeriesDecoder;
use crate::thanos::{self, Aggr, Chunk};

/// A series of an answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    /// All labels, external ones included.
    pub labels: Labels,
    /// In the order in which they came.
    pub chunks: Vec<AggrChunk>,
}

/// A time range of a series: its raw samples, or aggregates of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AggrChunk {
    /// Time of the first sample, milliseconds.
    pub min_time: i64,
    /// Time of the last sample, milliseconds.
    pub max_time: i64,
    /// In the order of [`Aggr`], each at most once. Nearly always there is one.
    parts: SmallVec<[(Aggr, Chunk); 1]>,
}

impl Series {
    /// About the memory that it takes, bytes, the payloads of its chunks included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let payloads: usize = self.chunks.iter().map(AggrChunk::payload_bytes).sum();
        size_of::<Self>()
            + self.labels.bytes()
            + self.chunks.capacity() * size_of::<AggrChunk>()
            + payloads
    }
}

impl AggrChunk {
    /// Raw samples, or those of an aggregate.
    #[must_use]
    pub fn part(&self, aggr: Aggr) -> Option<&Chunk> {
        let mut parts = self.parts.iter();
        parts.find(|(of, _)| *of == aggr).map(|(_, part)| part)
    }

    /// All that it has, in the order of [`Aggr`].
    #[must_use]
    pub fn parts(&self) -> &[(Aggr, Chunk)] {
        &self.parts
    }

    /// Adds a part. `None` unless it comes after those that are there.
    fn push(&mut self, aggr: Aggr, part: Chunk) -> Option<()> {
        let last = self.parts.last();
        if last.is_some_and(|(last, _)| *last >= aggr) {
            return None;
        }
        self.parts.push((aggr, part));
        Some(())
    }

    fn payload_bytes(&self) -> usize {
        self.parts.iter().map(|(_, part)| part.data.len()).sum()
    }
}

impl From<thanos::Series> for Series {
    fn from(series: thanos::Series) -> Self {
        let labels = series.labels.into_iter();
        Self {
            labels: labels.map(|label| (label.name, label.value)).collect(),
            chunks: series.chunks.into_iter().map(AggrChunk::from).collect(),
        }
    }
}

impl From<thanos::AggrChunk> for AggrChunk {
    fn from(chunk: thanos::AggrChunk) -> Self {
        let parts = [
            (Aggr::Raw, chunk.raw),
            (Aggr::Count, chunk.count),
            (Aggr::Sum, chunk.sum),
            (Aggr::Min, chunk.min),
            (Aggr::Max, chunk.max),
            (Aggr::Counter, chunk.counter),
        ];
        let parts = parts.into_iter();
        Self {
            min_time: chunk.min_time,
            max_time: chunk.max_time,
            parts: parts
                .filter_map(|(aggr, part)| Some((aggr, part?)))
                .collect(),
        }
    }
}
