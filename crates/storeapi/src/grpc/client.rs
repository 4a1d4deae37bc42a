//! The client side: a remote store as a [`StoreApi`].

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body::Body as _;
use prost::Message;
use rutile_model::ErrorKind;
use rutile_proto::thanos::{
    LabelNamesRequest, LabelNamesResponse, LabelValuesRequest, LabelValuesResponse, SeriesRequest,
    info::{InfoRequest, InfoResponse},
};
use rutile_telemetry::span;
use rutile_telemetry::spans::{Instrument as _, Span, hand_on};
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};
use tonic::{
    Code, Status,
    body::Body,
    transport::{Channel, Endpoint},
};
use tower::{Service, ServiceExt};
use tracing::field::Empty;

use super::{
    CONTENT_TYPE, Compression, FramesBody, GRPC_ACCEPT_ENCODING, GRPC_TIMEOUT, MessageStream,
    Method, REQUEST_ID, TENANT, deframer::Deframer, from_status, path,
};
use crate::{Error, Frames, RequestContext, Result, SeriesStream, StoreApi};

/// The longest message that is taken, as in Thanos.
const MAX_ANSWER: usize = i32::MAX as usize;
/// Bytes that a server may send on one call before they are read.
const STREAM_WINDOW: u32 = 4 * 1024 * 1024;
/// The same for all calls of a connection: one slow reader must not stop the others.
const CONNECTION_WINDOW: u32 = 64 * 1024 * 1024;
/// The largest piece that a server may send at once. Pieces of HTTP/2's default of 16 KiB cost a
/// system call each on both sides.
const MAX_FRAME: u32 = 1024 * 1024;
/// As Thanos: an idle connection is checked this often, and given up after so long without answer.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// How to talk to a remote store.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Compresses requests, and asks for answers compressed likewise.
    pub compression: Compression,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            compression: Compression::Identity,
            connect_timeout: Duration::from_secs(5),
        }
    }
}

/// A remote store. Cloning is cheap and shares the connection.
#[derive(Debug, Clone)]
pub struct Client {
    channel: Channel,
    compression: Compression,
    /// As traces show it.
    address: Arc<str>,
}

impl Client {
    /// Connects to `address`, `host:port` or a URI.
    ///
    /// # Errors
    /// `Invalid` for an address that is none, `Unavailable` when nobody answers there.
    pub async fn connect(address: &str, options: &ClientOptions) -> Result<Self> {
        let endpoint = Self::endpoint(address, options)?;
        let channel = endpoint.connect().await.map_err(|error| {
            let message = format!("cannot connect to {address:?}");
            Error::new(ErrorKind::Unavailable, message).with_source(error)
        })?;
        Ok(Self::new(channel, address, options.compression))
    }

    /// Uses a channel to `address`, which should come from [`Client::endpoint`].
    #[must_use]
    pub fn new(channel: Channel, address: &str, compression: Compression) -> Self {
        Self {
            channel,
            compression,
            address: address.into(),
        }
    }

    /// An endpoint with the settings that large answers need.
    ///
    /// # Errors
    /// `Invalid` for an address that is none.
    pub fn endpoint(address: &str, options: &ClientOptions) -> Result<Endpoint> {
        let uri = if address.contains("://") {
            address.to_owned()
        } else {
            format!("http://{address}")
        };
        let endpoint = Endpoint::from_shared(uri).map_err(|error| {
            let message = format!("address {address:?} is not host:port or a URI");
            Error::invalid(message).with_source(error)
        })?;
        Ok(endpoint
            .connect_timeout(options.connect_timeout)
            .tcp_nodelay(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(MAX_FRAME)
            .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT))
    }

