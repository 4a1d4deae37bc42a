//! `rutile-query` as a process, as Prometheus's own client sees it: flags and their mistakes, start, queries, drain.

use std::process::Command;

use rutile_runtime::TaskGroup;
use rutile_storeapi::grpc::{Client, ClientOptions};
use rutile_storeapi::{RequestContext, StoreApi};
use rutile_testkit::metrics;
use rutile_testkit::process::Process;
use rutile_testkit::prometheus::promtool;

use crate::support::{gateway, serve};

const ADDRESSES: [&str; 2] = ["--http-address=127.0.0.1:0", "--grpc-address=127.0.0.1:0"];
/// Within the data of `raw`, in seconds.
const TIME: &str = "1767375600";

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rutile-query"));
    command.args(ADDRESSES).args(args);
    command
}

/// Asserts how the process ends and what it says.
fn check_end(args: &[&str], code: i32, texts: &[&str]) {
    let output = command(args).output().unwrap();
    let shown = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {shown}");
    for text in texts {
        assert!(shown.contains(text), "{args:?}: {text:?} in {shown}");
    }
    assert!(!shown.contains("panicked"), "{args:?}: {shown}");
}

#[test]
fn mistakes_on_the_command_line() {
    check_end(&["--endpont=x"], 2, &["--endpont", "--endpoint"]);
    check_end(&["--query.timeout=ten"], 2, &["--query.timeout"]);
    check_end(&["--query.promql-engine=x"], 2, &["prometheus", "thanos"]);
    check_end(
        &["--help"],
        0,
        &[
            "--query.replica-label",
            "--endpoint-group",
            "--enable-feature",
        ],
    );
    check_end(&["--version"], 0, &["rutile-query version "]);
    check_end(&["--endpoint=nowhere"], 2, &["--endpoint", "has no port"]);
    check_end(
        &["--endpoint.sd-config-file=/nowhere/at/all"],
        1,
        &["/nowhere/at/all"],
    );
    check_end(
        &["--endpoint.sd-config=endpoints: [{adress: x}]"],
        1,
        &["adress"],
    );
    check_end(
        &["--enable-feature=x"],
        2,
        &["--enable-feature x is unknown"],
    );
    check_end(&["--query.mode=distributed"], 2, &["not supported yet"]);
    check_end(
        &["--query.tenant-certificate-field=commonName"],
        2,
        &["not supported yet"],
    );
    check_end(
        &["--http.config=/nowhere/web.yml"],
        1,
        &["--http.config", "/nowhere/web.yml"],
    );
    check_end(
        &["--query.active-query-path=/proc/x"],
        1,
        &["--query.active-query-path"],
    );
}

/// Starts it and waits until it is ready.
pub(crate) fn start(args: &[&str]) -> Process {
    Process::start(command(args))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promtool_is_content_with_it() {
    let tasks = TaskGroup::new("stores");
    let store = serve(gateway("raw", &tasks).await, &tasks).await;
    let endpoint = format!("--endpoint={store}");
    let folder = tempfile::tempdir().unwrap();
    let active = format!("--query.active-query-path={}", folder.path().display());
    let process = start(&[&endpoint, &active, "--query.replica-label=replica"]);
    process.get("/-/ready");
    let url = format!("http://{}", process.http);
    let ask = |what: &str, args: &[&str]| {
        let args: Vec<&str> = ["query", what, &url].iter().chain(args).copied().collect();
        promtool(&args)
    };
    let instant = ask("instant", &["--time", TIME, "sum(http_requests_0_total)"]);
    assert_eq!(instant, format!("{{}} => 1917292 @[{TIME}]\n"));
    let range = [
        "--start",
        TIME,
        "--end",
        "1767375700",
        "--step=50s",
        "sum(http_requests_0_total)",
    ];
    let expected = "{} =>\n1917292 @[1767375600]\n1917367 @[1767375650]\n1917464 @[1767375700]\n";
    assert_eq!(ask("range", &range), expected);
    let series = [
        "--match=http_requests_0_total",
        "--start",
        TIME,
        "--end",
        "1767375700",
    ];
    let series = ask("series", &series);
    let expected = "{__name__=\"http_requests_0_total\", cluster=\"eu1\", container=\"c0\", ";
    assert!(
        series.starts_with(expected) && !series.contains("replica"),
        "{series}"
    );
    assert_eq!(ask("labels", &["job"]), "job-0\njob-1\njob-2\njob-3\n");

    let client = Client::connect(&process.grpc, &ClientOptions::default())
        .await
        .unwrap();
    let info = client.info(RequestContext::default()).await.unwrap();
    assert!(
        info.component_type == "query" && info.query.is_some(),
        "{info:?}"
    );
    let flags = process.get("/api/v1/status/flags");
    assert!(
        flags.contains("\"query.replica-label\":\"replica\""),
        "{flags}"
    );
    let active = std::fs::read(folder.path().join("queries.active")).unwrap();
    assert_eq!(active.len(), 20_001);

    let (code, log) = process.terminate();
    assert_eq!(code, Some(0), "{log}");
}

/// The metrics that the documentation promises and that need no traffic to show.
#[test]
fn documented_metrics_are_there() {
    let process = start(&[]);
    let ours = [
        "Every process",
        "HTTP and gRPC",
        "Queries",
        "Endpoints and fan-out",
    ];
    let promised = metrics::promised(&ours).into_iter();
    metrics::require(
        &process.get("/metrics"),
        promised.filter(|metric| !metric.labelled),
    );
    assert_eq!(process.terminate().0, Some(0));
}
