//! Metrics of caches that processes share. Memcached's have the reference's names, Redis's the same behind their prefix,
//! of which the reference has the duration only.

use std::time::Duration;

use rutile_telemetry::{HistogramVec, IntCounter, IntCounterVec, Registry};

use super::Trouble;

/// Names of operations.
pub(super) const READ: &str = "getmulti";
pub(super) const WRITE: &str = "set";

const REASONS: [&str; 4] = ["timeout", "network-error", "server-error", "other"];
const DURATIONS: [f64; 12] = [
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 3.0, 6.0, 10.0,
];
const KIB: f64 = 1024.0;
const MIB: f64 = 1024.0 * 1024.0;
const SIZES: [f64; 11] = [
    32.0,
    256.0,
    512.0,
    KIB,
    32.0 * KIB,
    256.0 * KIB,
    512.0 * KIB,
    MIB,
    32.0 * MIB,
    256.0 * MIB,
    512.0 * MIB,
];

/// The handles of one cache.
#[derive(Debug)]
pub(super) struct Metrics {
    operations: IntCounterVec,
    failures: IntCounterVec,
    durations: HistogramVec,
    sizes: HistogramVec,
    /// Values that are not written because they are too large.
    pub(super) too_large: IntCounter,
    /// Writes for which there was no room in the queue.
    pub(super) dropped: IntCounter,
    pub(super) given_up_reads: IntCounter,
    pub(super) given_up_writes: IntCounter,
    /// Values that did not fit their key or their digest.
    pub(super) damaged: IntCounter,
}

/// The names of the families.
struct Names {
    operations: &'static str,
    failures: &'static str,
    skipped: &'static str,
    durations: &'static str,
    sizes: &'static str,
    damaged: &'static str,
}

impl Metrics {
    pub(super) fn of_memcached(registry: &Registry) -> Self {
        let names = Names {
            operations: "thanos_memcached_operations_total",
            failures: "thanos_memcached_operation_failures_total",
            skipped: "thanos_memcached_operation_skipped_total",
            durations: "thanos_memcached_operation_duration_seconds",
            sizes: "thanos_memcached_operation_data_size_bytes",
            damaged: "rutile_memcached_damaged_values_total",
        };
        Self::new(registry, &names)
    }

    pub(super) fn of_redis(registry: &Registry) -> Self {
        let names = Names {
            operations: "rutile_redis_operations_total",
            failures: "rutile_redis_operation_failures_total",
            skipped: "rutile_redis_operation_skipped_total",
            durations: "thanos_redis_operation_duration_seconds",
            sizes: "rutile_redis_operation_data_size_bytes",
            damaged: "rutile_redis_damaged_values_total",
        };
        Self::new(registry, &names)
    }

    fn new(registry: &Registry, names: &Names) -> Self {
        let operations =
            registry.int_counter_vec(names.operations, "Operations on the cache.", &["operation"]);
        let failures = registry.int_counter_vec(
            names.failures,
            "Operations on the cache that failed.",
            &["operation", "reason"],
        );
        let durations = registry.histogram_vec(
            names.durations,
            "Duration of operations on the cache.",
            &["operation"],
            &DURATIONS,
        );
        let sizes = registry.histogram_vec(
            names.sizes,
            "Bytes stored in and fetched from the cache.",
            &["operation"],
            &SIZES,
        );
        for operation in [READ, WRITE] {
            operations.with_label_values(&[operation]);
            durations.with_label_values(&[operation]);
            sizes.with_label_values(&[operation]);
            for reason in REASONS {
                failures.with_label_values(&[operation, reason]);
            }
        }
        let skipped = registry.int_counter_vec(
            names.skipped,
            "Operations on the cache that were left out.",
            &["operation", "reason"],
        );
        let skipped = |operation, reason| skipped.with_label_values(&[operation, reason]);
        Self {
            operations,
            failures,
            durations,
            sizes,
            too_large: skipped(WRITE, "max-item-size"),
            dropped: skipped(WRITE, "async-buffer-full"),
            given_up_reads: skipped(READ, "circuit-breaker"),
            given_up_writes: skipped(WRITE, "circuit-breaker"),
            damaged: registry.int_counter(
                names.damaged,
                "Values that did not fit their key or their digest.",
            ),
        }
    }

    pub(super) fn begun(&self, operation: &str) {
        self.operations.with_label_values(&[operation]).inc();
    }

    pub(super) fn done(&self, operation: &str, bytes: usize, took: Duration) {
        let operation = [operation];
        let durations = self.durations.with_label_values(&operation);
        durations.observe(took.as_secs_f64());
        self.sizes
            .with_label_values(&operation)
            .observe(bytes as f64);
    }

    pub(super) fn failed(&self, operation: &str, trouble: &Trouble) {
        let reason = match trouble {
            Trouble::Timeout => "timeout",
            Trouble::Network(_) => "network-error",
            Trouble::Refused(_) => "server-error",
            Trouble::Malformed(_) => "other",
        };
        self.failures.with_label_values(&[operation, reason]).inc();
    }
}
