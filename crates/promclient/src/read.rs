//! Remote read: chunks as Prometheus stores them, as a stream.
//!
//! Asks for streamed chunks, and takes samples from a server that knows nothing else: those are
//! encoded into chunks here. Promises: chunks are of encodings that every StoreAPI peer knows, frames
//! have a bound and a correct checksum, and an answer that ends early is an error.
//!
//! Source of the protocol: Prometheus, `prompb/remote.proto` and `storage/remote/chunked.go`.

mod deframer;
mod samples;

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use prost::Message;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Response};
use rutile_chunk::{Chunk, Encoding, WireEncoding, transcode_for_thanos};
use rutile_model::{Labels, MatchOp, Matcher};
use rutile_proto::prometheus_copy::read_request::ResponseType;
use rutile_proto::prometheus_copy::{
    Chunk as WireChunk, ChunkedReadResponse, ChunkedSeries, Query, ReadRequest,
};
use rutile_proto::thanos::label_matcher::Type;
use rutile_proto::thanos::{Label, LabelMatcher};
use url::Url;

use crate::client::{piece, send, shown};
use crate::{Client, Error, Result, Selection};

pub use self::deframer::{Deframer, MAX_FRAME_BYTES};

/// The version of the protocol, as all clients say it.
const VERSION: (&str, &str) = ("x-prometheus-remote-read-version", "0.1.0");
/// Content types, without their parameters.
const SAMPLES: &str = "application/x-protobuf";
const CHUNKS: &str = "application/x-streamed-protobuf";

/// The answer to a remote read. Ends after the first error; dropping it ends the call.
pub type ReadStream = BoxStream<'static, Result<Frame>>;

/// What came at a time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Frame {
    /// In the server's order. A series may go on in the next frame.
    pub series: Vec<ReadSeries>,
    /// What could not be taken over.
    pub warnings: Vec<String>,
    /// The memory that the chunks hold, bytes.
    pub bytes: usize,
}

/// A series, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadSeries {
    /// As the server has them: without external labels.
    pub labels: Labels,
    /// By start; they may overlap.
    pub chunks: Vec<ReadChunk>,
}

/// Samples of a series, encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadChunk {
    /// Time of the first sample, ms.
    pub min_time: i64,
    /// Time of the last sample, ms.
    pub max_time: i64,
    /// How `data` is encoded.
    pub encoding: WireEncoding,
    /// Without length and checksum.
    pub data: Bytes,
}

impl Client {
    /// The series of `selection` with their chunks.
    ///
    /// # Errors
    /// What is known before the first frame, as [`Client::series`]; later errors are items of the stream.
    pub async fn read(&self, selection: &Selection) -> Result<ReadStream> {
        let url = self.url(&["api", "v1", "read"]);
        let body = snap::raw::Encoder::new()
            .compress_vec(&request(selection).encode_to_vec())
            .map_err(|error| Error::invalid(format!("{}: {error}", shown(&url))))?;
        let request = self
            .request(Method::POST, &url)
            .await?
            .header(CONTENT_ENCODING, "snappy")
            .header(CONTENT_TYPE, "application/x-protobuf")
            .header(VERSION.0, VERSION.1)
            .body(body);
        let response = send(request, &url).await?;
        let content_type = response.headers().get(CONTENT_TYPE);
        match content_type.map_or("", media_type) {
            CHUNKS => Ok(chunks(response, url)),
            SAMPLES => {
                let answer = async move { samples::read(response, &url).await };
                Ok(stream::once(answer).boxed())
            }
            other => Err(Error::corrupt(format!(
                "{} answered with content type {other:?}: neither chunks ({CHUNKS}) nor samples \
                 ({SAMPLES}) of remote read",
                shown(&url)
            ))),
        }
    }
}

fn media_type(value: &HeaderValue) -> &str {
    let text = value.to_str().unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim()
}

