use rutile_proto::thanos::{Alert, AlertState, RecordingRule};

use super::*;

/// The same rule at replica `replica`, and when it was evaluated there.
fn recording(name: &str, replica: &str, evaluated: i64) -> Rule {
    Rule {
        result: Some(rule::Result::Recording(RecordingRule {
            name: name.to_owned(),
            query: "q".to_owned(),
            labels: Some(set(&[("replica", replica)])),
            health: format!("of {replica}"),
            last_evaluation: Some(at(evaluated)),
            ..RecordingRule::default()
        })),
    }
}

fn alert(name: &str, replica: &str, state: AlertState, evaluated: i64, duration: f64) -> Rule {
    Rule {
        result: Some(rule::Result::Alert(Alert {
            name: name.to_owned(),
            query: "q".to_owned(),
            state: state.into(),
            duration_seconds: duration,
            labels: Some(set(&[
                ("replica", replica),
                ("sev", "x"),
                ("t", "{{ $v }}"),
            ])),
            health: format!("of {replica}"),
            last_evaluation: Some(at(evaluated)),
            ..Alert::default()
        })),
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp { seconds, nanos: 0 }
}

fn set(labels: &[(&str, &str)]) -> ZLabelSet {
    let label = |(name, value): &(&str, &str)| Label {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
    };
    ZLabelSet {
        labels: labels.iter().map(label).collect(),
    }
}

fn group(file: &str, name: &str, rules: Vec<Rule>) -> RuleGroup {
    RuleGroup {
        name: name.to_owned(),
        file: file.to_owned(),
        rules,
        ..RuleGroup::default()
    }
}

/// Groups as two replicas of a ruler have them, and what only one has.
fn groups() -> Vec<RuleGroup> {
    let of_first = vec![
        recording("r", "1", 10),
        alert("A", "1", AlertState::Inactive, 10, 60.0),
        alert("B", "1", AlertState::Firing, 10, 60.0),
    ];
    let of_second = vec![
        alert("A", "2", AlertState::Pending, 10, 60.0),
        alert("B", "2", AlertState::Firing, 11, 60.0),
        recording("r", "2", 11),
        alert("A", "2", AlertState::Inactive, 10, 30.0),
    ];
    vec![
        group("f", "g", of_first),
        group("f.yml", "x", vec![recording("r", "1", 10)]),
        group("f", "g", of_second),
        group("f", "h", Vec::new()),
    ]
}

/// Merges and shows each group as file, name and rules, and of each rule name, duration and whose it
/// is.
fn check(request: &RulesRequest, expected: &[&str]) {
    let replica = ["replica".to_owned()];
    let merged = merge(groups(), &Filter::new(request).unwrap(), &replica);
    let text = |group: &RuleGroup| {
        let mut text = format!("{}/{}", group.file, group.name);
        for rule in &group.rules {
            let facts = Facts::of(rule);
            assert!(facts.labels.iter().all(|label| label.name != "replica"));
            let health = match rule.result.as_ref().unwrap() {
                rule::Result::Alert(alert) => &alert.health,
                rule::Result::Recording(recording) => &recording.health,
            };
            text += &format!(", {} {} {health}", facts.name, facts.duration);
        }
        text
    };
    let texts: Vec<_> = merged.iter().map(text).collect();
    assert_eq!(texts, expected, "{request:?}");
}

fn request() -> RulesRequest {
    RulesRequest::default()
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn replicas_are_one() {
    check(
        &request(),
        &[
            "f.yml/x, r 0 of 1",
            "f/g, A 30 of 2, A 60 of 2, B 60 of 2, r 0 of 2",
            "f/h",
        ],
    );
}

#[test]
fn by_names_of_rules_groups_and_files() {
    let by_rule = RulesRequest {
        rule_name: texts(&["A", "C"]),
        ..request()
    };
    check(&by_rule, &["f/g, A 30 of 2, A 60 of 2"]);
    let by_group = RulesRequest {
        rule_group: texts(&["x", "h"]),
        ..request()
    };
    check(&by_group, &["f.yml/x, r 0 of 1"]);
    let by_file = RulesRequest {
        file: texts(&["f"]),
        rule_name: texts(&["r"]),
        ..request()
    };
    check(&by_file, &["f/g, r 0 of 2"]);
}

#[test]
fn by_labels_of_all_selectors() {
    let both = RulesRequest {
        matcher_string: texts(&["{replica=\"1\"}", "{sev=~\"x|y\"}"]),
        ..request()
    };
    check(&both, &["f/g, A 60 of 1, B 60 of 1"]);
    let lacking = RulesRequest {
        matcher_string: texts(&["{sev=\"\"}"]),
        ..request()
    };
    check(&lacking, &["f.yml/x, r 0 of 1", "f/g, r 0 of 2"]);
}

#[test]
fn a_template_is_no_value() {
    let of_template = |selector| RulesRequest {
        matcher_string: texts(&[selector]),
        rule_name: texts(&["B"]),
        ..request()
    };
    check(&of_template("{t=~\".+\"}"), &[]);
    check(&of_template("{t=\"\"}"), &["f/g, B 60 of 2"]);
}

#[test]
fn a_wrong_selector() {
    let request = RulesRequest {
        matcher_string: texts(&["{a="]),
        ..request()
    };
    let error = Filter::new(&request).unwrap_err();
    assert_eq!(error.kind(), rutile_model::ErrorKind::Invalid);
    assert!(error.to_string().contains("\"{a=\""), "{error}");
}

#[test]
fn of_a_kind_that_is_not_known() {
    let groups = vec![group("f", "g", vec![Rule::default(), Rule::default()])];
    let merged = merge(groups, &Filter::default(), &[]);
    assert_eq!(merged[0].rules, [Rule::default()]);
}
