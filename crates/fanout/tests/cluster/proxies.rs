//! The proxies for rules and the like: over endpoints that answer, fail, hang or serve something
//! else, and over other queriers.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use parking_lot::Mutex;
use rutile_discovery::{Compression, EndpointSpec};
use rutile_fanout::{Endpoints, EndpointsConfig, Merged, Proxies, ProxiesConfig, of_all_tenants};
use rutile_model::{ErrorKind, Labels};
use rutile_proto::thanos::{
    ActiveTarget, DroppedTarget, Exemplar, ExemplarData, ExemplarsRequest, ExemplarsResponse,
    HeadStatistics, Label, Meta, MetricMetadata as Found, MetricMetadataEntry,
    MetricMetadataRequest, MetricMetadataResponse, PartialResponseStrategy, RuleGroup,
    RulesRequest, RulesResponse, TargetDiscovery, TargetsRequest, TargetsResponse, TsdbStatistics,
    TsdbStatisticsEntry, TsdbStatisticsRequest, TsdbStatisticsResponse, ZLabelSet,
    exemplars_response, info::InfoResponse, metric_metadata_response, rules_response,
    targets_response, tsdb_statistics_response,
};
use rutile_runtime::{Ledger, SystemClock, TaskGroup};
use rutile_storeapi::{
    Error, RequestContext, Result,
    grpc::{
        Answers, Exemplars, InfoServer, MessageStream, Method, MethodServer, MetricMetadata, Rules,
        Targets, TsdbStatistics as Statistics,
    },
    memory::MemoryStore,
};
use rutile_telemetry::Registry;
use tokio::{net::TcpListener, time::Instant};
use tonic::transport::{Server, server::TcpIncoming};

use crate::{scripted::Then, support::Announcing};

/// Answers each method with messages that tell who it is.
struct Apis {
    name: &'static str,
    then: Then,
    /// The queries for exemplars that came, and the path of everything else.
    asked: Mutex<Vec<String>>,
}

/// Each of the services.
trait Services:
    Answers<Rules>
    + Answers<Targets>
    + Answers<MetricMetadata>
    + Answers<Exemplars>
    + Answers<Statistics>
{
}

impl Services for Apis {}
impl Services for Proxies {}

impl Apis {
    fn new(name: &'static str, then: Then) -> Arc<Self> {
        Arc::new(Self {
            name,
            then,
            asked: Mutex::default(),
        })
    }

    fn labels(&self) -> ZLabelSet {
        let label = Label {
            name: "replica".to_owned(),
            value: self.name.to_owned(),
        };
        ZLabelSet {
            labels: vec![label],
        }
    }

    /// The message, and what is to happen then.
    fn answer<R: Default + Send + 'static>(
        &self,
        asked: String,
        message: R,
        warning: impl FnOnce(&str) -> R,
    ) -> MessageStream<R> {
        self.asked.lock().push(asked);
        let first = stream::iter([Ok(message)]);
        match self.then {
            Then::End => first.boxed(),
            Then::Fail(kind, message) => first
                .chain(stream::iter([Err(Error::new(kind, message))]))
                .boxed(),
            Then::Hang => first.chain(stream::pending()).boxed(),
            Then::Warn(text) => first.chain(stream::iter([Ok(warning(text))])).boxed(),
            Then::Garbage => first.chain(stream::iter([Ok(R::default())])).boxed(),
        }
    }
}

fn group(name: &str) -> RuleGroup {
    RuleGroup {
        name: name.to_owned(),
        ..RuleGroup::default()
    }
}

#[async_trait]
impl Answers<Rules> for Apis {
    async fn answer(
        &self,
        _: RequestContext,
        _: RulesRequest,
    ) -> Result<MessageStream<RulesResponse>> {
        let message = |result| RulesResponse {
            result: Some(result),
        };
        Ok(self.answer(
            Rules::PATH.to_owned(),
            message(rules_response::Result::Group(group(self.name))),
            |text| message(rules_response::Result::Warning(text.to_owned())),
        ))
    }
}

#[async_trait]
impl Answers<Targets> for Apis {
    async fn answer(
        &self,
        _: RequestContext,
        _: TargetsRequest,
    ) -> Result<MessageStream<TargetsResponse>> {
        let message = |result| TargetsResponse {
            result: Some(result),
        };
        let found = TargetDiscovery {
            active_targets: vec![ActiveTarget {
                labels: Some(self.labels()),
                ..ActiveTarget::default()
            }],
            dropped_targets: vec![DroppedTarget {
                discovered_labels: Some(self.labels()),
            }],
        };
        Ok(self.answer(
            Targets::PATH.to_owned(),
            message(targets_response::Result::Targets(found)),
            |text| message(targets_response::Result::Warning(text.to_owned())),
        ))
    }
}

