//! The store gateway's metrics: names and labels as Thanos has them, so that its dashboards work.

use std::time::Duration;

use prometheus::{
    Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, exponential_buckets,
};
use rutile_blockio::{DataFigures, Observer, Stats};
use rutile_telemetry::Registry;

const SECONDS: [f64; 14] = [
    0.001, 0.01, 0.1, 0.3, 0.6, 1.0, 3.0, 6.0, 9.0, 20.0, 30.0, 60.0, 90.0, 120.0,
];
const LOAD_SECONDS: [f64; 12] = [
    0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0, 30.0, 60.0, 90.0, 120.0, 300.0,
];
const KIB: f64 = 1024.0;
const MIB: f64 = 1024.0 * KIB;
const CHUNK_BYTES: [f64; 11] = [
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
const GATE_SECONDS: [f64; 13] = [
    0.01, 0.1, 0.3, 0.6, 1.0, 3.0, 6.0, 9.0, 20.0, 30.0, 60.0, 90.0, 120.0,
];

/// Handles of all metrics.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) block_loads: IntCounter,
    pub(crate) block_load_failures: IntCounter,
    pub(crate) block_drops: IntCounter,
    pub(crate) block_drop_failures: IntCounter,
    pub(crate) blocks_loaded: IntGauge,
    pub(crate) last_loaded: IntGauge,
    pub(crate) block_load_duration: Histogram,
    pub(crate) blocks_queried: HistogramVec,
    pub(crate) get_all_duration: HistogramVec,
    pub(crate) merge_duration: HistogramVec,
    pub(crate) result_series: HistogramVec,
    pub(crate) sent_chunk_bytes: HistogramVec,
    pub(crate) queries_dropped: IntCounterVec,
    pub(crate) gate: GateMetrics,
    data: DataMetrics,
}

/// The queue of Series calls.
#[derive(Debug)]
pub(crate) struct GateMetrics {
    pub(crate) duration: Histogram,
    pub(crate) in_flight: IntGauge,
    pub(crate) max: IntGauge,
    pub(crate) total: IntCounter,
}

impl GateMetrics {
    fn new(registry: &Registry) -> Self {
        let r = registry.with_prefix("thanos_bucket_store_series_gate_queries_");
        Self {
            duration: r.histogram(
                "duration_seconds",
                "Time that Series calls waited for their turn.",
                &GATE_SECONDS,
            ),
            in_flight: r.int_gauge("in_flight", "Series calls that run."),
            max: r.int_gauge("max", "Series calls that may run at a time."),
            total: r.int_counter("total", "Series calls."),
        }
    }
}

/// What requests read.
#[derive(Debug)]
struct DataMetrics {
    touched: HistogramVec,
    fetched: HistogramVec,
    touched_bytes: HistogramVec,
    fetched_bytes: HistogramVec,
    postings_bytes: HistogramVec,
    series_refetches: IntCounterVec,
    chunk_refetches: IntCounterVec,
    empty_postings: IntCounterVec,
    lazy_postings: IntCounter,
}

fn doubling(start: f64, count: usize) -> Vec<f64> {
    exponential_buckets(start, 2.0, count).unwrap_or_default()
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        let r = registry.with_prefix("thanos_bucket_store_");
        let tenant = &["tenant"];
        let seconds = |name: &str, help: &str| r.histogram_vec(name, help, tenant, &SECONDS);
        Self {
            block_loads: r.int_counter("block_loads_total", "Attempts to load a block."),
            block_load_failures: r.int_counter(
                "block_load_failures_total",
                "Failed attempts to load a block.",
            ),
            block_drops: r.int_counter("block_drops_total", "Blocks that were dropped."),
            block_drop_failures: r.int_counter(
                "block_drop_failures_total",
                "Dropped blocks whose folder stayed.",
            ),
            blocks_loaded: r.int_gauge("blocks_loaded", "Blocks that are served."),
            last_loaded: r.int_gauge(
                "blocks_last_loaded_timestamp_seconds",
                "When the last block was loaded.",
            ),
            block_load_duration: r.histogram(
                "block_load_duration_seconds",
                "Time to load a block.",
                &LOAD_SECONDS,
            ),
            blocks_queried: r.histogram_vec(
                "series_blocks_queried",
                "Blocks that a Series call read.",
                tenant,
                &doubling(1.0, 10),
            ),
            get_all_duration: seconds(
                "series_get_all_duration_seconds",
                "Time until the first series of all blocks are there.",
            ),
            merge_duration: seconds(
                "series_merge_duration_seconds",
                "Time to merge and send the series of all blocks.",
            ),
            result_series: r.histogram_vec(
                "series_result_series",
                "Series in the answer to a Series call.",
                tenant,
                &doubling(100.0, 15),
            ),
            sent_chunk_bytes: r.histogram_vec(
                "sent_chunk_size_bytes",
                "Bytes of the chunks of a series.",
                tenant,
                &CHUNK_BYTES,
            ),
            queries_dropped: r.int_counter_vec(
                "queries_dropped_total",
                "Calls that a limit failed.",
                &["reason", "tenant"],
            ),
            gate: GateMetrics::new(registry),
            data: DataMetrics::new(&r),
        }
    }

    /// Shows what a request did.
    pub(crate) fn observe(&self, tenant: &str, stats: &Stats) {
        self.data.observe(tenant, stats);
    }
}

