//! Writes `SeriesResponse` messages straight into the bytes that travel.
//!
//! The output is byte-identical to what a protobuf library writes for the same message, but nothing
//! is built first: labels and chunk payloads are copied once, from wherever they are.
//!
//! Lengths stand before what they measure. Those of labels and chunks are computed; that of a series
//! or a batch is known at its end only, so room is left for as many bytes as the previous one
//! needed. Neighbours are alike, so the guess is nearly always right; when it is not, the body is
//! moved by the difference.

mod header;

use prost::Message;
use rutile_model::ErrorKind;
use rutile_proto::thanos::{Aggr, Chunk, SeriesResponse, series_response};
use smallvec::SmallVec;

use self::header::{Header, bytes_field_len, message_field_len, varint_field_len};
use crate::{AggrChunk, Error, Frames, Result, Series, frames::PREFIX};

/// How many bytes of frames are worth a hand-over: [`FrameWriter::is_full`] from here on.
///
/// Larger hand-overs cost latency and cache misses, smaller ones wake-ups.
pub const FLUSH_BYTES: usize = 128 * 1024;

/// A batch ends when it is as long as this, however few series it has: the batch size is the
/// client's wish, the memory is ours.
pub const MAX_BATCH_BYTES: usize = FLUSH_BYTES;

/// The longest message that Thanos takes.
const MAX_MESSAGE: usize = i32::MAX as usize;

/// Encodes series into [`Frames`], one to a frame or in batches.
#[derive(Debug)]
pub struct FrameWriter {
    buf: Vec<u8>,
    /// Series to a frame; 1 means `series` frames, more means `batch` frames.
    batch_size: usize,
    /// Series in the frame that is being written; 0 when all frames are whole.
    batched: usize,
    /// Where the frame that is being written starts.
    frame_start: usize,
    /// Bytes that the lengths of the last series and of the last batch took.
    series_width: usize,
    batch_width: usize,
}

/// One series that is being written. Dropped before [`SeriesWriter::finish`], it leaves no trace.
#[derive(Debug)]
#[must_use = "a series that is not finished is not written"]
pub struct SeriesWriter<'a> {
    writer: &'a mut FrameWriter,
    /// Where it starts, and where what its length measures starts.
    start: usize,
    body: usize,
    finished: bool,
}

/// The samples of one chunk, as they lie in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkRef<'a> {
    /// The wire's number of the encoding, which need not be known here.
    pub encoding: i32,
    /// Without length, encoding byte and checksum.
    pub data: &'a [u8],
    /// xxhash64 of `data`, or 0 if it was not asked for.
    pub hash: u64,
}

/// A label as it stands in a series, and its strings.
#[derive(Debug, Clone)]
pub struct EncodedLabel {
    bytes: Box<[u8]>,
    /// Where the name starts; the value is last.
    name: u32,
    name_len: u32,
    value_len: u32,
}

/// Protobuf tags: field number and wire type.
mod tag {
    /// `SeriesResponse.series` and `SeriesBatch.series`: the same number, so a batch is the
    /// concatenation of the messages that it stands for.
    pub(super) const SERIES: u8 = 0x0a;
    pub(super) const BATCH: u8 = 0x22;
    pub(super) const LABEL: u8 = 0x0a;
    pub(super) const AGGR_CHUNK: u8 = 0x12;
    pub(super) const LABEL_NAME: u8 = 0x0a;
    pub(super) const LABEL_VALUE: u8 = 0x12;
    pub(super) const MIN_TIME: u8 = 0x08;
    pub(super) const MAX_TIME: u8 = 0x10;
    /// `AggrChunk.raw`; the aggregates follow in the order of `Aggr`, eight apart.
    pub(super) const RAW: u8 = 0x1a;
    pub(super) const CHUNK_TYPE: u8 = 0x08;
    pub(super) const CHUNK_DATA: u8 = 0x12;
    pub(super) const CHUNK_HASH: u8 = 0x18;
}

