//! Stores, servers for them, and proxies over these.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::StreamExt;
use rutile_discovery::EndpointSpec;
use rutile_fanout::{Endpoints, EndpointsConfig, Fanout, FanoutConfig};
use rutile_model::{ErrorKind, Labels};
use rutile_proto::thanos::{
    AggrChunk, Chunk, LabelMatcher, LabelNamesRequest, LabelNamesResponse, LabelValuesRequest,
    LabelValuesResponse, SeriesRequest, info::InfoResponse, label_matcher,
};
use rutile_runtime::{Clock, Ledger, SystemClock, TaskGroup};
use rutile_storeapi::{
    Error, Item, ItemStream, RequestContext, Result, Series, SeriesStream, StoreApi,
    grpc::{InfoServer, StoreServer},
    memory::MemoryStore,
};
use rutile_telemetry::Registry;
use tokio::net::TcpListener;
use tonic::transport::{Server, server::TcpIncoming};

/// Servers, and a querier's inside over them. Ends with the test.
pub(crate) struct Cluster {
    _tasks: TaskGroup,
    pub(crate) registry: Registry,
    pub(crate) endpoints: Arc<Endpoints>,
    pub(crate) fanout: Fanout,
}

impl Cluster {
    /// A proxy over endpoints at these addresses, all of which have been asked for Info.
    pub(crate) async fn over(
        specs: Vec<EndpointSpec>,
        config: FanoutConfig,
        tasks: TaskGroup,
    ) -> Self {
        Self::with(
            specs,
            config,
            EndpointsConfig::default(),
            Arc::new(SystemClock),
            tasks,
        )
        .await
    }

    /// The same with settings of the endpoint set.
    pub(crate) async fn with(
        specs: Vec<EndpointSpec>,
        config: FanoutConfig,
        settings: EndpointsConfig,
        clock: Arc<dyn Clock>,
        tasks: TaskGroup,
    ) -> Self {
        let registry = Registry::new();
        let endpoints = Endpoints::new(settings, clock, tasks.spawner(), &registry);
        endpoints.replace(specs);
        endpoints.checked_once().await;
        let stores = Arc::clone(&endpoints);
        let ledger = Ledger::new(1 << 30);
        let fanout = Fanout::new(config, stores, tasks.spawner(), ledger, &registry);
        Self {
            _tasks: tasks,
            registry,
            endpoints,
            fanout,
        }
    }

    /// A proxy over a server for each of these stores.
    pub(crate) async fn of(stores: Vec<Arc<dyn StoreApi>>, config: FanoutConfig) -> Self {
        let tasks = TaskGroup::new("test");
        let mut specs = Vec::new();
        for store in stores {
            specs.push(EndpointSpec::fixed(serve(store, &tasks).await.to_string()));
        }
        Self::over(specs, config, tasks).await
    }
}

/// Serves `store` on a port of its own.
pub(crate) async fn serve(store: Arc<dyn StoreApi>, tasks: &TaskGroup) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    serve_on(listener, store, tasks);
    address
}

pub(crate) fn serve_on(listener: TcpListener, store: Arc<dyn StoreApi>, tasks: &TaskGroup) {
    let server = Server::builder()
        .add_service(StoreServer::new(Arc::clone(&store)))
        .add_service(InfoServer::new(store))
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)));
    drop(tasks.spawn("server", async { server.await.unwrap() }));
}

pub(crate) fn chunk(min_time: i64, data: &'static [u8]) -> AggrChunk {
    AggrChunk {
        min_time,
        max_time: min_time + 99,
        raw: Some(Chunk {
            data: data.into(),
            ..Chunk::default()
        }),
        ..AggrChunk::default()
    }
}

/// A store whose series have one chunk each.
pub(crate) fn store(series: &[Labels], external: &Labels) -> MemoryStore {
    let with_chunk = |labels: &Labels| (labels.clone(), vec![chunk(1_000, b"first")]);
    MemoryStore::new(series.iter().map(with_chunk).collect(), external.clone())
}

