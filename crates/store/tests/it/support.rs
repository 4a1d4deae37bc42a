//! A store gateway on a bucket, in this process.

use std::sync::Arc;

use futures::TryStreamExt;
use rutile_block::Contract;
use rutile_blockio::{IndexCache, NoCache};
use rutile_disk::{Disk, MemoryDisk};
use rutile_fetcher::{FetcherConfig, Scope};
use rutile_model::TimeOrDuration;
use rutile_objstore::BucketReader;
use rutile_proto::thanos::{LabelMatcher, SeriesRequest, SeriesResponse, label_matcher};
use rutile_runtime::{Clock, CpuPool, Ledger, ManualClock, TaskGroup};
use rutile_store::{
    CallLimits, GatewayConfig, HeaderDownload, Parts, Store, StoreConfig, SyncConfig,
};
use rutile_storeapi::{RequestContext, Result, StoreApi};
use rutile_telemetry::Registry;

/// An hour after the golden buckets were made.
pub(crate) const NOW_MS: i64 = 1_795_367_802_000;

/// A store gateway and what it runs on.
pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) tasks: TaskGroup,
    pub(crate) ledger: Ledger,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) registry: Registry,
}

/// The settings that tests change.
pub(crate) struct Settings {
    pub(crate) limits: CallLimits,
    pub(crate) memory: u64,
    pub(crate) cache: Arc<dyn IndexCache>,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) contract: Contract,
    pub(crate) now_ms: i64,
    pub(crate) max_concurrency: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: CallLimits::default(),
            memory: 256 * 1024 * 1024,
            cache: Arc::new(NoCache),
            disk: Arc::new(MemoryDisk::new()),
            contract: Contract::default(),
            now_ms: NOW_MS,
            max_concurrency: 20,
        }
    }
}

impl Fixture {
    /// A gateway on `bucket` with these settings, before its first sync.
    pub(crate) fn new(bucket: Arc<dyn BucketReader>, settings: Settings) -> Self {
        let tasks = TaskGroup::new("store");
        let clock = Arc::new(ManualClock::new(settings.now_ms));
        let ledger = Ledger::new(settings.memory);
        let registry = Registry::new();
        let parts = Parts {
            bucket,
            disk: Some(settings.disk),
            index_cache: settings.cache,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            cpu: CpuPool::new(2),
            ledger: ledger.clone(),
            registry: registry.clone(),
        };
        let time = |text: &str| text.parse::<TimeOrDuration>().unwrap();
        let config = StoreConfig {
            fetcher: FetcherConfig::default(),
            scope: Scope::default(),
            sync: SyncConfig {
                concurrency: 20,
                header_download: HeaderDownload::Eager,
                close_idle_after: None,
            },
            gateway: GatewayConfig {
                limits: settings.limits,
                max_concurrency: settings.max_concurrency,
                series_batch: 10_000,
                min_time: time("0000-01-01T00:00:00Z"),
                max_time: time("9999-12-31T23:59:59Z"),
                contract: settings.contract,
            },
            header_sampling: 32,
            max_series_bytes: 64 * 1024,
            max_chunk_bytes: 16_000,
        };
        let store = Store::build(parts, config, &tasks).unwrap();
        Self {
            store,
            tasks,
            ledger,
            clock,
            registry,
        }
    }

    /// A gateway on `bucket` after its first sync.
    pub(crate) async fn synced(bucket: Arc<dyn BucketReader>) -> Self {
        let fixture = Self::new(bucket, Settings::default());
        fixture.store.syncer.sync().await.unwrap();
        fixture
    }

    /// All messages of the answer to a Series call.
    pub(crate) async fn series(&self, request: SeriesRequest) -> Result<Vec<SeriesResponse>> {
        series(&*self.store.gateway, request).await
    }
}

/// All messages of the answer to a Series call.
pub(crate) async fn series(
    store: &dyn StoreApi,
    request: SeriesRequest,
) -> Result<Vec<SeriesResponse>> {
    let stream = store.series(RequestContext::default(), request).await?;
    let frames: Vec<_> = stream.try_collect().await?;
    let mut messages = Vec::new();
    for frames in frames {
        messages.extend(frames.decode()?);
    }
    Ok(messages)
}

/// A matcher as the wire has it.
pub(crate) fn matcher(name: &str, op: &str, value: &str) -> LabelMatcher {
    let kind = match op {
        "=" => label_matcher::Type::Eq,
        "!=" => label_matcher::Type::Neq,
        "=~" => label_matcher::Type::Re,
        "!~" => label_matcher::Type::Nre,
        other => panic!("no such operator: {other}"),
    };
    LabelMatcher {
        r#type: kind as i32,
        name: name.to_owned(),
        value: value.to_owned(),
    }
}
