//! What a Series call asks for, checked and in our own terms.

use rutile_proto::thanos::{Aggr, SeriesRequest, ShardInfo};

/// What one call wants of every block.
#[derive(Debug)]
pub(crate) struct SeriesSpec {
    /// First and last millisecond, inclusive.
    pub(crate) min_time: i64,
    pub(crate) max_time: i64,
    pub(crate) skip_chunks: bool,
    /// Which aggregates of downsampled chunks, in the order of their numbers.
    pub(crate) aggregates: Vec<Aggr>,
    /// Labels that go out in no series.
    pub(crate) drop_labels: Vec<String>,
    pub(crate) shard: Option<ShardInfo>,
    /// Series to decode at a time.
    pub(crate) batch_series: usize,
    /// Bytes of chunks to hold for a block at a time.
    pub(crate) batch_bytes: u64,
}

impl SeriesSpec {
    /// Takes over what `request` says; the batches are for `blocks` blocks.
    pub(crate) fn new(request: &SeriesRequest, batch_series: usize) -> Self {
        let mut aggregates: Vec<Aggr> = request
            .aggregates
            .iter()
            .filter_map(|n| Aggr::try_from(*n).ok())
            .collect();
        aggregates.sort_unstable();
        aggregates.dedup();
        let limit = usize::try_from(request.limit)
            .ok()
            .filter(|limit| *limit > 0);
        Self {
            min_time: request.min_time,
            max_time: request.max_time,
            skip_chunks: request.skip_chunks,
            aggregates,
            drop_labels: request.without_replica_labels.clone(),
            shard: request
                .shard_info
                .clone()
                .filter(|shard| shard.total_shards > 0),
            batch_series: batch_series.min(limit.unwrap_or(usize::MAX)).max(1),
            batch_bytes: MAX_BATCH_BYTES,
        }
    }

    /// Divides the memory of a request among its blocks.
    pub(crate) fn for_blocks(mut self, blocks: usize) -> Self {
        let share = REQUEST_BYTES / (blocks.max(1) as u64);
        self.batch_bytes = share.clamp(MIN_BATCH_BYTES, MAX_BATCH_BYTES);
        self
    }
}

/// Memory that a request should get along with, bytes of chunks.
const REQUEST_BYTES: u64 = 16 * 1024 * 1024;
const MIN_BATCH_BYTES: u64 = 16 * 1024;
const MAX_BATCH_BYTES: u64 = 1024 * 1024;
