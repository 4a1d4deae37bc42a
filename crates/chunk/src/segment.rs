//! Chunk segment files: a header, then frames back to back.
//!
//! A frame is `uvarint length | encoding byte | data | crc32c(encoding, data)`. Everything here
//! works on bytes that are already in memory and on bytes to be written; it never does I/O.
//!
//! Source: Prometheus `tsdb/docs/format/chunks.md`; see docs/formats/chunks.md.

use crate::chunk::Chunk;
use crate::encoding::Encoding;
use crate::error::{Error, Result};

/// Length of the header of a segment file.
pub const HEADER_LEN: usize = 8;
/// The header: magic number, version 1, three zero bytes.
pub const HEADER: [u8; HEADER_LEN] = [0x85, 0xBD, 0x40, 0xDD, 1, 0, 0, 0];
/// Size at which Prometheus and Thanos start a new segment file.
pub const DEFAULT_SEGMENT_SIZE: u64 = 512 * 1024 * 1024;
/// Longest length field of a frame: it is a 32-bit number.
pub const MAX_LENGTH_FIELD_LEN: usize = 5;

/// Bytes of a frame behind its length field that are not data.
const ENCODING_LEN: usize = 1;
const CHECKSUM_LEN: usize = 4;

/// Where the frame of a chunk starts: the number that a series entry of the index refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChunkRef(u64);

impl ChunkRef {
    /// The chunk at byte `offset` of the segment file with this index (`000001` has index 0).
    #[must_use]
    pub const fn new(segment: u32, offset: u32) -> Self {
        Self(((segment as u64) << 32) | offset as u64)
    }

    /// From its number in the index file.
    #[must_use]
    pub const fn from_u64(number: u64) -> Self {
        Self(number)
    }

    /// Its number in the index file.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// 0-based index of the segment file.
    #[must_use]
    pub const fn segment(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Byte offset within the segment file.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "takes the lower half")]
    pub const fn offset(self) -> u32 {
        self.0 as u32
    }
}

/// Whether the checksum of a frame is compared with its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// Compare: costs a pass over the data.
    Checksum,
    /// Trust the bytes, as the reference's store gateway does.
    Nothing,
}

/// A chunk where it lies in a segment file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// How `data` is encoded.
    pub encoding: Encoding,
    /// The bytes of the chunk.
    pub data: &'a [u8],
    /// Length of the frame: the next one starts this many bytes on.
    pub total_len: usize,
}

impl<'a> Frame<'a> {
    /// The chunk in the frame.
    #[must_use]
    pub fn chunk(&self) -> Chunk<'a> {
        Chunk {
            encoding: self.encoding,
            data: self.data,
        }
    }
}

/// Checks the header of a segment file.
pub fn parse_header(bytes: &[u8]) -> Result<()> {
    let corrupt = |offset, expected| Error::Corrupt {
        what: "segment header",
        offset,
        expected,
    };
    let Some(header) = bytes.first_chunk::<HEADER_LEN>() else {
        return Err(corrupt(bytes.len(), "8 bytes"));
    };
    let [m0, m1, m2, m3, version, ..] = *header;
    if [m0, m1, m2, m3] != [0x85, 0xBD, 0x40, 0xDD] {
        return Err(corrupt(0, "magic number 0x85bd40dd"));
    }
    if version != 1 {
        return Err(corrupt(4, "version 1"));
    }
    Ok(())
}

/// Length of the frame that starts with `prefix`: how many bytes [`parse_frame`] needs.
///
/// `None` if `prefix` ends within the length field; [`MAX_LENGTH_FIELD_LEN`] bytes are enough.
pub fn frame_len(prefix: &[u8]) -> Result<Option<usize>> {
    match parse_length(prefix, 0) {
        Ok((data_len, field_len)) => Ok(Some(
            field_len + ENCODING_LEN + data_len as usize + CHECKSUM_LEN,
        )),
        Err(_) if prefix.len() < MAX_LENGTH_FIELD_LEN => Ok(None),
        Err(error) => Err(error),
    }
}

/// The frame at byte `offset` of `bytes`, which may be a part of a segment file.
pub fn parse_frame(bytes: &[u8], offset: usize, verify: Verify) -> Result<Frame<'_>> {
    let corrupt = |expected| Error::Corrupt {
        what: "chunk frame",
        offset,
        expected,
    };
    let frame = bytes
        .get(offset..)
        .ok_or_else(|| corrupt("an offset within the bytes"))?;
    let (data_len, field_len) = parse_length(frame, offset)?;
    let (_, body) = frame
        .split_at_checked(field_len)
        .ok_or_else(|| corrupt("a length"))?;
    let (checked, rest) = body
        .split_at_checked(ENCODING_LEN + data_len as usize)
        .ok_or_else(|| corrupt("as many bytes as the length says"))?;
    let (&encoding, data) = checked
        .split_first()
        .ok_or_else(|| corrupt("an encoding"))?;
    let stored = rest
        .first_chunk::<CHECKSUM_LEN>()
        .ok_or_else(|| corrupt("a checksum"))?;
    if verify == Verify::Checksum {
        let (computed, stored) = (crc_fast::crc32_iscsi(checked), u32::from_be_bytes(*stored));
        if computed != stored {
            return Err(Error::Checksum {
                offset,
                computed,
                stored,
            });
        }
    }
    let encoding = Encoding::from_byte(encoding).ok_or(Error::Encoding {
        what: "chunk frame",
        offset: offset + field_len,
        found: encoding,
    })?;
    Ok(Frame {
        encoding,
        data,
        total_len: field_len + checked.len() + CHECKSUM_LEN,
    })
}

