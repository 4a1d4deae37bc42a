//! What a component says about itself.

use std::{collections::BTreeSet, sync::Arc};

use rutile_model::{Labels, RelabelConfig};
use rutile_proto::thanos::{
    Label, ZLabelSet,
    info::{InfoResponse, StoreInfo, TsdbInfo},
};

use crate::{Known, select::kept_label_sets};

/// The component that a child querier calls itself.
const QUERY: &str = "query";

/// An Info answer, with its label sets in a form that can be matched.
#[derive(Debug, Clone, PartialEq)]
pub struct Metadata {
    /// The answer. A sub-message that is present means that the API is served.
    pub info: InfoResponse,
    /// The external labels of its data: each set stands for some of it. Empty sets are left out.
    pub label_sets: Vec<Labels>,
    /// The databases behind it, as far as it names them.
    pub tsdbs: Vec<Tsdb>,
}

/// A database behind a store, or a stream of blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tsdb {
    /// Its external labels.
    pub labels: Labels,
    /// Its first and last time, in milliseconds, inclusive.
    pub min_time: i64,
    /// See `min_time`. Store gateways of Thanos may name one that is too early.
    pub max_time: i64,
}

impl Metadata {
    /// Takes an answer.
    #[must_use]
    pub fn new(info: InfoResponse) -> Self {
        let label_sets = info
            .label_sets
            .iter()
            .map(|set| labels(&set.labels))
            .filter(|labels| !labels.is_empty())
            .collect();
        let infos = info.store.iter().flat_map(|store| &store.tsdb_infos);
        let tsdb = |info: &TsdbInfo| Tsdb {
            labels: info
                .labels
                .as_ref()
                .map(|set| labels(&set.labels))
                .unwrap_or_default(),
            min_time: info.min_time,
            max_time: info.max_time,
        };
        let tsdbs = infos.map(tsdb).collect();
        Self {
            info,
            label_sets,
            tsdbs,
        }
    }

    /// What is assumed of an endpoint that has never answered: it is a store of all times.
    #[must_use]
    pub fn unknown() -> Arc<Self> {
        Arc::new(Self::new(InfoResponse {
            store: Some(StoreInfo {
                min_time: i64::MIN,
                max_time: i64::MAX,
                ..StoreInfo::default()
            }),
            ..InfoResponse::default()
        }))
    }

    /// Kind of component, such as `sidecar`; empty if it is not known.
    #[must_use]
    pub fn component(&self) -> &str {
        &self.info.component_type
    }

    /// Whether it serves series.
    pub(crate) fn is_store(&self) -> bool {
        self.info.store.is_some()
    }

    /// Whether it is a querier, which has endpoints of its own.
    pub(crate) fn is_querier(&self) -> bool {
        self.component() == QUERY
    }

    /// First and last time of its samples, in milliseconds, inclusive.
    #[must_use]
    pub fn time_range(&self) -> (i64, i64) {
        match &self.info.store {
            Some(store) => (store.min_time, store.max_time),
            None => (i64::MIN, i64::MAX),
        }
    }

    /// Whether it filters by shards itself.
    #[must_use]
    pub fn supports_sharding(&self) -> bool {
        self.info
            .store
            .as_ref()
            .is_some_and(|store| store.supports_sharding)
    }

    /// Whether it removes replica labels, and sorts after that.
    #[must_use]
    pub fn supports_without_replica_labels(&self) -> bool {
        let store = self.info.store.as_ref();
        store.is_some_and(|store| store.supports_without_replica_labels)
    }

    /// Whether data with these external labels can begin before or at `max_time`.
    ///
    /// Only the beginnings count: the ends that Thanos' store gateways name may lie before those of
    /// their blocks. What a child querier names may lack databases of its own stores.
    pub(crate) fn begins_until(&self, labels: &Labels, max_time: i64) -> bool {
        let mut named = self
            .tsdbs
            .iter()
            .filter(|tsdb| tsdb.labels == *labels)
            .peekable();
        self.is_querier() || named.peek().is_none() || named.any(|tsdb| tsdb.min_time <= max_time)
    }
}

fn labels(labels: &[Label]) -> Labels {
    labels
        .iter()
        .map(|label| (&label.name, &label.value))
        .collect()
}

/// What a proxy for these stores says of itself. All that it announces has the selector labels. It speaks for the
/// absent ones, too: whoever wants their data is to be told that it is missing.
pub(crate) fn of_all(known: &Known, selector: &Labels, relabel: &[RelabelConfig]) -> InfoResponse {
    let mut range: Option<(i64, i64)> = None;
    let mut sets = BTreeSet::new();
    let mut tsdb_infos = Vec::new();
    for metadata in known.metadata() {
        let Some(kept) = kept_label_sets(metadata, relabel) else {
            continue;
        };
        let (min, max) = metadata.time_range();
        range = Some(range.map_or((min, max), |range| (range.0.min(min), range.1.max(max))));
        let is_kept = |tsdb: &&Tsdb| relabel.is_empty() || kept.contains(&&tsdb.labels);
        let tsdbs = metadata.tsdbs.iter().filter(is_kept);
        tsdb_infos.extend(tsdbs.map(|tsdb| TsdbInfo {
            labels: Some(label_set(&tsdb.labels.extended_with(selector))),
            min_time: tsdb.min_time,
            max_time: tsdb.max_time,
        }));
        sets.extend(kept.into_iter().map(|set| set.extended_with(selector)));
    }
    if sets.is_empty() && !selector.is_empty() {
        sets.insert(selector.clone());
    }
    let (min_time, max_time) = range.unwrap_or((i64::MIN, i64::MAX));
    InfoResponse {
        label_sets: sets.iter().map(label_set).collect(),
        component_type: QUERY.to_owned(),
        store: Some(StoreInfo {
            min_time,
            max_time,
            supports_sharding: true,
            supports_without_replica_labels: true,
            tsdb_infos,
            supports_projections: false,
        }),
        ..InfoResponse::default()
    }
}

fn label_set(labels: &Labels) -> ZLabelSet {
    let label = |(name, value): (&str, &str)| Label {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    ZLabelSet {
        labels: labels.iter().map(label).collect(),
    }
}
