//! What is asked gets the recorded answer, and what surrounds an answer is as it should be.

use std::io::Read;

use rutile_query::Tenancy;
use rutile_runtime::TaskGroup;
use serde::Deserialize;

use crate::support::{Cluster, gateway, querier_config};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/answers.jsonl.gz");
/// Within the data of `raw`, in seconds.
const TIME: &str = "1767375600";

#[derive(Deserialize)]
struct Recorded {
    path: String,
    params: String,
    answer: String,
}

fn recorded() -> Vec<Recorded> {
    let file = std::fs::File::open(DATA).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(file)
        .read_to_string(&mut text)
        .unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Without what a store adds to its series, and what Thanos adds to answers.
fn as_prometheus(answer: &str) -> String {
    let mut text = answer.to_owned();
    for label in [
        "\"cluster\":\"eu1\"",
        "\"replica\":\"a\"",
        "\"cluster\"",
        "\"replica\"",
    ] {
        text = text
            .replace(&format!("{label},"), "")
            .replace(&format!(",{label}"), "")
            .replace(label, "");
    }
    text.replace(",\"analysis\":{}", "")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_those_of_prometheus() {
    let cluster = Cluster::on(&["raw"]).await;
    let recorded = recorded();
    assert!(recorded.len() > 30, "{}", recorded.len());
    for Recorded {
        path,
        params,
        answer,
    } in recorded
    {
        let by_get = cluster.get(&format!("/{path}?{params}")).await;
        assert_eq!(by_get.status, 200, "{path}?{params}: {}", by_get.text());
        assert!(
            as_prometheus(by_get.text()) == answer,
            "{path}?{params}: {}\n{answer}",
            by_get.text()
        );
        if !path.contains("values") {
            let by_post = cluster.post(&format!("/{path}"), &params).await;
            assert!(by_post.body == by_get.body, "{path} by POST");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_become_one_series() {
    let cluster = Cluster::on(&["ha/input"]).await;
    let count = async |params: &str| {
        let path = format!("/query?query=count({{__name__=~\".%2B\"}})&{params}");
        let answer = cluster.get(&path).await.json();
        answer["data"]["result"][0]["value"][1]
            .as_str()
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    let time = "time=1767232800";
    let both = count(&format!("{time}&dedup=false")).await;
    let one = count(time).await;
    assert!(one > 0 && both > one, "{one} of {both}");
    assert_eq!(count(&format!("{time}&replicaLabels[]=none")).await, both);
    let series = |params: &str| format!("/series?match[]={{__name__=~\".%2B\"}}&{params}");
    let all = cluster.get(&series("dedup=0")).await.json()["data"]
        .as_array()
        .unwrap()
        .len();
    let few = cluster.get(&series("")).await.json()["data"]
        .as_array()
        .unwrap()
        .len();
    assert!(few > 0 && few < all, "{few} of {all}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn coarse_data_is_used_if_it_may() {
    let cluster = Cluster::on(&["raw"]).await;
    let sum = async |params: &str| {
        let query = "sum(sum_over_time({__name__=~\"http_requests_._total\"}[1h]))";
        // Between two windows of the downsampled data.
        let path = format!("/query?query={query}&time=1767375730&{params}");
        let answer = cluster.get(&path).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["data"]["result"][0]["value"][1]
            .as_str()
            .unwrap()
            .parse::<f64>()
            .unwrap()
    };
    let raw = sum("").await;
    let coarse = sum("max_source_resolution=5m").await;
    assert!(
        raw > 0.0 && (coarse / raw - 1.0).abs() < 0.2,
        "{coarse} instead of {raw}"
    );
    assert!(coarse.to_bits() != raw.to_bits(), "raw data was used");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_cut_and_say_so() {
    let cluster = Cluster::on(&["raw"]).await;
    for path in [
        "/labels?limit=2",
        "/label/job/values?limit=2",
        "/series?match[]=http_requests_0_total&limit=2",
    ] {
        let answer = cluster.get(path).await;
        let json = answer.json();
        assert_eq!(json["data"].as_array().unwrap().len(), 2, "{path}");
        assert_eq!(
            json["warnings"][0], "results truncated due to limit",
            "{path}"
        );
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
    }
    let query = format!("/query?query=http_requests_0_total&time={TIME}&limit=1");
    let json = cluster.get(&query).await.json();
    assert_eq!(json["data"]["result"].as_array().unwrap().len(), 1);
    let json = cluster.get("/labels?limit=1000").await.json();
    assert!(json.get("warnings").is_none(), "{json}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenants_see_their_own_data_only() {
    let tasks = TaskGroup::new("cluster");
    let stores = vec![gateway("raw", &tasks).await];
    let mut config = querier_config();
    config.tenancy = Tenancy {
        enforced_label: Some("job".to_owned()),
        ..Tenancy::default()
    };
    let cluster = Cluster::over(stores, config, tasks).await;
    let query = format!("/query?query=count by (job) (http_requests_0_total)&time={TIME}");
    let json = cluster.get_as("job-1", &query).await.json();
    let metrics: Vec<_> = json["data"]["result"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["metric"]["job"])
        .collect();
    assert_eq!(metrics, ["job-1"]);
    assert_eq!(
        cluster.get_as("job-2", "/label/job/values").await.json()["data"],
        serde_json::json!(["job-2"])
    );
    let series = "/series?match[]=http_requests_0_total{job=\"job-0\"}";
    let series = cluster.get_as("job-1", series).await.json();
    assert_eq!(series["data"], serde_json::json!([]));
    assert_eq!(cluster.get_as("a/b", &query).await.status, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_around_the_data() {
    let cluster = Cluster::on(&["raw"]).await;
    let stores = cluster.get("/stores").await.json();
    let store = &stores["data"]["store"][0];
    assert_eq!(
        store["labelSets"],
        serde_json::json!([{"cluster": "eu1", "replica": "a"}])
    );
    assert_eq!(
        (&store["minTime"], &store["lastError"]),
        (&1_767_225_600_000_i64.into(), &serde_json::Value::Null)
    );
    assert_eq!(
        cluster.get("/status/flags").await.json()["data"]["query.timeout"],
        "2m"
    );
    for path in ["/status/buildinfo", "/status/runtimeinfo", "/status/tsdb"] {
        assert_eq!(cluster.get(path).await.status, 200, "{path}");
    }
    let request = http::Request::options("/api/v1/query").body(axum::body::Body::empty());
    let answer = cluster.ask(request.unwrap()).await;
    assert_eq!(
        (answer.status, answer.header("access-control-allow-methods")),
        (204, "GET, POST, OPTIONS")
    );

    let metrics = cluster.registry.render();
    for line in [
        "thanos_query_concurrent_gate_queries_max 20\n",
        "thanos_query_concurrent_gate_queries_in_flight 0\n",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
}
