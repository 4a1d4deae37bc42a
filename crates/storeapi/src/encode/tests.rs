//! The writer against the protobuf library: the same bytes, always.

use bytes::Bytes;
use proptest::{
    collection::{btree_map, vec},
    prelude::*,
};
use prost::Message;
use rutile_proto::thanos::{AggrChunk, Chunk, Label, Series, SeriesBatch, series_response};

use super::{header::varint_len, *};

fn response(result: series_response::Result) -> SeriesResponse {
    SeriesResponse {
        result: Some(result),
    }
}

/// What the writer should hand over for these series.
fn expected(all: &[Series], batch_size: usize) -> Vec<SeriesResponse> {
    if batch_size <= 1 {
        return all
            .iter()
            .cloned()
            .map(series_response::Result::Series)
            .map(response)
            .collect();
    }
    let mut batches = Vec::new();
    let mut batch = SeriesBatch::default();
    for series in all {
        batch.series.push(series.clone());
        // A little less than what the writer counts: no test comes that near.
        if batch.series.len() == batch_size || batch.encoded_len() >= MAX_BATCH_BYTES {
            batches.push(response(series_response::Result::Batch(std::mem::take(
                &mut batch,
            ))));
        }
    }
    if !batch.series.is_empty() {
        batches.push(response(series_response::Result::Batch(batch)));
    }
    batches
}

fn parts(chunk: &AggrChunk) -> Vec<(Aggr, ChunkRef<'_>)> {
    let fields = [
        (Aggr::Raw, &chunk.raw),
        (Aggr::Count, &chunk.count),
        (Aggr::Sum, &chunk.sum),
        (Aggr::Min, &chunk.min),
        (Aggr::Max, &chunk.max),
        (Aggr::Counter, &chunk.counter),
    ];
    let reference = |part: &'_ Chunk| ChunkRef {
        encoding: part.r#type,
        data: &[],
        hash: part.hash,
    };
    fields
        .into_iter()
        .filter_map(|(aggr, part)| {
            let part = part.as_ref()?;
            Some((
                aggr,
                ChunkRef {
                    data: &part.data,
                    ..reference(part)
                },
            ))
        })
        .collect()
}

fn write(writer: &mut FrameWriter, series: &Series, way: usize) {
    if way == 2 {
        return writer.decoded(&series.clone().into()).unwrap();
    }
    let mut out = writer.series();
    if way == 1 {
        let mut block = Vec::new();
        for label in &series.labels {
            let (name, value) = (label.name.as_bytes(), label.value.as_bytes());
            let encoded = EncodedLabel::new(name, value);
            assert_eq!((encoded.name(), encoded.value()), (name, value));
            block.extend_from_slice(encoded.as_bytes());
        }
        out.encoded_labels(&block);
    } else {
        for label in &series.labels {
            out.label(label.name.as_bytes(), label.value.as_bytes());
        }
    }
    for chunk in &series.chunks {
        out.aggregates(chunk.min_time, chunk.max_time, &parts(chunk));
    }
    out.finish().unwrap();
}

fn check(all: &[Series], batch_size: usize, take_every: usize) {
    let mut writer = FrameWriter::new(batch_size);
    let mut bytes = Vec::new();
    for (i, series) in all.iter().enumerate() {
        write(&mut writer, series, i % 3);
        // A series given up leaves no trace, neither in a batch nor between two.
        let mut given_up = writer.series();
        given_up.label(b"given", b"up");
        drop(given_up);
        if i % take_every == 0 {
            bytes.extend_from_slice(writer.take().as_bytes());
        }
    }
    bytes.extend_from_slice(writer.finish().unwrap().as_bytes());

    let frames = Frames::parse(bytes.into()).unwrap();
    let expected = expected(all, batch_size);
    let encoded: Vec<_> = expected
        .iter()
        .map(|message| Bytes::from(message.encode_to_vec()))
        .collect();
    let found: Vec<_> = frames.messages().collect();
    let lengths = |messages: &[Bytes]| messages.iter().map(Bytes::len).collect::<Vec<_>>();
    assert_eq!(
        lengths(&found),
        lengths(&encoded),
        "batches of {batch_size}"
    );
    assert!(found == encoded, "same lengths, other bytes");
    assert!(frames.decode().unwrap() == expected, "other messages");
}

