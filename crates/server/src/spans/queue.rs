//! Spans that ended and wait to be sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use tokio::sync::mpsc;

/// Spans that wait at most, as in OpenTelemetry's own queue.
const LENGTH: usize = 2048;
/// The longest text of an attribute, such as a query. With the number of spans it bounds what the queue holds.
const TEXT_BYTES: usize = 4096;

/// Takes spans as they end. One that finds no place is counted and lost: nobody waits for a collector.
#[derive(Debug)]
pub(super) struct Queue {
    sender: mpsc::Sender<SpanData>,
    dropped: Arc<AtomicU64>,
}

/// The other end of the queue.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) spans: mpsc::Receiver<SpanData>,
    /// Spans that found no place.
    pub(super) dropped: Arc<AtomicU64>,
}

pub(super) fn new() -> (Queue, Waiting) {
    let (sender, spans) = mpsc::channel(LENGTH);
    let dropped = Arc::default();
    let waiting = Waiting {
        spans,
        dropped: Arc::clone(&dropped),
    };
    (Queue { sender, dropped }, waiting)
}

/// Cuts the text of an attribute that is longer than a collector is to be bothered with.
fn shorten(attribute: &mut KeyValue) {
    if let Value::String(text) = &attribute.value
        && text.as_str().len() > TEXT_BYTES
    {
        let end = text.as_str().floor_char_boundary(TEXT_BYTES);
        let short = text.as_str().get(..end).unwrap_or_default();
        attribute.value = Value::String(format!("{short}…").into());
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, mut span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        span.attributes.iter_mut().for_each(shorten);
        if self.sender.try_send(span).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
