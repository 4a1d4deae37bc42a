//! The body of an answer: frames as they come, then the status.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};
use rutile_model::ErrorKind;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::{Code, Status};

use super::{Compression, deframer::set_prefix, to_status};
use crate::{Error, Frames, Result, SeriesStream, frames::PREFIX};

/// Frames of at least this many bytes are handed to HTTP/2 as they are; smaller ones are gathered
/// until there are as many, or until no more is ready.
const GATHER_BYTES: usize = 32 * 1024;

/// Frames as an HTTP body, with the gRPC status in its trailers if it is an answer.
///
/// Uncompressed frames of [`GATHER_BYTES`] or more are not copied.
#[must_use = "a body does nothing until it is polled"]
pub struct FramesBody {
    frames: SeriesStream,
    compression: Compression,
    /// When the caller stops waiting.
    deadline: Option<Pin<Box<Sleep>>>,
    /// Small or compressed messages that wait for company.
    gathered: Vec<u8>,
    /// What follows the gathered bytes.
    next: Next,
    /// A request has no status.
    is_request: bool,
}

/// What a body yields after the bytes that it has gathered.
enum Next {
    /// Whatever the stream yields.
    Stream,
    /// Large frames, then the stream.
    Data(Bytes),
    /// The end.
    Status(Status),
    /// Nothing: it has ended.
    Nothing,
}

impl FramesBody {
    /// A body that yields these frames until they end or the deadline passes.
    pub fn new(frames: SeriesStream, compression: Compression, deadline: Option<Instant>) -> Self {
        let deadline = deadline.map(|deadline| Box::pin(sleep_until(deadline)));
        Self {
            frames,
            compression,
            deadline,
            gathered: Vec::new(),
            next: Next::Stream,
            is_request: false,
        }
    }

    /// The body of a request: no status follows.
    pub(super) fn request(frames: SeriesStream, compression: Compression) -> Self {
        Self {
            is_request: true,
            ..Self::new(frames, compression, None)
        }
    }

    /// Reads the stream until there is something to send: enough gathered, or [`Self::next`] set.
    fn poll_gather(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while matches!(self.next, Next::Stream) && self.gathered.len() < GATHER_BYTES {
            match ready!(self.frames.as_mut().poll_next(cx)) {
                Some(Ok(frames)) => {
                    if let Err(error) = self.gather(frames) {
                        self.next = Next::Status(to_status(&error));
                    }
                }
                Some(Err(error)) => self.next = Next::Status(to_status(&error)),
                None if self.is_request => self.next = Next::Nothing,
                None => self.next = Next::Status(Status::new(Code::Ok, "")),
            }
        }
        Poll::Ready(())
    }

    fn gather(&mut self, frames: Frames) -> Result<()> {
        if self.compression != Compression::Identity {
            return frames
                .messages()
                .try_for_each(|message| self.gather_compressed(&message));
        }
        if frames.len() >= GATHER_BYTES {
            self.next = Next::Data(frames.into_bytes());
        } else {
            self.gathered.extend_from_slice(frames.as_bytes());
        }
        Ok(())
    }

    fn gather_compressed(&mut self, message: &[u8]) -> Result<()> {
        let start = self.gathered.len();
        self.gathered.extend_from_slice(&[0; PREFIX]);
        self.compression
            .compress(message, &mut self.gathered)
            .map_err(|error| {
                Error::new(ErrorKind::Internal, "cannot compress a message").with_source(error)
            })?;
        set_prefix(&mut self.gathered, start, true)
    }
}

impl Body for FramesBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if let Some(deadline) = &mut this.deadline
            && !matches!(this.next, Next::Nothing)
            && deadline.as_mut().poll(cx).is_ready()
        {
            this.gathered.clear();
            this.next = Next::Status(Status::new(
                Code::DeadlineExceeded,
                "the deadline has passed",
            ));
        }
        let gathering = this.poll_gather(cx);
        if !this.gathered.is_empty() {
            let bytes = std::mem::take(&mut this.gathered);
            return Poll::Ready(Some(Ok(Frame::data(bytes.into()))));
        }
        ready!(gathering);
        match std::mem::replace(&mut this.next, Next::Stream) {
            Next::Data(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Next::Status(status) => {
                this.next = Next::Nothing;
                // The store's memory must not wait for the client to read the trailers.
                this.frames = Box::pin(futures::stream::empty());
                let mut trailers = HeaderMap::new();
                Poll::Ready(Some(
                    status
                        .add_header(&mut trailers)
                        .map(|()| Frame::trailers(trailers)),
                ))
            }
            Next::Nothing | Next::Stream => {
                this.next = Next::Nothing;
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.next, Next::Nothing)
    }
}

impl fmt::Debug for FramesBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FramesBody")
            .field("compression", &self.compression)
            .field("gathered", &self.gathered.len())
            .finish_non_exhaustive()
    }
}
