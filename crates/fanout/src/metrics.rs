//! Metrics of the endpoint set and of the proxy.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use rutile_discovery::DnsMetrics;
use rutile_telemetry::{IntCounter, IntGaugeVec, Registry};

use crate::endpoints::ConnectionLabel;

/// How many bytes of external labels a metric shows.
const MAX_LABELS: usize = 1000;
/// Stands for external labels where there are none.
const NO_LABELS: &str = "no_external_labels";

/// Counts the lookups of single endpoints.
#[must_use]
pub fn endpoint_dns_metrics(registry: &Registry) -> DnsMetrics {
    DnsMetrics {
        lookups: registry.int_counter(
            "thanos_query_endpoints_dns_lookups_total",
            "Lookups of endpoint addresses.",
        ),
        failures: registry.int_counter(
            "thanos_query_endpoints_dns_failures_total",
            "Lookups of endpoint addresses that failed.",
        ),
        results: registry.int_gauge_vec(
            "thanos_query_endpoints_dns_provider_results",
            "Endpoints that were found for each address.",
            &["addr"],
        ),
    }
}

/// Counts the lookups of groups.
#[must_use]
pub fn group_dns_metrics(registry: &Registry) -> DnsMetrics {
    DnsMetrics {
        lookups: registry.int_counter(
            "thanos_query_endpoint_groups_dns_lookups_total",
            "Lookups of the addresses of groups.",
        ),
        failures: registry.int_counter(
            "thanos_query_endpoint_groups_dns_failures_total",
            "Lookups of the addresses of groups that failed.",
        ),
        results: registry.int_gauge_vec(
            "thanos_query_endpoint_groups_dns_provider_results",
            "Members that were found for each group.",
            &["addr"],
        ),
    }
}

/// Metrics of the endpoint set.
#[derive(Debug)]
pub(crate) struct EndpointMetrics {
    pub(crate) duplicates: IntCounter,
    connections: IntGaugeVec,
    labels: Vec<ConnectionLabel>,
    /// What the gauge shows now, so that what is gone can be removed.
    shown: Mutex<BTreeMap<Vec<String>, i64>>,
}

/// What the gauge of connections tells apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Connection {
    pub(crate) name: String,
    pub(crate) external_labels: String,
    pub(crate) component: String,
}

impl EndpointMetrics {
    pub(crate) fn new(registry: &Registry, labels: &[ConnectionLabel]) -> Self {
        let names: Vec<_> = labels.iter().map(|label| label.as_str()).collect();
        Self {
            duplicates: registry.int_counter(
                "thanos_query_duplicated_endpoint_addresses_total",
                "How often an address was configured more than once.",
            ),
            connections: registry.int_gauge_vec(
                "thanos_store_nodes_grpc_connections",
                "Healthy endpoints that are connected.",
                &names,
            ),
            labels: labels.to_vec(),
            shown: Mutex::default(),
        }
    }

    /// Shows these connections and no others.
    pub(crate) fn show(&self, connections: &[Connection]) {
        let mut counts: BTreeMap<Vec<String>, i64> = BTreeMap::new();
        for connection in connections {
            let values = self.labels.iter().map(|label| connection.value(*label));
            *counts.entry(values.collect()).or_default() += 1;
        }
        let mut shown = self.shown.lock();
        for values in shown.keys().filter(|values| !counts.contains_key(*values)) {
            let values: Vec<_> = values.iter().map(String::as_str).collect();
            // It is there: it was set below, and only removed here.
            self.connections.remove_label_values(&values).ok();
        }
        for (values, count) in &counts {
            let values: Vec<_> = values.iter().map(String::as_str).collect();
            self.connections.with_label_values(&values).set(*count);
        }
        *shown = counts;
    }
}

impl Connection {
    fn value(&self, label: ConnectionLabel) -> String {
        match label {
            ConnectionLabel::IpPort => self.name.clone(),
            ConnectionLabel::StoreType => self.component.clone(),
            ConnectionLabel::ExternalLabels if self.external_labels.is_empty() => {
                NO_LABELS.to_owned()
            }
            ConnectionLabel::ExternalLabels => truncated(&self.external_labels),
        }
    }
}

/// At most [`MAX_LABELS`] bytes, and a bracket where it was cut.
fn truncated(text: &str) -> String {
    if text.len() <= MAX_LABELS {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(MAX_LABELS - 1);
    format!("{}}}", text.split_at(end).0)
}

/// Metrics of the proxy.
#[derive(Debug, Clone)]
pub(crate) struct FanoutMetrics {
    pub(crate) empty_answers: IntCounter,
}

impl FanoutMetrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        Self {
            empty_answers: registry.int_counter(
                "thanos_proxy_store_empty_stream_responses_total",
                "Series answers of stores that held nothing.",
            ),
        }
    }
}
