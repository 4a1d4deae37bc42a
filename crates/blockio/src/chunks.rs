//! Chunks by their references.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use rutile_chunk::segment::{self, Frame, MAX_LENGTH_FIELD_LEN, Verify};
use rutile_runtime::Reservation;

use crate::{BlockReader, Error, Request, Result, coalesce};

/// Up to this cost in bytes (see [`BlockReader::read_gap`]) a read is a cheap one.
const CHEAP_READ: u64 = 64 * 1024;

/// A longer chunk than this is read in two steps: the place of the next one may be a lie.
const LONG_CHUNK: u64 = 1024 * 1024;

/// A chunk to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WantedChunk {
    /// 0-based index of the segment file.
    pub segment: u32,
    /// Where its frame starts, bytes.
    pub offset: u32,
    /// Where the next chunk of the segment starts as far as the caller knows; 0: unknown.
    pub end: u32,
    /// How long it probably is at most, if its end is unknown; 0: no idea.
    pub likely: u32,
}

/// Some chunks, in the order they were asked for.
#[derive(Debug)]
pub struct Chunks {
    parts: Vec<Bytes>,
    chunks: Vec<Place>,
    memory: Reservation,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    part: u32,
    start: u32,
}

impl Chunks {
    /// The frame of chunk `i`, its checksum compared.
    ///
    /// # Errors
    /// `Corrupt`; the caller knows block, segment and offset, see [`BlockReader::corrupt_chunk`].
    pub fn frame(&self, i: usize) -> rutile_chunk::Result<Frame<'_>> {
        let place = self.chunks.get(i).copied().unwrap_or(Place {
            part: u32::MAX,
            start: 0,
        });
        let part = self
            .parts
            .get(place.part as usize)
            .map_or(&[][..], |part| part);
        segment::parse_frame(part, place.start as usize, Verify::Checksum)
    }

    /// The part that chunk `i` lies in, so that its bytes can outlive this value.
    #[must_use]
    pub fn part(&self, i: usize) -> Option<&Bytes> {
        self.parts.get(self.chunks.get(i)?.part as usize)
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.memory.bytes()
    }
}

impl BlockReader {
    /// Reads chunks, which are in ascending order of segment and offset.
    ///
    /// # Errors
    /// What the bucket says; limits; `Corrupt` for a segment that the block does not have or a
    /// chunk that ends behind its segment.
    pub async fn chunks(&self, wanted: &[WantedChunk], request: &Request) -> Result<Chunks> {
        request.limits.chunks.take(wanted.len() as u64)?;
        let mut read = Chunks {
            parts: Vec::new(),
            chunks: Vec::with_capacity(wanted.len()),
            memory: request.account.empty(),
        };
        for same in wanted.chunk_by(|a, b| a.segment == b.segment) {
            self.read_segment(same, &mut read, request).await?;
        }
        Ok(read)
    }

