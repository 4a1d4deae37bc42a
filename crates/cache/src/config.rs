//! The YAML of both caches, as in the reference; unknown keys are refused by name.

use rutile_model::config::parse_yaml;
use rutile_model::{ByteSize, ErrorKind, GoDuration};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result};

const INDEX_FLAG: &str = "index-cache.config";
const BUCKET_FLAG: &str = "store.caching-bucket.config";
const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexCacheConfig {
    /// Bounds.
    pub memory: MemoryConfig,
    /// What is cached.
    pub enabled_items: Vec<IndexItem>,
}

/// `--store.caching-bucket.config`. Lifetimes in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachingBucketConfig {
    /// Bounds.
    pub memory: MemoryConfig,
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

#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    r#type: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IndexDocument {
    #[serde(rename = "type")]
    _type: Option<String>,
    #[serde(default)]
    config: Option<MemoryConfig>,
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
    config: Option<MemoryConfig>,
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
            config: None,
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
            memory: MemoryConfig {
                max_size,
                max_item_size,
            },
            enabled_items: IndexItem::ALL.to_vec(),
        }
    }

    /// Reads the YAML.
    ///
    /// # Errors
    /// `Unsupported` for MEMCACHED and REDIS, else `Invalid`.
    pub fn parse(yaml: &str) -> Result<Self> {
        check_type(INDEX_FLAG, yaml, &["MEMCACHED", "REDIS"])?;
        let document: IndexDocument = strict(INDEX_FLAG, yaml)?;
        if document.ttl.is_some() {
            tracing::warn!("ttl in --index-cache.config has no effect on a cache in memory");
        }
        let memory = check_memory(INDEX_FLAG, document.config)?;
        let enabled_items = match document.enabled_items {
            Some(items) if !items.is_empty() => items,
            _ => IndexItem::ALL.to_vec(),
        };
        Ok(Self {
            memory,
            enabled_items,
        })
    }
}

impl CachingBucketConfig {
    /// Reads the YAML.
    ///
    /// # Errors
    /// `Unsupported` for MEMCACHED, REDIS and GROUPCACHE, else `Invalid`.
    pub fn parse(yaml: &str) -> Result<Self> {
        check_type(BUCKET_FLAG, yaml, &["MEMCACHED", "REDIS", "GROUPCACHE"])?;
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
            memory: check_memory(BUCKET_FLAG, document.config)?,
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

/// Only IN-MEMORY is there; `known` are the types of the reference.
fn check_type(flag: &'static str, yaml: &str, known: &[&str]) -> Result<()> {
    let head: Head = strict(flag, yaml)?;
    let kind = head.r#type.unwrap_or_default();
    let refused = |kind, message| Err(Error::new(kind, flag, message));
    match kind.to_uppercase().as_str() {
        "IN-MEMORY" => Ok(()),
        "" => refused(
            ErrorKind::Invalid,
            "`type` is missing: set it to IN-MEMORY".to_owned(),
        ),
        upper if known.contains(&upper) => refused(
            ErrorKind::Unsupported,
            format!("`type: {kind}` is not supported yet: use IN-MEMORY"),
        ),
        _ => refused(
            ErrorKind::Invalid,
            format!("`type: {kind}` is unknown: use IN-MEMORY"),
        ),
    }
}

fn check_memory(flag: &'static str, config: Option<MemoryConfig>) -> Result<MemoryConfig> {
    let memory = config.unwrap_or_default();
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
