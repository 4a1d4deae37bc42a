//! A store gateway on a golden bucket, and a querier that asks it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http_body_util::BodyExt;
use rutile_block::Contract;
use rutile_blockio::NoCache;
use rutile_dedup::Function;
use rutile_discovery::EndpointSpec;
use rutile_disk::MemoryDisk;
use rutile_fanout::{Endpoints, EndpointsConfig, Fanout, FanoutConfig, Proxies, ProxiesConfig};
use rutile_fetcher::{FetcherConfig, Scope};
use rutile_model::TimeOrDuration;
use rutile_objstore::FilesystemBucket;
use rutile_promql::{EngineOptions, ParserOptions};
use rutile_query::{
    PartialReports, Querier, QuerierConfig, TelemetryBounds, Tenancy, Web, WebConfig,
};
use rutile_runtime::{Clock, CpuPool, Ledger, ManualClock, TaskGroup};
use rutile_server::HttpMetrics;
use rutile_store::{CallLimits, GatewayConfig, HeaderDownload, Store, StoreConfig, SyncConfig};
use rutile_storeapi::StoreApi;
use rutile_storeapi::grpc::{InfoServer, StoreServer};
use rutile_telemetry::Registry;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

/// An hour after the golden buckets were made.
pub(crate) const NOW_MS: i64 = 1_795_367_802_000;

/// A querier and the stores behind it.
pub(crate) struct Cluster {
    routes: Router,
    pub(crate) registry: Registry,
    pub(crate) querier: Arc<Querier>,
    _tasks: TaskGroup,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// A store gateway on a golden bucket, after its first sync.
pub(crate) async fn gateway(bucket: &str, tasks: &TaskGroup) -> Arc<dyn StoreApi> {
    let parts = rutile_store::Parts {
        bucket: Arc::new(FilesystemBucket::new(rutile_testkit::golden().join(bucket)).unwrap()),
        disk: Some(Arc::new(MemoryDisk::new())),
        index_cache: Arc::new(NoCache),
        clock: Arc::new(ManualClock::new(NOW_MS)),
        cpu: CpuPool::new(2),
        ledger: Ledger::new(256 << 20),
        registry: Registry::new(),
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
            limits: CallLimits::default(),
            max_concurrency: 20,
            series_batch: 10_000,
            min_time: time("0000-01-01T00:00:00Z"),
            max_time: time("9999-12-31T23:59:59Z"),
            contract: Contract::default(),
        },
        header_sampling: 32,
        max_series_bytes: 64 * 1024,
        max_chunk_bytes: 16_000,
    };
    let store = Store::build(parts, config, tasks).unwrap();
    store.syncer.sync().await.unwrap();
    store.gateway
}

/// Serves a store on a port of its own; its address.
pub(crate) async fn serve(store: Arc<dyn StoreApi>, tasks: &TaskGroup) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = Server::builder()
        .add_service(StoreServer::new(Arc::clone(&store)))
        .add_service(InfoServer::new(store))
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)));
    drop(tasks.spawn("grpc", server));
    address
}

pub(crate) fn querier_config() -> QuerierConfig {
    QuerierConfig {
        engine: EngineOptions {
            parser: ParserOptions::all(),
            ..EngineOptions::default()
        },
        dynamic_lookback: true,
        timeout: Duration::from_mins(2),
        max_concurrent: 20,
        max_concurrent_selects: 4,
        dedup: Function::Penalty,
        tenancy: Tenancy::default(),
        telemetry: TelemetryBounds::default(),
    }
}

impl Cluster {
    /// A querier over store gateways on golden buckets.
    pub(crate) async fn on(buckets: &[&str]) -> Self {
        let tasks = TaskGroup::new("cluster");
        let mut stores = Vec::new();
        for bucket in buckets {
            stores.push(gateway(bucket, &tasks).await);
        }
        Self::over(stores, querier_config(), tasks).await
    }

    /// A querier over stores.
    pub(crate) async fn over(
        stores: Vec<Arc<dyn StoreApi>>,
        config: QuerierConfig,
        tasks: TaskGroup,
    ) -> Self {
        Self::within(Ledger::new(1 << 30), stores, config, tasks).await
    }

