use std::io::Write;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use clap::Parser;
use parking_lot::Mutex;
use rutile_runtime::{Ledger, ManualClock, TaskGroup};
use rutile_telemetry::{LogConfig, LogFormat, LogLevel};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::*;
use crate::flags::{GrpcArgs, HttpArgs};
use crate::{GrpcServer, GrpcServices, HttpServer};

const EVERYTHING: &str = "options: {level: DEBUG, decision: {log_start: true, log_end: true}}";
const NOW: &str = "2020-01-01T00:00:00Z";

#[derive(Debug, Parser)]
struct Flags {
    #[command(flatten)]
    http: HttpArgs,
    #[command(flatten)]
    grpc: GrpcArgs,
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Both servers in this process, and the lines about their requests.
struct Servers {
    http: String,
    grpc: String,
    log: Log,
    tasks: TaskGroup,
    _subscriber: tracing::subscriber::DefaultGuard,
}

impl Servers {
    async fn start(yaml: &str) -> Self {
        let log = Log::default();
        let writer = log.clone();
        let config = LogConfig {
            level: LogLevel::Debug,
            format: LogFormat::Json,
            name: String::new(),
            now_ms: Arc::new(|| 0),
        };
        let subscriber = rutile_telemetry::subscriber(&config, move || writer.clone(), None);
        let subscriber = tracing::subscriber::set_default(subscriber);
        let tasks = TaskGroup::new("test");
        let mut context = Context::new("test", Ledger::new(1 << 20), &tasks);
        context.clock = Arc::new(ManualClock::new(1_577_836_800_000));
        let addresses = [
            "test",
            "--http-address=127.0.0.1:0",
            "--grpc-address=127.0.0.1:0",
        ];
        let flags = Flags::parse_from(addresses);
        let requests = RequestLog::from_yaml(yaml).unwrap();
        let http = HttpServer::bind(&flags.http, &context).await.unwrap();
        let http = http.log_requests(&requests, &context);
        let grpc = GrpcServer::bind(&flags.grpc, &context).await.unwrap();
        let grpc = grpc.log_requests(&requests);
        let addresses = (
            http.address().unwrap().to_string(),
            grpc.address().to_string(),
        );
        let routes = Router::new()
            .route("/api/good", get(|| async { "good" }))
            .route(
                "/api/bad",
                get(|| async { ::http::StatusCode::BAD_GATEWAY }),
            )
            .route("/api/hang", get(std::future::pending::<()>));
        drop(tasks.spawn("http", http.serve(routes, context.shutdown.clone())));
        drop(tasks.spawn("grpc", grpc.serve(GrpcServices::new(), context.shutdown)));
        Self {
            http: addresses.0,
            grpc: addresses.1,
            log,
            tasks,
            _subscriber: subscriber,
        }
    }

    async fn send(&self, path: &str, headers: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.http).await.unwrap();
        let host = &self.http;
        let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
        let request = format!("{head}{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn get(&self, path: &str, headers: &str) {
        let mut answer = Vec::new();
        let mut stream = self.send(path, headers).await;
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 "));
    }

    fn health(&self) -> HealthClient<tonic::transport::Channel> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.grpc)).unwrap();
        HealthClient::new(endpoint.connect_lazy())
    }

    fn lines(&self) -> Vec<Value> {
        let log = self.log.0.lock();
        let lines = log.split_inclusive(|byte| *byte == b'\n');
        let lines = lines.map(|line| serde_json::from_slice::<Value>(line).unwrap());
        lines
            .filter(|line| line.get("protocol").is_some())
            .collect()
    }

    /// The lines, once there are so many. The end of an answer is logged a little after its last
    /// byte is there.
    async fn wait_for(&self, count: usize) -> Vec<Value> {
        let enough = async {
            while self.lines().len() < count {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(30), enough).await;
        let lines = self.lines();
        assert!(waited.is_ok() && lines.len() == count, "{lines:#?}");
        lines
    }
}

/// Asserts that the line has these fields.
#[track_caller]
fn check(line: &Value, fields: &Value) {
    for (name, value) in fields.as_object().unwrap() {
        assert_eq!(line.get(name), Some(value), "{name} in {line:#}");
    }
}

