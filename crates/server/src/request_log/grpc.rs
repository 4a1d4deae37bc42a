//! gRPC calls in the log.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use rutile_model::time::format_rfc3339;
use tokio::time::Instant;
use tonic::Code;

use super::{Level, Method, RequestLog, Rule, Source, log_end, milliseconds};
use crate::component::Context;
use crate::status::code_name;

/// The metadata key by which the reference's clients hand on the name of a request.
const REQUEST_ID: &str = "request-id";

/// What a gRPC server logs of its calls.
#[derive(Debug)]
pub(crate) struct GrpcLog {
    rule: Rule<Method>,
    source: Source,
}

/// A method that is logged.
#[derive(Debug)]
pub(crate) struct GrpcMethod {
    log: Arc<GrpcLog>,
    /// `unary`, `server_stream` and so on.
    kind: &'static str,
    service: String,
    method: String,
}

/// A call under way.
#[derive(Debug)]
pub(crate) struct GrpcCall {
    of: Arc<GrpcMethod>,
    request_id: String,
    peer: String,
    start_time: String,
    deadline: Option<String>,
    begun: Instant,
}

impl GrpcLog {
    /// `None` if nothing is to be logged.
    pub(crate) fn new(log: RequestLog, context: &Context) -> Option<Arc<Self>> {
        let (rule, source) = (log.grpc, Source::new(context));
        rule.is_on().then(|| Arc::new(Self { rule, source }))
    }

    /// `None` if this method is not to be logged.
    pub(crate) fn method(
        self: &Arc<Self>,
        kind: &'static str,
        service: &str,
        method: &str,
    ) -> Option<Arc<GrpcMethod>> {
        let is_it = |only: &Method| only.service == service && only.method == method;
        self.rule.holds_for(is_it).then(|| {
            Arc::new(GrpcMethod {
                log: Arc::clone(self),
                kind,
                service: service.to_owned(),
                method: method.to_owned(),
            })
        })
    }
}

impl GrpcMethod {
    /// Logs the beginning, if that is to be logged.
    pub(crate) fn begin(
        self: &Arc<Self>,
        headers: &HeaderMap,
        deadline: Option<Duration>,
        peer: Option<SocketAddr>,
    ) -> GrpcCall {
        let source = &self.log.source;
        let now_ms = source.clock.now_ms();
        let at = |after: Duration| {
            let after_ms = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
            format_rfc3339(now_ms.saturating_add(after_ms))
        };
        let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
        let call = GrpcCall {
            of: Arc::clone(self),
            request_id: given.map_or_else(|| source.request_id(), str::to_owned),
            peer: peer.map(|peer| peer.to_string()).unwrap_or_default(),
            start_time: at(Duration::ZERO),
            deadline: deadline.map(at),
            begun: Instant::now(),
        };
        if self.log.rule.logs_start() {
            tracing::debug!(
                requestID = call.request_id,
                protocol = "grpc",
                grpc.component = "server",
                grpc.service = self.service,
                grpc.method = self.method,
                grpc.method_type = self.kind,
                peer.address = call.peer,
                grpc.start_time = call.start_time,
                grpc.request.deadline = call.deadline,
                grpc.time_ms = %milliseconds(call.begun.elapsed()),
                "started call"
            );
        }
        call
    }
}

impl GrpcCall {
    /// Logs the end. `message` says what was wrong, if anything was.
    pub(crate) fn end(self, code: Code, message: &str) {
        let is_error = matches!(
            code,
            Code::Unknown | Code::Unimplemented | Code::Internal | Code::DataLoss
        );
        if !is_error && self.of.log.rule.level > Level::Debug {
            return;
        }
        let name = code_name(code);
        let error =
            (code != Code::Ok).then(|| format!("rpc error: code = {name} desc = {message}"));
        log_end!(
            is_error,
            requestID = self.request_id,
            protocol = "grpc",
            grpc.component = "server",
            grpc.service = self.of.service,
            grpc.method = self.of.method,
            grpc.method_type = self.of.kind,
            peer.address = self.peer,
            grpc.start_time = self.start_time,
            grpc.request.deadline = self.deadline,
            grpc.code = name,
            grpc.error = error,
            grpc.time_ms = %milliseconds(self.begun.elapsed()),
            "finished call"
        );
    }
}
