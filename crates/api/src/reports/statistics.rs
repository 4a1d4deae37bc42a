//! `/status/tsdb`.

use rutile_proto::thanos::{Statistic, TsdbStatisticsEntry};
use serde::Serialize;

use crate::Data;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusJson<'a> {
    head_stats: HeadJson,
    series_count_by_metric_name: Vec<StatisticJson<'a>>,
    label_value_count_by_label_name: Vec<StatisticJson<'a>>,
    memory_in_bytes_by_label_name: Vec<StatisticJson<'a>>,
    series_count_by_label_value_pair: Vec<StatisticJson<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HeadJson {
    num_series: u64,
    num_label_pairs: i64,
    chunk_count: i64,
    min_time: i64,
    max_time: i64,
}

#[derive(Serialize)]
struct StatisticJson<'a> {
    name: &'a str,
    value: u64,
}

/// What fills a database; at most `limit` entries in each list.
#[must_use]
pub fn tsdb_status(entry: &TsdbStatisticsEntry, limit: usize) -> Data {
    let head = entry.head_statistics.unwrap_or_default();
    let list = |statistics| list(statistics, limit);
    Data::json(&StatusJson {
        head_stats: HeadJson {
            num_series: head.num_series,
            num_label_pairs: head.num_label_pairs,
            chunk_count: head.chunk_count,
            min_time: head.min_time,
            max_time: head.max_time,
        },
        series_count_by_metric_name: list(&entry.series_count_by_metric_name),
        label_value_count_by_label_name: list(&entry.label_value_count_by_label_name),
        memory_in_bytes_by_label_name: list(&entry.memory_in_bytes_by_label_name),
        series_count_by_label_value_pair: list(&entry.series_count_by_label_value_pair),
    })
}

fn list(statistics: &[Statistic], limit: usize) -> Vec<StatisticJson<'_>> {
    let statistics = statistics.iter().take(limit);
    let json = statistics.map(|statistic| StatisticJson {
        name: &statistic.name,
        value: statistic.value,
    });
    json.collect()
}
