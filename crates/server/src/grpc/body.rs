//! Bodies that count their messages as they pass, without looking into them.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use rutile_telemetry::IntCounter;
use tonic::{Code, Status};

use super::methods::Call;

/// What the client is told when a handler panics.
pub(super) const PANIC: &str = "the handler panicked";
/// A message is preceded by a flag byte and its length as four bytes, big endian (gRPC over
/// HTTP/2, "Length-Prefixed-Message").
const PREFIX_BYTES: u8 = 5;

/// Counts the messages in a sequence of pieces that are cut anywhere.
#[derive(Debug, Default)]
struct MessageCounter {
    /// Bytes of the prefix seen so far.
    prefix: u8,
    /// Length of the message, as far as it is known.
    length: u32,
    /// Bytes of the message still to come.
    remaining: u32,
}

/// The body of a request.
#[derive(Debug)]
pub(super) struct CountedRequest {
    body: Incoming,
    messages: MessageCounter,
    received: Option<IntCounter>,
}

/// The body of an answer; books the call when it ends, and turns a panic into a status.
#[derive(Debug)]
pub(super) struct CallBody {
    body: Body,
    messages: MessageCounter,
    call: Call,
    panics: IntCounter,
    broken: bool,
}

impl MessageCounter {
    /// How many messages begin in `piece`.
    fn count(&mut self, mut piece: &[u8]) -> u64 {
        let mut begun = 0;
        loop {
            let skipped = piece.len().min(self.remaining as usize);
            // No more than `remaining`, which is a `u32`.
            self.remaining -= skipped as u32;
            piece = piece.get(skipped..).unwrap_or_default();
            // Most prefixes are not cut.
            if self.prefix == 0
                && let Some(([_, length @ ..], rest)) =
                    piece.split_first_chunk::<{ PREFIX_BYTES as usize }>()
            {
                begun += 1;
                self.remaining = u32::from_be_bytes(*length);
                piece = rest;
                continue;
            }
            let Some((byte, rest)) = piece.split_first() else {
                return begun;
            };
            if self.prefix > 0 {
                self.length = self.length << 8 | u32::from(*byte);
            }
            self.prefix += 1;
            if self.prefix == PREFIX_BYTES {
                begun += 1;
                self.remaining = std::mem::take(&mut self.length);
                self.prefix = 0;
            }
            piece = rest;
        }
    }
}

impl CountedRequest {
    pub(super) fn new(body: Incoming, received: Option<IntCounter>) -> Self {
        Self {
            body,
            messages: MessageCounter::default(),
            received,
        }
    }
}

impl HttpBody for CountedRequest {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let this = &mut *self;
        if let (Some(Ok(frame)), Some(received)) = (&frame, &this.received)
            && let Some(data) = frame.data_ref()
        {
            received.inc_by(this.messages.count(data));
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

impl CallBody {
    pub(super) fn new(body: Body, call: Call, panics: IntCounter) -> Self {
        Self {
            body,
            messages: MessageCounter::default(),
            call,
            panics,
            broken: false,
        }
    }

    fn book(&mut self, frame: &Frame<Bytes>) {
        if let Some(data) = frame.data_ref() {
            let messages = self.messages.count(data);
            self.call.sent(messages);
        } else if let Some(trailers) = frame.trailers_ref() {
            self.call.finish_from(trailers);
        }
    }

    fn panicked(&mut self, panic: &(dyn Any + Send)) -> Frame<Bytes> {
        self.broken = true;
        self.panics.inc();
        report_panic(panic);
        self.call.finish(Code::Internal, PANIC);
        let mut trailers = http::HeaderMap::new();
        // The message is plain ASCII, so it always fits into a header.
        Status::internal(PANIC).add_header(&mut trailers).ok();
        Frame::trailers(trailers)
    }
}

impl HttpBody for CallBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.broken {
            return Poll::Ready(None);
        }
        let span = self.call.span();
        let _within = span.enter();
        let body = &mut self.body;
        match catch_unwind(AssertUnwindSafe(|| Pin::new(body).poll_frame(cx))) {
            Ok(polled) => {
                let frame = ready!(polled);
                match &frame {
                    Some(Ok(frame)) => self.book(frame),
                    Some(Err(_)) => self.call.finish(Code::Unknown, "the answer broke off"),
                    None => {}
                }
                Poll::Ready(frame)
            }
            Err(panic) => Poll::Ready(Some(Ok(self.panicked(panic.as_ref())))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.broken || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

pub(super) fn report_panic(panic: &(dyn Any + Send)) {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = text.unwrap_or("no message"), "recovered from panic");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_however_they_are_cut() {
        let mut wire = Vec::new();
        for length in [0_u8, 3, 0, 200, 1] {
            wire.extend_from_slice(&[0, 0, 0, 0, length]);
            wire.extend(std::iter::repeat_n(9_u8, length.into()));
        }
        for size in 1..=wire.len() {
            let mut counter = MessageCounter::default();
            let counted: u64 = wire.chunks(size).map(|piece| counter.count(piece)).sum();
            assert_eq!(counted, 5, "pieces of {size}");
        }
    }

    #[test]
    fn a_length_of_four_bytes_is_read_whole() {
        let mut counter = MessageCounter::default();
        assert_eq!(counter.count(&[1, 0x01, 0x02, 0x03, 0x04]), 1);
        assert_eq!(counter.remaining, 0x0102_0304);
    }
}
