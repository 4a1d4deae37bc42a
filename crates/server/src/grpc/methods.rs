//! The gRPC metrics of the reference: one set of handles for each method, found once.
//!
//! A call to a method that is not served counts nowhere: names come from the network, and each
//! would be a series for ever.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Request};
use prost::Message;
use prost_types::FileDescriptorSet;
use rutile_model::ErrorKind;
use rutile_telemetry::spans::Span;
use rutile_telemetry::{Histogram, IntCounter, Registry};
use tokio::time::Instant;
use tonic::{Code, Status};

use super::grpc_code;
use crate::failure::Failure;
use crate::request_log::{GrpcCall, GrpcLog, GrpcMethod};
use crate::spans::{grpc_ended, grpc_span};
use crate::status::code_name;

const SECONDS_BUCKETS: [f64; 14] = [
    0.001, 0.01, 0.1, 0.3, 0.6, 1.0, 3.0, 6.0, 9.0, 20.0, 30.0, 60.0, 90.0, 120.0,
];
const LABELS: [&str; 3] = ["grpc_type", "grpc_service", "grpc_method"];
/// Codes are the numbers from 0 to 16.
const CODES: i32 = 17;

/// The methods that are served, by path.
#[derive(Debug)]
pub(super) struct Methods {
    by_path: HashMap<String, Arc<Method>>,
    panics: IntCounter,
}

#[derive(Debug)]
struct Method {
    started: IntCounter,
    received: IntCounter,
    sent: IntCounter,
    seconds: Histogram,
    /// By number of the code.
    handled: Vec<IntCounter>,
    /// Its log, if its calls are logged.
    log: Option<Arc<GrpcMethod>>,
}

/// A call under way. Dropped without an end it counts as cancelled: the client went away.
#[derive(Debug)]
pub(super) struct Call {
    method: Option<Arc<Method>>,
    begun: Instant,
    logged: Option<GrpcCall>,
    span: Span,
}

impl Methods {
    /// Makes the metrics of all methods of the services in `names` that the descriptors describe.
    pub(super) fn new(
        descriptors: &[&[u8]],
        names: &[&str],
        registry: &Registry,
        log: Option<&Arc<GrpcLog>>,
    ) -> Result<Self, Failure> {
        let mut by_path = HashMap::new();
        for encoded in descriptors {
            let set = FileDescriptorSet::decode(*encoded)
                .map_err(|error| Failure::new(ErrorKind::Internal, &error))?;
            for file in &set.file {
                for service in &file.service {
                    let service_name = match file.package() {
                        "" => service.name().to_owned(),
                        package => format!("{package}.{}", service.name()),
                    };
                    if !names.contains(&service_name.as_str()) {
                        continue;
                    }
                    for method in &service.method {
                        let kind = kind(method.client_streaming(), method.server_streaming());
                        let labels = [kind, service_name.as_str(), method.name()];
                        let path = format!("/{service_name}/{}", method.name());
                        let log =
                            log.and_then(|log| log.method(kind, &service_name, method.name()));
                        by_path.insert(path, Arc::new(Method::new(&labels, registry, log)));
                    }
                }
            }
        }
        let panics = registry.int_counter(
            "grpc_req_panics_recovered_total",
            "Total number of gRPC requests recovered from internal panic.",
        );
        Ok(Self { by_path, panics })
    }

    pub(super) fn begin<B>(
        &self,
        request: &Request<B>,
        deadline: Option<Duration>,
        peer: Option<SocketAddr>,
    ) -> Call {
        let method = self.by_path.get(request.uri().path()).map(Arc::clone);
        if let Some(method) = &method {
            method.started.inc();
        }
        let log = method.as_ref().and_then(|method| method.log.as_ref());
        let logged = log.map(|log| log.begin(request.headers(), deadline, peer));
        let span = match &method {
            Some(_) => grpc_span(request.uri().path(), request.headers()),
            None => Span::none(),
        };
        Call {
            method,
            begun: Instant::now(),
            logged,
            span,
        }
    }

    pub(super) fn panics(&self) -> IntCounter {
        self.panics.clone()
    }
}

impl Method {
    fn new(labels: &[&str; 3], registry: &Registry, log: Option<Arc<GrpcMethod>>) -> Self {
        let counter = |name: &str, help: &str| {
            registry
                .int_counter_vec(name, help, &LABELS)
                .with_label_values(labels)
        };
        let [kind, service, method] = *labels;
        let handled = registry.int_counter_vec(
            "grpc_server_handled_total",
            "Total number of RPCs completed on the server, regardless of success or failure.",
            &["grpc_type", "grpc_service", "grpc_method", "grpc_code"],
        );
        let handled = (0..CODES).map(|code| {
            let code = code_name(Code::from_i32(code));
            handled.with_label_values(&[kind, service, method, code])
        });
        Self {
            started: counter(
                "grpc_server_started_total",
                "Total number of RPCs started on the server.",
            ),
            received: counter(
                "grpc_server_msg_received_total",
                "Total number of RPC stream messages received on the server.",
            ),
            sent: counter(
                "grpc_server_msg_sent_total",
                "Total number of gRPC stream messages sent by the server.",
            ),
            seconds: registry
                .histogram_vec(
                    "grpc_server_handling_seconds",
                    "Histogram of response latency (seconds) of gRPC that had been \
                     application-level handled by the server.",
                    &LABELS,
                    &SECONDS_BUCKETS,
                )
                .with_label_values(labels),
            handled: handled.collect(),
            log,
        }
    }
}

impl Call {
    /// What is done for the call is within this.
    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }

    pub(super) fn received(&self) -> Option<IntCounter> {
        self.method.as_ref().map(|method| method.received.clone())
    }

    pub(super) fn sent(&self, messages: u64) {
        if let Some(method) = &self.method {
            method.sent.inc_by(messages);
        }
    }

    /// Books the end of the call if the head or the trailers of its answer tell it.
    pub(super) fn finish_from(&mut self, headers: &HeaderMap) {
        let Some(code) = grpc_code(headers) else {
            return;
        };
        let logged = self.logged.as_ref();
        let status = logged.and_then(|_| Status::from_header_map(headers));
        self.finish(code, status.as_ref().map_or("", Status::message));
    }

    /// Books the end of the call, once.
    pub(super) fn finish(&mut self, code: Code, message: &str) {
        if let Some(logged) = self.logged.take() {
            logged.end(code, message);
        }
        let Some(method) = self.method.take() else {
            return;
        };
        grpc_ended(&std::mem::replace(&mut self.span, Span::none()), code);
        method.seconds.observe(self.begun.elapsed().as_secs_f64());
        if let Some(handled) = usize::try_from(i32::from(code))
            .ok()
            .and_then(|n| method.handled.get(n))
        {
            handled.inc();
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.finish(Code::Cancelled, "the client went away");
    }
}

fn kind(client_streaming: bool, server_streaming: bool) -> &'static str {
    match (client_streaming, server_streaming) {
        (false, false) => "unary",
        (true, false) => "client_stream",
        (false, true) => "server_stream",
        (true, true) => "bidi_stream",
    }
}
