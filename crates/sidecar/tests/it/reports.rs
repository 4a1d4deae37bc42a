//! What Prometheus reports beside its samples carries its external labels.

use std::sync::Arc;

use futures::TryStreamExt;
use rutile_model::ErrorKind;
use rutile_proto::thanos::{
    ExemplarsRequest, LabelMatcher, MetricMetadataRequest, RulesRequest, TargetsRequest,
    TsdbStatisticsRequest, ZLabelSet, metric_metadata_response, rule, rules_request,
    rules_response, targets_response, tsdb_statistics_response,
};
use rutile_runtime::CpuPool;
use rutile_sidecar::Reports;
use rutile_storeapi::RequestContext;
use rutile_storeapi::grpc::{
    Answers, Exemplars, Method, MetricMetadata, Rules, Targets, TsdbStatistics,
};
use rutile_telemetry::Registry;
use rutile_testkit::servers::{Prometheus, Server};

use crate::support::{matcher, peer, until};

const RULES: &str = "groups:
- name: g
  interval: 1s
  rules:
  - {record: 'r', expr: 'vector(1)', labels: {replica: own, x: y}}
  - {alert: A, expr: 'vector(1)', for: 5m, labels: {severity: page}, annotations: {text: t}}
";

struct World {
    reports: Reports,
    server: Option<Server>,
    _folder: tempfile::TempDir,
}

impl World {
    /// A Prometheus that scrapes itself.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("rules.yml"), RULES).unwrap();
        // It finds itself by DNS-free means only: its own address is known when it runs.
        let config = "global: {scrape_interval: 1s, external_labels: {cluster: eu1, replica: a}}\n\
                      rule_files: [rules.yml]\n\
                      scrape_configs:\n- job_name: self\n  file_sd_configs: [{files: [targets.json]}]\n\
                      - job_name: none\n  static_configs: [{targets: ['127.0.0.1:1']}]\n  \
                      relabel_configs: [{action: drop, source_labels: [job], regex: none}]\n";
        let server = Prometheus::new()
            .folder(folder.path())
            .config(config)
            .flag("--enable-feature=exemplar-storage")
            .start();
        let targets = format!("[{{\"targets\": [\"{}\"]}}]", server.address());
        std::fs::write(folder.path().join("targets.json"), targets).unwrap();
        let peer = peer(&server, &Registry::new()).await;
        Self {
            reports: Reports::new(Arc::clone(&peer), CpuPool::new(1)),
            server: Some(server),
            _folder: folder,
        }
    }

    async fn ask<M: Method>(&self, request: M::Request) -> rutile_storeapi::Result<Vec<M::Response>>
    where
        Reports: Answers<M>,
    {
        let answer = Answers::<M>::answer(&self.reports, RequestContext::default(), request);
        answer.await?.try_collect().await
    }
}

