//! One request and its answer, within bounds.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use rutile_model::ErrorKind;
use rutile_telemetry::span;
use rutile_telemetry::spans::{Instrument as _, hand_on};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tracing::field::Empty;
use url::Url;

use crate::config::Credentials;
use crate::error::root;
use crate::{Error, HttpConfig, Result};

/// Longest answer of the HTTP API that is taken, bytes.
const MAX_ANSWER: usize = 256 << 20;
/// Longest time until such an answer is there as a whole.
const ANSWER_WITHIN: Duration = Duration::from_secs(300);
/// What is read of an answer that tells of an error, bytes.
const MAX_ERROR_BODY: usize = 64 << 10;
/// What is shown of it, characters.
const MAX_ERROR_TEXT: usize = 512;

/// A Prometheus server. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Client {
    base: Url,
    http: reqwest::Client,
    credentials: Credentials,
}

/// The data of an answer, and what the server remarked about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    /// What was asked for.
    pub data: T,
    /// What may be missing in it.
    pub warnings: Vec<String>,
}

/// The envelope of the HTTP API.
#[derive(Deserialize)]
struct Envelope<T> {
    status: String,
    data: Option<T>,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Option<Vec<String>>,
}

/// What an error's envelope says.
#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl Client {
    /// A client of the server at `base`, whose path is put before all others. `user_agent` tells it who
    /// asks. Sends nothing.
    ///
    /// # Errors
    /// `Invalid`: not an HTTP URL, or a configuration that cannot be used.
    pub fn new(base: &str, config: &HttpConfig, user_agent: &str) -> Result<Self> {
        let wrong = |why: &str| {
            let message = format!("{base:?} is no URL of a Prometheus server: {why}");
            Error::invalid(format!("{message}; give one such as http://localhost:9090"))
        };
        let url = Url::parse(base).map_err(|error| wrong(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(wrong("its scheme must be http or https"));
        }
        Ok(Self {
            base: url,
            http: config.client(user_agent)?,
            credentials: config.credentials()?,
        })
    }

    /// Its address, without a password.
    #[must_use]
    pub fn address(&self) -> String {
        shown(&self.base)
    }

    /// The URL of `path` below the base, each of whose segments is encoded.
    pub(crate) fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        url.set_query(None);
        url.set_fragment(None);
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    /// A request with credentials.
    pub(crate) async fn request(&self, method: Method, url: &Url) -> Result<RequestBuilder> {
        let request = self.http.request(method, url.clone());
        let request = self.credentials.apply(request).await;
        request.map_err(|error| Error::new(error.kind(), format!("{}: {error}", shown(url))))
    }

    /// Asks the HTTP API. No data at all is `None`.
    pub(crate) async fn api<T: DeserializeOwned>(&self, url: &Url) -> Result<Answer<Option<T>>> {
        let body = self.get(url).await?;
        if body.is_empty() {
            // 204: there is nothing to tell.
            let (data, warnings) = (None, Vec::new());
            return Ok(Answer { data, warnings });
        }
        let envelope: Envelope<T> = serde_json::from_slice(&body).map_err(|error| {
            Error::corrupt(format!(
                "{}: not an answer of Prometheus's API: {error}",
                shown(url)
            ))
        })?;
        if envelope.status != "success" {
            let error = format!("{}: {}", shown(url), shortened(&envelope.error));
            return Err(Error::new(ErrorKind::Internal, error));
        }
        Ok(Answer {
            data: envelope.data,
            warnings: envelope.warnings.unwrap_or_default(),
        })
    }

    /// As [`Self::api`] where there must be data.
    pub(crate) async fn api_data<T: DeserializeOwned>(&self, url: &Url) -> Result<T> {
        let answer = self.api(url).await?;
        let missing = || Error::corrupt(format!("{}: the answer has no data", shown(url)));
        answer.data.ok_or_else(missing)
    }

    /// The whole body of the answer to a GET.
    pub(crate) async fn get(&self, url: &Url) -> Result<Bytes> {
        let answer = async {
            let request = self.request(Method::GET, url).await?;
            let response = send(request, url).await?;
            whole(response, url, MAX_ANSWER).await
        };
        within(ANSWER_WITHIN, url, answer).await
    }
}