#[async_trait]
impl Answers<MetricMetadata> for Apis {
    async fn answer(
        &self,
        _: RequestContext,
        _: MetricMetadataRequest,
    ) -> Result<MessageStream<MetricMetadataResponse>> {
        let message = |result| MetricMetadataResponse {
            result: Some(result),
        };
        let meta = Meta {
            help: self.name.to_owned(),
            ..Meta::default()
        };
        let entry = MetricMetadataEntry { metas: vec![meta] };
        let found = Found {
            metadata: [("up".to_owned(), entry)].into(),
        };
        Ok(self.answer(
            MetricMetadata::PATH.to_owned(),
            message(metric_metadata_response::Result::Metadata(found)),
            |text| message(metric_metadata_response::Result::Warning(text.to_owned())),
        ))
    }
}

#[async_trait]
impl Answers<Exemplars> for Apis {
    async fn answer(
        &self,
        _: RequestContext,
        request: ExemplarsRequest,
    ) -> Result<MessageStream<ExemplarsResponse>> {
        let message = |result| ExemplarsResponse {
            result: Some(result),
        };
        let data = ExemplarData {
            series_labels: Some(self.labels()),
            exemplars: vec![Exemplar {
                ts: request.start,
                ..Exemplar::default()
            }],
        };
        Ok(self.answer(
            request.query,
            message(exemplars_response::Result::Data(data)),
            |text| message(exemplars_response::Result::Warning(text.to_owned())),
        ))
    }
}

#[async_trait]
impl Answers<Statistics> for Apis {
    async fn answer(
        &self,
        _: RequestContext,
        _: TsdbStatisticsRequest,
    ) -> Result<MessageStream<TsdbStatisticsResponse>> {
        let message = |result| TsdbStatisticsResponse {
            result: Some(result),
        };
        let entry = TsdbStatisticsEntry {
            head_statistics: Some(HeadStatistics {
                num_series: 1,
                ..HeadStatistics::default()
            }),
            ..TsdbStatisticsEntry::default()
        };
        let found = TsdbStatistics {
            statistics: [(self.name.to_owned(), entry)].into(),
        };
        Ok(self.answer(
            Statistics::PATH.to_owned(),
            message(tsdb_statistics_response::Result::Statistics(found)),
            |text| message(tsdb_statistics_response::Result::Warning(text.to_owned())),
        ))
    }
}

/// Serves all of it; Info says what `info` says.
async fn serve<S: Services + 'static>(
    services: Arc<S>,
    info: InfoResponse,
    tasks: &TaskGroup,
) -> EndpointSpec {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let like = MemoryStore::new(Vec::new(), Labels::empty());
    let server = Server::builder()
        .add_service(InfoServer::new(Arc::new(Announcing { like, info })))
        .add_service(MethodServer::<Rules>::new(Arc::clone(&services)))
        .add_service(MethodServer::<Targets>::new(Arc::clone(&services)))
        .add_service(MethodServer::<MetricMetadata>::new(Arc::clone(&services)))
        .add_service(MethodServer::<Exemplars>::new(Arc::clone(&services)))
        .add_service(MethodServer::<Statistics>::new(services))
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)));
    drop(tasks.spawn("server", async { server.await.unwrap() }));
    EndpointSpec::fixed(address.to_string())
}

/// What a component of this kind with these external labels says of itself.
fn serving_all(component: &str, external: &[(&str, &str)]) -> InfoResponse {
    let label = |(name, value): &(&str, &str)| Label {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
    };
    let mut info = InfoResponse {
        component_type: component.to_owned(),
        label_sets: vec![ZLabelSet {
            labels: external.iter().map(label).collect(),
        }],
        ..InfoResponse::default()
    };
    Proxies::announce(&mut info);
    info
}

/// Proxies over these endpoints, all of which have been asked for Info.
async fn over(specs: Vec<EndpointSpec>, silence: Option<Duration>, tasks: &TaskGroup) -> Proxies {
    let settings = EndpointsConfig::default();
    let clock = Arc::new(SystemClock);
    let endpoints = Endpoints::new(settings, clock, tasks.spawner(), &Registry::new());
    endpoints.replace(specs);
    endpoints.checked_once().await;
    let config = ProxiesConfig {
        replica_labels: vec!["replica".to_owned()],
        response_timeout: silence,
        ..ProxiesConfig::default()
    };
    Proxies::new(config, endpoints, Ledger::new(1 << 30))
}

