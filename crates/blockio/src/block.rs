//! One block in a bucket, opened for reading.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures::TryStreamExt;
use rutile_block::{BlockId, Meta};
use rutile_disk::Disk;
use rutile_objstore::{BucketReader, Depth};
use rutile_runtime::CpuPool;

use crate::estimate::Estimate;
use crate::header::{HeaderBudget, HeaderSlot};
use crate::{Error, IndexCache, Result};

/// Told about the work behind the headers; for metrics.
pub trait Observer: std::fmt::Debug + Send + Sync + 'static {
    /// A header was built from the bucket.
    fn header_downloaded(&self, _took: Duration) {}
    /// A header was opened.
    fn header_loaded(&self, _took: Duration) {}
}

impl Observer for () {}

/// What the readers of all blocks share.
#[derive(Debug)]
pub struct BlockEnv {
    /// Where the blocks are.
    pub bucket: Arc<dyn BucketReader>,
    /// Where index-headers are kept, as `<ULID>/index-header`; without it they stay in memory.
    pub disk: Option<Arc<dyn Disk>>,
    /// The index cache.
    pub cache: Arc<dyn IndexCache>,
    /// Runs what would hold up the tasks of others.
    pub cpu: CpuPool,
    /// How much heap the open headers may take.
    pub header_budget: Arc<HeaderBudget>,
    /// Every how manieth label value of a header is kept resident.
    pub sampling: usize,
    /// The most that is read for a series entry of unknown length, bytes.
    pub max_series_bytes: u64,
    /// The most that is read for a chunk of unknown length, bytes.
    pub max_chunk_bytes: u64,
    /// For metrics.
    pub observer: Arc<dyn Observer>,
}

/// Reads one block: header, postings, series entries, chunks.
#[derive(Debug)]
pub struct BlockReader {
    pub(crate) env: Arc<BlockEnv>,
    pub(crate) id: BlockId,
    pub(crate) cache: Arc<dyn IndexCache>,
    /// Its name in the cache.
    pub(crate) cache_id: BlockId,
    pub(crate) header: HeaderSlot,
    /// Length of the index as the metadata have it.
    pub(crate) index_len: Option<u64>,
    pub(crate) gap: u64,
    pub(crate) series_estimate: Estimate,
    pub(crate) chunk_estimate: Estimate,
    /// File names of the segments in order; empty: to be listed.
    segments: Vec<Box<str>>,
    /// The keys that were listed last.
    listed: ArcSwap<Vec<String>>,
}

impl BlockReader {
    /// A reader of the block `id` with the metadata `meta`. Nothing is read yet.
    #[must_use]
    pub fn new(env: Arc<BlockEnv>, id: BlockId, meta: &Meta) -> Self {
        let gap = env.bucket.read_gap();
        let stats = &meta.thanos.index_stats;
        Self {
            id,
            cache_id: id,
            cache: Arc::clone(&env.cache),
            header: HeaderSlot::new(),
            index_len: stated_index_len(meta),
            gap,
            series_estimate: Estimate::new(stats.series_max_size, env.max_series_bytes, gap),
            chunk_estimate: Estimate::new(stats.chunk_max_size, env.max_chunk_bytes, gap),
            segments: meta
                .thanos
                .segment_files
                .iter()
                .map(|name| name.as_str().into())
                .collect(),
            listed: ArcSwap::default(),
            env,
        }
    }

    /// The same with a name of its own in the cache: what that has of a block whose place this one
    /// took, under its name, must not be taken for this one's. `generation` tells the two apart.
    #[must_use]
    pub fn of_generation(mut self, generation: u64) -> Self {
        let mut bytes = *self.id.as_bytes();
        for (byte, other) in bytes.iter_mut().rev().zip(generation.to_be_bytes()) {
            *byte ^= other;
        }
        self.cache_id = BlockId::from_bytes(bytes);
        self
    }

