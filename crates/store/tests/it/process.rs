//! `rutile-store` as a process: flags and their mistakes, start, pages, drain.

use std::path::Path;
use std::process::{Command, Output};

use rutile_proto::thanos::SeriesRequest;
use rutile_runtime::TaskGroup;
use rutile_storeapi::grpc::{Client, ClientOptions};
use rutile_testkit::metrics;
use rutile_testkit::process::Process;
use rutile_testkit::{copy_bucket, golden, servers};

use crate::support::series;
use crate::world::everything;

const ADDRESSES: [&str; 2] = ["--http-address=127.0.0.1:0", "--grpc-address=127.0.0.1:0"];

fn command(data: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rutile-store"));
    let data = format!("--data-dir={}", data.display());
    command.arg(data).args(ADDRESSES).args(args);
    command
}

fn filesystem(folder: &Path) -> String {
    let config = "--objstore.config={type: FILESYSTEM, config: {directory: ";
    format!("{config}\"{}\"}}}}", folder.display())
}

fn ended(args: &[&str]) -> (Option<i32>, String) {
    let data = tempfile::tempdir().unwrap();
    let Output {
        status,
        stdout,
        stderr,
    } = command(data.path(), args).output().unwrap();
    let shown = String::from_utf8([stdout, stderr].concat()).unwrap();
    (status.code(), shown)
}

/// Asserts how the process ends and what it says.
fn check_end(args: &[&str], code: i32, texts: &[&str]) {
    let (status, shown) = ended(args);
    assert_eq!(status, Some(code), "{args:?}: {shown}");
    for text in texts {
        assert!(shown.contains(text), "{args:?}: {text:?} in {shown}");
    }
    assert!(!shown.contains("panicked"), "{args:?}: {shown}");
}

#[test]
fn mistakes_on_the_command_line() {
    check_end(
        &["--objstor.config=x"],
        2,
        &["--objstor.config", "--objstore.config"],
    );
    check_end(
        &["--sync-block-duration=ten"],
        2,
        &["--sync-block-duration"],
    );
    check_end(
        &["--help"],
        0,
        &["--objstore.config", "--min-time", "--contract.strict"],
    );
    check_end(&["--version"], 0, &["rutile-store version "]);
}

#[test]
fn settings_that_cannot_be() {
    let golden = filesystem(&golden().join("raw"));
    let bucket = golden.as_str();
    let times = [bucket, "--min-time=-1h", "--max-time=-2h"];
    check_end(&times, 2, &["--min-time", "--max-time", "swap them"]);
    let delays = [
        bucket,
        "--contract.strict",
        "--ignore-deletion-marks-delay=10m",
    ];
    check_end(
        &delays,
        2,
        &["BC-9", "set --ignore-deletion-marks-delay to more than"],
    );
    let delays = [bucket, "--contract.strict", "--delete-delay=24h"];
    check_end(&delays, 2, &["BC-9", "--delete-delay"]);
    for flag in ["--block-sync-concurrency", "--block-meta-fetch-concurrency"] {
        let zero = format!("{flag}=0");
        check_end(&[bucket, &zero], 2, &[flag, "must be at least 1"]);
    }
    // What may stand in a file is no mistake of the command line.
    let log = "--request.logging-config={http: {config: [{path: /, prot: 80}]}}";
    check_end(
        &[bucket, log],
        1,
        &["--request.logging-config", "`prot`", "line 1"],
    );
    let shard = "--selector.relabel-config=[{action: replace, target_label: a}]";
    check_end(&[bucket, shard], 1, &["replace"]);
}

#[test]
fn flags_that_are_not_supported_yet_say_so() {
    let golden = filesystem(&golden().join("raw"));
    let flag = "--objstore-parquet.config";
    let set = format!("{flag}=type: FILESYSTEM");
    check_end(&[&golden, &set], 2, &[flag, "not supported yet"]);
    let flag = "--store.caching-bucket.config";
    let set = format!("{flag}=type: GROUPCACHE");
    check_end(&[&golden, &set], 1, &[flag, "not supported yet"]);
}

#[test]
fn buckets_that_cannot_be_opened() {
    check_end(&[], 2, &["--objstore.config"]);
    let unknown = "--objstore.config={type: FILESYSTEM, config: {directry: /x}}";
    check_end(
        &[unknown],
        1,
        &["--objstore.config", "directry", "directory"],
    );
    let unknown = "--objstore.config={type: FLOPPY, config: {}}";
    check_end(&[unknown], 1, &["--objstore.config", "FLOPPY"]);
    let gone = tempfile::tempdir().unwrap();
    let missing = gone.path().join("missing");
    let text = missing.display().to_string();
    check_end(&[&filesystem(&missing)], 1, &["--objstore.config", &text]);
    let nobody = "--objstore.config={type: S3, config: {bucket: b, endpoint: \"127.0.0.1:1\", \
                  insecure: true, access_key: a, secret_key: b, region: r}}";
    check_end(&[nobody], 1, &["--objstore.config", "127.0.0.1:1"]);
}