/// Everything between 0 and 10 s.
pub(crate) fn everything() -> SeriesRequest {
    SeriesRequest {
        min_time: 0,
        max_time: 10_000,
        matchers: vec![matcher("__name__", label_matcher::Type::Neq, "")],
        ..SeriesRequest::default()
    }
}

pub(crate) fn matcher(name: &str, kind: label_matcher::Type, value: &str) -> LabelMatcher {
    LabelMatcher {
        r#type: kind.into(),
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

/// Reads to the end: the series, the warnings, and the error if there is one.
pub(crate) async fn collect(mut items: ItemStream) -> (Vec<Series>, Vec<String>, Option<Error>) {
    let (mut series, mut warnings) = (Vec::new(), Vec::new());
    while let Some(item) = items.next().await {
        match item {
            Ok(Item::Series(found)) => series.push(found),
            Ok(Item::Warning(warning)) => warnings.push(warning),
            Ok(_) => {}
            Err(error) => return (series, warnings, Some(error)),
        }
    }
    (series, warnings, None)
}

pub(crate) fn labels_of(series: &Series) -> Labels {
    series.labels.clone()
}

/// A series with one chunk.
pub(crate) fn series(labels: &Labels) -> Series {
    Series {
        labels: labels.clone(),
        chunks: vec![chunk(1_000, b"first").into()],
    }
}

/// The label sets `{__name__="up", pod="<i>"}` for two-digit numbers.
pub(crate) fn pods(numbers: std::ops::Range<u32>) -> Vec<Labels> {
    numbers
        .map(|i| Labels::from([("__name__", "up"), ("pod", &format!("{i:02}"))]))
        .collect()
}

/// A store that says of itself what it is told.
pub(crate) struct Announcing {
    pub(crate) like: MemoryStore,
    pub(crate) info: InfoResponse,
}

#[async_trait]
impl StoreApi for Announcing {
    async fn series(&self, ctx: RequestContext, request: SeriesRequest) -> Result<SeriesStream> {
        self.like.series(ctx, request).await
    }

    async fn label_names(
        &self,
        ctx: RequestContext,
        request: LabelNamesRequest,
    ) -> Result<LabelNamesResponse> {
        self.like.label_names(ctx, request).await
    }

    async fn label_values(
        &self,
        ctx: RequestContext,
        request: LabelValuesRequest,
    ) -> Result<LabelValuesResponse> {
        self.like.label_values(ctx, request).await
    }

    async fn info(&self, _: RequestContext) -> Result<InfoResponse> {
        Ok(self.info.clone())
    }
}

/// A store that is ready or not.
pub(crate) struct Switched {
    pub(crate) store: MemoryStore,
    pub(crate) is_ready: AtomicBool,
}

#[async_trait]
impl StoreApi for Switched {
    async fn series(&self, ctx: RequestContext, request: SeriesRequest) -> Result<SeriesStream> {
        self.store.series(ctx, request).await
    }

    async fn label_names(
        &self,
        ctx: RequestContext,
        request: LabelNamesRequest,
    ) -> Result<LabelNamesResponse> {
        self.store.label_names(ctx, request).await
    }

    async fn label_values(
        &self,
        ctx: RequestContext,
        request: LabelValuesRequest,
    ) -> Result<LabelValuesResponse> {
        self.store.label_values(ctx, request).await
    }

    async fn info(&self, ctx: RequestContext) -> Result<InfoResponse> {
        if self.is_ready.load(Ordering::SeqCst) {
            self.store.info(ctx).await
        } else {
            Err(Error::new(ErrorKind::Unavailable, "not ready"))
        }
    }
}

/// Asks for Info all the time.
pub(crate) fn often() -> EndpointsConfig {
    EndpointsConfig {
        info_interval: Duration::from_millis(20),
        ..EndpointsConfig::default()
    }
}

/// Waits for something that other tasks bring about.
pub(crate) async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), wait).await;
    assert!(waited.is_ok(), "{what}");
}
