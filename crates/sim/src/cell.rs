//! Small real blocks, and what they hold: the index and chunks are made by our own writers, and read
//! back by our own readers.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use rutile_block::{BlockId, FileStat, Meta, Source};
use rutile_chunk::segment::{self, SegmentWriter, Verify};
use rutile_chunk::{Chunk, ChunkRef, Encoding, XorAppender, XorIter};
use rutile_index::{ChunkMeta, IndexReader, IndexWriter};
use rutile_model::Labels;

use crate::replicas::REPLICA;

/// Samples by series.
pub(crate) type Samples = BTreeMap<String, BTreeMap<i64, u64>>;

/// The samples of one block as a head wrote it: the unit in which everything is counted.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    pub(crate) id: BlockId,
    pub(crate) samples: Samples,
    pub(crate) meta: Meta,
    pub(crate) index: Bytes,
    pub(crate) chunks: Bytes,
    /// Whether its index cannot be read.
    pub(crate) bad: bool,
}

/// The external labels of a stream.
pub(crate) fn labels_of(group: usize) -> Labels {
    Labels::from([("stream", group.to_string().as_str())])
}

impl Cell {
    /// Block `number` of a stream; `alike` one has the labels of the first stream.
    pub(crate) fn make(
        id: BlockId,
        group: usize,
        (number, times): (usize, Range<i64>),
        alike: bool,
    ) -> Self {
        let series = 1 + number % 2;
        let name = |n| match alike {
            true => format!("t{n}"),
            false => format!("s{n}"),
        };
        let names: Vec<String> = (0..series).map(name).collect();
        let mut samples = Samples::new();
        let quarter = (times.end - times.start) / 4;
        // Two in one window of five minutes, three in one of an hour.
        let offsets = (0..3).flat_map(|at| [1, 60_001, 600_001].map(|more| at * quarter + more));
        for (n, name) in names.iter().enumerate() {
            let base = group * 1_000 + number * 20 + n;
            let of_series = offsets.clone().enumerate();
            let of_series =
                of_series.map(|(at, offset)| (times.start + offset, (base + at) as f64));
            let of_series = of_series.map(|(t, value)| (t, value.to_bits()));
            samples.insert(name.clone(), of_series.collect());
        }
        Self::written(id, labels_of(if alike { 0 } else { group }), times, samples)
    }

    /// The block that a head writes of samples.
    pub(crate) fn written(
        id: BlockId,
        labels: Labels,
        times: Range<i64>,
        samples: Samples,
    ) -> Self {
        let mut meta = Meta::new(id);
        (meta.min_time, meta.max_time) = (times.start, times.end);
        meta.compaction.level = 1;
        meta.compaction.sources = vec![id];
        meta.thanos.labels = labels;
        meta.thanos.source = Source::Sidecar;
        Self::of(meta, samples)
    }

    /// What a compaction of `inputs`, which hold `samples`, makes.
    pub(crate) fn merged(id: BlockId, inputs: &[Meta], samples: Samples) -> Self {
        let mut meta = Meta::new(id);
        meta.min_time = inputs.iter().map(|meta| meta.min_time).min().unwrap_or(0);
        meta.max_time = inputs.iter().map(|meta| meta.max_time).max().unwrap_or(0);
        let levels = inputs.iter().map(|meta| meta.compaction.level);
        meta.compaction.level = levels.max().unwrap_or(0) + 1;
        let sources = inputs
            .iter()
            .flat_map(|meta| meta.compaction.sources.clone());
        meta.compaction.sources = sources.collect();
        meta.compaction.sources.sort_unstable();
        if let Some(first) = inputs.first() {
            meta.thanos.labels = first.thanos.labels.clone();
        }
        meta.thanos.source = Source::Compactor;
        Self::of(meta, samples)
    }

    /// The block of these samples, a chunk to a series; counts them in its metadata.
    fn of(mut meta: Meta, samples: Samples) -> Self {
        let (index, chunks) = encode(&samples);
        let of_series = samples.values().map(|series| series.len() as u64);
        meta.stats.num_samples = of_series.sum();
        meta.stats.num_series = samples.len() as u64;
        meta.stats.num_chunks = samples.len() as u64;
        meta.thanos.segment_files = vec!["000001".to_owned()];
        Self {
            id: meta.id,
            samples,
            meta,
            index,
            chunks,
            bad: false,
        }
    }

    /// Cuts the end of the index off: no reader finds its way in it.
    pub(crate) fn spoil(&mut self) {
        self.index.truncate(self.index.len() - 30);
        self.bad = true;
    }

    /// What tells streams apart in answers.
    pub(crate) fn stream(&self) -> String {
        stream_of(|name| self.meta.thanos.labels.get(name))
    }

