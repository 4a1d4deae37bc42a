//! What is to be rewritten, as two YAML files say it, and how `meta.json` records it.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use rutile_block::{BlockId, Meta, RawJson};
use rutile_merge::{Deletion, Rules};
use rutile_model::config::parse_yaml;
use rutile_model::{MatchOp, Matcher, RelabelConfig};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What is to change, and what is recorded of it.
#[derive(Debug)]
pub struct Rewriting {
    pub(super) rules: Arc<Rules>,
    deletions: Vec<Value>,
    relabels: Vec<RelabelRecord>,
}

/// A request to delete.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeletionRequest {
    /// A selector, as PromQL has it.
    matchers: String,
    #[serde(default)]
    intervals: Vec<Interval>,
    #[serde(default)]
    request_id: String,
}

/// ms, both ends inclusive.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Interval {
    mint: i64,
    maxt: i64,
}

/// A relabel rule as `meta.json` shows it: what is set, under the names of the file.
#[derive(Debug, Deserialize, Serialize)]
struct RelabelRecord {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source_labels: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    separator: Option<String>,
    #[serde(default = "match_all")]
    regex: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    modulus: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target_label: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replacement: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    action: Option<String>,
}

fn match_all() -> String {
    "(.*)".to_owned()
}

impl Rewriting {
    /// Of two YAML files, each behind the name of its flag; one at least.
    ///
    /// # Errors
    /// What is wrong with a file, and that nothing is to change.
    pub fn parse(
        (delete_flag, to_delete): (&str, Option<&str>),
        (relabel_flag, to_relabel): (&str, Option<&str>),
    ) -> Result<Self> {
        let mut rules = Rules::default();
        let (mut deletions, mut relabels) = (Vec::new(), Vec::new());
        if let Some(yaml) = to_delete {
            let context = || format!("--{delete_flag}");
            let requests: Vec<DeletionRequest> = parse_yaml(yaml).with_context(context)?;
            for request in &requests {
                let deletion = request.deletion().with_context(context)?;
                deletions.push(request.record(&deletion));
                rules.deletions.push(deletion);
            }
        }
        if let Some(yaml) = to_relabel {
            let context = || format!("--{relabel_flag}");
            rules.relabel = parse_yaml::<Vec<RelabelConfig>>(yaml).with_context(context)?;
            relabels = parse_yaml(yaml).with_context(context)?;
        }
        if rules.deletions.is_empty() && rules.relabel.is_empty() {
            bail!(
                "nothing is to change: say what to delete with --{delete_flag} or what to relabel with --{relabel_flag}"
            );
        }
        Ok(Self {
            rules: Arc::new(rules),
            deletions,
            relabels,
        })
    }

    /// The history of a block that was rewritten from `meta`, in Go's form (`metadata.Rewrite`), so that Thanos can read it.
    pub(super) fn record(&self, meta: &Meta) -> Result<RawJson> {
        let before = meta.thanos.rewrites.as_ref().map_or("[]", RawJson::as_str);
        let mut all: Vec<Value> =
            serde_json::from_str(before).context("its history of rewrites cannot be read")?;
        let sources = meta.sources().iter().map(BlockId::to_string);
        let mut record = json!({ "sources": sources.collect::<Vec<_>>() });
        if !self.deletions.is_empty() {
            record["deletions_applied"] = json!(self.deletions);
        }
        if !self.relabels.is_empty() {
            record["relabels_applied"] = json!(self.relabels);
        }
        all.push(record);
        let text = serde_json::to_string(&all)?;
        RawJson::from_text(&text).context("its history of rewrites cannot be written")
    }
}

/// Whether a history is this one, however it is written.
pub(super) fn is_same(history: Option<&RawJson>, record: &RawJson) -> bool {
    let value = |raw: &RawJson| serde_json::from_str::<Value>(raw.as_str()).ok();
    history.is_some_and(|history| value(history).is_some() && value(history) == value(record))
}

impl DeletionRequest {
    fn deletion(&self) -> Result<Deletion> {
        let matchers = Matcher::parse_selector(&self.matchers)?;
        if matchers.is_empty() {
            bail!("{:?} selects nothing: name a label at least", self.matchers);
        }
        if let Some(Interval { mint, maxt }) = self.intervals.iter().find(|i| i.mint > i.maxt) {
            bail!("an interval ends at {maxt} before it begins at {mint}");
        }
        Ok(Deletion {
            matchers,
            intervals: self.intervals.iter().map(|i| i.mint..=i.maxt).collect(),
        })
    }

    fn record(&self, deletion: &Deletion) -> Value {
        // The number of Go's `labels.MatchType`.
        let kind = |op| match op {
            MatchOp::Equal => 0,
            MatchOp::NotEqual => 1,
            MatchOp::Regex => 2,
            MatchOp::NotRegex => 3,
        };
        let matchers = deletion.matchers.iter().map(|matcher| {
            json!({ "Type": kind(matcher.op()), "Name": matcher.name(), "Value": matcher.value() })
        });
        let mut record = json!({ "matchers": matchers.collect::<Vec<_>>() });
        if !self.intervals.is_empty() {
            let intervals = self
                .intervals
                .iter()
                .map(|i| json!({ "Mint": i.mint, "Maxt": i.maxt }));
            record["intervals"] = intervals.collect();
        }
        if !self.request_id.is_empty() {
            record["request_id"] = json!(self.request_id);
        }
        record
    }
}