impl DataMetrics {
    fn new(r: &Registry) -> Self {
        let labels = &["data_type", "tenant"];
        let (items, bytes) = (doubling(200.0, 15), doubling(1024.0, 15));
        Self {
            touched: r.histogram_vec(
                "series_data_touched",
                "Items that a Series call used.",
                labels,
                &items,
            ),
            fetched: r.histogram_vec(
                "series_data_fetched",
                "Items that a Series call read from the bucket.",
                labels,
                &items,
            ),
            touched_bytes: r.histogram_vec(
                "series_data_size_touched_bytes",
                "Bytes of the items that a Series call used.",
                labels,
                &bytes,
            ),
            fetched_bytes: r.histogram_vec(
                "series_data_size_fetched_bytes",
                "Bytes that a Series call read from the bucket.",
                labels,
                &bytes,
            ),
            postings_bytes: r.histogram_vec(
                "postings_size_bytes",
                "Bytes of the postings of a Series call.",
                &["tenant"],
                &doubling(1024.0, 20),
            ),
            series_refetches: r.int_counter_vec(
                "series_refetches_total",
                "Reads of series entries that were estimated too short.",
                &["tenant"],
            ),
            chunk_refetches: r.int_counter_vec(
                "chunk_refetches_total",
                "Reads of chunks that were estimated too short.",
                &["tenant"],
            ),
            empty_postings: r.int_counter_vec(
                "empty_postings_total",
                "Blocks in which no series matched.",
                &["tenant"],
            ),
            lazy_postings: r.int_counter(
                "lazy_expanded_postings_total",
                "Postings groups that were not read: their matchers were applied to series.",
            ),
        }
    }

    fn observe(&self, tenant: &str, stats: &Stats) {
        let kinds = [
            ("postings", stats.postings.figures()),
            ("series", stats.series.figures()),
            ("chunks", stats.chunks.figures()),
        ];
        for (kind, figures) in kinds {
            let labels = &[kind, tenant];
            let DataFigures {
                touched,
                touched_bytes,
                fetched,
                fetched_bytes,
                ..
            } = figures;
            self.touched
                .with_label_values(labels)
                .observe((touched + fetched) as f64);
            self.fetched
                .with_label_values(labels)
                .observe(fetched as f64);
            self.touched_bytes
                .with_label_values(labels)
                .observe((touched_bytes + fetched_bytes) as f64);
            self.fetched_bytes
                .with_label_values(labels)
                .observe(fetched_bytes as f64);
        }
        let postings = stats.postings.figures();
        let postings = (postings.fetched_bytes + postings.touched_bytes) as f64;
        self.postings_bytes
            .with_label_values(&[tenant])
            .observe(postings);
        let read = |counter: &std::sync::atomic::AtomicU64| {
            counter.load(std::sync::atomic::Ordering::Relaxed)
        };
        let tenant = &[tenant];
        self.series_refetches
            .with_label_values(tenant)
            .inc_by(read(&stats.series_refetches));
        self.chunk_refetches
            .with_label_values(tenant)
            .inc_by(read(&stats.chunk_refetches));
        self.empty_postings
            .with_label_values(tenant)
            .inc_by(read(&stats.empty_postings));
        self.lazy_postings.inc_by(read(&stats.lazy_matchers));
    }
}

/// Metrics of the index-headers.
#[derive(Debug)]
pub(crate) struct HeaderMetrics {
    download: Histogram,
    load: Histogram,
    pub(crate) unloads: IntCounter,
    loads: IntCounter,
}

impl HeaderMetrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        let r = registry.with_prefix("thanos_bucket_store_indexheader_");
        Self {
            download: r.histogram(
                "download_duration_seconds",
                "Time to build an index-header from the bucket.",
                &LOAD_SECONDS,
            ),
            load: r.histogram(
                "lazy_load_duration_seconds",
                "Time to open an index-header.",
                &[0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0],
            ),
            loads: r.int_counter("lazy_load_total", "Index-headers opened."),
            unloads: r.int_counter("lazy_unload_total", "Index-headers closed because idle."),
        }
    }
}

impl Observer for HeaderMetrics {
    fn header_downloaded(&self, took: Duration) {
        self.download.observe(took.as_secs_f64());
    }

    fn header_loaded(&self, took: Duration) {
        self.loads.inc();
        self.load.observe(took.as_secs_f64());
    }
}
