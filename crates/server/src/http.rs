//! The HTTP server: what every component shows, and the routes that it adds.

mod metrics;
mod profile;
mod refusal;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Incoming;
use hyper_util::rt::TokioTimer;
use hyper_util::server::conn::auto;
use rutile_runtime::{CancellationToken, ShutdownReport};
use rutile_telemetry::{Registry, TEXT_FORMAT};
use tower::ServiceExt;

pub use self::metrics::HttpMetrics;
pub use self::refusal::is_cross_origin;
use crate::component::Context;
use crate::failure::Failure;
use crate::flags::HttpArgs;
use crate::host::Guest;
use crate::listener::{Io, Lifetime, Listener, peer};
use crate::probe::Probe;
use crate::request_log::{HttpLog, RequestLog};
use crate::tls::Encryption;
use crate::web_config::WebConfig;

/// How long a client may take for the head of a request; idle connections end by it too.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// Calls at a time on one HTTP/2 connection.
const MAX_CONCURRENT_STREAMS: u32 = 256;

/// A bound HTTP server, or one whose routes the host of its component serves.
#[derive(Debug)]
pub struct HttpServer {
    door: Door,
    lifetime: Lifetime,
    routes: Router,
    log: Option<Arc<HttpLog>>,
    config: Option<Arc<WebConfig>>,
}

/// Where requests come in.
#[derive(Debug)]
enum Door {
    Own(Listener),
    Host(Guest),
}

/// Handles the requests of one connection.
#[derive(Debug, Clone)]
struct Requests {
    routes: Router,
    log: Option<Arc<HttpLog>>,
    config: Option<Arc<WebConfig>>,
    peer: Option<SocketAddr>,
}

impl HttpServer {
    /// Binds the address of the flags, and reads their web configuration; with a host, that is the host's to do.
    ///
    /// # Errors
    /// A failure that names the flag, and the file.
    pub async fn bind(args: &HttpArgs, context: &Context) -> Result<Self, Failure> {
        let (door, config) = match &context.guest {
            Some(guest) => (Door::Host(guest.clone()), None),
            None => {
                let config = args.web_config(context).await?.map(Arc::new);
                let encryption = Encryption::by_web_config(config.as_ref()).await?;
                let listener = Listener::bind(&args.http_address, "--http-address").await?;
                (Door::Own(listener.encrypted(encryption)), config)
            }
        };
        let lifetime = Lifetime {
            max_age: None,
            grace: args.http_grace_period.to_std(),
            entropy: Arc::clone(&context.entropy),
        };
        Ok(Self {
            door,
            lifetime,
            routes: common_routes(context),
            log: None,
            config,
        })
    }

    /// The address, with the port that was given; none if a host serves the routes.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.door {
            Door::Own(listener) => Some(listener.address()),
            Door::Host(_) => None,
        }
    }

    /// Logs requests as `log` says; those that a host takes are the host's to log.
    #[must_use]
    pub fn log_requests(mut self, log: &RequestLog, context: &Context) -> Self {
        if let Some(address) = self.address() {
            self.log = HttpLog::new(log.clone(), context, address.port());
        }
        self
    }

    /// Serves the common routes and `routes` until `shutdown`, then drains within the grace period
    /// of the flags. HTTP/1.1, and HTTP/2 by agreement or with prior knowledge.
    ///
    /// Common are `/metrics`, `/-/healthy`, `/-/ready` and those below `/debug/pprof`. With a host, `routes` are
    /// handed over to it, without the common ones, which it has itself.
    pub async fn serve(self, routes: Router, shutdown: CancellationToken) -> ShutdownReport {
        let listener = match self.door {
            Door::Own(listener) => listener,
            Door::Host(guest) => {
                guest.take_routes(routes);
                shutdown.cancelled().await;
                return ShutdownReport::default();
            }
        };
        let address = listener.address();
        tracing::info!(%address, "listening for requests and metrics");
        let http2 = self.config.as_ref().is_none_or(|config| config.http2());
        let requests = Requests {
            routes: self.routes.merge(routes),
            log: self.log,
            config: self.config,
            peer: None,
        };
        let connect = move |io: Io, executor| {
            let peer = peer(&io);
            let requests = Requests {
                peer,
                ..requests.clone()
            };
            let mut builder = auto::Builder::new(executor);
            if !http2 {
                builder = builder.http1_only();
            }
            builder
                .http1()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .http2()
                .timer(TokioTimer::new())
                .max_concurrent_streams(MAX_CONCURRENT_STREAMS);
            builder.serve_connection(io, requests).into_owned()
        };
        let report = listener.serve(self.lifetime, shutdown, connect).await;
        tracing::info!(%address, aborted = report.aborted.len(), "HTTP server is shut down");
        report
    }
}

impl hyper::service::Service<Request<Incoming>> for Requests {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let log = self.log.as_ref();
        let logged = log.and_then(|log| log.begin(&request, self.peer));
        let config = self.config.clone();
        let authorization = request.headers().get(AUTHORIZATION).cloned();
        let answer = self.routes.clone().oneshot(request.map(Body::new));
        Box::pin(async move {
            let response = match config {
                Some(config) => config.answer(authorization, answer).await,
                None => answer.await?,
            };
            let response = refusal::worded(response);
            Ok(match logged {
                Some(logged) => logged.answered(response),
                None => response,
            })
        })
    }
}

fn common_routes(context: &Context) -> Router {
    let healthy = |State(probe): State<Probe>| async move { answer(probe.is_healthy()) };
    let ready = |State(probe): State<Probe>| async move { answer(probe.is_ready()) };
    let probes = Router::new()
        .route("/-/healthy", get(healthy))
        .route("/-/ready", get(ready))
        .with_state(context.probe.clone());
    let metrics = Router::new()
        .route("/metrics", get(show_metrics))
        .with_state(context.registry.clone());
    probes.merge(metrics).merge(profile::routes(context))
}

fn answer(good: bool) -> Response {
    if good {
        "OK".into_response()
    } else {
        // The line end is that of Go's `http.Error`.
        (StatusCode::SERVICE_UNAVAILABLE, "NOT OK\n").into_response()
    }
}

async fn show_metrics(State(registry): State<Registry>, headers: HeaderMap) -> Response {
    let text = registry.render();
    let accepted = headers
        .get(ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok());
    let gzip = accepted.is_some_and(|value| {
        value
            .split(',')
            .any(|encoding| encoding.split(';').next().unwrap_or("").trim() == "gzip")
    });
    let mut response = if gzip {
        let mut response = Body::from(compress(text.as_bytes())).into_response();
        response
            .headers_mut()
            .insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        response
    } else {
        text.into_response()
    };
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(TEXT_FORMAT));
    response
}

fn compress(data: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = GzEncoder::new(Vec::with_capacity(data.len() / 8), Compression::fast());
    // Writing to memory cannot fail.
    encoder
        .write_all(data)
        .and_then(|()| encoder.finish())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
