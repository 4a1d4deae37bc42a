//! Caches that two processes share, in real servers: what one stored, the other finds.
#![expect(
    clippy::unwrap_used,
    reason = "tests, and clippy takes their helpers for code"
)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use rutile_block::BlockId;
use rutile_blockio::IndexCache;
use rutile_cache::{CacheParts, open_caching_bucket, open_index_cache};
use rutile_model::ByteSize;
use rutile_objstore::fake::{FaultyBucket, MemoryBucket};
use rutile_objstore::{BucketReader, Depth};
use rutile_runtime::{ManualClock, SystemClock, TaskGroup};
use rutile_telemetry::Registry;
use rutile_testkit::metrics;
use rutile_testkit::servers::{self, Server};

const META: &str = "01M820PD8CGVZHQSH6D0C2DRFD/meta.json";
const MARK: &str = "01M820PD8CGVZHQSH6D0C2DRFD/deletion-mark.json";
const CHUNKS: &str = "01M820PD8CGVZHQSH6D0C2DRFD/chunks/000001";
const HOUR_MS: i64 = 3_600_000;

/// A server, and how it is configured.
struct Backend {
    server: Server,
    yaml: String,
    /// Counts writes that were made.
    written: &'static str,
    /// In the names of its metrics.
    name: &'static str,
}

fn backends() -> [Backend; 2] {
    let (memcached, redis) = (servers::memcached(), servers::redis(&[]));
    let of_memcached = format!(
        "type: MEMCACHED\nconfig: {{addresses: ['{}'], timeout: 30s}}\n",
        memcached.address()
    );
    let of_redis = format!(
        "type: REDIS\nconfig: {{addr: '{}', read_timeout: 30s}}\n",
        redis.address()
    );
    [
        Backend {
            server: memcached,
            yaml: of_memcached,
            written: "thanos_memcached_operation_duration_seconds_count",
            name: "memcached",
        },
        Backend {
            server: redis,
            yaml: of_redis,
            written: "thanos_redis_operation_duration_seconds_count",
            name: "redis",
        },
    ]
}

/// One of the processes.
struct Process {
    parts: CacheParts,
    clock: Arc<ManualClock>,
    _tasks: TaskGroup,
}

impl Process {
    fn new() -> Self {
        let tasks = TaskGroup::new("process");
        let clock = Arc::new(ManualClock::new(1_000 * HOUR_MS));
        Self {
            parts: CacheParts {
                clock: Arc::clone(&clock) as _,
                registry: Registry::new(),
                tasks: tasks.spawner(),
            },
            clock,
            _tasks: tasks,
        }
    }

    fn index(&self, yaml: &str) -> Arc<dyn IndexCache> {
        open_index_cache(Some(yaml), ByteSize(0), &self.parts).unwrap()
    }