prop_compose! {
    fn chunk()(kind in prop_oneof![0..3, any::<i32>()], data in vec(any::<u8>(), 0..300), hash in prop_oneof![Just(0), any::<u64>()]) -> Chunk {
        Chunk { r#type: kind, data: data.into(), hash }
    }
}

prop_compose! {
    fn aggr_chunk()(
        min_time in prop_oneof![Just(0), any::<i64>(), 1_600_000_000_000..1_700_000_000_000_i64],
        max_time in any::<i64>(),
        raw in proptest::option::of(chunk()),
        count in proptest::option::of(chunk()),
        sum in proptest::option::of(chunk()),
        min in proptest::option::of(chunk()),
        max in proptest::option::of(chunk()),
        counter in proptest::option::of(chunk()),
    ) -> AggrChunk {
        AggrChunk { min_time, max_time, raw, count, sum, min, max, counter }
    }
}

fn labels() -> impl Strategy<Value = Vec<Label>> {
    btree_map("[a-zü]{0,9}", "[a-zü]{0,150}", 0..6).prop_map(|labels| {
        let labels = labels.into_iter();
        labels.map(|(name, value)| Label { name, value }).collect()
    })
}

fn series() -> impl Strategy<Value = Series> {
    (labels(), vec(aggr_chunk(), 0..8)).prop_map(|(labels, chunks)| Series { labels, chunks })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn writes_what_the_library_writes(
        all in vec(series(), 0..12), batch_size in 0_usize..6, take_every in 1_usize..5,
    ) {
        check(&all, batch_size, take_every);
    }
}

#[test]
fn lengths_of_any_width() {
    let sizes = [
        0,
        100,
        1 << 21,
        90,
        115,
        120,
        125,
        16_370,
        16_384,
        20,
        (1 << 21) - 20,
        0,
        0,
    ];
    let series = |size: usize| {
        let chunk = Chunk {
            data: vec![7; size].into(),
            ..Chunk::default()
        };
        let chunk = AggrChunk {
            max_time: 1,
            raw: Some(chunk),
            ..AggrChunk::default()
        };
        Series {
            labels: vec![],
            chunks: vec![chunk],
        }
    };
    let all: Vec<_> = sizes.into_iter().map(series).collect();
    for batch_size in [1, 2, 3, 64] {
        check(&all, batch_size, 4);
    }
}

#[test]
fn warnings_and_hints_close_the_batch() {
    let mut writer = FrameWriter::new(10);
    let series = Series {
        labels: vec![Label {
            name: "a".into(),
            value: "b".into(),
        }],
        chunks: vec![],
    };
    write(&mut writer, &series, 0);
    writer.warning("slow store").unwrap();
    writer.hints(prost_types::Any::default()).unwrap();
    assert_eq!(
        writer.finish().unwrap().decode().unwrap(),
        [
            response(series_response::Result::Batch(SeriesBatch {
                series: vec![series]
            })),
            response(series_response::Result::Warning("slow store".into())),
            response(series_response::Result::Hints(prost_types::Any::default())),
        ]
    );
}

#[test]
fn varints() {
    for bits in 0..64 {
        for value in [(1_u64 << bits) - 1, 1 << bits, (1 << bits) + 1, u64::MAX] {
            let mut expected = Vec::new();
            prost::encoding::encode_varint(value, &mut expected);
            let mut header = Header::default();
            header.varint(value);
            assert_eq!(header.as_slice(), expected, "{value}");
            assert_eq!(varint_len(value), expected.len(), "{value}");
        }
    }
}
