//! A store gateway on a bucket, in this process.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::TryStreamExt;
use rutile_block::Contract;
use rutile_blockio::{IndexCache, NoCache};
use rutile_disk::{Disk, MemoryDisk};
use rutile_fetcher::{FetcherConfig, Scope};
use rutile_model::TimeOrDuration;
use rutile_objstore::{Bucket, BucketReader, PutMode};
use rutile_proto::thanos::{
    LabelMatcher, SeriesRequest, SeriesResponse, label_matcher, series_response,
};
use rutile_runtime::{Clock, CpuPool, Ledger, ManualClock, TaskGroup};
use rutile_store::{
    CallLimits, GatewayConfig, HeaderDownload, Parts, Store, StoreConfig, SyncConfig,
};
use rutile_storeapi::grpc::{Client, ClientOptions, Compression, InfoServer, StoreServer};
use rutile_storeapi::{Batch, RequestContext, Result, Series, StoreApi};
use rutile_telemetry::Registry;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

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
    pub(crate) series_batch: usize,
    pub(crate) header_download: HeaderDownload,
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
            series_batch: 10_000,
            header_download: HeaderDownload::Eager,
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
                header_download: settings.header_download,
                close_idle_after: None,
            },
            gateway: GatewayConfig {
                limits: settings.limits,
                max_concurrency: settings.max_concurrency,
                series_batch: settings.series_batch,
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
        let decoded = frames.decode()?;
        let batch = Batch::decode(&frames)?;
        assert!(batch.series == series_in(&decoded), "a fan-out sees others");
        messages.extend(decoded);
    }
    Ok(messages)
}

/// The series of messages, as a fan-out has them.
fn series_in(messages: &[SeriesResponse]) -> Vec<Series> {
    let of_one = |message: &SeriesResponse| match message.result.clone() {
        Some(series_response::Result::Series(series)) => vec![series],
        Some(series_response::Result::Batch(batch)) => batch.series,
        _ => Vec::new(),
    };
    messages.iter().flat_map(of_one).map(Series::from).collect()
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

/// A gateway behind a port of its own, as long as it lives.
pub(crate) struct Served {
    address: String,
    _tasks: TaskGroup,
}

impl Served {
    pub(crate) async fn start(store: Arc<dyn StoreApi>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let tasks = TaskGroup::new("server");
        let server = Server::builder()
            .add_service(StoreServer::new(Arc::clone(&store)))
            .add_service(InfoServer::new(store))
            .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)));
        drop(tasks.spawn("grpc", server));
        Self {
            address,
            _tasks: tasks,
        }
    }

    /// A client with a connection of its own.
    pub(crate) async fn client(&self, compression: Compression) -> Client {
        let options = ClientOptions {
            compression,
            ..ClientOptions::default()
        };
        Client::connect(&self.address, &options).await.unwrap()
    }
}

/// Puts all files below `folder` into `bucket`, as they are.
pub(crate) async fn upload(folder: &Path, bucket: &dyn Bucket) {
    for (key, path) in files(folder) {
        let body = std::fs::read(&path).unwrap();
        bucket
            .put(&key, body.into(), PutMode::Create)
            .await
            .unwrap();
    }
}

/// All files below `folder`, each with its key, in order.
pub(crate) fn files(folder: &Path) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let key = path.strip_prefix(folder).unwrap().to_str().unwrap();
                found.push((key.to_owned(), path.clone()));
            }
        }
    }
    found.sort();
    found
}
