//! One query through the cluster: its trace goes from the querier to the store gateway and into the bucket.
#![expect(
    clippy::unwrap_used,
    reason = "tests, and clippy takes their helpers for code"
)]

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use parking_lot::Mutex;
use prost::Message as _;
use rutile_runtime::TaskGroup;
use rutile_testkit::golden;
use rutile_testkit::process::Process;
use tokio::net::TcpListener;

/// Within the data of `raw`.
const QUERY: &str = "/api/v1/query?query=sum(http_requests_0_total)&time=1767355200";

/// Takes what is posted to it by OTLP over HTTP.
#[derive(Debug, Clone, Default)]
struct Collector {
    address: String,
    messages: Arc<Mutex<Vec<Bytes>>>,
}

impl Collector {
    async fn start(tasks: &TaskGroup) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let collector = Self {
            address: listener.local_addr().unwrap().to_string(),
            ..Self::default()
        };
        let take = |State(collector): State<Self>, message: Bytes| async move {
            collector.messages.lock().push(message);
        };
        let routes = Router::new()
            .route("/v1/traces", post(take))
            .with_state(collector.clone());
        drop(tasks.spawn("collector", async { axum::serve(listener, routes).await }));
        collector
    }
}

fn start(command: &str, collector: &Collector, args: &[String]) -> Process {
    let tracing = format!(
        "type: OTLP\nconfig: {{client_type: http, insecure: true, endpoint: \"{}\", service_name: {command}, \
         sampler_type: parentbasedneversample}}",
        collector.address
    );
    let mut process = Command::new(env!("CARGO_BIN_EXE_rutile"));
    process.args([
        command,
        "--http-address=127.0.0.1:0",
        "--grpc-address=127.0.0.1:0",
        "--tracing.config",
        &tracing,
    ]);
    process.args(args);
    Process::start(process)
}

/// The answer to the query, head and all.
fn ask(query: &Process, headers: &str) -> String {
    let mut stream = TcpStream::connect(&query.http).unwrap();
    let request = format!("GET {QUERY} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    answer
}

/// All spans that came, each with its service, by id.
fn spans(collector: &Collector) -> BTreeMap<Vec<u8>, (String, Span)> {
    let messages = collector.messages.lock().clone();
    let mut spans = BTreeMap::new();
    for message in messages {
        let request = ExportTraceServiceRequest::decode(message).unwrap();
        for of in request.resource_spans {
            let attributes = of.resource.unwrap().attributes;
            let name = attributes.iter().find(|one| one.key == "service.name");
            let value = name.unwrap().value.clone().unwrap().value;
            let Some(Value::StringValue(service)) = value else {
                panic!("{value:?}");
            };
            for span in of.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                spans.insert(span.span_id.clone(), (service.clone(), span));
            }
        }
    }
    spans
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_is_one_trace_from_the_querier_to_the_bucket() {
    let tasks = TaskGroup::new("test");
    let collector = Collector::start(&tasks).await;
    let data = tempfile::tempdir().unwrap();
    let bucket = golden().join("raw");
    let store = start(
        "store",
        &collector,
        &[
            format!(
                "--objstore.config=type: FILESYSTEM\nconfig: {{directory: {}}}",
                bucket.display()
            ),
            format!("--data-dir={}", data.path().display()),
        ],
    );
    let query = start("query", &collector, &[format!("--endpoint={}", store.grpc)]);

    // Nothing is recorded of what nobody wants recorded.
    assert!(!ask(&query, "").to_lowercase().contains("x-thanos-trace-id"));
    let answer = ask(&query, "X-Thanos-Force-Tracing: true\r\n");
    let head = answer.to_lowercase();
    let id = head.split("x-thanos-trace-id: ").nth(1).unwrap();
    let id = id.split("\r\n").next().unwrap().to_owned();
    for process in [query, store] {
        let (code, log) = process.terminate();
        assert_eq!(code, Some(0), "{log}");
    }

    let spans = spans(&collector);
    for (_, span) in spans.values() {
        let of = span.trace_id.iter().map(|byte| format!("{byte:02x}"));
        assert_eq!(of.collect::<String>(), id, "{}", span.name);
    }
    let lineage = |service: &str, name: &str| {
        let found = spans
            .values()
            .find(|(of, span)| of == service && span.name == name);
        let Some((_, span)) = found else {
            let all: Vec<_> = spans
                .values()
                .map(|(of, span)| format!("{of} {}", span.name))
                .collect();
            panic!("{service} {name} in {all:#?}");
        };
        let mut names = Vec::new();
        let mut at = spans.get(&span.parent_span_id);
        while let Some((of, span)) = at {
            names.push(format!("{of} {}", span.name));
            at = spans.get(&span.parent_span_id);
        }
        names
    };
    assert_eq!(
        lineage("store", "bucket_get_range"),
        [
            "store bucket_store_block_series",
            "store bucket_store_preload_all",
            "store /thanos.Store/Series",
            "query /thanos.Store/Series",
            "query querier_select",
            "query instant_query_exec",
            "query /query HTTP[server]",
        ]
    );
    assert_eq!(
        lineage("store", "bucket_store_merge_all").first().unwrap(),
        "store /thanos.Store/Series"
    );
    assert_eq!(
        lineage("query", "query_gate_ismyturn"),
        ["query /query HTTP[server]"]
    );
}