fn request(selection: &Selection) -> ReadRequest {
    ReadRequest {
        queries: vec![Query {
            start_timestamp_ms: selection.min_time,
            end_timestamp_ms: selection.max_time,
            matchers: selection.matchers.iter().map(matcher).collect(),
        }],
        accepted_response_types: vec![
            ResponseType::StreamedXorChunks.into(),
            ResponseType::Samples.into(),
        ],
    }
}

fn matcher(matcher: &Matcher) -> LabelMatcher {
    let kind = match matcher.op() {
        MatchOp::Equal => Type::Eq,
        MatchOp::NotEqual => Type::Neq,
        MatchOp::Regex => Type::Re,
        MatchOp::NotRegex => Type::Nre,
    };
    LabelMatcher {
        r#type: kind.into(),
        name: matcher.name().to_owned(),
        value: matcher.value().to_owned(),
    }
}

/// The frames of a streamed answer.
fn chunks(response: Response, url: Url) -> ReadStream {
    let url = Arc::new(url);
    let state = (response, Deframer::default());
    let of = Arc::clone(&url);
    let messages = stream::try_unfold(state, move |(mut response, mut deframer)| {
        let url = Arc::clone(&of);
        async move {
            loop {
                if let Some(message) = deframer.message().map_err(|error| of_url(&url, &error))? {
                    return Ok(Some((message, (response, deframer))));
                }
                match piece(&mut response, &url).await? {
                    Some(piece) => deframer.push(piece),
                    None => {
                        deframer.end().map_err(|error| of_url(&url, &error))?;
                        return Ok(None);
                    }
                }
            }
        }
    });
    let decode = move |message: Bytes| {
        let decoded = frame(message).map_err(|error| of_url(&url, &error));
        futures::future::ready(decoded)
    };
    messages.and_then(decode).boxed()
}

fn of_url(url: &Url, error: &Error) -> Error {
    Error::new(error.kind(), format!("{}: {error}", shown(url)))
}

/// Decodes one message. Chunks stay slices of it.
fn frame(message: Bytes) -> Result<Frame> {
    let bytes = message.len();
    let decoded = ChunkedReadResponse::decode(message).map_err(|error| {
        Error::corrupt(format!("cannot decode a frame of remote read: {error}"))
    })?;
    let series = decoded.chunked_series.into_iter();
    Ok(Frame {
        series: series.map(read_series).collect::<Result<_>>()?,
        warnings: Vec::new(),
        bytes,
    })
}

fn read_series(series: ChunkedSeries) -> Result<ReadSeries> {
    let labels = labels(&series.labels);
    let chunks = series
        .chunks
        .into_iter()
        .map(|chunk| read_chunk(chunk, &labels));
    let chunks = chunks.collect::<Result<_>>()?;
    Ok(ReadSeries { labels, chunks })
}

fn labels(labels: &[Label]) -> Labels {
    let pairs = labels.iter();
    pairs.map(|label| (&label.name, &label.value)).collect()
}

/// Takes a chunk over; encodings that peers do not know are written anew.
fn read_chunk(chunk: WireChunk, labels: &Labels) -> Result<ReadChunk> {
    let encoding = u8::try_from(chunk.r#type)
        .ok()
        .and_then(Encoding::from_byte);
    let Some(encoding) = encoding else {
        let message = format!(
            "encoding {} of a chunk of {labels} is unknown",
            chunk.r#type
        );
        return Err(Error::corrupt(message));
    };
    let (encoding, data) = match encoding.wire() {
        Some(wire) => (wire, chunk.data),
        None => {
            let data = &chunk.data[..];
            let written = transcode_for_thanos(Chunk { encoding, data });
            let (wire, data) = written.map_err(|error| {
                Error::corrupt(format!("cannot read a chunk of {labels}: {error}"))
            })?;
            (wire, data.into_owned().into())
        }
    };
    Ok(ReadChunk {
        min_time: chunk.min_time_ms,
        max_time: chunk.max_time_ms,
        encoding,
        data,
    })
}

#[cfg(test)]
mod tests;
