//! A bucket with a cache before it.
//!
//! Cached are chunk files (in aligned pieces, and their attributes), `meta.json` and
//! `deletion-mark.json` (content, existence, absence) and listings of the root. Everything else goes
//! through. Requests for the same thing at the same time are one request; if it fails or is
//! cancelled, those who waited ask for themselves. Only `NotFound` is remembered as absence.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures::TryFutureExt as _;
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use rutile_objstore::{
    Attributes, BucketReader, Depth, Entry, Error, Operation, Result as BucketResult,
};
use sha2::{Digest, Sha256};

use self::flight::{Flights, Turn};
use self::metrics::Metrics;
use self::timed::{TimedStore, Value};
use crate::{CacheParts, CachingBucketConfig, Result};

mod flight;
mod metrics;
mod pieces;
mod timed;
mod wire;

/// How a key is cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Chunks,
    Meta,
    Other,
}

/// A [`BucketReader`] with a cache before it. Clones share the cache.
#[derive(Clone)]
pub struct CachingBucket {
    inner: Arc<dyn BucketReader>,
    shared: Arc<Shared>,
}

struct Shared {
    config: CachingBucketConfig,
    cache: TimedStore,
    flights: Arc<Flights>,
    metrics: Metrics,
    classify: fn(&str) -> Class,
    /// Tells listings of different buckets apart.
    iter_suffix: String,
}

/// Puts the cache that `--store.caching-bucket.config` describes before a bucket; without a
/// configuration the bucket stays as it is. `identity` tells listings of this bucket, and of its
/// prefix, from those of others in the same cache: its configuration.
///
/// # Errors
/// A configuration that is refused.
pub fn open_caching_bucket(
    yaml: Option<&str>,
    bucket: Arc<dyn BucketReader>,
    identity: &str,
    parts: &CacheParts,
) -> Result<Arc<dyn BucketReader>> {
    let Some(yaml) = yaml.filter(|yaml| !yaml.trim().is_empty()) else {
        return Ok(bucket);
    };
    let config = CachingBucketConfig::parse(yaml)?;
    let mut caching = CachingBucket::new(bucket, config, parts)?;
    if let Some(shared) = Arc::get_mut(&mut caching.shared) {
        // It may hold credentials.
        let identity = Sha256::digest(identity);
        let identity = BASE64_URL_SAFE_NO_PAD.encode(identity);
        shared.iter_suffix = format!(":{identity}");
    }
    Ok(Arc::new(caching))
}

impl CachingBucket {
    /// A cache before `inner`; lifetimes are by the clock of `parts`, and by one that nobody sets
    /// back.
    ///
    /// # Errors
    /// A configuration that is refused.
    pub fn new(
        inner: Arc<dyn BucketReader>,
        config: CachingBucketConfig,
        parts: &CacheParts,
    ) -> Result<Self> {
        Self::classified(inner, config, parts, classify)
    }

    fn classified(
        inner: Arc<dyn BucketReader>,
        config: CachingBucketConfig,
        parts: &CacheParts,
        classify: fn(&str) -> Class,
    ) -> Result<Self> {
        let shared = Shared {
            cache: TimedStore::open(&config.backend, parts)?,
            flights: Arc::new(Flights::default()),
            metrics: Metrics::new(&parts.registry),
            config,
            classify,
            iter_suffix: String::new(),
        };
        Ok(Self {
            inner,
            shared: Arc::new(shared),
        })
    }

    fn class(&self, key: &str) -> Class {
        (self.shared.classify)(key)
    }

