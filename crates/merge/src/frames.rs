//! The chunks of a batch: which ranges to read, and every frame checked.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rutile_chunk::segment::{self, Verify};
use rutile_chunk::{ChunkRef, Encoding};

use crate::batch::{Batch, Chunk, Entries};
use crate::error::{Error, Reason, Result};
use crate::input::Input;
use crate::rewrite;
use crate::source::Settings;

/// What is read for a chunk of unknown length. Chunks are far shorter; one that is longer is read
/// again.
const GUESS: u64 = 16 << 10;
/// Chunks that are farther apart are not read as one range.
const MAX_GAP: u64 = 1 << 20;

/// Chunks that are read as one range of a segment.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    segment: u32,
    bytes: Range<u64>,
    /// Which chunks of the batch, in the order of their frames.
    chunks: Range<usize>,
}

/// Reads and checks the chunks of `entries`, and makes of them what the settings say.
pub(crate) async fn read(
    input: &Arc<Input>,
    entries: Entries,
    settings: &Settings,
) -> Result<Batch> {
    let runs = plan(input, &entries)?;
    let mut parts = Vec::with_capacity(runs.len());
    for run in &runs {
        let bytes = fetch(input, run.segment, run.bytes.clone()).await?;
        (settings.count)(&settings.progress, bytes.len() as u64);
        parts.push(complete(input, run, &entries, bytes).await?);
    }
    let (input, downsample) = (Arc::clone(input), settings.downsample.clone());
    let check = move || {
        let batch = check(&input, entries, &runs, &parts)?;
        match downsample {
            Some(downsample) => downsample.batch(&input, batch),
            None => Ok(batch),
        }
    };
    settings.pool.run(check).await
}

/// The ranges that hold the chunks of `entries`. One, in blocks whose chunks lie in the order of
/// their series, as all writers' do.
fn plan(input: &Input, entries: &Entries) -> Result<Vec<Run>> {
    let mut runs: Vec<Run> = Vec::new();
    let next = entries.next_ref.into_iter();
    let following = entries.places.iter().skip(1).map(|place| place.chunk_ref);
    let mut following = following.chain(next);
    for (i, place) in entries.places.iter().enumerate() {
        let chunk = ChunkRef::from_u64(place.chunk_ref);
        let len = segment_len(input, chunk.segment())?;
        let start = u64::from(chunk.offset());
        if start >= len || start < segment::HEADER_LEN as u64 {
            let key = key(input, chunk.segment());
            let message = format!("{key} has {len} bytes, a chunk should start at {start}");
            return Err(input.fault(Reason::ChunkTruncated, message));
        }
        // Where the next one starts this one ends, if it is the next.
        let end = following.next().map(ChunkRef::from_u64);
        let end = end
            .filter(|next| next.segment() == chunk.segment())
            .map(|next| u64::from(next.offset()))
            .filter(|end| (start + 1..=start + MAX_GAP).contains(end))
            .unwrap_or(start + GUESS)
            .min(len);
        match runs.last_mut() {
            Some(run)
                if run.segment == chunk.segment()
                    && (run.bytes.start..=run.bytes.end).contains(&start) =>
            {
                run.bytes.end = run.bytes.end.max(end);
                run.chunks.end = i + 1;
            }
            _ => runs.push(Run {
                segment: chunk.segment(),
                bytes: start..end,
                chunks: i..i + 1,
            }),
        }
    }
    Ok(runs)
}

/// Reads on where the guess of a chunk's length was too short.
async fn complete(input: &Input, run: &Run, entries: &Entries, bytes: Bytes) -> Result<Bytes> {
    let mut end = run.bytes.end;
    for place in entries.places.get(run.chunks.clone()).unwrap_or_default() {
        let start = u64::from(ChunkRef::from_u64(place.chunk_ref).offset());
        let at = usize::try_from(start - run.bytes.start).unwrap_or(usize::MAX);
        let prefix = bytes.get(at..).unwrap_or_default();
        let len = segment::frame_len(prefix).map_err(|e| damaged(input, run.segment, &e))?;
        let unknown = segment::MAX_LENGTH_FIELD_LEN;
        end = end.max(start + len.unwrap_or(unknown) as u64);
    }
    if end == run.bytes.end {
        return Ok(bytes);
    }
    let len = segment_len(input, run.segment)?;
    if end > len {
        let key = key(input, run.segment);
        let message = format!("{key} has {len} bytes, a chunk ends at {end}");
        return Err(input.fault(Reason::ChunkTruncated, message));
    }
    let rest = fetch(input, run.segment, run.bytes.end..end).await?;
    let mut whole = BytesMut::with_capacity(bytes.len() + rest.len());
    whole.extend_from_slice(&bytes);
    whole.extend_from_slice(&rest);
    Ok(whole.freeze())
}

