//! Values with a lifetime, in memory or where processes share them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rutile_objstore::{Attributes, Entry};
use rutile_runtime::{Clock, Moment};
use rutile_telemetry::{IntCounter, Registry};

use super::metrics::StoreMetrics;
use super::wire;
use crate::config::BUCKET_FLAG;
use crate::remote::RemoteCache;
use crate::store::{Size, Store};
use crate::{Backend, CacheParts, MemoryConfig, Result};

/// Most items are pieces of chunk files.
const TYPICAL_ITEM: u64 = 16 << 10;
/// The name of a cache that is not in memory, in metrics.
const NAME: &str = "caching-bucket";

/// What is cached.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// Of an object, or of a piece of one.
    Content(Bytes),
    Exists(bool),
    Attributes(Attributes),
    Listing(Arc<[Entry]>),
}

#[derive(Clone)]
struct Timed {
    value: Value,
    since: Moment,
    ttl_ms: i64,
}

/// A cache of [`Value`]s.
pub(super) struct TimedStore {
    place: Place,
    clock: Arc<dyn Clock>,
}

enum Place {
    Memory(MemoryStore),
    Remote(RemoteStore),
}

struct MemoryStore {
    store: Store<Box<str>, Timed, StoreMetrics>,
    metrics: StoreMetrics,
}

struct RemoteStore {
    cache: RemoteCache,
    requests: IntCounter,
    hits: IntCounter,
}

impl TimedStore {
    /// An empty one in memory, or one that others may have filled.
    pub(super) fn open(backend: &Backend, parts: &CacheParts) -> Result<Self> {
        let CacheParts {
            registry, tasks, ..
        } = parts;
        let remote = |cache, requests: &str, hits: &str| {
            let registry = registry.with_label("name", NAME);
            let requests = registry.int_counter(requests, "Items that were asked for.");
            let hits = registry.int_counter(hits, "Items that were there.");
            Place::Remote(RemoteStore {
                cache,
                requests,
                hits,
            })
        };
        let place = match backend {
            Backend::Memory(config) => Place::Memory(MemoryStore::new(config, registry)),
            Backend::Memcached(config) => remote(
                RemoteCache::memcached(BUCKET_FLAG, config, NAME, registry, tasks)?,
                "thanos_cache_memcached_requests_total",
                "thanos_cache_memcached_hits_total",
            ),
            Backend::Redis(config) => remote(
                RemoteCache::redis(config, NAME, registry, tasks),
                "thanos_cache_redis_requests_total",
                "thanos_cache_redis_hits_total",
            ),
        };
        let clock = Arc::clone(&parts.clock);
        Ok(Self { place, clock })
    }

    /// Now, by the clocks that lifetimes are measured with.
    pub(super) fn now(&self) -> Moment {
        Moment::now(&*self.clock)
    }

    /// The value, if it is there and alive.
    pub(super) async fn get(&self, key: &str) -> Option<Value> {
        match &self.place {
            Place::Memory(memory) => memory.get(key, self.now()),
            Place::Remote(remote) => {
                let keys = [key.to_owned()];
                remote.get(&keys, self.now()).await.pop().flatten()
            }
        }
    }

    /// The values of `keys`, in their order, as far as they are there and alive.
    pub(super) async fn get_all(&self, keys: &[String]) -> Vec<Option<Value>> {
        match &self.place {
            Place::Memory(memory) => keys.iter().map(|key| memory.get(key, self.now())).collect(),
            Place::Remote(remote) => remote.get(keys, self.now()).await,
        }
    }

    /// As [`Self::get`], without counting and without asking anybody: only what is in memory.
    pub(super) fn peek(&self, key: &str) -> Option<Value> {
        match &self.place {
            Place::Memory(memory) => memory.peek(key, self.now()),
            Place::Remote(_) => None,
        }
    }

    /// Keeps a value until `ttl_ms` after `since`, in place of what was there.
    pub(super) fn put(&self, key: &str, value: Value, since: Moment, ttl_ms: i64) {
        let left_ms = ttl_ms.saturating_sub(since.age_ms(self.now()));
        let Some(left_ms) = u64::try_from(left_ms).ok().filter(|ms| *ms > 0) else {
            return;
        };
        match &self.place {
            Place::Memory(memory) => memory.put(key, value, since, ttl_ms),
            Place::Remote(remote) => {
                let until_ms = since.wall_ms().saturating_add(ttl_ms);
                let encoded = wire::encode(&value, until_ms);
                let left = Duration::from_millis(left_ms);
                remote.cache.set(key, &encoded, left);
            }
        }
    }

    pub(super) fn remove(&self, key: &str) {
        match &self.place {
            Place::Memory(memory) => memory.store.remove(key),
            Place::Remote(remote) => remote.cache.delete(key),
        }
    }
}

impl MemoryStore {
    fn new(config: &MemoryConfig, registry: &Registry) -> Self {
        let metrics = StoreMetrics::new(registry, config);
        Self {
            store: Store::new(*config, TYPICAL_ITEM, metrics.clone()),
            metrics,
        }
    }

    fn get(&self, key: &str, now: Moment) -> Option<Value> {
        self.metrics.requests.inc();
        let value = self.peek(key, now);
        if value.is_some() {
            self.metrics.hits.inc();
        }
        value
    }

    fn peek(&self, key: &str, now: Moment) -> Option<Value> {
        let timed = self.store.get(key)?;
        // A clock that was set back must not make a value live longer (BC-7).
        if timed.since.age_ms(now) < timed.ttl_ms {
            return Some(timed.value);
        }
        self.metrics.expired.inc();
        self.store.remove(key);
        None
    }

    fn put(&self, key: &str, value: Value, since: Moment, ttl_ms: i64) {
        let timed = Timed {
            value: value.compact(),
            since,
            ttl_ms,
        };
        let size = Size {
            key: key.len() as u64,
            value: timed.value.heap_bytes(),
        };
        self.store.remove(key);
        self.store.insert(&key.into(), timed, size);
    }
}

impl RemoteStore {
    /// A value dies by the wall's clock of its reader, and by that of the cache, which nobody sets back (BC-7).
    async fn get(&self, keys: &[String], now: Moment) -> Vec<Option<Value>> {
        self.requests.inc_by(keys.len() as u64);
        let found = self.cache.get(keys).await;
        let alive = found.into_iter().map(|encoded| {
            let (value, until_ms) = wire::decode(&encoded?)?;
            (now.wall_ms() < until_ms).then_some(value)
        });
        let alive: Vec<_> = alive.collect();
        self.hits.inc_by(alive.iter().flatten().count() as u64);
        alive
    }
}

impl Value {
    /// In an allocation of its own: content is often cut from a larger read.
    fn compact(self) -> Self {
        match self {
            Self::Content(content) => Self::Content(Bytes::copy_from_slice(&content)),
            other => other,
        }
    }

    fn heap_bytes(&self) -> u64 {
        let bytes = match self {
            Self::Content(content) => content.len(),
            Self::Exists(_) | Self::Attributes(_) => 0,
            Self::Listing(entries) => {
                let keys: usize = entries.iter().map(|entry| entry.key.capacity()).sum();
                keys + size_of_val(&**entries)
            }
        };
        bytes as u64
    }
}
