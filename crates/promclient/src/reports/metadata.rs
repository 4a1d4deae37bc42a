//! `/api/v1/metadata`.

use std::collections::BTreeMap;

use rutile_proto::thanos::{Meta, MetricMetadata, MetricMetadataEntry};
use serde::Deserialize;

use crate::{Client, Result};

#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct ByMetric(BTreeMap<String, Vec<MetaJson>>);

#[derive(Deserialize)]
struct MetaJson {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    help: String,
    #[serde(default)]
    unit: String,
}

impl Client {
    /// Types, help texts and units: of `metric`, or of all if it is empty; of at most `limit` metrics unless
    /// that is negative.
    ///
    /// # Errors
    /// As [`Client::series`].
    pub async fn metadata(&self, metric: &str, limit: i32) -> Result<MetricMetadata> {
        let mut url = self.url(&["api", "v1", "metadata"]);
        if !metric.is_empty() {
            url.query_pairs_mut().append_pair("metric", metric);
        }
        if limit >= 0 {
            let limit = limit.to_string();
            url.query_pairs_mut().append_pair("limit", &limit);
        }
        let found: Option<ByMetric> = self.api(&url).await?.data;
        Ok(found.map(ByMetric::into_message).unwrap_or_default())
    }
}

impl ByMetric {
    pub(super) fn into_message(self) -> MetricMetadata {
        let meta = |json: MetaJson| Meta {
            r#type: json.kind,
            help: json.help,
            unit: json.unit,
        };
        let entry = |metas: Vec<MetaJson>| MetricMetadataEntry {
            metas: metas.into_iter().map(meta).collect(),
        };
        let entries = self.0.into_iter();
        MetricMetadata {
            metadata: entries.map(|(name, metas)| (name, entry(metas))).collect(),
        }
    }
}
