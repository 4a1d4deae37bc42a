//! The merge against a map that is sorted by hand.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};
use rutile_model::ErrorKind;
use rutile_proto::thanos::{self, Aggr, Chunk, series_response};

use super::*;
use crate::{AggrChunk, Error, Frames};

type Key = Vec<(String, String)>;

fn series(labels: &Key, chunks: Vec<AggrChunk>) -> Series {
    let labels = labels.iter().cloned().collect();
    Series { labels, chunks }
}

fn raw(min_time: i64, max_time: i64, data: &'static [u8], hash: u64) -> AggrChunk {
    let raw = Some(Chunk {
        data: data.into(),
        hash,
        ..Chunk::default()
    });
    let chunk = thanos::AggrChunk {
        min_time,
        max_time,
        raw,
        ..thanos::AggrChunk::default()
    };
    chunk.into()
}

/// An answer in frames of `batch_size`, handed over one by one.
fn answer(all: &[Series], batch_size: usize) -> SeriesStream {
    let mut writer = FrameWriter::new(batch_size);
    let mut frames = Vec::new();
    for series in all {
        writer.decoded(series).unwrap();
        frames.push(Ok(writer.take()));
    }
    frames.push(writer.finish());
    stream::iter(frames).boxed()
}

fn collect(items: ItemStream) -> Result<Vec<Item>> {
    let items: Vec<_> = futures::executor::block_on_stream(items).collect();
    items.into_iter().collect()
}

prop_compose! {
    fn labels()(pairs in proptest::collection::btree_map("[ab]{1,2}", "[ab]{0,2}", 0..3)) -> Key {
        pairs.into_iter().collect()
    }
}

prop_compose! {
    fn chunk()(min in 0..3_i64, data in prop::sample::select(vec!["x", "y", "yy"]), hash in 0..2_u64) -> AggrChunk {
        raw(min, min + 1, data.as_bytes(), hash)
    }
}

proptest! {
    #[test]
    fn merges_like_a_sorted_map(
        sources in vec((vec((labels(), vec(chunk(), 0..3)), 0..10), 1_usize..4), 0..5)
    ) {
        let mut expected: BTreeMap<Key, Vec<AggrChunk>> = BTreeMap::new();
        let mut answers = Vec::new();
        for (mut all, batch_size) in sources {
            all.sort_by(|a, b| a.0.cmp(&b.0));
            for (labels, chunks) in &all {
                expected.entry(labels.clone()).or_default().extend(chunks.clone());
            }
            let all: Vec<_> = all.iter().map(|(labels, chunks)| series(labels, chunks.clone())).collect();
            answers.push(answer(&all, batch_size));
        }
        let merged = collect(merge(answers)).unwrap();
        let identity = |chunk: &AggrChunk| {
            let data = chunk.part(Aggr::Raw).map(|raw| raw.data.clone());
            (chunk.min_time, chunk.max_time, Reverse(data))
        };
        prop_assert_eq!(merged.len(), expected.len());
        for (item, (labels, mut chunks)) in merged.into_iter().zip(expected) {
            let Item::Series(found) = item else { panic!("only series went in") };
            chunks.sort_by_key(identity);
            chunks.dedup_by_key(|chunk| identity(chunk));
            prop_assert_eq!(&found.labels, &series(&labels, vec![]).labels);
            let found: Vec<_> = found.chunks.iter().map(identity).collect();
            prop_assert_eq!(found, chunks.iter().map(identity).collect::<Vec<_>>());
        }
    }
}