/// Gives up after `limit`.
pub(crate) async fn within<T>(
    limit: Duration,
    url: &Url,
    answer: impl Future<Output = Result<T>>,
) -> Result<T> {
    tokio::time::timeout(limit, answer)
        .await
        .unwrap_or_else(|_| {
            let message = format!(
                "{}: no whole answer within {} s",
                shown(url),
                limit.as_secs()
            );
            Err(Error::new(ErrorKind::Unavailable, message))
        })
}

/// Sends a request; what is no success is an error with the server's words.
pub(crate) async fn send(request: RequestBuilder, url: &Url) -> Result<Response> {
    let span = span!(
        "prometheus",
        otel.name = format_args!("{} HTTP[client]", url.path()),
        otel.kind = "client",
        otel.status_code = Empty,
        http.url = shown(url),
    );
    let mut headers = HeaderMap::new();
    hand_on(&span, &mut headers);
    let sent = send_within(request.headers(headers), url);
    let sent = sent.instrument(span.clone()).await;
    if sent.is_err() {
        span.record("otel.status_code", "ERROR");
    }
    sent
}

async fn send_within(request: RequestBuilder, url: &Url) -> Result<Response> {
    let sent = request.send().await;
    let response = sent.map_err(|error| {
        let message = format!(
            "cannot reach {}: {}; is it running?",
            shown(url),
            root(&error)
        );
        Error::new(ErrorKind::Unavailable, message)
    })?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let body = beginning(response).await;
    let text = serde_json::from_slice(&body).map_or_else(
        |_| String::from_utf8_lossy(&body).trim().to_owned(),
        |refusal: Refusal| refusal.error,
    );
    let hint = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            "; check the credentials of --prometheus.http-client"
        }
        StatusCode::NOT_FOUND => "; is this a Prometheus server, and its path prefix in the URL?",
        _ => "",
    };
    let text = shortened(&text);
    let message = format!("{} answered {status}: {text}{hint}", shown(url));
    Err(Error::new(kind(status), message))
}

fn kind(status: StatusCode) -> ErrorKind {
    match status {
        StatusCode::BAD_REQUEST => ErrorKind::Invalid,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ErrorKind::Denied,
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => ErrorKind::NotFound,
        StatusCode::TOO_MANY_REQUESTS => ErrorKind::Exhausted,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            ErrorKind::Unavailable
        }
        _ => ErrorKind::Internal,
    }
}

/// The body, if it is no longer than `limit` bytes.
pub(crate) async fn whole(mut response: Response, url: &Url, limit: usize) -> Result<Bytes> {
    let mut body = Vec::new();
    while let Some(piece) = piece(&mut response, url).await? {
        if body.len().saturating_add(piece.len()) > limit {
            let message = format!("{}: the answer is longer than {limit} bytes", shown(url));
            return Err(Error::new(ErrorKind::Exhausted, message));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.into())
}

/// The next bytes of a body, in the order in which they come.
pub(crate) async fn piece(response: &mut Response, url: &Url) -> Result<Option<Bytes>> {
    response.chunk().await.map_err(|error| {
        let message = format!("{}: the answer breaks off: {}", shown(url), root(&error));
        Error::new(ErrorKind::Unavailable, message)
    })
}

/// What an error's answer begins with; what cannot be read is left out.
async fn beginning(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(piece)) = response.chunk().await {
        let room = MAX_ERROR_BODY.saturating_sub(body.len());
        body.extend(piece.into_iter().take(room));
        if body.len() >= MAX_ERROR_BODY {
            break;
        }
    }
    body
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(MAX_ERROR_TEXT).collect();
    if short.len() < text.len() {
        short.push_str(" …");
    }
    short
}

/// A URL for messages: without password, and without what was asked.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    if url.password().is_some() {
        // Fails only for URLs that have no password.
        url.set_password(None).ok();
    }
    url.to_string()
}

#[cfg(test)]
mod tests;
