//! Counts calls to endpoints, by the names that Thanos's dashboards and alerts use.

use futures::{StreamExt, stream};
use rutile_server::status::{code_name, grpc_code};
use rutile_storeapi::{
    Error, Result,
    grpc::{self, MessageStream},
};
use rutile_telemetry::{HistogramVec, IntCounterVec, Registry};
use tokio::time::Instant;
use tonic::Code;

/// Upper bounds of the durations, in seconds, as in Thanos.
const SECONDS: [f64; 17] = [
    0.001, 0.01, 0.1, 0.3, 0.6, 1.0, 3.0, 6.0, 9.0, 20.0, 30.0, 60.0, 90.0, 120.0, 240.0, 360.0,
    720.0,
];

/// A method of a service.
#[derive(Debug, Clone, Copy)]
pub struct Method {
    /// `unary` or `server_stream`.
    pub kind: &'static str,
    /// Such as `thanos.Store`.
    pub service: &'static str,
    /// Such as `Series`.
    pub name: &'static str,
}

/// The metrics of all calls. Clones share them.
#[derive(Debug, Clone)]
pub struct ClientMetrics {
    started: IntCounterVec,
    handled: IntCounterVec,
    seconds: HistogramVec,
}

/// A call under way. Dropped before its end, it counts as canceled.
#[derive(Debug)]
pub struct Call {
    metrics: ClientMetrics,
    method: Method,
    started: Instant,
    code: Code,
}

impl Method {
    pub(crate) const SERIES: Self = Self {
        kind: "server_stream",
        service: "thanos.Store",
        name: "Series",
    };
    pub(crate) const LABEL_NAMES: Self = Self::unary("thanos.Store", "LabelNames");
    pub(crate) const LABEL_VALUES: Self = Self::unary("thanos.Store", "LabelValues");
    pub(crate) const INFO: Self = Self::unary("thanos.info.Info", "Info");

    /// One of those beside the StoreAPI.
    pub(crate) fn of<M: grpc::Method>() -> Self {
        Self {
            kind: "server_stream",
            service: M::SERVICE,
            name: M::PATH.rsplit_once('/').map_or("", |(_, name)| name),
        }
    }

    const fn unary(service: &'static str, name: &'static str) -> Self {
        Self {
            kind: "unary",
            service,
            name,
        }
    }

    fn labels(&self) -> [&'static str; 3] {
        [self.kind, self.service, self.name]
    }
}

impl ClientMetrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        let labels = ["grpc_type", "grpc_service", "grpc_method"];
        let with_code = ["grpc_type", "grpc_service", "grpc_method", "grpc_code"];
        Self {
            started: registry.int_counter_vec(
                "grpc_client_started_total",
                "Calls that began.",
                &labels,
            ),
            handled: registry.int_counter_vec(
                "grpc_client_handled_total",
                "Calls that ended, however they did.",
                &with_code,
            ),
            seconds: registry.histogram_vec(
                "grpc_client_handling_seconds",
                "How long calls took, streams until their end.",
                &labels,
                &SECONDS,
            ),
        }
    }

    /// Begins a call.
    pub fn start(&self, method: Method) -> Call {
        self.started.with_label_values(&method.labels()).inc();
        Call {
            metrics: self.clone(),
            method,
            started: Instant::now(),
            code: Code::Cancelled,
        }
    }
}

impl Call {
    /// Ends a call that has one answer.
    pub fn end<T>(mut self, result: Result<T>) -> Result<T> {
        self.see(result.as_ref().err());
        result
    }

    /// Ends a call with the stream of its answers.
    pub(crate) fn follow<T: Send + 'static>(
        self,
        result: Result<MessageStream<T>>,
    ) -> Result<MessageStream<T>> {
        let answer = match result {
            Ok(answer) => answer,
            Err(error) => return self.end(Err(error)),
        };
        // The stream ends after its first error, and so does the call.
        let next = async |state: Option<(Self, MessageStream<T>)>| {
            let (mut call, mut answer) = state?;
            match answer.next().await {
                Some(Ok(message)) => Some((Ok(message), Some((call, answer)))),
                Some(Err(error)) => Some((call.end(Err(error)), None)),
                None => {
                    call.see(None);
                    None
                }
            }
        };
        Ok(stream::unfold(Some((self, answer)), next).boxed())
    }

    fn see(&mut self, error: Option<&Error>) {
        self.code = error.map_or(Code::Ok, |error| grpc_code(error.kind()));
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let [kind, service, name] = self.method.labels();
        let handled = &self.metrics.handled;
        handled
            .with_label_values(&[kind, service, name, code_name(self.code)])
            .inc();
        let seconds = self.started.elapsed().as_secs_f64();
        let histogram = &self.metrics.seconds;
        histogram
            .with_label_values(&self.method.labels())
            .observe(seconds);
    }
}
