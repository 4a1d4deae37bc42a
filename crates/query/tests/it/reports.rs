//! Rules, targets and the like over HTTP, from endpoints that serve them over gRPC.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use parking_lot::Mutex;
use rutile_fanout::Proxies;
use rutile_model::{ErrorKind, Labels};
use rutile_proto::thanos::{
    ActiveTarget, Alert, AlertInstance, Exemplar, ExemplarData, ExemplarsRequest,
    ExemplarsResponse, HeadStatistics, Label, LabelNamesRequest, LabelNamesResponse,
    LabelValuesRequest, LabelValuesResponse, Meta, MetricMetadata as Found, MetricMetadataEntry,
    MetricMetadataRequest, MetricMetadataResponse, RecordingRule, Rule, RuleGroup, RulesRequest,
    RulesResponse, SeriesRequest, Statistic, TargetDiscovery, TargetsRequest, TargetsResponse,
    TsdbStatistics, TsdbStatisticsEntry, TsdbStatisticsRequest, TsdbStatisticsResponse, ZLabelSet,
    exemplars_response, info::InfoResponse, metric_metadata_response, rule, rules_response,
    targets_response, tsdb_statistics_response,
};
use rutile_query::{QuerierConfig, Tenancy};
use rutile_runtime::{Ledger, TaskGroup};
use rutile_storeapi::{
    Error, RequestContext, Result, SeriesStream, StoreApi,
    grpc::{
        Answers, Exemplars, InfoServer, MessageStream, MethodServer, MetricMetadata, Rules,
        Targets, TsdbStatistics as Statistics,
    },
    memory::MemoryStore,
};
use tokio::net::TcpListener;
use tonic::transport::{Server, server::TcpIncoming};

use crate::support::{Cluster, querier_config};

/// A component with a little of everything. It remembers what it was asked.
struct Component {
    store: MemoryStore,
    asked: Mutex<Vec<String>>,
    fails: AtomicBool,
}

impl Component {
    fn answer<Q: std::fmt::Debug, R: Send + 'static>(
        &self,
        request: &Q,
        message: R,
    ) -> Result<MessageStream<R>> {
        self.asked.lock().push(format!("{request:?}"));
        if self.fails.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Internal, "lost its disk"));
        }
        Ok(stream::iter([Ok(message)]).boxed())
    }
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

#[async_trait]
impl Answers<Rules> for Component {
    async fn answer(
        &self,
        _: RequestContext,
        request: RulesRequest,
    ) -> Result<MessageStream<RulesResponse>> {
        let alert = Alert {
            name: "Down".to_owned(),
            labels: Some(set(&[("replica", "a"), ("severity", "page")])),
            alerts: vec![AlertInstance {
                value: "1e+00".to_owned(),
                ..AlertInstance::default()
            }],
            ..Alert::default()
        };
        let recording = RecordingRule {
            name: "a:b".to_owned(),
            ..RecordingRule::default()
        };
        let results = [
            rule::Result::Recording(recording),
            rule::Result::Alert(alert),
        ];
        let rules = results.map(|result| Rule {
            result: Some(result),
        });
        let group = RuleGroup {
            name: "g".to_owned(),
            file: "f".to_owned(),
            rules: rules.into(),
            ..RuleGroup::default()
        };
        let result = Some(rules_response::Result::Group(group));
        self.answer(&request, RulesResponse { result })
    }
}

#[async_trait]
impl Answers<Targets> for Component {
    async fn answer(
        &self,
        _: RequestContext,
        request: TargetsRequest,
    ) -> Result<MessageStream<TargetsResponse>> {
        let found = TargetDiscovery {
            active_targets: vec![ActiveTarget {
                scrape_url: "http://h/".to_owned(),
                labels: Some(set(&[("job", "x"), ("replica", "a")])),
                ..ActiveTarget::default()
            }],
            dropped_targets: Vec::new(),
        };
        let result = Some(targets_response::Result::Targets(found));
        self.answer(&request, TargetsResponse { result })
    }
}

#[async_trait]
impl Answers<MetricMetadata> for Component {
    async fn answer(
        &self,
        _: RequestContext,
        request: MetricMetadataRequest,
    ) -> Result<MessageStream<MetricMetadataResponse>> {
        let entry = || MetricMetadataEntry {
            metas: vec![Meta {
                r#type: "gauge".to_owned(),
                ..Meta::default()
            }],
        };
        let metrics = ["up", "a"].map(|name| (name.to_owned(), entry()));
        let found = Found {
            metadata: metrics.into(),
        };
        let result = Some(metric_metadata_response::Result::Metadata(found));
        self.answer(&request, MetricMetadataResponse { result })
    }
}

