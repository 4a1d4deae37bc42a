//! Series of one block, decoded, with the bytes of their chunks.

use rutile_chunk::Encoding;

/// One chunk of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) min_time: i64,
    pub(crate) max_time: i64,
    /// Where its frame starts in the batch's bytes.
    pub(crate) start: u32,
    /// Length of its frame.
    pub(crate) len: u32,
    /// Length of the frame's length field.
    pub(crate) field_len: u8,
    pub(crate) encoding: Encoding,
    /// The frame's checksum, checked.
    pub(crate) crc: u32,
}

impl Chunk {
    /// The chunk in the batch's bytes.
    pub(crate) fn content<'a>(&self, bytes: &'a [u8]) -> rutile_chunk::Chunk<'a> {
        let start = self.start as usize + usize::from(self.field_len) + 1;
        let end = (self.start as usize + self.len as usize).saturating_sub(4);
        rutile_chunk::Chunk {
            encoding: self.encoding,
            data: bytes.get(start..end).unwrap_or_default(),
        }
    }
}
