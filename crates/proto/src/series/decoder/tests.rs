//! The decoder against the protobuf library.

use proptest::{collection::vec, prelude::*, sample::Index};
use prost::Message;

use super::*;
use crate::thanos::{self, Label, SeriesBatch, SeriesResponse, series_response};

/// Whether the decoder takes the message. What it finds is what the library finds.
fn is_taken(message: &[u8]) -> bool {
    let message = Bytes::copy_from_slice(message);
    let mut found = vec![Series::default()];
    let taken = SeriesDecoder::default().add_series(&message, &mut found);
    assert_eq!(found.remove(0), Series::default(), "what was there stays");
    if taken.is_none() {
        assert_eq!(found, [], "of a message that is not taken");
        return false;
    }
    let expected = match SeriesResponse::decode(message).unwrap().result {
        Some(series_response::Result::Series(series)) => vec![series],
        Some(series_response::Result::Batch(batch)) => batch.series,
        other => panic!("no series: {other:?}"),
    };
    let expected: Vec<_> = expected.into_iter().map(Series::from).collect();
    assert_eq!(found, expected);
    true
}

fn response(all: Vec<thanos::Series>) -> Vec<u8> {
    let result = match <[_; 1]>::try_from(all) {
        Ok([series]) => series_response::Result::Series(series),
        Err(series) => series_response::Result::Batch(SeriesBatch { series }),
    };
    let result = Some(result);
    SeriesResponse { result }.encode_to_vec()
}

prop_compose! {
    fn chunk()(
        kind in prop_oneof![0..3, any::<i32>()],
        data in vec(any::<u8>(), 0..200),
        hash in prop_oneof![Just(0), any::<u64>()],
    ) -> Chunk {
        Chunk { r#type: kind, data: data.into(), hash }
    }
}

prop_compose! {
    fn aggr_chunk()(
        min_time in prop_oneof![Just(0), any::<i64>()],
        max_time in any::<i64>(),
        parts in proptest::array::uniform6(proptest::option::of(chunk())),
    ) -> thanos::AggrChunk {
        let [raw, count, sum, min, max, counter] = parts;
        thanos::AggrChunk { min_time, max_time, raw, count, sum, min, max, counter }
    }
}

prop_compose! {
    /// In any order, some with the same names.
    fn label()(name in "[a-cü]{0,2}", value in "[a-zü]{0,150}") -> Label {
        Label { name, value }
    }
}

prop_compose! {
    fn series()(labels in vec(label(), 0..6), chunks in vec(aggr_chunk(), 0..5)) -> thanos::Series {
        thanos::Series { labels, chunks }
    }
}

/// What is done to some bytes of a message.
#[derive(Debug, Clone)]
enum Damage {
    Set(u8),
    Insert(u8),
    Remove,
    CutOff,
    /// Says the rest twice.
    Repeat,
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        any::<u8>().prop_map(Damage::Set),
        (0..0x50_u8).prop_map(Damage::Set),
        any::<u8>().prop_map(Damage::Insert),
        Just(Damage::Remove),
        Just(Damage::CutOff),
        Just(Damage::Repeat),
    ]
}

proptest! {
    #[test]
    fn finds_what_the_library_finds(all in vec(series(), 0..5)) {
        prop_assert!(is_taken(&response(all)));
    }

    #[test]
    fn damage_is_left_to_the_library(
        all in vec(series(), 0..3), done in vec((any::<Index>(), damage()), 1..4),
    ) {
        let mut message = response(all);
        for (at, damage) in done {
            let at = at.index(message.len() + 1);
            match damage {
                Damage::Set(byte) => message.get_mut(at).into_iter().for_each(|b| *b = byte),
                Damage::Insert(byte) => message.insert(at, byte),
                Damage::Remove => drop(message.drain(at..message.len().min(at + 1))),
                Damage::CutOff => message.truncate(at),
                Damage::Repeat => message.extend_from_within(at..),
            }
        }
        is_taken(&message);
    }

    #[test]
    fn noise_is_no_message(noise in vec(prop_oneof![0..0x20_u8, any::<u8>()], 0..40)) {
        is_taken(&noise);
    }
}

/// A field that holds bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    prost::encoding::encode_varint(bytes.len() as u64, &mut out);
    [&out, bytes].concat()
}

#[test]
fn fields_of_tomorrow_are_skipped() {
    let unknown = [
        &field(9, b"new")[..],
        &[0x50, 0xff, 0x01],
        &[0x5d, 1, 2, 3, 4],
    ]
    .concat();
    let with_unknown = |known: &[&[u8]]| [&unknown, &known.concat()[..], &unknown].concat();
    let label = with_unknown(&[&field(1, b"a"), &field(2, b"b")]);
    let raw = with_unknown(&[&[0x08, 1], &field(2, b"data")]);
    let chunk = with_unknown(&[&[0x08, 5, 0x10, 9], &field(3, &raw)]);
    let series = with_unknown(&[&field(1, &label), &field(2, &chunk)]);
    assert!(is_taken(&field(1, &series)));
    assert!(is_taken(&field(4, &with_unknown(&[&field(1, &series)]))));
}

#[test]
fn what_is_not_as_usual_is_left_to_the_library() {
    let series = field(1, &field(1, &field(1, b"a")));
    let in_chunk = |parts: &[u8]| field(1, &field(2, parts));
    assert!(is_taken(&series));
    assert!(is_taken(&in_chunk(
        &[field(3, b""), field(4, b"")].concat()
    )));
    let left = [
        ("nothing", vec![]),
        ("a warning", field(2, b"slow")),
        ("hints", field(3, b"")),
        ("two series in one", [&series[..], &series].concat()),
        ("a number for a series", vec![0x08, 1]),
        ("a number for a label", field(1, &[0x08, 1])),
        ("a number for a chunk", field(1, &[0x10, 1])),
        ("a number for a part", in_chunk(&[0x18, 1])),
        ("bytes for a time", in_chunk(&field(1, b""))),
        (
            "a part twice",
            in_chunk(&[field(3, b""), field(3, b"")].concat()),
        ),
        (
            "parts in another order",
            in_chunk(&[field(4, b""), field(3, b"")].concat()),
        ),
        (
            "a name that is not UTF-8",
            field(1, &field(1, &field(1, b"\xff"))),
        ),
        (
            "a name twice",
            field(1, &field(1, &[field(1, b"\xff"), field(1, b"a")].concat())),
        ),
        ("a group", field(1, &[0x4b, 0x4c])),
        ("field 0", field(1, &[0x00, 0x00])),
        (
            "a number of 65 bits",
            in_chunk(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),
        ),
        (
            "a length beyond the end",
            vec![0x0a, 0xff, 0xff, 0xff, 0x7f],
        ),
    ];
    for (what, message) in left {
        assert!(!is_taken(&message), "{what}");
    }
}

#[test]
fn payloads_are_slices_of_the_message() {
    let raw = field(3, &field(2, b"payload"));
    let message = Bytes::from(field(1, &field(2, &raw)));
    let mut found = Vec::new();
    SeriesDecoder::default()
        .add_series(&message, &mut found)
        .unwrap();
    let data = &found[0].chunks[0].part(Aggr::Raw).unwrap().data;
    assert_eq!(data, &b"payload"[..]);
    assert!(message.as_ptr_range().contains(&data.as_ptr()));
}
