//! A proxy before the S3 server that fails requests at random, as real object stores do.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, BodyStream, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rand::RngExt as _;
use tokio::net::TcpListener;

/// Where the proxy itself is spoken to. No bucket has such a name.
pub(crate) const CONTROL: &str = "/-/faults";
/// Where it tells of itself.
const METRICS: &str = "/metrics";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where it listens.
    #[arg(long, default_value = "0.0.0.0:9000")]
    listen: SocketAddr,
    /// The S3 server.
    #[arg(long)]
    server: String,
}

type Body = UnsyncBoxBody<Bytes, anyhow::Error>;

/// What happens to a request. Each is a probability, but for the delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// Refused: slow down.
    Throttle,
    /// Refused: internal error.
    Fail,
    /// The connection is closed before the request has an effect.
    Drop,
    /// The request has its effect, and the connection is closed without an answer.
    Lose,
    /// The connection is closed in the middle of the answer.
    Cut,
}

impl Fault {
    const ALL: [(&str, Self); 5] = [
        ("throttle", Self::Throttle),
        ("fail", Self::Fail),
        ("drop", Self::Drop),
        ("lose", Self::Lose),
        ("cut", Self::Cut),
    ];
}

#[derive(Debug)]
struct Proxy {
    server: String,
    client: reqwest::Client,
    rules: Mutex<BTreeMap<String, f64>>,
    /// How many of each there were, and of all requests.
    counts: Mutex<BTreeMap<&'static str, u64>>,
}

/// Serves until the process ends.
pub(crate) async fn serve(args: Args) -> Result<()> {
    let proxy = Arc::new(Proxy {
        server: args.server,
        client: crate::probe::client().build()?,
        rules: Mutex::default(),
        counts: Mutex::default(),
    });
    let listener = TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("listen on {}", args.listen))?;
    loop {
        let (stream, _) = listener.accept().await?;
        let proxy = Arc::clone(&proxy);
        tokio::spawn(async move {
            let answer = service_fn(|request| proxy.answer(request));
            let connection = hyper::server::conn::http1::Builder::new();
            // A connection that a fault closes ends with an error: that is its purpose.
            let served = connection.serve_connection(TokioIo::new(stream), answer);
            served.await.ok();
        });
    }
}

impl Proxy {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>> {
        match request.uri().path() {
            CONTROL => return self.control(request).await,
            METRICS => return Ok(Response::new(whole(self.metrics()))),
            _ => {}
        }
        self.count("requests");
        let delay = self.rules.lock().get("delay").copied().unwrap_or(0.0);
        if delay > 0.0 {
            let seconds = rand::rng().random_range(0.0..2.0 * delay);
            tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
        }
        match self.choose() {
            Some(Fault::Throttle) => refuse(StatusCode::SERVICE_UNAVAILABLE, "SlowDown"),
            Some(Fault::Fail) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
            Some(Fault::Drop) => Err(anyhow!("dropped")),
            Some(Fault::Lose) => {
                self.forward(request).await?;
                Err(anyhow!("lost"))
            }
            Some(Fault::Cut) => Ok(cut(self.forward(request).await?)),
            None => self.forward(request).await,
        }
    }

    fn choose(&self) -> Option<Fault> {
        let rules = self.rules.lock().clone();
        let (name, fault) = Fault::ALL.into_iter().find(|(name, _)| {
            let probability = rules.get(*name).copied().unwrap_or(0.0);
            rand::rng().random_bool(probability.clamp(0.0, 1.0))
        })?;
        self.count(name);
        Some(fault)
    }

    fn count(&self, what: &'static str) {
        *self.counts.lock().entry(what).or_default() += 1;
    }

    /// How many faults there were.
    fn metrics(&self) -> Vec<u8> {
        let counts = self.counts.lock();
        let faults = Fault::ALL.iter().map(|(kind, _)| {
            let count = counts.get(kind).copied().unwrap_or(0);
            format!("faults_total{{kind=\"{kind}\"}} {count}\n")
        });
        faults.collect::<String>().into_bytes()
    }

    /// PUT sets the rules, GET tells the counts.
    async fn control(&self, request: Request<Incoming>) -> Result<Response<Body>> {
        if request.method() == Method::PUT {
            let body = request.into_body().collect().await?.to_bytes();
            *self.rules.lock() = serde_json::from_slice(&body)?;
        }
        let counts = serde_json::to_vec(&*self.counts.lock())?;
        Ok(Response::new(whole(counts)))
    }

    async fn forward(&self, request: Request<Incoming>) -> Result<Response<Body>> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let frames = BodyStream::new(body).try_filter_map(async |frame| Ok(frame.into_data().ok()));
        let mut sent = self
            .client
            .request(parts.method, format!("http://{}{path}", self.server))
            .headers(parts.headers.clone());
        // A body of known length must stay one: S3 takes no other.
        if parts.headers.contains_key(http::header::CONTENT_LENGTH)
            || parts.headers.contains_key(http::header::TRANSFER_ENCODING)
        {
            sent = sent.body(reqwest::Body::wrap_stream(frames));
        }
        let answer = sent.send().await?;
        let mut response = Response::builder().status(answer.status());
        if let Some(headers) = response.headers_mut() {
            headers.clone_from(answer.headers());
            headers.remove(http::header::TRANSFER_ENCODING);
        }
        let data = answer.bytes_stream().map_ok(Frame::data);
        Ok(response.body(BodyExt::boxed_unsync(StreamBody::new(
            data.map_err(anyhow::Error::from),
        )))?)
    }
}

fn refuse(status: StatusCode, code: &str) -> Result<Response<Body>> {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>");
    Ok(Response::builder()
        .status(status)
        .body(whole(body.into()))?)
}

/// The answer, of which only the first piece arrives, and not all of that.
fn cut(response: Response<Body>) -> Response<Body> {
    let (parts, body) = response.into_parts();
    let frames = BodyStream::new(body).map_ok(|frame| match frame.into_data() {
        Ok(data) => Frame::data(data.slice(..data.len() / 2)),
        Err(frame) => frame,
    });
    let end = futures::stream::once(async { Err(anyhow!("cut")) });
    let frames = frames.take(1).chain(end);
    Response::from_parts(parts, BodyExt::boxed_unsync(StreamBody::new(frames)))
}

fn whole(body: Vec<u8>) -> Body {
    BodyExt::boxed_unsync(Full::from(body).map_err(|never| match never {}))
}