#[tokio::test]
async fn http_requests_are_logged() {
    let servers = Servers::start(EVERYTHING).await;
    let headers = "X-Request-ID: seven\r\nUser-Agent: test/1\r\nX-Forwarded-For: 10.1.2.3\r\n";
    servers.get("/api/good?a=b", headers).await;
    let lines = servers.wait_for(2).await;
    let common = json!({
        "level": "debug", "protocol": "http", "http.component": "server",
        "http.method": "GET /api/good?a=b", "http.request_id": "seven",
        "http.user_agent": "test/1", "thanos.method_name": "/api/good",
    });
    lines.iter().for_each(|line| check(line, &common));
    check(
        &lines[0],
        &json!({"msg": "started call", "http.start_time": NOW}),
    );
    let end = json!({
        "msg": "finished call", "http.status_code": "200", "http.remote_addr": "10.1.2.3",
    });
    check(&lines[1], &end);
    let milliseconds: f32 = lines[1]["http.time_ms"].as_str().unwrap().parse().unwrap();
    assert!(milliseconds > 0.0, "{milliseconds}");

    servers.get("/api/bad", "").await;
    let lines = servers.wait_for(4).await;
    check(
        &lines[3],
        &json!({"level": "error", "http.status_code": "502"}),
    );
    let id = lines[3]["http.request_id"].as_str().unwrap();
    assert_eq!((id.len(), &lines[2]["http.request_id"]), (26, &json!(id)));
    let peer = lines[3]["http.remote_addr"].as_str().unwrap();
    assert!(peer.starts_with("127.0.0.1:"), "{peer}");

    let gone = servers.send("/api/hang", "").await;
    servers.wait_for(5).await;
    drop(gone);
    let lines = servers.wait_for(6).await;
    check(
        &lines[5],
        &json!({"level": "debug", "http.status_code": "499"}),
    );
    drop(servers.tasks);
}

#[tokio::test]
async fn grpc_calls_are_logged() {
    let servers = Servers::start(EVERYTHING).await;
    let mut client = servers.health();
    let mut request = tonic::Request::new(HealthCheckRequest::default());
    request
        .metadata_mut()
        .insert("request-id", "seven".parse().unwrap());
    request.set_timeout(Duration::from_secs(60));
    client.check(request).await.unwrap();
    let lines = servers.wait_for(2).await;
    let common = json!({
        "level": "debug", "protocol": "grpc", "grpc.component": "server", "requestID": "seven",
        "grpc.service": "grpc.health.v1.Health", "grpc.method": "Check",
        "grpc.method_type": "unary", "grpc.start_time": NOW,
        "grpc.request.deadline": "2020-01-01T00:01:00Z",
    });
    for line in &lines {
        check(line, &common);
        assert!(
            line["peer.address"]
                .as_str()
                .unwrap()
                .starts_with("127.0.0.1:")
        );
        assert!(line["grpc.time_ms"].is_string());
    }
    check(&lines[0], &json!({"msg": "started call"}));
    check(
        &lines[1],
        &json!({"msg": "finished call", "grpc.code": "OK"}),
    );
    assert_eq!(lines[1].get("grpc.error"), None);

    let service = "x".to_owned();
    client
        .check(HealthCheckRequest { service })
        .await
        .unwrap_err();
    let lines = servers.wait_for(4).await;
    check(
        &lines[3],
        &json!({"level": "debug", "grpc.code": "NotFound"}),
    );
    let error = lines[3]["grpc.error"].as_str().unwrap();
    assert!(
        error.starts_with("rpc error: code = NotFound desc = "),
        "{error}"
    );
    assert_eq!(lines[3]["requestID"].as_str().map(str::len), Some(26));

    let watch = client.watch(HealthCheckRequest::default()).await.unwrap();
    servers.wait_for(5).await;
    drop(watch);
    let lines = servers.wait_for(6).await;
    let end = json!({"grpc.method_type": "server_stream", "grpc.code": "Canceled"});
    check(&lines[5], &end);
    drop(servers.tasks);
}

#[tokio::test]
async fn only_what_is_chosen_is_logged() {
    let yaml = "options: {level: DEBUG, decision: {log_end: true}}\n\
                http: {config: [{path: /api/good}]}\n\
                grpc: {config: [{service: grpc.health.v1.Health, method: Watch}]}";
    let servers = Servers::start(yaml).await;
    servers
        .health()
        .check(HealthCheckRequest::default())
        .await
        .unwrap();
    servers.get("/api/bad", "").await;
    servers.get("/api/good", "").await;
    check(
        &servers.wait_for(1).await[0],
        &json!({"thanos.method_name": "/api/good"}),
    );

    let errors = "options: {level: ERROR, decision: {log_start: true, log_end: true}}";
    let servers = Servers::start(errors).await;
    servers
        .health()
        .check(HealthCheckRequest::default())
        .await
        .unwrap();
    servers.get("/api/good", "").await;
    servers.get("/api/bad", "").await;
    let lines = servers.wait_for(1).await;
    check(
        &lines[0],
        &json!({"msg": "finished call", "http.status_code": "502"}),
    );

    let servers = Servers::start("").await;
    servers.get("/api/bad", "").await;
    servers.wait_for(0).await;
}
