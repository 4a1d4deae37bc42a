//! The compactor's metrics: names and labels as Thanos has them, so that its dashboards work.

use std::collections::BTreeMap;
use std::sync::Arc;

use rutile_block::{Contract, Mark, MarkKind, reason};
use rutile_fetcher::{BadReason, View};
use rutile_merge::Reason;
use rutile_telemetry::{
    Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry,
};

use crate::times::WRONG_TIMES;

const GARBAGE_SECONDS: [f64; 12] = [
    0.25, 0.6, 1.0, 3.0, 6.0, 9.0, 20.0, 30.0, 60.0, 90.0, 120.0, 360.0,
];
const DOWNSAMPLE_SECONDS: [f64; 7] = [60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0];
/// For reasons that somebody else invented: the label has a bounded set of values.
const OTHER: &str = "other";

/// Handles of all metrics.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) iterations: IntCounter,
    pub(crate) retries: IntCounter,
    pub(crate) runs_started: IntCounterVec,
    pub(crate) runs_completed: IntCounterVec,
    pub(crate) compactions: IntCounterVec,
    pub(crate) vertical_compactions: IntCounterVec,
    pub(crate) failures: IntCounterVec,
    pub(crate) downsampling: DownsampleMetrics,
    pub(crate) garbage: GarbageMetrics,
    pub(crate) marked: IntCounterVec,
    pub(crate) claims: IntCounterVec,
    pub(crate) cleaned: IntCounter,
    pub(crate) cleanup_failures: IntCounter,
    pub(crate) partial_attempts: IntCounter,
    pub(crate) cleanup_loops: IntCounter,
    pub(crate) aborted_uploads: IntCounter,
    pub(crate) todo: TodoMetrics,
    pub(crate) overlapping: IntGauge,
    pub(crate) retention_waiting: IntGauge,
    quarantined: IntGaugeVec,
}

/// Downsampling.
#[derive(Debug)]
pub(crate) struct DownsampleMetrics {
    pub(crate) blocks: IntCounterVec,
    pub(crate) failures: IntCounterVec,
    pub(crate) seconds: HistogramVec,
}

/// Marking what another block replaces.
#[derive(Debug)]
pub(crate) struct GarbageMetrics {
    pub(crate) runs: IntCounter,
    pub(crate) failures: IntCounter,
    pub(crate) seconds: Histogram,
    pub(crate) blocks: IntCounter,
}

/// What is outstanding.
#[derive(Debug)]
pub(crate) struct TodoMetrics {
    pub(crate) compactions: IntGauge,
    pub(crate) blocks: IntGauge,
    pub(crate) downsamples: IntGauge,
    pub(crate) deletions: IntGauge,
}

/// The label `resolution`: ms as text.
pub(crate) const RESOLUTIONS: [&str; 3] = ["0", "300000", "3600000"];

impl Metrics {
    pub(crate) fn new(registry: &Registry, contract: &Contract) -> Arc<Self> {
        let r = registry.with_prefix("thanos_compact_");
        let by_resolution = |name: &str, help: &str| by_resolution(&r, name, help);
        r.int_gauge("halted", "Always 0: nothing halts this compactor.")
            .set(0);
        let marked = r.int_counter_vec(
            "blocks_marked_total",
            "Blocks that were marked.",
            &["marker", "reason"],
        );
        for (kind, why) in [
            (MarkKind::Deletion, ""),
            (MarkKind::NoCompact, reason::INDEX_SIZE_EXCEEDING),
            (MarkKind::NoCompact, reason::OUT_OF_ORDER_CHUNKS),
            (MarkKind::NoCompact, reason::DOWNSAMPLE_VERTICAL_COMPACTION),
        ] {
            marked.with_label_values(&[kind.file_name(), why]).inc_by(0);
        }
        let this = Self {
            iterations: r.int_counter("iterations_total", "Iterations that succeeded."),
            retries: r.int_counter("retries_total", "Iterations that are to be tried again."),
            runs_started: by_resolution("group_compaction_runs_started_total", "Runs of a group that began."),
            runs_completed: by_resolution("group_compaction_runs_completed_total", "Runs of a group that ended well."),
            compactions: by_resolution("group_compactions_total", "Merges that yielded a block."),
            vertical_compactions: by_resolution("group_vertical_compactions_total", "Merges of blocks that overlap."),
            failures: by_resolution("group_compactions_failures_total", "Merges that failed."),
            downsampling: DownsampleMetrics::new(registry),
            garbage: GarbageMetrics::new(registry),
            marked,
            claims: claims(registry),
            cleaned: r.int_counter("blocks_cleaned_total", "Blocks that were deleted."),
            cleanup_failures: r.int_counter("block_cleanup_failures_total", "Blocks that could not be deleted."),
            partial_attempts: r.int_counter(
                "aborted_partial_uploads_deletion_attempts_total",
                "Attempts to remove what an upload left behind.",
            ),
            cleanup_loops: r.int_counter("block_cleanup_loops_total", "Rounds of the background clean-up."),
            aborted_uploads: registry.int_counter(
                "rutile_compact_aborted_uploads_total",
                "Uploads in parts that nobody finished, and that were aborted.",
            ),
            todo: TodoMetrics::new(registry),
            overlapping: registry.int_gauge(
                "rutile_compact_overlapping_blocks",
                "Blocks that are left alone because they overlap others of their group.",
            ),
            retention_waiting: registry.int_gauge(
                "rutile_compact_retention_waiting_blocks",
                "Blocks that outlived their retention and wait to be downsampled.",
            ),
            quarantined: registry.int_gauge_vec(
                "rutile_compact_quarantined_blocks",
                "Blocks that are left out of compactions, by the reason of their mark or by what is wrong with their meta.json.",
                &["reason"],
            ),
        };
        show_delays(registry, contract);
        this.show_quarantined(&View::default());
        Arc::new(this)
    }

