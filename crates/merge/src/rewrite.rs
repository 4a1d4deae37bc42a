//! Chunks that cannot pass as they are: in encodings that the reference does not read, or with
//! samples that tombstones delete.

use std::borrow::Cow;

use rutile_chunk::{
    Appended, Chunk as Content, Encoding, Float, HistogramAppender, Int, Value, XorAppender,
    transcode_for_thanos,
};
use rutile_index::{Tombstone, varint};

use crate::batch::{Batch, Chunk};
use crate::error::{Reason, Result};
use crate::input::Input;

type ChunkResult<T> = rutile_chunk::Result<T>;

/// The batch as it is, unless a chunk of it has to be written anew.
pub(crate) fn where_needed(input: &Input, batch: Batch) -> Result<Batch> {
    let foreign = batch.chunks.iter().any(|chunk| is_foreign(chunk.encoding));
    if foreign || !input.tombstones.is_empty() {
        return rewrite(input, batch);
    }
    Ok(batch)
}

fn is_foreign(encoding: Encoding) -> bool {
    matches!(
        encoding,
        Encoding::Xor2 | Encoding::HistogramSt | Encoding::FloatHistogramSt
    )
}

fn rewrite(input: &Input, batch: Batch) -> Result<Batch> {
    let mut out = Output::default();
    let mut series = batch.series.clone();
    for (at, series) in series.iter_mut().enumerate() {
        let deleted = deleted(input, series.reference);
        for chunk in batch.chunks_of(at) {
            let touching: Vec<Tombstone> = deleted
                .iter()
                .filter(|d| d.min_time <= chunk.max_time && d.max_time >= chunk.min_time)
                .copied()
                .collect();
            out.chunk(chunk, &batch.bytes, &touching).map_err(|e| {
                let message = format!("a chunk that is to be written anew: {e}");
                input.fault(Reason::ChunkChecksum, message)
            })?;
        }
        series.chunks_end = u32::try_from(out.chunks.len()).unwrap_or(u32::MAX);
    }
    Ok(Batch {
        series,
        chunks: out.chunks,
        bytes: out.bytes.into(),
        ..batch
    })
}

/// The tombstones of a series.
fn deleted(input: &Input, reference: u32) -> &[Tombstone] {
    let reference = u64::from(reference);
    let all = input.tombstones.as_slice();
    let start = all.partition_point(|tombstone| tombstone.series < reference);
    let end = all.partition_point(|tombstone| tombstone.series <= reference);
    all.get(start..end).unwrap_or_default()
}

/// The chunks of a batch, written anew.
#[derive(Default)]
struct Output {
    bytes: Vec<u8>,
    chunks: Vec<Chunk>,
}

impl Output {
    fn chunk(&mut self, chunk: &Chunk, bytes: &[u8], deleted: &[Tombstone]) -> ChunkResult<()> {
        let content = chunk.content(bytes);
        if deleted.is_empty() && !is_foreign(chunk.encoding) {
            self.put(chunk, content);
            return Ok(());
        }
        let (encoding, data): (Encoding, Cow<'_, [u8]>) = match chunk.encoding {
            Encoding::Aggregate => (Encoding::Aggregate, Cow::Borrowed(content.data)),
            _ => {
                let (wire, data) = transcode_for_thanos(content)?;
                (wire.into(), data)
            }
        };
        let content = Content {
            encoding,
            data: &data,
        };
        let whole = |d: &Tombstone| d.min_time <= chunk.min_time && d.max_time >= chunk.max_time;
        match deleted {
            [] => self.put(chunk, content),
            some if some.iter().any(whole) => {}
            some => self.without(chunk, content, some)?,
        }
        Ok(())
    }

    /// The samples of a chunk that are not deleted, in chunks of the same encoding.
    fn without(
        &mut self,
        chunk: &Chunk,
        content: Content<'_>,
        deleted: &[Tombstone],
    ) -> ChunkResult<()> {
        let mut floats = XorAppender::new();
        let mut ints = HistogramAppender::<Int>::new();
        let mut float_histograms = HistogramAppender::<Float>::new();
        let mut times: Option<(i64, i64)> = None;
        for sample in content.iter()? {
            let sample = sample?;
            let t = sample.time_ms;
            if deleted
                .iter()
                .any(|d| (d.min_time..=d.max_time).contains(&t))
            {
                continue;
            }
            let appended = match &sample.value {
                Value::Float(value) => {
                    floats.append(t, *value)?;
                    Appended::InPlace
                }
                Value::Histogram(histogram) => ints.append(t, histogram, None)?,
                Value::FloatHistogram(histogram) => float_histograms.append(t, histogram, None)?,
            };
            if let Appended::Cut(finished) = appended {
                self.put_new(chunk, content.encoding, &finished, times.take());
            }
            times = Some((times.map_or(t, |(min_time, _)| min_time), t));
        }
        let data = match content.encoding {
            Encoding::Histogram => ints.bytes(),
            Encoding::FloatHistogram => float_histograms.bytes(),
            _ => floats.bytes(),
        };
        self.put_new(chunk, content.encoding, data, times);
        Ok(())
    }

    fn put_new(
        &mut self,
        chunk: &Chunk,
        encoding: Encoding,
        data: &[u8],
        times: Option<(i64, i64)>,
    ) {
        if let Some((min_time, max_time)) = times {
            let times = Chunk {
                min_time,
                max_time,
                ..*chunk
            };
            self.put(&times, Content { encoding, data });
        }
    }

    /// Writes a frame, with the times of `like`.
    fn put(&mut self, like: &Chunk, content: Content<'_>) {
        if let Some(chunk) = put_frame(&mut self.bytes, like.min_time, like.max_time, content) {
            self.chunks.push(chunk);
        }
    }
}

/// Appends the frame of a chunk. `None`: it is too long, or has no samples.
pub(crate) fn put_frame(
    out: &mut Vec<u8>,
    min_time: i64,
    max_time: i64,
    content: Content<'_>,
) -> Option<Chunk> {
    let samples = content.num_samples().ok()?;
    let start = u32::try_from(out.len()).ok()?;
    varint::put_uvarint(out, u64::from(u32::try_from(content.data.len()).ok()?));
    let checked = out.len();
    out.push(content.encoding.as_byte());
    out.extend_from_slice(content.data);
    let crc = crc_fast::crc32_iscsi(out.get(checked..)?);
    out.extend_from_slice(&crc.to_be_bytes());
    Some(Chunk {
        min_time,
        max_time,
        start,
        len: u32::try_from(out.len()).ok()? - start,
        crc,
        samples,
        encoding: content.encoding,
        field_len: u8::try_from(checked - start as usize).ok()?,
    })
}
