//! One series entry: labels as symbol references, and where its chunks lie.
//!
//! ```text
//! uvarint length of the content | content | be32 crc of the content
//! content: uvarint n, n × (uvarint name, uvarint value), uvarint m, m × chunk
//! chunk 0: varint min, uvarint max - min, uvarint ref
//! chunk i: uvarint min - previous max, uvarint max - min, varint ref - previous ref
//! ```
//! Nothing is allocated: the iterators decode from the slice as they go.

use crate::cursor::crc32c;
use crate::varint::{len_of_many, read_uvarint, read_uvarint32, read_varint};
use crate::{Error, Result};

/// Time range and place of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChunkMeta {
    /// Time of the first sample, milliseconds. (Of a downsampled chunk: end of its first window.)
    pub min_time: i64,
    /// Time of the last sample, milliseconds, inclusive.
    pub max_time: i64,
    /// Segment index in the upper 32 bits, byte offset in the segment in the lower.
    pub chunk_ref: u64,
}

/// A series entry, framed but not decoded.
#[derive(Debug, Clone, Copy)]
pub struct SeriesEntry<'a> {
    /// Labels, and behind them chunks: a label is read faster where more bytes follow it.
    labels_on: &'a [u8],
    labels_len: usize,
    chunks: &'a [u8],
    label_count: u32,
    chunk_count: u32,
}

/// The labels of a series: pairs of symbol references, name first. Ends after an error.
#[derive(Debug, Clone)]
pub struct SeriesLabels<'a> {
    rest: &'a [u8],
    left: u32,
}

/// The chunks of a series, in time order. Ends after an error.
#[derive(Debug, Clone)]
pub struct ChunkMetas<'a> {
    rest: &'a [u8],
    left: u32,
    first: bool,
    max_time: i64,
    chunk_ref: u64,
}

/// Length in bytes of the entry at the start of `bytes`, checksum included, as far as its first
/// bytes tell. `None` if they are too few: ten always suffice.
#[inline]
#[must_use]
pub fn series_len_hint(bytes: &[u8]) -> Option<u64> {
    let mut rest = bytes;
    let content = read_uvarint(&mut rest)?;
    content.checked_add((bytes.len() - rest.len()) as u64 + 4)
}

impl<'a> SeriesEntry<'a> {
    /// Frames the entry at the start of `bytes`; also returns its length, checksum included.
    /// The checksum is not looked at. Offsets in errors count from the start of `bytes`.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<(Self, usize)> {
        let mut rest = bytes;
        let content_len = read_uvarint(&mut rest)
            .and_then(|len| usize::try_from(len).ok())
            .ok_or_else(|| Error::corrupt(0, "the length of a series entry"))?;
        let start = bytes.len() - rest.len();
        let content = rest
            .get(..content_len)
            .filter(|content| rest.len() - content.len() >= 4)
            .ok_or_else(|| Error::corrupt(0, "a series entry as long as its length says"))?;
        let entry = Self::frame(content)
            .ok_or_else(|| Error::corrupt(start as u64, "the labels and chunks of a series"))?;
        Ok((entry, start + content_len + 4))
    }

    /// As [`Self::parse`], and checks the content against its checksum.
    pub fn parse_checked(bytes: &'a [u8]) -> Result<(Self, usize)> {
        let (entry, len) = Self::parse(bytes)?;
        let mut rest = bytes.get(..len).unwrap_or_default();
        let covered = read_uvarint(&mut rest).and_then(|_| rest.split_last_chunk::<4>());
        match covered {
            Some((content, crc)) if crc32c(content) == u32::from_be_bytes(*crc) => Ok((entry, len)),
            _ => Err(Error::corrupt(
                0,
                "a series entry that matches its checksum",
            )),
        }
    }

    #[inline]
    fn frame(content: &'a [u8]) -> Option<Self> {
        let mut rest = content;
        let label_count = read_uvarint32(&mut rest)?;
        let labels_len = len_of_many(rest, usize::try_from(label_count).ok()?.checked_mul(2)?)?;
        let labels_on = rest;
        let mut rest = rest.get(labels_len..)?;
        let chunk_count = read_uvarint32(&mut rest)?;
        // A chunk takes three bytes at least, so the number bounds what a caller reserves.
        let fits = u64::from(chunk_count) * 3 <= rest.len() as u64;
        fits.then_some(Self {
            labels_on,
            labels_len,
            chunks: rest,
            label_count,
            chunk_count,
        })
    }

    /// The labels in order of their names.
    #[inline]
    #[must_use]
    pub fn labels(&self) -> SeriesLabels<'a> {
        SeriesLabels {
            rest: self.labels_on,
            left: self.label_count,
        }
    }

    /// The chunks in order of time.
    #[inline]
    #[must_use]
    pub fn chunks(&self) -> ChunkMetas<'a> {
        ChunkMetas {
            rest: self.chunks,
            left: self.chunk_count,
            first: true,
            max_time: 0,
            chunk_ref: 0,
        }
    }

    /// The encoded labels. Two entries of one index have the same labels if and only if these
    /// bytes are equal.
    #[inline]
    #[must_use]
    pub fn label_bytes(&self) -> &'a [u8] {
        self.labels_on.get(..self.labels_len).unwrap_or_default()
    }

    /// The labels from label `first` on, which starts at byte `at` of [`Self::label_bytes`]: for one who knows those before.
    #[inline]
    #[must_use]
    pub fn labels_from(&self, first: u32, at: usize) -> SeriesLabels<'a> {
        SeriesLabels {
            rest: self.labels_on.get(at..).unwrap_or_default(),
            left: self.label_count.saturating_sub(first),
        }
    }

    /// Number of labels.
    #[must_use]
    pub fn label_count(&self) -> usize {
        self.label_count as usize
    }

    /// Number of chunks; at most a third of the entry's bytes.
    #[must_use]
    pub fn chunk_count(&self) -> usize {
        self.chunk_count as usize
    }
}

impl SeriesLabels<'_> {
    /// How many bytes are left, with all that follows the labels.
    #[inline]
    #[must_use]
    pub fn rest_len(&self) -> usize {
        self.rest.len()
    }
}

impl Iterator for SeriesLabels<'_> {
    type Item = Result<(u32, u32)>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        if let Some(name) = read_uvarint32(&mut self.rest)
            && let Some(value) = read_uvarint32(&mut self.rest)
        {
            return Some(Ok((name, value)));
        }
        self.left = 0;
        Some(Err(Error::corrupt(
            0,
            "symbol references of 32 bits in a series entry",
        )))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl Iterator for ChunkMetas<'_> {
    type Item = Result<ChunkMeta>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        if let Some(meta) = self.decode() {
            return Some(Ok(meta));
        }
        self.left = 0;
        Some(Err(Error::corrupt(
            0,
            "chunk times and references of 64 bits in a series entry",
        )))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ChunkMetas<'_> {
    #[inline(always)]
    fn decode(&mut self) -> Option<ChunkMeta> {
        let rest = &mut self.rest;
        let min_time = if self.first {
            read_varint(rest)?
        } else {
            self.max_time.checked_add_unsigned(read_uvarint(rest)?)?
        };
        let max_time = min_time.checked_add_unsigned(read_uvarint(rest)?)?;
        let chunk_ref = if self.first {
            read_uvarint(rest)?
        } else {
            self.chunk_ref.checked_add_signed(read_varint(rest)?)?
        };
        self.first = false;
        self.max_time = max_time;
        self.chunk_ref = chunk_ref;
        Some(ChunkMeta {
            min_time,
            max_time,
            chunk_ref,
        })
    }
}
