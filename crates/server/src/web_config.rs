//! The web configuration of `--http.config`: TLS, users, headers and a rate for the HTTP server.
//!
//! The file is that of the reference (exporter-toolkit). It is read again for each request and each connection; what
//! changed holds from then on, but for TLS and HTTP/2 being on or off, and the rate. While the file cannot be used,
//! requests are answered with 500: whom it lets in is not known.

mod document;
mod rate;
mod users;

use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use rutile_model::ErrorKind;
use rutile_runtime::Entropy;
use tokio::io::AsyncReadExt;

use self::rate::{Rate, RateLimit};
use self::users::{Logins, Users, Verdict};
use crate::failure::Failure;
use crate::tls::TlsSettings;

/// The longest file that is read.
const MAX_BYTES: u64 = 4 << 20;

/// A file that is read again and again, and what requests are checked with.
#[derive(Debug)]
pub(crate) struct WebConfig {
    path: PathBuf,
    last: Mutex<Last>,
    logins: Logins,
    http2: bool,
    rate: Option<RateLimit>,
}

/// What the file says.
#[derive(Debug)]
pub(crate) struct WebSettings {
    pub(crate) tls: Option<TlsSettings>,
    http2: bool,
    /// Headers of every answer that has none of that name.
    headers: Vec<(HeaderName, HeaderValue)>,
    users: Users,
    rate: Option<Rate>,
}

/// The text that was read last, and what came of it.
struct Last {
    text: Vec<u8>,
    settings: Result<Arc<WebSettings>, String>,
}

impl WebConfig {
    /// Reads the file.
    ///
    /// # Errors
    /// A failure that names the file, the place in it, and what is wrong.
    pub(crate) async fn open(path: &str, entropy: &dyn Entropy) -> Result<Self, Failure> {
        let mut config = Self {
            path: PathBuf::from(path),
            last: Mutex::new(Last {
                text: Vec::new(),
                settings: Err(String::new()),
            }),
            logins: Logins::new(entropy),
            http2: true,
            rate: None,
        };
        let settings = config.settings().await?;
        config.http2 = settings.http2;
        config.rate = settings.rate.map(RateLimit::new);
        Ok(config)
    }

    /// Whether HTTP/2 is spoken, as the file said at the start.
    pub(crate) fn http2(&self) -> bool {
        self.http2
    }

    /// What the file says now.
    ///
    /// # Errors
    /// A failure that names the file, the place in it, and what is wrong. It is logged when it is new.
    pub(crate) async fn settings(&self) -> Result<Arc<WebSettings>, Failure> {
        let read = self.read().await;
        let mut last = self.last.lock();
        let settings = match read {
            Ok(text) if text == last.text && last.settings.is_ok() => last.settings.clone(),
            Ok(text) => {
                let settings = self.parse(&text);
                last.text = text;
                settings
            }
            Err(error) => Err(error),
        };
        if let Err(error) = &settings
            && last.settings.is_ok()
        {
            tracing::error!(err = %error, "the web configuration cannot be used any more");
        }
        last.settings.clone_from(&settings);
        settings.map_err(|message| Failure::message(ErrorKind::Invalid, message))
    }

    /// Answers a request that has this `Authorization` with what `handle` makes of it, if the configuration lets it in.
    pub(crate) async fn answer<H>(&self, authorization: Option<HeaderValue>, handle: H) -> Response
    where
        H: Future<Output = Result<Response, Infallible>>,
    {
        let Ok(settings) = self.settings().await else {
            return refusal(StatusCode::INTERNAL_SERVER_ERROR);
        };
        if self.rate.as_ref().is_some_and(|rate| !rate.allows()) {
            return refusal(StatusCode::TOO_MANY_REQUESTS);
        }
        let verdict = self.logins.check(&settings.users, authorization.as_ref());
        let mut response = match verdict.await {
            Verdict::LetIn => match handle.await {
                Ok(response) => response,
                Err(never) => match never {},
            },
            Verdict::Unknown => {
                let mut response = refusal(StatusCode::UNAUTHORIZED);
                let basic = HeaderValue::from_static("Basic");
                response.headers_mut().insert(WWW_AUTHENTICATE, basic);
                response
            }
            Verdict::Busy => refusal(StatusCode::SERVICE_UNAVAILABLE),
        };
        for (name, value) in &settings.headers {
            let entry = response.headers_mut().entry(name.clone());
            entry.or_insert_with(|| value.clone());
        }
        response
    }

    async fn read(&self) -> Result<Vec<u8>, String> {
        let read = async {
            let mut text = Vec::new();
            let file = tokio::fs::File::open(&self.path).await?;
            file.take(MAX_BYTES + 1).read_to_end(&mut text).await?;
            std::io::Result::Ok(text)
        };
        let text = read
            .await
            .map_err(|error| self.wrong(&format!("cannot be read: {error}")))?;
        if text.len() as u64 > MAX_BYTES {
            return Err(self.wrong(&format!("is longer than {MAX_BYTES} bytes")));
        }
        Ok(text)
    }

    fn parse(&self, text: &[u8]) -> Result<Arc<WebSettings>, String> {
        let text = std::str::from_utf8(text).map_err(|_| self.wrong("is not UTF-8"))?;
        // Paths in it are relative to where it lies.
        let folder = self.path.parent().unwrap_or(&self.path);
        let settings = document::parse(text, folder);
        settings
            .map(Arc::new)
            .map_err(|failure| self.wrong(&format!("is wrong: {failure}")))
    }

    fn wrong(&self, what: &str) -> String {
        format!("the file {} of --http.config {what}", self.path.display())
    }
}

/// A status and its words, as Go's `http.Error` sends them.
fn refusal(status: StatusCode) -> Response {
    let words = format!("{}\n", status.canonical_reason().unwrap_or_default());
    let mut response = (status, Body::from(words)).into_response();
    let headers = response.headers_mut();
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(CONTENT_TYPE, text);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

impl fmt::Debug for Last {
    /// Leaves the text out, which may hold a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Last")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
