//! Metrics, retries, deadlines, limits and prefixes around a bucket in memory.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use rutile_model::ErrorKind;
use rutile_objstore::conformance::{self, Traits};
use rutile_objstore::fake::{Fault, FaultyBucket, MemoryBucket, Rule};
use rutile_objstore::probe::{self, ConditionalCreate};
use rutile_objstore::wrap::{Backoff, Deadline, Deadlines, Limited, Metered, Prefixed, Retrying};
use rutile_objstore::{Bucket, BucketReader as _, Depth, Operation, PutMode, open};
use rutile_runtime::{ManualClock, SeededEntropy};
use rutile_telemetry::Registry;

use crate::cloud::context;

fn memory() -> Arc<MemoryBucket> {
    Arc::new(MemoryBucket::new(Arc::new(ManualClock::new(1_000))))
}

fn faulty() -> Arc<FaultyBucket> {
    Arc::new(FaultyBucket::new(memory()))
}

fn metered(bucket: Arc<dyn Bucket>) -> (Metered<dyn Bucket>, Registry) {
    let registry = Registry::new();
    let clock = Arc::new(ManualClock::new(1_234_000));
    (Metered::new(bucket, &registry, clock), registry)
}

#[tokio::test]
async fn wrappers_conform() {
    let buckets: [Arc<dyn Bucket>; 5] = [
        Arc::new(Prefixed::new(memory(), "a/b")),
        Arc::new(Limited::new(memory(), 3)),
        Arc::new(Deadline::new(memory(), Deadlines::default())),
        Arc::new(Retrying::new(memory(), Backoff::default())),
        Arc::new(metered(memory()).0),
    ];
    for bucket in buckets {
        conformance::run(bucket, Traits::default()).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "type: filesystem\nprefix: a/b\nconfig: {{directory: '{}'}}",
        folder.path().display()
    );
    let traits = Traits {
        flat_keys: false,
        ..Traits::default()
    };
    conformance::run(open(&config, &context()).unwrap(), traits).await;
}

#[tokio::test]
async fn a_prefix_is_seen_by_nobody() {
    let inner = memory();
    inner.insert("other/object", "x", 0);
    inner.insert("tenant-b/object", "x", 0);
    let bucket = Prefixed::new(Arc::clone(&inner), "tenant");
    bucket
        .put("block/meta.json", "{}".into(), PutMode::Create)
        .await
        .unwrap();
    assert!(inner.body("tenant/block/meta.json").is_some());
    let keys: Vec<String> = bucket
        .list("", Depth::Recursive)
        .map_ok(|entry| entry.key)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(keys, ["block/meta.json"]);
    let error = bucket.get("absent", 1).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.key.as_str()),
        (ErrorKind::NotFound, "absent")
    );
}

