//! Values with a lifetime.

use std::sync::Arc;

use bytes::Bytes;
use rutile_objstore::{Attributes, Entry};
use rutile_runtime::{Clock, Moment};
use rutile_telemetry::Registry;

use super::metrics::StoreMetrics;
use crate::MemoryConfig;
use crate::store::{Size, Store};

/// Most items are pieces of chunk files.
const TYPICAL_ITEM: u64 = 16 << 10;

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
    store: Store<Box<str>, Timed, StoreMetrics>,
    metrics: StoreMetrics,
    clock: Arc<dyn Clock>,
}

impl TimedStore {
    pub(super) fn new(config: &MemoryConfig, clock: Arc<dyn Clock>, registry: &Registry) -> Self {
        let metrics = StoreMetrics::new(registry, config);
        Self {
            store: Store::new(*config, TYPICAL_ITEM, metrics.clone()),
            metrics,
            clock,
        }
    }

    /// Now, by the clocks that lifetimes are measured with.
    pub(super) fn now(&self) -> Moment {
        Moment::now(&*self.clock)
    }

    /// The value, if it is there and alive.
    pub(super) fn get(&self, key: &str) -> Option<Value> {
        self.metrics.requests.inc();
        let value = self.peek(key);
        if value.is_some() {
            self.metrics.hits.inc();
        }
        value
    }

    /// As [`Self::get`], without counting.
    pub(super) fn peek(&self, key: &str) -> Option<Value> {
        let timed = self.store.get(key)?;
        // A clock that was set back must not make a value live longer (BC-7).
        if timed.since.age_ms(self.now()) < timed.ttl_ms {
            return Some(timed.value);
        }
        self.metrics.expired.inc();
        self.store.remove(key);
        None
    }

    /// Keeps a value until `ttl_ms` after `since`, in place of what was there.
    pub(super) fn put(&self, key: &str, value: Value, since: Moment, ttl_ms: i64) {
        if since.age_ms(self.now()) >= ttl_ms {
            return;
        }
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

    pub(super) fn remove(&self, key: &str) {
        self.store.remove(key);
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
