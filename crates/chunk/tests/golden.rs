//! Every chunk of every golden block: found in its segment file, decoded, written again.

#![expect(clippy::unwrap_used, reason = "a test that meets bad data has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rutile_chunk::segment::{self, Verify};
use rutile_chunk::{
    AggrChunk, Aggregate, Appended, Chunk, Encoding, HistogramAppender, Value, XorAppender,
    decode_floats,
};
use rutile_model::FloatHistogram;
use rutile_testkit::{block_dirs, digest, dumps, golden};

/// All blocks that have a dump.
fn blocks() -> Vec<PathBuf> {
    let buckets = ["raw", "long", "ha/input", "ha/chain", "ha/penalty"];
    buckets
        .iter()
        .flat_map(|bucket| block_dirs(&golden().join(bucket)))
        .collect()
}

fn name(block: &Path) -> &str {
    block.file_name().unwrap().to_str().unwrap()
}

/// Calls `visit` with every frame of a block, in order.
fn scan(block: &Path, mut visit: impl FnMut(segment::Frame<'_>)) {
    let mut paths: Vec<_> = fs::read_dir(block.join("chunks"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    for path in paths {
        let bytes = fs::read(path).unwrap();
        segment::parse_header(&bytes).unwrap();
        let mut offset = segment::HEADER_LEN;
        while offset < bytes.len() {
            let frame = segment::parse_frame(&bytes, offset, Verify::Checksum).unwrap();
            assert_eq!(
                segment::frame_len(&bytes[offset..]),
                Ok(Some(frame.total_len))
            );
            offset += frame.total_len;
            visit(frame);
        }
    }
}

/// The chunk itself, or the aggregates in it with their dumped names.
fn parts(chunk: Chunk<'_>) -> Vec<(&'static str, Chunk<'_>)> {
    if chunk.encoding != Encoding::Aggregate {
        return vec![("raw", chunk)];
    }
    let names = ["count", "sum", "min", "max", "counter"];
    let parsed = AggrChunk::parse(chunk.data).unwrap();
    assert_eq!(parsed.encode(), chunk.data);
    names
        .into_iter()
        .zip(Aggregate::ALL)
        .filter_map(|(n, a)| Some((n, parsed.get(a)?)))
        .collect()
}

#[test]
fn segments_hold_exactly_the_dumped_chunks() {
    let blocks = blocks();
    assert_eq!(blocks.len(), 73);
    for block in &blocks {
        let mut dump = dumps::chunks(name(block));
        scan(block, |frame| {
            let line = dump.next().expect("a line in the dump");
            let found = (
                frame.encoding.as_byte(),
                frame.data.len(),
                digest(frame.data),
            );
            assert_eq!(
                found,
                (line.encoding, line.bytes, line.digest),
                "{}",
                block.display()
            );
            for (name, part) in parts(frame.chunk()) {
                let mut samples = part.iter().unwrap().map(|sample| sample.unwrap().time_ms);
                let (first, count) = (samples.next().unwrap(), part.num_samples().unwrap());
                let last = samples.by_ref().last().unwrap_or(first);
                assert_eq!(last, line.max_time);
                // A counter aggregate starts with the first raw sample, before its first window.
                assert!(first == line.min_time || (name == "counter" && first < line.min_time));
                assert_eq!(part.iter().unwrap().count(), usize::from(count));
            }
        });
        assert_eq!(dump.next(), None, "{}: chunks missing", block.display());
    }
}

#[test]
fn chunks_written_again_have_the_same_bytes() {
    let mut histograms = 0;
    for block in blocks() {
        scan(&block, |frame| {
            for (_, part) in parts(frame.chunk()) {
                histograms += usize::from(part.encoding != Encoding::Xor);
                assert_eq!(written_again(part), part.data, "{}", block.display());
            }
        });
    }
    assert!(histograms > 2000);
}

/// Only the flag is copied: it depends on the chunk before.
fn written_again(chunk: Chunk<'_>) -> Vec<u8> {
    let flag = chunk.counter_reset().unwrap();
    let mut floats = XorAppender::new();
    let mut ints = HistogramAppender::<rutile_chunk::Int>::new();
    let mut float_histograms = HistogramAppender::<rutile_chunk::Float>::new();
    for sample in chunk.iter().unwrap() {
        let sample = sample.unwrap();
        let t = sample.time_ms;
        let appended = match sample.value {
            Value::Float(value) => floats.append(t, value).map(|()| Appended::InPlace),
            Value::Histogram(h) => ints.append(t, &h, None),
            Value::FloatHistogram(h) => float_histograms.append(t, &h, None),
        };
        assert_eq!(appended, Ok(Appended::InPlace));
    }
    match chunk.encoding {
        Encoding::Xor => floats.into_bytes(),
        Encoding::Histogram => {
            ints.set_counter_reset(flag.unwrap());
            ints.into_bytes()
        }
        _ => {
            float_histograms.set_counter_reset(flag.unwrap());
            float_histograms.into_bytes()
        }
    }
}

#[test]
fn columns_are_the_samples() {
    for block in blocks().iter().step_by(9) {
        scan(block, |frame| {
            for (_, part) in parts(frame.chunk()) {
                if part.encoding != Encoding::Xor {
                    continue;
                }
                let (mut times, mut values) = (Vec::new(), Vec::new());
                decode_floats(part.data, &mut times, &mut values).unwrap();
                let columns = times.into_iter().zip(values.into_iter().map(Value::Float));
                let samples = part.iter().unwrap().map(|sample| sample.unwrap());
                assert!(columns.eq(samples.map(|sample| (sample.time_ms, sample.value))));
            }
        });
    }
}

#[test]
fn samples_are_the_dumped_ones() {
    for block in [
        "long/01M820QCC5NSJ7FX1TVNAZ9Z1V",
        "ha/penalty/01M820QD2JWF2SF12WWKRK7N0B",
    ] {
        let block = golden().join(block);
        let mut chunks = dumps::chunks(name(&block));
        let mut found: BTreeMap<(String, String), Vec<(i64, String)>> = BTreeMap::new();
        scan(&block, |frame| {
            let labels = chunks.next().unwrap().labels;
            for (aggregate, part) in parts(frame.chunk()) {
                let samples = found
                    .entry((labels.clone(), aggregate.to_owned()))
                    .or_default();
                for sample in part.iter().unwrap() {
                    let sample = sample.unwrap();
                    samples.push((sample.time_ms, text(&sample.value)));
                }
            }
        });
        let mut wanted: BTreeMap<(String, String), Vec<(i64, String)>> = BTreeMap::new();
        for line in dumps::samples(name(&block)) {
            let samples = wanted.entry((line.labels, line.aggregate)).or_default();
            samples.push((line.timestamp, normal(&line.value)));
        }
        assert!(found == wanted, "{}: the samples differ", block.display());
    }
}

/// Numbers of a sample: the value, or count, sum and the buckets that are not empty.
fn text(value: &Value) -> String {
    match value {
        Value::Float(value) => value.to_string(),
        Value::Histogram(h) => numbers(&h.to_float()),
        Value::FloatHistogram(h) => numbers(h),
    }
}

fn numbers(h: &FloatHistogram) -> String {
    let negative = h.negative_buckets.iter().rev();
    let buckets = negative.chain([&h.zero_count]).chain(&h.positive_buckets);
    let all = [h.count, h.sum]
        .into_iter()
        .chain(buckets.copied().filter(|count| *count != 0.0));
    all.map(|number| number.to_string())
        .collect::<Vec<_>>()
        .join(" ")
}

/// A dumped value in the form of [`text`]: the bounds of the buckets are left out.
fn normal(dumped: &str) -> String {
    let number = |text: &str| text.parse::<f64>().unwrap().to_string();
    let Some(histogram) = dumped
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
    else {
        return number(dumped);
    };
    let numbers = histogram
        .split(", ")
        .map(|field| number(field.rsplit_once(':').unwrap().1));
    numbers.collect::<Vec<_>>().join(" ")
}