#[tokio::test(start_paused = true)]
async fn passing_failures_are_tried_again_with_growing_waits() {
    let inner = faulty();
    inner
        .put("key", "body".into(), PutMode::Overwrite)
        .await
        .unwrap();
    let backoff = Backoff {
        tries: 4,
        ..Backoff::default()
    };
    let bucket = Retrying::new(Arc::clone(&inner), backoff);
    let fail = |times| Rule::new(Fault::FailBefore(ErrorKind::Unavailable)).times(times);

    inner.add(fail(3));
    let start = tokio::time::Instant::now();
    assert_eq!(bucket.get("key", 10).await.unwrap(), "body");
    assert_eq!(start.elapsed(), Duration::from_secs(1 + 2 + 4));

    inner.forget_calls();
    inner.heal();
    inner.add(fail(4));
    assert_eq!(
        bucket.get("key", 10).await.unwrap_err().kind(),
        ErrorKind::Unavailable
    );
    assert_eq!(inner.count(Operation::Get), 4);

    inner.heal();
    inner.add(fail(1));
    let keys: Vec<_> = bucket.list("", Depth::Shallow).try_collect().await.unwrap();
    assert_eq!(
        keys.len(),
        1,
        "a listing that fails at its beginning starts again"
    );
    inner.heal();
    inner.add(Rule::new(Fault::ListFails(1)));
    let listed: Vec<_> = bucket.list("", Depth::Shallow).collect().await;
    assert!(
        listed[0].is_ok() && listed[1].is_err(),
        "one that fails later does not"
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_second_try_would_spoil_is_tried_once() {
    let inner = faulty();
    let bucket = Retrying::new(Arc::clone(&inner), Backoff::default());
    inner.add(Rule::new(Fault::FailAfter(ErrorKind::Unavailable)));
    let created = bucket.put("key", "mine".into(), PutMode::Create).await;
    assert_eq!(
        created.unwrap_err().kind(),
        ErrorKind::Unavailable,
        "not: exists already"
    );
    assert_eq!(inner.count(Operation::Put), 1);
    inner.heal();
    inner.add(Rule::new(Fault::FailBefore(ErrorKind::Denied)));
    inner.forget_calls();
    bucket.get("key", 10).await.unwrap_err();
    assert_eq!(inner.count(Operation::Get), 1, "denied for good");
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_at_its_deadline() {
    let inner = faulty();
    inner
        .put("key", "body".into(), PutMode::Overwrite)
        .await
        .unwrap();
    let bucket = Deadline::new(Arc::clone(&inner), Deadlines::default());
    inner.add(Rule::new(Fault::Delay(Duration::from_secs(4 * 60))));
    assert_eq!(
        bucket.get("key", 10).await.unwrap(),
        "body",
        "bytes may take their time"
    );
    let start = tokio::time::Instant::now();
    let error = bucket.exists("key").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert_eq!(start.elapsed(), Duration::from_secs(3 * 60));
    let listed: Vec<_> = bucket.list("", Depth::Shallow).collect().await;
    assert_eq!(listed.len(), 1, "a listing ends with the error");
    assert!(listed[0].is_err());
}

#[tokio::test]
async fn no_more_requests_than_the_limit_are_under_way() {
    let inner = faulty();
    inner
        .put("key", "0123456789".into(), PutMode::Overwrite)
        .await
        .unwrap();
    let bucket = Limited::new(Arc::clone(&inner), 2);
    let gate = inner.pause(|fault| Rule::new(fault).on([Operation::GetRange]));
    inner.forget_calls();
    let ranges: Vec<_> = (0..5).map(|start| start..start + 1).collect();
    let read = bucket.get_ranges("key", &ranges);
    let watch = async {
        for released in 0..5 {
            gate.reached().await;
            let under_way = inner.count(Operation::GetRange) - released;
            assert!(under_way <= 2, "{under_way} requests are under way");
            gate.release();
        }
    };
    let (read, ()) = tokio::join!(read, watch);
    assert_eq!(read.unwrap(), ["0", "1", "2", "3", "4"]);
}

#[tokio::test]
async fn metrics_are_those_of_the_reference() {
    let inner = faulty();
    let (bucket, registry) = metered(Arc::<FaultyBucket>::clone(&inner));
    bucket
        .put("key", "0123456789".into(), PutMode::Create)
        .await
        .unwrap();
    bucket
        .put("key", "x".into(), PutMode::Create)
        .await
        .unwrap_err();
    bucket.get("key", 100).await.unwrap();
    bucket.get("absent", 100).await.unwrap_err();
    bucket.get_range("absent", 0..1).await.unwrap_err();
    bucket.get_ranges("key", &[0..2, 4..9]).await.unwrap();
    bucket.exists("absent").await.unwrap();
    let _listed: Vec<_> = bucket.list("", Depth::Shallow).collect().await;
    inner.add(Rule::new(Fault::FailBefore(ErrorKind::Unavailable)));
    bucket.delete("key").await.unwrap_err();
    bucket.attributes("key").await.unwrap_err();

    let text = registry.render();
    let expected = [
        ("operations_total", "upload", "2"),
        ("operation_failures_total", "upload", "0"),
        ("operations_total", "get", "2"),
        ("operation_failures_total", "get", "0"),
        ("operations_total", "get_range", "3"),
        ("operation_failures_total", "get_range", "1"),
        ("operation_fetched_bytes_total", "get", "10"),
        ("operation_fetched_bytes_total", "get_range", "7"),
        ("operation_fetched_bytes_total", "upload", "0"),
        ("operation_transferred_bytes_sum", "upload", "10"),
        ("operation_duration_seconds_count", "iter", "1"),
        ("operation_failures_total", "exists", "0"),
        ("operation_failures_total", "delete", "1"),
        ("operation_failures_total", "attributes", "1"),
    ];
    for (name, operation, value) in expected {
        let labels = format!("{{bucket=\"memory\",operation=\"{operation}\"}}");
        let line = format!("thanos_objstore_bucket_{name}{labels} {value}\n");
        assert!(text.contains(&line), "{line:?} is not in:\n{text}");
    }
    let line = "thanos_objstore_bucket_last_successful_upload_time{bucket=\"memory\"} 1234\n";
    assert!(text.contains(line), "{text}");
}

#[tokio::test]
async fn the_probe_tells_what_a_store_does_not_do() {
    let entropy = SeededEntropy::new(7);
    let inner = memory();
    let found = probe::capabilities(&*inner, &entropy).await.unwrap();
    let all = "conditional create atomic, listed times yes, read after write yes, \
               list after write yes";
    assert_eq!(found.to_string(), all);
    assert_eq!(inner.keys(), Vec::<String>::new(), "it cleans up");

    let blind = MemoryBucket::new(Arc::new(ManualClock::new(0))).without_listed_attributes();
    assert!(
        !probe::capabilities(&blind, &entropy)
            .await
            .unwrap()
            .listed_times
    );

    let bucket = faulty();
    bucket.add(
        Rule::new(Fault::Stale(1))
            .on([Operation::Get])
            .key_suffix("/plain"),
    );
    bucket.add(Rule::new(Fault::ListStale(1)));
    let found = probe::capabilities(&*bucket, &entropy).await.unwrap();
    assert!(
        !found.read_after_write && !found.list_after_write,
        "{found}"
    );

    // Two winners: a creation that takes effect after the winner's object was removed.
    let racy = racy::Racy::new(memory());
    let found = probe::capabilities(&racy, &entropy).await.unwrap();
    assert_eq!(found.conditional_create, ConditionalCreate::Racy, "{found}");
    let bucket = faulty();
    bucket.add(Rule::new(Fault::FailBefore(ErrorKind::Unsupported)).key_suffix("/created"));
    let found = probe::capabilities(&*bucket, &entropy).await;
    assert_eq!(
        found.unwrap_err().kind(),
        ErrorKind::Unsupported,
        "the cleaning fails, too"
    );
}

/// An answer that is lost, and a next try that finds what the first one made, say nothing of the store.
#[tokio::test]
async fn the_probe_takes_lost_answers_for_what_they_are() {
    let lost = |key: &str| Rule::new(Fault::FailAfter(ErrorKind::AlreadyExists)).key_suffix(key);
    let entropy = SeededEntropy::new(7);
    let bucket = faulty();
    for key in ["/created", "/race-0", "/race-3"] {
        bucket.add(lost(key).on([Operation::Put]));
    }
    let found = probe::conditional_create(&*bucket, &entropy).await;
    assert_eq!(found.unwrap(), ConditionalCreate::Atomic);
    let bucket = faulty();
    bucket.add(Rule::new(Fault::FailAfter(ErrorKind::AlreadyExists)).on([Operation::Put]));
    let found = probe::conditional_create(&*bucket, &entropy).await;
    assert_eq!(
        found.unwrap_err().kind(),
        ErrorKind::Unavailable,
        "nobody was told"
    );
}

/// A store that looks whether the object is there, and only then writes it.
mod racy {
    use std::ops::Range;
    use std::sync::Arc;

    use bytes::Bytes;
    use futures::stream::BoxStream;
    use rutile_objstore::fake::MemoryBucket;
    use rutile_objstore::{
        Attributes, Bucket, BucketReader, Depth, Entry, Error, MultipartUpload, Operation, PutMode,
        Result, UnfinishedUpload,
    };

    #[derive(Debug)]
    pub(super) struct Racy(Arc<MemoryBucket>);

    impl Racy {
        pub(super) fn new(inner: Arc<MemoryBucket>) -> Self {
            Self(inner)
        }
    }

    #[async_trait::async_trait]
    impl BucketReader for Racy {
        fn name(&self) -> &str {
            self.0.name()
        }
        async fn get(&self, key: &str, limit: u64) -> Result<Bytes> {
            self.0.get(key, limit).await
        }
        async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
            self.0.get_range(key, range).await
        }
        async fn get_ranges(&self, key: &str, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
            self.0.get_ranges(key, ranges).await
        }
        async fn attributes(&self, key: &str) -> Result<Attributes> {
            self.0.attributes(key).await
        }
        async fn exists(&self, key: &str) -> Result<bool> {
            self.0.exists(key).await
        }
        fn list<'a>(&'a self, prefix: &'a str, depth: Depth) -> BoxStream<'a, Result<Entry>> {
            self.0.list(prefix, depth)
        }
    }

    #[async_trait::async_trait]
    impl Bucket for Racy {
        async fn put(&self, key: &str, body: Bytes, mode: PutMode) -> Result<()> {
            if mode == PutMode::Create && self.0.exists(key).await? {
                return Err(Error::already_exists(Operation::Put, self.name(), key));
            }
            tokio::task::yield_now().await;
            self.0.put(key, body, PutMode::Overwrite).await
        }
        async fn start_multipart(&self, key: &str) -> Result<Box<dyn MultipartUpload>> {
            self.0.start_multipart(key).await
        }
        async fn delete(&self, key: &str) -> Result<()> {
            self.0.delete(key).await
        }
        async fn unfinished_uploads(&self) -> Result<Vec<UnfinishedUpload>> {
            self.0.unfinished_uploads().await
        }
        async fn abort_unfinished(&self, upload: &UnfinishedUpload) -> Result<()> {
            self.0.abort_unfinished(upload).await
        }
    }
}