/// The test server of S3 takes any credentials, so this one answers as S3 does that refuses them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_that_are_refused() {
    let refusal = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>InvalidAccessKeyId</Code>\
                   <Message>The AWS Access Key Id you provided does not exist in our records.\
                   </Message></Error>";
    let refuse = move || std::future::ready((axum::http::StatusCode::FORBIDDEN, refusal));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tasks = TaskGroup::new("s3");
    let server = axum::serve(listener, axum::Router::new().fallback(refuse));
    drop(tasks.spawn("refuse", server.into_future()));
    let config = format!(
        "--objstore.config={{type: S3, config: {{bucket: b, endpoint: \"{address}\", insecure: true, \
         access_key: a, secret_key: b, region: r}}}}"
    );
    check_end(
        &[&config],
        1,
        &["--objstore.config", "check access_key/secret_key"],
    );
}

/// Starts it and waits until it is ready.
fn start(args: &[&str]) -> Process {
    let data = tempfile::tempdir().unwrap();
    Process::start(command(data.path(), args)).with_data(data)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_starts_serves_and_drains() {
    let bucket = tempfile::tempdir().unwrap();
    copy_bucket(&golden().join("long"), bucket.path());
    let process = start(&[&filesystem(bucket.path())]);
    process.get("/-/ready");
    process.get("/-/healthy");

    let client = Client::connect(&process.grpc, &ClientOptions::default()).await;
    let client = client.unwrap();
    let request = SeriesRequest {
        skip_chunks: true,
        limit: 3,
        ..everything()
    };
    assert_eq!(series(&client, request).await.unwrap().len(), 3);

    let loaded = process.get("/api/v1/blocks?view=loaded");
    let global = process.get("/api/v1/blocks?view=global");
    for block in rutile_testkit::block_dirs(bucket.path()) {
        let name = block.file_name().unwrap().to_str().unwrap();
        assert!(loaded.contains(name), "{name} in {loaded}");
        assert!(global.contains(name), "{name} in {global}");
    }
    let mark = process.ask(
        "POST",
        "/api/v1/blocks/mark?id=01M820PGYJR1CHBY9DEGWCVZ5E&action=DELETION",
    );
    assert!(mark.starts_with("HTTP/1.1 405 "), "{mark}");
    assert!(mark.contains("rutile-tools bucket mark"), "{mark}");

    let (code, log) = process.terminate();
    assert_eq!(code, Some(0), "{log}");
}

/// Answers are the same without caches, with caches that other processes share, and when these have gone away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caches_change_no_answer() {
    let (memcached, redis) = (servers::memcached(), servers::redis(&[]));
    let index = format!(
        "--index-cache.config={{type: MEMCACHED, config: {{addresses: ['{}']}}}}",
        memcached.address()
    );
    let pieces = format!(
        "--store.caching-bucket.config={{type: REDIS, config: {{addr: '{}'}}}}",
        redis.address()
    );
    let bucket = filesystem(&golden().join("raw"));
    let ask = async |process: &Process| {
        let client = Client::connect(&process.grpc, &ClientOptions::default()).await;
        series(&client.unwrap(), everything()).await.unwrap()
    };
    let expected = ask(&start(&[&bucket])).await;
    assert!(!expected.is_empty());
    let cached = start(&[&bucket, &index, &pieces]);
    let has_hits = |name: &str| {
        let metrics = cached.get("/metrics");
        let hits = metrics.lines().filter(|line| line.starts_with(name));
        hits.into_iter().any(|line| !line.ends_with(" 0"))
    };
    // What is read is written soon, and found from then on.
    let hits = [
        "thanos_store_index_cache_hits_total{",
        "thanos_cache_redis_hits_total{",
    ];
    loop {
        assert!(ask(&cached).await == expected);
        if hits.iter().all(|name| has_hits(name)) {
            break;
        }
    }
    drop((memcached, redis));
    for _ in 0..3 {
        assert!(ask(&cached).await == expected);
    }
    let again = start(&[&bucket, &index, &pieces]);
    assert!(ask(&again).await == expected);
}

/// The metrics that the documentation promises and that need no traffic to show.
#[test]
fn documented_metrics_are_there() {
    let process = start(&[&filesystem(&golden().join("raw"))]);
    let ours = [
        "Every process",
        "HTTP and gRPC",
        "The bucket",
        "Blocks and the contract",
        "Store gateway",
        "Caches",
    ];
    let promised = metrics::promised(&ours).into_iter();
    metrics::require(
        &process.get("/metrics"),
        promised.filter(|metric| !metric.labelled),
    );
    assert_eq!(process.terminate().0, Some(0));
}
