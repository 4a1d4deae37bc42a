//! Sources that give the same series in different ways.

use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use rutile_chunk::Chunk;
use rutile_model::histogram::HistogramRows;
use rutile_model::{ErrorKind, Labels, Matcher, WindowTimes};
use rutile_promql::{Samples, Select, Selected, SelectedStream, Series, Source, SourceError};

use crate::data::Stored;

impl Series for Stored {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn decode(&self, out: &mut Samples) -> Result<(), SourceError> {
        out.clone_from(&self.samples);
        Ok(())
    }

    fn decode_ends(&self, windows: &WindowTimes, out: &mut Samples) -> Result<(), SourceError> {
        if self.chunks.is_empty() {
            return self.decode(out);
        }
        out.clear();
        for (encoding, data) in &self.chunks {
            let encoding = *encoding;
            let decoded = rutile_chunk::decode_ends(Chunk { encoding, data }, windows, out);
            decoded.map_err(|error| SourceError {
                kind: ErrorKind::Corrupt,
                message: error.to_string(),
            })?;
        }
        Ok(())
    }

    fn decode_rows(
        &self,
        windows: &WindowTimes,
        out: &mut HistogramRows,
    ) -> Result<bool, SourceError> {
        out.clear();
        let corrupt = |error: rutile_chunk::Error| SourceError {
            kind: ErrorKind::Corrupt,
            message: error.to_string(),
        };
        let chunks = self.chunks.iter().map(|(encoding, data)| {
            Ok::<_, rutile_chunk::Error>(Chunk {
                encoding: *encoding,
                data,
            })
        });
        let are_read = rutile_chunk::decode_series_rows(chunks, windows, out).map_err(corrupt)?;
        Ok(are_read && !self.chunks.is_empty())
    }
}

/// Series in memory, sorted by their labels.
#[derive(Debug)]
pub(crate) struct InMemory {
    pub(crate) series: Vec<Arc<Stored>>,
    /// How many series a part of an answer has.
    pub(crate) part: usize,
    /// Whether samples that were not asked for are left out, and series without any.
    pub(crate) cut: bool,
}

impl InMemory {
    /// Everything in one part.
    pub(crate) fn source(series: Vec<Arc<Stored>>) -> Arc<dyn Source> {
        let (part, cut) = (series.len().max(1), false);
        Arc::new(Self { series, part, cut })
    }
}

#[async_trait]
impl Source for InMemory {
    async fn select(&self, select: &Select) -> Result<SelectedStream, SourceError> {
        let is_wanted = |stored: &&Arc<Stored>| {
            let matches = |m: &Matcher| m.matches(stored.labels.value(m.name()));
            select.matchers.iter().all(matches)
        };
        let mut series: Vec<Arc<dyn Series>> = Vec::new();
        for stored in self.series.iter().filter(is_wanted) {
            if !self.cut {
                series.push(Arc::<Stored>::clone(stored));
            } else if let Some(part) = between(stored, select.min_time, select.max_time) {
                series.push(Arc::new(part));
            }
        }
        let mut parts = Vec::new();
        while !series.is_empty() {
            let rest = series.split_off(series.len().min(self.part));
            let part = std::mem::replace(&mut series, rest);
            let warnings = Vec::new();
            parts.push(Ok(Selected {
                series: part,
                warnings,
            }));
        }
        Ok(stream::iter(parts).boxed())
    }
}

/// The series with the samples of a time alone, if there are any.
fn between(stored: &Stored, min_ms: i64, max_ms: i64) -> Option<Stored> {
    let all = &stored.samples;
    let from = all.times.partition_point(|time| *time < min_ms);
    let to = all.times.partition_point(|time| *time <= max_ms);
    let mut samples = Samples::default();
    samples.times.extend(all.times.get(from..to)?);
    samples.floats.extend(all.floats.get(from..to)?);
    let histograms = all.histograms.get(from..to).unwrap_or_default();
    samples.histograms.extend_from_slice(histograms);
    let labels = stored.labels.clone();
    let chunks = Vec::new();
    (!samples.is_empty()).then_some(Stored {
        labels,
        samples,
        chunks,
    })
}
