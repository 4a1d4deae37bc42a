//! The index cache, in memory or where processes share it.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use rutile_block::BlockId;
use rutile_blockio::IndexCache;
use rutile_model::ByteSize;
use rutile_telemetry::Registry;
use tokio::time::Instant;

use self::key::{Key, KeyRef};
use self::metrics::{Metrics, Requests};
use self::remote::RemoteIndexCache;
use crate::config::INDEX_FLAG;
use crate::remote::RemoteCache;
use crate::store::{Size, Store};
use crate::{Backend, CacheParts, IndexCacheConfig, IndexItem, MemoryConfig, Result};

mod key;
mod metrics;
mod remote;

/// Most items are series entries.
const TYPICAL_ITEM: u64 = 512;
/// The name of the cache in metrics.
const NAME: &str = "index-cache";

/// Opens the cache that `--index-cache.config` describes; without it one in memory of `size`. Writes to one that is not
/// in memory are made by `tasks`.
///
/// # Errors
/// A configuration that is refused.
pub fn open_index_cache(
    yaml: Option<&str>,
    size: ByteSize,
    parts: &CacheParts,
) -> Result<Arc<dyn IndexCache>> {
    let CacheParts {
        registry, tasks, ..
    } = parts;
    let config = match yaml.filter(|yaml| !yaml.trim().is_empty()) {
        Some(yaml) => IndexCacheConfig::parse(yaml)?,
        None => IndexCacheConfig::in_memory(size),
    };
    let enabled = config.enabled_items;
    let cache = match &config.backend {
        Backend::Memory(memory) => {
            return Ok(Arc::new(MemoryIndexCache::new(*memory, enabled, registry)));
        }
        Backend::Memcached(config) => {
            RemoteCache::memcached(INDEX_FLAG, config, NAME, registry, tasks)?
        }
        Backend::Redis(config) => RemoteCache::redis(config, NAME, registry, tasks),
    };
    Ok(Arc::new(RemoteIndexCache {
        cache,
        requests: Requests::new(registry),
        enabled,
        ttl: config.ttl,
    }))
}

/// Parts of indexes in memory, each in an allocation of its own: what is stored may be a slice of
/// something large.
#[derive(Debug)]
pub struct MemoryIndexCache {
    store: Store<Key, Bytes, Metrics>,
    metrics: Metrics,
    enabled: Vec<IndexItem>,
}

impl MemoryIndexCache {
    /// An empty cache of these items.
    #[must_use]
    pub fn new(config: MemoryConfig, enabled: Vec<IndexItem>, registry: &Registry) -> Self {
        let metrics = Metrics::new(registry, &config);
        let store = Store::new(config, TYPICAL_ITEM, metrics.clone());
        Self {
            store,
            metrics,
            enabled,
        }
    }

    fn fetch<'a>(
        &self,
        item: IndexItem,
        keys: impl ExactSizeIterator<Item = KeyRef<'a>>,
    ) -> Vec<Option<Bytes>> {
        if !self.enabled.contains(&item) {
            return vec![None; keys.len()];
        }
        let started = Instant::now();
        let found: Vec<_> = keys.map(|key| self.store.get(&key)).collect();
        let hits = found.iter().filter(|value| value.is_some()).count();
        let took = started.elapsed();
        self.metrics.requests.fetched(item, found.len(), hits, took);
        found
    }

    fn keep(&self, key: KeyRef<'_>, value: &Bytes) {
        let item = key.item();
        if !self.enabled.contains(&item) {
            return;
        }
        self.metrics.requests.stored(item, value.len());
        if self.store.get(&key).is_some() {
            return;
        }
        let key = key.to_key();
        let size = Size {
            key: key.heap_bytes(),
            value: value.len() as u64,
        };
        self.store.insert(&key, Bytes::copy_from_slice(value), size);
    }
}

#[async_trait]
impl IndexCache for MemoryIndexCache {
    async fn postings(&self, block: BlockId, keys: &[(&str, &str)]) -> Vec<Option<Bytes>> {
        let keys = keys
            .iter()
            .map(|&(name, value)| KeyRef::Postings(block, name, value));
        self.fetch(IndexItem::Postings, keys)
    }

    fn store_postings(&self, block: BlockId, key: (&str, &str), list: Bytes) {
        self.keep(KeyRef::Postings(block, key.0, key.1), &list);
    }

    async fn expanded_postings(&self, block: BlockId, matchers: &str) -> Option<Bytes> {
        let keys = [KeyRef::Expanded(block, matchers)];
        self.fetch(IndexItem::ExpandedPostings, keys.into_iter())
            .pop()
            .flatten()
    }

    fn store_expanded_postings(&self, block: BlockId, matchers: &str, list: Bytes) {
        self.keep(KeyRef::Expanded(block, matchers), &list);
    }

    async fn series(&self, block: BlockId, refs: &[u32]) -> Vec<Option<Bytes>> {
        let keys = refs.iter().map(|&series| KeyRef::Series(block, series));
        self.fetch(IndexItem::Series, keys)
    }

    fn store_series(&self, block: BlockId, series_ref: u32, entry: Bytes) {
        self.keep(KeyRef::Series(block, series_ref), &entry);
    }
}

#[cfg(test)]
mod tests;
