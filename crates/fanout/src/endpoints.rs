//! The endpoint set: whom a querier knows, and who of them answers.
//!
//! Each endpoint is asked for its Info at an interval of its own, so that one that hangs delays no
//! other. An endpoint that fails, or never answered, is not asked for data, unless it is strict, but
//! is known as absent until it is removed: answers say that they lack it, and it is listed with its
//! error. A removed endpoint ends its open calls in peace: the connection closes when the last of them
//! is done.

mod connect;
mod endpoint;
mod group;
mod tls;

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::RwLock;
use rutile_discovery::EndpointSpec;
use rutile_model::Labels;
use rutile_runtime::{Clock, Spawner, Task};
use rutile_telemetry::Registry;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

pub use self::endpoint::Endpoint;
use self::endpoint::Standing;
use crate::{
    Absent, ClientMetrics, Known, Metadata, Store, Stores,
    metrics::{Connection, EndpointMetrics},
};

/// Settings of the endpoint set.
#[derive(Debug, Clone)]
pub struct EndpointsConfig {
    /// How often each endpoint is asked for its Info. `--endpoint.info-timeout` is this and the next.
    pub info_interval: Duration,
    /// How long it may take to answer.
    pub info_timeout: Duration,
    /// The labels of `thanos_store_nodes_grpc_connections` (`--query.conn-metric.label`).
    pub connection_labels: Vec<ConnectionLabel>,
}

/// A label of the metric that counts connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionLabel {
    /// `external_labels`
    ExternalLabels,
    /// `store_type`
    StoreType,
    /// `ip_port`
    IpPort,
}

/// What `/api/v1/stores` shows of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointStatus {
    /// Its address.
    pub name: String,
    /// Kind of component, such as `sidecar`; empty if it is not known.
    pub component: String,
    /// When it last answered Info, in milliseconds since the Unix epoch.
    pub last_check_ms: Option<i64>,
    /// Why the last check failed; `None` if it did not.
    pub last_error: Option<String>,
    /// The external labels of its data.
    pub label_sets: Vec<Labels>,
    /// First and last time of its samples, in milliseconds, inclusive.
    pub min_time: i64,
    /// See `min_time`.
    pub max_time: i64,
}

/// All endpoints. Changes with what is discovered, and with what they answer.
#[derive(Debug)]
pub struct Endpoints {
    config: EndpointsConfig,
    clock: Arc<dyn Clock>,
    tasks: Spawner,
    metrics: EndpointMetrics,
    calls: ClientMetrics,
    /// By name.
    known: RwLock<BTreeMap<String, KnownEndpoint>>,
}

#[derive(Debug)]
struct KnownEndpoint {
    endpoint: Arc<Endpoint>,
    /// Asks for Info until it is dropped.
    _checks: Task<()>,
}

impl Default for EndpointsConfig {
    fn default() -> Self {
        Self {
            info_interval: Duration::from_secs(5),
            info_timeout: Duration::from_secs(5),
            connection_labels: vec![ConnectionLabel::ExternalLabels, ConnectionLabel::StoreType],
        }
    }
}

impl ConnectionLabel {
    /// The name of the label, and of the setting.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ExternalLabels => "external_labels",
            Self::StoreType => "store_type",
            Self::IpPort => "ip_port",
        }
    }
}

impl Endpoints {
    /// An empty set. Its tasks run in the group of `tasks`.
    #[must_use]
    pub fn new(
        config: EndpointsConfig,
        clock: Arc<dyn Clock>,
        tasks: Spawner,
        registry: &Registry,
    ) -> Arc<Self> {
        Arc::new(Self {
            metrics: EndpointMetrics::new(registry, &config.connection_labels),
            calls: ClientMetrics::new(registry),
            config,
            clock,
            tasks,
            known: RwLock::default(),
        })
    }

    /// Follows what is discovered until nobody can change it any more, or this is dropped.
    pub async fn follow(self: &Arc<Self>, mut specs: watch::Receiver<Vec<EndpointSpec>>) {
        loop {
            let current = specs.borrow_and_update().clone();
            self.replace(current);
            if specs.changed().await.is_err() {
                return;
            }
        }
    }

