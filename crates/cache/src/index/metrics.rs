//! Metrics of the index cache, with the reference's names.

use std::time::Duration;

use rutile_telemetry::{Histogram, IntCounter, IntGauge, Registry};

use super::key::Key;
use crate::store::{Meter, Size};
use crate::{IndexItem, MemoryConfig};

/// The cache does not know of tenants; the label is there for the dashboards.
const TENANT: &str = "default-tenant";
const KIB: f64 = 1024.0;
const MIB: f64 = 1024.0 * 1024.0;
const DATA_SIZES: [f64; 13] = [
    32.0,
    256.0,
    512.0,
    KIB,
    32.0 * KIB,
    256.0 * KIB,
    512.0 * KIB,
    MIB,
    32.0 * MIB,
    64.0 * MIB,
    128.0 * MIB,
    256.0 * MIB,
    512.0 * MIB,
];
const LATENCIES: [f64; 15] = [
    0.01, 0.1, 0.3, 0.6, 1.0, 3.0, 6.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0,
];

/// What every index cache counts, in the order of [`IndexItem::ALL`].
#[derive(Debug, Clone)]
pub(super) struct Requests([RequestMetrics; 3]);

/// The same, and what is held in memory.
#[derive(Debug, Clone)]
pub(super) struct Metrics {
    pub(super) requests: Requests,
    items: [ItemMetrics; 3],
}

#[derive(Debug, Clone)]
struct RequestMetrics {
    requests: IntCounter,
    hits: IntCounter,
    latency: Histogram,
    data_size: Histogram,
}

#[derive(Debug, Clone)]
struct ItemMetrics {
    added: IntCounter,
    evicted: IntCounter,
    overflowed: IntCounter,
    current: IntGauge,
    value_bytes: IntGauge,
    total_bytes: IntGauge,
}

impl Requests {
    pub(super) fn new(registry: &Registry) -> Self {
        Self(IndexItem::ALL.map(|item| RequestMetrics::new(registry, item)))
    }

    pub(super) fn fetched(&self, item: IndexItem, requests: usize, hits: usize, took: Duration) {
        let metrics = of(&self.0, item);
        metrics.requests.inc_by(requests as u64);
        metrics.hits.inc_by(hits as u64);
        metrics.latency.observe(took.as_secs_f64());
    }

    pub(super) fn stored(&self, item: IndexItem, bytes: usize) {
        of(&self.0, item).data_size.observe(bytes as f64);
    }
}

impl Metrics {
    pub(super) fn new(registry: &Registry, config: &MemoryConfig) -> Self {
        let (max_size, max_item) = (config.max_size.bytes(), config.max_item_size.bytes());
        registry
            .gauge(
                "thanos_store_index_cache_max_size_bytes",
                "Maximum number of bytes to be held in the index cache.",
            )
            .set(max_size as f64);
        registry
            .gauge(
                "thanos_store_index_cache_max_item_size_bytes",
                "Maximum number of bytes for single entry to be held in the index cache.",
            )
            .set(max_item as f64);
        Self {
            requests: Requests::new(registry),
            items: IndexItem::ALL.map(|item| ItemMetrics::new(registry, item)),
        }
    }

    fn of(&self, item: IndexItem) -> &ItemMetrics {
        of(&self.items, item)
    }
}

fn of<T>(items: &[T; 3], item: IndexItem) -> &T {
    let [postings, expanded, series] = items;
    match item {
        IndexItem::Postings => postings,
        IndexItem::ExpandedPostings => expanded,
        IndexItem::Series => series,
    }
}

impl RequestMetrics {
    fn new(registry: &Registry, item: IndexItem) -> Self {
        let by_tenant = ["item_type", "tenant"];
        let of_tenant = [item.as_str(), TENANT];
        Self {
            requests: registry
                .int_counter_vec(
                    "thanos_store_index_cache_requests_total",
                    "Total number of items requests to the cache.",
                    &by_tenant,
                )
                .with_label_values(&of_tenant),
            hits: registry
                .int_counter_vec(
                    "thanos_store_index_cache_hits_total",
                    "Total number of items requests to the cache that were a hit.",
                    &by_tenant,
                )
                .with_label_values(&of_tenant),
            latency: registry
                .histogram_vec(
                    "thanos_store_index_cache_fetch_duration_seconds",
                    "Histogram to track latency to fetch items from index cache",
                    &by_tenant,
                    &LATENCIES,
                )
                .with_label_values(&of_tenant),
            data_size: registry
                .histogram_vec(
                    "thanos_store_index_cache_stored_data_size_bytes",
                    "Histogram to track item data size stored in index cache",
                    &by_tenant,
                    &DATA_SIZES,
                )
                .with_label_values(&of_tenant),
        }
    }
}

impl ItemMetrics {
    fn new(registry: &Registry, item: IndexItem) -> Self {
        let counter = |name: &str, help: &str| {
            registry
                .int_counter_vec(name, help, &["item_type"])
                .with_label_values(&[item.as_str()])
        };
        let gauge = |name: &str, help: &str| {
            registry
                .int_gauge_vec(name, help, &["item_type"])
                .with_label_values(&[item.as_str()])
        };
        Self {
            added: counter(
                "thanos_store_index_cache_items_added_total",
                "Items that were added to the index cache.",
            ),
            evicted: counter(
                "thanos_store_index_cache_items_evicted_total",
                "Items that were evicted from the index cache.",
            ),
            overflowed: counter(
                "thanos_store_index_cache_items_overflowed_total",
                "Items that could not be added to the cache due to being too big.",
            ),
            current: gauge(
                "thanos_store_index_cache_items",
                "Current number of items in the index cache.",
            ),
            value_bytes: gauge(
                "thanos_store_index_cache_items_size_bytes",
                "Current byte size of items in the index cache.",
            ),
            total_bytes: gauge(
                "thanos_store_index_cache_total_size_bytes",
                "Current byte size of items (both value and key) in the index cache.",
            ),
        }
    }

    fn moved(&self, items: i64, size: Size) {
        let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        self.current.add(items);
        self.value_bytes.add(items * bytes(size.value));
        self.total_bytes
            .add(items * bytes(size.value + size.key + size_of::<Key>() as u64));
    }
}

impl Meter<Key> for Metrics {
    fn added(&self, key: &Key, size: Size) {
        let metrics = self.of(key.as_ref().item());
        metrics.added.inc();
        metrics.moved(1, size);
    }

    fn removed(&self, key: &Key, size: Size) {
        self.of(key.as_ref().item()).moved(-1, size);
    }

    fn evicted(&self, key: &Key) {
        self.of(key.as_ref().item()).evicted.inc();
    }

    fn overflowed(&self, key: &Key) {
        self.of(key.as_ref().item()).overflowed.inc();
    }
}