impl FrameWriter {
    /// A writer of batches of `batch_size` series, or of one series a frame if that is 0 or 1.
    #[must_use]
    pub fn new(batch_size: usize) -> Self {
        Self {
            buf: Vec::new(),
            batch_size: batch_size.max(1),
            batched: 0,
            frame_start: 0,
            series_width: 2,
            batch_width: 2,
        }
    }

    /// Starts the next series.
    pub fn series(&mut self) -> SeriesWriter<'_> {
        let start = self.buf.len();
        if self.batched == 0 {
            self.frame_start = start;
            self.buf.extend_from_slice(&[0; PREFIX]);
            if self.batch_size > 1 {
                self.buf.push(tag::BATCH);
                self.leave_room(self.batch_width);
            }
        }
        self.buf.push(tag::SERIES);
        self.leave_room(self.series_width);
        let body = self.buf.len();
        SeriesWriter {
            writer: self,
            start,
            body,
            finished: false,
        }
    }

    /// Writes a decoded series.
    ///
    /// # Errors
    /// As [`SeriesWriter::finish`].
    pub fn decoded(&mut self, series: &Series) -> Result<()> {
        let mut out = self.series();
        for (name, value) in &series.labels {
            out.label(name.as_bytes(), value.as_bytes());
        }
        for chunk in &series.chunks {
            out.decoded(chunk);
        }
        out.finish()
    }

    /// Writes any message as a frame of its own, after the open batch.
    ///
    /// # Errors
    /// `Exhausted` when the message, or the open batch, is longer than a gRPC message may be.
    pub fn message(&mut self, message: &impl Message) -> Result<()> {
        self.end_batch()?;
        self.frame_start = self.buf.len();
        self.buf.extend_from_slice(&[0; PREFIX]);
        message.encode(&mut self.buf).map_err(too_long)?;
        self.end_frame()
    }

    /// Writes a warning as a frame of its own, after the open batch.
    ///
    /// # Errors
    /// As [`Self::message`].
    pub fn warning(&mut self, text: impl Into<String>) -> Result<()> {
        let result = Some(series_response::Result::Warning(text.into()));
        self.message(&SeriesResponse { result })
    }

    /// Writes hints as a frame of its own, after the open batch.
    ///
    /// # Errors
    /// As [`Self::message`].
    pub fn hints(&mut self, hints: prost_types::Any) -> Result<()> {
        let result = Some(series_response::Result::Hints(hints));
        self.message(&SeriesResponse { result })
    }

    /// Bytes written, those of an unfinished batch included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buf.len()
    }

    /// Whether nothing was written since the last [`Self::take`].
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buf.is_empty()
    }

    /// Whether there is enough for a [`Self::take`] to be worth it. An unfinished batch does not count:
    /// it would stay, and who takes until there is room would never go on.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.whole() >= FLUSH_BYTES
    }

    /// Hands over the whole frames; an unfinished batch stays.
    #[must_use]
    pub fn take(&mut self) -> Frames {
        let whole = self.whole();
        if whole == 0 {
            return Frames::default();
        }
        let capacity = self.buf.capacity().max(FLUSH_BYTES + FLUSH_BYTES / 8);
        let mut rest = Vec::with_capacity(capacity);
        rest.extend_from_slice(&self.buf[whole..]);
        self.buf.truncate(whole);
        self.frame_start = 0;
        Frames::from_wire(std::mem::replace(&mut self.buf, rest).into())
    }

    /// Ends the open batch and hands over what is left.
    ///
    /// # Errors
    /// `Exhausted` when the batch is longer than a gRPC message may be.
    pub fn finish(mut self) -> Result<Frames> {
        self.end_batch()?;
        Ok(Frames::from_wire(self.buf.into()))
    }

    /// Bytes of whole frames.
    fn whole(&self) -> usize {
        match self.batched {
            0 => self.buf.len(),
            _ => self.frame_start,
        }
    }

    /// Ends the open batch, if there is one.
    fn end_batch(&mut self) -> Result<()> {
        if self.batched == 0 {
            return Ok(());
        }
        if self.batch_size > 1 {
            let body = self.frame_start + PREFIX + 1 + self.batch_width;
            self.batch_width = self.set_length(body, self.batch_width);
        }
        self.end_frame()
    }

    /// Writes the length of the frame into its prefix.
    fn end_frame(&mut self) -> Result<()> {
        self.batched = 0;
        let len = self.buf.len() - self.frame_start - PREFIX;
        let Some(len) = u32::try_from(len).ok().filter(|_| len <= MAX_MESSAGE) else {
            self.buf.truncate(self.frame_start);
            let message = format!("a frame of {len} bytes exceeds the {MAX_MESSAGE} of gRPC");
            return Err(Error::new(ErrorKind::Exhausted, message));
        };
        self.buf[self.frame_start + 1..][..4].copy_from_slice(&len.to_be_bytes());
        Ok(())
    }

    fn leave_room(&mut self, width: usize) {
        self.buf
            .extend_from_slice(&[0; Header::MAX_VARINT][..width]);
    }

    /// Writes the length of all that follows `body` into the `width` bytes before it, moving the
    /// body if the length needs another number of bytes. Returns that number.
    fn set_length(&mut self, body: usize, width: usize) -> usize {
        let len = self.buf.len() - body;
        let mut header = Header::default();
        header.varint(len as u64);
        let start = body - width;
        if header.len != width {
            let end = start + header.len;
            self.buf.resize(self.buf.len().max(end + len), 0);
            self.buf.copy_within(body..body + len, end);
            self.buf.truncate(end + len);
        }
        self.buf[start..start + header.len].copy_from_slice(header.as_slice());
        header.len
    }
}

