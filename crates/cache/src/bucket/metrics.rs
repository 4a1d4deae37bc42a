//! Metrics of the caching bucket, with the reference's names.

use rutile_objstore::Operation;
use rutile_telemetry::{Counter, IntCounter, IntGauge, Registry};

use crate::MemoryConfig;
use crate::store::{Meter, Size};

const CHUNKS: &str = "chunks";
const META: &str = "meta.jsons";
const ROOT: &str = "blocks-iter";

/// What is asked of the bucket.
#[derive(Debug)]
pub(super) struct Metrics {
    pub(super) attributes: OperationMetrics,
    pub(super) exists: OperationMetrics,
    pub(super) get: OperationMetrics,
    pub(super) get_range: OperationMetrics,
    pub(super) iter: OperationMetrics,
    pub(super) requested_bytes: IntCounter,
    pub(super) fetched_from_cache: IntCounter,
    pub(super) fetched_from_bucket: IntCounter,
    pub(super) refetched: IntCounter,
}

#[derive(Debug)]
pub(super) struct OperationMetrics {
    pub(super) requests: IntCounter,
    /// A range that is there in part is a part of a hit.
    pub(super) hits: Counter,
}

impl Metrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let operation = |operation, config| OperationMetrics::new(registry, operation, config);
        let by_origin = |name: &str, help: &str, origin: &str| {
            registry
                .int_counter_vec(name, help, &["origin", "config"])
                .with_label_values(&[origin, CHUNKS])
        };
        let fetched_help = "Bytes fetched for range reads, from the cache and from the bucket.";
        Self {
            attributes: operation(Operation::Attributes, CHUNKS),
            exists: operation(Operation::Exists, META),
            get: operation(Operation::Get, META),
            get_range: operation(Operation::GetRange, CHUNKS),
            iter: operation(Operation::List, ROOT),
            requested_bytes: registry
                .int_counter_vec(
                    "thanos_store_bucket_cache_getrange_requested_bytes_total",
                    "Bytes that range reads asked for.",
                    &["config"],
                )
                .with_label_values(&[CHUNKS]),
            fetched_from_cache: by_origin(
                "thanos_store_bucket_cache_getrange_fetched_bytes_total",
                fetched_help,
                "cache",
            ),
            fetched_from_bucket: by_origin(
                "thanos_store_bucket_cache_getrange_fetched_bytes_total",
                fetched_help,
                "bucket",
            ),
            refetched: by_origin(
                "thanos_store_bucket_cache_getrange_refetched_bytes_total",
                "Bytes read again from the bucket, although the cache had them, to save requests.",
                "cache",
            ),
        }
    }
}

impl OperationMetrics {
    fn new(registry: &Registry, operation: Operation, config: &str) -> Self {
        let labels = ["operation", "config"];
        let values = [operation.as_str(), config];
        Self {
            requests: registry
                .int_counter_vec(
                    "thanos_store_bucket_cache_operation_requests_total",
                    "Number of requested operations matching given config.",
                    &labels,
                )
                .with_label_values(&values),
            hits: registry
                .counter_vec(
                    "thanos_store_bucket_cache_operation_hits_total",
                    "Number of operations served from cache for given config.",
                    &labels,
                )
                .with_label_values(&values),
        }
    }

    pub(super) fn hit(&self, hit: bool) {
        if hit {
            self.hits.inc();
        }
    }
}

/// What the cache holds.
#[derive(Debug, Clone)]
pub(super) struct StoreMetrics {
    pub(super) requests: IntCounter,
    pub(super) hits: IntCounter,
    pub(super) expired: IntCounter,
    added: IntCounter,
    evicted: IntCounter,
    overflowed: IntCounter,
    current: IntGauge,
    value_bytes: IntGauge,
    total_bytes: IntGauge,
}

impl StoreMetrics {
    pub(super) fn new(registry: &Registry, config: &MemoryConfig) -> Self {
        let registry = registry.with_label("name", "caching-bucket");
        let (max_size, max_item) = (config.max_size.bytes(), config.max_item_size.bytes());
        let gauge = |name: &str, help: &str| registry.int_gauge(name, help);
        let counter = |name: &str, help: &str| registry.int_counter(name, help);
        registry
            .gauge(
                "thanos_cache_inmemory_max_size_bytes",
                "Maximum number of bytes to be held in the inmemory cache.",
            )
            .set(max_size as f64);
        registry
            .gauge(
                "thanos_cache_inmemory_max_item_size_bytes",
                "Maximum number of bytes for single entry to be held in the inmemory cache.",
            )
            .set(max_item as f64);
        Self {
            requests: counter(
                "thanos_cache_inmemory_requests_total",
                "Requests to the inmemory cache.",
            ),
            hits: counter(
                "thanos_cache_inmemory_hits_total",
                "Requests to the inmemory cache that were a hit.",
            ),
            expired: counter(
                "thanos_cache_inmemory_hits_on_expired_data_total",
                "Requests to the inmemory cache that were a hit but needed to be evicted due to TTL.",
            ),
            added: counter(
                "thanos_cache_inmemory_items_added_total",
                "Items that were added to the inmemory cache.",
            ),
            evicted: counter(
                "thanos_cache_inmemory_items_evicted_total",
                "Items that were evicted from the inmemory cache.",
            ),
            overflowed: counter(
                "thanos_cache_inmemory_items_overflowed_total",
                "Items that could not be added to the inmemory cache due to being too big.",
            ),
            current: gauge(
                "thanos_cache_inmemory_items",
                "Current number of items in the inmemory cache.",
            ),
            value_bytes: gauge(
                "thanos_cache_inmemory_items_size_bytes",
                "Current byte size of items in the inmemory cache.",
            ),
            total_bytes: gauge(
                "thanos_cache_inmemory_total_size_bytes",
                "Current byte size of items (both value and key) in the inmemory cache.",
            ),
        }
    }

    fn moved(&self, items: i64, size: Size) {
        let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        self.current.add(items);
        self.value_bytes.add(items * bytes(size.value));
        self.total_bytes.add(items * bytes(size.value + size.key));
    }
}

impl Meter<Box<str>> for StoreMetrics {
    fn added(&self, _: &Box<str>, size: Size) {
        self.added.inc();
        self.moved(1, size);
    }

    fn removed(&self, _: &Box<str>, size: Size) {
        self.moved(-1, size);
    }

    fn evicted(&self, _: &Box<str>) {
        self.evicted.inc();
    }

    fn overflowed(&self, _: &Box<str>) {
        self.overflowed.inc();
    }
}
