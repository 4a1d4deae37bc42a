//! The gRPC server: own accept loop, health, reflection, metrics, recovery from panics.
//!
//! HTTP/2, with TLS if the flags say so. It promises bounded numbers of connections and of calls on each, calls that
//! end when their client goes away, and a drain with a limit. It never looks into messages.

mod body;
mod methods;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use futures::FutureExt;
use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper_util::rt::TokioTimer;
use rutile_runtime::{CancellationToken, ShutdownReport};
use rutile_telemetry::spans::Instrument as _;
use tonic::server::NamedService;
use tonic::service::{Routes, RoutesBuilder};
use tonic::{Code, Status};
use tonic_health::pb::health_server::HealthServer;
use tower::{Service, ServiceExt};

use self::body::{CallBody, CountedRequest};
use self::methods::{Call, Methods};
use crate::component::Context;
use crate::failure::Failure;
use crate::flags::GrpcArgs;
use crate::health::HealthService;
use crate::listener::{Io, Lifetime, Listener, peer};
use crate::request_log::{GrpcLog, RequestLog};
use crate::tls::Encryption;

/// The largest message in either direction, as in the reference: set it on every service with
/// `max_decoding_message_size` and `max_encoding_message_size`.
pub const MAX_MESSAGE_BYTES: usize = i32::MAX as usize;

/// Calls at a time on one connection. Further ones wait in the client, as HTTP/2 has it.
const MAX_CONCURRENT_STREAMS: u32 = 1024;
/// What a client may send ahead on one call, and on one connection. The default of 64 KiB halves
/// the speed of large writes over any distance.
const STREAM_WINDOW_BYTES: u32 = 2 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;
/// The largest frame a client may send.
const MAX_FRAME_BYTES: u32 = 256 << 10;
/// What one call may have waiting for its client to read.
const SEND_BUFFER_BYTES: usize = 256 << 10;
/// How long a connection may be silent before it is asked whether it is there, and how long it may
/// take to say so.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(60);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Calls that a client opens and resets faster than they are accepted; more end the connection
/// (CVE-2023-44487).
const MAX_PENDING_RESETS: usize = 64;

/// A bound gRPC server.
#[derive(Debug)]
pub struct GrpcServer {
    listener: Listener,
    lifetime: Lifetime,
    context: Context,
    log: Option<Arc<GrpcLog>>,
}

/// The services of a component and the descriptors of their protos.
#[derive(Debug, Default, Clone)]
pub struct GrpcServices {
    routes: RoutesBuilder,
    names: Vec<&'static str>,
    descriptors: Vec<&'static [u8]>,
}

/// Handles the calls of one connection.
#[derive(Debug, Clone)]
struct Calls {
    router: Router,
    methods: Arc<Methods>,
    peer: Option<SocketAddr>,
}

impl GrpcServer {
    /// Binds the address of the flags, and reads their certificates.
    ///
    /// # Errors
    /// A failure that names the flag, and the file.
    pub async fn bind(args: &GrpcArgs, context: &Context) -> Result<Self, Failure> {
        args.validate()?;
        let encryption = match args.tls_settings() {
            Some(settings) => Some(Encryption::by_flags(settings).await?),
            None => None,
        };
        let listener = Listener::bind(&args.grpc_address, "--grpc-address").await?;
        let listener = listener.encrypted(encryption);
        if let Some(guest) = &context.guest {
            guest.take_grpc(listener.address());
        }
        let age = args.grpc_server_max_connection_age.to_std();
        let lifetime = Lifetime {
            max_age: (!age.is_zero()).then_some(age),
            grace: args.grpc_grace_period.to_std(),
            entropy: Arc::clone(&context.entropy),
        };
        Ok(Self {
            listener,
            lifetime,
            context: context.clone(),
            log: None,
        })
    }

    /// Logs calls as `log` says. A call to a method that is not served is not logged.
    #[must_use]
    pub fn log_requests(mut self, log: &RequestLog) -> Self {
        self.log = GrpcLog::new(log.clone(), &self.context);
        self
    }