    async fn read_segment(
        &self,
        wanted: &[WantedChunk],
        read: &mut Chunks,
        request: &Request,
    ) -> Result<()> {
        let Some(first) = wanted.first() else {
            return Ok(());
        };
        let key = self.segment_key(first.segment).await?;
        let estimate = self.chunk_estimate.bytes();
        // Where a read costs much, asking twice costs more than what is read in vain.
        let guess = |chunk: &WantedChunk| match u64::from(chunk.likely) {
            likely if likely > 0 && self.gap <= CHEAP_READ => likely.min(estimate),
            _ => estimate,
        };
        let ranges = wanted.iter().enumerate().map(|(i, chunk)| {
            // No chunk reaches into the next one that is known.
            let next = wanted
                .get(i + 1)
                .map(|next| next.offset)
                .filter(|o| *o > chunk.offset);
            let known = if chunk.end > chunk.offset {
                Some(chunk.end)
            } else {
                next
            };
            let start = u64::from(chunk.offset);
            let end = match known {
                Some(end) if chunk.end > 0 => {
                    u64::from(end).min(start + guess(chunk).max(LONG_CHUNK))
                }
                Some(end) => u64::from(end).min(start + guess(chunk)),
                None => start + guess(chunk),
            };
            start..end
        });
        let parts = coalesce(ranges, self.gap);
        let bytes: u64 = parts
            .iter()
            .map(|part| part.range.end - part.range.start)
            .sum();
        let places = (size_of::<Place>() * wanted.len()) as u64;
        read.memory.merge(request.admit(bytes + places).await?);
        let ranges: Vec<_> = parts.iter().map(|part| part.range.clone()).collect();
        let data = self.bucket_ranges(&key, &ranges).await?;
        request
            .stats
            .chunks
            .fetch(wanted.len(), bytes as usize, parts.len());
        let first_part = read.parts.len() as u32;
        let first_chunk = read.chunks.len();
        for (i, part) in parts.iter().enumerate() {
            let chunks = wanted.get(part.elements.clone()).unwrap_or_default();
            read.chunks.extend(chunks.iter().map(|chunk| Place {
                part: first_part + i as u32,
                start: (u64::from(chunk.offset) - part.range.start) as u32,
            }));
        }
        read.parts.extend(data);
        self.complete_chunks(wanted, first_chunk, &key, read, request)
            .await
    }

    /// Reads again, in their full length, the chunks that the estimate cut off.
    async fn complete_chunks(
        &self,
        wanted: &[WantedChunk],
        first: usize,
        key: &str,
        read: &mut Chunks,
        request: &Request,
    ) -> Result<()> {
        let mut short = Vec::new();
        let mut ranges = Vec::new();
        for (i, chunk) in wanted.iter().enumerate() {
            let place = read.chunks.get(first + i);
            let bytes = place.and_then(|place| {
                read.parts
                    .get(place.part as usize)?
                    .get(place.start as usize..)
            });
            let bytes = bytes.unwrap_or_default();
            let prefix = bytes.get(..MAX_LENGTH_FIELD_LEN).unwrap_or(bytes);
            let start = u64::from(chunk.offset);
            let len = match segment::frame_len(prefix) {
                Ok(Some(len)) => len as u64,
                Ok(None) => {
                    return Err(self.corrupt_chunk(key, start, "a chunk within the segment"));
                }
                Err(source) => {
                    let message = format!("a sound chunk, but {source}");
                    return Err(self.corrupt_chunk(key, start, &message));
                }
            };
            if len > bytes.len() as u64 {
                short.push(first + i);
                ranges.push(start..start + len);
            }
        }
        if short.is_empty() {
            return Ok(());
        }
        // A length may be a lie: nothing is reserved, let alone read, beyond the object's end.
        let size = self.bucket_size(key).await?;
        if let Some(range) = ranges.iter().find(|range| range.end > size) {
            let message = format!("a chunk that ends within the segment of {size} bytes");
            return Err(self.corrupt_chunk(key, range.start, &message));
        }
        let bytes: u64 = ranges.iter().map(|range| range.end - range.start).sum();
        read.memory.merge(request.admit(bytes).await?);
        let data = self.bucket_ranges(key, &ranges).await?;
        request
            .stats
            .chunk_refetches
            .fetch_add(1, Ordering::Relaxed);
        request
            .stats
            .chunks
            .fetch(short.len(), bytes as usize, ranges.len());
        for ((i, frame), range) in short.into_iter().zip(data).zip(ranges) {
            self.chunk_estimate.learn(range.end - range.start);
            read.parts.push(frame);
            let part = (read.parts.len() - 1) as u32;
            if let Some(place) = read.chunks.get_mut(i) {
                *place = Place { part, start: 0 };
            }
        }
        Ok(())
    }

    /// The error for a chunk that is not what it should be.
    #[must_use]
    pub fn corrupt_chunk(&self, object: &str, offset: u64, message: &str) -> Error {
        Error::Corrupt {
            block: self.id,
            object: object.to_owned(),
            offset,
            message: format!("expected {message}"),
        }
    }
}
