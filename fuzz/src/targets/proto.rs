//! Messages of the StoreAPI: what clients ask and what other stores answer.

use prost::Message;
use rutile_proto::thanos::{SeriesRequest, SeriesResponse};

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
