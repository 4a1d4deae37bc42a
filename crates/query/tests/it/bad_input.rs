//! What is wrong is refused: with the type and the code of Prometheus, and with what to change.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use futures::StreamExt;
use rutile_model::ErrorKind;
use rutile_proto::thanos::info::{InfoResponse, StoreInfo};
use rutile_proto::thanos::{
    LabelNamesRequest, LabelNamesResponse, LabelValuesRequest, LabelValuesResponse, SeriesRequest,
};
use rutile_runtime::{Ledger, TaskGroup};
use rutile_storeapi::{Error, RequestContext, Result, SeriesStream, StoreApi};

use crate::support::{Cluster, gateway, querier_config};

async fn check(cluster: &Cluster, path: &str, code: u16, kind: &str, message: &str) {
    let answer = cluster.get(path).await;
    let json = answer.json();
    assert_eq!(
        (answer.status, &json["errorType"]),
        (code, &kind.into()),
        "{path}: {json}"
    );
    let error = json["error"].as_str().unwrap();
    assert!(error.contains(message), "{path}: {error}");
    assert_eq!(answer.header("cache-control"), "no-store");
}

/// Requests, and what their answers say.
const WRONG: [(&str, &str); 43] = [
    (
        "/query?query=up%7B",
        "invalid parameter \"query\": 1:4: parse error: unexpected end of input",
    ),
    ("/query?query=", "no expression found in input"),
    (
        "/query?query=rate(up)",
        "1:6: parse error: expected type range vector in call to function \"rate\"",
    ),
    (
        "/query?query=up&time=x",
        "invalid parameter \"time\": invalid time value for 'time': cannot parse \"x\" to a valid timestamp",
    ),
    (
        "/query?query=up&time=9000000000000000",
        "invalid parameter \"time\": the time is out of range",
    ),
    (
        "/query_range?query=up&start=-9000000000000000&end=1&step=1",
        "invalid parameter \"start\": the time is out of range",
    ),
    (
        "/query_range?query=up&start=1&end=9000000000000000&step=1",
        "invalid parameter \"end\": the time is out of range",
    ),
    (
        "/query?query=up%ff",
        "invalid parameter \"query\": invalid UTF-8 behind 2 bytes",
    ),
    (
        "/series?match[]=up&match[]=%fe",
        "invalid parameter \"match[]\": invalid UTF-8 behind 0 bytes",
    ),
    ("/label/a%fe/values", "invalid label name: \"a\\xfe\""),
    (
        "/query?query=up&timeout=x",
        "invalid parameter \"timeout\": cannot parse \"x\" to a valid duration",
    ),
    (
        "/query?query=up&dedup=x",
        "invalid parameter \"dedup\": cannot parse \"x\" to true or false",
    ),
    (
        "/query?query=up&partial_response=x",
        "invalid parameter \"partial_response\"",
    ),
    (
        "/query?query=up&lookback_delta=x",
        "invalid parameter \"lookback_delta\"",
    ),
    (
        "/query?query=up&max_source_resolution=x",
        "invalid parameter \"max_source_resolution\"",
    ),
    (
        "/query?query=up&max_source_resolution=-1",
        "negative 'max_source_resolution' is not accepted",
    ),
    (
        "/query?query=up&shard_info=x",
        "invalid parameter \"shard_info\"",
    ),
    (
        "/query?query=up&shard_info={\"total_shards\":-1}",
        "invalid parameter \"shard_info\": total_shards must not be negative: -1",
    ),
    (
        "/query?query=up&shard_info={\"total_shards\":2,\"shard_index\":-1}",
        "invalid parameter \"shard_info\": there is no shard_index -1 of 2 shards",
    ),
    (
        "/query?query=up&shard_info={\"total_shards\":2,\"shard_index\":2}",
        "invalid parameter \"shard_info\": there is no shard_index 2 of 2 shards",
    ),
    (
        "/query?query=up&shard_info={\"labels\":1}",
        "invalid parameter \"shard_info\": invalid type: integer",
    ),
    (
        "/query?query=up&storeMatch[]=x%7B",
        "invalid parameter \"storeMatch[]\"",
    ),
    (
        "/query?query=up&engine=x",
        "invalid parameter \"engine\": 'x' bad engine",
    ),
    (
        "/query?query=up&limit=-1",
        "invalid parameter \"limit\": limit must be non-negative",
    ),
    ("/query?query=%zz", "invalid URL escape \"%zz\""),
    (
        "/query_range?query=up&end=1&step=1",
        "invalid parameter \"start\": cannot parse \"\"",
    ),
    (
        "/query_range?query=up&start=1&step=1",
        "invalid parameter \"end\": cannot parse \"\"",
    ),
    (
        "/query_range?query=up&start=2&end=1&step=1",
        "end timestamp must not be before start time",
    ),
    (
        "/query_range?query=up&start=1&end=2&step=0",
        "zero or negative query resolution step widths",
    ),
    (
        "/query_range?query=up&start=1&end=2&step=x",
        "invalid parameter \"step\"",
    ),
    (
        "/query_range?query=up&start=0&end=11001&step=1",
        "exceeded maximum resolution of 11,000 points",
    ),
    (
        "/query_range?query=up[5m]&start=0&end=1&step=1",
        "invalid expression type \"range vector\"",
    ),
    ("/query_explain?query=up", "engine type must be 'thanos'"),
    ("/series", "no match[] parameter provided"),
    ("/series?match[]=%7B%7D", "it must contain at least one"),
    (
        "/series?match[]=up&start=2&end=1",
        "invalid parameter \"end\"",
    ),
    ("/labels?match[]=up%7B", "invalid parameter \"match[]\""),
    (
        "/label/x/values?limit=x",
        "invalid parameter \"limit\": cannot parse \"x\" to a valid limit",
    ),
    ("/format_query?query=1%2B", "invalid parameter \"query\""),
    ("/parse_query?query=1%2B", "invalid parameter \"query\""),
    (
        "/query_exemplars?query=up&start=2&end=1",
        "invalid parameter \"end\": end timestamp must not be before start timestamp",
    ),
    (
        "/query_exemplars?query=up&start=x",
        "invalid parameter \"start\": invalid time value for 'start': cannot parse \"x\"",
    ),
    (
        "/query_exemplars?query=up{",
        "invalid parameter \"query\": 1:4: parse error",
    ),
];

