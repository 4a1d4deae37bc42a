//! Frames laid out into segments as Prometheus does it, in parts that are ready to be uploaded.
//!
//! The rule is that of [`rutile_chunk::segment::SegmentWriter`]: whether to start a new segment is
//! decided for the chunks of one series, each taken with the longest possible length field.

use bytes::Bytes;
use rutile_chunk::{ChunkRef, segment};
use rutile_lifecycle::PART_BYTES;

use crate::batch::Chunk;

/// Length field, encoding and checksum of a frame at most.
const WORST_FRAME: u64 = 10;

/// Bytes of a segment.
#[derive(Debug)]
pub(crate) struct Part {
    /// 0-based.
    pub(crate) segment: u32,
    pub(crate) bytes: Bytes,
    /// Whether the segment ends with them.
    pub(crate) last: bool,
}

/// Lays out frames.
#[derive(Debug)]
pub(crate) struct Layout {
    limit: u64,
    segment: u32,
    /// Bytes of the segment so far; 0 before the first.
    position: u64,
    part: Vec<u8>,
    full: Vec<Part>,
}

impl Layout {
    /// Segments of at most `limit` bytes.
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            limit,
            segment: 0,
            position: 0,
            part: Vec::new(),
            full: Vec::new(),
        }
    }

    /// Appends the chunks of one series, slices of the bytes that they lie in; `None` when a frame
    /// would start beyond 4 GiB.
    pub(crate) fn series(
        &mut self,
        slices: &[(&[Chunk], &[u8])],
        mut place: impl FnMut(&Chunk, ChunkRef),
    ) -> Option<()> {
        if self.position == 0 {
            self.start_segment();
        }
        let used = self.position;
        let mut shared = used > segment::HEADER_LEN as u64;
        let all = slices.iter().flat_map(|(chunks, _)| *chunks);
        let worst: u64 = all.map(|chunk| chunk.data_len() + WORST_FRAME).sum();
        if used + worst <= self.limit {
            for (chunks, bytes) in slices {
                self.run(chunks, bytes, &mut place)?;
            }
            return Some(());
        }
        let mut batch = 0;
        let mut first = true;
        for (chunks, bytes) in slices {
            for chunk in *chunks {
                let worst = chunk.data_len() + WORST_FRAME;
                batch += worst;
                let full = match shared {
                    true => batch + used > self.limit,
                    false => !first && batch + segment::HEADER_LEN as u64 > self.limit,
                };
                if full {
                    shared = false;
                    batch = worst;
                    self.end_segment();
                    self.segment += 1;
                    self.start_segment();
                }
                self.run(std::slice::from_ref(chunk), bytes, &mut place)?;
                first = false;
            }
        }
        Some(())
    }

    /// The parts that are full.
    pub(crate) fn take(&mut self) -> Vec<Part> {
        std::mem::take(&mut self.full)
    }

    /// The end of the last segment.
    pub(crate) fn finish(mut self) -> Vec<Part> {
        if self.position > 0 {
            self.end_segment();
        }
        self.full
    }

    /// Appends chunks that stay in the segment; those that lie beside each other as one.
    fn run(
        &mut self,
        chunks: &[Chunk],
        bytes: &[u8],
        place: &mut impl FnMut(&Chunk, ChunkRef),
    ) -> Option<()> {
        let mut from = chunks.first().map_or(0, |first| first.start as usize);
        let mut to = from;
        for chunk in chunks {
            if chunk.start as usize != to {
                self.append(bytes.get(from..to)?);
                (from, to) = (chunk.start as usize, chunk.start as usize);
            }
            let offset = u32::try_from(self.position + (to - from) as u64).ok()?;
            place(chunk, ChunkRef::new(self.segment, offset));
            to = chunk.end();
        }
        self.append(bytes.get(from..to)?);
        Some(())
    }

    fn start_segment(&mut self) {
        self.append(&segment::HEADER);
    }

    fn end_segment(&mut self) {
        self.push_part(true);
        self.position = 0;
    }

    fn append(&mut self, mut bytes: &[u8]) {
        self.position += bytes.len() as u64;
        while !bytes.is_empty() {
            if self.part.capacity() == 0 {
                self.part.reserve_exact(PART_BYTES);
            }
            let room = PART_BYTES - self.part.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.part.extend_from_slice(now);
            bytes = later;
            if self.part.len() == PART_BYTES {
                self.push_part(false);
            }
        }
    }

    fn push_part(&mut self, last: bool) {
        self.full.push(Part {
            segment: self.segment,
            bytes: std::mem::take(&mut self.part).into(),
            last,
        });
    }
}
