//! `/api/v1/query_exemplars`.

use rutile_model::Labels;
use rutile_proto::thanos::{Exemplar, ExemplarData};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use super::{label_set, or_default};
use crate::select::seconds;
use crate::{Client, Result};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SeriesJson {
    #[serde(default, deserialize_with = "or_default")]
    series_labels: Labels,
    #[serde(default, deserialize_with = "or_default")]
    exemplars: Vec<ExemplarJson>,
}

#[derive(Deserialize)]
struct ExemplarJson {
    #[serde(default, deserialize_with = "or_default")]
    labels: Labels,
    #[serde(deserialize_with = "number")]
    value: f64,
    /// Seconds.
    timestamp: f64,
}

impl Client {
    /// The exemplars of the series that `query` selects, from `start` to `end` (ms, inclusive).
    ///
    /// # Errors
    /// As [`Client::series`].
    pub async fn exemplars(&self, query: &str, start: i64, end: i64) -> Result<Vec<ExemplarData>> {
        let mut url = self.url(&["api", "v1", "query_exemplars"]);
        url.query_pairs_mut()
            .append_pair("query", query)
            .append_pair("start", &seconds(start))
            .append_pair("end", &seconds(end));
        let found: Option<Vec<SeriesJson>> = self.api(&url).await?.data;
        let series = found.unwrap_or_default().into_iter();
        Ok(series.map(SeriesJson::into_message).collect())
    }
}

impl SeriesJson {
    pub(super) fn into_message(self) -> ExemplarData {
        ExemplarData {
            series_labels: Some(label_set(&self.series_labels)),
            exemplars: self.exemplars.into_iter().map(exemplar).collect(),
        }
    }
}

fn exemplar(json: ExemplarJson) -> Exemplar {
    Exemplar {
        labels: Some(label_set(&json.labels)),
        value: json.value,
        ts: milliseconds(json.timestamp),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "saturates, and a time is far from there"
)]
fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}

/// A value as the API writes it: a text, for JSON has no infinity.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = |_| D::Error::custom(format!("{text:?} is no number"));
    text.parse().map_err(wrong)
}
