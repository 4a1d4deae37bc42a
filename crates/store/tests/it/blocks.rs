//! Blocks with chosen labels.

use rutile_block::{BlockId, Meta, chunk_key, index_key, meta_key};
use rutile_chunk::segment::{DEFAULT_SEGMENT_SIZE, SegmentWriter};
use rutile_chunk::{Chunk, Encoding, XorAppender};
use rutile_index::{ChunkMeta, IndexWriter};
use rutile_model::Labels;
use rutile_objstore::fake::MemoryBucket;

use crate::support::NOW_MS;

/// Writes a block with these series, each with one sample at `time_ms`, whose value is the place of
/// the series in the block.
pub(crate) fn write_block(
    bucket: &MemoryBucket,
    id: BlockId,
    external: &Labels,
    series: &[Labels],
    time_ms: i64,
) {
    let mut series = series.to_vec();
    series.sort();
    series.dedup();
    let mut symbols: Vec<&str> = series
        .iter()
        .flat_map(|labels| labels.iter().flat_map(|(name, value)| [name, value]))
        .collect();
    symbols.sort_unstable();
    symbols.dedup();
    let mut index = IndexWriter::new();
    for symbol in &symbols {
        index.add_symbol(symbol.as_bytes()).unwrap();
    }
    let symbol = |text: &str| symbols.binary_search(&text).unwrap() as u32;
    let mut segments = SegmentWriter::new(DEFAULT_SEGMENT_SIZE);
    let mut segment = Vec::new();
    for (i, labels) in series.iter().enumerate() {
        let mut samples = XorAppender::new();
        samples.append(time_ms, i as f64).unwrap();
        let chunk = Chunk {
            encoding: Encoding::Xor,
            data: samples.bytes(),
        };
        let mut refs = Vec::new();
        segments.write(&[chunk], &mut segment, &mut refs).unwrap();
        let chunk = ChunkMeta {
            min_time: time_ms,
            max_time: time_ms,
            chunk_ref: refs[0].as_u64(),
        };
        let labels = labels.iter();
        let labels = labels.map(|(name, value)| (symbol(name), symbol(value)));
        index
            .add_series(&labels.collect::<Vec<_>>(), &[chunk])
            .unwrap();
    }
    let index = index.finish().unwrap().into_bytes().unwrap();
    let mut meta = Meta::new(id);
    (meta.min_time, meta.max_time) = (time_ms, time_ms + 1);
    meta.compaction.sources = vec![id];
    meta.thanos.labels = external.clone();
    bucket.insert(chunk_key(id, 1), segment, NOW_MS);
    bucket.insert(index_key(id), index, NOW_MS);
    bucket.insert(meta_key(id), meta.to_json(), NOW_MS);
}
