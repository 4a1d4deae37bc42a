//! What the store says of itself: label sets, time range, streams of blocks.

use std::collections::BTreeMap;

use rutile_model::Labels;
use rutile_proto::thanos;
use rutile_proto::thanos::info::{InfoResponse, StoreInfo, TsdbInfo};

use crate::block::BlockSet;

/// The Info answer for a set of blocks, clamped to the inclusive range that the store serves.
pub(crate) fn response(set: &BlockSet, min_time: i64, max_time: i64) -> InfoResponse {
    let metas = || set.blocks.values().map(|block| &block.meta);
    let earliest = metas().map(|meta| meta.min_time).min().unwrap_or(i64::MAX);
    let latest = metas().map(|meta| meta.max_time).max().unwrap_or(i64::MIN);
    let label_sets = set.label_sets.iter().map(|set| label_set(&set.labels));
    InfoResponse {
        label_sets: label_sets.collect(),
        component_type: "store".to_owned(),
        store: Some(StoreInfo {
            min_time: earliest.max(min_time),
            max_time: latest.min(max_time),
            supports_sharding: true,
            supports_without_replica_labels: true,
            tsdb_infos: tsdb_infos(set),
            supports_projections: false,
        }),
        ..InfoResponse::default()
    }
}

fn label_set(labels: &Labels) -> thanos::ZLabelSet {
    let label = |(name, value): (&str, &str)| thanos::Label {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    thanos::ZLabelSet {
        labels: labels.iter().map(label).collect(),
    }
}

/// The time ranges of each label set; blocks that touch or overlap are one range.
fn tsdb_infos(set: &BlockSet) -> Vec<TsdbInfo> {
    let mut ranges: BTreeMap<&Labels, Vec<(i64, i64)>> = BTreeMap::new();
    for block in set.blocks.values() {
        let range = (block.meta.min_time, block.meta.max_time);
        ranges
            .entry(&block.meta.thanos.labels)
            .or_default()
            .push(range);
    }
    let mut infos = Vec::with_capacity(ranges.len());
    for (labels, mut ranges) in ranges {
        ranges.sort_unstable();
        let mut joined: Vec<(i64, i64)> = Vec::new();
        for (min, max) in ranges {
            match joined.last_mut() {
                Some(last) if min <= last.1 => last.1 = last.1.max(max),
                _ => joined.push((min, max)),
            }
        }
        infos.extend(joined.into_iter().map(|(min_time, max_time)| TsdbInfo {
            labels: Some(label_set(labels)),
            min_time,
            max_time,
        }));
    }
    infos
}