async fn fetch(input: &Input, segment: u32, range: Range<u64>) -> Result<Bytes> {
    let key = key(input, segment);
    let len = range.end - range.start;
    let bytes = input.bucket.get_range(key, range).await;
    let bytes = bytes.map_err(|e| input.bucket_error(e, Reason::ChunkMissing))?;
    if (bytes.len() as u64) < len {
        let message = format!("{key} became shorter while it was read");
        return Err(input.fault(Reason::ChunkTruncated, message));
    }
    Ok(bytes)
}

fn key(input: &Input, segment: u32) -> &str {
    let segment = input.segments.get(segment as usize);
    segment.map_or("", |segment| segment.key.as_str())
}

fn segment_len(input: &Input, segment: u32) -> Result<u64> {
    let found = input.segments.get(segment as usize);
    found.map(|segment| segment.len).ok_or_else(|| {
        let (number, have) = (u64::from(segment) + 1, input.segments.len());
        let message = format!("a chunk lies in segment {number}, there are {have}");
        input.fault(Reason::ChunkMissing, message)
    })
}

/// Checks every frame and notes what is in it.
fn check(input: &Input, entries: Entries, runs: &[Run], parts: &[Bytes]) -> Result<Batch> {
    let bytes = match parts {
        [one] => one.clone(),
        many => many.concat().into(),
    };
    let mut chunks = Vec::with_capacity(entries.places.len());
    let mut base = 0;
    for (run, part) in runs.iter().zip(parts) {
        for place in entries.places.get(run.chunks.clone()).unwrap_or_default() {
            let start = u64::from(ChunkRef::from_u64(place.chunk_ref).offset()) - run.bytes.start;
            let start = usize::try_from(start).unwrap_or(usize::MAX);
            let mut chunk = check_frame(input, run.segment, part, start)?;
            let start = u32::try_from(base + start).map_err(|_| too_large(input))?;
            (chunk.start, chunk.min_time, chunk.max_time) = (start, place.min_time, place.max_time);
            chunks.push(chunk);
        }
        base += part.len();
    }
    let batch = Batch {
        labels: entries.labels,
        series: entries.series,
        chunks,
        bytes,
        postings: entries.postings,
    };
    rewrite::where_needed(input, batch)
}

fn check_frame(input: &Input, segment: u32, bytes: &[u8], start: usize) -> Result<Chunk> {
    let frame = segment::parse_frame(bytes, start, Verify::Checksum)
        .map_err(|e| damaged(input, segment, &e))?;
    let end = start + frame.total_len;
    let crc = bytes.get(end - 4..end).and_then(|crc| crc.first_chunk());
    let field_len = frame.total_len - frame.data.len() - 5;
    Ok(Chunk {
        min_time: 0,
        max_time: 0,
        start: 0,
        len: u32::try_from(frame.total_len).map_err(|_| too_large(input))?,
        crc: crc.map_or(0, |crc| u32::from_be_bytes(*crc)),
        samples: samples(&frame).map_err(|e| damaged(input, segment, &e))?,
        encoding: frame.encoding,
        field_len: u8::try_from(field_len).unwrap_or_default(),
    })
}

fn samples(frame: &segment::Frame<'_>) -> rutile_chunk::Result<u16> {
    match (frame.encoding, frame.data) {
        (Encoding::Xor, [high, low, ..]) => Ok(u16::from_be_bytes([*high, *low])),
        _ => frame.chunk().num_samples(),
    }
}

#[cold]
fn damaged(input: &Input, segment: u32, error: &rutile_chunk::Error) -> Error {
    let reason = match error {
        rutile_chunk::Error::Encoding { .. } => Reason::UnsupportedVersion,
        _ => Reason::ChunkChecksum,
    };
    input.fault(reason, format!("{}: {error}", key(input, segment)))
}

#[cold]
fn too_large(input: &Input) -> Error {
    let message = "the chunks of a series are longer than 4 GiB";
    input.fault(Reason::IndexTooLarge, message)
}