    /// What the cache has under `cache_key`, else what `fetch` gives (polled only then), which is kept
    /// for as long as `ttl_ms` says. Says whether it came from the cache.
    async fn through(
        &self,
        cache_key: &str,
        ttl_ms: impl Fn(&Value) -> i64 + Send,
        fetch: impl Future<Output = BucketResult<Value>> + Send,
    ) -> BucketResult<(Value, bool)> {
        let shared = &self.shared;
        if let Some(value) = shared.cache.get(cache_key).await {
            return Ok((value, true));
        }
        let leader = match shared.flights.join(cache_key) {
            Turn::Lead(leader) => {
                // Another flight may have landed after the first look.
                if let Some(value) = shared.cache.peek(cache_key) {
                    leader.land(value.clone());
                    return Ok((value, true));
                }
                Some(leader)
            }
            Turn::Follow(follower) => match follower.wait().await {
                Some(value) => return Ok((value, false)),
                None => None,
            },
        };
        // A lifetime starts when the question is asked.
        let asked = shared.cache.now();
        let value = fetch.await?;
        shared
            .cache
            .put(cache_key, value.clone(), asked, ttl_ms(&value));
        if let Some(leader) = leader {
            leader.land(value.clone());
        }
        Ok((value, false))
    }

    async fn cached_attributes(&self, key: &str) -> BucketResult<Attributes> {
        let operation = &self.shared.metrics.attributes;
        operation.requests.inc();
        let ttl_ms = self.shared.config.chunk_object_attrs_ttl_ms;
        let (value, hit) = self
            .through(
                &attributes_key(key),
                |_| ttl_ms,
                self.inner.attributes(key).map_ok(Value::Attributes),
            )
            .await?;
        operation.hit(hit);
        match value {
            Value::Attributes(attributes) => Ok(attributes),
            // Keys of a kind hold values of that kind.
            _ => self.inner.attributes(key).await,
        }
    }

    async fn cached_exists(&self, key: &str) -> BucketResult<bool> {
        let operation = &self.shared.metrics.exists;
        operation.requests.inc();
        let (value, hit) = self
            .through(
                &exists_key(key),
                |value| self.exists_ttl_ms(value),
                self.inner.exists(key).map_ok(Value::Exists),
            )
            .await?;
        operation.hit(hit);
        match value {
            Value::Exists(exists) => Ok(exists),
            _ => self.inner.exists(key).await,
        }
    }

    fn exists_ttl_ms(&self, value: &Value) -> i64 {
        match value {
            Value::Exists(false) => self.shared.config.metafile_doesnt_exist_ttl_ms,
            _ => self.shared.config.metafile_exists_ttl_ms,
        }
    }

    async fn cached_get(&self, key: &str, limit: u64) -> BucketResult<Bytes> {
        let shared = &self.shared;
        let operation = &shared.metrics.get;
        operation.requests.inc();
        let absent = || Error::not_found(Operation::Get, self.inner.name(), key);
        let exists = shared.cache.get(&exists_key(key)).await;
        if matches!(exists, Some(Value::Exists(false))) {
            operation.hit(true);
            return Err(absent());
        }
        let max_size = shared.config.metafile_max_size;
        let content_ttl_ms = |value: &Value| match value {
            Value::Content(content) if content.len() as u64 > max_size => 0,
            _ => shared.config.metafile_content_ttl_ms,
        };
        let (value, hit) = self
            .through(&content_key(key), content_ttl_ms, async {
                self.ask(key, limit).await
            })
            .await?;
        operation.hit(hit);
        match value {
            Value::Content(content) if content.len() as u64 <= limit => Ok(content),
            Value::Content(content) => Err(Error::too_long(
                self.inner.name(),
                key,
                content.len() as u64,
                limit,
            )),
            _ => self.inner.get(key, limit).await,
        }
    }

    /// Reads a meta file and remembers whether it exists.
    async fn ask(&self, key: &str, limit: u64) -> BucketResult<Value> {
        let shared = &self.shared;
        let asked = shared.cache.now();
        let exists_key = exists_key(key);
        // Who waited for somebody else's request that found nothing, needs no own one.
        if matches!(shared.cache.peek(&exists_key), Some(Value::Exists(false))) {
            return Err(Error::not_found(Operation::Get, self.inner.name(), key));
        }
        let content = self.inner.get(key, limit).await;
        let exists = match &content {
            Ok(_) => true,
            Err(error) if error.is_not_found() => false,
            Err(_) => return content.map(Value::Content),
        };
        let exists = Value::Exists(exists);
        let ttl_ms = self.exists_ttl_ms(&exists);
        shared.cache.put(&exists_key, exists, asked, ttl_ms);
        content.map(Value::Content)
    }

