//! Rules: filtered, grouped, and each once.

use std::cmp::Ordering;

use prost_types::Timestamp;
use rutile_model::Matcher;
use rutile_promql::parse_metric_selector;
use rutile_proto::thanos::{
    Label, Rule, RuleGroup, RulesRequest, RulesResponse, ZLabelSet, info::InfoResponse, rule,
    rules_response,
};
use rutile_storeapi::{Error, Result, grpc::Rules};

use super::{
    gather::{Asked, Message},
    replicas::{compare_labels, strip, time},
};

impl Asked for Rules {
    type Data = RuleGroup;
    const WHAT: &'static str = "fetch rules";

    fn is_served(info: &InfoResponse) -> bool {
        info.rules.is_some()
    }

    fn strategy(request: &RulesRequest) -> i32 {
        request.partial_response_strategy
    }

    fn open(response: RulesResponse) -> Option<Message<RuleGroup>> {
        Some(match response.result? {
            rules_response::Result::Group(group) => Message::Data(group),
            rules_response::Result::Warning(text) => Message::Warning(text),
        })
    }

    fn close(message: Message<RuleGroup>) -> RulesResponse {
        RulesResponse {
            result: Some(match message {
                Message::Data(group) => rules_response::Result::Group(group),
                Message::Warning(text) => rules_response::Result::Warning(text),
            }),
        }
    }
}

/// Which rules are wanted.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    /// All of them must match.
    matchers: Vec<Matcher>,
    /// One of these each, any if there are none.
    rules: Vec<String>,
    groups: Vec<String>,
    files: Vec<String>,
}

impl Filter {
    /// That of a request.
    ///
    /// # Errors
    /// `Invalid` for a wrong selector.
    pub(crate) fn new(request: &RulesRequest) -> Result<Self> {
        let mut matchers = Vec::new();
        for selector in &request.matcher_string {
            let parsed = parse_metric_selector(selector).map_err(|error| {
                Error::invalid(format!("cannot parse the selector {selector:?}: {error}"))
            })?;
            matchers.extend(parsed);
        }
        Ok(Self {
            matchers,
            rules: request.rule_name.clone(),
            groups: request.rule_group.clone(),
            files: request.file.clone(),
        })
    }

    fn is_any(&self) -> bool {
        self.matchers.is_empty()
            && self.rules.is_empty()
            && self.groups.is_empty()
            && self.files.is_empty()
    }

    fn wants_group(&self, group: &RuleGroup) -> bool {
        is_one_of(&self.groups, &group.name) && is_one_of(&self.files, &group.file)
    }

    fn wants_rule(&self, rule: &Rule) -> bool {
        let facts = Facts::of(rule);
        // A template has no value before the rule is evaluated.
        let value = |name: &str| {
            let mut labels = facts.labels.iter();
            let label = labels.find(|label| label.name == name && !label.value.contains("{{"));
            label.map_or("", |label| &label.value)
        };
        let mut matchers = self.matchers.iter();
        is_one_of(&self.rules, facts.name)
            && matchers.all(|matcher| matcher.matches(value(matcher.name())))
    }
}

fn is_one_of(wanted: &[String], text: &str) -> bool {
    wanted.is_empty() || wanted.iter().any(|wanted| wanted == text)
}

/// Makes one list of these groups.
///
/// Source of the order: Thanos, `pkg/rules/rules.go` and `pkg/rules/rulespb/custom.go`.
pub(crate) fn merge(groups: Vec<RuleGroup>, filter: &Filter, replica: &[String]) -> Vec<RuleGroup> {
    let mut groups = groups;
    for group in &mut groups {
        group.rules.retain(|rule| filter.wants_rule(rule));
    }
    groups
        .retain(|group| filter.is_any() || (filter.wants_group(group) && !group.rules.is_empty()));
    groups.sort_by(|a, b| key(a).cmp(key(b)));
    groups.dedup_by(|group, first| {
        let is_same = key(group).eq(key(first));
        if is_same {
            first.rules.append(&mut group.rules);
        }
        is_same
    });
    for group in &mut groups {
        for rule in &mut group.rules {
            strip(labels_of(rule), replica);
        }
        let rules = &mut group.rules;
        rules.sort_by(|a, b| by_identity(a, b).then_with(|| by_standing(a, b)));
        rules.dedup_by(|rule, first| by_identity(rule, first).is_eq());
    }
    groups
}

/// File and name, as one text.
fn key(group: &RuleGroup) -> impl Iterator<Item = u8> {
    group.file.bytes().chain(*b";").chain(group.name.bytes())
}

/// What both kinds of rules have.
struct Facts<'a> {
    /// Alerting rules come first.
    is_recording: bool,
    name: &'a str,
    labels: &'a [Label],
    query: &'a str,
    /// How long an alert is pending, seconds.
    duration: f64,
    state: i32,
    evaluated: Option<&'a Timestamp>,
}

impl<'a> Facts<'a> {
    fn of(rule: &'a Rule) -> Self {
        let labels = |set: &'a Option<ZLabelSet>| {
            let set = set.as_ref();
            set.map_or(&[][..], |set| &set.labels)
        };
        match &rule.result {
            Some(rule::Result::Alert(alert)) => Self {
                is_recording: false,
                name: &alert.name,
                labels: labels(&alert.labels),
                query: &alert.query,
                duration: alert.duration_seconds,
                state: alert.state,
                evaluated: alert.last_evaluation.as_ref(),
            },
            Some(rule::Result::Recording(recording)) => Self {
                is_recording: true,
                name: &recording.name,
                labels: labels(&recording.labels),
                query: &recording.query,
                duration: 0.0,
                state: 0,
                evaluated: recording.last_evaluation.as_ref(),
            },
            None => Self {
                is_recording: true,
                name: "",
                labels: &[],
                query: "",
                duration: 0.0,
                state: 0,
                evaluated: None,
            },
        }
    }
}

fn labels_of(rule: &mut Rule) -> Option<&mut ZLabelSet> {
    match rule.result.as_mut()? {
        rule::Result::Alert(alert) => alert.labels.as_mut(),
        rule::Result::Recording(recording) => recording.labels.as_mut(),
    }
}

/// Equal for replicas of the same rule.
fn by_identity(a: &Rule, b: &Rule) -> Ordering {
    let (a, b) = (Facts::of(a), Facts::of(b));
    (a.is_recording.cmp(&b.is_recording))
        .then_with(|| a.name.cmp(b.name))
        .then_with(|| compare_labels(a.labels, b.labels))
        .then_with(|| a.query.cmp(b.query))
        .then_with(|| a.duration.total_cmp(&b.duration))
}

/// The worst state first, then what was evaluated last.
fn by_standing(a: &Rule, b: &Rule) -> Ordering {
    let (a, b) = (Facts::of(a), Facts::of(b));
    let evaluated = || time(b.evaluated).cmp(&time(a.evaluated));
    b.state.cmp(&a.state).then_with(evaluated)
}

#[cfg(test)]
mod tests;