    /// The address, with the port that was given.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Serves `services`, health and reflection until `shutdown`, then drains within the grace
    /// period of the flags.
    ///
    /// # Errors
    /// A failure if a set of descriptors cannot be read.
    pub async fn serve(
        self,
        services: GrpcServices,
        shutdown: CancellationToken,
    ) -> Result<ShutdownReport, Failure> {
        let calls = services.into_calls(&self.context, self.log.as_ref())?;
        let address = self.listener.address();
        tracing::info!(%address, "listening for serving gRPC");
        let connect = move |io: Io, executor| {
            let mut calls = calls.clone();
            calls.peer = peer(&io);
            http2::Builder::new(executor)
                .timer(TokioTimer::new())
                .initial_stream_window_size(STREAM_WINDOW_BYTES)
                .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
                .max_frame_size(MAX_FRAME_BYTES)
                .max_send_buf_size(SEND_BUFFER_BYTES)
                .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
                .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
                .keep_alive_interval(KEEP_ALIVE_INTERVAL)
                .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
                .serve_connection(io, calls)
        };
        let report = self.listener.serve(self.lifetime, shutdown, connect).await;
        tracing::info!(%address, aborted = report.aborted.len(), "gRPC server is shut down");
        Ok(report)
    }
}

impl GrpcServices {
    /// No services yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a service; lift its message limits to [`MAX_MESSAGE_BYTES`] before.
    #[must_use]
    pub fn add_service<S>(mut self, service: S) -> Self
    where
        S: Service<Request<tonic::body::Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Response: axum::response::IntoResponse,
        S::Future: Send + 'static,
    {
        self.routes.add_service(service);
        self.names.push(S::NAME);
        self
    }

    /// Adds an encoded `FileDescriptorSet` that describes services, for reflection and metrics.
    #[must_use]
    pub fn descriptors(mut self, encoded: &'static [u8]) -> Self {
        self.descriptors.push(encoded);
        self
    }

    fn into_calls(self, context: &Context, log: Option<&Arc<GrpcLog>>) -> Result<Calls, Failure> {
        let services = self
            .add_service(HealthServer::new(HealthService::new(context.probe.clone())))
            .descriptors(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .descriptors(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
            .descriptors(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET);
        let wrong = |error: tonic_reflection::server::Error| {
            Failure::new(rutile_model::ErrorKind::Internal, &error)
        };
        let reflection = || {
            let mut builder =
                tonic_reflection::server::Builder::configure().include_reflection_service(false);
            for set in &services.descriptors {
                builder = builder.register_encoded_file_descriptor_set(set);
            }
            for name in &services.names {
                builder = builder.with_service_name(*name);
            }
            builder
        };
        let (v1, v1alpha) = (reflection().build_v1(), reflection().build_v1alpha());
        let services = services
            .add_service(v1.map_err(wrong)?)
            .add_service(v1alpha.map_err(wrong)?);
        let methods = Methods::new(
            &services.descriptors,
            &services.names,
            &context.registry,
            log,
        )?;
        let routes: Routes = services.routes.routes();
        Ok(Calls {
            router: routes.prepare().into_axum_router(),
            methods: Arc::new(methods),
            peer: None,
        })
    }
}

impl hyper::service::Service<Request<Incoming>> for Calls {
    type Response = Response<CallBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let deadline = deadline(request.headers());
        let call = self.methods.begin(&request, deadline, self.peer);
        let request = request.map(|body| Body::new(CountedRequest::new(body, call.received())));
        let handler = AssertUnwindSafe(self.router.clone().oneshot(request)).catch_unwind();
        let handler = handler.instrument(call.span());
        let panics = self.methods.panics();
        Box::pin(async move {
            let outcome = match deadline {
                Some(deadline) => tokio::time::timeout(deadline, handler).await,
                None => Ok(handler.await),
            };
            let response = match outcome {
                Ok(Ok(Ok(response))) => response,
                Ok(Err(panic)) => {
                    panics.inc();
                    body::report_panic(panic.as_ref());
                    Status::internal(body::PANIC).into_http()
                }
                Err(_) => Status::deadline_exceeded("deadline exceeded").into_http(),
            };
            Ok(answer(response, call, panics))
        })
    }
}

/// Puts the call's bookkeeping around the body. An answer that is over with its head is booked now.
fn answer(
    response: Response<Body>,
    mut call: Call,
    panics: rutile_telemetry::IntCounter,
) -> Response<CallBody> {
    call.finish_from(response.headers());
    response.map(|body| CallBody::new(body, call, panics))
}

fn grpc_code(headers: &HeaderMap) -> Option<Code> {
    headers
        .get("grpc-status")
        .map(|value| Code::from_bytes(value.as_bytes()))
}

/// The time that a call may take: `grpc-timeout`, up to eight digits and a unit (gRPC over HTTP/2,
/// "Request-Headers"). What cannot be read is no limit.
fn deadline(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let unit = text.chars().last()?;
    let digits = text.strip_suffix(unit)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        'H' => Duration::from_secs(count * 3600),
        'M' => Duration::from_secs(count * 60),
        'S' => Duration::from_secs(count),
        'm' => Duration::from_millis(count),
        'u' => Duration::from_micros(count),
        'n' => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