#[test]
fn chunks_of_the_same_times() {
    let part = |kind, data: &'static [u8]| {
        Some(Chunk {
            r#type: kind,
            data: data.into(),
            hash: 0,
        })
    };
    let chunk = thanos::AggrChunk {
        min_time: 5,
        max_time: 9,
        ..thanos::AggrChunk::default()
    };
    let expected = [
        thanos::AggrChunk {
            min_time: 1,
            max_time: 90,
            ..chunk.clone()
        },
        thanos::AggrChunk {
            max_time: 8,
            ..chunk.clone()
        },
        thanos::AggrChunk {
            raw: part(0, b"b"),
            ..chunk.clone()
        },
        thanos::AggrChunk {
            raw: part(0, b"a"),
            ..chunk.clone()
        },
        thanos::AggrChunk {
            raw: part(1, b"z"),
            ..chunk.clone()
        },
        thanos::AggrChunk {
            count: part(0, b"a"),
            sum: part(0, b"b"),
            ..chunk.clone()
        },
        thanos::AggrChunk {
            count: part(0, b"a"),
            sum: part(0, b"a"),
            ..chunk.clone()
        },
        thanos::AggrChunk {
            count: part(0, b"a"),
            ..chunk.clone()
        },
        thanos::AggrChunk {
            counter: part(0, b"a"),
            ..chunk.clone()
        },
        chunk,
    ];
    let expected = expected.map(AggrChunk::from);
    let mut found: Vec<_> = expected.iter().rev().chain(&expected).cloned().collect();
    order_chunks(&mut found);
    assert_eq!(found, expected);
}

#[test]
fn warnings_pass_and_errors_end() {
    let a = series(&vec![("a".into(), "1".into())], vec![]);
    let b = series(&vec![("b".into(), "1".into())], vec![]);
    let failing = || {
        let first = answer(std::slice::from_ref(&b), 1);
        let error = Error::new(ErrorKind::Unavailable, "the store went away");
        first
            .chain(stream::iter([Frames::warning("soon gone"), Err(error)]))
            .boxed()
    };
    let mut items = merge(vec![failing(), answer(std::slice::from_ref(&a), 1)]);
    let mut next = || futures::executor::block_on_stream(&mut items).next();
    assert_eq!(next().unwrap().unwrap(), Item::Series(a.clone()));
    assert_eq!(next().unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(next().is_none());

    let warned = stream::iter([Frames::warning("slow")]).boxed();
    let merged = collect(merge(vec![answer(std::slice::from_ref(&a), 1), warned])).unwrap();
    assert_eq!(merged, [Item::Warning("slow".into()), Item::Series(a)]);
}

#[test]
fn encodes_in_batches_up_to_the_limit() {
    let all: Vec<_> = (10..20)
        .map(|i| series(&vec![("a".into(), i.to_string())], vec![]))
        .collect();
    for (batch_size, limit, expected) in [(1, 0, 10), (4, 0, 10), (4, 6, 6), (1, 1, 1), (3, 50, 10)]
    {
        let items = encode_items(merge(vec![answer(&all, 2)]), batch_size, limit);
        let frames: Vec<_> = futures::executor::block_on_stream(items)
            .map(Result::unwrap)
            .collect();
        let decoded: Vec<_> = frames
            .iter()
            .flat_map(|frames| frames.decode().unwrap())
            .collect();
        let sizes: Vec<_> = decoded
            .iter()
            .map(|response| match &response.result {
                Some(series_response::Result::Batch(batch)) => batch.series.len(),
                Some(series_response::Result::Series(_)) => 1,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(sizes.iter().sum::<usize>(), expected);
        assert_eq!(
            sizes.len(),
            expected.div_ceil(batch_size),
            "batches of {batch_size}: {sizes:?}"
        );
    }
}

/// More than a hand-over in one batch: what is written goes on.
#[test]
fn large_batches_are_encoded_to_the_end() {
    let data: &'static [u8] = &[7; 4096];
    let all: Vec<_> = (0..200)
        .map(|i| {
            let labels = vec![("a".to_owned(), format!("{i:03}"))];
            series(&labels, vec![raw(0, 1, data, 0)])
        })
        .collect();
    for batch_size in [1, 64, 1000] {
        let items = all.clone().into_iter();
        let items = items.map(|series| Ok(Item::Series(series)));
        let encoded = encode_items(stream::iter(items).boxed(), batch_size, 0);
        // An encoder that stands still gives frames for ever.
        let frames = futures::executor::block_on_stream(encoded).take(1000);
        let mut found = Vec::new();
        for frame in frames {
            found.extend(Batch::decode(&frame.unwrap()).unwrap().series);
        }
        assert!(
            found == all,
            "batches of {batch_size}: {} series",
            found.len()
        );
    }
}