    /// Counts a mark that was written.
    pub(crate) fn count_mark(&self, kind: MarkKind, reason: &str) {
        self.marked
            .with_label_values(&[kind.file_name(), reason])
            .inc();
    }

    /// Shows how many blocks are left out, and why.
    pub(crate) fn show_quarantined(&self, view: &View) {
        let known = [
            reason::MANUAL,
            reason::DOWNSAMPLE_VERTICAL_COMPACTION,
            WRONG_TIMES,
            OTHER,
        ];
        let bad = [
            BadReason::CorruptMeta,
            BadReason::UnknownVersion,
            BadReason::TooLarge,
        ];
        let reasons = Reason::ALL
            .iter()
            .map(|reason| reason.as_str())
            .chain(known);
        let mut counts: BTreeMap<&str, i64> = reasons.map(|reason| (reason, 0)).collect();
        counts.extend(bad.map(|reason| (bad_meta(reason), 0)));
        for info in view.blocks.values() {
            if let Some(present) = info.marks.no_compact.present()
                && let Mark::NoCompact(mark) = &present.mark
            {
                let reason = mark.reason.as_str();
                let reason = if counts.contains_key(reason) {
                    reason
                } else {
                    OTHER
                };
                *counts.entry(reason).or_default() += 1;
            }
        }
        for block in view.bad.values().filter(|bad| !bad.reason.is_passing()) {
            *counts.entry(bad_meta(block.reason)).or_default() += 1;
        }
        for (reason, count) in counts {
            self.quarantined.with_label_values(&[reason]).set(count);
        }
    }
}

fn show_delays(registry: &Registry, contract: &Contract) {
    let seconds = |ms: i64| ms as f64 / 1000.0;
    let delete = registry.gauge(
        "thanos_delete_delay_seconds",
        "How long after its mark a block is deleted.",
    );
    delete.set(seconds(contract.delete_delay_ms));
    let consistency = registry.gauge(
        "thanos_consistency_delay_seconds",
        "How old a block must be to be compacted.",
    );
    consistency.set(seconds(contract.consistency_delay_ms));
}

fn bad_meta(reason: BadReason) -> &'static str {
    match reason {
        BadReason::CorruptMeta => "meta-corrupt",
        BadReason::UnknownVersion => "meta-unknown-version",
        BadReason::TooLarge => "meta-too-large",
        BadReason::Unreadable => "meta-unreadable",
    }
}

/// A counter with the label `resolution`, all of them there from the start.
fn by_resolution(registry: &Registry, name: &str, help: &str) -> IntCounterVec {
    let counter = registry.int_counter_vec(name, help, &["resolution"]);
    for resolution in RESOLUTIONS {
        counter.with_label_values(&[resolution]).inc_by(0);
    }
    counter
}

impl DownsampleMetrics {
    fn new(registry: &Registry) -> Self {
        let r = registry.with_prefix("thanos_compact_downsample_");
        Self {
            blocks: by_resolution(
                &r,
                "total",
                "Blocks whose turn to be downsampled came, by the resolution that they have.",
            ),
            failures: by_resolution(&r, "failures_total", "Those of which nothing was made."),
            seconds: r.histogram_vec(
                "duration_seconds",
                "Time that a block took.",
                &["resolution"],
                &DOWNSAMPLE_SECONDS,
            ),
        }
    }
}

impl GarbageMetrics {
    fn new(registry: &Registry) -> Self {
        let r = registry.with_prefix("thanos_compact_");
        Self {
            runs: r.int_counter("garbage_collection_total", "Garbage collections."),
            failures: r.int_counter(
                "garbage_collection_failures_total",
                "Garbage collections that failed.",
            ),
            seconds: r.histogram(
                "garbage_collection_duration_seconds",
                "Time of a garbage collection.",
                &GARBAGE_SECONDS,
            ),
            blocks: r.int_counter(
                "garbage_collected_blocks_total",
                "Blocks that were marked because another one replaces them.",
            ),
        }
    }
}

impl TodoMetrics {
    fn new(registry: &Registry) -> Self {
        let r = registry.with_prefix("thanos_compact_todo_");
        Self {
            compactions: r.int_gauge("compactions", "Merges that are planned."),
            blocks: r.int_gauge(
                "compaction_blocks",
                "Inputs of the merges that are planned.",
            ),
            downsamples: r.int_gauge("downsample_blocks", "Blocks that are to be downsampled."),
            deletions: r.int_gauge("deletion_blocks", "Blocks that retention is going to mark."),
        }
    }
}

/// Claims of work, by what became of them.
fn claims(registry: &Registry) -> IntCounterVec {
    let claims = registry.int_counter_vec(
        "rutile_compact_claims_total",
        "Claims of work that compactors share: granted, held by another one, done by another one since the look at the bucket, and lost after they were granted.",
        &["outcome"],
    );
    for outcome in ["granted", "held", "outdated", "lost"] {
        claims.with_label_values(&[outcome]).inc_by(0);
    }
    claims
}
