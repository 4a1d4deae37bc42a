//! The YAML of both caches, as in the reference; unknown keys are refused by name.

use std::time::Duration;

use rutile_model::config::parse_yaml;
use rutile_model::{ByteSize, ErrorKind, GoDuration};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

pub use self::remote::{BreakerConfig, MemcachedConfig, RedisConfig};
use crate::{Error, Result};

mod remote;

pub(crate) const INDEX_FLAG: &str = "index-cache.config";
pub(crate) const BUCKET_FLAG: &str = "store.caching-bucket.config";
const IN_MEMORY: &str = "IN-MEMORY";
const MEMCACHED: &str = "MEMCACHED";
const REDIS: &str = "REDIS";
const GROUPCACHE: &str = "GROUPCACHE";
const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;
/// Of items of the index cache that are not in memory.
const DEFAULT_TTL: Duration = Duration::from_hours(24);

/// Bounds of a cache in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MemoryConfig {
    /// Of everything held.
    pub max_size: ByteSize,
    /// Of one item; a larger one is not cached.
    pub max_item_size: ByteSize,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self {
            max_size: ByteSize(250 << 20),
            max_item_size: ByteSize(125 << 20),
        }
    }
}

/// Where a cache is.
#[derive(Debug, Clone, PartialEq)]
pub enum Backend {
    /// In the memory of the process.
    Memory(MemoryConfig),
    /// In memcached.
    Memcached(MemcachedConfig),
    /// In Redis.
    Redis(Box<RedisConfig>),
}

/// What an index cache can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum IndexItem {
    /// Postings lists.
    Postings,
    /// What a set of matchers selected.
    ExpandedPostings,
    /// Series entries.
    Series,
}

impl IndexItem {
    pub(crate) const ALL: [Self; 3] = [Self::Postings, Self::ExpandedPostings, Self::Series];

    /// The name in configuration and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Postings => "Postings",
            Self::ExpandedPostings => "ExpandedPostings",
            Self::Series => "Series",
        }
    }
}

/// `--index-cache.config`.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexCacheConfig {
    /// Where it is.
    pub backend: Backend,
    /// What is cached.
    pub enabled_items: Vec<IndexItem>,
    /// How long items stay, unless they are in memory.
    pub ttl: Duration,
}

/// `--store.caching-bucket.config`. Lifetimes in milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct CachingBucketConfig {
    /// Where the cache is.
    pub backend: Backend,
    /// Chunk files are cached in pieces of this many bytes, each aligned to its size.
    pub chunk_subrange_size: u64,
    /// Requests made for one range that is read; missing pieces are joined over cached ones until
    /// they are no more. `None`: as many as there are gaps.
    pub max_chunks_get_range_requests: Option<usize>,
    /// Longer `meta.json` and `deletion-mark.json` are not cached.
    pub metafile_max_size: u64,
    /// Size and time of a chunk file.
    pub chunk_object_attrs_ttl_ms: i64,
    /// Content of a chunk file.
    pub chunk_subrange_ttl_ms: i64,
    /// Listings of the root.
    pub blocks_iter_ttl_ms: i64,
    /// That a `meta.json` or a mark exists.
    pub metafile_exists_ttl_ms: i64,
    /// That it does not.
    pub metafile_doesnt_exist_ttl_ms: i64,
    /// Its content.
    pub metafile_content_ttl_ms: i64,
}

/// What says which type it is, and what that is configured with.
#[derive(Deserialize)]
struct Head<T> {
    #[serde(default)]
    r#type: Option<String>,
    #[serde(default)]
    config: Option<T>,
}

/// A document of a type whose `config` is read already.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IndexDocument {
    #[serde(rename = "type")]
    _type: Option<String>,
    #[serde(default, rename = "config")]
    _config: IgnoredAny,
    #[serde(default)]
    enabled_items: Option<Vec<IndexItem>>,
    #[serde(default)]
    ttl: Option<GoDuration>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct BucketDocument {
    #[serde(rename = "type")]
    _type: Option<String>,
    #[serde(rename = "config")]
    _config: IgnoredAny,
    chunk_subrange_size: i64,
    max_chunks_get_range_requests: i64,
    metafile_max_size: ByteSize,
    chunk_object_attrs_ttl: GoDuration,
    chunk_subrange_ttl: GoDuration,
    blocks_iter_ttl: GoDuration,
    metafile_exists_ttl: GoDuration,
    metafile_doesnt_exist_ttl: GoDuration,
    metafile_content_ttl: GoDuration,
}

impl Default for BucketDocument {
    fn default() -> Self {
        let day = GoDuration::from_ms(24 * HOUR_MS);
        Self {
            _type: None,
            _config: IgnoredAny,
            chunk_subrange_size: 16_000,
            max_chunks_get_range_requests: 3,
            metafile_max_size: ByteSize(1 << 20),
            chunk_object_attrs_ttl: day,
            chunk_subrange_ttl: day,
            blocks_iter_ttl: GoDuration::from_ms(5 * MINUTE_MS),
            metafile_exists_ttl: GoDuration::from_ms(2 * HOUR_MS),
            metafile_doesnt_exist_ttl: GoDuration::from_ms(15 * MINUTE_MS),
            metafile_content_ttl: day,
        }
    }
}

