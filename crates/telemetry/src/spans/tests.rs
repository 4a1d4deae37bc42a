use std::sync::Arc;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanProcessor};
use parking_lot::Mutex;
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;

#[derive(Debug, Clone, Default)]
struct Ended(Arc<Mutex<Vec<SpanData>>>);

impl SpanProcessor for Ended {
    fn on_start(&self, _: &mut opentelemetry_sdk::trace::Span, _: &opentelemetry::Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.lock().push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: std::time::Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// The spans that ended in `work`, in this order.
fn recorded(work: impl FnOnce()) -> Vec<SpanData> {
    let ended = Ended::default();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(ended.clone())
        .build();
    let recorder = recorder(provider.tracer("test"));
    let subscriber = tracing_subscriber::registry().with(recorder);
    tracing::subscriber::with_default(subscriber, work);
    ended.0.lock().clone()
}

#[test]
fn what_is_done_for_a_request_is_within_its_span() {
    let spans = recorded(|| {
        drop(crate::span!("nobody asked"));
        let request = crate::root_span!(
            "request",
            otel.name = "/thanos.Store/Series",
            otel.kind = "server"
        );
        request.in_scope(|| {
            tracing::info_span!("of the log").in_scope(|| {
                assert!(is_within_one());
                drop(crate::span!("bucket_get", key = "a/index"));
            });
        });
        assert!(!is_within_one());
    });
    let names: Vec<&str> = spans.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["bucket_get", "/thanos.Store/Series"]);
    let [inner, outer] = spans.as_slice() else {
        unreachable!()
    };
    assert_eq!(inner.parent_span_id, outer.span_context.span_id());
    assert_eq!(inner.span_context.trace_id(), outer.span_context.trace_id());
    // What the crates add by themselves, such as the target, says nothing.
    let attributes: Vec<String> = { inner.attributes.iter() }
        .map(|one| format!("{}={}", one.key, one.value))
        .collect();
    assert_eq!(attributes, ["key=a/index"]);
    assert_eq!(outer.span_kind, opentelemetry::trace::SpanKind::Server);
}

#[test]
fn a_trace_goes_on_in_another_process() {
    let mut headers = HeaderMap::new();
    let client = recorded(|| {
        let span = crate::root_span!("client");
        hand_on(&span, &mut headers);
        assert_eq!(trace_id(&span).unwrap().len(), 32);
    });
    let server = recorded(|| {
        let span = crate::root_span!("server");
        continue_trace(&span, &headers);
        let trace = trace_id(&span).unwrap();
        assert_eq!(trace, client[0].span_context.trace_id().to_string());
    });
    assert_eq!(server[0].parent_span_id, client[0].span_context.span_id());
    assert!(server[0].parent_span_is_remote);
    // What is no name of a trace begins one.
    let wrong = HeaderMap::from_iter([(
        http::HeaderName::from_static("traceparent"),
        http::HeaderValue::from_static("00-xyz-1-01"),
    )]);
    let other = recorded(|| continue_trace(&crate::root_span!("server"), &wrong));
    assert_eq!(
        other[0].parent_span_id,
        opentelemetry::trace::SpanId::INVALID
    );
}

#[test]
fn without_a_recorder_there_is_nothing() {
    let span = crate::root_span!("request");
    let mut headers = HeaderMap::new();
    hand_on(&span, &mut headers);
    assert!(span.is_disabled() && headers.is_empty() && trace_id(&span).is_none());
}