#[tokio::test]
async fn wrong_parameters_are_named() {
    let cluster = Cluster::on(&[]).await;
    for (path, message) in WRONG {
        check(&cluster, path, 400, "bad_data", message).await;
    }
    let most = cluster
        .get("/query_range?query=1&start=0&end=11000&step=1")
        .await;
    assert_eq!(most.status, 200, "{}", most.text());
    for nothing in ["null", "{}", "{\"labels\":null,\"total_shards\":null}"] {
        let answer = cluster
            .get(&format!("/query?query=1&shard_info={nothing}"))
            .await;
        assert_eq!(answer.status, 200, "{nothing}: {}", answer.text());
    }
}

#[tokio::test]
async fn what_is_too_much_is_refused() {
    let cluster = Cluster::on(&[]).await;
    let bad = async |query: String, message: &str| {
        let answer = cluster.post("/query", &format!("query={query}")).await;
        let json = answer.json();
        assert_eq!(
            (answer.status, &json["errorType"]),
            (400, &"bad_data".into()),
            "{json}"
        );
        let error = json["error"].as_str().unwrap();
        assert!(error.len() < 2000 && error.contains(message), "{error}");
    };
    bad("a".repeat(1 << 20), "").await;
    bad(format!("{}1{}", "(".repeat(10_000), ")".repeat(10_000)), "").await;
    bad(format!("1{}", "%2B1".repeat(10_000)), "").await;
    bad(
        format!("up{{a=~\"({}\"}}", "(a{1000}){1000}".repeat(10)),
        "",
    )
    .await;
    bad("a".repeat(11 << 20), "at most 10 MiB").await;
}

