use rutile_proto::thanos::{AlertState, TargetHealth, rule};
use serde::de::DeserializeOwned;

use super::exemplars::SeriesJson;
use super::metadata::ByMetric;
use super::rules::Groups;
use super::statistics::Statistics;
use super::targets::Discovery;
use super::*;

fn read<T: DeserializeOwned>(json: &str) -> T {
    serde_json::from_str(json).unwrap()
}

fn labels(set: Option<&ZLabelSet>) -> String {
    let pairs = set.unwrap().labels.iter();
    let pairs: Vec<_> = pairs
        .map(|label| format!("{}={}", label.name, label.value))
        .collect();
    pairs.join(",")
}

#[test]
fn rules_are_read_as_prometheus_writes_them() {
    let groups: Groups = read(
        r#"{"groups":[{"name":"g","file":"/f.yml","interval":60,"limit":5,"evaluationTime":0.25,
        "lastEvaluation":"2026-01-02T03:04:05.678901234+01:00","rules":[
        {"state":"firing","name":"A","query":"up == 0","duration":300,"keepFiringFor":30,
         "labels":{"severity":"page","a":"b"},"annotations":{"text":"x"},
         "alerts":[{"labels":{"alertname":"A"},"annotations":{},"state":"pending",
                    "activeAt":"2026-01-02T03:04:05Z","value":"1e+00"}],
         "health":"ok","evaluationTime":0.1,"lastEvaluation":"0001-01-01T00:00:00Z","type":"alerting"},
        {"name":"r","query":"sum(up)","labels":null,"health":"err","lastError":"why",
         "evaluationTime":0.2,"type":"recording"}]}]}"#,
    );
    let [group] = groups.into_messages().try_into().unwrap();
    assert_eq!((group.name.as_str(), group.file.as_str()), ("g", "/f.yml"));
    assert_eq!((group.interval, group.limit), (60.0, 5));
    let evaluated = group.last_evaluation.unwrap();
    assert_eq!(
        (evaluated.seconds, evaluated.nanos),
        (1_767_319_445, 678_901_234)
    );
    let Some(rule::Result::Alert(alert)) = &group.rules[0].result else {
        panic!("{:?}", group.rules[0])
    };
    assert_eq!(alert.state(), AlertState::Firing);
    assert_eq!(labels(alert.labels.as_ref()), "a=b,severity=page");
    assert_eq!(
        (alert.duration_seconds, alert.keep_firing_for_seconds),
        (300.0, 30.0)
    );
    // Never evaluated: Go's zero time.
    assert_eq!(
        alert.last_evaluation.as_ref().unwrap().seconds,
        -62_135_596_800
    );
    assert_eq!(alert.alerts[0].state(), AlertState::Pending);
    assert_eq!(alert.alerts[0].value, "1e+00");
    let Some(rule::Result::Recording(recording)) = &group.rules[1].result else {
        panic!("{:?}", group.rules[1])
    };
    assert_eq!(recording.last_error, "why");
    assert_eq!(recording.last_evaluation, None);
}

#[test]
fn rules_of_an_unknown_type_are_refused() {
    for json in [
        r#"{"groups":[{"name":"g","rules":[{"type":"new","name":"a","query":"b"}]}]}"#,
        r#"{"groups":[{"name":"g","lastEvaluation":"yesterday"}]}"#,
        r#"{"groups":[{"name":"g","rules":[{"type":"alerting","name":"a","query":"b","state":"?"}]}]}"#,
    ] {
        assert!(serde_json::from_str::<Groups>(json).is_err(), "{json}");
    }
}

#[test]
fn targets_are_read_as_prometheus_writes_them() {
    let found: Discovery = read(
        r#"{"activeTargets":[{"discoveredLabels":{"__address__":"a:1"},"labels":{"job":"j"},
        "scrapePool":"j","scrapeUrl":"http://a:1/metrics","globalUrl":"http://h:1/metrics",
        "lastError":"refused","lastScrape":"2026-01-02T03:04:05Z","lastScrapeDuration":0.5,
        "health":"down","scrapeInterval":"1m","scrapeTimeout":"10s"}],
        "droppedTargets":[{"discoveredLabels":{"x":"y"}}],"droppedTargetCounts":{"j":1}}"#,
    );
    let found = found.into_message();
    let active = &found.active_targets[0];
    assert_eq!(active.health(), TargetHealth::Down);
    assert_eq!(labels(active.labels.as_ref()), "job=j");
    assert_eq!(labels(active.discovered_labels.as_ref()), "__address__=a:1");
    assert_eq!(
        (active.last_error.as_str(), active.last_scrape_duration),
        ("refused", 0.5)
    );
    let dropped = found.dropped_targets[0].discovered_labels.as_ref();
    assert_eq!(labels(dropped), "x=y");
    let none: Discovery = read(r#"{"activeTargets":null,"droppedTargets":null}"#);
    assert!(none.into_message().active_targets.is_empty());
}

#[test]
fn metadata_exemplars_and_statistics_are_read_as_prometheus_writes_them() {
    let metadata: ByMetric = read(r#"{"up":[{"type":"gauge","help":"h","unit":""}]}"#);
    let metadata = metadata.into_message();
    assert_eq!(metadata.metadata["up"].metas[0].r#type, "gauge");

    let exemplars: Vec<SeriesJson> = read(
        r#"[{"seriesLabels":{"__name__":"m"},"exemplars":[
        {"labels":{"traceID":"t"},"value":"+Inf","timestamp":1600096945.479}]}]"#,
    );
    let data: Vec<_> = exemplars
        .into_iter()
        .map(SeriesJson::into_message)
        .collect();
    let exemplar = &data[0].exemplars[0];
    assert_eq!(
        (exemplar.value, exemplar.ts),
        (f64::INFINITY, 1_600_096_945_479)
    );
    assert_eq!(labels(exemplar.labels.as_ref()), "traceID=t");

    let statistics: Statistics = read(
        r#"{"headStats":{"numSeries":508,"numLabelPairs":23,"chunkCount":937,"minTime":1591516800000,
        "maxTime":1598896800143},"seriesCountByMetricName":[{"name":"a","value":20}],
        "labelValueCountByLabelName":null,"memoryInBytesByLabelName":[],
        "seriesCountByLabelValuePair":[]}"#,
    );
    let statistics = statistics.into_message();
    assert_eq!(statistics.head_statistics.unwrap().num_series, 508);
    assert_eq!(statistics.series_count_by_metric_name[0].value, 20);
}
