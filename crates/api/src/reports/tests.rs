//! The expected texts are what Thanos 0.43 (e103a81b) answers to the same messages.

use std::collections::BTreeMap;

use rutile_proto::thanos::{
    ActiveTarget, Alert, AlertInstance, AlertState, DroppedTarget, Exemplar, ExemplarData,
    HeadStatistics, Label, Meta, PartialResponseStrategy, RecordingRule, Rule, RuleGroup,
    Statistic, TargetDiscovery, TargetHealth, TsdbStatisticsEntry, rule,
};

use super::*;
use crate::Data;

fn set(labels: &[(&str, &str)]) -> ZLabelSet {
    let label = |(name, value): &(&str, &str)| Label {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
    };
    ZLabelSet {
        labels: labels.iter().map(label).collect(),
    }
}

fn at(seconds: i64, nanos: i32) -> Timestamp {
    Timestamp { seconds, nanos }
}

#[track_caller]
fn check(data: Data, expected: &str) {
    let Data::Json(json) = data else {
        panic!("not JSON: {data:?}")
    };
    assert_eq!(String::from_utf8(json).unwrap(), expected);
}

/// Alerts, one with all that it may have and one with as little.
fn instances() -> Vec<AlertInstance> {
    let full = AlertInstance {
        labels: Some(set(&[("z", "1"), ("a", "<b>&\u{2028}\"é\u{1}")])),
        annotations: Some(set(&[("summary", "x > 1")])),
        state: AlertState::Firing.into(),
        active_at: Some(at(1_700_000_000, 123_456_789)),
        value: "1e+00".to_owned(),
        ..AlertInstance::default()
    };
    let bare = AlertInstance {
        state: AlertState::Pending.into(),
        value: "NaN".to_owned(),
        partial_response_strategy: PartialResponseStrategy::Abort.into(),
        ..AlertInstance::default()
    };
    vec![full, bare]
}

const INSTANCES: &str = concat!(
    r#"[{"labels":{"a":"\u003cb\u003e\u0026\u2028\"é\u0001","z":"1"},"annotations":{"summary":"x \u003e 1"},"#,
    r#""state":"firing","activeAt":"2023-11-14T22:13:20.123456789Z","value":"1e+00","partialResponseStrategy":"WARN"},"#,
    r#"{"labels":{},"annotations":{},"state":"pending","value":"NaN","partialResponseStrategy":"ABORT"}]"#,
);

fn groups() -> Vec<RuleGroup> {
    let alert = |alert| Rule {
        result: Some(rule::Result::Alert(alert)),
    };
    let recording = |recording| Rule {
        result: Some(rule::Result::Recording(recording)),
    };
    let rules = vec![
        alert(Alert {
            state: AlertState::Firing.into(),
            name: "Down".to_owned(),
            query: "up == 0 and x < 5".to_owned(),
            duration_seconds: 300.0,
            keep_firing_for_seconds: 60.0,
            labels: Some(set(&[("sev", "page")])),
            annotations: Some(set(&[("d", "{{ $value }}")])),
            alerts: instances(),
            health: "ok".to_owned(),
            evaluation_duration_seconds: 1.5e-7,
            last_evaluation: Some(at(1_700_000_000, 0)),
            ..Alert::default()
        }),
        alert(Alert {
            name: "Quiet".to_owned(),
            query: "1".to_owned(),
            duration_seconds: 1e21,
            health: "err".to_owned(),
            last_error: "bad > thing".to_owned(),
            evaluation_duration_seconds: 1e-6,
            ..Alert::default()
        }),
        recording(RecordingRule {
            name: "a:b".to_owned(),
            query: "sum(x)".to_owned(),
            health: "unknown".to_owned(),
            evaluation_duration_seconds: 123_456_789.25,
            last_evaluation: Some(at(1_700_000_000, 123_456_789)),
            ..RecordingRule::default()
        }),
        recording(RecordingRule {
            name: "a:c".to_owned(),
            query: "sum(x)".to_owned(),
            labels: Some(set(&[("x", "y")])),
            health: "err".to_owned(),
            last_error: "e".to_owned(),
            ..RecordingRule::default()
        }),
        Rule::default(),
    ];
    let group = RuleGroup {
        name: "g<1>".to_owned(),
        file: "/etc/r.yml".to_owned(),
        rules,
        interval: 30.0,
        evaluation_duration_seconds: 0.000_123,
        last_evaluation: Some(at(1_700_000_001, 120_000_000)),
        limit: 5,
        partial_response_strategy: PartialResponseStrategy::Abort.into(),
    };
    let empty = RuleGroup {
        name: "empty".to_owned(),
        ..RuleGroup::default()
    };
    vec![group, empty]
}

