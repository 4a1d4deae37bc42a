//! Spans on their way to a collector in this process: gRPC and HTTP, with TLS and without, away and slow.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use opentelemetry::KeyValue;
use opentelemetry::trace::{Tracer as _, TracerProvider as _};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use parking_lot::Mutex;
use prost::Message as _;
use rutile_testkit::certificates::Authority;
use tokio::net::TcpListener;
use tonic::codec::CompressionEncoding;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Server, ServerTlsConfig};

use super::*;
use crate::config_flag::PathOrContent;

/// What a collector was sent: names of services and spans, and the header `x-scope`.
#[derive(Debug, Clone, Default)]
struct Collected {
    rows: Arc<Mutex<Vec<(String, String, String)>>>,
    /// Messages that it has no time for, of those of gRPC.
    busy: Arc<AtomicUsize>,
}

impl Collected {
    fn take(&self, request: ExportTraceServiceRequest, scope: &str) {
        for of in request.resource_spans {
            let attributes = of.resource.unwrap_or_default().attributes;
            let service = attributes.iter().find(|a| a.key == "service.name");
            let service = format!("{:?}", service.unwrap().value);
            let spans = of.scope_spans.into_iter().flat_map(|scope| scope.spans);
            let rows = spans.map(|span| (service.clone(), span.name, scope.to_owned()));
            self.rows.lock().extend(rows);
        }
    }

    fn check(&self, names: &[&str]) {
        let rows = self.rows.lock().clone();
        let found: Vec<&str> = rows.iter().map(|row| row.1.as_str()).collect();
        assert_eq!(found, names);
        for (service, _, scope) in &rows {
            assert!(service.contains("rutile-test"), "{service}");
            assert_eq!(scope, "me");
        }
    }
}

#[tonic::async_trait]
impl TraceService for Collected {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        let is_busy = |left: usize| left.checked_sub(1);
        if self.busy.fetch_update(Relaxed, Relaxed, is_busy).is_ok() {
            return Err(tonic::Status::unavailable("come again"));
        }
        let scope = request.metadata().get("x-scope").unwrap().to_str().unwrap();
        let scope = scope.to_owned();
        self.take(request.into_inner(), &scope);
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

/// A collector of gRPC; its address.
async fn grpc(collected: &Collected, tls: Option<ServerTlsConfig>, tasks: &TaskGroup) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let service = TraceServiceServer::new(collected.clone());
    let service = service.accept_compressed(CompressionEncoding::Gzip);
    let mut server = Server::builder();
    if let Some(tls) = tls {
        server = server.tls_config(tls).unwrap();
    }
    let serving = server.add_service(service);
    let serving = serving.serve_with_incoming(TcpIncoming::from(listener));
    drop(tasks.spawn("collector", serving));
    address
}

/// A collector of HTTP at `/otlp`; its address.
async fn http(collected: &Collected, tasks: &TaskGroup) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let take = |State(collected): State<Collected>, headers: HeaderMap, body: bytes::Bytes| async move {
        assert_eq!(headers["content-type"], "application/x-protobuf");
        let scope = headers["x-scope"].to_str().unwrap();
        collected.take(ExportTraceServiceRequest::decode(body).unwrap(), scope);
    };
    let routes = Router::new()
        .route("/otlp", post(take))
        .with_state(collected.clone());
    drop(tasks.spawn("collector", async { axum::serve(listener, routes).await }));
    address
}

fn traces(config: &str) -> Traces {
    traces_of(&format!("headers: {{x-scope: me}}, {config}"))
}

fn traces_of(config: &str) -> Traces {
    let flag = PathOrContent::from_content(format!("type: OTLP\nconfig: {{{config}}}"));
    flag.traces("rutile-test").unwrap().unwrap()
}

