//! `/rules` and `/alerts`.

use rutile_model::Labels;
use rutile_proto::thanos::{
    Alert, AlertInstance, AlertState, PartialResponseStrategy, RecordingRule, Rule, RuleGroup,
    rule::Result,
};
use serde::Serialize;

use super::{Raw, labels, number, time};
use crate::Data;

#[derive(Serialize)]
struct GroupsJson<'a> {
    groups: Vec<GroupJson<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupJson<'a> {
    name: &'a str,
    file: &'a str,
    rules: Vec<RuleJson<'a>>,
    interval: Raw,
    evaluation_time: Raw,
    last_evaluation: String,
    limit: i64,
    partial_response_strategy: String,
}

#[derive(Serialize)]
#[serde(untagged)]
enum RuleJson<'a> {
    Alerting(AlertingJson<'a>),
    Recording(RecordingJson<'a>),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AlertingJson<'a> {
    state: String,
    name: &'a str,
    query: &'a str,
    duration: Raw,
    labels: Labels,
    annotations: Labels,
    alerts: Vec<AlertJson<'a>>,
    health: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    last_error: &'a str,
    evaluation_time: Raw,
    last_evaluation: String,
    keep_firing_for: Raw,
    r#type: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RecordingJson<'a> {
    name: &'a str,
    query: &'a str,
    labels: Labels,
    health: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    last_error: &'a str,
    evaluation_time: Raw,
    last_evaluation: String,
    r#type: &'static str,
}

#[derive(Serialize)]
struct AlertsJson<'a> {
    /// Thanos answers null where there are none.
    alerts: Option<Vec<AlertJson<'a>>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AlertJson<'a> {
    labels: Labels,
    annotations: Labels,
    state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    active_at: Option<String>,
    value: &'a str,
    partial_response_strategy: String,
}

/// The groups and their rules. A rule of a kind that is not known is left out.
#[must_use]
pub fn rules(groups: &[RuleGroup]) -> Data {
    let group = |group| GroupJson::from(group);
    Data::json(&GroupsJson {
        groups: groups.iter().map(group).collect(),
    })
}

/// The active alerts of all alerting rules, rule by rule.
#[must_use]
pub fn alerts(groups: &[RuleGroup]) -> Data {
    let rules = groups.iter().flat_map(|group| &group.rules);
    let alerts = rules.flat_map(|rule| match &rule.result {
        Some(Result::Alert(alert)) => alert.alerts.as_slice(),
        Some(Result::Recording(_)) | None => &[],
    });
    let alerts: Vec<_> = alerts.map(AlertJson::from).collect();
    Data::json(&AlertsJson {
        alerts: (!alerts.is_empty()).then_some(alerts),
    })
}

impl<'a> From<&'a RuleGroup> for GroupJson<'a> {
    fn from(group: &'a RuleGroup) -> Self {
        Self {
            name: &group.name,
            file: &group.file,
            rules: group.rules.iter().filter_map(RuleJson::new).collect(),
            interval: number(group.interval),
            evaluation_time: number(group.evaluation_duration_seconds),
            last_evaluation: time(group.last_evaluation.as_ref()),
            limit: group.limit,
            partial_response_strategy: strategy(group.partial_response_strategy),
        }
    }
}

impl<'a> RuleJson<'a> {
    fn new(rule: &'a Rule) -> Option<Self> {
        Some(match rule.result.as_ref()? {
            Result::Alert(alert) => Self::Alerting(alert.into()),
            Result::Recording(recording) => Self::Recording(recording.into()),
        })
    }
}

impl<'a> From<&'a Alert> for AlertingJson<'a> {
    fn from(alert: &'a Alert) -> Self {
        Self {
            state: state(alert.state),
            name: &alert.name,
            query: &alert.query,
            duration: number(alert.duration_seconds),
            labels: labels(alert.labels.as_ref()),
            annotations: labels(alert.annotations.as_ref()),
            alerts: alert.alerts.iter().map(AlertJson::from).collect(),
            health: &alert.health,
            last_error: &alert.last_error,
            evaluation_time: number(alert.evaluation_duration_seconds),
            last_evaluation: time(alert.last_evaluation.as_ref()),
            keep_firing_for: number(alert.keep_firing_for_seconds),
            r#type: "alerting",
        }
    }
}

impl<'a> From<&'a RecordingRule> for RecordingJson<'a> {
    fn from(recording: &'a RecordingRule) -> Self {
        Self {
            name: &recording.name,
            query: &recording.query,
            labels: labels(recording.labels.as_ref()),
            health: &recording.health,
            last_error: &recording.last_error,
            evaluation_time: number(recording.evaluation_duration_seconds),
            last_evaluation: time(recording.last_evaluation.as_ref()),
            r#type: "recording",
        }
    }
}

impl<'a> From<&'a AlertInstance> for AlertJson<'a> {
    fn from(alert: &'a AlertInstance) -> Self {
        let active_at = alert.active_at.as_ref();
        Self {
            labels: labels(alert.labels.as_ref()),
            annotations: labels(alert.annotations.as_ref()),
            state: state(alert.state),
            active_at: active_at.map(|at| time(Some(at))),
            value: &alert.value,
            partial_response_strategy: strategy(alert.partial_response_strategy),
        }
    }
}

/// Its name; the number of one that has none.
fn state(state: i32) -> String {
    match AlertState::try_from(state) {
        Ok(state) => state.as_str_name().to_lowercase(),
        Err(_) => state.to_string(),
    }
}

/// Its name; the number of one that has none.
fn strategy(strategy: i32) -> String {
    match PartialResponseStrategy::try_from(strategy) {
        Ok(strategy) => strategy.as_str_name().to_owned(),
        Err(_) => strategy.to_string(),
    }
}
