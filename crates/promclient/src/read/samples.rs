//! An answer of samples, for servers that do not stream chunks: encoded into chunks here.

use bytes::Bytes;
use prost::Message;
use reqwest::Response;
use rutile_chunk::{WireEncoding, XorAppender};
use rutile_model::ErrorKind;
use rutile_proto::prometheus_copy::{ReadResponse, Sample, TimeSeries};
use url::Url;

use super::{Frame, ReadChunk, ReadSeries, labels};
use crate::client::{shown, whole};
use crate::{Error, Result};

/// Longest answer that is taken, compressed and not, bytes.
const MAX_COMPRESSED: usize = 128 << 20;
const MAX_DECOMPRESSED: usize = 512 << 20;
/// Snappy makes nothing smaller by more than this.
const MAX_RATIO: usize = 64;
/// Samples of a chunk, as in Thanos.
const SAMPLES_PER_CHUNK: usize = 120;

/// Reads and encodes the whole answer.
pub(super) async fn read(response: Response, url: &Url) -> Result<Frame> {
    let body = whole(response, url, MAX_COMPRESSED).await?;
    decode(&body).map_err(|error| Error::new(error.kind(), format!("{}: {error}", shown(url))))
}

/// Decodes an answer: one block of snappy.
pub(super) fn decode(body: &[u8]) -> Result<Frame> {
    let answer = ReadResponse::decode(decompressed(body)?)
        .map_err(|error| Error::corrupt(format!("cannot decode an answer of samples: {error}")))?;
    let mut frame = Frame::default();
    let mut with_histograms = Vec::new();
    for series in answer
        .results
        .into_iter()
        .flat_map(|result| result.timeseries)
    {
        if !series.histograms.is_empty() {
            with_histograms.push(labels(&series.labels));
        }
        if series.samples.is_empty() {
            continue;
        }
        let encoded = encode(&series)?;
        frame.bytes += encoded
            .chunks
            .iter()
            .map(|chunk| chunk.data.len())
            .sum::<usize>();
        frame.series.push(encoded);
    }
    if let Some(first) = with_histograms.first() {
        frame.warnings.push(format!(
            "native histograms of {} series are left out, {first} among them: the server sends samples, \
             not chunks",
            with_histograms.len()
        ));
    }
    Ok(frame)
}

fn decompressed(body: &[u8]) -> Result<Bytes> {
    let damaged = |error: snap::Error| Error::corrupt(format!("wrong snappy: {error}"));
    let length = snap::raw::decompress_len(body).map_err(damaged)?;
    if length > MAX_DECOMPRESSED {
        let message = format!("the answer has {length} bytes, more than {MAX_DECOMPRESSED}");
        return Err(Error::new(ErrorKind::Exhausted, message));
    }
    if length > body.len().saturating_mul(MAX_RATIO) {
        let message = format!("{} bytes cannot be {length} bytes compressed", body.len());
        return Err(Error::corrupt(message));
    }
    let decoded = snap::raw::Decoder::new().decompress_vec(body);
    decoded.map(Bytes::from).map_err(damaged)
}

fn encode(series: &TimeSeries) -> Result<ReadSeries> {
    let labels = labels(&series.labels);
    let in_order = |pair: &[Sample]| matches!(pair, [a, b] if a.timestamp <= b.timestamp);
    if !series.samples.windows(2).all(in_order) {
        return Err(Error::corrupt(format!(
            "samples of {labels} are out of order"
        )));
    }
    let chunks = series.samples.chunks(SAMPLES_PER_CHUNK).map(encode_chunk);
    let chunks = chunks.collect::<Result<_>>()?;
    Ok(ReadSeries { labels, chunks })
}

fn encode_chunk(samples: &[Sample]) -> Result<ReadChunk> {
    let mut appender = XorAppender::new();
    for sample in samples {
        let appended = appender.append(sample.timestamp, sample.value);
        appended.map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?;
    }
    let time = |sample: Option<&Sample>| sample.map_or(0, |sample| sample.timestamp);
    Ok(ReadChunk {
        min_time: time(samples.first()),
        max_time: time(samples.last()),
        encoding: WireEncoding::Xor,
        data: appender.into_bytes().into(),
    })
}
