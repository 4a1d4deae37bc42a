//! Set-ups that cannot work end the start, or are logged, with a message that says what to change.

use std::process::Output;

use axum::http::{Method, StatusCode, Uri};
use axum::response::IntoResponse;
use rutile_runtime::TaskGroup;
use rutile_testkit::servers::{Prometheus, Server};

use crate::support::{
    CONFIG, add_block, beside, command, data, filesystem, golden_blocks, keeping, start,
};

/// Asserts how the process ends and what it says.
fn check_end(args: &[&str], code: i32, texts: &[&str]) {
    let Output {
        status,
        stdout,
        stderr,
    } = command(args).output().unwrap();
    let shown = String::from_utf8([stdout, stderr].concat()).unwrap();
    assert_eq!(status.code(), Some(code), "{args:?}: {shown}");
    for text in texts {
        assert!(shown.contains(text), "{args:?}: {text:?} in {shown}");
    }
    assert!(!shown.contains("panicked"), "{args:?}: {shown}");
}

#[test]
fn mistakes_on_the_command_line() {
    check_end(
        &["--prometheus.ur=x"],
        2,
        &["--prometheus.ur", "--prometheus.url"],
    );
    check_end(
        &["--help"],
        0,
        &["--prometheus.url", "--tsdb.path", "--reloader.rule-dir"],
    );
    check_end(
        &["--prometheus.url=localhost"],
        1,
        &["--prometheus.url", "http://localhost:9090"],
    );
    check_end(
        &["--prometheus.http-client={bearer_tok: x}"],
        1,
        &["--prometheus.http-client", "bearer_tok"],
    );
    check_end(
        &["--prometheus.get_config_interval=0s"],
        2,
        &["--prometheus.get_config_interval", "more than 0"],
    );
    check_end(
        &["--reloader.config-envsubst-file=/x"],
        2,
        &["--reloader.config-file"],
    );
    check_end(
        &["--reloader.config-file=/nowhere/x.yml"],
        1,
        &["/nowhere/x.yml", "--reloader.config-file"],
    );
    check_end(&["--reloader.method=magic"], 2, &["--reloader.method"]);
    check_end(&["--hash-func=MD5"], 2, &["--hash-func"]);
    check_end(
        &["--tracing.config=type: JAEGER"],
        1,
        &["--tracing.config", "use OTLP"],
    );
    check_end(
        &["--http.config=/nowhere"],
        1,
        &["--http.config", "/nowhere"],
    );
    check_end(
        &["--grpc-server-tls-cert=x"],
        2,
        &["--grpc-server-tls-cert", "--grpc-server-tls-key"],
    );
}

#[test]
fn a_prometheus_without_external_labels() {
    let server = Prometheus::new().config("global: {}\n").start();
    check_end(
        &[&beside(&server)],
        1,
        &[
            "has no external labels",
            "global.external_labels",
            server.address(),
        ],
    );
}

/// A Prometheus as it is by default, and an empty bucket.
fn compacting() -> (Server, tempfile::TempDir) {
    let server = Prometheus::new().config(CONFIG).start();
    (server, tempfile::tempdir().unwrap())
}

#[test]
fn a_prometheus_that_compacts() {
    let (server, bucket) = compacting();
    let (beside, bucket) = (beside(&server), filesystem(bucket.path()));
    check_end(
        &[&beside, &bucket],
        1,
        &[
            "compacts its blocks",
            "--storage.tsdb.max-block-duration=2h",
        ],
    );
    // Without uploads it may.
    let process = start(&[&beside]);
    assert_eq!(process.terminate().0, Some(0));
}

#[test]
fn nobody_there() {
    let bucket = tempfile::tempdir().unwrap();
    check_end(
        &[
            "--prometheus.url=http://127.0.0.1:1",
            "--prometheus.ready_timeout=1s",
            &filesystem(bucket.path()),
        ],
        1,
        &[
            "http://127.0.0.1:1",
            "--prometheus.url",
            "--prometheus.ready_timeout",
        ],
    );
}

#[test]
fn a_data_folder_that_is_none_or_cannot_be_written() {
    let (folder, bucket) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = keeping(folder.path()).config(CONFIG).start();
    let (beside, bucket) = (beside(&server), filesystem(bucket.path()));
    let missing = data(&folder.path().join("missing"));
    check_end(
        &[&beside, &bucket, &missing],
        1,
        &[&missing, "is no folder"],
    );
    // No user can write below a file.
    std::fs::write(folder.path().join("data/thanos"), "").unwrap();
    let data = data(folder.path());
    check_end(
        &[&beside, &bucket, &data],
        1,
        &[&data, "run it as the user of Prometheus"],
    );
}

#[test]
fn buckets_that_cannot_be_opened() {
    let gone = tempfile::tempdir().unwrap();
    let missing = gone.path().join("missing");
    let text = missing.display().to_string();
    check_end(&[&filesystem(&missing)], 1, &["--objstore.config", &text]);
    let unknown = "--objstore.config={type: FLOPPY, config: {}}";
    check_end(&[unknown], 1, &["--objstore.config", "FLOPPY"]);
}

/// The test server of S3 takes any credentials, so this one answers as S3 does where reading is allowed,
/// and writing is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_cannot_be_written() {
    let answer = |method: Method, uri: Uri| async move {
        let empty = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult><Name>b</Name>\
                     <KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>";
        let refusal = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>AccessDenied</Code>\
                       <Message>Access Denied</Message></Error>";
        let is_listing = uri.query().is_some_and(|query| query.contains("list-type"));
        match method {
            Method::GET if is_listing => (StatusCode::OK, empty).into_response(),
            Method::GET | Method::HEAD => StatusCode::NOT_FOUND.into_response(),
            _ => (StatusCode::FORBIDDEN, refusal).into_response(),
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tasks = TaskGroup::new("s3");
    let server = axum::serve(listener, axum::Router::new().fallback(answer));
    drop(tasks.spawn("refuse", server.into_future()));
    let bucket = format!(
        "--objstore.config={{type: S3, config: {{bucket: b, endpoint: \"{address}\", insecure: true, \
         access_key: a, secret_key: b, region: r}}}}"
    );
    let folder = tempfile::tempdir().unwrap();
    add_block(folder.path(), &golden_blocks()[0]);
    let server = keeping(folder.path()).config(CONFIG).start();
    let mut process = start(&[&beside(&server), &data(folder.path()), &bucket]);
    let line = process.logged("uploading blocks failed");
    assert!(
        line.contains("allow the credentials of --objstore.config"),
        "{line}"
    );
    assert!(process.has_metric("thanos_shipper_upload_failures_total", 1));
    // What is served goes on.
    assert!(process.is_ready());
    assert_eq!(process.terminate().0, Some(0));
}
