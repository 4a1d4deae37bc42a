//! The spans of requests that come in.

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use rutile_telemetry::root_span;
use rutile_telemetry::spans::{Span, continue_trace, trace_id};
use tonic::Code;
use tracing::field::Empty;

/// A client sets it to have its request recorded, whatever the sampler says.
const FORCE: &str = "x-thanos-force-tracing";
/// The name of the trace, for the client.
const TRACE_ID: HeaderName = HeaderName::from_static("x-thanos-trace-id");
/// Services that are called all the time, and tell nothing of a query: recorded only where the caller has a trace.
const UNASKED: [&str; 3] = ["/grpc.health.", "/grpc.reflection.", "/thanos.info."];
const TRACE_PARENT: &str = "traceparent";

/// The span of an HTTP request to `handler`, as in the reference (`pkg/tracing/http.go`).
pub(crate) fn http_span<B>(handler: &str, request: &Request<B>) -> Span {
    let headers = request.headers();
    let forced = headers.get(FORCE).filter(|value| !value.is_empty());
    let span = root_span!(
        "request",
        otel.name = format_args!("/{handler} HTTP[server]"),
        otel.kind = "server",
        otel.status_code = Empty,
        http.method = request.method().as_str(),
        http.url = %request.uri(),
        http.status_code = Empty,
        thanos.force_tracing = forced.map(|_| true),
    );
    continue_trace(&span, headers);
    span
}

/// The span of a gRPC call; `path` is that of the method.
pub(crate) fn grpc_span(path: &str, headers: &HeaderMap) -> Span {
    let unasked = UNASKED.iter().any(|service| path.starts_with(service));
    if unasked && !headers.contains_key(TRACE_PARENT) {
        return Span::none();
    }
    let span = root_span!(
        "call",
        otel.name = path,
        otel.kind = "server",
        otel.status_code = Empty,
        rpc.system = "grpc",
        rpc.grpc.status_code = Empty,
    );
    continue_trace(&span, headers);
    span
}

/// Notes how an HTTP request ended, and names its trace to the client.
pub(crate) fn http_answered<B>(span: &Span, response: &mut Response<B>) {
    if span.is_disabled() {
        return;
    }
    span.record("http.status_code", response.status().as_u16());
    if response.status().is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    if let Some(id) = trace_id(span)
        && let Ok(value) = HeaderValue::try_from(id)
    {
        response.headers_mut().insert(TRACE_ID, value);
    }
}

/// Notes how a gRPC call ended.
pub(crate) fn grpc_ended(span: &Span, code: Code) {
    span.record("rpc.grpc.status_code", i32::from(code));
    if !matches!(code, Code::Ok | Code::Cancelled) {
        span.record("otel.status_code", "ERROR");
    }
}