/// Sends spans of these names and ends; what became of them: taken, lost, and batches that failed.
async fn send(config: &str, names: &[&'static str]) -> [u64; 3] {
    let traces = traces(config);
    let tracer = traces.provider.tracer("test");
    let metrics = SpanMetrics::new(&Registry::new());
    let exporting = traces.export(metrics.clone()).await.unwrap();
    for name in names {
        drop(tracer.start(*name));
    }
    exporting.finish().await;
    [metrics.exported, metrics.lost, metrics.failures].map(|counter| counter.get())
}

#[tokio::test]
async fn spans_are_sent_by_grpc() {
    let (collected, tasks) = (Collected::default(), TaskGroup::new("test"));
    let address = grpc(&collected, None, &tasks).await;
    let config = format!("client_type: grpc, insecure: true, endpoint: \"{address}\"");
    assert_eq!(send(&config, &["a", "b"]).await, [2, 0, 0]);
    let zipped = format!("{config}, compression: gzip");
    assert_eq!(send(&zipped, &["c"]).await, [1, 0, 0]);
    collected.check(&["a", "b", "c"]);
    let never = format!("{config}, sampler_type: neversample");
    assert_eq!(send(&never, &["d"]).await, [0, 0, 0]);
}

/// Later than the time of one try.
#[tokio::test]
async fn a_collector_that_is_busy_is_asked_again() {
    let (collected, tasks) = (Collected::default(), TaskGroup::new("test"));
    collected.busy.store(1, Relaxed);
    let address = grpc(&collected, None, &tasks).await;
    let config = format!(
        "client_type: grpc, insecure: true, endpoint: \"{address}\", timeout: 1s, \
         retry_config: {{retry_initial_interval: 1500ms}}"
    );
    assert_eq!(send(&config, &["a"]).await, [1, 0, 0]);
    collected.check(&["a"]);
}

#[tokio::test]
async fn long_texts_are_cut() {
    let traces = traces("client_type: grpc");
    let mut waiting = traces.waiting.spans;
    let tracer = traces.provider.tracer("test");
    let query = "ä".repeat(5000);
    let builder = tracer
        .span_builder("a")
        .with_attributes([KeyValue::new("query", query)]);
    drop(builder.start(&tracer));
    let span = waiting.recv().await.unwrap();
    let text = span.attributes[0].value.to_string();
    assert!(text.starts_with("ääää") && text.ends_with('…') && text.len() == 4096 + 3);
}

#[tokio::test]
async fn spans_are_sent_by_http() {
    let (collected, tasks) = (Collected::default(), TaskGroup::new("test"));
    let address = http(&collected, &tasks).await;
    let config =
        format!("client_type: http, insecure: true, endpoint: \"{address}\", url_path: /otlp");
    assert_eq!(send(&config, &["a", "b"]).await, [2, 0, 0]);
    collected.check(&["a", "b"]);
}

#[tokio::test]
async fn certificates_of_both_sides_are_asked_for() {
    let authority = Authority::new();
    let server = authority.issue("server", "DNS:localhost");
    let client = authority.issue("client", "DNS:client");
    let text = |path: &Path| std::fs::read(path).unwrap();
    let identity = Identity::from_pem(text(&server.certificate), text(&server.key));
    let tls = ServerTlsConfig::new()
        .identity(identity)
        .client_ca_root(Certificate::from_pem(text(&authority.certificate())));
    let (collected, tasks) = (Collected::default(), TaskGroup::new("test"));
    let address = grpc(&collected, Some(tls), &tasks).await;
    let config = format!(
        "client_type: grpc, endpoint: \"{}\", retry_config: {{retry_enabled: false}}, timeout: 5s",
        address.replace("127.0.0.1", "localhost")
    );
    let trusting = format!("ca_file: {}", authority.certificate().display());
    let shown = format!(
        "cert_file: {}, key_file: {}",
        client.certificate.display(),
        client.key.display()
    );
    let known = format!("{config}, tls_config: {{{trusting}, {shown}}}");
    assert_eq!(send(&known, &["a"]).await, [1, 0, 0]);
    let unknown = format!("{config}, tls_config: {{{trusting}}}");
    assert_eq!(send(&unknown, &["b"]).await, [0, 1, 1]);
    collected.check(&["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_collector_that_is_away_costs_spans_and_nothing_else() {
    // Nobody listens: the port was free a moment ago.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let config = format!("client_type: grpc, insecure: true, endpoint: \"{address}\"");
    let traces = traces(&config);
    let tracer = traces.provider.tracer("test");
    let metrics = SpanMetrics::new(&Registry::new());
    for _ in 0..3000 {
        drop(tracer.start("a"));
    }
    let exporting = traces.export(metrics.clone()).await.unwrap();
    // All tries of what is in the queue are over by then: four batches, each a minute and some seconds.
    tokio::time::sleep(Duration::from_secs(300)).await;
    exporting.finish().await;
    assert_eq!(metrics.lost.get(), 3000);
    assert_eq!((metrics.exported.get(), metrics.failures.get()), (0, 4));
}

#[tokio::test]
async fn what_cannot_be_used_is_named() {
    let failed = async |config: &str| {
        let metrics = SpanMetrics::new(&Registry::new());
        traces_of(config)
            .export(metrics)
            .await
            .unwrap_err()
            .to_string()
    };
    let error = failed("client_type: grpc, tls_config: {ca_file: /nowhere/ca.pem}").await;
    for text in [
        "--tracing.config",
        "config.tls_config.ca_file",
        "/nowhere/ca.pem",
    ] {
        assert!(error.contains(text), "{text:?} in {error}");
    }
    let error = failed("client_type: http, insecure: true, headers: {\"a b\": c}").await;
    assert!(error.contains("config.headers.a b"), "{error}");
}