fn text(set: Option<&ZLabelSet>) -> String {
    let pairs = set.unwrap().labels.iter();
    let pairs: Vec<_> = pairs
        .map(|label| format!("{}={}", label.name, label.value))
        .collect();
    pairs.join(",")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_prometheus_reports() {
    let world = World::new().await;
    check_rules(&world).await;
    check_targets(&world).await;
    check_metadata(&world).await;
    check_statistics(&world).await;
    let request = ExemplarsRequest {
        query: "up".to_owned(),
        start: 0,
        end: 1000,
        ..ExemplarsRequest::default()
    };
    assert_eq!(world.ask::<Exemplars>(request).await.unwrap(), []);
    let wrong = ExemplarsRequest {
        query: "up{".to_owned(),
        ..ExemplarsRequest::default()
    };
    let error = world.ask::<Exemplars>(wrong).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(
        error.to_string().contains("query_exemplars answered 400"),
        "{error}"
    );
}

async fn check_rules(world: &World) {
    for (kind, expected) in [
        (rules_request::Type::All, vec!["r", "A"]),
        (rules_request::Type::Alert, vec!["A"]),
        (rules_request::Type::Record, vec!["r"]),
    ] {
        let request = RulesRequest {
            r#type: kind.into(),
            ..RulesRequest::default()
        };
        let answer = world.ask::<Rules>(request).await.unwrap();
        let [answer] = answer.try_into().unwrap();
        let Some(rules_response::Result::Group(group)) = answer.result else {
            panic!("no group")
        };
        assert_eq!((group.name.as_str(), group.interval), ("g", 1.0));
        assert!(group.file.ends_with("rules.yml"), "{}", group.file);
        let mut names = Vec::new();
        for rule in group.rules {
            match rule.result.unwrap() {
                rule::Result::Recording(rule) => {
                    let labels = text(rule.labels.as_ref());
                    assert_eq!(labels, "cluster=eu1,replica=a,x=y", "external labels win");
                    names.push(rule.name);
                }
                rule::Result::Alert(alert) => {
                    let labels = text(alert.labels.as_ref());
                    assert_eq!(labels, "cluster=eu1,replica=a,severity=page");
                    assert_eq!(alert.duration_seconds, 300.0);
                    names.push(alert.name);
                }
            }
        }
        assert_eq!(names, expected);
    }
}

async fn check_targets(world: &World) {
    let ask = async || {
        let answer = world.ask::<Targets>(TargetsRequest::default()).await;
        let [answer] = answer.unwrap().try_into().unwrap();
        match answer.result {
            Some(targets_response::Result::Targets(found)) => found,
            other => panic!("no targets: {other:?}"),
        }
    };
    until("the file with targets is read", async || {
        !ask().await.active_targets.is_empty()
    })
    .await;
    let found = ask().await;
    let [active] = found.active_targets.try_into().unwrap();
    let address = world.server.as_ref().unwrap().address().to_owned();
    let labels = text(active.labels.as_ref());
    assert_eq!(
        labels,
        format!("cluster=eu1,instance={address},job=self,replica=a")
    );
    let discovered = text(active.discovered_labels.as_ref());
    assert!(
        discovered.ends_with(",cluster=eu1,job=self,replica=a"),
        "{discovered}"
    );
    assert_eq!(active.scrape_pool, "self");
    let [dropped] = found.dropped_targets.try_into().unwrap();
    let discovered = text(dropped.discovered_labels.as_ref());
    assert!(
        discovered.ends_with(",cluster=eu1,job=none,replica=a"),
        "{discovered}"
    );
}

async fn check_metadata(world: &World) {
    const METRIC: &str = "prometheus_build_info";
    let ask = async |metric: &str, limit| {
        let request = MetricMetadataRequest {
            metric: metric.to_owned(),
            limit,
            ..MetricMetadataRequest::default()
        };
        let answer = world.ask::<MetricMetadata>(request).await.unwrap();
        let [answer] = answer.try_into().unwrap();
        match answer.result {
            Some(metric_metadata_response::Result::Metadata(found)) => found.metadata,
            other => panic!("no metadata: {other:?}"),
        }
    };
    until("it has scraped itself", async || {
        !ask("", -1).await.is_empty()
    })
    .await;
    let one = ask(METRIC, -1).await;
    assert_eq!(one.len(), 1);
    assert_eq!(one[METRIC].metas[0].r#type, "gauge");
    assert_eq!(ask("", 3).await.len(), 3);
    assert!(ask("no_such_metric", -1).await.is_empty());
}

async fn check_statistics(world: &World) {
    let ask = async |matchers: Vec<LabelMatcher>| {
        let request = TsdbStatisticsRequest {
            limit: 2,
            matchers,
            ..TsdbStatisticsRequest::default()
        };
        let answer = world.ask::<TsdbStatistics>(request).await.unwrap();
        answer.into_iter().map(|answer| match answer.result {
            Some(tsdb_statistics_response::Result::Statistics(found)) => found.statistics,
            other => panic!("no statistics: {other:?}"),
        })
    };
    for matchers in [
        vec![],
        vec![
            matcher("cluster", "=~", "eu1|us2"),
            matcher("zone", "=", ""),
        ],
    ] {
        let [found] = ask(matchers).await.collect::<Vec<_>>().try_into().unwrap();
        let head = found[""].head_statistics.as_ref().unwrap();
        assert!(head.num_series > 100, "{head:?}");
    }
    for matchers in [matcher("cluster", "=", "us2"), matcher("zone", "=", "a")] {
        assert_eq!(ask(vec![matchers]).await.count(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_made_up_when_it_is_gone() {
    let mut world = World::new().await;
    drop(world.server.take());
    let error = world
        .ask::<Rules>(RulesRequest::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("/api/v1/rules"), "{error}");
    let error = world
        .ask::<Targets>(TargetsRequest::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}
