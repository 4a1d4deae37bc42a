//! Caches before the bucket: of parts of indexes ([`open_index_cache`]), of objects and their ranges
//! ([`CachingBucket`]).
//!
//! Blocks never change, so what is cached of their content is never stale; what may change
//! (listings, marks, absence) has a lifetime by the given clock. Caches are bounded by the bytes that
//! they hold, keys and bookkeeping included. A cache makes a read faster or changes nothing: an
//! error is never remembered, least of all as absence.

mod bucket;
mod config;
mod error;
mod index;
mod store;

pub use bucket::{CachingBucket, open_caching_bucket};
pub use config::{CachingBucketConfig, IndexCacheConfig, IndexItem, MemoryConfig};
pub use error::{Error, Result};
pub use index::{MemoryIndexCache, open_index_cache};
