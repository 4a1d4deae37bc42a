use std::io::Read;

use axum::extract::Request;
use flate2::read::GzDecoder;
use http_body_util::BodyExt;
use rutile_runtime::{Ledger, TaskGroup};
use tower::ServiceExt;

use super::*;

async fn get_with(routes: &Router, path: &str, headers: &[(&str, &str)]) -> (StatusCode, Vec<u8>) {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = routes
        .clone()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let status = response.status();
    (
        status,
        response
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
            .to_vec(),
    )
}

async fn check(routes: &Router, path: &str, status: u16, text: &str) {
    let (got, body) = get_with(routes, path, &[]).await;
    let body = String::from_utf8_lossy(&body);
    assert_eq!(got.as_u16(), status, "{path}: {body}");
    assert!(body.contains(text), "{path}: {body}");
}

#[tokio::test]
async fn probes_answer_as_the_reference_does() {
    let tasks = TaskGroup::new("test");
    let context = Context::new("store", Ledger::new(1 << 20), &tasks);
    let routes = common_routes(&context);
    check(&routes, "/-/healthy", 503, "NOT OK\n").await;
    check(&routes, "/-/ready", 503, "NOT OK\n").await;
    check(
        &routes,
        "/metrics",
        200,
        "thanos_status{check=\"ready\",component=\"store\"} 0",
    )
    .await;
    context.probe.set_healthy();
    context.probe.set_ready();
    assert_eq!(
        get_with(&routes, "/-/ready", &[]).await,
        (StatusCode::OK, b"OK".to_vec())
    );
    check(&routes, "/-/healthy", 200, "OK").await;
    check(
        &routes,
        "/metrics",
        200,
        "thanos_status{check=\"ready\",component=\"store\"} 1",
    )
    .await;
    context.probe.set_not_ready("test");
    check(&routes, "/-/ready", 503, "NOT OK\n").await;
    check(&routes, "/-/healthy", 200, "OK").await;
}

#[tokio::test]
async fn metrics_are_compressed_when_asked() {
    let tasks = TaskGroup::new("test");
    let context = Context::new("store", Ledger::new(1 << 20), &tasks);
    let routes = common_routes(&context);
    let accept = [("accept-encoding", "br, gzip;q=0.8")];
    let (status, body) = get_with(&routes, "/metrics", &accept).await;
    let mut text = String::new();
    GzDecoder::new(body.as_slice())
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(status, StatusCode::OK);
    assert!(
        text.contains("rutile_memory_limit_bytes 1048576\n"),
        "{text}"
    );
}

#[tokio::test]
async fn profiles_that_are_missing_say_so() {
    let tasks = TaskGroup::new("test");
    let routes = profile::routes(&Context::new("store", Ledger::new(1 << 20), &tasks));
    check(&routes, "/debug/pprof/", 200, "heap").await;
    check(&routes, "/debug/pprof/goroutine", 501, "not supported").await;
    for seconds in ["0", "301", "-1", "1.5", "x", ""] {
        let path = format!("/debug/pprof/profile?seconds={seconds}");
        check(&routes, &path, 400, "from 1 to 300").await;
    }
    check(&routes, "/debug/fgprof", 501, "not supported").await;
    check(&routes, "/debug/pprof/nonsense", 404, "unknown").await;
}

#[tokio::test]
async fn requests_are_counted_by_handler() {
    let registry = Registry::new();
    let metrics = HttpMetrics::new(&registry);
    let routes = Router::new().route("/api/{name}", get(|| async { "12345" }));
    let routes = metrics.instrument("api", routes);
    check(&routes, "/api/x", 200, "12345").await;
    let text = registry.render();
    for line in [
        "http_requests_total{code=\"200\",handler=\"api\",method=\"get\"} 1\n",
        "http_request_duration_seconds_count{code=\"200\",handler=\"api\",method=\"get\"} 1\n",
        "http_response_size_bytes_sum{code=\"200\",handler=\"api\",method=\"get\"} 5\n",
        "http_inflight_requests{handler=\"api\",method=\"GET\"} 0\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[tokio::test]
async fn requests_are_counted_by_tenant_where_there_are_tenants() {
    let registry = Registry::new();
    let metrics = HttpMetrics::by_tenant(&registry, "X-Tenant", "nobody");
    let routes = Router::new().route("/api", get(|| async { "12345" }));
    let routes = metrics.instrument("api", routes);
    check(&routes, "/api", 200, "12345").await;
    get_with(&routes, "/api", &[("x-tenant", "a")]).await;
    let text = registry.render();
    for tenant in ["nobody", "a"] {
        let line = format!(
            "http_requests_total{{code=\"200\",handler=\"api\",method=\"get\",tenant=\"{tenant}\"}} 1\n"
        );
        assert!(text.contains(&line), "{line} in {text}");
    }
}
