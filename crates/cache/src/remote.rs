//! Caches that processes share: what is the same for memcached and Redis.
//!
//! Whatever keeps such a cache from answering is a miss: it makes queries slower, and never fails them. Reads are asked
//! for in batches, a few at a time, all within one timeout; a server whose reads fail in a row is left alone for a
//! while. Writes wait in a queue that is bounded in number and bytes; what does not fit is dropped and counted.
//!
//! What is stored carries a digest of key and value: what does not fit its key, or was cut off, is a miss, too. Keys
//! begin with a version of our own, since values of the reference under the same keys would not be understood.

mod breaker;
mod connection;
mod memcached;
mod metrics;
mod redis;
mod servers;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{BufMut, Bytes, BytesMut};
use futures::stream::{FuturesUnordered, StreamExt};
use rutile_model::ErrorKind;
use rutile_runtime::Spawner;
use rutile_telemetry::Registry;
use sha2::{Digest, Sha256};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, timeout};
use tokio_stream::wrappers::ReceiverStream;
use xxhash_rust::xxh64::Xxh64;

use self::breaker::Breaker;
use self::metrics::{Metrics, READ, WRITE};
use self::servers::{Peer, Servers};
use crate::config::{BreakerConfig, MemcachedConfig, RedisConfig};
use crate::{Error, Result};

/// Before every key. Another number says that values of older versions are not understood any more.
const VERSION: &str = "rutile1:";
/// Bytes before every value: the digest.
const DIGEST_BYTES: usize = 8;
/// The longest key that memcached takes.
const MAX_KEY_BYTES: usize = 250;
/// Bytes of keys and values that may wait to be written.
const MAX_QUEUED_BYTES: usize = 64 << 20;
/// Keys of a read, and reads at a time, where the configuration says that there is no limit.
const MAX_BATCH: usize = 1_000;
const MAX_READS: usize = 1_000;
/// Memcached takes a longer lifetime for a date.
const MAX_TTL: Duration = Duration::from_hours(30 * 24);

/// One server.
#[async_trait]
trait Server: fmt::Debug + Send + Sync + 'static {
    /// The values of `keys`, in their order.
    async fn get(&self, keys: &[&str]) -> Answer<Vec<Option<Bytes>>>;

    /// Keeps a value for `ttl`, in whole seconds.
    async fn set(&self, key: &str, value: &Bytes, ttl: Duration) -> Answer<()>;

    /// Forgets a value.
    async fn delete(&self, key: &str) -> Answer<()>;
}

type Answer<T> = std::result::Result<T, Trouble>;

