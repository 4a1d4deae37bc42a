//! One merged series, written: chunks in order, duplicates left out, aggregates picked.

use std::sync::Arc;

use rutile_chunk::{AggrChunk, Aggregate, Chunk, Encoding, WireEncoding, transcode_for_thanos};
use rutile_proto::thanos::Aggr;
use rutile_storeapi::{ChunkRef, FrameWriter, SeriesWriter};
use smallvec::SmallVec;
use xxhash_rust::xxh64::xxh64;

use super::decode::ChunkPlace;
use super::label_writer::LabelWriter;
use super::source::Batch;
use super::spec::SeriesSpec;
use crate::Result;

/// What was written for a series.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Written {
    pub(crate) chunks: u64,
    pub(crate) chunk_bytes: u64,
}

/// A chunk as it lies in its block.
#[derive(Debug, Clone, Copy)]
struct Stored<'a> {
    place: &'a ChunkPlace,
    encoding: Encoding,
    data: &'a [u8],
}

/// Writes a series that several blocks have; `parts` are looked at only for their chunks.
pub(crate) fn write_series(
    spec: &SeriesSpec,
    labels: &[u32],
    parts: &[(Arc<Batch>, usize)],
    labels_out: &mut LabelWriter,
    writer: &mut FrameWriter,
) -> Result<Written> {
    let mut chunks: SmallVec<[Stored<'_>; 32]> = SmallVec::new();
    if !spec.skip_chunks {
        for (batch, i) in parts {
            for (place, frame) in batch.chunks(*i) {
                let frame = frame.map_err(|source| corrupt(batch, place, &source))?;
                chunks.push(Stored {
                    place,
                    encoding: frame.encoding,
                    data: frame.data,
                });
            }
        }
        order(&mut chunks);
    }
    let mut series = writer.series();
    labels_out.write(labels, &mut series);
    let mut written = Written::default();
    for chunk in &chunks {
        written.chunks += 1;
        written.chunk_bytes += write_chunk(spec, chunk, &mut series)
            .map_err(|source| corrupt(batch_of(parts, chunk.place), chunk.place, &source))?;
    }
    series.finish()?;
    Ok(written)
}

/// The batch that a chunk of the series is from.
#[cold]
fn batch_of<'a>(parts: &'a [(Arc<Batch>, usize)], place: &ChunkPlace) -> &'a Batch {
    let has = |(batch, i): &&(Arc<Batch>, usize)| {
        batch
            .chunks(*i)
            .any(|(other, _)| std::ptr::eq(other, place))
    };
    &parts.iter().find(has).unwrap_or(&parts[0]).0
}

#[cold]
fn corrupt(batch: &Batch, place: &ChunkPlace, source: &rutile_chunk::Error) -> crate::Error {
    let object = format!("chunks/{:06}", u64::from(place.wanted.segment) + 1);
    let reader = &batch.block.reader;
    let offset = u64::from(place.wanted.offset);
    reader
        .corrupt_chunk(&object, offset, &format!("a sound chunk, but {source}"))
        .into()
}

/// Sorts by time, as the reference's proxy does, and leaves out what two blocks have alike.
fn order(chunks: &mut SmallVec<[Stored<'_>; 32]>) {
    let time = |chunk: &Stored<'_>| (chunk.place.min_time, chunk.place.max_time);
    if chunks.is_sorted_by(|a, b| time(a) < time(b)) {
        return;
    }
    chunks.sort_by(|a, b| {
        let kind = |chunk: &Stored<'_>| chunk.encoding as u8;
        (time(a).cmp(&time(b)))
            .then(kind(a).cmp(&kind(b)))
            .then_with(|| b.data.cmp(a.data))
    });
    chunks.dedup_by(|a, b| time(a) == time(b) && a.encoding == b.encoding && a.data == b.data);
}

/// Writes one chunk; returns the bytes of its samples.
fn write_chunk(
    spec: &SeriesSpec,
    chunk: &Stored<'_>,
    series: &mut SeriesWriter<'_>,
) -> rutile_chunk::Result<u64> {
    let place = chunk.place;
    if chunk.encoding == Encoding::Aggregate {
        let stored = AggrChunk::parse(chunk.data)?;
        let mut parts: SmallVec<[(Aggr, ChunkRef<'_>); 5]> = SmallVec::new();
        // An aggregate that does not exist (a histogram has no smallest value) is left out.
        for aggr in &spec.aggregates {
            let part = aggregate(*aggr).and_then(|aggregate| stored.get(aggregate));
            let known = part.and_then(|part| Some(wire(part.encoding.wire()?, part.data)));
            parts.extend(known.map(|chunk| (*aggr, chunk)));
        }
        series.aggregates(place.min_time, place.max_time, &parts);
        return Ok(parts.iter().map(|(_, chunk)| chunk.data.len() as u64).sum());
    }
    // Encodings that Thanos readers do not know leave as ones that they do.
    let (encoding, data) = transcode_for_thanos(Chunk {
        encoding: chunk.encoding,
        data: chunk.data,
    })?;
    series.raw(place.min_time, place.max_time, wire(encoding, &data));
    Ok(data.len() as u64)
}

fn wire(encoding: WireEncoding, data: &[u8]) -> ChunkRef<'_> {
    ChunkRef {
        encoding: encoding.as_i32(),
        data,
        hash: xxh64(data, 0),
    }
}

fn aggregate(aggr: Aggr) -> Option<Aggregate> {
    match aggr {
        Aggr::Raw => None,
        Aggr::Count => Some(Aggregate::Count),
        Aggr::Sum => Some(Aggregate::Sum),
        Aggr::Min => Some(Aggregate::Min),
        Aggr::Max => Some(Aggregate::Max),
        Aggr::Counter => Some(Aggregate::Counter),
    }
}
