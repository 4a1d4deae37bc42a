//! Caches before the bucket: of parts of indexes ([`open_index_cache`]), of objects and their ranges
//! ([`CachingBucket`]).
//!
//! Blocks never change, so what is cached of their content is never stale; what may change
//! (listings, marks, absence) has a lifetime by the given clock. Caches are in the memory of the
//! process, bounded by the bytes that they hold, keys and bookkeeping included, or in memcached or
//! Redis, which processes share. A cache makes a read faster or changes nothing: an error is never
//! remembered, least of all as absence, and one that is down is as good as an empty one.

mod bucket;
mod config;
mod error;
mod index;
mod remote;
mod store;

pub use bucket::{CachingBucket, open_caching_bucket};
pub use config::{
    Backend, BreakerConfig, CachingBucketConfig, IndexCacheConfig, IndexItem, MemcachedConfig,
    MemoryConfig, RedisConfig,
};
pub use error::{Error, Result};
pub use index::{MemoryIndexCache, open_index_cache};

/// What caches work with.
#[derive(Debug, Clone)]
pub struct CacheParts {
    /// By which lifetimes are measured.
    pub clock: std::sync::Arc<dyn rutile_runtime::Clock>,
    /// Where metrics are made.
    pub registry: rutile_telemetry::Registry,
    /// Who writes to caches that are not in memory, and looks their names up.
    pub tasks: rutile_runtime::Spawner,
}