/// The length field at the start of `frame`, and its own length.
fn parse_length(frame: &[u8], offset: usize) -> Result<(u32, usize)> {
    let mut value = 0_u64;
    for (i, &byte) in frame.iter().take(MAX_LENGTH_FIELD_LEN).enumerate() {
        value |= u64::from(byte & 0x7F) << (7 * i);
        if byte < 0x80
            && let Ok(len) = u32::try_from(value)
        {
            return Ok((len, i + 1));
        }
    }
    Err(Error::Corrupt {
        what: "chunk frame",
        offset,
        expected: "a length of at most 32 bits",
    })
}

/// Lays chunks out into segment files, exactly as Prometheus does.
///
/// Bytes come out; the caller writes them. The cut decision is made for each call, that is for
/// each series, with the longest possible length field.
#[derive(Debug, Clone)]
pub struct SegmentWriter {
    limit: u64,
    /// Index of the present segment file.
    segment: u32,
    /// Bytes written to it; 0 before the first one is started.
    position: u64,
}

impl SegmentWriter {
    /// Starts a new segment file when one would exceed `limit` bytes (see
    /// [`DEFAULT_SEGMENT_SIZE`]); only a single chunk that is longer itself may.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self {
            limit,
            segment: 0,
            position: 0,
        }
    }

    /// How many segment files there are.
    #[must_use]
    pub fn segments(&self) -> u32 {
        if self.position == 0 {
            0
        } else {
            self.segment + 1
        }
    }

    /// Appends the chunks of one series to `out` and their references to `refs`.
    ///
    /// Returns the positions in `out` where a new segment file begins (its header included):
    /// bytes before the first of them belong to the file of the call before.
    ///
    /// # Errors
    /// [`Error::Full`] when a frame would start beyond 4 GiB or a chunk is longer than that;
    /// `out` and `refs` are then of no use.
    pub fn write(
        &mut self,
        chunks: &[Chunk<'_>],
        out: &mut Vec<u8>,
        refs: &mut Vec<ChunkRef>,
    ) -> Result<Vec<usize>> {
        let mut cuts = Vec::new();
        if self.position == 0 {
            self.start_segment(out, &mut cuts);
        }
        let header_len = HEADER_LEN as u64;
        // Whether the batch goes into a segment file that has chunks of an earlier call.
        let mut shared = self.position > header_len;
        let used = self.position;
        let mut batch = 0;
        for (i, chunk) in chunks.iter().enumerate() {
            let worst = worst_frame_len(chunk);
            batch += worst;
            let full = if shared {
                batch + used > self.limit
            } else {
                i > 0 && batch + header_len > self.limit
            };
            if full {
                shared = false;
                batch = worst;
                self.segment += 1;
                self.start_segment(out, &mut cuts);
            }
            self.write_frame(chunk, out, refs)?;
        }
        Ok(cuts)
    }

    fn start_segment(&mut self, out: &mut Vec<u8>, cuts: &mut Vec<usize>) {
        cuts.push(out.len());
        out.extend_from_slice(&HEADER);
        self.position = HEADER_LEN as u64;
    }

    fn write_frame(
        &mut self,
        chunk: &Chunk<'_>,
        out: &mut Vec<u8>,
        refs: &mut Vec<ChunkRef>,
    ) -> Result<()> {
        let full = |_| Error::Full {
            what: "chunk segment",
            limit: u64::from(u32::MAX),
        };
        let offset = u32::try_from(self.position).map_err(full)?;
        let length = u32::try_from(chunk.data.len()).map_err(full)?;
        refs.push(ChunkRef::new(self.segment, offset));
        let start = out.len();
        write_uvarint(out, u64::from(length));
        let checked = out.len();
        out.push(chunk.encoding.as_byte());
        out.extend_from_slice(chunk.data);
        let checksum = crc_fast::crc32_iscsi(out.get(checked..).unwrap_or_default());
        out.extend_from_slice(&checksum.to_be_bytes());
        self.position += (out.len() - start) as u64;
        Ok(())
    }
}

fn worst_frame_len(chunk: &Chunk<'_>) -> u64 {
    (MAX_LENGTH_FIELD_LEN + ENCODING_LEN + chunk.data.len() + CHECKSUM_LEN) as u64
}

/// LEB128.
pub(crate) fn write_uvarint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        let [.., low] = value.to_be_bytes();
        out.push(low | 0x80);
        value >>= 7;
    }
    let [.., low] = value.to_be_bytes();
    out.push(low);
}

#[cfg(test)]
mod tests;
