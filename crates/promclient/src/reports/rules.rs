//! `/api/v1/rules`.

use prost_types::Timestamp;
use rutile_model::Labels;
use rutile_proto::thanos::rules_request::Type;
use rutile_proto::thanos::{
    Alert, AlertInstance, AlertState, PartialResponseStrategy, RecordingRule, Rule, RuleGroup, rule,
};
use serde::Deserialize;

use super::{label_set, or_default, timestamp};
use crate::{Client, Result};

#[derive(Deserialize)]
pub(super) struct Groups {
    #[serde(deserialize_with = "or_default")]
    groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    name: String,
    #[serde(default)]
    file: String,
    #[serde(default, deserialize_with = "or_default")]
    rules: Vec<RuleJson>,
    #[serde(default)]
    interval: f64,
    #[serde(default)]
    limit: i64,
    #[serde(default)]
    evaluation_time: f64,
    #[serde(default, deserialize_with = "timestamp")]
    last_evaluation: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum RuleJson {
    Alerting(AlertingJson),
    Recording(RecordingJson),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AlertingJson {
    name: String,
    query: String,
    #[serde(default)]
    state: StateJson,
    #[serde(default)]
    duration: f64,
    #[serde(default)]
    keep_firing_for: f64,
    #[serde(default, deserialize_with = "or_default")]
    labels: Labels,
    #[serde(default, deserialize_with = "or_default")]
    annotations: Labels,
    #[serde(default, deserialize_with = "or_default")]
    alerts: Vec<AlertJson>,
    #[serde(default)]
    health: String,
    #[serde(default)]
    last_error: String,
    #[serde(default)]
    evaluation_time: f64,
    #[serde(default, deserialize_with = "timestamp")]
    last_evaluation: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecordingJson {
    name: String,
    query: String,
    #[serde(default, deserialize_with = "or_default")]
    labels: Labels,
    #[serde(default)]
    health: String,
    #[serde(default)]
    last_error: String,
    #[serde(default)]
    evaluation_time: f64,
    #[serde(default, deserialize_with = "timestamp")]
    last_evaluation: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AlertJson {
    #[serde(default, deserialize_with = "or_default")]
    labels: Labels,
    #[serde(default, deserialize_with = "or_default")]
    annotations: Labels,
    #[serde(default)]
    state: StateJson,
    #[serde(default, deserialize_with = "timestamp")]
    active_at: Option<Timestamp>,
    #[serde(default)]
    value: String,
}

#[derive(Deserialize, Clone, Copy, Default)]
#[serde(rename_all = "lowercase")]
enum StateJson {
    #[default]
    Unknown,
    Inactive,
    Pending,
    Firing,
}

impl Client {
    /// The rules of this type, in their groups.
    ///
    /// # Errors
    /// As [`Client::series`].
    pub async fn rules(&self, kind: Type) -> Result<Vec<RuleGroup>> {
        let mut url = self.url(&["api", "v1", "rules"]);
        let kind = match kind {
            Type::All => None,
            Type::Alert => Some("alert"),
            Type::Record => Some("record"),
        };
        if let Some(kind) = kind {
            url.query_pairs_mut().append_pair("type", kind);
        }
        let groups: Groups = self.api_data(&url).await?;
        Ok(groups.into_messages())
    }
}

impl Groups {
    pub(super) fn into_messages(self) -> Vec<RuleGroup> {
        self.groups.into_iter().map(group).collect()
    }
}

fn group(json: Group) -> RuleGroup {
    let rule = |json| Rule {
        result: Some(match json {
            RuleJson::Alerting(json) => rule::Result::Alert(alerting(json)),
            RuleJson::Recording(json) => rule::Result::Recording(recording(json)),
        }),
    };
    RuleGroup {
        name: json.name,
        file: json.file,
        rules: json.rules.into_iter().map(rule).collect(),
        interval: json.interval,
        evaluation_duration_seconds: json.evaluation_time,
        last_evaluation: json.last_evaluation,
        limit: json.limit,
        // Prometheus knows of no partial answers.
        partial_response_strategy: PartialResponseStrategy::Abort.into(),
    }
}

fn alerting(json: AlertingJson) -> Alert {
    Alert {
        state: state(json.state).into(),
        name: json.name,
        query: json.query,
        duration_seconds: json.duration,
        labels: Some(label_set(&json.labels)),
        annotations: Some(label_set(&json.annotations)),
        alerts: json.alerts.into_iter().map(alert).collect(),
        health: json.health,
        last_error: json.last_error,
        evaluation_duration_seconds: json.evaluation_time,
        last_evaluation: json.last_evaluation,
        keep_firing_for_seconds: json.keep_firing_for,
    }
}

fn recording(json: RecordingJson) -> RecordingRule {
    RecordingRule {
        name: json.name,
        query: json.query,
        labels: Some(label_set(&json.labels)),
        health: json.health,
        last_error: json.last_error,
        evaluation_duration_seconds: json.evaluation_time,
        last_evaluation: json.last_evaluation,
    }
}

fn alert(json: AlertJson) -> AlertInstance {
    AlertInstance {
        labels: Some(label_set(&json.labels)),
        annotations: Some(label_set(&json.annotations)),
        state: state(json.state).into(),
        active_at: json.active_at,
        value: json.value,
        partial_response_strategy: PartialResponseStrategy::Warn.into(),
    }
}

fn state(json: StateJson) -> AlertState {
    match json {
        StateJson::Unknown => AlertState::Unknown,
        StateJson::Inactive => AlertState::Inactive,
        StateJson::Pending => AlertState::Pending,
        StateJson::Firing => AlertState::Firing,
    }
}
