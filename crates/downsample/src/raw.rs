//! From raw samples to the first aggregates.

use std::sync::Arc;

use rutile_chunk::{Chunk, Encoding, decode_floats, decode_samples};
use rutile_model::sample::is_stale_nan;
use rutile_model::{FloatHistogram, Samples};

use crate::{Aggregated, Result, floats, histograms};

/// Samples of one kind, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    pub(crate) times: Vec<i64>,
    pub(crate) floats: Vec<f64>,
    pub(crate) histograms: Vec<Arc<FloatHistogram>>,
    /// One chunk as it is.
    chunk: Samples,
}

/// Samples that can be added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Floats,
    Exponential,
    Custom,
}

/// Downsamples the chunks of a series. Each stretch of samples of one kind becomes chunks of its own.
pub(crate) fn downsample<'c>(
    chunks: impl Iterator<Item = Chunk<'c>>,
    resolution: i64,
    buffers: &mut Buffers,
    out: &mut Vec<Aggregated>,
) -> Result<()> {
    buffers.clear();
    let mut present = None;
    for chunk in chunks {
        let Some(kind) = buffers.open(chunk)? else {
            continue;
        };
        if present.is_some_and(|present| present != kind) {
            buffers.flush(resolution, out)?;
        }
        present = Some(kind);
        buffers.read(chunk)?;
    }
    buffers.flush(resolution, out)
}

impl Buffers {
    pub(crate) fn clear(&mut self) {
        self.times.clear();
        self.floats.clear();
        // The next chunks are decoded into the memory of these.
        self.chunk
            .histograms
            .extend(self.histograms.drain(..).map(Some));
        self.chunk.clear();
    }

    /// What a chunk holds; none if it holds nothing. All but floats are decoded for that.
    pub(crate) fn open(&mut self, chunk: Chunk<'_>) -> Result<Option<Kind>> {
        if chunk.encoding == Encoding::Xor {
            return Ok(Some(Kind::Floats));
        }
        let samples = &mut self.chunk;
        samples.clear();
        decode_samples(chunk, samples)?;
        Ok(match (samples.times.is_empty(), samples.histogram(0)) {
            (true, _) => None,
            (false, None) => Some(Kind::Floats),
            (false, Some(first)) if first.uses_custom_buckets() => Some(Kind::Custom),
            (false, Some(_)) => Some(Kind::Exponential),
        })
    }

    /// Appends the samples of the chunk that was opened, without those that do not count.
    pub(crate) fn read(&mut self, chunk: Chunk<'_>) -> Result<()> {
        let from = self.times.len();
        if chunk.encoding == Encoding::Xor {
            decode_floats(chunk.data, &mut self.times, &mut self.floats)?;
        } else {
            self.times.append(&mut self.chunk.times);
            let histograms = self.chunk.histograms.drain(..).flatten();
            self.histograms.extend(histograms);
            if self.histograms.is_empty() {
                self.floats.append(&mut self.chunk.floats);
            }
        }
        if !self.all_count(from) {
            self.drop_others(from);
        }
        Ok(())
    }

    /// Whether all samples from a place on count, as most do, which is found out quickly.
    fn all_count(&self, from: usize) -> bool {
        let times = self.times.get(from..).unwrap_or_default();
        let floats = self.floats.get(from..).unwrap_or_default();
        self.histograms.is_empty()
            && times.first().is_none_or(|first| *first >= 0)
            && times.is_sorted()
            // All are looked at: without an early end several are compared at a time.
            && !{ floats.iter() }.fold(false, |any, value| any | is_stale_nan(*value))
    }

    /// Drops stale markers from a place on, and what is earlier than what went before it there, or than 1970, as the
    /// reference does.
    fn drop_others(&mut self, from: usize) {
        let (mut kept, mut latest) = (from, 0);
        for at in from..self.times.len() {
            let sum = self.histograms.get(at).map(|histogram| histogram.sum);
            let value = sum.or(self.floats.get(at).copied()).unwrap_or_default();
            let Some(t) = { self.times.get(at).copied() }.filter(|t| *t >= latest) else {
                continue;
            };
            if is_stale_nan(value) {
                continue;
            }
            latest = t;
            self.times.swap(kept, at);
            match self.histograms.is_empty() {
                true => self.floats.swap(kept, at),
                false => self.histograms.swap(kept, at),
            }
            kept += 1;
        }
        self.times.truncate(kept);
        self.floats.truncate(kept);
        self.histograms.truncate(kept);
    }

    fn flush(&mut self, resolution: i64, out: &mut Vec<Aggregated>) -> Result<()> {
        if self.histograms.is_empty() {
            floats::raw(&self.times, &self.floats, resolution, out)?;
        } else {
            histograms::raw(&self.times, &self.histograms, resolution, out)?;
        }
        self.clear();
        Ok(())
    }
}