    /// Waits until so many writes were made.
    async fn has_written(&self, counter: &str, count: u64) {
        loop {
            let text = self.parts.registry.render();
            let mut lines = text.lines().filter(|line| line.starts_with(counter));
            let of_writes = lines
                .find(|line| line.contains("operation=\"set\""))
                .unwrap();
            if of_writes
                .rsplit(' ')
                .next()
                .unwrap()
                .parse::<u64>()
                .unwrap()
                >= count
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

fn block(number: u8) -> BlockId {
    BlockId::from_bytes([number; 16])
}

#[tokio::test]
async fn parts_of_indexes_are_found_by_all() {
    for backend in backends() {
        let (one, other) = (Process::new(), Process::new());
        let cache = one.index(&backend.yaml);
        cache.store_postings(block(1), ("ab", "c"), "ab=c".into());
        cache.store_postings(block(1), ("a", "bc"), "a=bc".into());
        cache.store_expanded_postings(block(1), "abc", "expanded".into());
        cache.store_series(block(1), 7, "series".into());
        one.has_written(backend.written, 4).await;

        let cache = other.index(&backend.yaml);
        let some = |text: &'static str| Some(Bytes::from(text));
        let keys = [("a", "bc"), ("a", "b"), ("ab", "c"), ("abc", "")];
        let found = cache.postings(block(1), &keys).await;
        assert_eq!(found, [some("a=bc"), None, some("ab=c"), None]);
        assert_eq!(cache.postings(block(2), &keys[..1]).await, [None]);
        assert_eq!(
            cache.expanded_postings(block(1), "abc").await,
            some("expanded")
        );
        assert_eq!(cache.expanded_postings(block(1), "ab").await, None);
        assert_eq!(
            cache.series(block(1), &[6, 7]).await,
            [None, some("series")]
        );
        let text = other.parts.registry.render();
        let hits = "thanos_store_index_cache_hits_total{item_type=\"Postings\",tenant=\"default-tenant\"} 2";
        assert!(text.lines().any(|line| line == hits), "{text}");

        let only = other.index(&format!("{}enabled_items: [Postings]\n", backend.yaml));
        assert_eq!(only.series(block(1), &[7]).await, [None]);
        assert_eq!(only.postings(block(1), &keys[..1]).await, [some("a=bc")]);

        // Down, it has nothing; writing to it and asking it fails nobody.
        drop(backend.server);
        cache.store_series(block(1), 8, "series".into());
        assert_eq!(cache.series(block(1), &[7, 8]).await, [None, None]);
        let of_alerts = metrics::promised(&["Caches"]).into_iter();
        let of_alerts = of_alerts.filter(|m| m.in_mixin && m.name.contains(backend.name));
        metrics::require(&one.parts.registry.render(), of_alerts);
    }
}

/// Everything that is cached of a bucket.
async fn read_all(bucket: &dyn BucketReader) -> String {
    let ranges = bucket.get_ranges(CHUNKS, &[3..12, 50..95]).await.unwrap();
    let meta = bucket.get(META, 1_000).await.unwrap();
    let exists = [bucket.exists(META).await, bucket.exists(MARK).await].map(Result::unwrap);
    let listed: Vec<_> = bucket.list("", Depth::Shallow).try_collect().await.unwrap();
    let size = bucket.attributes(CHUNKS).await.unwrap().size;
    format!("{ranges:?} {meta:?} {exists:?} {listed:?} {size}")
}

#[tokio::test]
async fn a_bucket_is_read_once_for_all() {
    for backend in backends() {
        let yaml = format!(
            "{}chunk_subrange_size: 10\nblocks_iter_ttl: 10m\n",
            backend.yaml
        );
        let memory = MemoryBucket::new(Arc::new(SystemClock));
        let body: Vec<u8> = (0..95).collect();
        memory.insert(CHUNKS, body, 1);
        memory.insert(META, "meta", 1);
        let asked = FaultyBucket::new(Arc::new(memory.clone()));
        let open = |process: &Process, identity: &str| {
            let inner = Arc::new(asked.clone());
            open_caching_bucket(Some(&yaml), inner, identity, &process.parts).unwrap()
        };
        let (one, other) = (Process::new(), Process::new());
        let expected = read_all(&memory).await;
        let bucket = open(&one, "bucket");
        // What it reads is written soon: until then it reads again.
        loop {
            asked.forget_calls();
            assert_eq!(read_all(&*bucket).await, expected);
            if asked.calls().is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let bucket = open(&other, "bucket");
        assert_eq!(read_all(&*bucket).await, expected);
        assert_eq!(asked.calls().len(), 0, "{:?}", asked.calls());

        // Another bucket in the same cache has a listing of its own.
        read_all(&*open(&Process::new(), "other")).await;
        assert_eq!(asked.calls().len(), 1, "{:?}", asked.calls());
        asked.forget_calls();
        // Absence and the listing are over first.
        other.clock.advance(20 * 60_000);
        assert_eq!(read_all(&*bucket).await, expected);
        assert_eq!(asked.calls().len(), 2, "{:?}", asked.calls());

        drop(backend.server);
        assert_eq!(read_all(&*bucket).await, expected);
    }
}
