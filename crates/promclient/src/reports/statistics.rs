//! `/api/v1/status/tsdb`.

use rutile_proto::thanos::{HeadStatistics, Statistic, TsdbStatisticsEntry};
use serde::Deserialize;

use super::or_default;
use crate::{Client, Result};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Statistics {
    #[serde(default)]
    head_stats: Head,
    #[serde(default, deserialize_with = "or_default")]
    series_count_by_metric_name: Vec<Entry>,
    #[serde(default, deserialize_with = "or_default")]
    label_value_count_by_label_name: Vec<Entry>,
    #[serde(default, deserialize_with = "or_default")]
    memory_in_bytes_by_label_name: Vec<Entry>,
    #[serde(default, deserialize_with = "or_default")]
    series_count_by_label_value_pair: Vec<Entry>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Head {
    num_series: u64,
    num_label_pairs: i64,
    chunk_count: i64,
    min_time: i64,
    max_time: i64,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    value: u64,
}

impl Client {
    /// What fills its database: lists of at most `limit` entries, or as many as it likes if that is 0.
    ///
    /// # Errors
    /// As [`Client::series`].
    pub async fn tsdb_statistics(&self, limit: u32) -> Result<TsdbStatisticsEntry> {
        let mut url = self.url(&["api", "v1", "status", "tsdb"]);
        if limit > 0 {
            let limit = limit.to_string();
            url.query_pairs_mut().append_pair("limit", &limit);
        }
        let statistics: Statistics = self.api_data(&url).await?;
        Ok(statistics.into_message())
    }
}

impl Statistics {
    pub(super) fn into_message(self) -> TsdbStatisticsEntry {
        let entry = |json: Entry| Statistic {
            name: json.name,
            value: json.value,
        };
        let list = |entries: Vec<Entry>| entries.into_iter().map(entry).collect();
        let head = self.head_stats;
        TsdbStatisticsEntry {
            head_statistics: Some(HeadStatistics {
                num_series: head.num_series,
                num_label_pairs: head.num_label_pairs,
                chunk_count: head.chunk_count,
                min_time: head.min_time,
                max_time: head.max_time,
            }),
            series_count_by_metric_name: list(self.series_count_by_metric_name),
            label_value_count_by_label_name: list(self.label_value_count_by_label_name),
            memory_in_bytes_by_label_name: list(self.memory_in_bytes_by_label_name),
            series_count_by_label_value_pair: list(self.series_count_by_label_value_pair),
        }
    }
}