#[async_trait]
impl Answers<Exemplars> for Component {
    async fn answer(
        &self,
        _: RequestContext,
        request: ExemplarsRequest,
    ) -> Result<MessageStream<ExemplarsResponse>> {
        let data = ExemplarData {
            series_labels: Some(set(&[("__name__", "x"), ("replica", "a")])),
            exemplars: vec![Exemplar {
                labels: Some(set(&[("trace_id", "t")])),
                value: 0.5,
                ts: 1500,
            }],
        };
        let result = Some(exemplars_response::Result::Data(data));
        self.answer(&request, ExemplarsResponse { result })
    }
}

#[async_trait]
impl Answers<Statistics> for Component {
    async fn answer(
        &self,
        _: RequestContext,
        request: TsdbStatisticsRequest,
    ) -> Result<MessageStream<TsdbStatisticsResponse>> {
        let entry = |num_series| TsdbStatisticsEntry {
            head_statistics: Some(HeadStatistics {
                num_series,
                ..HeadStatistics::default()
            }),
            series_count_by_metric_name: ["x", "y"]
                .map(|name| Statistic {
                    name: name.to_owned(),
                    value: num_series,
                })
                .into(),
            ..TsdbStatisticsEntry::default()
        };
        let tenants = [("s", entry(1)), ("t", entry(2))];
        let found = TsdbStatistics {
            statistics: tenants.map(|(name, entry)| (name.to_owned(), entry)).into(),
        };
        let result = Some(tsdb_statistics_response::Result::Statistics(found));
        self.answer(&request, TsdbStatisticsResponse { result })
    }
}

#[async_trait]
impl StoreApi for Component {
    async fn series(&self, ctx: RequestContext, request: SeriesRequest) -> Result<SeriesStream> {
        self.store.series(ctx, request).await
    }

    async fn label_names(
        &self,
        ctx: RequestContext,
        request: LabelNamesRequest,
    ) -> Result<LabelNamesResponse> {
        self.store.label_names(ctx, request).await
    }

    async fn label_values(
        &self,
        ctx: RequestContext,
        request: LabelValuesRequest,
    ) -> Result<LabelValuesResponse> {
        self.store.label_values(ctx, request).await
    }

    async fn info(&self, _: RequestContext) -> Result<InfoResponse> {
        let mut info = InfoResponse::default();
        Proxies::announce(&mut info);
        Ok(info)
    }
}

/// A querier over one component.
async fn cluster(config: QuerierConfig) -> (Cluster, Arc<Component>) {
    let component = Arc::new(Component {
        store: MemoryStore::new(Vec::new(), Labels::empty()),
        asked: Mutex::default(),
        fails: AtomicBool::new(false),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = Server::builder()
        .add_service(InfoServer::new(Arc::clone(&component) as _))
        .add_service(MethodServer::<Rules>::new(Arc::clone(&component)))
        .add_service(MethodServer::<Targets>::new(Arc::clone(&component)))
        .add_service(MethodServer::<MetricMetadata>::new(Arc::clone(&component)))
        .add_service(MethodServer::<Exemplars>::new(Arc::clone(&component)))
        .add_service(MethodServer::<Statistics>::new(Arc::clone(&component)))
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)));
    let tasks = TaskGroup::new("cluster");
    drop(tasks.spawn("component", server));
    let cluster = Cluster::asking(vec![address], Ledger::new(1 << 30), config, tasks).await;
    (cluster, component)
}

/// Asks, and compares the data of the answer; the component is asked what holds all of `asked`.
#[track_caller]
fn check(answer: &crate::support::Answer, component: &Component, data: &str, asked: &[&str]) {
    let text = answer.text();
    let expected = format!("{{\"status\":\"success\",\"data\":{data}}}");
    assert_eq!((answer.status, text), (200, expected.as_str()));
    let request = component.asked.lock().pop().unwrap();
    for part in asked {
        assert!(request.contains(part), "{part} in {request}");
    }
}

const ALERT: &str = r#"{"labels":{},"annotations":{},"state":"unknown","value":"1e+00","partialResponseStrategy":"WARN"}"#;