/// Selectors of a request, each of which is harmless.
#[tokio::test]
async fn regular_expressions_of_a_request_are_bounded_together() {
    let cluster = Cluster::on(&[]).await;
    let sets = |name: &str, count: usize| {
        let set = |i: usize| format!("{name}=a%7Bb=~\"x{i}%5C%5CpL%7B60%7Dy\"%7D");
        (0..count).map(set).collect::<Vec<_>>().join("&")
    };
    for (path, name) in [
        ("/series", "match[]"),
        ("/labels", "match[]"),
        ("/query?query=1", "storeMatch[]"),
    ] {
        let few = cluster.post(path, &sets(name, 2)).await;
        assert_eq!(few.status, 200, "{path}: {}", few.text());
        let many = cluster.post(path, &sets(name, 200)).await;
        assert_eq!(many.status, 400, "{path}: {}", many.text());
        let error = many.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(name), "{path}: {error}");
        assert!(
            error.contains("does not fit beside the others: use fewer or simpler ones"),
            "{path}: {error}"
        );
    }
}

/// A store that fails each call, or never answers.
struct Broken {
    hangs: bool,
}

#[async_trait]
impl StoreApi for Broken {
    async fn series(&self, _: RequestContext, _: SeriesRequest) -> Result<SeriesStream> {
        if self.hangs {
            return Ok(futures::stream::pending().boxed());
        }
        Err(Error::new(ErrorKind::Exhausted, "the disk is on fire"))
    }

    async fn label_names(
        &self,
        _: RequestContext,
        _: LabelNamesRequest,
    ) -> Result<LabelNamesResponse> {
        Err(Error::new(ErrorKind::Exhausted, "the disk is on fire"))
    }

    async fn label_values(
        &self,
        _: RequestContext,
        _: LabelValuesRequest,
    ) -> Result<LabelValuesResponse> {
        Err(Error::new(ErrorKind::Exhausted, "the disk is on fire"))
    }

    async fn info(&self, _: RequestContext) -> Result<InfoResponse> {
        let store = StoreInfo {
            min_time: i64::MIN,
            max_time: i64::MAX,
            supports_without_replica_labels: true,
            supports_sharding: true,
            ..StoreInfo::default()
        };
        Ok(InfoResponse {
            component_type: "store".to_owned(),
            store: Some(store),
            ..InfoResponse::default()
        })
    }
}