/// Why a server did not do what it was asked.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("no answer in time")]
    Timeout,
    #[error("{0}")]
    Network(#[from] std::io::Error),
    /// What the server said.
    #[error("the server says: {0}")]
    Refused(String),
    #[error("not understood: {0}")]
    Malformed(&'static str),
}

/// A cache behind the network. Clones share connections and queue.
#[derive(Clone)]
pub(crate) struct RemoteCache(Arc<Shared>);

struct Shared {
    limits: Limits,
    servers: Arc<Servers>,
    reads: Semaphore,
    writes: Breaker,
    queue: mpsc::Sender<Write>,
    queued_bytes: AtomicUsize,
    metrics: Metrics,
}

/// How much at a time, and for how long.
#[derive(Debug, Clone, Copy)]
struct Limits {
    read_timeout: Duration,
    write_timeout: Duration,
    batch: usize,
    reads: usize,
    writes: usize,
    queue: usize,
    max_value: Option<usize>,
    breaker: BreakerConfig,
}

/// Something to be written.
struct Write {
    key: String,
    /// None: forget it.
    value: Option<Bytes>,
    ttl: Duration,
}

impl RemoteCache {
    /// One or several memcached, under this name in metrics.
    ///
    /// # Errors
    /// Addresses that are none; names that cannot be looked up on this machine.
    pub(crate) fn memcached(
        flag: &'static str,
        config: &MemcachedConfig,
        name: &str,
        registry: &Registry,
        tasks: &Spawner,
    ) -> Result<Self> {
        let limits = Limits {
            read_timeout: config.timeout.to_std(),
            write_timeout: config.timeout.to_std(),
            batch: or_all(config.max_get_multi_batch_size, MAX_BATCH),
            reads: or_all(config.max_get_multi_concurrency, MAX_READS),
            writes: config.max_async_concurrency,
            queue: config.max_async_buffer_size,
            max_value: usize::try_from(config.max_item_size.bytes())
                .ok()
                .filter(|bytes| *bytes > 0),
            breaker: config.set_async_circuit_breaker_config,
        };
        let registry = registry.with_label("name", name);
        let addresses = config.parsed_addresses(flag)?;
        let interval = config.dns_provider_update_interval.to_std();
        let max_idle = config.max_idle_connections;
        let connect = move |address: &str| {
            let server = memcached::Memcached::new(address, max_idle, limits.max_value);
            Arc::new(server) as Arc<dyn Server>
        };
        let servers = servers::looked_up(addresses, interval, &registry, tasks, connect);
        let servers = servers.map_err(|message| Error::new(ErrorKind::Invalid, flag, message))?;
        let metrics = Metrics::of_memcached(&registry);
        Ok(Self::new(limits, servers, metrics, tasks))
    }

    /// A Redis, under this name in metrics.
    pub(crate) fn redis(
        config: &RedisConfig,
        name: &str,
        registry: &Registry,
        tasks: &Spawner,
    ) -> Self {
        let limits = Limits {
            read_timeout: config.read_timeout.to_std(),
            write_timeout: config.write_timeout.to_std(),
            batch: or_all(config.get_multi_batch_size, MAX_BATCH),
            reads: or_all(config.max_get_multi_concurrency, MAX_READS),
            writes: config.max_async_concurrency,
            queue: config.max_async_buffer_size,
            max_value: None,
            breaker: config.set_async_circuit_breaker_config,
        };
        let server = Arc::new(redis::Redis::new(config));
        let servers = Servers::fixed(vec![(config.addr.clone(), server as Arc<dyn Server>)]);
        let metrics = Metrics::of_redis(&registry.with_label("name", name));
        Self::new(limits, servers, metrics, tasks)
    }

    fn new(limits: Limits, servers: Arc<Servers>, metrics: Metrics, tasks: &Spawner) -> Self {
        let (queue, writes) = mpsc::channel(limits.queue.max(1));
        let shared = Arc::new(Shared {
            limits,
            servers,
            reads: Semaphore::new(limits.reads.min(Semaphore::MAX_PERMITS)),
            writes: Breaker::new(limits.breaker),
            queue,
            queued_bytes: AtomicUsize::new(0),
            metrics,
        });
        // The queue ends with the last clone, and this task with the queue.
        let writer = Arc::downgrade(&shared);
        drop(tasks.spawn("cache-writes", async move {
            let writes = ReceiverStream::new(writes);
            let each = writes.for_each_concurrent(limits.writes, |write| {
                let writer = writer.upgrade();
                async move {
                    if let Some(shared) = writer {
                        shared.write(write).await;
                    }
                }
            });
            each.await;
        }));
        Self(shared)
    }

    /// The values of `keys`, in their order; none for whatever cannot be had in time.
    pub(crate) async fn get(&self, keys: &[String]) -> Vec<Option<Bytes>> {
        let shared = &*self.0;
        let keys: Vec<String> = keys.iter().map(|key| remote_key(key)).collect();
        let batches = shared.servers.now().divide(&keys, shared.limits.batch);
        // All at once: a semaphore says how many are under way.
        let mut reads = FuturesUnordered::new();
        for (peer, places) in batches {
            reads.push(shared.read(peer, places, &keys));
        }
        let mut values = vec![None; keys.len()];
        while let Some(found) = reads.next().await {
            for (place, value) in found {
                if let Some(slot) = values.get_mut(place) {
                    *slot = Some(value);
                }
            }
        }
        values
    }

    /// Keeps a value for a time, soon, unless there is too much to be kept.
    pub(crate) fn set(&self, key: &str, value: &[u8], ttl: Duration) {
        let shared = &self.0;
        let length = value.len() + DIGEST_BYTES;
        if shared.limits.max_value.is_some_and(|max| length > max) {
            shared.metrics.too_large.inc();
            return;
        }
        let key = remote_key(key);
        let value = Some(sealed(&key, value));
        shared.enqueue(Write { key, value, ttl });
    }

    /// Forgets a value, soon.
    pub(crate) fn delete(&self, key: &str) {
        let (key, value, ttl) = (remote_key(key), None, Duration::ZERO);
        self.0.enqueue(Write { key, value, ttl });
    }
}

impl Shared {
    /// What the server has of the keys at these places; nothing if it fails.
    async fn read(
        &self,
        peer: Arc<Peer>,
        places: Vec<usize>,
        keys: &[String],
    ) -> Vec<(usize, Bytes)> {
        let Some(tried) = peer.reads.begin() else {
            self.metrics.given_up_reads.inc();
            return Vec::new();
        };
        let asked: Vec<&str> = places
            .iter()
            .filter_map(|place| keys.get(*place).map(String::as_str))
            .collect();
        let started = Instant::now();
        let read = async {
            // Nobody closes it.
            let _turn = self.reads.acquire().await;
            self.metrics.begun(READ);
            peer.server.get(&asked).await
        };
        let answer = timeout(self.limits.read_timeout, read).await;
        let answer = answer.unwrap_or(Err(Trouble::Timeout));
        if peer.reads.ended(tried, answer.is_ok()) {
            tracing::warn!(server = %peer.address, "reads fail: the cache is left alone for a while");
        }
        let values = match answer {
            Ok(values) => values,
            Err(trouble) => {
                tracing::debug!(server = %peer.address, err = %trouble, "cannot read from the cache");
                self.metrics.failed(READ, &trouble);
                return Vec::new();
            }
        };
        let bytes = values.iter().flatten().map(Bytes::len).sum();
        self.metrics.done(READ, bytes, started.elapsed());
        let mut found = Vec::new();
        for ((place, key), value) in places.into_iter().zip(asked).zip(values) {
            match value.map(|value| opened(key, &value)) {
                Some(Some(value)) => found.push((place, value)),
                Some(None) => self.metrics.damaged.inc(),
                None => {}
            }
        }
        found
    }

    fn enqueue(&self, write: Write) {
        let bytes = write.bytes();
        let queued = self.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        if queued + bytes > MAX_QUEUED_BYTES || self.queue.try_send(write).is_err() {
            self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.metrics.dropped.inc();
        }
    }

    async fn write(&self, write: Write) {
        let bytes = write.bytes();
        let started = Instant::now();
        let peers = self.servers.now();
        let (Some(peer), Some(tried)) = (peers.of(&write.key), self.writes.begin()) else {
            self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.metrics.given_up_writes.inc();
            return;
        };
        self.metrics.begun(WRITE);
        let done = async {
            match &write.value {
                Some(value) => {
                    let ttl = write.ttl.clamp(Duration::from_secs(1), MAX_TTL);
                    peer.server.set(&write.key, value, ttl).await
                }
                None => peer.server.delete(&write.key).await,
            }
        };
        let done = timeout(self.limits.write_timeout, done).await;
        let done = done.unwrap_or(Err(Trouble::Timeout));
        if self.writes.ended(tried, done.is_ok()) {
            tracing::warn!("writes fail: nothing is written to the cache for a while");
        }
        match done {
            Ok(()) => self.metrics.done(WRITE, bytes, started.elapsed()),
            Err(trouble) => {
                tracing::debug!(server = %peer.address, err = %trouble, "cannot write to the cache");
                self.metrics.failed(WRITE, &trouble);
            }
        }
        self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Write {
    fn bytes(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Bytes::len)
    }
}

impl fmt::Debug for RemoteCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteCache")
            .field("limits", &self.0.limits)
            .field("servers", &self.0.servers)
            .finish_non_exhaustive()
    }
}

