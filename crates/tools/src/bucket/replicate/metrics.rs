//! The metrics of a replication: names as Thanos has them, so that its dashboards and alerts work.

use std::time::Duration;

use rutile_telemetry::{HistogramVec, IntCounter, IntCounterVec, Registry};

use super::replicator::Round;

/// Upper bounds of the time that a round takes, seconds.
const SECONDS: [f64; 12] = [
    0.1, 0.5, 1.0, 5.0, 10.0, 20.0, 60.0, 300.0, 600.0, 1_800.0, 3_600.0, 7_200.0,
];

#[derive(Debug)]
pub(super) struct Metrics {
    runs: IntCounterVec,
    seconds: HistogramVec,
    there: IntCounter,
    copied: IntCounter,
    objects: IntCounter,
}

impl Metrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let counter = |name, help| registry.int_counter(name, help);
        let metrics = Self {
            runs: registry.int_counter_vec(
                "thanos_replicate_replication_runs_total",
                "Rounds, by what they came to.",
                &["result"],
            ),
            seconds: registry.histogram_vec(
                "thanos_replicate_replication_run_duration_seconds",
                "How long rounds took, by what they came to.",
                &["result"],
                &SECONDS,
            ),
            there: counter(
                "thanos_replicate_blocks_already_replicated_total",
                "Blocks that the target had already.",
            ),
            copied: counter(
                "thanos_replicate_blocks_replicated_total",
                "Blocks that were copied.",
            ),
            objects: counter(
                "thanos_replicate_objects_replicated_total",
                "Objects that were copied.",
            ),
        };
        for result in ["success", "error"] {
            metrics.runs.with_label_values(&[result]);
        }
        metrics
    }

    pub(super) fn count(&self, round: &Round, took: Duration) {
        let result = match round.failed.is_empty() {
            true => "success",
            false => "error",
        };
        self.runs.with_label_values(&[result]).inc();
        let seconds = self.seconds.with_label_values(&[result]);
        seconds.observe(took.as_secs_f64());
        self.there.inc_by(round.there as u64);
        self.copied.inc_by(round.copied as u64);
        self.objects.inc_by(round.objects);
    }
}
