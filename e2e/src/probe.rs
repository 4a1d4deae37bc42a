//! What the services answer over HTTP.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

/// Longest wait for one answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// A client that tells no lies about connections that were closed.
pub(crate) fn client() -> reqwest::ClientBuilder {
    let client = reqwest::Client::builder();
    client.timeout(ANSWER_WITHIN).no_proxy()
}

/// An answer of the Prometheus API.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Answer {
    /// The result, with its series in order of their labels.
    pub(crate) result: Value,
    pub(crate) error: Option<String>,
    pub(crate) warnings: Vec<String>,
}

impl Answer {
    /// The answer in the body of a response.
    pub(crate) fn parse(body: &[u8]) -> Result<Self> {
        let body: Value = serde_json::from_slice(body).context("parse an answer")?;
        let texts = |name: &str| -> Vec<String> {
            let texts = body.get(name).and_then(Value::as_array);
            let texts = texts.into_iter().flatten().filter_map(Value::as_str);
            texts.map(str::to_owned).collect()
        };
        let mut result = body.pointer("/data/result").cloned().unwrap_or_default();
        if let Some(series) = result.as_array_mut() {
            // Neither order nor the absence of one is promised.
            series.sort_by_cached_key(|series| series["metric"].to_string());
        }
        Ok(Self {
            result,
            error: body["error"].as_str().map(str::to_owned),
            warnings: texts("warnings"),
        })
    }

    /// The last value of each series, as text, sorted.
    pub(crate) fn values(&self) -> Vec<String> {
        let last = |series: &Value| {
            let sample = series
                .get("value")
                .or_else(|| series["values"].as_array()?.last());
            Some(sample?[1].as_str()?.to_owned())
        };
        let series = self.result.as_array().into_iter().flatten();
        let mut values: Vec<String> = series.filter_map(last).collect();
        values.sort_unstable();
        values
    }

    /// Whether it claims to lack nothing.
    pub(crate) const fn is_whole(&self) -> bool {
        self.error.is_none() && self.warnings.is_empty()
    }

    pub(crate) fn series(&self) -> usize {
        self.result.as_array().map_or(0, Vec::len)
    }
}

/// The sum of the samples of a metric whose labels hold these, in a text exposition. None if there is none.
pub(crate) fn sample(text: &str, name: &str, labels: &BTreeMap<String, String>) -> Option<f64> {
    let holds = |line: &&str| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
            && labels
                .iter()
                .all(|(name, value)| line.contains(&format!("{name}=\"{value}\"")))
    };
    let values = text.lines().filter(holds);
    let values = values.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
    values.reduce(|sum, value| sum + value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_its_values_in_order() {
        let body =
            br#"{"status":"success","warnings":["slow"],"data":{"resultType":"vector","result":[
            {"metric":{"a":"2"},"value":[1,"7"]},{"metric":{"a":"1"},"value":[1,"9"]}]}}"#;
        let answer = Answer::parse(body).expect("it is one");
        assert_eq!(answer.values(), ["7", "9"]);
        assert_eq!(answer.result[0]["metric"]["a"], "1");
        assert_eq!(answer.warnings, ["slow"]);
    }

    #[test]
    fn samples_are_added_up_by_their_labels() {
        let text = "# HELP a b\na{x=\"1\",y=\"2\"} 3\na{x=\"1\"} 4\na{x=\"2\"} 5\nab 6\n";
        let labels = BTreeMap::from([("x".to_owned(), "1".to_owned())]);
        assert_eq!(sample(text, "a", &labels), Some(7.0));
        assert_eq!(sample(text, "a", &BTreeMap::new()), Some(12.0));
        assert_eq!(sample(text, "b", &BTreeMap::new()), None);
    }
}