    /// The listing of the root. Held as a whole, as its reader does.
    async fn cached_root(&self, depth: Depth) -> BucketResult<Arc<[Entry]>> {
        let operation = &self.shared.metrics.iter;
        operation.requests.inc();
        let verb = match depth {
            Depth::Shallow => "iter",
            Depth::Recursive => "iter-recursive",
        };
        let cache_key = format!("{verb}:{}", self.shared.iter_suffix);
        let ttl_ms = self.shared.config.blocks_iter_ttl_ms;
        let list = async {
            let entries: Vec<Entry> = self.inner.list("", depth).try_collect().await?;
            Ok(Value::Listing(entries.into()))
        };
        let (value, hit) = self.through(&cache_key, |_| ttl_ms, list).await?;
        operation.hit(hit);
        match value {
            Value::Listing(entries) => Ok(entries),
            _ => Ok(self
                .inner
                .list("", depth)
                .try_collect::<Vec<_>>()
                .await?
                .into()),
        }
    }
}

#[async_trait]
impl BucketReader for CachingBucket {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn read_gap(&self) -> u64 {
        self.inner.read_gap()
    }

    async fn get(&self, key: &str, limit: u64) -> BucketResult<Bytes> {
        match self.class(key) {
            Class::Meta => self.cached_get(key, limit).await,
            Class::Chunks | Class::Other => self.inner.get(key, limit).await,
        }
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> BucketResult<Bytes> {
        match self.class(key) {
            Class::Chunks if range.start < range.end => {
                let ranges = [range.clone()];
                match self
                    .cached_ranges(key, &ranges)
                    .await?
                    .and_then(|mut read| read.pop())
                {
                    Some(bytes) => Ok(bytes),
                    None => self.inner.get_range(key, range).await,
                }
            }
            _ => self.inner.get_range(key, range).await,
        }
    }

    async fn get_ranges(&self, key: &str, ranges: &[Range<u64>]) -> BucketResult<Vec<Bytes>> {
        if self.class(key) == Class::Chunks
            && !ranges.is_empty()
            && let Some(read) = self.cached_ranges(key, ranges).await?
        {
            return Ok(read);
        }
        self.inner.get_ranges(key, ranges).await
    }

    async fn attributes(&self, key: &str) -> BucketResult<Attributes> {
        match self.class(key) {
            Class::Chunks => self.cached_attributes(key).await,
            Class::Meta | Class::Other => self.inner.attributes(key).await,
        }
    }

    async fn exists(&self, key: &str) -> BucketResult<bool> {
        match self.class(key) {
            Class::Meta => self.cached_exists(key).await,
            Class::Chunks | Class::Other => self.inner.exists(key).await,
        }
    }

    fn list<'a>(&'a self, prefix: &'a str, depth: Depth) -> BoxStream<'a, BucketResult<Entry>> {
        if !prefix.is_empty() {
            return self.inner.list(prefix, depth);
        }
        stream::once(self.cached_root(depth))
            .map_ok(|entries| {
                let len = entries.len();
                stream::iter((0..len).filter_map(move |i| entries.get(i).cloned().map(Ok)))
            })
            .try_flatten()
            .boxed()
    }
}

impl fmt::Debug for CachingBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachingBucket")
            .field("inner", &self.inner)
            .field("config", &self.shared.config)
            .finish_non_exhaustive()
    }
}

fn classify(key: &str) -> Class {
    if let Some((folder, file)) = key.rsplit_once('/') {
        if file == "meta.json" || file == "deletion-mark.json" {
            return Class::Meta;
        }
        let is_number = !file.is_empty() && file.bytes().all(|byte| byte.is_ascii_digit());
        if is_number && folder.ends_with("/chunks") {
            return Class::Chunks;
        }
    }
    Class::Other
}

fn attributes_key(key: &str) -> String {
    format!("attrs:{key}")
}

fn exists_key(key: &str) -> String {
    format!("exists:{key}")
}

fn content_key(key: &str) -> String {
    format!("content:{key}")
}

fn subrange_key(key: &str, range: &Range<u64>) -> String {
    format!("subrange:{key}:{}:{}", range.start, range.end)
}

#[cfg(test)]
mod tests;