    /// The same within so much memory.
    pub(crate) async fn within(
        ledger: Ledger,
        stores: Vec<Arc<dyn StoreApi>>,
        config: QuerierConfig,
        tasks: TaskGroup,
    ) -> Self {
        let mut addresses = Vec::new();
        for store in stores {
            addresses.push(serve(store, &tasks).await);
        }
        Self::asking(addresses, ledger, config, tasks).await
    }

    /// A querier over endpoints at these addresses.
    pub(crate) async fn asking(
        addresses: Vec<String>,
        ledger: Ledger,
        config: QuerierConfig,
        tasks: TaskGroup,
    ) -> Self {
        let registry = Registry::new();
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(NOW_MS));
        let endpoints_config = EndpointsConfig::default();
        let endpoints = Endpoints::new(
            endpoints_config,
            Arc::clone(&clock),
            tasks.spawner(),
            &registry,
        );
        endpoints.replace(addresses.into_iter().map(EndpointSpec::fixed).collect());
        endpoints.checked_once().await;
        let fanout = Fanout::new(
            FanoutConfig::default(),
            Arc::clone(&endpoints) as _,
            tasks.spawner(),
            ledger.clone(),
            &registry,
        );
        let proxies_config = ProxiesConfig {
            replica_labels: vec!["replica".to_owned()],
            ..ProxiesConfig::default()
        };
        let proxies = Proxies::new(proxies_config, Arc::clone(&endpoints), ledger.clone());
        let parts = rutile_query::Parts {
            fanout: Arc::new(fanout),
            cpu: CpuPool::new(2),
            ledger,
            registry: registry.clone(),
            active: None,
        };
        let querier = Arc::new(Querier::new(parts, config));
        let web_config = WebConfig {
            cors: true,
            prefix: String::new(),
            replica_labels: vec!["replica".to_owned()],
            auto_downsampling: false,
            instant_max_resolution: Duration::ZERO,
            default_step: Duration::from_secs(1),
            partial_response: true,
            partial_reports: PartialReports::default(),
            metadata_range: Duration::ZERO,
            flags: BTreeMap::from([("query.timeout".to_owned(), "2m".to_owned())]),
        };
        let proxies = Arc::new(proxies);
        let web = Web::new(Arc::clone(&querier), proxies, endpoints, web_config, clock);
        Self {
            routes: web.routes(&HttpMetrics::by_tenant(
                &registry,
                "THANOS-TENANT",
                "default-tenant",
            )),
            registry,
            querier,
            _tasks: tasks,
        }
    }

    pub(crate) async fn ask(&self, request: http::Request<Body>) -> Answer {
        let response = tower::ServiceExt::oneshot(self.routes.clone(), request)
            .await
            .unwrap();
        let (head, body) = response.into_parts();
        Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: body.collect().await.unwrap().to_bytes().to_vec(),
        }
    }

    /// GET of a path below `/api/v1`, of which some characters are escaped.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.get_as("default-tenant", path).await
    }

    /// The same for a tenant.
    pub(crate) async fn get_as(&self, tenant: &str, path: &str) -> Answer {
        let request = http::Request::get(uri(path)).header("thanos-tenant", tenant);
        self.ask(request.body(Body::empty()).unwrap()).await
    }

    /// An answer of which nothing is taken yet.
    pub(crate) async fn open(&self, path: &str) -> http::Response<Body> {
        let request = http::Request::get(uri(path)).body(Body::empty()).unwrap();
        let answer = tower::ServiceExt::oneshot(self.routes.clone(), request);
        answer.await.unwrap()
    }

    /// POST of a form.
    pub(crate) async fn post(&self, path: &str, form: &str) -> Answer {
        let request = http::Request::post(format!("/api/v1{path}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(form.to_owned()));
        self.ask(request.unwrap()).await
    }
}

/// The address of a path below `/api/v1`.
fn uri(path: &str) -> String {
    let mut uri = format!("/api/v1{path}");
    for (plain, escaped) in [("{", "%7B"), ("}", "%7D"), ("\"", "%22"), (" ", "%20")] {
        uri = uri.replace(plain, escaped);
    }
    uri
}