    /// Makes these the endpoints: adds, changes and removes. An address that is there twice counts
    /// once, and the last one of them.
    pub fn replace(self: &Arc<Self>, specs: Vec<EndpointSpec>) {
        let mut wanted = BTreeMap::new();
        for spec in specs {
            if let Some(other) = wanted.insert(spec.name.clone(), spec) {
                tracing::warn!(endpoint = %other.name, "an endpoint is configured more than once");
                self.metrics.duplicates.inc();
            }
        }
        let mut known = self.known.write();
        known.retain(|name, _| {
            let kept = wanted.contains_key(name);
            if !kept {
                tracing::info!(endpoint = %name, "removing an endpoint");
            }
            kept
        });
        for (name, spec) in wanted {
            match known.entry(name) {
                Entry::Occupied(mut entry) => {
                    let endpoint = &entry.get().endpoint;
                    if !endpoint.adopt(&spec) {
                        let served = endpoint.served();
                        entry.insert(self.start(&spec, served));
                    }
                }
                Entry::Vacant(entry) => {
                    tracing::info!(endpoint = %spec.name, "adding an endpoint");
                    entry.insert(self.start(&spec, None));
                }
            }
        }
        drop(known);
        self.show_connections();
    }

    /// Begins with an endpoint that served this before its settings changed.
    fn start(
        self: &Arc<Self>,
        spec: &EndpointSpec,
        served: Option<Arc<Metadata>>,
    ) -> KnownEndpoint {
        let endpoint = Endpoint::new(spec, self.calls.clone());
        let endpoint = Arc::new(endpoint.having_served(served));
        let checks = check_regularly(Arc::downgrade(self), Arc::clone(&endpoint));
        KnownEndpoint {
            endpoint,
            _checks: self.tasks.spawn("endpoint-info", checks).abort_on_drop(),
        }
    }

    /// The endpoints that can be asked, in order of their names.
    #[must_use]
    pub fn queryable(&self) -> Vec<Arc<Endpoint>> {
        let mut endpoints = self.all();
        endpoints.retain(|endpoint| endpoint.is_queryable());
        endpoints
    }

    /// All endpoints, in order of their names.
    pub(crate) fn all(&self) -> Vec<Arc<Endpoint>> {
        let known = self.known.read();
        let endpoints = known.values().map(|known| Arc::clone(&known.endpoint));
        endpoints.collect()
    }

    /// What is known of each endpoint, in order of their names.
    #[must_use]
    pub fn statuses(&self) -> Vec<EndpointStatus> {
        let endpoints = self.all();
        endpoints.iter().map(|endpoint| endpoint.status()).collect()
    }

    /// Where calls of other services to endpoints are counted.
    #[must_use]
    pub fn calls(&self) -> &ClientMetrics {
        &self.calls
    }

    /// Returns when each endpoint that is known now has been asked once, or was removed.
    pub async fn checked_once(&self) {
        for endpoint in self.all() {
            endpoint.checked_once().await;
        }
    }

    fn show_connections(&self) {
        let connection = |endpoint: &Arc<Endpoint>| {
            let metadata = endpoint.served().unwrap_or_else(Metadata::unknown);
            Connection {
                name: endpoint.name().to_owned(),
                external_labels: label_sets_text(&metadata),
                component: metadata.component().to_owned(),
            }
        };
        let connections: Vec<_> = self.queryable().iter().map(connection).collect();
        self.metrics.show(&connections);
    }
}

impl Stores for Endpoints {
    fn known(&self) -> Known {
        let mut all = Known::default();
        for KnownEndpoint { endpoint, .. } in self.known.read().values() {
            let name = endpoint.name().into();
            match endpoint.standing() {
                Standing::Queryable(metadata) if metadata.is_store() => all.stores.push(Store {
                    name,
                    metadata,
                    api: Arc::clone(endpoint) as _,
                }),
                Standing::Absent { served, error } => {
                    let metadata = served.unwrap_or_else(Metadata::unknown);
                    if metadata.is_store() {
                        all.absent.push(Absent {
                            name,
                            metadata,
                            error,
                        });
                    }
                }
                Standing::Queryable(_) => {}
            }
        }
        all
    }
}

/// Asks for Info at the interval of the set, for as long as there is one.
async fn check_regularly(set: Weak<Endpoints>, endpoint: Arc<Endpoint>) {
    while let Some(endpoints) = set.upgrade() {
        let next = Instant::now() + endpoints.config.info_interval;
        let timeout = endpoints.config.info_timeout;
        endpoint.check(timeout, &*endpoints.clock).await;
        endpoints.show_connections();
        drop(endpoints);
        sleep_until(next).await;
    }
}

/// All label sets in one text: `{a="1"},{b="2"}`.
fn label_sets_text(metadata: &Metadata) -> String {
    let sets: Vec<_> = metadata
        .label_sets
        .iter()
        .map(|labels| labels.to_string())
        .collect();
    sets.join(",")
}