impl SeriesWriter<'_> {
    /// Adds a label. Labels come in the order of their names, before all chunks.
    #[inline]
    pub fn label(&mut self, name: &[u8], value: &[u8]) {
        encode_label(&mut self.writer.buf, name, value);
    }

    /// Adds labels that were encoded before, one behind the other: see [`EncodedLabel::as_bytes`].
    #[inline]
    pub fn encoded_labels(&mut self, labels: &[u8]) {
        self.writer.buf.extend_from_slice(labels);
    }

    /// Adds a chunk of raw samples, with its first and last time (milliseconds, inclusive).
    #[inline]
    pub fn raw(&mut self, min_time: i64, max_time: i64, chunk: ChunkRef<'_>) {
        self.aggregates(min_time, max_time, &[(Aggr::Raw, chunk)]);
    }

    /// Adds a chunk with its aggregates, which come in the order of `Aggr`, each at most once.
    #[inline]
    pub fn aggregates(&mut self, min_time: i64, max_time: i64, parts: &[(Aggr, ChunkRef<'_>)]) {
        debug_assert!(
            parts.is_sorted_by_key(|(aggr, _)| *aggr as i32),
            "aggregates out of order"
        );
        let mut times = Header::default();
        times.varint_field(tag::MIN_TIME, min_time.cast_unsigned());
        times.varint_field(tag::MAX_TIME, max_time.cast_unsigned());
        let parts_len: usize = parts
            .iter()
            .map(|(_, chunk)| message_field_len(chunk.encoded_len()))
            .sum();
        let mut header = Header::default();
        header.byte(tag::AGGR_CHUNK);
        header.varint((times.len + parts_len) as u64);

        let buf = &mut self.writer.buf;
        buf.reserve(2 * Header::CAPACITY + parts_len);
        buf.extend_from_slice(header.as_slice());
        buf.extend_from_slice(times.as_slice());
        for (aggr, chunk) in parts {
            chunk.write(*aggr, buf);
        }
    }

    fn decoded(&mut self, chunk: &AggrChunk) {
        let parts = chunk.parts().iter();
        let parts: SmallVec<[_; 1]> = parts
            .map(|(aggr, part)| (*aggr, ChunkRef::of(part)))
            .collect();
        self.aggregates(chunk.min_time, chunk.max_time, &parts);
    }

    /// Ends the series, and the batch if it is full.
    ///
    /// # Errors
    /// `Exhausted` when the frame is longer than a gRPC message may be; it is dropped.
    pub fn finish(mut self) -> Result<()> {
        self.finished = true;
        let width = self.writer.series_width;
        self.writer.series_width = self.writer.set_length(self.body, width);
        self.writer.batched += 1;
        let full = self.writer.batched >= self.writer.batch_size
            || self.writer.buf.len() - self.writer.frame_start >= MAX_BATCH_BYTES;
        if full {
            self.writer.end_batch()
        } else {
            Ok(())
        }
    }
}

fn too_long(error: prost::EncodeError) -> Error {
    Error::new(ErrorKind::Exhausted, "cannot encode a message").with_source(error)
}

impl Drop for SeriesWriter<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.writer.buf.truncate(self.start);
        }
    }
}

