//! A store gateway on the same bucket: what everybody can read at this moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::TryStreamExt;
use rutile_block::Contract;
use rutile_blockio::NoCache;
use rutile_disk::MemoryDisk;
use rutile_fetcher::{FetcherConfig, Scope};
use rutile_objstore::BucketReader;
use rutile_proto::thanos::{LabelMatcher, SeriesRequest, label_matcher, series_response};
use rutile_runtime::{Clock, CpuPool, Ledger, TaskGroup};
use rutile_store::{
    CallLimits, GatewayConfig, HeaderDownload, Parts, Store, StoreConfig, SyncConfig,
};
use rutile_storeapi::{RequestContext, StoreApi};
use rutile_telemetry::Registry;
use rutile_testkit::{digest, dumps, label_text};

/// The chunks of every series, without the external labels: first and last time, digest.
pub(crate) type Chunks = BTreeMap<String, Vec<(i64, i64, String)>>;

/// A store gateway.
pub(crate) struct Reader {
    store: Store,
    _tasks: TaskGroup,
}

impl Reader {
    pub(crate) fn new(bucket: Arc<dyn BucketReader>, clock: Arc<dyn Clock>) -> Self {
        let tasks = TaskGroup::new("store");
        let parts = Parts {
            bucket,
            disk: Some(Arc::new(MemoryDisk::new())),
            index_cache: Arc::new(NoCache),
            clock,
            cpu: CpuPool::new(2),
            ledger: Ledger::new(256 << 20),
            registry: Registry::new(),
        };
        let contract = Contract::default();
        let config = StoreConfig {
            fetcher: FetcherConfig::default(),
            scope: Scope::default(),
            sync: SyncConfig {
                concurrency: 20,
                header_download: HeaderDownload::Eager,
                close_idle_after: None,
            },
            gateway: GatewayConfig {
                limits: CallLimits::default(),
                max_concurrency: 20,
                series_batch: 10_000,
                min_time: "0000-01-01T00:00:00Z".parse().unwrap(),
                max_time: "9999-12-31T23:59:59Z".parse().unwrap(),
                contract,
            },
            header_sampling: 32,
            max_series_bytes: 64 * 1024,
            max_chunk_bytes: 16_000,
        };
        Self {
            store: Store::build(parts, config, &tasks).unwrap(),
            _tasks: tasks,
        }
    }

    /// Looks at the bucket, and reads everything.
    pub(crate) async fn everything(&self) -> Chunks {
        self.store.syncer.sync().await.unwrap();
        everything(&*self.store.gateway).await
    }
}

/// All raw chunks that a store answers with. No series may come twice, and no warning.
pub(crate) async fn everything(store: &dyn StoreApi) -> Chunks {
    let request = SeriesRequest {
        min_time: i64::MIN,
        max_time: i64::MAX,
        matchers: vec![LabelMatcher {
            r#type: label_matcher::Type::Neq as i32,
            name: "__name__".to_owned(),
            value: String::new(),
        }],
        aggregates: vec![0],
        ..SeriesRequest::default()
    };
    let stream = store
        .series(RequestContext::default(), request)
        .await
        .unwrap();
    let frames: Vec<_> = stream.try_collect().await.unwrap();
    let mut chunks = Chunks::new();
    for message in frames
        .into_iter()
        .flat_map(|frames| frames.decode().unwrap())
    {
        let Some(series_response::Result::Series(series)) = message.result else {
            panic!("not asked for: {message:?}");
        };
        let own = series.labels.iter();
        let own = own.filter(|label| !["cluster", "replica"].contains(&label.name.as_str()));
        let labels = label_text(own.map(|label| (label.name.as_str(), label.value.as_str())));
        let of_series = series.chunks.iter().map(|chunk| {
            let data = &chunk.raw.as_ref().unwrap().data;
            (chunk.min_time, chunk.max_time, digest(data))
        });
        let before = chunks.insert(labels, of_series.collect());
        assert_eq!(before, None, "a series is sent once");
    }
    chunks
}

/// The chunks of raw blocks as their dumps have them.
pub(crate) fn dumped<'a>(blocks: impl IntoIterator<Item = &'a str>) -> Chunks {
    let mut all = Chunks::new();
    for block in blocks {
        for chunk in dumps::chunks(block) {
            let entry = (chunk.min_time, chunk.max_time, chunk.digest);
            all.entry(chunk.labels).or_default().push(entry);
        }
    }
    all.values_mut().for_each(|chunks| chunks.sort());
    all
}
