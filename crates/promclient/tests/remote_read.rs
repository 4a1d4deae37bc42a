//! Remote read over HTTP, with a server that answers as it is told.
#![expect(
    clippy::unwrap_used,
    reason = "tests, and clippy takes their helpers for code"
)]

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;
use axum::routing::post;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use prost::Message;
use rutile_model::{ErrorKind, MatchOp, Matcher};
use rutile_promclient::{Client, Frame, HttpConfig, Result, Selection};
use rutile_proto::prometheus_copy::{
    Chunk, ChunkedReadResponse, ChunkedSeries, QueryResult, ReadRequest, ReadResponse, Sample,
    TimeSeries,
};
use rutile_proto::thanos::Label;

const STREAMED: &str = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";

/// The frames that a client gets from a server which answers with these pieces.
async fn read(content_type: &'static str, pieces: Vec<Bytes>) -> Result<Vec<Result<Frame>>> {
    let answer = move |headers: HeaderMap, body: Bytes| async move {
        check_request(&headers, &body);
        let pieces = stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>));
        (
            [(header::CONTENT_TYPE, content_type)],
            Body::from_stream(pieces),
        )
            .into_response()
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let server = axum::serve(listener, Router::new().route("/api/v1/read", post(answer)));
    let client = Client::new(&base, &HttpConfig::default(), "test").unwrap();
    let reading = async {
        let frames = client.read(&selection()).await?;
        Ok(frames.collect().await)
    };
    tokio::select! {
        served = server.into_future() => panic!("the server ended: {served:?}"),
        read = reading => read,
    }
}

fn selection() -> Selection {
    Selection {
        matchers: vec![
            Matcher::equal("a", "1"),
            Matcher::new(MatchOp::NotRegex, "b", "x|y").unwrap(),
        ],
        min_time: -5,
        max_time: 7,
    }
}

fn check_request(headers: &HeaderMap, body: &[u8]) {
    for (name, value) in [
        ("content-encoding", "snappy"),
        ("content-type", "application/x-protobuf"),
        ("x-prometheus-remote-read-version", "0.1.0"),
    ] {
        assert_eq!(headers.get(name).unwrap(), value);
    }
    let body = snap::raw::Decoder::new().decompress_vec(body).unwrap();
    let request = ReadRequest::decode(&*body).unwrap();
    // Streamed chunks rather than samples.
    assert_eq!(request.accepted_response_types, [1, 0]);
    let query = &request.queries[0];
    assert_eq!((query.start_timestamp_ms, query.end_timestamp_ms), (-5, 7));
    let matchers = query.matchers.iter();
    let matchers: Vec<_> = matchers
        .map(|m| (m.r#type, m.name.as_str(), m.value.as_str()))
        .collect();
    assert_eq!(matchers, [(0, "a", "1"), (3, "b", "x|y")]);
}

fn labels() -> Vec<Label> {
    vec![Label {
        name: "a".to_owned(),
        value: "1".to_owned(),
    }]
}

/// A series with one chunk, framed.
fn framed(data: &'static [u8]) -> Vec<u8> {
    let chunk = Chunk {
        min_time_ms: 1,
        max_time_ms: 2,
        r#type: 1,
        data: Bytes::from_static(data),
    };
    let series = ChunkedSeries {
        labels: labels(),
        chunks: vec![chunk],
    };
    let response = ChunkedReadResponse {
        chunked_series: vec![series],
        query_index: 0,
    };
    let message = response.encode_to_vec();
    let mut frame = Vec::new();
    prost::encode_length_delimiter(message.len(), &mut frame).unwrap();
    frame.extend(crc_fast::crc32_iscsi(&message).to_be_bytes());
    frame.extend(message);
    frame
}

fn pieces(bytes: &[u8], size: usize) -> Vec<Bytes> {
    bytes.chunks(size).map(Bytes::copy_from_slice).collect()
}

#[tokio::test]
async fn frames_come_as_a_stream() {
    let bytes = [framed(b"first"), framed(b"second")].concat();
    for size in [1, 9, 1000] {
        let frames = read(STREAMED, pieces(&bytes, size)).await.unwrap();
        let frames: Vec<Frame> = stream::iter(frames).try_collect().await.unwrap();
        let data: Vec<_> = frames
            .iter()
            .map(|frame| &frame.series[0].chunks[0].data[..])
            .collect();
        assert_eq!(data, [&b"first"[..], b"second"]);
    }
    assert_eq!(read(STREAMED, Vec::new()).await.unwrap().len(), 0);
}

#[tokio::test]
async fn what_is_cut_off_is_an_error_after_what_came() {
    let mut bytes = [framed(b"first"), framed(b"second")].concat();
    bytes.truncate(bytes.len() - 1);
    let frames = read(STREAMED, pieces(&bytes, 1000)).await.unwrap();
    let [Ok(_), Err(error)] = &frames[..] else {
        panic!("{frames:?}")
    };
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let text = error.to_string();
    assert!(
        text.contains("/api/v1/read: the answer ends within the frame"),
        "{text}"
    );
}

#[tokio::test]
async fn samples_do_as_well() {
    let sample = |timestamp| Sample {
        timestamp,
        value: 1.0,
    };
    let series = TimeSeries {
        labels: labels(),
        samples: vec![sample(1), sample(2)],
        ..TimeSeries::default()
    };
    let response = ReadResponse {
        results: vec![QueryResult {
            timeseries: vec![series],
        }],
    };
    let body = response.encode_to_vec();
    let body = snap::raw::Encoder::new().compress_vec(&body).unwrap();
    let frames = read("application/x-protobuf", pieces(&body, 10))
        .await
        .unwrap();
    let [Ok(frame)] = &frames[..] else {
        panic!("{frames:?}")
    };
    let chunk = &frame.series[0].chunks[0];
    assert_eq!((chunk.min_time, chunk.max_time), (1, 2));
}

#[tokio::test]
async fn other_content_is_refused() {
    let error = read("text/html", pieces(b"<html>", 10)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("text/html"), "{error}");
}
