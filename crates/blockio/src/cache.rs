//! The index cache port. Implementations are in `rutile_cache`.

use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;
use rutile_block::BlockId;

/// Caches parts of the indexes of blocks. Blocks are immutable, so nothing in it is ever stale.
///
/// A cache may forget at any time, and it answers "absent" for whatever keeps it from answering:
/// a cache that is down makes queries slower, never wrong.
#[async_trait]
pub trait IndexCache: Debug + Send + Sync + 'static {
    /// The postings lists of `keys` (label name and value), in their order, as they were stored.
    async fn postings(&self, block: BlockId, keys: &[(&str, &str)]) -> Vec<Option<Bytes>>;

    /// Keeps a postings list.
    fn store_postings(&self, block: BlockId, key: (&str, &str), list: Bytes);

    /// The series that a set of matchers selected, as they were stored. `matchers` is the text of
    /// the sorted matchers, joined with `;`.
    async fn expanded_postings(&self, block: BlockId, matchers: &str) -> Option<Bytes>;

    /// Keeps what a set of matchers selected.
    fn store_expanded_postings(&self, block: BlockId, matchers: &str, list: Bytes);

    /// The entries of the series `refs` (as in postings lists), in their order.
    async fn series(&self, block: BlockId, refs: &[u32]) -> Vec<Option<Bytes>>;

    /// Keeps the entry of a series.
    fn store_series(&self, block: BlockId, series_ref: u32, entry: Bytes);
}

/// Caches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCache;

#[async_trait]
impl IndexCache for NoCache {
    async fn postings(&self, _: BlockId, keys: &[(&str, &str)]) -> Vec<Option<Bytes>> {
        vec![None; keys.len()]
    }

    fn store_postings(&self, _: BlockId, _: (&str, &str), _: Bytes) {}

    async fn expanded_postings(&self, _: BlockId, _: &str) -> Option<Bytes> {
        None
    }

    fn store_expanded_postings(&self, _: BlockId, _: &str, _: Bytes) {}

    async fn series(&self, _: BlockId, refs: &[u32]) -> Vec<Option<Bytes>> {
        vec![None; refs.len()]
    }

    fn store_series(&self, _: BlockId, _: u32, _: Bytes) {}
}
