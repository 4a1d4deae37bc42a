//! How far a merge has come.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters of a merge under way: read by metrics and a terminal line while it runs.
#[derive(Debug, Default)]
pub struct Progress {
    total_bytes: AtomicU64,
    read_bytes: AtomicU64,
    written_bytes: AtomicU64,
    verified_bytes: AtomicU64,
    total_series: AtomicU64,
    series: AtomicU64,
    chunks: AtomicU64,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProgressSnapshot {
    /// Bytes of all inputs that are to be read; 0 until they are known.
    pub total_bytes: u64,
    /// Bytes read of the inputs.
    pub read_bytes: u64,
    /// Bytes written to the output.
    pub written_bytes: u64,
    /// Bytes of the output read back.
    pub verified_bytes: u64,
    /// Series of all inputs by their metadata, each counted in every block that has it.
    pub total_series: u64,
    /// Series of the inputs that are merged, counted likewise.
    pub series: u64,
    /// Chunks written.
    pub chunks: u64,
}

impl Progress {
    /// The counters now.
    #[must_use]
    pub fn snapshot(&self) -> ProgressSnapshot {
        ProgressSnapshot {
            total_bytes: self.total_bytes.load(Relaxed),
            read_bytes: self.read_bytes.load(Relaxed),
            written_bytes: self.written_bytes.load(Relaxed),
            verified_bytes: self.verified_bytes.load(Relaxed),
            total_series: self.total_series.load(Relaxed),
            series: self.series.load(Relaxed),
            chunks: self.chunks.load(Relaxed),
        }
    }

    pub(crate) fn expect(&self, bytes: u64, series: u64) {
        self.total_bytes.fetch_add(bytes, Relaxed);
        self.total_series.fetch_add(series, Relaxed);
    }

    pub(crate) fn read(&self, bytes: u64) {
        self.read_bytes.fetch_add(bytes, Relaxed);
    }

    pub(crate) fn wrote(&self, bytes: u64) {
        self.written_bytes.fetch_add(bytes, Relaxed);
    }

    pub(crate) fn verified(&self, bytes: u64) {
        self.verified_bytes.fetch_add(bytes, Relaxed);
    }

    pub(crate) fn merged(&self, series: u64, chunks: u64) {
        self.series.fetch_add(series, Relaxed);
        self.chunks.fetch_add(chunks, Relaxed);
    }
}

impl ProgressSnapshot {
    /// The part of the work that is done, 0 to 1: reading the inputs, and reading back an output of
    /// about their size. `None` until the sizes are known.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
    pub fn fraction(&self) -> Option<f64> {
        (self.total_bytes > 0).then(|| {
            let unread = self.total_bytes.saturating_sub(self.read_bytes);
            let to_verify = unread + self.written_bytes;
            let all = self.total_bytes + to_verify;
            ((self.read_bytes + self.verified_bytes) as f64 / all as f64).min(1.0)
        })
    }
}
