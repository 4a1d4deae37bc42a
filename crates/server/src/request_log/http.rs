//! HTTP requests in the log.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::header::{HOST, USER_AGENT};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Instant;

use super::{Endpoint, Level, RequestLog, Rule, Source, log_end, milliseconds};
use crate::component::Context;
use crate::status::CLIENT_CLOSED_REQUEST;

const REQUEST_ID: &str = "x-request-id";
const FORWARDED_FOR: &str = "x-forwarded-for";

/// What an HTTP server logs of its requests.
#[derive(Debug)]
pub(crate) struct HttpLog {
    rule: Rule<Endpoint>,
    source: Source,
    /// The port that a request without one in its `Host` asked for.
    port: u16,
}

/// A request under way, which is logged when this is dropped.
#[derive(Debug)]
pub(crate) struct HttpRequest {
    log: Arc<HttpLog>,
    /// The method and what follows the host.
    method: String,
    path: String,
    request_id: String,
    user_agent: String,
    remote_address: String,
    begun: Instant,
    /// `None` until the handler has answered.
    status: Option<StatusCode>,
}

/// The body of an answer that is logged when it has ended.
#[derive(Debug)]
pub(crate) struct LoggedBody {
    body: Body,
    _request: HttpRequest,
}

impl HttpLog {
    /// `None` if nothing is to be logged.
    pub(crate) fn new(log: RequestLog, context: &Context, port: u16) -> Option<Arc<Self>> {
        let (rule, source) = (log.http, Source::new(context));
        rule.is_on().then(|| Arc::new(Self { rule, source, port }))
    }

    /// Logs the beginning, if that is to be logged; `None` if this request is not.
    pub(crate) fn begin<B>(
        self: &Arc<Self>,
        request: &Request<B>,
        peer: Option<SocketAddr>,
    ) -> Option<HttpRequest> {
        let (headers, path) = (request.headers(), request.uri().path());
        let port = || asked_port(request).unwrap_or(self.port);
        let is_it =
            |only: &Endpoint| only.path == path && only.port.is_none_or(|wanted| wanted == port());
        if !self.rule.holds_for(is_it) {
            return None;
        }
        let given = request
            .uri()
            .path_and_query()
            .map_or(path, |given| given.as_str());
        let peer = || peer.map(|peer| peer.to_string()).unwrap_or_default();
        let begun = HttpRequest {
            log: Arc::clone(self),
            method: format!("{} {given}", request.method()),
            path: path.to_owned(),
            request_id: text(headers, REQUEST_ID).unwrap_or_else(|| self.source.request_id()),
            user_agent: text(headers, USER_AGENT.as_str()).unwrap_or_default(),
            remote_address: text(headers, FORWARDED_FOR).unwrap_or_else(peer),
            begun: Instant::now(),
            status: None,
        };
        if self.rule.logs_start() {
            tracing::debug!(
                protocol = "http",
                http.component = "server",
                http.start_time = self.source.now(),
                http.method = begun.method,
                http.request_id = begun.request_id,
                http.user_agent = begun.user_agent,
                thanos.method_name = begun.path,
                "started call"
            );
        }
        Some(begun)
    }
}

impl HttpRequest {
    /// Leaves the rest to the end of the body.
    pub(crate) fn answered(mut self, response: Response<Body>) -> Response<Body> {
        self.status = Some(response.status());
        response.map(|body| {
            Body::new(LoggedBody {
                body,
                _request: self,
            })
        })
    }
}

impl Drop for HttpRequest {
    fn drop(&mut self) {
        let status = self
            .status
            .map_or(CLIENT_CLOSED_REQUEST, |status| status.as_u16());
        let is_error = !(200..500).contains(&status);
        if !is_error && self.log.rule.level > Level::Debug {
            return;
        }
        log_end!(
            is_error,
            protocol = "http",
            http.component = "server",
            http.method = self.method,
            http.request_id = self.request_id,
            http.user_agent = self.user_agent,
            http.status_code = %status,
            http.time_ms = %milliseconds(self.begun.elapsed()),
            http.remote_addr = self.remote_address,
            thanos.method_name = self.path,
            "finished call"
        );
    }
}

impl HttpBody for LoggedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The port in the `Host` of HTTP/1, or in the authority of HTTP/2.
fn asked_port<B>(request: &Request<B>) -> Option<u16> {
    let host = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok());
    match host {
        Some(host) => host.parse::<http::uri::Authority>().ok()?.port_u16(),
        None => request.uri().port_u16(),
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?;
    (!value.is_empty()).then(|| String::from_utf8_lossy(value.as_bytes()).into_owned())
}