fn names(merged: &Merged<Vec<RuleGroup>>) -> Vec<&str> {
    merged
        .data
        .iter()
        .map(|group| group.name.as_str())
        .collect()
}

fn abort() -> RulesRequest {
    RulesRequest {
        partial_response_strategy: PartialResponseStrategy::Abort.into(),
        ..RulesRequest::default()
    }
}

#[tokio::test]
async fn queriers_over_queriers() {
    let tasks = TaskGroup::new("test");
    let (a, b) = (
        Apis::new("a", Then::End),
        Apis::new("b", Then::Warn("of b")),
    );
    let cluster_a = [("cluster", "a")];
    let spec_a = serve(Arc::clone(&a), serving_all("sidecar", &cluster_a), &tasks).await;
    let spec_b = serve(b, serving_all("sidecar", &[("cluster", "b")]), &tasks).await;
    let below = Arc::new(over(vec![spec_a.clone()], None, &tasks).await);
    let mut spec_below = serve(below, serving_all("query", &cluster_a), &tasks).await;
    spec_below.client.compression = Compression::Snappy;
    let proxies = over(vec![spec_b, spec_below], None, &tasks).await;
    let ctx = RequestContext::default();

    let rules = proxies.rules(&ctx, RulesRequest::default()).await.unwrap();
    assert_eq!(names(&rules), ["a", "b"]);
    assert_eq!(rules.warnings, ["of b"]);

    let targets = proxies.targets(&ctx, TargetsRequest::default()).await;
    let targets = targets.unwrap();
    let found = (
        targets.data.active_targets.len(),
        targets.data.dropped_targets.len(),
    );
    assert_eq!(found, (1, 1), "{targets:?}");
    assert_eq!(targets.warnings, ["of b"]);

    let request = MetricMetadataRequest {
        limit: -1,
        ..MetricMetadataRequest::default()
    };
    let metadata = proxies.metric_metadata(&ctx, request).await.unwrap();
    let mut helps: Vec<_> = metadata.data["up"].iter().map(|meta| &meta.help).collect();
    helps.sort();
    assert_eq!(helps, ["a", "b"]);
    assert_eq!(metadata.warnings, ["of b"]);

    let statistics = proxies.tsdb_statistics(&ctx, TsdbStatisticsRequest::default());
    let statistics = statistics.await.unwrap();
    assert_eq!(statistics.data.keys().collect::<Vec<_>>(), ["a", "b"]);
    let all = of_all_tenants(statistics.data).head_statistics.unwrap();
    assert_eq!(all.num_series, 2);
    assert_eq!(statistics.warnings, ["of b"]);

    a.asked.lock().clear();
    let request = ExemplarsRequest {
        query: "up{cluster=\"a\"}".to_owned(),
        start: 7,
        ..ExemplarsRequest::default()
    };
    let exemplars = proxies.exemplars(&ctx, request).await.unwrap();
    assert_eq!(exemplars.data.len(), 1, "{exemplars:?}");
    assert_eq!(exemplars.data[0].exemplars[0].ts, 7);
    assert!(exemplars.warnings.is_empty(), "b was asked: {exemplars:?}");
    assert_eq!(*a.asked.lock(), ["{__name__=\"up\"}"]);
}

/// One endpoint does this after its first message.
async fn check(then: Then, reason: &str) {
    let tasks = TaskGroup::new("test");
    let good = Apis::new("good", Then::End);
    let good = serve(good, serving_all("sidecar", &[]), &tasks).await;
    let bad = serve(Apis::new("bad", then), serving_all("rule", &[]), &tasks).await;
    let name = bad.name.clone();
    let silence = Some(Duration::from_millis(300));
    let proxies = over(vec![good, bad], silence, &tasks).await;
    let ctx = RequestContext::default();

    let rules = proxies.rules(&ctx, RulesRequest::default()).await.unwrap();
    assert_eq!(names(&rules), ["bad", "good"], "{reason}");
    let [warning] = &rules.warnings[..] else {
        panic!("{reason}: one warning in {rules:?}")
    };
    assert!(warning.contains(reason), "{reason}: {warning}");
    let is_of_below = reason == "from below";
    assert!(warning.contains(&name) || is_of_below, "{warning}");

    let error = proxies.rules(&ctx, abort()).await.unwrap_err().to_string();
    assert!(error.contains(&name) && error.contains(reason), "{error}");
}