    /// The block's name.
    #[must_use]
    pub fn id(&self) -> BlockId {
        self.id
    }

    /// What a read costs, in bytes: see [`BucketReader::read_gap`].
    #[must_use]
    pub fn read_gap(&self) -> u64 {
        self.gap
    }

    pub(crate) fn index_key(&self) -> String {
        rutile_block::index_key(self.id)
    }

    pub(crate) async fn index_ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.bucket_ranges(&self.index_key(), ranges).await
    }

    pub(crate) async fn bucket_ranges(
        &self,
        key: &str,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>> {
        let read = match ranges {
            [] => return Ok(Vec::new()),
            [range] => self
                .env
                .bucket
                .get_range(key, range.clone())
                .await
                .map(|part| vec![part]),
            ranges => self.env.bucket.get_ranges(key, ranges).await,
        };
        read.map_err(|source| self.bucket_error(source))
    }

    pub(crate) async fn bucket_size(&self, key: &str) -> Result<u64> {
        let attributes = self.env.bucket.attributes(key).await;
        attributes
            .map(|attributes| attributes.size)
            .map_err(|source| self.bucket_error(source))
    }

    /// The key of a segment file; `segment` counts from 0. The order is that of the metadata, or
    /// for blocks that do not say, that of the names.
    ///
    /// # Errors
    /// `Corrupt` for a segment that the block does not have.
    pub async fn segment_key(&self, segment: u32) -> Result<String> {
        let known = self.segments.get(segment as usize);
        if let Some(name) = known {
            return Ok(format!("{}/chunks/{name}", self.id));
        }
        if !self.segments.is_empty() {
            return Err(self.no_segment(segment, self.segments.len()));
        }
        if let Some(key) = self.listed.load().get(segment as usize) {
            return Ok(key.clone());
        }
        // A listing that lacks it may lag behind the bucket: it does not count for ever.
        let listed = self.list_segments().await?;
        let count = listed.len();
        let key = listed.get(segment as usize).cloned();
        self.listed.store(Arc::new(listed));
        key.ok_or_else(|| self.no_segment(segment, count))
    }

    /// The segments from the first one on, up to one that is missing: what comes behind a gap is
    /// not to be taken for what belongs into it.
    async fn list_segments(&self) -> Result<Vec<String>> {
        let prefix = format!("{}/chunks/", self.id);
        let entries = self.env.bucket.list(&prefix, Depth::Shallow);
        let keys: std::result::Result<Vec<_>, _> =
            entries.map_ok(|entry| entry.key).try_collect().await;
        let mut keys = keys.map_err(|source| self.bucket_error(source))?;
        let number = |key: &String| key.strip_prefix(&prefix)?.parse::<usize>().ok();
        keys.retain(|key| number(key).is_some());
        keys.sort_unstable_by_key(number);
        let whole = (1..)
            .zip(&keys)
            .take_while(|(n, key)| number(key) == Some(*n));
        let whole = whole.count();
        keys.truncate(whole);
        Ok(keys)
    }

    fn no_segment(&self, segment: u32, count: usize) -> Error {
        let message = format!("one of the {count} segments of the block");
        self.corrupt_chunk(
            &format!("{}/chunks/{:06}", self.id, u64::from(segment) + 1),
            0,
            &message,
        )
    }

    pub(crate) fn bucket_error(&self, source: rutile_objstore::Error) -> Error {
        Error::Bucket {
            block: self.id,
            source: Box::new(source),
        }
    }

    pub(crate) fn index_error(&self, source: rutile_index::Error) -> Error {
        Error::Index {
            block: self.id,
            source,
        }
    }
}

/// Length of the index as the metadata have it; blocks that Prometheus wrote do not say.
fn stated_index_len(meta: &Meta) -> Option<u64> {
    let index = meta
        .thanos
        .files
        .iter()
        .find(|file| file.rel_path == rutile_block::INDEX_FILE);
    index.map(|file| file.size_bytes).filter(|size| *size > 0)
}
