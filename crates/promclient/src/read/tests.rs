use proptest::prelude::*;
use prost::Message;
use rutile_chunk::XorAppender;
use rutile_model::ErrorKind;
use rutile_proto::prometheus_copy::{Histogram, QueryResult, ReadResponse, Sample, TimeSeries};

use super::*;

fn label(name: &str, value: &str) -> Label {
    Label {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

fn message(kind: i32, data: &[u8]) -> Bytes {
    let chunk = WireChunk {
        min_time_ms: 1,
        max_time_ms: 2,
        r#type: kind,
        data: Bytes::copy_from_slice(data),
    };
    let series = ChunkedSeries {
        // Not sorted, as no server sends them.
        labels: vec![label("b", "2"), label("a", "1")],
        chunks: vec![chunk],
    };
    let response = ChunkedReadResponse {
        chunked_series: vec![series],
        query_index: 0,
    };
    response.encode_to_vec().into()
}

#[test]
fn chunks_are_taken_over_as_they_are() {
    for (kind, wire) in [
        (1, WireEncoding::Xor),
        (2, WireEncoding::Histogram),
        (3, WireEncoding::FloatHistogram),
    ] {
        let frame = frame(message(kind, b"bytes")).unwrap();
        let [series] = frame.series.try_into().unwrap();
        assert_eq!(series.labels, Labels::from([("a", "1"), ("b", "2")]));
        let [chunk] = series.chunks.try_into().unwrap();
        assert_eq!((chunk.encoding, &chunk.data[..]), (wire, &b"bytes"[..]));
        assert_eq!((chunk.min_time, chunk.max_time), (1, 2));
    }
}

#[test]
fn chunks_that_cannot_be_read_are_refused() {
    for (kind, why) in [
        (0, "encoding 0"),
        (9, "encoding 9"),
        (-1, "encoding -1"),
        (4, "cannot read"),
    ] {
        let error = frame(message(kind, b"")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains(why), "{error}");
    }
    let error = frame(Bytes::from_static(b"\xff\xff")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

fn samples(times: &[i64]) -> TimeSeries {
    let sample = |&timestamp| Sample {
        timestamp,
        value: 1.5,
    };
    TimeSeries {
        labels: vec![label("a", "1")],
        samples: times.iter().map(sample).collect(),
        ..TimeSeries::default()
    }
}

fn compressed(timeseries: Vec<TimeSeries>) -> Vec<u8> {
    let results = vec![QueryResult { timeseries }];
    let response = ReadResponse { results };
    let mut encoder = snap::raw::Encoder::new();
    encoder.compress_vec(&response.encode_to_vec()).unwrap()
}

#[test]
fn samples_become_chunks() {
    let times: Vec<i64> = (0..250).map(|i| 1_000 * i).collect();
    let mut with_histogram = samples(&[]);
    with_histogram.histograms.push(Histogram::default());
    let body = compressed(vec![samples(&times), samples(&[]), with_histogram]);
    let frame = samples::decode(&body).unwrap();
    let [series] = frame.series.try_into().unwrap();
    let ranges = series
        .chunks
        .iter()
        .map(|chunk| (chunk.min_time, chunk.max_time));
    assert_eq!(
        ranges.collect::<Vec<_>>(),
        [(0, 119_000), (120_000, 239_000), (240_000, 249_000)]
    );
    let mut expected = XorAppender::new();
    for time in &times[..120] {
        expected.append(*time, 1.5).unwrap();
    }
    assert_eq!(series.chunks[0].data, expected.into_bytes());
    let [warning] = frame.warnings.try_into().unwrap();
    assert!(
        warning.contains("of 1 series are left out, {a=\"1\"}"),
        "{warning}"
    );
}

#[test]
fn samples_that_cannot_be_read_are_refused() {
    let refused = |body: &[u8], kind: ErrorKind| {
        let error = samples::decode(body).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    };
    refused(&compressed(vec![samples(&[2, 1])]), ErrorKind::Corrupt);
    refused(b"", ErrorKind::Corrupt);
    // Claims 64 MiB, and 2 GiB, in a few bytes.
    refused(&[0x80, 0x80, 0x80, 0x20, 0], ErrorKind::Corrupt);
    refused(&[0x80, 0x80, 0x80, 0x80, 0x08, 0], ErrorKind::Exhausted);
    let mut body = compressed(vec![samples(&[1, 2, 3])]);
    body.truncate(body.len() - 1);
    refused(&body, ErrorKind::Corrupt);
}

proptest! {
    #[test]
    fn any_bytes_are_an_answer_or_an_error(bytes: Vec<u8>) {
        if let Ok(frame) = frame(bytes.clone().into()) {
            prop_assert_eq!(frame.bytes, bytes.len());
        }
        samples::decode(&bytes).ok();
        let mut encoder = snap::raw::Encoder::new();
        samples::decode(&encoder.compress_vec(&bytes).unwrap()).ok();
    }
}
