//! The server side: services that answer from a [`StoreApi`].

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
    routing::{future::RouteFuture, post},
};
use http::{HeaderMap, HeaderValue, header};
use http_body_util::BodyExt;
use prost::Message;
use rutile_model::ErrorKind;
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status, server::NamedService};
use tower::Service;

use super::{
    CONTENT_TYPE, Compression, FramesBody, GRPC_ACCEPT_ENCODING, GRPC_TIMEOUT, REQUEST_ID, TENANT,
    deframer::Deframer, path, to_status,
};
use crate::{Error, Frames, RequestContext, Result, SeriesStream, StoreApi, api::DEFAULT_TENANT};

/// The longest request that is taken, in bytes. Matchers are the only long part of one.
const MAX_REQUEST: usize = 64 * 1024 * 1024;

/// The service `thanos.Store`, answered by a store.
///
/// Requests may be compressed with snappy, zstd or gzip and are answered likewise. Metadata becomes
/// the [`RequestContext`]; the deadline ends the call. Panics are not caught here.
#[derive(Debug, Clone)]
pub struct StoreServer(Router);

/// The service `thanos.info.Info`, answered by a store.
#[derive(Debug, Clone)]
pub struct InfoServer(Router);

type Store = State<Arc<dyn StoreApi>>;

impl StoreServer {
    /// Answers from `store`.
    pub fn new(store: Arc<dyn StoreApi>) -> Self {
        let router = Router::new()
            .route(path::SERIES, post(series))
            .route(path::LABEL_NAMES, post(label_names))
            .route(path::LABEL_VALUES, post(label_values));
        Self(router.with_state(store))
    }
}

impl InfoServer {
    /// Answers from `store`.
    pub fn new(store: Arc<dyn StoreApi>) -> Self {
        Self(
            Router::new()
                .route(path::INFO, post(info))
                .with_state(store),
        )
    }
}

impl NamedService for StoreServer {
    const NAME: &'static str = "thanos.Store";
}

impl NamedService for InfoServer {
    const NAME: &'static str = "thanos.info.Info";
}

impl Service<http::Request<tonic::body::Body>> for StoreServer {
    type Response = Response;
    type Error = Infallible;
    type Future = RouteFuture<Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        self.0.call(request.map(Body::new))
    }
}

impl Service<http::Request<tonic::body::Body>> for InfoServer {
    type Response = Response;
    type Error = Infallible;
    type Future = RouteFuture<Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        self.0.call(request.map(Body::new))
    }
}

async fn series(State(store): Store, request: Request) -> Response {
    let answer = async |ctx, message| store.series(ctx, message).await;
    handle(request, answer).await
}

async fn label_names(State(store): Store, request: Request) -> Response {
    let answer = async |ctx, message| one(&store.label_names(ctx, message).await?);
    handle(request, answer).await
}

async fn label_values(State(store): Store, request: Request) -> Response {
    let answer = async |ctx, message| one(&store.label_values(ctx, message).await?);
    handle(request, answer).await
}

async fn info(State(store): Store, request: Request) -> Response {
    let answer = async |ctx, _: crate::info::InfoRequest| one(&store.info(ctx).await?);
    handle(request, answer).await
}

/// An answer of one message.
fn one(message: &impl Message) -> Result<SeriesStream> {
    let frames = Frames::encode(message)?;
    Ok(Box::pin(futures::stream::once(std::future::ready(Ok(
        frames,
    )))))
}

/// Serves one call: reads the request, asks, and answers as the request was compressed. For services beside those of
/// this crate, whose messages travel in the same way.
pub async fn handle<M: Message + Default>(
    request: Request,
    answer: impl AsyncFnOnce(RequestContext, M) -> Result<SeriesStream>,
) -> Response {
    let (head, body) = request.into_parts();
    let compression = match Compression::of_messages(&head.headers) {
        Ok(compression) => compression,
        Err(name) => return unknown_compression(&name),
    };
    let ctx = match request_context(&head.headers) {
        Ok(ctx) => ctx,
        Err(error) => return refuse(&to_status(&error)),
    };
    let deadline = ctx.deadline;
    let call = async { answer(ctx, read_message(body, compression).await?).await };
    let result = match deadline {
        Some(deadline) => match timeout_at(deadline, call).await {
            Ok(result) => result,
            Err(_) => {
                let message = "the deadline has passed before the first frame";
                return refuse(&Status::new(Code::DeadlineExceeded, message));
            }
        },
        None => call.await,
    };
    match result {
        Ok(frames) => into_response(frames, compression.of_answer(&head.headers), deadline),
        Err(error) => refuse(&to_status(&error)),
    }
}

