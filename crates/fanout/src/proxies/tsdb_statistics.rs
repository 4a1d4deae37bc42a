//! Statistics of databases: summed.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, btree_map::Entry},
};

use rutile_proto::thanos::{
    HeadStatistics, Statistic, TsdbStatistics as Found, TsdbStatisticsEntry, TsdbStatisticsRequest,
    TsdbStatisticsResponse, info::InfoResponse, tsdb_statistics_response,
};
use rutile_storeapi::grpc::TsdbStatistics;

use super::gather::{Asked, Message};

impl Asked for TsdbStatistics {
    type Data = Found;
    const WHAT: &'static str = "fetch TSDB statistics";

    fn is_served(info: &InfoResponse) -> bool {
        info.status.is_some()
    }

    fn strategy(request: &TsdbStatisticsRequest) -> i32 {
        request.partial_response_strategy
    }

    fn open(response: TsdbStatisticsResponse) -> Option<Message<Found>> {
        Some(match response.result? {
            tsdb_statistics_response::Result::Statistics(found) => Message::Data(found),
            tsdb_statistics_response::Result::Warning(text) => Message::Warning(text),
        })
    }

    fn close(message: Message<Found>) -> TsdbStatisticsResponse {
        TsdbStatisticsResponse {
            result: Some(match message {
                Message::Data(found) => tsdb_statistics_response::Result::Statistics(found),
                Message::Warning(text) => tsdb_statistics_response::Result::Warning(text),
            }),
        }
    }
}

/// By tenant, the statistics of all databases as one.
pub(crate) fn merge(found: Vec<Found>) -> BTreeMap<String, TsdbStatisticsEntry> {
    let mut tenants: BTreeMap<String, TsdbStatisticsEntry> = BTreeMap::new();
    for (tenant, entry) in found.into_iter().flat_map(|part| part.statistics) {
        match tenants.entry(tenant) {
            Entry::Vacant(vacant) => {
                vacant.insert(sum(TsdbStatisticsEntry::default(), entry));
            }
            Entry::Occupied(mut known) => {
                let so_far = std::mem::take(known.get_mut());
                known.insert(sum(so_far, entry));
            }
        }
    }
    tenants
}

/// The statistics of all tenants as one.
#[must_use]
pub fn of_all_tenants(tenants: BTreeMap<String, TsdbStatisticsEntry>) -> TsdbStatisticsEntry {
    tenants
        .into_values()
        .fold(TsdbStatisticsEntry::default(), sum)
}

/// Source: Thanos, `pkg/status/statuspb/custom.go`.
fn sum(a: TsdbStatisticsEntry, b: TsdbStatisticsEntry) -> TsdbStatisticsEntry {
    TsdbStatisticsEntry {
        head_statistics: Some(sum_of_heads(
            &a.head_statistics.unwrap_or_default(),
            &b.head_statistics.unwrap_or_default(),
        )),
        series_count_by_metric_name: united(
            a.series_count_by_metric_name,
            b.series_count_by_metric_name,
            u64::saturating_add,
        ),
        // Databases have values in common.
        label_value_count_by_label_name: united(
            a.label_value_count_by_label_name,
            b.label_value_count_by_label_name,
            u64::max,
        ),
        memory_in_bytes_by_label_name: united(
            a.memory_in_bytes_by_label_name,
            b.memory_in_bytes_by_label_name,
            u64::saturating_add,
        ),
        series_count_by_label_value_pair: united(
            a.series_count_by_label_value_pair,
            b.series_count_by_label_value_pair,
            u64::saturating_add,
        ),
    }
}

/// A first time of 0 is none that is known.
fn sum_of_heads(a: &HeadStatistics, b: &HeadStatistics) -> HeadStatistics {
    let begins = [a.min_time, b.min_time].into_iter();
    HeadStatistics {
        num_series: a.num_series.saturating_add(b.num_series),
        num_label_pairs: a.num_label_pairs.saturating_add(b.num_label_pairs),
        chunk_count: a.chunk_count.saturating_add(b.chunk_count),
        min_time: begins.filter(|time| *time != 0).min().unwrap_or(0),
        max_time: a.max_time.max(b.max_time),
    }
}

/// One entry for each name, the greatest first.
fn united(a: Vec<Statistic>, b: Vec<Statistic>, unite: fn(u64, u64) -> u64) -> Vec<Statistic> {
    let mut values: BTreeMap<String, u64> = BTreeMap::new();
    for Statistic { name, value } in a.into_iter().chain(b) {
        let known = values.entry(name).or_default();
        *known = unite(*known, value);
    }
    let statistic = |(name, value)| Statistic { name, value };
    let mut all: Vec<_> = values.into_iter().map(statistic).collect();
    all.sort_by_key(|statistic| Reverse(statistic.value));
    all
}

#[cfg(test)]
mod tests;
