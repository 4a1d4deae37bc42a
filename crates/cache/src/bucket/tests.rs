use std::time::Duration;

use proptest::prelude::{ProptestConfig, Strategy, proptest};
use rutile_model::{ByteSize, ErrorKind};
use rutile_objstore::conformance::{self, Traits};
use rutile_objstore::fake::{Fault, FaultyBucket, MemoryBucket, Rule};
use rutile_objstore::{Bucket, MultipartUpload, PutMode, UnfinishedUpload};
use rutile_runtime::{Clock, ManualClock, SystemClock, TaskGroup};
use rutile_telemetry::Registry;

use super::*;
use crate::{Backend, MemoryConfig};

const META: &str = "01M820PD8CGVZHQSH6D0C2DRFD/meta.json";
const CHUNKS: &str = "01M820PD8CGVZHQSH6D0C2DRFD/chunks/000001";
const MINUTE_MS: i64 = 60_000;

/// A caching bucket over one in memory that notes what is asked.
struct Fixture {
    memory: MemoryBucket,
    asked: FaultyBucket,
    clock: Arc<ManualClock>,
    registry: Registry,
    bucket: CachingBucket,
}

fn config() -> CachingBucketConfig {
    let yaml = "type: IN-MEMORY\nconfig: {max_size: 1MB, max_item_size: 100KB}\n\
                chunk_subrange_size: 10\nmax_chunks_get_range_requests: 2";
    CachingBucketConfig::parse(yaml).unwrap()
}

/// A cache in memory needs no tasks.
fn parts(clock: Arc<dyn Clock>, registry: &Registry) -> CacheParts {
    CacheParts {
        clock,
        registry: registry.clone(),
        tasks: TaskGroup::new("test").spawner(),
    }
}

fn fixture(config: CachingBucketConfig) -> Fixture {
    let memory = MemoryBucket::new(Arc::new(SystemClock));
    let asked = FaultyBucket::new(Arc::new(memory.clone()));
    let clock = Arc::new(ManualClock::new(1_000_000));
    let registry = Registry::new();
    let inner = Arc::new(asked.clone());
    let parts = parts(Arc::clone(&clock) as _, &registry);
    let bucket = CachingBucket::new(inner, config, &parts).unwrap();
    Fixture {
        memory,
        asked,
        clock,
        registry,
        bucket,
    }
}

impl Fixture {
    fn body(&self) -> Vec<u8> {
        let body: Vec<u8> = (0..95).collect();
        self.memory.insert(CHUNKS, body.clone(), 1);
        body
    }

    /// How often the bucket was asked since the last time.
    fn asked(&self) -> usize {
        let calls = self.asked.calls().len();
        self.asked.forget_calls();
        calls
    }

    #[track_caller]
    fn metric(&self, line: &str) {
        let text = self.registry.render();
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }

    async fn listed(&self) -> Vec<String> {
        let entries = self.bucket.list("", Depth::Shallow);
        entries
            .map_ok(|entry| entry.key)
            .try_collect()
            .await
            .unwrap()
    }
}

#[track_caller]
fn assert_kind<T: fmt::Debug>(result: BucketResult<T>, kind: ErrorKind) {
    assert_eq!(result.unwrap_err().kind, kind);
}

#[test]
fn keys_have_classes() {
    assert_eq!(classify(META), Class::Meta);
    assert_eq!(classify("x/deletion-mark.json"), Class::Meta);
    assert_eq!(classify(CHUNKS), Class::Chunks);
    for other in [
        "meta.json",
        "x/no-compact-mark.json",
        "x/index",
        "x/chunks/a1",
        "x/chunks/",
        "x/mychunks/1",
    ] {
        assert_eq!(classify(other), Class::Other, "{other}");
    }
}

