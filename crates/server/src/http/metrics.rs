//! The HTTP metrics of the reference, for the routes of a component.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use rutile_telemetry::spans::{Instrument as _, Span};
use rutile_telemetry::{
    Histogram, HistogramVec, IntCounterVec, IntGaugeVec, Registry, exponential_buckets,
};
use tokio::time::Instant;

use crate::spans::{http_answered, http_span};

const LABELS: [&str; 3] = ["code", "handler", "method"];
const IN_FLIGHT_LABELS: [&str; 2] = ["handler", "method"];
const TENANT: &str = "tenant";
const DURATION_BUCKETS: [f64; 17] = [
    0.001, 0.01, 0.1, 0.3, 0.6, 1.0, 3.0, 6.0, 9.0, 20.0, 30.0, 60.0, 90.0, 120.0, 240.0, 360.0,
    720.0,
];

/// `http_requests_total` and its kin. Clones share the metrics.
#[derive(Debug, Clone)]
pub struct HttpMetrics {
    tenants: Option<Tenants>,
    requests: IntCounterVec,
    seconds: HistogramVec,
    request_bytes: HistogramVec,
    response_bytes: HistogramVec,
    in_flight: IntGaugeVec,
}

/// Whose request it is, for the label `tenant`.
#[derive(Debug, Clone)]
struct Tenants {
    header: String,
    default: String,
}

impl Tenants {
    fn of(&self, request: &Request) -> String {
        let named = request.headers().get(self.header.as_str());
        let named = named.and_then(|value| value.to_str().ok());
        named.unwrap_or(&self.default).to_owned()
    }
}

impl HttpMetrics {
    /// The metrics in `registry`.
    #[must_use]
    pub fn new(registry: &Registry) -> Self {
        Self::with_labels(registry, None)
    }

    /// The same with a label `tenant`: the value of the request's `header`, or else `default`.
    #[must_use]
    pub fn by_tenant(registry: &Registry, header: &str, default: &str) -> Self {
        let tenants = Tenants {
            header: header.to_owned(),
            default: default.to_owned(),
        };
        Self::with_labels(registry, Some(tenants))
    }

    fn with_labels(registry: &Registry, tenants: Option<Tenants>) -> Self {
        let tenant = tenants.as_ref().map(|_| TENANT);
        let labels: Vec<&str> = LABELS.into_iter().chain(tenant).collect();
        let in_flight_labels: Vec<&str> = IN_FLIGHT_LABELS.into_iter().chain(tenant).collect();
        let sizes = exponential_buckets(64.0, 2.0, 10).unwrap_or_default();
        Self {
            requests: registry.int_counter_vec(
                "http_requests_total",
                "Tracks the number of HTTP requests.",
                &labels,
            ),
            seconds: registry.histogram_vec(
                "http_request_duration_seconds",
                "Tracks the latencies for HTTP requests.",
                &labels,
                &DURATION_BUCKETS,
            ),
            request_bytes: registry.histogram_vec(
                "http_request_size_bytes",
                "Tracks the size of HTTP requests.",
                &labels,
                &sizes,
            ),
            response_bytes: registry.histogram_vec(
                "http_response_size_bytes",
                "Tracks the size of HTTP responses.",
                &labels,
                &sizes,
            ),
            in_flight: registry.int_gauge_vec(
                "http_inflight_requests",
                "Current number of HTTP requests the handler is responding to.",
                &in_flight_labels,
            ),
            tenants,
        }
    }

    /// Counts the requests to all `routes` under the name `handler`, and gives each a span.
    pub fn instrument<S>(&self, handler: &'static str, routes: Router<S>) -> Router<S>
    where
        S: Clone + Send + Sync + 'static,
    {
        let metrics = self.clone();
        routes.layer(from_fn(move |request: Request, next: Next| {
            let metrics = metrics.clone();
            async move { metrics.observe(handler, request, next).await }
        }))
    }

    async fn observe(&self, handler: &str, request: Request, next: Next) -> Response {
        let upper = known_method(request.method().as_str());
        let method = upper.to_ascii_lowercase();
        let tenant = self.tenants.as_ref().map(|tenants| tenants.of(&request));
        let tenant = tenant.as_deref();
        let labels: Vec<&str> = [handler, upper].into_iter().chain(tenant).collect();
        let in_flight = InFlight::enter(self.in_flight.with_label_values(&labels));
        let request_bytes = approximate_size(&request);
        let begun = Instant::now();
        let span = http_span(handler, &request);
        let mut response = next.run(request).instrument(span.clone()).await;
        http_answered(&span, &mut response);
        let status = response.status();
        let labels = [status.as_str(), handler, &method]
            .into_iter()
            .chain(tenant);
        let labels: Vec<&str> = labels.collect();
        self.requests.with_label_values(&labels).inc();
        self.seconds
            .with_label_values(&labels)
            .observe(begun.elapsed().as_secs_f64());
        self.request_bytes
            .with_label_values(&labels)
            .observe(request_bytes as f64);
        let sizes = self.response_bytes.with_label_values(&labels);
        response.map(|body| {
            Body::new(MeasuredBody {
                body,
                bytes: 0,
                sizes,
                span,
                _in_flight: in_flight,
            })
        })
    }
}

/// A client can invent methods, and each would be a series.
fn known_method(method: &str) -> &'static str {
    let known = [
        "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE",
    ];
    known
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("UNKNOWN")
}

/// Request line, head and declared length of the body.
fn approximate_size(request: &Request) -> usize {
    let line = request.uri().to_string().len() + request.method().as_str().len() + "HTTP/1.1".len();
    let head: usize = request
        .headers()
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    let body = request.body().size_hint().exact().unwrap_or(0);
    line + head + usize::try_from(body).unwrap_or(usize::MAX - line - head)
}

struct InFlight(rutile_telemetry::IntGauge);

impl InFlight {
    fn enter(gauge: rutile_telemetry::IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Counts what is sent; the request, and its span, is over when this is dropped.
struct MeasuredBody {
    body: Body,
    bytes: u64,
    sizes: Histogram,
    span: Span,
    _in_flight: InFlight,
}

impl HttpBody for MeasuredBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let _within = this.span.enter();
        let frame = std::task::ready!(Pin::new(&mut this.body).poll_frame(cx));
        if let Some(Ok(data)) = frame
            .as_ref()
            .map(|frame| frame.as_ref().map(Frame::data_ref))
        {
            this.bytes += data.map_or(0, |data| data.len() as u64);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for MeasuredBody {
    fn drop(&mut self) {
        self.sizes.observe(self.bytes as f64);
    }
}
