//! Items in memory, bounded by their bytes: what both caches are made of.
//!
//! Eviction keeps what is used again (S3-FIFO); a scan does not sweep the cache. Hashing has a fixed
//! seed, so that the same calls evict the same items.

use std::fmt;
use std::hash::Hash;
use std::time::Duration;

use foldhash::fast::FixedState;
use quick_cache::sync::{Cache, GuardResult};
use quick_cache::{Equivalent, Lifecycle, OptionsBuilder, Weighter};

use crate::MemoryConfig;

/// Bytes that an item takes besides the heap memory of key and value: the slot with its share of
/// free ones, the headers of two allocations.
const ITEM_OVERHEAD: u64 = 160;
/// Of a shard only this share can be taken by one item.
const HOT_PERCENT: u64 = 97;
const MAX_SHARDS: u64 = 64;

/// Is told what comes and goes. `bytes` is what was stated as the item's size.
pub(crate) trait Meter<K>: Clone {
    fn added(&self, key: &K, size: Size);
    fn removed(&self, key: &K, size: Size);
    /// Removed for lack of space, after `removed`.
    fn evicted(&self, key: &K);
    /// Not added because it is too large.
    fn overflowed(&self, key: &K);
}

/// Heap bytes of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) key: u64,
    pub(crate) value: u64,
}

impl Size {
    fn weight(self) -> u64 {
        self.key + self.value + ITEM_OVERHEAD
    }
}

#[derive(Clone)]
struct Item<V> {
    value: V,
    size: Size,
}

#[derive(Clone)]
struct ByWeight;

#[derive(Clone)]
struct Hooks<M>(M);

/// Items in memory. A key keeps its first value until it is removed or evicted.
pub(crate) struct Store<K, V, M> {
    cache: Cache<K, Item<V>, ByWeight, FixedState, Hooks<M>>,
    max_item: u64,
    meter: M,
}

impl<K: Hash + Eq + Clone, V: Clone, M: Meter<K>> Store<K, V, M> {
    /// `typical_item` is the size in bytes of a common item.
    pub(crate) fn new(config: MemoryConfig, typical_item: u64, meter: M) -> Self {
        let (max_size, max_item) = (config.max_size.bytes(), config.max_item_size.bytes());
        // Each shard must have room for the largest item.
        let shards = (max_size * HOT_PERCENT / 100 / max_item.max(1)).clamp(1, MAX_SHARDS);
        let power = 1 << shards.ilog2();
        let items = usize::try_from(max_size / typical_item.max(1)).unwrap_or(usize::MAX);
        let options = OptionsBuilder::new()
            .shards(power)
            .estimated_items_capacity(items.max(1))
            .weight_capacity(max_size)
            .build();
        let hooks = Hooks(meter.clone());
        let cache = match options {
            Ok(options) => Cache::with_options(options, ByWeight, FixedState::default(), hooks),
            // Only for options that were not set.
            Err(_) => Cache::with(1, max_size, ByWeight, FixedState::default(), hooks),
        };
        let max_item = max_item.min(cache.shard_capacity() * HOT_PERCENT / 100);
        Self {
            cache,
            max_item,
            meter,
        }
    }

    pub(crate) fn get<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> Option<V> {
        self.cache.get(key).map(|item| item.value)
    }

    /// Keeps a value unless the key has one or the item is too large.
    pub(crate) fn insert(&self, key: &K, value: V, size: Size) {
        if size.weight() > self.max_item {
            self.meter.overflowed(key);
            return;
        }
        if let GuardResult::Guard(guard) = self.cache.get_value_or_guard(key, Some(Duration::ZERO))
        {
            // Before it can be evicted, which is noted too.
            self.meter.added(key, size);
            if guard.insert(Item { value, size }).is_err() {
                self.meter.removed(key, size);
            }
        }
    }

    pub(crate) fn remove<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) {
        if let Some((key, item)) = self.cache.remove(key) {
            self.meter.removed(&key, item.size);
        }
    }

    /// Bytes held, overhead included.
    #[cfg(test)]
    pub(crate) fn weight(&self) -> u64 {
        self.cache.weight()
    }
}

impl<K, V, M> fmt::Debug for Store<K, V, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("max_item", &self.max_item)
            .finish_non_exhaustive()
    }
}

impl<K, V> Weighter<K, Item<V>> for ByWeight {
    fn weight(&self, _: &K, item: &Item<V>) -> u64 {
        item.size.weight()
    }
}

impl<K, V, M: Meter<K>> Lifecycle<K, Item<V>> for Hooks<M> {
    /// Dropped after the lock is released.
    type RequestState = Vec<(K, Item<V>)>;

    fn on_evict(&self, evicted: &mut Self::RequestState, key: K, item: Item<V>) {
        self.0.removed(&key, item.size);
        self.0.evicted(&key);
        evicted.push((key, item));
    }
}
