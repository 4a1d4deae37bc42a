//! The shipper's metrics: names as Thanos has them, so that its dashboards work.

use rutile_telemetry::{IntCounter, IntGauge, Registry};

#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) dir_syncs: IntCounter,
    pub(crate) dir_sync_failures: IntCounter,
    pub(crate) uploads: IntCounter,
    pub(crate) upload_failures: IntCounter,
    pub(crate) corrupted_blocks: IntCounter,
    pub(crate) compacted_done: IntGauge,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        let counter = |name, help| registry.int_counter(name, help);
        Self {
            dir_syncs: counter("thanos_shipper_dir_syncs_total", "Syncs that went through."),
            dir_sync_failures: counter(
                "thanos_shipper_dir_sync_failures_total",
                "Syncs that failed, as a whole or for some block.",
            ),
            uploads: counter("thanos_shipper_uploads_total", "Blocks that were uploaded."),
            upload_failures: counter(
                "thanos_shipper_upload_failures_total",
                "Blocks that a sync failed to upload.",
            ),
            corrupted_blocks: counter(
                "thanos_shipper_corrupted_blocks_total",
                "Local blocks that a sync left out because they could not be read.",
            ),
            compacted_done: registry.int_gauge(
                "thanos_shipper_upload_compacted_done",
                "1 when all local blocks, compacted ones included, are in the bucket.",
            ),
        }
    }
}
