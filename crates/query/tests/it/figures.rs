//! What answers say about how they came about: statistics, plans, analyses.

use serde_json::{Value, json};

use crate::support::Cluster;

/// Within the data of `raw`, in seconds.
const TIME: i64 = 1_767_375_600;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statistics_count_samples() {
    let cluster = Cluster::on(&["raw"]).await;
    let query = "count_over_time(http_requests_0_total[10m])";
    let path = format!("/query?query={query}&time={TIME}&stats=all");
    let data = &cluster.get(&path).await.json()["data"];
    let counted: u64 = data["result"].as_array().unwrap().iter().map(sample).sum();
    let stats = &data["stats"];
    assert!(stats["timings"]["execTotalTime"].is_number(), "{stats}");
    assert!(counted > 0);
    assert_eq!(stats["samples"]["totalQueryableSamples"], counted);
    let series = data["result"].as_array().unwrap().len();
    assert_eq!(stats["samples"]["peakSamples"], series);
}

fn sample(series: &Value) -> u64 {
    series["value"][1].as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_analysis_has_the_shape_of_the_plan() {
    let cluster = Cluster::on(&["raw"]).await;
    let query = "query=sum(count_over_time(http_requests_0_total[10m]))";
    for wanted in ["true", "1"] {
        let path = format!("/query?{query}&time={TIME}&stats=all&analyze={wanted}");
        let json = cluster.get(&path).await.json();
        let analysis = &json["data"]["analysis"];
        let total = json["data"]["result"][0]["value"][1].as_str().unwrap();
        for level in 0..3 {
            let node = analysis.pointer(&"/children/0".repeat(level)).unwrap();
            assert_eq!(node["totalSamples"].to_string(), total, "{analysis}");
            let time = node["executionTime"].as_str().unwrap();
            assert!(time.ends_with('s'), "{time}");
        }
        assert_eq!(analysis["peakSamples"], 1);
        assert_eq!(json["warnings"], Value::Null);

        let path = format!("/query_explain?{query}&engine=thanos");
        let plan = &cluster.get(&path).await.json()["data"];
        assert_eq!(&names(analysis), plan);
    }
    let path = format!("/query?{query}&time={TIME}&analyze=yes");
    assert_eq!(
        cluster.get(&path).await.json()["data"]["analysis"],
        json!({})
    );
}

/// A tree with nothing but names.
fn names(node: &Value) -> Value {
    match node["children"].as_array() {
        Some(children) => {
            let children: Vec<_> = children.iter().map(names).collect();
            json!({ "name": node["name"], "children": children })
        }
        None => json!({ "name": node["name"] }),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_is_explained_for_ranges_too() {
    let cluster = Cluster::on(&["raw"]).await;
    let path = "/query_range_explain?engine=thanos&start=0&end=60&step=15&query=sum(rate(up[5m]))";
    let plan = &cluster.get(path).await.json()["data"];
    assert_eq!(plan["name"], "[aggregation] sum");
    let rate = &plan["children"][0];
    assert_eq!(rate["name"], "[function] rate (row by row)");
    assert_eq!(
        rate["children"],
        json!([{ "name": "[range selector] up[5m]" }])
    );
}