impl EncodedLabel {
    /// Encodes a label.
    #[must_use]
    pub fn new(name: &[u8], value: &[u8]) -> Self {
        let mut bytes = Vec::new();
        encode_label(&mut bytes, name, value);
        let before_value = bytes.len() - bytes_field_len(value.len());
        Self {
            bytes: bytes.into(),
            name: (before_value - name.len()) as u32,
            name_len: name.len() as u32,
            value_len: value.len() as u32,
        }
    }

    /// For [`SeriesWriter::encoded_labels`].
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The name.
    #[inline]
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.bytes[self.name as usize..][..self.name_len as usize]
    }

    /// The value.
    #[inline]
    #[must_use]
    pub fn value(&self) -> &[u8] {
        &self.bytes[self.bytes.len() - self.value_len as usize..]
    }
}

/// Appends one label as it stands in a series.
#[inline]
fn encode_label(buf: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    let mut before_name = Header::default();
    before_name.byte(tag::LABEL);
    before_name.varint((bytes_field_len(name.len()) + bytes_field_len(value.len())) as u64);
    before_name.bytes_field(tag::LABEL_NAME, name.len());
    let mut before_value = Header::default();
    before_value.bytes_field(tag::LABEL_VALUE, value.len());

    buf.reserve(before_name.len + name.len() + before_value.len + value.len());
    buf.extend_from_slice(before_name.as_slice());
    buf.extend_from_slice(name);
    buf.extend_from_slice(before_value.as_slice());
    buf.extend_from_slice(value);
}

impl<'a> ChunkRef<'a> {
    fn of(chunk: &'a Chunk) -> Self {
        Self {
            encoding: chunk.r#type,
            data: &chunk.data,
            hash: chunk.hash,
        }
    }

    /// The encoding as protobuf writes it: numbers below 0 as if they had 64 bits.
    fn encoding(&self) -> u64 {
        i64::from(self.encoding).cast_unsigned()
    }

    /// Length of the encoded `Chunk`.
    fn encoded_len(&self) -> usize {
        varint_field_len(self.encoding())
            + bytes_field_len(self.data.len())
            + varint_field_len(self.hash)
    }

    /// Appends the chunk as the field of an `AggrChunk` that holds this aggregate.
    #[inline]
    fn write(&self, aggr: Aggr, buf: &mut Vec<u8>) {
        let mut header = Header::default();
        header.byte(tag::RAW + 8 * aggr as u8);
        header.varint(self.encoded_len() as u64);
        header.varint_field(tag::CHUNK_TYPE, self.encoding());
        header.bytes_field(tag::CHUNK_DATA, self.data.len());
        buf.extend_from_slice(header.as_slice());
        buf.extend_from_slice(self.data);
        if self.hash != 0 {
            let mut trailer = Header::default();
            trailer.varint_field(tag::CHUNK_HASH, self.hash);
            buf.extend_from_slice(trailer.as_slice());
        }
    }
}

#[cfg(test)]
mod tests;