    /// The metadata as Thanos's sidecar writes it.
    pub(crate) fn meta_of_thanos(&self, uploaded_ms: i64) -> Meta {
        let file = |path: &str, size: usize| FileStat {
            rel_path: path.to_owned(),
            size_bytes: size as u64,
            hash: None,
        };
        let mut meta = self.meta.clone();
        meta.thanos.upload_time = rutile_block::UploadTime::from_ms(uploaded_ms);
        meta.thanos.files = vec![
            file("chunks/000001", self.chunks.len()),
            file("index", self.index.len()),
            file("meta.json", 0),
        ];
        meta
    }
}

/// The stream of a block or series with these external labels, and which replica of it that is, if it is of one.
pub(crate) fn stream_of<'a>(label: impl Fn(&str) -> Option<&'a str>) -> String {
    let stream = label("stream").unwrap_or_default();
    match label(REPLICA) {
        Some(replica) => format!("{stream}{replica}"),
        None => stream.to_owned(),
    }
}

/// Index and the only segment of a block.
fn encode(samples: &Samples) -> (Bytes, Bytes) {
    let mut index = IndexWriter::new();
    let mut symbols: Vec<&str> = vec!["__name__", "m", "series"];
    symbols.extend(samples.keys().map(String::as_str));
    symbols.sort_unstable();
    let mut number = BTreeMap::new();
    for symbol in symbols {
        let reference = index.add_symbol(symbol.as_bytes());
        number.insert(symbol, reference.expect("symbols in order"));
    }
    let mut segments = SegmentWriter::new(segment::DEFAULT_SEGMENT_SIZE);
    let (mut out, mut refs) = (Vec::new(), Vec::new());
    for (series, of_series) in samples {
        let mut appender = XorAppender::new();
        for (t, value) in of_series {
            let appended = appender.append(*t, f64::from_bits(*value));
            appended.expect("samples in order");
        }
        let data = appender.into_bytes();
        let chunk = Chunk {
            encoding: Encoding::Xor,
            data: &data,
        };
        let written = segments.write(&[chunk], &mut out, &mut refs);
        written.expect("a small segment");
        let labels = [
            (number["__name__"], number["m"]),
            (number["series"], number[series.as_str()]),
        ];
        let chunk = ChunkMeta {
            min_time: *of_series.keys().next().expect("a sample"),
            max_time: *of_series.keys().next_back().expect("a sample"),
            chunk_ref: refs
                .last()
                .map_or(0, |reference: &ChunkRef| reference.as_u64()),
        };
        let added = index.add_series(&labels, &[chunk]);
        added.expect("series in order");
    }
    let tail = index.finish().expect("an index");
    let index = tail.into_bytes().expect("an index");
    (index.into(), out.into())
}

/// All samples of a block with one segment, and whether a sample is there twice.
pub(crate) fn decode(index: &Bytes, chunks: &Bytes) -> Result<Samples, String> {
    let mut all = Samples::new();
    each_chunk(index, chunks, |name, chunk| {
        add_samples(chunk.data, all.entry(name.to_owned()).or_default())
    })?;
    Ok(all)
}

/// Reads the chunks of a block with one segment, each with the name of its series.
pub(crate) fn each_chunk(
    index: &Bytes,
    chunks: &Bytes,
    mut read: impl FnMut(&str, Chunk<'_>) -> Result<(), String>,
) -> Result<(), String> {
    let reader = IndexReader::open(index.clone()).map_err(|e| e.to_string())?;
    reader.verify().map_err(|e| e.to_string())?;
    for entry in reader.series() {
        let (_, entry) = entry.map_err(|e| e.to_string())?;
        let mut name = String::new();
        for label in entry.labels() {
            let (label, value) = label.map_err(|e| e.to_string())?;
            if reader.symbols().get_str(label) == Ok("series") {
                let value = reader.symbols().get_str(value);
                name = value.map_err(|e| e.to_string())?.to_owned();
            }
        }
        for chunk in entry.chunks() {
            let chunk = chunk.map_err(|e| e.to_string())?;
            let place = ChunkRef::from_u64(chunk.chunk_ref);
            let frame = segment::parse_frame(chunks, place.offset() as usize, Verify::Checksum);
            let frame = frame.map_err(|e| e.to_string())?;
            read(&name, frame.chunk())?;
        }
    }
    Ok(())
}

/// The samples of a chunk of floats.
pub(crate) fn floats(data: &[u8]) -> Result<Vec<(i64, f64)>, String> {
    let samples = XorIter::new(data).map_err(|e| e.to_string())?;
    let samples: Result<Vec<_>, _> = samples.collect();
    samples.map_err(|e| e.to_string())
}

/// Decodes a chunk of floats into a series; a sample that is there already is an error.
pub(crate) fn add_samples(data: &[u8], series: &mut BTreeMap<i64, u64>) -> Result<(), String> {
    for (t, value) in floats(data)? {
        if series.insert(t, value.to_bits()).is_some() {
            return Err(format!("the sample at {t} is there twice"));
        }
    }
    Ok(())
}