#[tokio::test]
async fn content_lives_for_its_time() {
    let t = fixture(config());
    t.memory.insert(META, "{}", 1);
    assert_eq!(t.bucket.get(META, 100).await.unwrap(), "{}");
    assert_eq!(t.bucket.get(META, 100).await.unwrap(), "{}");
    assert!(t.bucket.exists(META).await.unwrap());
    assert_eq!(t.asked(), 1);
    assert_kind(t.bucket.get(META, 1).await, ErrorKind::Exhausted);
    assert_eq!(t.asked(), 0);

    t.clock.advance(24 * 60 * MINUTE_MS - 1);
    assert_eq!(t.bucket.get(META, 100).await.unwrap(), "{}");
    assert_eq!(t.asked(), 0);
    t.clock.advance(1);
    assert_eq!(t.bucket.get(META, 100).await.unwrap(), "{}");
    assert_eq!(t.asked(), 1);

    t.metric("thanos_store_bucket_cache_operation_requests_total{config=\"meta.jsons\",operation=\"get\"} 5");
    t.metric(
        "thanos_store_bucket_cache_operation_hits_total{config=\"meta.jsons\",operation=\"get\"} 3",
    );
    t.metric("thanos_cache_inmemory_hits_on_expired_data_total{name=\"caching-bucket\"} 2");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_prolongs_nothing() {
    let t = fixture(config());
    t.memory.insert(META, "{}", 1);
    t.bucket.get(META, 100).await.unwrap();
    assert_eq!(t.asked(), 1);
    // Once before the moment when it was asked for, once to a moment after it.
    for back_ms in [-3_600_000, 3_600_000] {
        t.clock.advance(back_ms);
        t.bucket.get(META, 100).await.unwrap();
        assert_eq!(t.asked(), 0);
    }
    let day = Duration::from_millis(24 * 60 * MINUTE_MS.unsigned_abs());
    tokio::time::advance(day).await;
    t.bucket.get(META, 100).await.unwrap();
    assert_eq!(t.asked(), 1);
}

#[tokio::test]
async fn absence_lives_for_its_time() {
    let t = fixture(config());
    assert_kind(t.bucket.get(META, 100).await, ErrorKind::NotFound);
    assert_kind(t.bucket.get(META, 100).await, ErrorKind::NotFound);
    assert!(!t.bucket.exists(META).await.unwrap());
    assert_eq!(t.asked(), 1);
    t.memory.insert(META, "{}", 1);
    t.clock.advance(15 * MINUTE_MS - 1);
    assert_kind(t.bucket.get(META, 100).await, ErrorKind::NotFound);
    assert_eq!(t.asked(), 0);
    t.clock.advance(1);
    assert_eq!(t.bucket.get(META, 100).await.unwrap(), "{}");
    assert!(t.bucket.exists(META).await.unwrap());
    assert_eq!(t.asked(), 1);
}

#[tokio::test]
async fn an_error_is_not_remembered() {
    let t = fixture(config());
    t.body();
    t.memory.insert(META, "{}", 1);
    for kind in [
        ErrorKind::Unavailable,
        ErrorKind::Denied,
        ErrorKind::Exhausted,
    ] {
        t.asked.add(Rule::new(Fault::FailBefore(kind)));
        assert_kind(t.bucket.get(META, 100).await, kind);
        assert_kind(t.bucket.exists(META).await, kind);
        assert_kind(t.bucket.attributes(CHUNKS).await, kind);
        assert_kind(t.bucket.get_range(CHUNKS, 0..5).await, kind);
        assert_kind(
            t.bucket
                .list("", Depth::Shallow)
                .try_collect::<Vec<_>>()
                .await,
            kind,
        );
        t.asked.heal();
    }
    assert_eq!(t.bucket.get(META, 100).await.unwrap(), "{}");
    assert!(t.bucket.exists(META).await.unwrap());
    assert_eq!(t.bucket.attributes(CHUNKS).await.unwrap().size, 95);
    assert_eq!(
        t.bucket.get_range(CHUNKS, 0..2).await.unwrap(),
        [0, 1].as_slice()
    );
    assert_eq!(t.listed().await.len(), 1);
    assert_eq!(t.bucket.shared.flights.len(), 0);
}

#[tokio::test]
async fn a_long_meta_file_is_not_cached() {
    let t = fixture(CachingBucketConfig {
        metafile_max_size: 3,
        ..config()
    });
    t.memory.insert(META, "1234", 1);
    for _ in 0..2 {
        assert_eq!(t.bucket.get(META, 100).await.unwrap(), "1234");
        assert_eq!(t.asked(), 1);
    }
}

#[tokio::test]
async fn the_root_is_listed_once_in_its_time() {
    let t = fixture(config());
    t.memory.insert(META, "{}", 1);
    assert_eq!(t.listed().await, ["01M820PD8CGVZHQSH6D0C2DRFD/"]);
    t.memory.insert("x/meta.json", "{}", 1);
    t.clock.advance(5 * MINUTE_MS - 1);
    assert_eq!(t.listed().await.len(), 1);
    assert_eq!(t.asked(), 1);
    // Another depth, another folder: other listings.
    let all = t
        .bucket
        .list("", Depth::Recursive)
        .try_collect::<Vec<_>>()
        .await
        .unwrap();
    assert_eq!(all.len(), 2);
    for _ in 0..2 {
        let x = t
            .bucket
            .list("x", Depth::Shallow)
            .try_collect::<Vec<_>>()
            .await
            .unwrap();
        assert_eq!(x.len(), 1);
    }
    assert_eq!(t.asked(), 3);
    t.clock.advance(1);
    assert_eq!(t.listed().await.len(), 2);
}

#[tokio::test]
async fn pieces_are_read_once() {
    let t = fixture(config());
    let body = t.body();
    let read = async |range: Range<u64>| {
        let bytes = t.bucket.get_range(CHUNKS, range.clone()).await.unwrap();
        let end = usize::try_from(range.end).unwrap().min(95);
        assert_eq!(bytes, body[usize::try_from(range.start).unwrap()..end]);
        t.asked()
    };
    // Attributes and one read.
    assert_eq!(read(12..25).await, 2);
    assert_eq!(read(10..30).await, 0);
    assert_eq!(read(29..31).await, 1);
    assert_eq!(read(93..200).await, 1);
    assert_eq!(read(90..95).await, 0);
    // Missing are 0..10, 40..90: two reads in one call.
    assert_eq!(read(0..95).await, 1);
    assert_eq!(read(0..95).await, 0);
    t.metric("thanos_store_bucket_cache_getrange_fetched_bytes_total{config=\"chunks\",origin=\"bucket\"} 95");
    t.metric("thanos_store_bucket_cache_getrange_refetched_bytes_total{config=\"chunks\",origin=\"cache\"} 0");
    // Bodies of chunk files as a whole go through.
    t.bucket.get(CHUNKS, 1000).await.unwrap();
    assert_eq!(t.asked(), 1);
}

#[tokio::test]
async fn gaps_are_read_over_to_save_requests() {
    let t = fixture(config());
    let body = t.body();
    for start in [10, 30, 50, 80] {
        t.bucket.get_range(CHUNKS, start..start + 10).await.unwrap();
    }
    // 0..10, 20..30, 40..50, 60..80 and 90..95 are missing; two reads are allowed.
    assert_eq!(t.bucket.get_range(CHUNKS, 0..95).await.unwrap(), body);
    t.metric("thanos_store_bucket_cache_getrange_refetched_bytes_total{config=\"chunks\",origin=\"cache\"} 40");
}

#[tokio::test]
async fn an_object_that_shrank_is_an_error_once() {
    let t = fixture(config());
    t.body();
    t.bucket.get_range(CHUNKS, 0..5).await.unwrap();
    t.memory.insert(CHUNKS, vec![7; 45], 2);
    assert_kind(
        t.bucket.get_range(CHUNKS, 41..60).await,
        ErrorKind::Unavailable,
    );
    assert_eq!(
        t.bucket.get_range(CHUNKS, 41..60).await.unwrap(),
        [7; 4].as_slice()
    );
    t.memory.remove(CHUNKS);
    assert_kind(
        t.bucket.get_range(CHUNKS, 20..30).await,
        ErrorKind::NotFound,
    );
}

/// Runs `ask` many times at once while the bucket holds the first answer back, and gives how often
/// the bucket was asked.
async fn at_once<T, F: Future<Output = T>>(t: &Fixture, ask: impl Fn() -> F) -> (Vec<T>, usize) {
    let gate = t.asked.pause(Rule::new);
    let all = futures::future::join_all((0..20).map(|_| ask()));
    let release = async {
        gate.reached().await;
        gate.open();
    };
    let (answers, ()) = tokio::join!(all, release);
    t.asked.heal();
    (answers, t.asked())
}

#[tokio::test]
async fn many_at_once_are_one_request() {
    let t = fixture(config());
    let body = t.body();
    t.memory.insert(META, "{}", 1);
    let (answers, asked) = at_once(&t, || t.bucket.get(META, 100)).await;
    assert!(answers.into_iter().all(|answer| answer.unwrap() == "{}"));
    assert_eq!(asked, 1);
    let (answers, asked) = at_once(&t, || t.bucket.get_range(CHUNKS, 5..35)).await;
    assert!(
        answers
            .into_iter()
            .all(|answer| answer.unwrap() == body[5..35])
    );
    assert_eq!(asked, 2);
    let (answers, asked) = at_once(&t, || t.listed()).await;
    assert!(answers.into_iter().all(|answer| answer.len() == 1));
    assert_eq!(asked, 1);
    let (answers, asked) = at_once(&t, || t.bucket.get("x/meta.json", 100)).await;
    answers
        .into_iter()
        .for_each(|answer| assert_kind(answer, ErrorKind::NotFound));
    assert_eq!(asked, 1);
}

#[tokio::test]
async fn who_waited_for_a_failure_asks_again() {
    let t = fixture(config());
    let body = t.body();
    t.memory.insert(META, "{}", 1);
    t.bucket.attributes(CHUNKS).await.unwrap();
    t.asked.add(Rule::new(Fault::Delay(Duration::ZERO)));
    t.asked
        .add(Rule::new(Fault::FailBefore(ErrorKind::Unavailable)).times(1));
    let (one, two) = tokio::join!(t.bucket.get(META, 9), t.bucket.get(META, 9));
    assert_kind(one, ErrorKind::Unavailable);
    assert_eq!(two.unwrap(), "{}");
    t.asked
        .add(Rule::new(Fault::FailBefore(ErrorKind::Unavailable)).times(1));
    let (one, two) = tokio::join!(
        t.bucket.get_range(CHUNKS, 0..9),
        t.bucket.get_range(CHUNKS, 0..25)
    );
    assert_kind(one, ErrorKind::Unavailable);
    assert_eq!(two.unwrap(), body[..25]);
}

#[tokio::test]
async fn who_waited_for_one_that_went_away_asks_again() {
    let t = fixture(config());
    let body = t.body();
    t.bucket.attributes(CHUNKS).await.unwrap();
    let gate = t.asked.pause(Rule::new);
    let mut leader = Box::pin(t.bucket.get_range(CHUNKS, 0..9));
    assert!(futures::poll!(leader.as_mut()).is_pending());
    gate.reached().await;
    let mut follower = Box::pin(t.bucket.get_range(CHUNKS, 0..9));
    assert!(futures::poll!(follower.as_mut()).is_pending());
    drop(leader);
    gate.open();
    assert_eq!(follower.await.unwrap(), body[..9]);
    assert_eq!(t.bucket.shared.flights.len(), 0);
}

#[test]
fn yaml_opens_it_or_leaves_the_bucket_alone() {
    let memory: Arc<dyn BucketReader> = Arc::new(MemoryBucket::new(Arc::new(SystemClock)));
    let parts = parts(Arc::new(SystemClock), &Registry::new());
    let open = |yaml| open_caching_bucket(yaml, Arc::clone(&memory), "bucket", &parts);
    assert!(format!("{:?}", open(Some("type: IN-MEMORY")).unwrap()).contains("CachingBucket"));
    for none in [None, Some(""), Some(" \n")] {
        assert!(Arc::ptr_eq(&open(none).unwrap(), &memory));
    }
    assert_eq!(
        open(Some("type: GROUPCACHE")).unwrap_err().kind(),
        ErrorKind::Unsupported
    );
}

/// Ranges, several at a time, over an object of 95 bytes.
fn reads() -> impl Strategy<Value = Vec<Vec<Range<u64>>>> {
    let range = (0..95_u64, 1..60_u64).prop_map(|(start, len)| start..start + len);
    proptest::collection::vec(proptest::collection::vec(range, 1..4), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn ranges_are_what_the_object_holds(
        reads in reads(),
        step in 1..40_u64,
        requests in 0..4_usize,
        small: bool,
    ) {
        // A small cache forgets all the time.
        let max_size = ByteSize(if small { 1_000 } else { 1 << 20 });
        let backend = Backend::Memory(MemoryConfig { max_size, max_item_size: ByteSize(500) });
        let max_chunks_get_range_requests = Some(requests).filter(|&n| n > 0);
        let config = CachingBucketConfig {
            backend, chunk_subrange_size: step, max_chunks_get_range_requests, ..config()
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let t = fixture(config);
            let body = t.body();
            let expected = |range: &Range<u64>| {
                let at = |offset| usize::try_from(offset).unwrap().min(95);
                Bytes::copy_from_slice(&body[at(range.start)..at(range.end)])
            };
            for ranges in &reads {
                let read = t.bucket.get_ranges(CHUNKS, ranges).await.unwrap();
                assert_eq!(read, ranges.iter().map(expected).collect::<Vec<_>>());
            }
            let all = reads.iter().flatten().map(|range| t.bucket.get_range(CHUNKS, range.clone()));
            for (range, read) in reads.iter().flatten().zip(futures::future::join_all(all).await) {
                assert_eq!(read.unwrap(), expected(range));
            }
        });
    }
}

/// A caching bucket that can be written to: after a write everything cached is past its time.
#[derive(Debug)]
struct Written {
    cached: CachingBucket,
    inner: MemoryBucket,
    clock: Arc<ManualClock>,
}

#[derive(Debug)]
struct Upload(Box<dyn MultipartUpload>, Arc<ManualClock>);

fn expire_all(clock: &ManualClock) {
    clock.advance(25 * 60 * MINUTE_MS);
}

#[async_trait]
impl BucketReader for Written {
    fn name(&self) -> &str {
        self.cached.name()
    }

    async fn get(&self, key: &str, limit: u64) -> BucketResult<Bytes> {
        self.cached.get(key, limit).await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> BucketResult<Bytes> {
        self.cached.get_range(key, range).await
    }

    async fn get_ranges(&self, key: &str, ranges: &[Range<u64>]) -> BucketResult<Vec<Bytes>> {
        self.cached.get_ranges(key, ranges).await
    }

    async fn attributes(&self, key: &str) -> BucketResult<Attributes> {
        self.cached.attributes(key).await
    }

    async fn exists(&self, key: &str) -> BucketResult<bool> {
        self.cached.exists(key).await
    }

    fn list<'a>(&'a self, prefix: &'a str, depth: Depth) -> BoxStream<'a, BucketResult<Entry>> {
        self.cached.list(prefix, depth)
    }
}

#[async_trait]
impl Bucket for Written {
    async fn put(&self, key: &str, body: Bytes, mode: PutMode) -> BucketResult<()> {
        let done = self.inner.put(key, body, mode).await;
        expire_all(&self.clock);
        done
    }

    async fn start_multipart(&self, key: &str) -> BucketResult<Box<dyn MultipartUpload>> {
        let upload = self.inner.start_multipart(key).await?;
        Ok(Box::new(Upload(upload, Arc::clone(&self.clock))))
    }

    async fn delete(&self, key: &str) -> BucketResult<()> {
        let done = self.inner.delete(key).await;
        expire_all(&self.clock);
        done
    }

    async fn unfinished_uploads(&self) -> BucketResult<Vec<UnfinishedUpload>> {
        self.inner.unfinished_uploads().await
    }

    async fn abort_unfinished(&self, upload: &UnfinishedUpload) -> BucketResult<()> {
        self.inner.abort_unfinished(upload).await
    }
}

#[async_trait]
impl MultipartUpload for Upload {
    async fn put_part(&mut self, part: Bytes) -> BucketResult<()> {
        self.0.put_part(part).await
    }

    async fn complete(&mut self) -> BucketResult<()> {
        let done = self.0.complete().await;
        expire_all(&self.1);
        done
    }

    async fn abort(&mut self) -> BucketResult<()> {
        self.0.abort().await
    }
}

#[tokio::test]
async fn conforms_whatever_is_cached() {
    type Classify = fn(&str) -> Class;
    // The suite writes objects of some MiB: in pieces of three bytes only its small ones.
    let cases: [(Classify, u64); 4] = [
        (classify, 16_000),
        (|_| Class::Meta, 16_000),
        (|_| Class::Chunks, 16_000),
        (
            |key| {
                if key == "ranges" {
                    Class::Chunks
                } else {
                    Class::Other
                }
            },
            3,
        ),
    ];
    for (classify, step) in cases {
        let inner = MemoryBucket::new(Arc::new(SystemClock));
        let clock = Arc::new(ManualClock::new(0));
        let config = CachingBucketConfig {
            chunk_subrange_size: step,
            ..config()
        };
        let cached = CachingBucket::classified(
            Arc::new(inner.clone()),
            config,
            &parts(Arc::clone(&clock) as _, &Registry::new()),
            classify,
        )
        .unwrap();
        let bucket = Arc::new(Written {
            cached,
            inner,
            clock,
        });
        conformance::run(bucket, Traits::default()).await;
    }
}