/// An answer that yields these frames, compressed message by message.
pub fn into_response(
    frames: SeriesStream,
    compression: Compression,
    deadline: Option<Instant>,
) -> Response {
    let mut response = Response::new(Body::new(FramesBody::new(frames, compression, deadline)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, CONTENT_TYPE);
    headers.insert(GRPC_ACCEPT_ENCODING, Compression::ACCEPTED);
    headers.extend(
        compression
            .header()
            .map(|(name, value)| (Some(name), value)),
    );
    response
}

fn refuse(status: &Status) -> Response {
    status.clone().into_http()
}

/// The refusal that tells a client which compressions it may use instead.
fn unknown_compression(name: &str) -> Response {
    let message = format!("compression {name:?} is not supported, use snappy, zstd or gzip");
    let mut response = refuse(&Status::new(Code::Unimplemented, message));
    response
        .headers_mut()
        .insert(GRPC_ACCEPT_ENCODING, Compression::ACCEPTED);
    response
}

/// Reads the one message of a request.
async fn read_message<M: Message + Default>(body: Body, compression: Compression) -> Result<M> {
    let mut body = body;
    let mut deframer = Deframer::new(compression, MAX_REQUEST);
    let mut found = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Error::new(ErrorKind::Canceled, "the request was cut off").with_source(error)
        })?;
        let Ok(piece) = frame.into_data() else {
            continue;
        };
        deframer.push(piece);
        while let Some(frames) = deframer.next_frames()? {
            for message in frames.messages() {
                if found.replace(message).is_some() {
                    return Err(Error::invalid("the request has more than one message"));
                }
            }
        }
    }
    match found {
        Some(message) if deframer.is_between_messages() => M::decode(message)
            .map_err(|error| Error::invalid("cannot decode the request").with_source(error)),
        _ => Err(Error::invalid(
            "the request ends in the middle of its message",
        )),
    }
}

fn request_context(headers: &HeaderMap) -> Result<RequestContext> {
    let text = |value: &HeaderValue| {
        value
            .to_str()
            .ok()
            .filter(|text| !text.is_empty())
            .map(Arc::from)
    };
    let mut request_ids = headers.get_all(REQUEST_ID).iter();
    let request_id = request_ids
        .next()
        .filter(|_| request_ids.next().is_none())
        .and_then(text);
    let tenant = headers
        .get(TENANT)
        .and_then(text)
        .unwrap_or_else(|| DEFAULT_TENANT.into());
    let deadline = match headers.get(GRPC_TIMEOUT) {
        Some(timeout) => {
            let timeout = parse_timeout(timeout).ok_or_else(|| {
                Error::invalid(format!("grpc-timeout {timeout:?} is not digits and a unit"))
            })?;
            // One that is too far away for the clock is none.
            Instant::now().checked_add(timeout)
        }
        None => None,
    };
    Ok(RequestContext {
        tenant,
        request_id,
        deadline,
    })
}

/// Parses at most eight digits and a unit, as gRPC's protocol says.
fn parse_timeout(value: &HeaderValue) -> Option<Duration> {
    let (digits, unit) = value
        .to_str()
        .ok()?
        .split_at_checked(value.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts() {
        let check = |text: &'static str, expected: Option<Duration>| {
            assert_eq!(
                parse_timeout(&HeaderValue::from_static(text)),
                expected,
                "{text:?}"
            );
        };
        check("1H", Some(Duration::from_secs(3600)));
        check("2M", Some(Duration::from_secs(120)));
        check("99999999S", Some(Duration::from_secs(99_999_999)));
        check("250m", Some(Duration::from_millis(250)));
        check("7u", Some(Duration::from_micros(7)));
        check("0n", Some(Duration::ZERO));
        for wrong in ["", "S", "1", "1s", "+1S", "-1S", "100000000S", "1 S"] {
            check(wrong, None);
        }
    }
}