#[tokio::test]
async fn rules_and_alerts() {
    let (cluster, component) = cluster(querier_config()).await;
    let never = "\"evaluationTime\":0,\"lastEvaluation\":\"0001-01-01T00:00:00Z\"";
    let alerting = format!(
        "{{\"state\":\"unknown\",\"name\":\"Down\",\"query\":\"\",\"duration\":0,\
         \"labels\":{{\"severity\":\"page\"}},\"annotations\":{{}},\"alerts\":[{ALERT}],\
         \"health\":\"\",{never},\"keepFiringFor\":0,\"type\":\"alerting\"}}"
    );
    let recording = format!(
        "{{\"name\":\"a:b\",\"query\":\"\",\"labels\":{{}},\"health\":\"\",{never},\
         \"type\":\"recording\"}}"
    );
    let groups = |rules: &str| {
        format!(
            "{{\"groups\":[{{\"name\":\"g\",\"file\":\"f\",\"rules\":[{rules}],\"interval\":0,{never},\
             \"limit\":0,\"partialResponseStrategy\":\"WARN\"}}]}}"
        )
    };
    let both = groups(&format!("{alerting},{recording}"));
    check(&cluster.get("/rules").await, &component, &both, &["All"]);
    let path = "/rules?type=alert&rule_name[]=Down&rule_group[]=g&file[]=f";
    let asked = ["type: Alert", "strategy: Warn"];
    check(
        &cluster.get(path).await,
        &component,
        &groups(&alerting),
        &asked,
    );
    let path = "/rules?match[]={severity=\"page\"}&partial_response=false";
    let asked = ["type: All", "strategy: Abort"];
    check(
        &cluster.get(path).await,
        &component,
        &groups(&alerting),
        &asked,
    );
    let path = "/rules?rule_group[]=other";
    let none = "{\"groups\":[]}";
    check(&cluster.get(path).await, &component, none, &[]);
    let alerts = format!("{{\"alerts\":[{ALERT}]}}");
    let asked = ["type: Alert"];
    check(&cluster.get("/alerts").await, &component, &alerts, &asked);
}

#[tokio::test]
async fn targets() {
    let (cluster, component) = cluster(querier_config()).await;
    let data = concat!(
        r#"{"activeTargets":[{"discoveredLabels":{},"labels":{"job":"x"},"scrapePool":"","scrapeUrl":"http://h/","#,
        r#""globalUrl":"","lastError":"","lastScrape":"0001-01-01T00:00:00Z","lastScrapeDuration":0,"health":"down"}],"#,
        r#""droppedTargets":[]}"#,
    );
    for (path, state) in [
        ("/targets", "state: Any"),
        ("/targets?state=active", "state: Active"),
        ("/targets?state=DROPPED", "state: Dropped"),
    ] {
        check(&cluster.get(path).await, &component, data, &[state]);
    }
}

#[tokio::test]
async fn metadata() {
    let (cluster, component) = cluster(querier_config()).await;
    let metric =
        |name: &str| format!("\"{name}\":[{{\"type\":\"gauge\",\"help\":\"\",\"unit\":\"\"}}]");
    let both = format!("{{{},{}}}", metric("a"), metric("up"));
    let asked = ["metric: \"\"", "limit: -1"];
    check(&cluster.get("/metadata").await, &component, &both, &asked);
    let path = "/metadata?metric=up&limit=1";
    let first = format!("{{{}}}", metric("a"));
    let asked = ["metric: \"up\"", "limit: 1,"];
    check(&cluster.get(path).await, &component, &first, &asked);
    check(
        &cluster.get("/metadata?limit=0").await,
        &component,
        "{}",
        &[],
    );
}

#[tokio::test]
async fn exemplars() {
    let (cluster, component) = cluster(querier_config()).await;
    let data = concat!(
        r#"[{"seriesLabels":{"__name__":"x"},"exemplars":"#,
        r#"[{"labels":{"trace_id":"t"},"timestamp":1.5,"value":"0.5"}]}]"#,
    );
    let asked = ["{__name__=\\\"x\\\"}", "start: 1000", "end: 2500"];
    let form = "query=rate(x[5m])&start=1&end=2.5";
    let answer = cluster.get(&format!("/query_exemplars?{form}")).await;
    check(&answer, &component, data, &asked);
    let answer = cluster.post("/query_exemplars", form).await;
    check(&answer, &component, data, &asked);
    let answer = cluster.get("/query_exemplars?query=x").await;
    let all = ["start: -9223309901257974000", "end: 9223309901257974999"];
    check(&answer, &component, data, &all);
}

fn statistics(num_series: u64, lists: &[&str]) -> String {
    let list: Vec<_> = lists
        .iter()
        .map(|name| format!("{{\"name\":\"{name}\",\"value\":{num_series}}}"))
        .collect();
    format!(
        "{{\"headStats\":{{\"numSeries\":{num_series},\"numLabelPairs\":0,\"chunkCount\":0,\
         \"minTime\":0,\"maxTime\":0}},\"seriesCountByMetricName\":[{}],\
         \"labelValueCountByLabelName\":[],\"memoryInBytesByLabelName\":[],\
         \"seriesCountByLabelValuePair\":[]}}",
        list.join(",")
    )
}

