//! Blocks made up, and a merge that has all of them in memory to hold the real one against.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rutile_block::Meta;
use rutile_chunk::segment::{self, SegmentWriter, Verify};
use rutile_chunk::{Chunk, ChunkRef, Encoding, XorAppender};
use rutile_index::{ChunkMeta, IndexReader, IndexWriter};
use rutile_merge::Merged;

use crate::world::{World, id};

pub(crate) type Labels = Vec<(String, String)>;
type Chunks = Vec<(i64, i64, Vec<u8>)>;

/// A block in memory.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    pub(crate) meta: Meta,
    series: BTreeMap<Labels, Chunks>,
}

impl Block {
    pub(crate) fn new(n: u64, min_time: i64, max_time: i64) -> Self {
        let mut meta = Meta::new(id(n));
        (meta.min_time, meta.max_time) = (min_time, max_time);
        let series = BTreeMap::new();
        Self { meta, series }
    }

    /// Adds a series with a chunk for each pair of times.
    pub(crate) fn series(&mut self, labels: Labels, chunks: &[(i64, i64)]) {
        let chunks = chunks.iter().map(|&(min_time, max_time)| {
            let mut appender = XorAppender::new();
            appender.append(min_time, 1.5).unwrap();
            if max_time > min_time {
                appender.append(max_time, 2.5).unwrap();
            }
            (min_time, max_time, appender.into_bytes())
        });
        self.series.insert(labels, chunks.collect());
    }

    fn files(&self) -> (Vec<u8>, Vec<u8>) {
        let strings = |(labels, _): (&Labels, &Chunks)| labels.clone();
        let pairs = self.series.iter().flat_map(strings);
        let symbols: BTreeSet<String> = pairs.flat_map(|(name, value)| [name, value]).collect();
        let symbols: Vec<String> = symbols.into_iter().collect();
        let mut index = IndexWriter::new();
        for symbol in &symbols {
            index.add_symbol(symbol.as_bytes()).unwrap();
        }
        let reference =
            |string: &String| u32::try_from(symbols.binary_search(string).unwrap()).unwrap();
        let mut segment = SegmentWriter::new(segment::DEFAULT_SEGMENT_SIZE);
        let mut bytes = Vec::new();
        for (labels, chunks) in &self.series {
            let contents: Vec<Chunk<'_>> = chunks
                .iter()
                .map(|(_, _, data)| Chunk {
                    encoding: Encoding::Xor,
                    data,
                })
                .collect();
            let mut refs = Vec::new();
            segment.write(&contents, &mut bytes, &mut refs).unwrap();
            let metas: Vec<ChunkMeta> = chunks
                .iter()
                .zip(refs)
                .map(|(&(min_time, max_time, _), place)| ChunkMeta {
                    min_time,
                    max_time,
                    chunk_ref: place.as_u64(),
                })
                .collect();
            let labels: Vec<(u32, u32)> = labels
                .iter()
                .map(|(name, value)| (reference(name), reference(value)))
                .collect();
            index.add_series(&labels, &metas).unwrap();
        }
        (index.finish().unwrap().into_bytes().unwrap(), bytes)
    }
}

/// Brings a block into the bucket.
pub(crate) fn add(world: &World, block: &Block) -> Meta {
    let (index, chunks) = block.files();
    let mut meta = block.meta.clone();
    world.put(meta.id, "index", index);
    if !chunks.is_empty() {
        world.put(meta.id, "chunks/000001", chunks);
        meta.thanos.segment_files = vec!["000001".to_owned()];
    }
    meta.stats.num_series = block.series.len() as u64;
    world.put(meta.id, "meta.json", meta.to_json());
    meta
}

pub(crate) fn labels(n: u32) -> Labels {
    let pair = |name: &str, value: String| (name.to_owned(), value);
    vec![
        pair("__name__", format!("metric_{}", n % 7)),
        pair("pod", format!("pod-{n}")),
    ]
}

/// What a block in the bucket holds.
pub(crate) async fn read(world: &World, meta: &Meta) -> BTreeMap<Labels, Chunks> {
    let index = IndexReader::open(world.object(meta.id, "index").await).unwrap();
    index.verify().unwrap();
    let segment = world.object(meta.id, "chunks/000001").await;
    let mut series = BTreeMap::new();
    for entry in index.series() {
        let (_, entry) = entry.unwrap();
        let text = |symbol| index.symbols().get_str(symbol).unwrap().to_owned();
        let labels = entry.labels().map(Result::unwrap);
        let labels: Labels = labels
            .map(|(name, value)| (text(name), text(value)))
            .collect();
        let chunks = entry.chunks().map(Result::unwrap).map(|chunk| {
            let place = ChunkRef::from_u64(chunk.chunk_ref);
            let frame = segment::parse_frame(&segment, place.offset() as usize, Verify::Checksum);
            (chunk.min_time, chunk.max_time, frame.unwrap().data.to_vec())
        });
        assert_eq!(series.insert(labels, chunks.collect()), None);
    }
    series
}

fn blocks() -> impl Strategy<Value = Vec<Block>> {
    let series = prop::collection::btree_map(
        0..40_u32,
        prop::collection::btree_set(0..99_i64, 1..9),
        0..40,
    );
    prop::collection::vec(series, 1..6).prop_map(|blocks| {
        let blocks = (0_i64..).zip(blocks).map(|(n, series)| {
            let start = n * 100;
            let mut block = Block::new(n.unsigned_abs() + 1, start, start + 100);
            for (series, times) in series {
                let times: Vec<i64> = times.into_iter().map(|t| start + t).collect();
                let chunks: Vec<(i64, i64)> = times
                    .chunks(2)
                    .map(|pair| (pair[0], pair[pair.len() - 1]))
                    .collect();
                block.series(labels(series), &chunks);
            }
            block
        });
        blocks.collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn merges_as_the_union_does(blocks in blocks()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let world = World::new();
            let inputs: Vec<Meta> = blocks.iter().map(|block| add(&world, block)).collect();
            let mut union: BTreeMap<Labels, Chunks> = BTreeMap::new();
            for (labels, chunks) in blocks.iter().flat_map(|block| &block.series) {
                union.entry(labels.clone()).or_default().extend_from_slice(chunks);
            }
            match world.merge(&inputs, id(99)).await.unwrap() {
                Merged::Empty => assert!(union.is_empty()),
                Merged::Block(meta) => {
                    assert_eq!(read(&world, &meta).await, union);
                    assert_eq!(meta.stats.num_series, union.len() as u64);
                }
            }
        });
    }
}
