//! What output and inputs are compared by: a digest of every series, in order.
//!
//! Not cryptographic: it finds what bugs, disks and networks do. The digest of a series covers the
//! strings of its labels, and of each chunk times, encoding, length and the checksum of its bytes.

use rutile_block::Stats;

use crate::batch::Chunk;
use crate::symbols::Symbol;

/// Series that share one digest.
const GROUP: u64 = 1024;
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Folds `value` into `state`, in order.
#[inline]
pub(crate) fn fold(state: u64, value: u64) -> u64 {
    let mixed = (state.rotate_left(23) ^ value).wrapping_mul(MULTIPLIER);
    mixed ^ (mixed >> 32)
}

/// Folds a label into the digest of a series' labels.
#[inline]
pub(crate) fn label(state: u64, name: Symbol, value: Symbol) -> u64 {
    fold(state, (u64::from(name.hash) << 32) | u64::from(value.hash))
}

/// One posting, to be summed up: the order of the lists is not that of the series.
#[inline]
pub(crate) fn posting(name_hash: u32, value_hash: u32, series: u32) -> u64 {
    let label = (u64::from(name_hash) << 32) | u64::from(value_hash);
    fold(fold(0, label), u64::from(series))
}

/// Folds a chunk into the digest of its series.
#[inline]
pub(crate) fn chunk(state: u64, chunk: &Chunk) -> u64 {
    let times = chunk.min_time.cast_unsigned() ^ chunk.max_time.cast_unsigned().rotate_left(32);
    let content = (u64::from(chunk.crc) << 32) | u64::from(chunk.len);
    fold(
        fold(state, times),
        content ^ (u64::from(chunk.encoding.as_byte()) << 24),
    )
}

/// What a block holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Of every [`GROUP`] series one digest.
    groups: Vec<u64>,
    open: u64,
    pub(crate) series: u64,
    pub(crate) chunks: u64,
    pub(crate) samples: u64,
    pub(crate) float_samples: u64,
    pub(crate) histogram_samples: u64,
}

impl Tally {
    /// Adds the next series.
    pub(crate) fn add_series(&mut self, digest: u64) {
        self.open = fold(self.open, digest);
        self.series += 1;
        if self.series.is_multiple_of(GROUP) {
            self.groups.push(std::mem::take(&mut self.open));
        }
    }

    /// What `meta.json` says of it.
    pub(crate) fn stats(&self) -> Stats {
        Stats {
            num_samples: self.samples,
            num_float_samples: self.float_samples,
            num_histogram_samples: self.histogram_samples,
            num_series: self.series,
            num_chunks: self.chunks,
            num_tombstones: 0,
        }
    }

    /// Counts a chunk.
    #[inline]
    pub(crate) fn count(&mut self, chunk: &Chunk) {
        use rutile_chunk::Encoding;
        let samples = u64::from(chunk.samples);
        self.chunks += 1;
        self.samples += samples;
        match chunk.encoding {
            Encoding::Xor | Encoding::Xor2 => self.float_samples += samples,
            Encoding::Histogram
            | Encoding::FloatHistogram
            | Encoding::HistogramSt
            | Encoding::FloatHistogramSt => self.histogram_samples += samples,
            Encoding::Aggregate => {}
        }
    }

    /// The first series of the first group that differs.
    pub(crate) fn difference(&self, other: &Self) -> Option<u64> {
        if self == other {
            return None;
        }
        let mut first = 0;
        for (ours, theirs) in self.groups.iter().zip(&other.groups) {
            if ours != theirs {
                return Some(first);
            }
            first += GROUP;
        }
        Some(first)
    }
}
