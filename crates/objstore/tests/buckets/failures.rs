//! What the operator reads when a store cannot be used, and what becomes of each answer.

use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use futures::StreamExt as _;
use rutile_model::ErrorKind;
use rutile_objstore::{Depth, Error, PutMode, check_reachable, create, open, open_reader};
use rutile_testkit::servers;
use tokio::net::TcpListener;

use crate::cloud::context;

/// A server that gives one answer to everything.
async fn answering(status: StatusCode, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let router = Router::new().fallback(move || async move { (status, body) });
    #[expect(
        clippy::disallowed_methods,
        reason = "a server of the test alone, ends with it"
    )]
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

fn s3(address: &str, more: &str) -> String {
    format!(
        "type: S3\nconfig: {{bucket: blocks, endpoint: '{address}', insecure: true, \
         access_key: me, secret_key: secret, max_retries: 1{more}}}"
    )
}

#[track_caller]
fn expect(error: &Error, kind: ErrorKind, parts: &[&str]) {
    assert_eq!(error.kind(), kind, "{error}");
    for part in parts {
        assert!(
            error.to_string().contains(part),
            "{part:?} is not in: {error}"
        );
    }
}

#[tokio::test]
async fn answers_have_kinds_and_say_what_to_change() {
    let denied = ["denies access: check access_key/secret_key of objstore.config"];
    let cases: [(u16, &str, ErrorKind, &[&str]); 8] = [
        (
            403,
            "<Code>InvalidAccessKeyId</Code>",
            ErrorKind::Denied,
            &denied,
        ),
        (401, "", ErrorKind::Denied, &denied),
        (
            400,
            "<Code>AuthorizationHeaderMalformed</Code>",
            ErrorKind::Invalid,
            &["refuses"],
        ),
        (
            404,
            "<Code>NoSuchKey</Code>",
            ErrorKind::NotFound,
            &["\"some/key\" in bucket \"blocks\""],
        ),
        (
            404,
            "<Code>NoSuchBucket</Code>",
            ErrorKind::Invalid,
            &["\"blocks\" does not exist", "`bucket`"],
        ),
        (416, "", ErrorKind::Invalid, &["past the end"]),
        (
            503,
            "<Code>SlowDown</Code>",
            ErrorKind::Unavailable,
            &["127.0.0.1", "SlowDown"],
        ),
        (429, "", ErrorKind::Unavailable, &["429"]),
    ];
    for (status, body, kind, parts) in cases {
        let address = answering(StatusCode::from_u16(status).unwrap(), body).await;
        let bucket = open(&s3(&address, ""), &context()).unwrap();
        let error = bucket.get("some/key", 10).await.unwrap_err();
        expect(&error, kind, parts);
        if kind != ErrorKind::Unavailable {
            let error = bucket.get_range("some/key", 5..6).await.unwrap_err();
            expect(&error, kind, parts);
        }
        let secrets = format!("{error} {error:?}");
        assert!(!secrets.contains("secret\""), "{secrets}");
    }
}

#[tokio::test]
async fn an_unreachable_store_is_named() {
    // Bound and dropped, so that nobody listens there.
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let bucket = open_reader(&s3(&free.to_string(), ""), &context()).unwrap();
    let error = check_reachable(&*bucket).await.unwrap_err();
    expect(
        &error,
        ErrorKind::Unavailable,
        &["cannot reach http://127.0.0.1", "refused"],
    );
}

#[tokio::test]
async fn a_store_that_never_answers_ends_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let more = ", http_config: {response_header_timeout: 100ms}";
    let bucket = open_reader(&s3(&address, more), &context()).unwrap();
    let answered = tokio::time::timeout(Duration::from_secs(60), bucket.get("key", 1)).await;
    expect(
        &answered.unwrap().unwrap_err(),
        ErrorKind::Unavailable,
        &["cannot reach", "in time"],
    );
}

#[tokio::test]
async fn a_missing_bucket_is_named() {
    let server = servers::s3();
    let config = server
        .objstore_config()
        .replace("bucket: rutile", "bucket: nowhere");
    let bucket = open_reader(&config, &context()).unwrap();
    let error = check_reachable(&*bucket).await.unwrap_err();
    expect(
        &error,
        ErrorKind::Invalid,
        &["the bucket \"nowhere\" does not exist", "create it"],
    );
}

#[tokio::test]
async fn azure_names_a_missing_container_and_wrong_keys() {
    let server = servers::azure();
    let config = server.objstore_config();
    let missing = config.replace("container: rutile", "container: nowhere");
    let bucket = open(&missing, &context()).unwrap();
    let error = check_reachable(&*bucket).await.unwrap_err();
    expect(
        &error,
        ErrorKind::Invalid,
        &["\"nowhere\" does not exist", "`container`"],
    );
    let error = bucket
        .put("key", "x".into(), PutMode::Overwrite)
        .await
        .unwrap_err();
    expect(&error, ErrorKind::Invalid, &["\"nowhere\" does not exist"]);

    let wrong = config.replace("AccountKey=Eby8", "AccountKey=AAAA");
    let bucket = open(&wrong, &context()).unwrap();
    let error = check_reachable(&*bucket).await.unwrap_err();
    expect(
        &error,
        ErrorKind::Denied,
        &["check storage_account/storage_account_key"],
    );
    assert!(
        !format!("{error} {error:?}").contains("AAAAvdM"),
        "the key is printed"
    );
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_named_and_made_by_who_begins_a_bucket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bucket");
    let config = format!("type: FILESYSTEM\nconfig:\n  directory: {}", path.display());
    let reader = open_reader(&config, &context()).unwrap();
    let writer = open(&config, &context()).unwrap();
    for error in [
        check_reachable(&*reader).await.unwrap_err(),
        check_reachable(&*writer).await.unwrap_err(),
    ] {
        expect(
            &error,
            ErrorKind::Invalid,
            &["does not exist: create it, or correct `directory`"],
        );
    }
    create(&config, &context()).unwrap();
    check_reachable(&*reader).await.unwrap();
    assert_eq!(reader.name(), format!("fs: {}", path.display()));
    assert!(reader.list("", Depth::Recursive).next().await.is_none());
}