async fn over(broken: Broken, timeout: Duration) -> Cluster {
    let mut config = querier_config();
    config.timeout = timeout;
    Cluster::over(vec![Arc::new(broken)], config, TaskGroup::new("cluster")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_store_is_a_warning_or_an_error() {
    let cluster = over(Broken { hangs: false }, Duration::from_mins(2)).await;
    for path in [
        "/query?query=up",
        "/series?match[]=up",
        "/labels?match[]=up",
        "/label/a/values",
    ] {
        let answer = cluster.get(path).await;
        let warning = answer.json()["warnings"][0].as_str().unwrap().to_owned();
        assert!(
            answer.status == 200 && warning.contains("the disk is on fire"),
            "{path}: {warning}"
        );
        assert_eq!(answer.header("cache-control"), "no-store");
        let separator = if path.contains('?') { '&' } else { '?' };
        let strict = format!("{path}{separator}partial_response=false");
        check(&cluster, &strict, 422, "execution", "the disk is on fire").await;
    }
}

#[tokio::test]
async fn an_endpoint_that_never_answered_is_a_warning_or_an_error() {
    let tasks = TaskGroup::new("cluster");
    // Nobody is there.
    let addresses = vec!["127.0.0.1:1".to_owned()];
    let cluster = Cluster::asking(addresses, Ledger::new(1 << 30), querier_config(), tasks).await;
    let told = "127.0.0.1:1 was not asked, its data may be missing: it never answered Info: ";
    for path in [
        "/query?query=up",
        "/query_range?query=up&start=0&end=1&step=1",
        "/series?match[]=up",
        "/labels?x=",
        "/label/a/values?x=",
        "/rules?x=",
        "/alerts?x=",
        "/targets?x=",
        "/metadata?x=",
        "/query_exemplars?query=up",
        "/status/tsdb?x=",
    ] {
        let answer = cluster.get(path).await;
        let json = answer.json();
        let warning = json["warnings"][0].as_str().unwrap_or_default();
        assert!(warning.starts_with(told), "{path}: {json}");
        assert_eq!(answer.status, 200, "{path}: {json}");
        let strict = cluster.get(&format!("{path}&partial_response=false")).await;
        assert!(strict.status >= 400, "{path}: {}", strict.text());
        assert!(strict.text().contains(told), "{path}: {}", strict.text());
    }
    let stores = cluster.get("/stores").await.json();
    let store = &stores["data"]["unknown-store-api"][0];
    assert_eq!(store["name"], "127.0.0.1:1", "{stores}");
    assert!(store["lastError"].as_str().unwrap().contains("refused"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_runs_out() {
    let cluster = over(Broken { hangs: true }, Duration::from_mins(2)).await;
    let path = "/query?query=up&partial_response=false&timeout=0.2";
    check(&cluster, path, 503, "timeout", "query timed out").await;
    let cluster = over(Broken { hangs: true }, Duration::from_millis(200)).await;
    check(
        &cluster,
        "/query?query=up&partial_response=0&timeout=1h",
        503,
        "timeout",
        "query timed out",
    )
    .await;
    check(
        &cluster,
        "/series?match[]=up&partial_response=0",
        503,
        "timeout",
        "did not answer in time",
    )
    .await;
    let metrics = cluster.registry.render();
    assert!(metrics.contains("thanos_query_concurrent_gate_queries_in_flight 0\n"));
    // It is up before it began, also for what would need none.
    for timeout in ["0", "-1"] {
        let path = format!("/query?query=1&timeout={timeout}");
        check(&cluster, &path, 503, "timeout", "query timed out").await;
    }
}

#[tokio::test]
async fn a_selection_that_names_no_store_is_told() {
    let tasks = TaskGroup::new("cluster");
    let stores = vec![gateway("raw", &tasks).await];
    let cluster = Cluster::over(stores, querier_config(), tasks).await;
    let answer = async |selection: &str| {
        let path = "/series?match[]=go_goroutines_0&partial_response=false&storeMatch[]=";
        let answer = cluster.get(&format!("{path}{selection}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    let named = answer("%7Bcluster=\"eu1\"%7D").await;
    assert!(named["warnings"].is_null(), "{named}");
    let unnamed = answer("%7Bcluster=\"eu2\"%7D").await;
    let told = "storeMatch[] matches no store: see /api/v1/stores";
    assert_eq!(unnamed["warnings"][0], told, "{unnamed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_ends_its_query() {
    let cluster = over(Broken { hangs: true }, Duration::from_mins(2)).await;
    let in_flight = |number: u8| {
        let line = format!("thanos_query_concurrent_gate_queries_in_flight {number}\n");
        cluster.registry.render().contains(&line)
    };
    let mut query = Box::pin(cluster.get("/query?query=up&partial_response=0"));
    while !in_flight(1) {
        assert!(futures::poll!(&mut query).is_pending());
        tokio::task::yield_now().await;
    }
    drop(query);
    assert!(in_flight(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_into_memory_is_refused() {
    // Too little to begin with, and too little for the chunks.
    for (bytes, message) in [
        (4 << 10, "memory limit reached"),
        (300 << 10, "expanding series: memory limit"),
    ] {
        let tasks = TaskGroup::new("cluster");
        let stores = vec![gateway("raw", &tasks).await];
        let cluster = Cluster::within(Ledger::new(bytes), stores, querier_config(), tasks).await;
        let path = "/query?query=sum(count_over_time({__name__=~\".%2B\"}[2d]))&time=1767375600";
        check(&cluster, path, 422, "execution", message).await;
        check(&cluster, path, 422, "execution", "raise --memory.limit").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_form_that_does_not_come_is_given_up() {
    let cluster = Cluster::on(&[]).await;
    let begun = futures::stream::iter([Ok::<_, std::io::Error>("query=")]);
    let request = http::Request::post("/api/v1/query")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from_stream(begun.chain(futures::stream::pending())));
    let answer = cluster.ask(request.unwrap()).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(
        answer.json()["error"],
        "the form did not come within 60 s",
        "{}",
        answer.text()
    );
}