/// The key as the server gets it: one that it would not take is replaced by its digest.
fn remote_key(key: &str) -> String {
    let is_fit = key.len() + VERSION.len() <= MAX_KEY_BYTES
        && key.bytes().all(|byte| byte.is_ascii_graphic());
    if is_fit {
        return format!("{VERSION}{key}");
    }
    let digest = Sha256::digest(key);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{VERSION}digest:{digest}")
}

fn sealed(key: &str, value: &[u8]) -> Bytes {
    let mut sealed = BytesMut::with_capacity(DIGEST_BYTES + value.len());
    sealed.put_u64_le(digest(key, value));
    sealed.put_slice(value);
    sealed.freeze()
}

/// What was sealed; `None` if it is damaged, or was stored under another key.
fn opened(key: &str, sealed: &Bytes) -> Option<Bytes> {
    let (found, _) = sealed.split_first_chunk()?;
    let value = sealed.slice(DIGEST_BYTES..);
    (u64::from_le_bytes(*found) == digest(key, &value)).then_some(value)
}

fn digest(key: &str, value: &[u8]) -> u64 {
    let mut digest = Xxh64::new(0);
    digest.update(&(key.len() as u64).to_le_bytes());
    digest.update(key.as_bytes());
    digest.update(value);
    digest.digest()
}

/// In the configuration, 0 is no limit.
fn or_all(configured: usize, all: usize) -> usize {
    if configured == 0 { all } else { configured }
}

#[cfg(test)]
mod tests;
