//! The sidecar's metrics: names as Thanos has them, so that its dashboards and alerts work.

use rutile_telemetry::{Gauge, IntCounter, IntGauge, Registry};

/// Of the Prometheus beside it.
#[derive(Debug, Clone)]
pub(crate) struct PeerMetrics {
    pub(crate) up: IntGauge,
}

/// Of the reloader.
#[derive(Debug, Clone)]
pub(crate) struct ReloaderMetrics {
    pub(crate) reloads: IntCounter,
    pub(crate) reloads_failed: IntCounter,
    pub(crate) last_successful: IntGauge,
    pub(crate) last_success_seconds: Gauge,
    pub(crate) applies: IntCounter,
    pub(crate) applies_failed: IntCounter,
    pub(crate) expansion_errors: IntGauge,
    pub(crate) watches: IntGauge,
    pub(crate) watch_events: IntCounter,
    pub(crate) watch_errors: IntCounter,
}

impl PeerMetrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        Self {
            up: registry.int_gauge(
                "thanos_sidecar_prometheus_up",
                "Boolean indicator whether the sidecar can reach its Prometheus peer.",
            ),
        }
    }
}

impl ReloaderMetrics {
    /// `method` is how Prometheus is told: `http` or `signal`.
    pub(crate) fn new(registry: &Registry, method: &str) -> Self {
        let registry = registry.with_prefix("thanos_sidecar_reloader_");
        let info = registry.int_gauge_vec(
            "info",
            "A metric with a constant '1' value labeled by reload method (either 'http' or 'signal').",
            &["method"],
        );
        info.with_label_values(&[method]).set(1);
        Self {
            reloads: registry.int_counter("reloads_total", "Total number of reload requests."),
            reloads_failed: registry.int_counter(
                "reloads_failed_total",
                "Total number of reload requests that failed.",
            ),
            last_successful: registry.int_gauge(
                "last_reload_successful",
                "Whether the last reload attempt was successful",
            ),
            last_success_seconds: registry.gauge(
                "last_reload_success_timestamp_seconds",
                "Timestamp of the last successful reload",
            ),
            applies: registry.int_counter(
                "config_apply_operations_total",
                "Total number of config apply operations.",
            ),
            applies_failed: registry.int_counter(
                "config_apply_operations_failed_total",
                "Total number of config apply operations that failed.",
            ),
            expansion_errors: registry.int_gauge(
                "config_environment_variable_expansion_errors",
                "Number of environment variable expansions that failed during the last operation.",
            ),
            watches: registry.int_gauge("watches", "Number of resources watched by the reloader."),
            watch_events: registry.int_counter(
                "watch_events_total",
                "Total number of changes that the reloader saw.",
            ),
            watch_errors: registry.int_counter(
                "watch_errors_total",
                "Total number of looks at watched files that failed.",
            ),
        }
    }
}