#[tokio::test]
async fn fails() {
    let then = Then::Fail(ErrorKind::Internal, "lost its disk");
    check(then, "lost its disk").await;
}

#[tokio::test]
async fn hangs() {
    check(Then::Hang, "it sent nothing for 300ms").await;
}

#[tokio::test]
async fn has_only_a_part() {
    check(Then::Warn("from below"), "from below").await;
}

#[tokio::test]
async fn sends_what_nobody_knows() {
    check(Then::Garbage, "a message of an unknown kind").await;
}

/// The answer comes before the deadline, though nothing else limits how long an endpoint is silent.
#[tokio::test]
async fn hangs_until_the_deadline() {
    let tasks = TaskGroup::new("test");
    let good = serve(
        Apis::new("good", Then::End),
        serving_all("rule", &[]),
        &tasks,
    )
    .await;
    let bad = serve(
        Apis::new("bad", Then::Hang),
        serving_all("rule", &[]),
        &tasks,
    )
    .await;
    let name = bad.name.clone();
    let proxies = over(vec![good, bad], None, &tasks).await;
    let ctx = RequestContext {
        deadline: Some(Instant::now() + Duration::from_secs(2)),
        ..RequestContext::default()
    };
    let rules = proxies.rules(&ctx, RulesRequest::default()).await.unwrap();
    assert_eq!(names(&rules), ["bad", "good"]);
    assert!(
        matches!(&rules.warnings[..], [warning] if warning.contains(&name)),
        "{rules:?}"
    );
}

#[tokio::test]
async fn only_who_serves_it_is_asked() {
    let tasks = TaskGroup::new("test");
    let then = Then::Fail(ErrorKind::Internal, "asked for what it does not serve");
    let other = Apis::new("other", then);
    let info = InfoResponse {
        rules: None,
        ..serving_all("sidecar", &[])
    };
    let spec = serve(Arc::clone(&other), info, &tasks).await;
    let proxies = over(vec![spec], None, &tasks).await;
    let rules = proxies.rules(&RequestContext::default(), abort()).await;
    let rules = rules.unwrap();
    assert!(rules.data.is_empty() && rules.warnings.is_empty());
    assert!(other.asked.lock().is_empty());
}

#[tokio::test]
async fn one_that_never_answered_may_serve_it() {
    let tasks = TaskGroup::new("test");
    let good = Apis::new("good", Then::End);
    let good = serve(good, serving_all("rule", &[]), &tasks).await;
    // Nobody is there.
    let gone = EndpointSpec::fixed("127.0.0.1:1");
    let strict = EndpointSpec {
        strict: true,
        ..gone.clone()
    };
    let ctx = RequestContext::default();
    for (spec, told) in [
        (gone, "127.0.0.1:1 was not asked, its data may be missing"),
        (strict, "fetch rules from store 127.0.0.1:1"),
    ] {
        let proxies = over(vec![good.clone(), spec], None, &tasks).await;
        let rules = proxies.rules(&ctx, RulesRequest::default()).await.unwrap();
        assert_eq!(names(&rules), ["good"]);
        let [warning] = &rules.warnings[..] else {
            panic!("one warning is expected: {rules:?}");
        };
        assert!(warning.starts_with(told), "{warning}");
        let error = proxies.rules(&ctx, abort()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().starts_with(told), "{error}");
    }
    let exemplars = ExemplarsRequest {
        query: "up".to_owned(),
        ..ExemplarsRequest::default()
    };
    let proxies = over(vec![EndpointSpec::fixed("127.0.0.1:1")], None, &tasks).await;
    let exemplars = proxies.exemplars(&ctx, exemplars).await.unwrap();
    assert_eq!(exemplars.warnings.len(), 1, "{exemplars:?}");
}

#[tokio::test]
async fn does_not_fit_into_memory() {
    let tasks = TaskGroup::new("test");
    let spec = serve(Apis::new("a", Then::End), serving_all("rule", &[]), &tasks).await;
    let settings = EndpointsConfig::default();
    let clock = Arc::new(SystemClock);
    let endpoints = Endpoints::new(settings, clock, tasks.spawner(), &Registry::new());
    endpoints.replace(vec![spec]);
    endpoints.checked_once().await;
    let proxies = Proxies::new(ProxiesConfig::default(), endpoints, Ledger::new(2));
    let error = proxies.rules(&RequestContext::default(), abort()).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Exhausted);
}