impl IndexCacheConfig {
    /// Everything cached, within `max_size`.
    #[must_use]
    pub fn in_memory(max_size: ByteSize) -> Self {
        let max_item_size = MemoryConfig::default().max_item_size.min(max_size);
        Self {
            backend: Backend::Memory(MemoryConfig {
                max_size,
                max_item_size,
            }),
            enabled_items: IndexItem::ALL.to_vec(),
            ttl: DEFAULT_TTL,
        }
    }

    /// Reads the YAML.
    ///
    /// # Errors
    /// `Unsupported` for what Redis can do and we cannot, else `Invalid`.
    pub fn parse(yaml: &str) -> Result<Self> {
        let backend = Backend::parse(INDEX_FLAG, yaml, &[])?;
        let document: IndexDocument = strict(INDEX_FLAG, yaml)?;
        if document.ttl.is_some() && matches!(backend, Backend::Memory(_)) {
            tracing::warn!("ttl in --index-cache.config has no effect on a cache in memory");
        }
        let ttl = document.ttl.map_or(Duration::ZERO, |ttl| ttl.to_std());
        let enabled_items = match document.enabled_items {
            Some(items) if !items.is_empty() => items,
            _ => IndexItem::ALL.to_vec(),
        };
        Ok(Self {
            backend,
            enabled_items,
            ttl: if ttl.is_zero() { DEFAULT_TTL } else { ttl },
        })
    }
}

impl CachingBucketConfig {
    /// Reads the YAML.
    ///
    /// # Errors
    /// `Unsupported` for GROUPCACHE, and for what Redis can do and we cannot, else `Invalid`.
    pub fn parse(yaml: &str) -> Result<Self> {
        let backend = Backend::parse(BUCKET_FLAG, yaml, &[GROUPCACHE])?;
        let document: BucketDocument = strict(BUCKET_FLAG, yaml)?;
        let subrange = u64::try_from(document.chunk_subrange_size)
            .ok()
            .filter(|&size| size > 0);
        let chunk_subrange_size = subrange.ok_or_else(|| {
            let message = "chunk_subrange_size must be greater than 0";
            Error::new(ErrorKind::Invalid, BUCKET_FLAG, message)
        })?;
        let requests = usize::try_from(document.max_chunks_get_range_requests).ok();
        Ok(Self {
            backend,
            chunk_subrange_size,
            max_chunks_get_range_requests: requests.filter(|&requests| requests > 0),
            metafile_max_size: document.metafile_max_size.bytes(),
            chunk_object_attrs_ttl_ms: document.chunk_object_attrs_ttl.as_ms(),
            chunk_subrange_ttl_ms: document.chunk_subrange_ttl.as_ms(),
            blocks_iter_ttl_ms: document.blocks_iter_ttl.as_ms(),
            metafile_exists_ttl_ms: document.metafile_exists_ttl.as_ms(),
            metafile_doesnt_exist_ttl_ms: document.metafile_doesnt_exist_ttl.as_ms(),
            metafile_content_ttl_ms: document.metafile_content_ttl.as_ms(),
        })
    }
}

impl Backend {
    /// By `type` and `config`; `others` are types of the reference that are not there.
    fn parse(flag: &'static str, yaml: &str, others: &[&str]) -> Result<Self> {
        let head: Head<IgnoredAny> = strict(flag, yaml)?;
        let kind = head.r#type.unwrap_or_default();
        let all = [IN_MEMORY, MEMCACHED, REDIS].join(", ");
        let refused = |kind, message| Err(Error::new(kind, flag, message));
        match kind.to_uppercase().as_str() {
            IN_MEMORY => check_memory(flag, config_of(flag, yaml)?).map(Self::Memory),
            MEMCACHED => {
                let config: MemcachedConfig = config_of(flag, yaml)?;
                config.check(flag).map(|()| Self::Memcached(config))
            }
            REDIS => {
                let config: RedisConfig = config_of(flag, yaml)?;
                config.check(flag).map(|()| Self::Redis(Box::new(config)))
            }
            "" => refused(
                ErrorKind::Invalid,
                format!("`type` is missing: set it to one of {all}"),
            ),
            upper if others.contains(&upper) => refused(
                ErrorKind::Unsupported,
                format!("`type: {kind}` is not supported yet: use one of {all}"),
            ),
            _ => refused(
                ErrorKind::Invalid,
                format!("`type: {kind}` is unknown: use one of {all}"),
            ),
        }
    }
}

fn config_of<T: DeserializeOwned + Default>(flag: &'static str, yaml: &str) -> Result<T> {
    let head: Head<T> = strict(flag, yaml)?;
    Ok(head.config.unwrap_or_default())
}

fn check_memory(flag: &'static str, memory: MemoryConfig) -> Result<MemoryConfig> {
    if memory.max_item_size <= memory.max_size {
        return Ok(memory);
    }
    let message = format!(
        "config.max_item_size ({}) must not exceed config.max_size ({})",
        memory.max_item_size, memory.max_size
    );
    Err(Error::new(ErrorKind::Invalid, flag, message))
}

fn strict<T: DeserializeOwned>(flag: &'static str, yaml: &str) -> Result<T> {
    parse_yaml(yaml).map_err(|error| Error::new(error.kind(), flag, error.to_string()))
}

#[cfg(test)]
mod tests;
