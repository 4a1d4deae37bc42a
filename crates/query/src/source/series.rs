//! A series of a store, decoded when it is needed.

use std::sync::Arc;

use rutile_dedup::{Function, pseudo_replicas};
use rutile_model::histogram::HistogramRows;
use rutile_model::{ErrorKind, Labels, Samples, WindowTimes};
use rutile_promql::{Series, SourceError};
use rutile_runtime::Reservation;
use rutile_storeapi::{self as storeapi, AggrChunk};

use super::decode::{self, DecodeError};
use super::take::Take;

/// What all series of a select have in common.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) take: Take,
    /// How replicas become one series; none: chunks are taken one after the other.
    pub(crate) dedup: Option<Function>,
    /// Whether values that go down are resets, as far as deduplication is concerned.
    pub(crate) counter: bool,
    /// What was asked for, ms, inclusive: replicas are cut to it before they are compared.
    pub(crate) min_time: i64,
    pub(crate) max_time: i64,
}

/// Chunks of one series, in the order of the proxy.
#[derive(Debug)]
pub(crate) struct ChunkSeries {
    labels: Labels,
    chunks: Vec<AggrChunk>,
    reading: Arc<Reading>,
    /// Gives the memory of the chunks back.
    memory: Reservation,
}

impl ChunkSeries {
    pub(crate) fn new(
        series: storeapi::Series,
        reading: Arc<Reading>,
        memory: Reservation,
    ) -> Self {
        Self {
            labels: series.labels,
            chunks: series.chunks,
            reading,
            memory,
        }
    }

    fn decode_into(
        &self,
        windows: Option<&WindowTimes>,
        out: &mut Samples,
    ) -> Result<(), DecodeError> {
        let Some((function, replica_of)) = self.replicas() else {
            return decode::append_ends(self.chunks.iter(), self.reading.take, windows, out);
        };
        let count = replica_of.iter().max().map_or(0, |last| last + 1);
        let mut replicas = Vec::with_capacity(count);
        for replica in 0..count {
            let chunks = self.chunks.iter().zip(&replica_of);
            let chunks = chunks
                .filter(|(_, of)| **of == replica)
                .map(|(chunk, _)| chunk);
            let mut samples = Samples::default();
            decode::append(chunks, self.reading.take, &mut samples)?;
            self.cut(&mut samples);
            replicas.push(samples);
        }
        *out = rutile_dedup::dedup(function, replicas, self.reading.counter);
        Ok(())
    }

    /// Of which replica each chunk is, and how to make one of them; none if there is one only.
    fn replicas(&self) -> Option<(Function, Vec<usize>)> {
        let function = self.reading.dedup?;
        let chunks = self.chunks.iter();
        let replica_of = pseudo_replicas(chunks.map(|chunk| (chunk.min_time, chunk.max_time)));
        let are_many = replica_of.iter().any(|replica| *replica > 0);
        are_many.then_some((function, replica_of))
    }

    /// Leaves what was asked for.
    fn cut(&self, samples: &mut Samples) {
        let from = samples
            .times
            .partition_point(|time| *time < self.reading.min_time);
        let to = samples
            .times
            .partition_point(|time| *time <= self.reading.max_time);
        samples.times.truncate(to);
        samples.floats.truncate(to);
        samples.histograms.truncate(to);
        samples.times.drain(..from);
        samples.floats.drain(..from);
        samples
            .histograms
            .drain(..from.min(samples.histograms.len()));
    }
    fn decode_for(
        &self,
        windows: Option<&WindowTimes>,
        out: &mut Samples,
    ) -> Result<(), SourceError> {
        out.clear();
        self.decode_into(windows, out)
            .map_err(|error| self.undecodable(&error))
    }

    fn undecodable(&self, error: &DecodeError) -> SourceError {
        SourceError {
            kind: ErrorKind::Corrupt,
            message: format!("cannot decode series {}: {error}", self.labels),
        }
    }
}

impl Series for ChunkSeries {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn encoded_bytes(&self) -> usize {
        usize::try_from(self.memory.bytes()).unwrap_or(usize::MAX)
    }

    fn decode(&self, out: &mut Samples) -> Result<(), SourceError> {
        self.decode_for(None, out)
    }

    fn decode_ends(&self, windows: &WindowTimes, out: &mut Samples) -> Result<(), SourceError> {
        self.decode_for(Some(windows), out)
    }

    fn decode_rows(
        &self,
        windows: &WindowTimes,
        out: &mut HistogramRows,
    ) -> Result<bool, SourceError> {
        out.clear();
        if self.replicas().is_some() {
            return Ok(false);
        }
        decode::append_rows(&self.chunks, self.reading.take, windows, out)
            .map_err(|error| self.undecodable(&error))
    }
}