#[test]
fn rules_of_both_kinds() {
    check(rules(&[]), r#"{"groups":[]}"#);
    let expected = [
        r#"{"groups":[{"name":"g\u003c1\u003e","file":"/etc/r.yml","rules":["#,
        r#"{"state":"firing","name":"Down","query":"up == 0 and x \u003c 5","duration":300,"labels":{"sev":"page"},"#,
        r#""annotations":{"d":"{{ $value }}"},"alerts":"#,
        INSTANCES,
        r#","health":"ok","evaluationTime":1.5e-7,"lastEvaluation":"2023-11-14T22:13:20Z","keepFiringFor":60,"type":"alerting"},"#,
        r#"{"state":"unknown","name":"Quiet","query":"1","duration":1e+21,"labels":{},"annotations":{},"alerts":[],"#,
        r#""health":"err","lastError":"bad \u003e thing","evaluationTime":0.000001,"#,
        r#""lastEvaluation":"0001-01-01T00:00:00Z","keepFiringFor":0,"type":"alerting"},"#,
        r#"{"name":"a:b","query":"sum(x)","labels":{},"health":"unknown","evaluationTime":123456789.25,"#,
        r#""lastEvaluation":"2023-11-14T22:13:20.123456789Z","type":"recording"},"#,
        r#"{"name":"a:c","query":"sum(x)","labels":{"x":"y"},"health":"err","lastError":"e","evaluationTime":0,"#,
        r#""lastEvaluation":"0001-01-01T00:00:00Z","type":"recording"}],"#,
        r#""interval":30,"evaluationTime":0.000123,"lastEvaluation":"2023-11-14T22:13:21.12Z","limit":5,"#,
        r#""partialResponseStrategy":"ABORT"},"#,
        r#"{"name":"empty","file":"","rules":[],"interval":0,"evaluationTime":0,"#,
        r#""lastEvaluation":"0001-01-01T00:00:00Z","limit":0,"partialResponseStrategy":"WARN"}]}"#,
    ];
    check(rules(&groups()), &expected.concat());
}

#[test]
fn alerts_of_all_rules() {
    check(alerts(&[]), r#"{"alerts":null}"#);
    check(alerts(&groups()), &format!("{{\"alerts\":{INSTANCES}}}"));
}

#[test]
fn targets_of_both_kinds() {
    let none = TargetDiscovery::default();
    check(
        targets(&none),
        r#"{"activeTargets":[],"droppedTargets":[]}"#,
    );
    let up = ActiveTarget {
        discovered_labels: Some(set(&[("__address__", "h:1"), ("__scheme__", "http")])),
        labels: Some(set(&[("instance", "h:1"), ("a", "&")])),
        scrape_pool: "p".to_owned(),
        scrape_url: "http://h:1/metrics?a=1&b=2".to_owned(),
        global_url: "http://g:1/metrics".to_owned(),
        last_scrape: Some(at(1_700_000_000, 123_456_789)),
        last_scrape_duration: 0.0125,
        health: TargetHealth::Up.into(),
        ..ActiveTarget::default()
    };
    let down = ActiveTarget {
        last_error: "refused".to_owned(),
        ..ActiveTarget::default()
    };
    let unknown = ActiveTarget {
        health: TargetHealth::Unknown.into(),
        ..ActiveTarget::default()
    };
    let found = TargetDiscovery {
        active_targets: vec![up, down, unknown],
        dropped_targets: vec![DroppedTarget {
            discovered_labels: Some(set(&[("b", "2"), ("a", "1")])),
        }],
    };
    let expected = [
        r#"{"activeTargets":[{"discoveredLabels":{"__address__":"h:1","__scheme__":"http"},"#,
        r#""labels":{"a":"\u0026","instance":"h:1"},"scrapePool":"p","scrapeUrl":"http://h:1/metrics?a=1\u0026b=2","#,
        r#""globalUrl":"http://g:1/metrics","lastError":"","lastScrape":"2023-11-14T22:13:20.123456789Z","#,
        r#""lastScrapeDuration":0.0125,"health":"up"},"#,
        r#"{"discoveredLabels":{},"labels":{},"scrapePool":"","scrapeUrl":"","globalUrl":"","lastError":"refused","#,
        r#""lastScrape":"0001-01-01T00:00:00Z","lastScrapeDuration":0,"health":"down"},"#,
        r#"{"discoveredLabels":{},"labels":{},"scrapePool":"","scrapeUrl":"","globalUrl":"","lastError":"","#,
        r#""lastScrape":"0001-01-01T00:00:00Z","lastScrapeDuration":0,"health":"unknown"}],"#,
        r#""droppedTargets":[{"discoveredLabels":{"a":"1","b":"2"}}]}"#,
    ];
    check(targets(&found), &expected.concat());
}

#[test]
fn metadata_of_metrics() {
    check(metadata(&BTreeMap::new()), "{}");
    let meta = |r#type: &str, help: &str, unit: &str| Meta {
        r#type: r#type.to_owned(),
        help: help.to_owned(),
        unit: unit.to_owned(),
    };
    let up = vec![meta("gauge", "Is <it> up?", ""), meta("counter", "h", "s")];
    let metrics = BTreeMap::from([("up".to_owned(), up), ("a".to_owned(), Vec::new())]);
    let expected = [
        r#"{"a":[],"up":[{"type":"gauge","help":"Is \u003cit\u003e up?","unit":""},"#,
        r#"{"type":"counter","help":"h","unit":"s"}]}"#,
    ];
    check(metadata(&metrics), &expected.concat());
}

#[test]
fn exemplars_of_series() {
    check(exemplars(&[]), "[]");
    let exemplar = |labels: &[_], value, ts| Exemplar {
        labels: Some(set(labels)),
        value,
        ts,
    };
    let found = [ExemplarData {
        series_labels: Some(set(&[("__name__", "x"), ("j", "<")])),
        exemplars: vec![
            exemplar(&[("trace_id", "abc")], 0.1, 1_600_000_000_120),
            exemplar(&[], f64::INFINITY, -1500),
            exemplar(&[], f64::NAN, 1_600_000_000_000),
            exemplar(&[], 1e25, 1),
            exemplar(&[], 1e-9, 0),
            exemplar(&[], -0.0, -1),
        ],
    }];
    let expected = [
        r#"[{"seriesLabels":{"__name__":"x","j":"\u003c"},"exemplars":["#,
        r#"{"labels":{"trace_id":"abc"},"timestamp":1600000000.12,"value":"0.1"},"#,
        r#"{"labels":{},"timestamp":-1.5,"value":"+Inf"},"#,
        r#"{"labels":{},"timestamp":1600000000,"value":"NaN"},"#,
        r#"{"labels":{},"timestamp":0.001,"value":"10000000000000000000000000"},"#,
        r#"{"labels":{},"timestamp":0,"value":"0.000000001"},"#,
        r#"{"labels":{},"timestamp":-0.001,"value":"-0"}]}]"#,
    ];
    check(exemplars(&found), &expected.concat());
}

#[test]
fn statistics_up_to_a_limit() {
    let nothing = [
        r#"{"headStats":{"numSeries":0,"numLabelPairs":0,"chunkCount":0,"minTime":0,"maxTime":0},"#,
        r#""seriesCountByMetricName":[],"labelValueCountByLabelName":[],"memoryInBytesByLabelName":[],"#,
        r#""seriesCountByLabelValuePair":[]}"#,
    ];
    let entry = TsdbStatisticsEntry::default();
    check(tsdb_status(&entry, 10), &nothing.concat());
    let statistic = |name: &str, value| Statistic {
        name: name.to_owned(),
        value,
    };
    let entry = TsdbStatisticsEntry {
        head_statistics: Some(HeadStatistics {
            num_series: 508,
            num_label_pairs: 1234,
            chunk_count: 937,
            min_time: 1_591_516_800_000,
            max_time: 1_598_896_800_143,
        }),
        series_count_by_metric_name: vec![
            statistic("a<b", 20),
            statistic("c", 2),
            statistic("d", 1),
        ],
        ..entry
    };
    let expected = [
        r#"{"headStats":{"numSeries":508,"numLabelPairs":1234,"chunkCount":937,"minTime":1591516800000,"#,
        r#""maxTime":1598896800143},"#,
        r#""seriesCountByMetricName":[{"name":"a\u003cb","value":20},{"name":"c","value":2}],"#,
        r#""labelValueCountByLabelName":[],"memoryInBytesByLabelName":[],"seriesCountByLabelValuePair":[]}"#,
    ];
    check(tsdb_status(&entry, 2), &expected.concat());
}

/// No number or name of a message makes what is no JSON.
#[test]
fn hostile_values() {
    let group = RuleGroup {
        interval: f64::NAN,
        evaluation_duration_seconds: f64::NEG_INFINITY,
        last_evaluation: Some(at(i64::MIN, i32::MIN)),
        partial_response_strategy: 7,
        ..RuleGroup::default()
    };
    let Data::Json(json) = rules(&[group]) else {
        panic!("not JSON")
    };
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let group = &json["groups"][0];
    assert!(group["interval"].is_null() && group["evaluationTime"].is_null());
    assert_eq!(group["partialResponseStrategy"], "7");
}
