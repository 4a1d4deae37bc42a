use axum::Router;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::IntoResponse;
use axum::routing::{any, get};

use super::*;

/// A server with these routes, and a client of it below `/prefix/`.
#[expect(
    clippy::disallowed_methods,
    reason = "the server of a test ends with its runtime"
)]
async fn served(routes: Router, config: &str) -> Client {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/prefix/", listener.local_addr().unwrap());
    drop(tokio::spawn(axum::serve(listener, routes).into_future()));
    Client::new(&base, &HttpConfig::parse(config).unwrap(), "test").unwrap()
}

#[test]
fn addresses_that_are_none() {
    for base in ["localhost:9090", "prometheus", "ftp://x", "http://"] {
        let error = Client::new(base, &HttpConfig::default(), "test").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(
            error.to_string().contains("http://localhost:9090"),
            "{error}"
        );
    }
    let client = Client::new("http://u:p@h:1/a?b=c", &HttpConfig::default(), "test").unwrap();
    assert_eq!(client.address(), "http://u@h:1/a");
    let url = client.url(&["api", "v1", "label", "x/y", "values"]);
    assert_eq!(url.path(), "/a/api/v1/label/x%2Fy/values");
}

#[tokio::test]
async fn refusals_say_where_and_what() {
    let routes = Router::new()
        .route(
            "/prefix/-/ready",
            get(|| async { (StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable") }),
        )
        .route(
            "/prefix/api/v1/series",
            get(|| async {
                let json = r#"{"status":"error","errorType":"bad_data","error":"no match[]"}"#;
                (StatusCode::BAD_REQUEST, json)
            }),
        )
        .route("/prefix/api/v1/labels", get(|| async { "<html>" }))
        .route("/prefix/-/reload", any(|| async { StatusCode::FORBIDDEN }));
    let client = served(routes, "").await;
    let check = |error: Error, kind: ErrorKind, texts: &[&str]| {
        assert_eq!(error.kind(), kind, "{error}");
        for text in texts {
            assert!(error.to_string().contains(text), "{text:?} in {error}");
        }
    };
    let error = client.ready().await.unwrap_err();
    check(
        error,
        ErrorKind::Unavailable,
        &["/prefix/-/ready answered 503"],
    );
    let error = client.series(&Default::default()).await.unwrap_err();
    check(
        error,
        ErrorKind::Invalid,
        &["/prefix/api/v1/series answered 400", ": no match[]"],
    );
    let error = client.label_names(&Default::default()).await.unwrap_err();
    check(
        error,
        ErrorKind::Corrupt,
        &["/prefix/api/v1/labels: not an answer"],
    );
    let error = client.healthy().await.unwrap_err();
    check(
        error,
        ErrorKind::NotFound,
        &["/prefix/-/healthy answered 404", "path prefix"],
    );
    let error = client.reload().await.unwrap_err();
    check(error, ErrorKind::Denied, &["--web.enable-lifecycle"]);
    assert_eq!(client.flags().await.unwrap(), None, "an old server");
    assert_eq!(client.version().await.unwrap(), None, "an old server");
}

#[tokio::test]
async fn nobody_there() {
    let client = Client::new("http://127.0.0.1:1", &HttpConfig::default(), "test").unwrap();
    let error = client.ready().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let text = error.to_string();
    assert!(
        text.starts_with("cannot reach http://127.0.0.1:1/-/ready: "),
        "{text}"
    );
}

#[tokio::test]
async fn answers_have_a_bound() {
    let endless = || async {
        let pieces = futures::stream::repeat_with(|| {
            Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 1 << 16]))
        });
        axum::body::Body::from_stream(pieces)
    };
    let client = served(Router::new().route("/prefix/-/ready", get(endless)), "").await;
    let url = client.url(&["-", "ready"]);
    let response = send(client.request(Method::GET, &url).await.unwrap(), &url).await;
    let error = whole(response.unwrap(), &url, 1 << 20).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exhausted);
    assert!(
        error.to_string().contains("longer than 1048576 bytes"),
        "{error}"
    );
}

#[tokio::test]
async fn answers_carry_data_and_warnings() {
    let series = |uri: Uri| async move {
        assert_eq!(
            uri.query(),
            Some("match%5B%5D=%7Ba%3D%22b%22%7D&start=1&end=2.500")
        );
        r#"{"status":"success","data":[{"a":"b","__name__":"x"}],"warnings":["careful"]}"#
    };
    let nothing = || async { StatusCode::NO_CONTENT.into_response() };
    let routes = Router::new()
        .route("/prefix/api/v1/series", get(series))
        .route("/prefix/api/v1/labels", get(nothing))
        .route(
            "/prefix/api/v1/status/config",
            get(|| async {
                r#"{"status":"success","data":{"yaml":"global:\n  scrape_interval: 1m\n  external_labels:\n    cluster: eu1\n    replica: \"0\"\nscrape_configs: []\n"}}"#
            }),
        )
        .route(
            "/prefix/api/v1/status/flags",
            get(|| async {
                r#"{"status":"success","data":{"web.enable-lifecycle":"false","storage.tsdb.min-block-duration":"2h","storage.tsdb.max-block-duration":"1d12h","storage.tsdb.delay-compact-file.path":""}}"#
            }),
        );
    let client = served(routes, "").await;
    let selection = crate::Selection {
        matchers: vec![rutile_model::Matcher::equal("a", "b")],
        min_time: 1_000,
        max_time: 2_500,
    };
    let answer = client.series(&selection).await.unwrap();
    assert_eq!(
        answer.data,
        [rutile_model::Labels::from([("__name__", "x"), ("a", "b")])]
    );
    assert_eq!(answer.warnings, ["careful"]);
    assert!(
        client
            .label_names(&selection)
            .await
            .unwrap()
            .data
            .is_empty()
    );
    let labels = client.external_labels().await.unwrap();
    assert_eq!(labels.to_string(), r#"{cluster="eu1", replica="0"}"#);
    let flags = client.flags().await.unwrap().unwrap();
    assert_eq!(flags.min_block_duration.unwrap().to_string(), "2h");
    assert_eq!(flags.max_block_duration.unwrap().to_string(), "1d12h");
    assert_eq!(flags.delay_compact_file, None);
}

#[tokio::test]
async fn credentials_go_with_every_request() {
    let told = |headers: HeaderMap| async move {
        let value = headers
            .get("authorization")
            .and_then(|value| value.to_str().ok());
        assert_eq!(value, Some("Bearer secret"));
        "ok"
    };
    let routes = Router::new().route("/prefix/-/ready", get(told));
    served(routes, "bearer_token: secret")
        .await
        .ready()
        .await
        .unwrap();
}
