//! `thanos_blocks_meta_*`.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{self, MetricFamily, MetricType};
use rutile_block::{BlockId, Contract, InvariantId};
use rutile_telemetry::{Histogram, IntCounter, IntCounterVec, IntGaugeVec, Registry};

use crate::{BadReason, Selection, View};

const BUCKETS: [f64; 7] = [0.01, 1.0, 10.0, 100.0, 300.0, 600.0, 1000.0];
const SYNCED: &str = "thanos_blocks_meta_synced";
const MODIFIED: &str = "thanos_blocks_meta_modified";
/// States that are always shown, also at 0.
const STATES: [&str; 11] = [
    "corrupted-meta-json",
    "no-meta-json",
    "loaded",
    "too-fresh",
    "failed",
    "label-excluded",
    "time-excluded",
    "duplicate",
    "marked-for-deletion",
    "marked-for-no-compact",
    "parquet-migrated",
];
const REPLICA_REMOVED: &str = "replica-label-removed";

/// The metrics of a fetcher.
#[derive(Debug, Clone)]
pub struct FetcherMetrics {
    pub(crate) base_syncs: IntCounter,
    pub(crate) cache_busts: IntCounter,
    pub(crate) syncs: IntCounter,
    pub(crate) sync_failures: IntCounter,
    pub(crate) sync_duration: Histogram,
    contract_events: IntCounterVec,
    unsafe_settings: IntGaugeVec,
    synced: Gauges,
    modified: Gauges,
}

impl FetcherMetrics {
    /// Registers them. Once for each registry.
    #[must_use]
    pub fn new(registry: &Registry) -> Self {
        let this = Self {
            base_syncs: registry.int_counter(
                "thanos_blocks_meta_base_syncs_total",
                "Total blocks metadata synchronization attempts by base Fetcher",
            ),
            cache_busts: registry.int_counter(
                "thanos_blocks_meta_base_cache_busts_total",
                "Total blocks metadata cache busts by base Fetcher",
            ),
            syncs: registry.int_counter(
                "thanos_blocks_meta_syncs_total",
                "Total blocks metadata synchronization attempts",
            ),
            sync_failures: registry.int_counter(
                "thanos_blocks_meta_sync_failures_total",
                "Total blocks metadata synchronization failures",
            ),
            sync_duration: registry.histogram(
                "thanos_blocks_meta_sync_duration_seconds",
                "Duration of the blocks metadata synchronization in seconds",
                &BUCKETS,
            ),
            contract_events: registry.int_counter_vec(
                "rutile_contract_events_total",
                "Times that a clause of the bucket contract was broken by somebody, or had to be defended.",
                &["clause"],
            ),
            unsafe_settings: registry.int_gauge_vec(
                "rutile_contract_unsafe_settings",
                "Inequalities between delays that do not hold, by clause.",
                &["clause"],
            ),
            synced: Gauges::new(SYNCED, "Number of block metadata synced", "state", &STATES),
            modified: Gauges::new(
                MODIFIED,
                "Number of blocks whose metadata changed",
                "modified",
                &[REPLICA_REMOVED],
            ),
        };
        registry.register(Box::new(this.synced.clone()));
        registry.register(Box::new(this.modified.clone()));
        this
    }

    /// Counts an event that a clause is about.
    pub fn contract_event(&self, clause: InvariantId, times: usize) {
        self.contract_events
            .with_label_values(&[clause.as_str()])
            .inc_by(u64::try_from(times).unwrap_or(u64::MAX));
    }

    /// Shows how many of its inequalities the delays of a process break, by clause.
    pub fn show_delays(&self, contract: &Contract) {
        let of = |clause: InvariantId| self.unsafe_settings.with_label_values(&[clause.as_str()]);
        for clause in [InvariantId::Bc3, InvariantId::Bc9] {
            of(clause).set(0);
        }
        for violation in contract.check() {
            of(violation.clause).inc();
        }
    }

    /// Shows the outcome of a sync: all states at once, so that no scrape sees half of it.
    pub fn publish(&self, view: &View, selection: &Selection) {
        let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
        let mut add = |state, times| *counts.entry(state).or_default() += times;
        add("no-meta-json", view.partial.len());
        for bad in view.bad.values() {
            add(
                if bad.reason == BadReason::CorruptMeta {
                    "corrupted-meta-json"
                } else {
                    "failed"
                },
                1,
            );
        }
        for exclusion in selection.excluded.values() {
            add(exclusion.state(), 1);
        }
        add("duplicate", selection.superseded.len());
        add("loaded", selection.wanted.len());
        let marked_no_compact = |id: &&BlockId| {
            view.blocks
                .get(id)
                .is_some_and(|info| info.marks.no_compact.is_there())
        };
        add(
            "marked-for-no-compact",
            selection
                .no_compact
                .iter()
                .filter(marked_no_compact)
                .count(),
        );
        if !selection.no_downsample.is_empty() {
            add("marked-for-no-downsample", selection.no_downsample.len());
        }
        self.synced.replace(counts);
        self.modified.replace(BTreeMap::from([(
            REPLICA_REMOVED,
            selection.replica_labels_removed,
        )]));
    }
}

/// Gauges by one label whose values change together.
#[derive(Debug, Clone)]
struct Gauges(Arc<GaugesInner>);

#[derive(Debug)]
struct GaugesInner {
    name: &'static str,
    help: &'static str,
    label: &'static str,
    always: &'static [&'static str],
    desc: Option<Desc>,
    values: Mutex<BTreeMap<&'static str, usize>>,
}

impl Gauges {
    fn new(
        name: &'static str,
        help: &'static str,
        label: &'static str,
        always: &'static [&'static str],
    ) -> Self {
        let desc = Desc::new(
            name.to_owned(),
            help.to_owned(),
            vec![label.to_owned()],
            Default::default(),
        );
        let this = Self(Arc::new(GaugesInner {
            name,
            help,
            label,
            always,
            desc: desc.ok(),
            values: Mutex::default(),
        }));
        this.replace(BTreeMap::new());
        this
    }

    fn replace(&self, mut values: BTreeMap<&'static str, usize>) {
        for state in self.0.always {
            values.entry(state).or_default();
        }
        *self.0.values.lock() = values;
    }
}

impl Collector for Gauges {
    fn desc(&self) -> Vec<&Desc> {
        self.0.desc.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let values = self.0.values.lock();
        let metrics = values.iter().map(|(state, count)| {
            let mut pair = proto::LabelPair::default();
            pair.set_name(self.0.label.to_owned());
            pair.set_value((*state).to_owned());
            let mut gauge = proto::Gauge::default();
            // Exact up to 2^53 blocks.
            gauge.set_value(*count as f64);
            let mut metric = proto::Metric::default();
            metric.set_label(vec![pair]);
            metric.set_gauge(gauge);
            metric
        });
        let mut family = MetricFamily::default();
        family.set_metric(metrics.collect());
        family.set_name(self.0.name.to_owned());
        family.set_help(self.0.help.to_owned());
        family.set_field_type(MetricType::GAUGE);
        vec![family]
    }
}
