//! Downsampling: what is left of a series at a resolution of five minutes or an hour.
//!
//! [`Downsampler::series`] takes the chunks of one series, raw or downsampled already, and gives aggregate chunks: count, sum,
//! minimum, maximum and counter of each window, of native histograms count, sum and counter. The bytes are those of Thanos
//! (`pkg/compact/downsample`) wherever that loses nothing; `docs/differences.md` says where it does, and docs/formats/chunks.md what
//! the chunks hold.
//!
//! Pure: no I/O, no clock. Chunk bytes are not trusted: damage is an error.

mod aggregated;
mod floats;
mod histograms;
mod raw;
mod resets;
mod windows;

use rutile_chunk::Chunk;
use rutile_model::histogram::HistogramError;

/// The resolution of what was downsampled once, ms.
pub const FIVE_MINUTES_MS: i64 = 300_000;
/// The resolution of what was downsampled twice, ms.
pub const ONE_HOUR_MS: i64 = 3_600_000;

/// What cannot be downsampled.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A chunk that cannot be read, or written.
    #[error(transparent)]
    Chunk(#[from] rutile_chunk::Error),
    /// Histograms that cannot be added up.
    #[error("histograms cannot be added up: {0}")]
    Histogram(#[from] HistogramError),
}

/// What this crate returns.
pub type Result<T> = std::result::Result<T, Error>;

/// A chunk of a series: its first and last time, ms, both inclusive, and its samples.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'a> {
    /// Time of the first sample; of an aggregate chunk the end of its first window.
    pub min_time: i64,
    /// Time of the last sample; of an aggregate chunk the end of its last window.
    pub max_time: i64,
    /// The samples.
    pub chunk: Chunk<'a>,
}

/// An aggregate chunk: the ends of its first and last window, ms, and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aggregated {
    /// End of the first window. The counter's first sample may lie before it.
    pub min_time: i64,
    /// End of the last window.
    pub max_time: i64,
    /// Of encoding [`rutile_chunk::Encoding::Aggregate`].
    pub data: Vec<u8>,
}

/// Downsamples series from one resolution to a lower one. Keeps its buffers from one series to the next.
#[derive(Debug)]
pub struct Downsampler {
    /// ms between samples: of raw data 0.
    from_ms: i64,
    to_ms: i64,
    buffers: raw::Buffers,
}

impl Downsampler {
    /// From `from_ms` (0 for raw samples) to `to_ms`, a higher one.
    #[must_use]
    pub fn new(from_ms: i64, to_ms: i64) -> Self {
        Self {
            from_ms,
            to_ms,
            buffers: raw::Buffers::default(),
        }
    }

    /// The aggregate chunks of one series, whose chunks come in order of time, without overlap. A series whose samples are
    /// all stale markers or NaN has none.
    ///
    /// # Errors
    /// A chunk that cannot be read, histograms that cannot be added up.
    pub fn series(&mut self, chunks: &[Piece<'_>]) -> Result<Vec<Aggregated>> {
        let mut out = Vec::new();
        if self.from_ms == 0 {
            let raw = chunks.iter().map(|piece| piece.chunk);
            raw::downsample(raw, self.to_ms, &mut self.buffers, &mut out)?;
        } else {
            let step = aggregated::Step {
                from_ms: self.from_ms,
                to_ms: self.to_ms,
            };
            step.downsample(chunks, &mut self.buffers, &mut out)?;
        }
        Ok(out)
    }
}