    /// Calls a method that answers with a stream of messages.
    ///
    /// # Errors
    /// What is known before the first message; later errors are items of the stream.
    pub async fn stream<M: Method>(
        &self,
        ctx: &RequestContext,
        request: &M::Request,
    ) -> Result<MessageStream<M::Response>> {
        let answer = self.call(M::PATH, ctx, request).await?;
        let decode = |frames: Result<Frames>| match frames {
            Ok(frames) => frames.messages().map(|m| decode(m, M::PATH)).collect(),
            Err(error) => vec![Err(error)],
        };
        Ok(answer.map(decode).flat_map(stream::iter).boxed())
    }

    /// Calls a method and returns the messages of its answer.
    async fn call(
        &self,
        path: &'static str,
        ctx: &RequestContext,
        message: &impl Message,
    ) -> Result<Answer> {
        let mut request = self.request(path, ctx, message)?;
        let span = span!(
            "call",
            otel.name = path,
            otel.kind = "client",
            otel.status_code = Empty,
            server.address = &*self.address,
            rpc.system = "grpc",
            error = Empty,
        );
        hand_on(&span, request.headers_mut());
        let mut channel = self.channel.clone();
        let call = async { channel.ready().await?.call(request).await };
        let call = call.instrument(span.clone());
        let result = match ctx.deadline {
            Some(deadline) => timeout_at(deadline, call)
                .await
                .map_err(|_| deadline_passed())?,
            None => call.await,
        };
        let response = result.map_err(|error| {
            Error::new(ErrorKind::Unavailable, format!("call of {path} failed")).with_source(error)
        })?;
        Answer::new(response, ctx.deadline, span)
    }

    async fn unary<M: Message + Default>(
        &self,
        path: &'static str,
        ctx: &RequestContext,
        message: &impl Message,
    ) -> Result<M> {
        let mut answer = self.call(path, ctx, message).await?;
        let mut found = None;
        while let Some(frames) = answer.next().await {
            found = frames?.messages().last().or(found);
        }
        let message = found
            .ok_or_else(|| Error::new(ErrorKind::Internal, format!("{path} answered nothing")))?;
        decode(message, path)
    }

    fn request(
        &self,
        path: &'static str,
        ctx: &RequestContext,
        message: &impl Message,
    ) -> Result<Request<Body>> {
        let frames = stream::once(std::future::ready(Ok(Frames::encode(message)?)));
        let body = FramesBody::request(Box::pin(frames), self.compression);
        let mut request = Request::post(path)
            .body(Body::new(body))
            .map_err(internal)?;
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, CONTENT_TYPE);
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        if let Some((name, value)) = self.compression.header() {
            headers.insert(GRPC_ACCEPT_ENCODING, value.clone());
            headers.insert(name, value);
        }
        headers.insert(
            TENANT,
            HeaderValue::from_str(&ctx.tenant).map_err(|error| {
                Error::invalid(format!("tenant {:?} cannot be sent", ctx.tenant)).with_source(error)
            })?,
        );
        if let Some(id) = &ctx.request_id {
            headers.insert(
                REQUEST_ID,
                HeaderValue::from_str(id).map_err(|error| internal(error.into()))?,
            );
        }
        if let Some(deadline) = ctx.deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            headers.insert(GRPC_TIMEOUT, timeout_header(left)?);
        }
        Ok(request)
    }
}

#[async_trait]
impl StoreApi for Client {
    async fn series(&self, ctx: RequestContext, request: SeriesRequest) -> Result<SeriesStream> {
        Ok(Box::pin(self.call(path::SERIES, &ctx, &request).await?))
    }

    async fn label_names(
        &self,
        ctx: RequestContext,
        request: LabelNamesRequest,
    ) -> Result<LabelNamesResponse> {
        self.unary(path::LABEL_NAMES, &ctx, &request).await
    }

    async fn label_values(
        &self,
        ctx: RequestContext,
        request: LabelValuesRequest,
    ) -> Result<LabelValuesResponse> {
        self.unary(path::LABEL_VALUES, &ctx, &request).await
    }

    async fn info(&self, ctx: RequestContext) -> Result<InfoResponse> {
        self.unary(path::INFO, &ctx, &InfoRequest {}).await
    }
}

