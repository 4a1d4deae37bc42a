//! Memory that is accounted for until an answer is sent, and not only until it is written.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use rutile_runtime::Reservation;

/// A body that holds a reservation, as do the pieces of it that wait to be sent.
#[derive(Debug)]
pub(super) struct Kept {
    body: Body,
    memory: Arc<Reservation>,
}

/// A piece, as the owner of its bytes.
struct Piece {
    bytes: Bytes,
    _memory: Arc<Reservation>,
}

impl Kept {
    pub(super) fn new(body: Body, memory: Arc<Reservation>) -> Self {
        Self { body, memory }
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl HttpBody for Kept {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        let memory = &self.memory;
        let keep = |bytes| {
            Bytes::from_owner(Piece {
                bytes,
                _memory: Arc::clone(memory),
            })
        };
        polled.map_ok(|frame| frame.map_data(keep))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