#[tokio::test]
async fn tsdb_status() {
    let (cluster, component) = cluster(querier_config()).await;
    let answer = cluster.get("/status/tsdb").await;
    let data = statistics(3, &["x", "y"]);
    check(&answer, &component, &data, &["limit: 10", "matchers: []"]);
    let answer = cluster.get("/status/tsdb?limit=1&match[]={a=\"b\"}").await;
    let data = statistics(3, &["x"]);
    check(&answer, &component, &data, &["limit: 1,", "name: \"a\""]);
}

#[tokio::test]
async fn tenants_see_their_own_series_only() {
    let config = QuerierConfig {
        tenancy: Tenancy {
            enforced_label: Some("tenant_id".to_owned()),
            ..Tenancy::default()
        },
        ..querier_config()
    };
    let (cluster, component) = cluster(config).await;
    let answer = cluster.get_as("t", "/status/tsdb").await;
    let data = statistics(2, &["x", "y"]);
    let asked = ["name: \"tenant_id\", value: \"t\""];
    check(&answer, &component, &data, &asked);
    let answer = cluster.get_as("u", "/status/tsdb").await;
    assert_eq!(answer.status, 500);
    assert!(answer.text().contains("u tenant not found"), "{answer:?}");
    component.asked.lock().clear();
    cluster.get_as("t", "/query_exemplars?query=x").await;
    let asked = component.asked.lock().pop().unwrap();
    assert!(asked.contains("tenant_id=\\\"t\\\""), "{asked}");
}

#[tokio::test]
async fn an_endpoint_fails() {
    let (cluster, component) = cluster(querier_config()).await;
    component.fails.store(true, Ordering::Relaxed);
    for (path, what, empty) in [
        ("/rules", "rules", "{\"groups\":[]}"),
        ("/alerts", "rules", "{\"alerts\":null}"),
        (
            "/targets",
            "targets",
            "{\"activeTargets\":[],\"droppedTargets\":[]}",
        ),
        ("/metadata", "metadata", "{}"),
        ("/query_exemplars?query=x", "exemplars", "[]"),
        ("/status/tsdb", "tsdb statistics", &statistics(0, &[])),
    ] {
        let answer = cluster.get(path).await;
        let begin = format!("{{\"status\":\"success\",\"data\":{empty},\"warnings\":[\"fetch ");
        assert!(answer.text().starts_with(&begin), "{path}: {answer:?}");
        assert!(answer.text().contains("lost its disk"), "{answer:?}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");

        let sign = if path.contains('?') { '&' } else { '?' };
        let answer = cluster
            .get(&format!("{path}{sign}partial_response=0"))
            .await;
        assert_eq!(answer.status, 500, "{path}: {answer:?}");
        let json = answer.json();
        let error = json["error"].as_str().unwrap();
        assert_eq!(json["errorType"], "internal");
        assert!(
            error.starts_with(&format!("retrieving {what}: ")),
            "{error}"
        );
        assert!(error.contains("lost its disk"), "{error}");
    }
}

#[tokio::test]
async fn wrong_parameters_are_named() {
    let (cluster, component) = cluster(querier_config()).await;
    for (path, message) in [
        (
            "/rules?type=x",
            "parameter \"type\": \"x\" is not alert or record",
        ),
        ("/rules?match[]={a=", "cannot parse the selector \"{a=\""),
        (
            "/rules?partial_response=x",
            "parameter \"partial_response\"",
        ),
        (
            "/targets?state=up",
            "parameter \"state\": \"up\" is not active",
        ),
        (
            "/metadata?limit=1.5",
            "parameter \"limit\": cannot parse \"1.5\"",
        ),
        ("/metadata?limit=2147483648", "parameter \"limit\""),
        ("/query_exemplars", "parameter \"query\""),
        ("/query_exemplars?query=x{", "parameter \"query\""),
        ("/query_exemplars?query=x&start=y", "parameter \"start\""),
        ("/status/tsdb?limit=-1", "parameter \"limit\""),
        ("/status/tsdb?limit=2147483648", "parameter \"limit\""),
        ("/status/tsdb?match[]=x{", "parameter \"match[]\""),
    ] {
        let answer = cluster.get(path).await;
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
        let json = answer.json();
        assert_eq!(json["errorType"], "bad_data", "{path}");
        let error = json["error"].as_str().unwrap();
        assert!(error.contains(message), "{path}: {error}");
    }
    assert!(component.asked.lock().is_empty());
}
