//! What a request touched and fetched, for metrics and for `QueryStats`.

use std::sync::atomic::{AtomicU64, Ordering};

/// One kind of data: postings, series or chunks.
#[derive(Debug, Default)]
pub struct DataStats {
    touched: AtomicU64,
    touched_bytes: AtomicU64,
    fetched: AtomicU64,
    fetched_bytes: AtomicU64,
    fetches: AtomicU64,
}

impl DataStats {
    /// `count` items of `bytes` bytes together were used.
    pub fn touch(&self, count: usize, bytes: usize) {
        self.touched.fetch_add(count as u64, Ordering::Relaxed);
        self.touched_bytes
            .fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// `count` items came from the bucket, in `fetches` reads of `bytes` bytes together.
    pub fn fetch(&self, count: usize, bytes: usize, fetches: usize) {
        self.fetched.fetch_add(count as u64, Ordering::Relaxed);
        self.fetched_bytes
            .fetch_add(bytes as u64, Ordering::Relaxed);
        self.fetches.fetch_add(fetches as u64, Ordering::Relaxed);
    }

    /// The figures so far.
    #[must_use]
    pub fn figures(&self) -> DataFigures {
        DataFigures {
            touched: self.touched.load(Ordering::Relaxed),
            touched_bytes: self.touched_bytes.load(Ordering::Relaxed),
            fetched: self.fetched.load(Ordering::Relaxed),
            fetched_bytes: self.fetched_bytes.load(Ordering::Relaxed),
            fetches: self.fetches.load(Ordering::Relaxed),
        }
    }
}

/// [`DataStats`] at one moment.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct DataFigures {
    /// Items used.
    pub touched: u64,
    /// Bytes of the items used.
    pub touched_bytes: u64,
    /// Items read from the bucket.
    pub fetched: u64,
    /// Bytes read from the bucket.
    pub fetched_bytes: u64,
    /// Reads from the bucket.
    pub fetches: u64,
}

/// What one request did, over all its blocks.
#[derive(Debug, Default)]
pub struct Stats {
    /// Lists of series references.
    pub postings: DataStats,
    /// Series entries of the index.
    pub series: DataStats,
    /// Chunks.
    pub chunks: DataStats,
    /// Reads of series entries that were estimated too short.
    pub series_refetches: AtomicU64,
    /// Reads of chunks that were estimated too short.
    pub chunk_refetches: AtomicU64,
    /// Blocks in which no series matched.
    pub empty_postings: AtomicU64,
    /// Matchers that were applied to series instead of fetching their postings.
    pub lazy_matchers: AtomicU64,
}
