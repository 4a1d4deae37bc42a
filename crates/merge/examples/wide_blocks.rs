//! Makes a bucket of blocks with very many series, for benchmarks: every series has a label value of its own and one chunk
//! of four samples.
//!
//! `cargo run --release -p rutile-merge --example wide_blocks -- OUT SERIES BLOCKS`: consecutive blocks of two hours.
#![expect(clippy::expect_used, reason = "a program for benchmarks")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;

use rutile_block::{BlockId, Meta, Source};
use rutile_chunk::segment::{self, SegmentWriter};
use rutile_chunk::{Chunk, Encoding, XorAppender};
use rutile_index::{ChunkMeta, IndexWriter};
use rutile_model::Labels;

const TWO_HOURS: i64 = 7_200_000;
/// Aligned to 8 hours, so that four blocks are one plan.
const START: i64 = 1_767_225_600_000;
const JOBS: u64 = 100;
const PATHS: u64 = 10_000;

fn main() {
    let mut args = std::env::args().skip(1);
    let out = args.next().expect("a folder");
    let mut number = || {
        args.next()
            .and_then(|n| n.parse::<u64>().ok())
            .expect("a number")
    };
    let (series, blocks) = (number(), number());
    for block in 0..blocks {
        write_block(
            Path::new(&out),
            series,
            START + TWO_HOURS * block.cast_signed(),
        );
    }
}

/// The labels of a series, in order; series come in the order of `n`.
fn labels(n: u64) -> [(&'static str, String); 5] {
    [
        ("__name__", "wide_series_total".to_owned()),
        ("instance", format!("pod-{n:010}.cluster.local:9100")),
        ("job", format!("job-{:03}", n % JOBS)),
        ("path", format!("/api/v1/path/{:05}", n % PATHS)),
        ("replica", "a".to_owned()),
    ]
}

/// All strings of all labels, in order.
fn symbols(series: u64) -> Vec<String> {
    let mut symbols = BTreeSet::new();
    for n in 0..series.min(PATHS) {
        let labels = labels(n).into_iter();
        symbols.extend(labels.flat_map(|(name, value)| [name.to_owned(), value]));
    }
    symbols.extend((0..series).map(|n| labels(n)[1].1.clone()));
    symbols.into_iter().collect()
}

/// The identifier of the block that begins at `min_time`, as if it had been made then.
fn block_id(min_time: i64) -> BlockId {
    let mut bytes = [0; 16];
    let time = min_time.to_be_bytes();
    bytes
        .iter_mut()
        .zip(time.iter().skip(2))
        .for_each(|(byte, of_time)| *byte = *of_time);
    BlockId::from_bytes(bytes)
}

fn write_block(out: &Path, series: u64, min_time: i64) {
    let id = block_id(min_time);
    let folder = out.join(id.to_string());
    fs::create_dir_all(folder.join("chunks")).expect("a folder");
    let symbols = symbols(series);
    let reference = |text: &str| {
        symbols
            .binary_search_by(|s| s.as_str().cmp(text))
            .expect("a symbol") as u32
    };

    let mut index = IndexWriter::new();
    for symbol in &symbols {
        index.add_symbol(symbol.as_bytes()).expect("a symbol");
    }
    let file = |path: &str| {
        BufWriter::with_capacity(1 << 20, File::create(folder.join(path)).expect("a file"))
    };
    let (mut index_file, mut chunk_file) = (file("index"), file("chunks/000001"));
    let mut segments = SegmentWriter::new(segment::DEFAULT_SEGMENT_SIZE);
    let (mut frames, mut refs, mut segment_count) = (Vec::new(), Vec::new(), 0);
    for n in 0..series {
        let data = chunk(min_time, n);
        let chunk = Chunk {
            encoding: Encoding::Xor,
            data: &data,
        };
        let cuts = segments
            .write(&[chunk], &mut frames, &mut refs)
            .expect("a chunk");
        let mut done = 0;
        for cut in cuts {
            chunk_file.write_all(&frames[done..cut]).expect("written");
            chunk_file.flush().expect("written");
            done = cut;
            segment_count += 1;
            chunk_file = file(&format!("chunks/{segment_count:06}"));
        }
        chunk_file.write_all(&frames[done..]).expect("written");
        frames.clear();
        let row = labels(n).map(|(name, value)| (reference(name), reference(&value)));
        let meta = ChunkMeta {
            min_time,
            max_time: min_time + TWO_HOURS - 1,
            chunk_ref: refs.pop().expect("a reference").as_u64(),
        };
        index.add_series(&row, &[meta]).expect("a series");
        if index.pending() > 1 << 20 {
            index_file.write_all(&index.take()).expect("written");
        }
    }
    for piece in index.finish().expect("an index") {
        index_file
            .write_all(&piece.expect("an index"))
            .expect("written");
    }
    index_file.flush().expect("written");
    chunk_file.flush().expect("written");
    fs::write(
        folder.join("meta.json"),
        meta(id, min_time, series).to_json(),
    )
    .expect("written");
}

/// Four samples, the last one at the end of the block.
fn chunk(min_time: i64, n: u64) -> Vec<u8> {
    let mut chunk = XorAppender::new();
    for i in 0..4 {
        let time = min_time + i * (TWO_HOURS - 1) / 3;
        let value = (n % 1000) as f64 + i as f64;
        chunk.append(time, value).expect("a sample");
    }
    chunk.into_bytes()
}

fn meta(id: BlockId, min_time: i64, series: u64) -> Meta {
    let mut meta = Meta::new(id);
    (meta.min_time, meta.max_time) = (min_time, min_time + TWO_HOURS);
    meta.stats.num_series = series;
    meta.stats.num_chunks = series;
    meta.stats.num_samples = 4 * series;
    meta.stats.num_float_samples = 4 * series;
    meta.compaction.level = 1;
    meta.compaction.sources = vec![id];
    let mut labels = Labels::builder();
    labels.set("cluster", "wide");
    meta.thanos.labels = labels.build();
    meta.thanos.source = Source::Sidecar;
    meta
}
