//! One file of the page as an answer: compressed once, with what caches need to know.

use std::io::Write;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use xxhash_rust::xxh64::xxh64;

/// Nothing but files of this server, no script or style within the page, no page of others around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/// How long a browser may keep a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// The name changes with the content.
    Forever,
    /// It is asked for again each time, and answered with `304 Not Modified` while it is the same.
    AskAgain,
}

/// A file that can be sent.
#[derive(Debug)]
pub(crate) struct Asset {
    content_type: &'static str,
    cache: &'static str,
    digest: u64,
    plain: Encoded,
    compressed: Encoded,
}

#[derive(Debug)]
struct Encoded {
    bytes: Bytes,
    /// The entity tag, in its quotes.
    tag: String,
}

impl Asset {
    pub(crate) fn new(name: &str, content: Vec<u8>, lifetime: Lifetime) -> Self {
        let digest = xxh64(&content, 0);
        Self {
            content_type: content_type(name),
            cache: match lifetime {
                Lifetime::Forever => "public, max-age=31536000, immutable",
                Lifetime::AskAgain => "no-cache",
            },
            digest,
            compressed: Encoded {
                bytes: gzip(&content).into(),
                tag: format!("\"{digest:016x}-gzip\""),
            },
            plain: Encoded {
                bytes: content.into(),
                tag: format!("\"{digest:016x}\""),
            },
        }
    }

    /// A number that changes with the content.
    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    /// The answer to a request with these headers.
    pub(crate) fn answer(&self, headers: &HeaderMap) -> Response {
        let gzip = accepts_gzip(headers);
        let encoded = if gzip { &self.compressed } else { &self.plain };
        let mut response = match has(headers, &encoded.tag) {
            true => StatusCode::NOT_MODIFIED.into_response(),
            false => Body::from(encoded.bytes.clone()).into_response(),
        };
        let mut set = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                response.headers_mut().insert(name, value);
            }
        };
        set(header::CONTENT_TYPE, self.content_type);
        set(header::CACHE_CONTROL, self.cache);
        set(header::ETAG, &encoded.tag);
        set(header::VARY, "Accept-Encoding");
        set(header::CONTENT_SECURITY_POLICY, POLICY);
        set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        set(header::REFERRER_POLICY, "same-origin");
        if gzip {
            set(header::CONTENT_ENCODING, "gzip");
        }
        response
    }
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("md") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    // Writing to memory does not fail.
    let written = encoder.write_all(content).and_then(|()| encoder.finish());
    written.unwrap_or_default()
}

/// Whether the client takes gzip: it is named, and not with the weight zero.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    listed(headers, &header::ACCEPT_ENCODING).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let refused = weight
            .trim()
            .strip_prefix("q=")
            .and_then(|q| q.parse().ok())
            .is_some_and(|q: f32| q <= 0.0);
        name.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

/// Whether the client has the file of this tag already.
fn has(headers: &HeaderMap, tag: &str) -> bool {
    listed(headers, &header::IF_NONE_MATCH)
        .any(|given| given == "*" || given.trim_start_matches("W/") == tag)
}

/// The parts of a header that is a list.
fn listed<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}
