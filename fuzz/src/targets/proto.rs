//! Messages of the StoreAPI: what clients ask and what other stores answer.

use bytes::Bytes;
use prost::Message;
use rutile_proto::series::{Series, SeriesDecoder};
use rutile_proto::thanos::{SeriesRequest, SeriesResponse, series_response::Result};

/// What was decoded is encoded and decoded to the same.
fn check<M: Message + Default>(data: &[u8]) {
    if let Ok(message) = M::decode(data) {
        let written = message.encode_to_vec();
        let again = M::decode(written.as_slice()).expect("what was written is read");
        assert_eq!(again.encode_to_vec(), written);
    }
}

pub fn series_request(data: &[u8]) {
    check::<SeriesRequest>(data);
}

pub fn series_response(data: &[u8]) {
    check::<SeriesResponse>(data);
}

/// What the decoder of ours finds is what the library finds.
pub fn series_decoder(data: &[u8]) {
    let message = Bytes::copy_from_slice(data);
    let mut found = Vec::new();
    if SeriesDecoder::default().add_series(&message, &mut found).is_none() {
        assert!(found.is_empty(), "nothing is added");
        return;
    }
    let response = SeriesResponse::decode(message).expect("what we read, the library reads");
    let expected = match response.result {
        Some(Result::Series(series)) => vec![series],
        Some(Result::Batch(batch)) => batch.series,
        other => panic!("series are taken only, not {other:?}"),
    };
    let expected: Vec<_> = expected.into_iter().map(Series::from).collect();
    assert_eq!(found, expected);
}
