//! Spans: what a request does and how long it takes, on its way through the processes of a cluster.
//!
//! A span is one of the crate `tracing` with the target [`TARGET`]. The log does not know it, so that nothing is
//! made unless a [`Recorder`] was given to [`init`](crate::init). What is done for a request is a span within that of the
//! request ([`span!`](crate::span)); without one there is none, so that work that nobody asked for leaves no traces. From one process to
//! the next a trace travels in the headers `traceparent` and `tracestate` (W3C Trace Context).

use http::HeaderMap;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{TraceContextExt as _, Tracer};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::propagation::TraceContextPropagator;
pub use tracing::{Instrument, Span, info_span as __info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::{Layer, Registry};

/// The target of all spans.
pub const TARGET: &str = "span";

/// Turns spans into those of OpenTelemetry.
pub type Recorder = Box<dyn Layer<Registry> + Send + Sync>;

/// A span within the present one, if there is one: a name, then fields as in `tracing::info_span!`.
#[macro_export]
macro_rules! span {
    ($name:literal $(, $($field:tt)*)?) => {
        if $crate::spans::is_within_one() {
            $crate::root_span!($name $(, $($field)*)?)
        } else {
            $crate::spans::Span::none()
        }
    };
}

/// A span that may be the first of a trace.
#[macro_export]
macro_rules! root_span {
    ($name:literal $(, $($field:tt)*)?) => {
        $crate::spans::__info_span!(target: "span", $name $(, $($field)*)?)
    };
}

/// Records spans with `tracer`.
pub fn recorder<T>(tracer: T) -> Recorder
where
    T: Tracer + Send + Sync + 'static,
    T::Span: Send + Sync,
{
    tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_target(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_context_activation(false)
        .with_filter(filter_fn(|of| of.is_span() && of.target() == TARGET))
        .boxed()
}

/// Whether work is being done for a request that has a span.
#[must_use]
pub fn is_within_one() -> bool {
    !Span::current().is_disabled()
}

/// Makes `span` a part of the trace that the headers of a request name, if they name one. Call it before the span is
/// entered.
pub fn continue_trace(span: &Span, headers: &HeaderMap) {
    if span.is_disabled() {
        return;
    }
    let context = TraceContextPropagator::new().extract(&HeaderExtractor(headers));
    if context.span().span_context().is_valid() {
        // Fails for a span that nobody records.
        span.set_parent(context).ok();
    }
}

/// Names `span` in the headers of a request, so that what the other side does for it becomes part of the trace.
pub fn hand_on(span: &Span, headers: &mut HeaderMap) {
    if !span.is_disabled() {
        let propagator = TraceContextPropagator::new();
        propagator.inject_context(&span.context(), &mut HeaderInjector(headers));
    }
}

/// The name of the trace that `span` belongs to, if the trace is recorded: 32 hexadecimal digits.
#[must_use]
pub fn trace_id(span: &Span) -> Option<String> {
    let context = span.context();
    let of = context.span().span_context().clone();
    (of.is_valid() && of.is_sampled()).then(|| of.trace_id().to_string())
}

#[cfg(test)]
mod tests;
