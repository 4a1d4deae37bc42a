//! Every downsampled golden block is made again from the one below it, chunk for chunk.
#![expect(clippy::unwrap_used, reason = "a test that meets bad data has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use rutile_block::Meta;
use rutile_chunk::segment::{self, Verify};
use rutile_chunk::{Chunk, Encoding};
use rutile_downsample::{Downsampler, FIVE_MINUTES_MS, ONE_HOUR_MS, Piece};
use rutile_testkit::dumps::{self, DumpedChunk};
use rutile_testkit::{block_dirs, digest, golden};

/// A chunk as it lies in its segment, and its line in the dump: both are in the order of the series.
struct Stored {
    line: DumpedChunk,
    encoding: Encoding,
    data: Vec<u8>,
}

fn name(block: &Path) -> &str {
    block.file_name().unwrap().to_str().unwrap()
}

fn chunks(block: &Path) -> Vec<Stored> {
    let mut paths: Vec<PathBuf> = fs::read_dir(block.join("chunks"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let mut lines = dumps::chunks(name(block));
    let mut chunks = Vec::new();
    for path in paths {
        let bytes = fs::read(path).unwrap();
        let mut offset = segment::HEADER_LEN;
        while offset < bytes.len() {
            let frame = segment::parse_frame(&bytes, offset, Verify::Checksum).unwrap();
            offset += frame.total_len;
            let line = lines.next().unwrap();
            assert_eq!(digest(frame.data), line.digest);
            chunks.push(Stored {
                line,
                encoding: frame.encoding,
                data: frame.data.to_vec(),
            });
        }
    }
    assert!(lines.next().is_none());
    chunks
}

fn metas(bucket: &str) -> Vec<(PathBuf, Meta)> {
    let dirs = block_dirs(&golden().join(bucket)).into_iter();
    dirs.map(|dir| {
        let json = fs::read(dir.join("meta.json")).unwrap();
        let meta = Meta::parse(name(&dir).parse().unwrap(), &json).unwrap();
        (dir, meta)
    })
    .collect()
}

/// Makes the block at `to` of the one at `from`; gives the numbers of chunks, of floats and of histograms.
fn check((from, low): &(PathBuf, Meta), (to, high): &(PathBuf, Meta)) -> [usize; 2] {
    let (low, high) = (
        low.thanos.downsample.resolution,
        high.thanos.downsample.resolution,
    );
    let mut downsampler = Downsampler::new(low, high);
    let (stored, mut expected) = (chunks(from), dumps::chunks(name(to)));
    let mut counts = [0, 0];
    for series in stored.chunk_by(|a, b| a.line.labels == b.line.labels) {
        let pieces: Vec<Piece<'_>> = { series.iter() }
            .map(|stored| Piece {
                min_time: stored.line.min_time,
                max_time: stored.line.max_time,
                chunk: Chunk {
                    encoding: stored.encoding,
                    data: &stored.data,
                },
            })
            .collect();
        for made in downsampler.series(&pieces).unwrap() {
            let line = expected.next().unwrap();
            let labels = &series[0].line.labels;
            assert_eq!(
                (labels, 255),
                (&line.labels, line.encoding),
                "{}",
                to.display()
            );
            let times = (made.min_time, made.max_time);
            assert_eq!(times, (line.min_time, line.max_time), "{labels}");
            let bytes = (made.data.len(), digest(&made.data));
            assert_eq!(bytes, (line.bytes, line.digest), "{labels} {times:?}");
            let is_histogram = {
                let parts = rutile_chunk::AggrChunk::parse(&made.data).unwrap();
                parts.get(rutile_chunk::Aggregate::Min).is_none()
            };
            counts[usize::from(is_histogram)] += 1;
        }
    }
    assert_eq!(expected.next(), None, "{}", to.display());
    counts
}

#[test]
fn downsampled_blocks_are_made_again_chunk_for_chunk() {
    let mut made = Vec::new();
    for bucket in ["raw", "long"] {
        let metas = metas(bucket);
        let resolution = |of: &(PathBuf, Meta)| of.1.thanos.downsample.resolution;
        for to in metas.iter().filter(|of| resolution(of) > 0) {
            let below = match resolution(to) {
                ONE_HOUR_MS => FIVE_MINUTES_MS,
                _ => 0,
            };
            let sources = |of: &(PathBuf, Meta)| of.1.compaction.sources.clone();
            let from = { metas.iter() }
                .find(|of| resolution(of) == below && sources(of) == sources(to))
                .unwrap();
            let [floats, histograms] = check(from, to);
            assert!(floats > 0 && histograms > 0, "{}", to.0.display());
            made.push((bucket, resolution(to)));
        }
    }
    let expected = [
        ("raw", FIVE_MINUTES_MS),
        ("long", FIVE_MINUTES_MS),
        ("long", ONE_HOUR_MS),
    ];
    assert_eq!(made, expected);
}
