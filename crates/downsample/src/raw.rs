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
        let Some(kind) = buffers.read(chunk)? else {
            continue;
        };
        if present.is_some_and(|present| present != kind) {
            buffers.flush(resolution, out)?;
        }
        present = Some(kind);
        buffers.take(kind);
    }
    buffers.flush(resolution, out)
}

impl Buffers {
    pub(crate) fn clear(&mut self) {
        self.times.clear();
        self.floats.clear();
        self.histograms.clear();
    }

    /// Reads a chunk, without stale markers and what goes back in time; none if nothing is left.
    pub(crate) fn read(&mut self, chunk: Chunk<'_>) -> Result<Option<Kind>> {
        let samples = &mut self.chunk;
        samples.clear();
        if chunk.encoding == Encoding::Xor {
            decode_floats(chunk.data, &mut samples.times, &mut samples.floats)?;
        } else {
            decode_samples(chunk, samples)?;
        }
        if !is_clean(samples) {
            clean(samples);
        }
        Ok(match (samples.times.is_empty(), samples.histogram(0)) {
            (true, _) => None,
            (false, None) => Some(Kind::Floats),
            (false, Some(first)) if first.uses_custom_buckets() => Some(Kind::Custom),
            (false, Some(_)) => Some(Kind::Exponential),
        })
    }

    /// Appends what was read.
    pub(crate) fn take(&mut self, kind: Kind) {
        self.times.append(&mut self.chunk.times);
        match kind {
            Kind::Floats => self.floats.append(&mut self.chunk.floats),
            Kind::Exponential | Kind::Custom => {
                self.histograms
                    .extend(self.chunk.histograms.drain(..).flatten());
            }
        }
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

/// Whether nothing is to be left out: the common case, which is found out quickly.
fn is_clean(samples: &Samples) -> bool {
    samples.histograms.is_empty()
        && samples.times.first().is_none_or(|first| *first >= 0)
        && samples.times.is_sorted()
        // All are looked at: without an early end several are compared at a time.
        && !{ samples.floats.iter() }.fold(false, |any, value| any | is_stale_nan(*value))
}

/// Leaves out stale markers, and what is earlier than what went before, or than 1970, as the reference does.
fn clean(samples: &mut Samples) {
    samples.drop_stale();
    let mut latest = 0;
    let mut kept = 0;
    for at in 0..samples.len() {
        let Some(t) = samples.times.get(at).copied().filter(|t| *t >= latest) else {
            continue;
        };
        latest = t;
        samples.times.swap(kept, at);
        samples.floats.swap(kept, at);
        if !samples.histograms.is_empty() {
            samples.histograms.swap(kept, at);
        }
        kept += 1;
    }
    samples.truncate(kept);
}
