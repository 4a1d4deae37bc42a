//! Answers: the envelope, its headers, and compression.

mod compress;
mod kept;

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use rutile_promql::Value;
use rutile_runtime::{CpuPool, Reservation};

use crate::error::{Failed, Result};
use crate::json::{Piece, Pieces, push_html_safe};
use compress::Compression;
use kept::Kept;

/// What every answer of this server needs to know of its request and of the settings.
#[derive(Debug, Clone, Copy)]
pub struct Headers {
    cors: bool,
    compression: Compression,
}

/// A result.
#[derive(Debug)]
pub struct Reply {
    /// What was asked for.
    pub data: Data,
    /// What is worth knowing about it: warnings and, as in Thanos, infos.
    pub warnings: Vec<String>,
    /// What it holds of the memory ledger; given back when it is sent.
    pub memory: Option<Arc<Reservation>>,
}

/// What was asked for.
#[derive(Debug)]
pub enum Data {
    /// The result of a query.
    Query(Box<QueryData>),
    /// JSON that is written already.
    Json(Vec<u8>),
    /// Nothing: the answer has no body.
    Nothing,
}

/// The result of a query and what is known about how it came about.
#[derive(Debug)]
pub struct QueryData {
    /// The result.
    pub value: Value,
    /// JSON of the statistics, if they were asked for.
    pub stats: Option<Vec<u8>>,
    /// JSON of what each part of the query came to, if it was asked for.
    pub analysis: Option<Vec<u8>>,
}

/// The text of an answer.
enum Text {
    Whole(Bytes),
    Pieces(Pieces),
}

impl Data {
    /// The JSON of a value that cannot fail to have one, and null if it does.
    #[must_use]
    pub fn json(value: &impl serde::Serialize) -> Self {
        Self::Json(crate::json::to_vec(value).unwrap_or_else(|_| b"null".to_vec()))
    }
}

impl Reply {
    /// A result without warnings.
    #[must_use]
    pub fn new(data: Data) -> Self {
        Self {
            data,
            warnings: Vec::new(),
            memory: None,
        }
    }
}

impl Headers {
    /// For a request with these headers, with or without CORS.
    #[must_use]
    pub fn new(request: &HeaderMap, cors: bool) -> Self {
        Self {
            cors,
            compression: Compression::accepted(request),
        }
    }