/// The messages of an answer as they arrive; an error if the status is not OK.
struct Answer {
    body: Body,
    deframer: Deframer,
    deadline: Option<Pin<Box<Sleep>>>,
    ended: bool,
    /// Ends with the answer.
    span: Span,
}

impl Answer {
    fn new(response: Response<Body>, deadline: Option<Instant>, span: Span) -> Result<Self> {
        let (head, body) = response.into_parts();
        // An answer without messages has its status here.
        let status = Status::from_header_map(&head.headers);
        if let Some(status) = &status {
            check(status)?;
        } else if head.status != http::StatusCode::OK {
            let message = format!("the server answered with HTTP status {}", head.status);
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        let compression = Compression::of_messages(&head.headers).map_err(|name| {
            let message = format!("the server compresses with {name:?}, which was not offered");
            Error::new(ErrorKind::Internal, message)
        })?;
        let deadline = deadline.map(|deadline| Box::pin(sleep_until(deadline)));
        let deframer = Deframer::new(compression, MAX_ANSWER);
        Ok(Self {
            body,
            deframer,
            deadline,
            ended: status.is_some(),
            span,
        })
    }

    fn poll_frames(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frames>>> {
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(deadline_passed()));
        }
        loop {
            if let Some(frames) = self.deframer.next_frames()? {
                return Poll::Ready(Ok(Some(frames)));
            }
            let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)) else {
                let message = "the answer ended without a status";
                return Poll::Ready(Err(Error::new(ErrorKind::Unavailable, message)));
            };
            let frame = frame.map_err(|status| from_status(&status))?;
            match frame.into_data() {
                Ok(piece) => self.deframer.push(piece),
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap_or_default();
                    return Poll::Ready(self.end(&trailers).map(|()| None));
                }
            }
        }
    }

    fn end(&self, trailers: &HeaderMap) -> Result<()> {
        match Status::from_header_map(trailers) {
            Some(status) => check(&status)?,
            None => {
                return Err(Error::new(
                    ErrorKind::Internal,
                    "the trailers have no status",
                ));
            }
        }
        if self.deframer.is_between_messages() {
            Ok(())
        } else {
            Err(Error::new(
                ErrorKind::Corrupt,
                "the answer ended in the middle of a message",
            ))
        }
    }
}

impl Stream for Answer {
    type Item = Result<Frames>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        let item = ready!(this.poll_frames(cx)).transpose();
        this.ended = !matches!(item, Some(Ok(_)));
        if this.ended {
            let span = std::mem::replace(&mut this.span, Span::none());
            if let Some(Err(error)) = &item {
                span.record("otel.status_code", "ERROR");
                span.record("error", tracing::field::display(error));
            }
        }
        Poll::Ready(item)
    }
}

fn decode<M: Message + Default>(message: Bytes, path: &str) -> Result<M> {
    M::decode(message).map_err(|error| {
        let message = format!("cannot decode the answer of {path}");
        Error::new(ErrorKind::Corrupt, message).with_source(error)
    })
}

fn check(status: &Status) -> Result<()> {
    if status.code() == Code::Ok {
        Ok(())
    } else {
        Err(from_status(status))
    }
}

fn deadline_passed() -> Error {
    Error::new(
        ErrorKind::Canceled,
        "the deadline has passed before the answer was complete",
    )
}

fn internal(error: http::Error) -> Error {
    Error::new(ErrorKind::Internal, "cannot build the request").with_source(error)
}

/// The time that is left, in the finest unit whose count has at most eight digits.
fn timeout_header(left: Duration) -> Result<HeaderValue> {
    let units = [
        (left.as_micros(), 'u'),
        (left.as_millis(), 'm'),
        (left.as_secs().into(), 'S'),
    ];
    let fits = units.into_iter().find(|(count, _)| *count < 100_000_000);
    let (count, unit) = fits.unwrap_or((99_999_999, 'S'));
    HeaderValue::from_str(&format!("{count}{unit}")).map_err(|error| internal(error.into()))
}
