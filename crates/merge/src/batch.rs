//! Series of one block, decoded, with the bytes of their chunks.

use bytes::Bytes;
use rutile_chunk::Encoding;

/// A label: references of name and value in the output's symbol table.
pub(crate) type Label = (u32, u32);

/// Series in order, their chunks found in the index but not read yet.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    pub(crate) labels: Vec<Label>,
    pub(crate) series: Vec<Series>,
    pub(crate) places: Vec<Place>,
    /// Where the first chunk behind these is; `None` behind the last.
    pub(crate) next_ref: Option<u64>,
    /// Sum over all labels of [`crate::digest::posting`], if it was asked for.
    pub(crate) postings: u64,
}

/// One series; its labels and chunks start where those of the one before end.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Series {
    pub(crate) labels_end: u32,
    pub(crate) chunks_end: u32,
    /// Its reference in the input, for its tombstones.
    pub(crate) reference: u32,
    /// Digest of the strings of its labels.
    pub(crate) labels_digest: u64,
}

/// Where the index says that a chunk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) min_time: i64,
    pub(crate) max_time: i64,
    pub(crate) chunk_ref: u64,
}

/// Series in order with their chunks, all checked.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) labels: Vec<Label>,
    pub(crate) series: Vec<Series>,
    pub(crate) chunks: Vec<Chunk>,
    /// The frames.
    pub(crate) bytes: Bytes,
    pub(crate) postings: u64,
}

/// One chunk of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) min_time: i64,
    pub(crate) max_time: i64,
    /// Where its frame starts in the batch's bytes.
    pub(crate) start: u32,
    /// Length of its frame.
    pub(crate) len: u32,
    /// The frame's checksum, checked.
    pub(crate) crc: u32,
    pub(crate) samples: u16,
    pub(crate) encoding: Encoding,
    /// Length of the frame's length field.
    pub(crate) field_len: u8,
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

    /// Length of its content, without encoding and checksum.
    pub(crate) fn data_len(&self) -> u64 {
        u64::from(self.len) - u64::from(self.field_len) - 5
    }

    /// Where its frame ends in the batch's bytes.
    pub(crate) fn end(&self) -> usize {
        self.start as usize + self.len as usize
    }
}

impl Batch {
    /// The labels of a series.
    pub(crate) fn labels_of(&self, at: usize) -> &[Label] {
        let start = at.checked_sub(1).and_then(|before| self.series.get(before));
        let start = start.map_or(0, |series| series.labels_end as usize);
        let end = self.series.get(at).map_or(start, |s| s.labels_end as usize);
        self.labels.get(start..end).unwrap_or_default()
    }

    /// The chunks of a series.
    pub(crate) fn chunks_of(&self, at: usize) -> &[Chunk] {
        let start = at.checked_sub(1).and_then(|before| self.series.get(before));
        let start = start.map_or(0, |series| series.chunks_end as usize);
        let end = self.series.get(at).map_or(start, |s| s.chunks_end as usize);
        self.chunks.get(start..end).unwrap_or_default()
    }
}