    /// The answer to a request. A result that may be partial is not to be cached. A long one is written on all
    /// threads of `cpu` while it is sent.
    #[must_use]
    pub fn respond(self, mut result: Result<Reply>, cpu: &CpuPool) -> Response {
        let memory = result.as_mut().ok().and_then(|reply| reply.memory.take());
        let (status, whole, is_cacheable) = match result {
            Ok(Reply {
                data: Data::Nothing,
                ..
            }) => return self.empty(),
            Ok(reply) => {
                let is_cacheable = reply
                    .warnings
                    .iter()
                    .all(|warning| is_of_the_query(warning));
                (StatusCode::OK, reply.into_text(), is_cacheable)
            }
            Err(failed) => (failed.kind.status(), failed.into_text(), false),
        };
        let mut response = self.body(whole, cpu);
        if let Some(memory) = memory {
            response = response.map(|body| Body::new(Kept::new(body, memory)));
        }
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        if !is_cacheable {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        self.with_cors(response)
    }

    /// An answer without a body: 204.
    fn empty(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        self.with_cors(response)
    }

    fn body(self, text: Text, cpu: &CpuPool) -> Response {
        let (first, rest) = match text {
            Text::Whole(bytes) => (bytes, None),
            Text::Pieces(mut pieces) => {
                let first = pieces.next().map(Piece::write).unwrap_or_default();
                (first, Some(pieces.peekable()))
            }
        };
        let rest = rest.and_then(|mut rest| rest.peek().is_some().then_some(rest));
        let whole = rest.is_none().then_some(first.len());
        let encoder = self.compression.for_length(whole).encoder();
        let name = encoder.as_ref().map(compress::Encoder::name);
        let plain = rest.map(|rest| written(rest, cpu.clone()));
        let mut response = match (encoder, plain) {
            (None, None) => Response::new(Body::from(first)),
            (encoder, plain) => {
                let first = stream::once(async { first });
                let all = first.chain(stream::iter(plain).flatten());
                Response::new(match encoder {
                    None => Body::from_stream(all.map(std::io::Result::Ok)),
                    Some(encoder) => Body::from_stream(compress::pieces(encoder, all)),
                })
            }
        };
        let headers = response.headers_mut();
        headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        if let Some(name) = name {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
        }
        response
    }

    fn with_cors(self, mut response: Response) -> Response {
        let pairs: [(HeaderName, &'static str); 4] = [
            (
                header::ACCESS_CONTROL_ALLOW_HEADERS,
                "Accept, Accept-Encoding, Authorization, Content-Type, Origin",
            ),
            (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
            (header::ACCESS_CONTROL_EXPOSE_HEADERS, "Date"),
        ];
        if self.cors {
            for (name, value) in pairs {
                response
                    .headers_mut()
                    .insert(name, HeaderValue::from_static(value));
            }
        }
        response
    }
}

/// Pieces as they are sent: a few are written ahead.
fn written(
    pieces: impl Iterator<Item = Piece> + Send + 'static,
    cpu: CpuPool,
) -> impl Stream<Item = Bytes> + Send {
    let ahead = cpu.threads();
    let write = move |piece: Piece| {
        let cpu = cpu.clone();
        async move { cpu.run(move || piece.write()).await }
    };
    stream::iter(pieces).map(write).buffered(ahead)
}

/// Whether a warning is about the query itself, and not about what is missing in its result.
fn is_of_the_query(warning: &str) -> bool {
    warning.starts_with("PromQL warning") || warning.starts_with("PromQL info")
}

impl Reply {
    fn into_text(self) -> Text {
        let mut before = b"{\"status\":\"success\",\"data\":".to_vec();
        let mut behind = Vec::new();
        if !self.warnings.is_empty() {
            behind.extend_from_slice(b",\"warnings\":[");
            for (i, warning) in self.warnings.iter().enumerate() {
                if i > 0 {
                    behind.push(b',');
                }
                push_html_safe(&mut behind, warning);
            }
            behind.push(b']');
        }
        behind.push(b'}');
        match self.data {
            Data::Query(data) => Text::Pieces(data.into_pieces(before, &behind)),
            Data::Json(json) => {
                before.extend(json);
                before.append(&mut behind);
                Text::Whole(Bytes::from(before))
            }
            Data::Nothing => Text::Whole(Bytes::new()),
        }
    }
}

impl QueryData {
    fn into_pieces(self, mut before: Vec<u8>, behind: &[u8]) -> Pieces {
        let kind = match &self.value {
            Value::Scalar { .. } => "scalar",
            Value::String { .. } => "string",
            Value::Vector(_) => "vector",
            Value::Matrix(_) => "matrix",
        };
        before.extend_from_slice(b"{\"resultType\":\"");
        before.extend_from_slice(kind.as_bytes());
        before.extend_from_slice(b"\",\"result\":");
        let mut after = Vec::new();
        if let Some(stats) = self.stats {
            after.extend_from_slice(b",\"stats\":");
            after.extend(stats);
        }
        after.extend_from_slice(b",\"analysis\":");
        // Thanos has an empty one where there is none.
        after.extend(self.analysis.unwrap_or_else(|| b"{}".to_vec()));
        after.push(b'}');
        after.extend_from_slice(behind);
        Pieces::new(before, self.value, after)
    }
}

impl Failed {
    fn into_text(self) -> Text {
        let mut out = b"{\"status\":\"error\",\"errorType\":".to_vec();
        push_html_safe(&mut out, self.kind.as_str());
        out.extend_from_slice(b",\"error\":");
        push_html_safe(&mut out, &self.message);
        out.push(b'}');
        Text::Whole(Bytes::from(out))
    }
}

#[cfg(test)]
mod tests;
