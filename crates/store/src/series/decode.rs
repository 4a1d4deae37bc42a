//! Series entries decoded: labels as label blocks, chunks as what to read.

use std::cmp::Ordering;
use std::ops::Range;

use rutile_blockio::{SeriesEntries, WantedChunk};
use rutile_index::{Header, SeriesEntry};
use rutile_model::Matcher;

use super::label_block;
use super::label_encoder::LabelEncoder;
use super::spec::SeriesSpec;
use super::undecided::Undecided;

/// One series of a block.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    labels: Range<u32>,
    /// Bytes at the end of the labels that are external ones.
    tail: u32,
    pub(crate) chunks: Range<u32>,
}

/// A chunk of a series.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChunkPlace {
    pub(crate) min_time: i64,
    pub(crate) max_time: i64,
    pub(crate) wanted: WantedChunk,
}

/// Some series of a block, sorted by their labels as they go out.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    labels: Vec<u8>,
    pub(crate) series: Vec<Series>,
    pub(crate) chunks: Vec<ChunkPlace>,
}

impl Decoded {
    /// The label block of a series.
    #[inline]
    pub(crate) fn labels(&self, series: &Series) -> &[u8] {
        &self.labels[series.labels.start as usize..series.labels.end as usize]
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> u64 {
        let series = self.series.capacity() * size_of::<Series>();
        let chunks = self.chunks.capacity() * size_of::<ChunkPlace>();
        (self.labels.capacity() + series + chunks) as u64
    }

    fn compare(&self, a: &Series, b: &Series) -> Ordering {
        label_block::compare(self.labels(a), self.labels(b))
    }

    /// Sorts what external or left-out labels brought out of order.
    pub(crate) fn sort(&mut self) {
        let mut series = std::mem::take(&mut self.series);
        if !series.is_sorted_by(|a, b| self.compare(a, b) != Ordering::Greater) {
            series.sort_by(|a, b| self.compare(a, b));
        }
        self.series = series;
    }

    /// Sorts, and takes out the series that a later one may still come before.
    ///
    /// The index sorts `{a="1"}` before `{a="1", b="2"}`. With the external label `c="3"` it is the
    /// other way around: a label set waits for those that it is the start of. Call with the series
    /// in the order of the index behind what waited before; more are to come.
    pub(crate) fn hold_back(&mut self) -> Self {
        let mut waiting = Self::default();
        let Some(last) = self.series.last().cloned() else {
            return waiting;
        };
        self.sort();
        let behind_last = |series: &Series| match self.compare(series, &last) {
            Ordering::Less => false,
            Ordering::Equal => last.tail > 0,
            Ordering::Greater => true,
        };
        let first = self.series.partition_point(|series| !behind_last(series));
        for series in self.series.split_off(first) {
            waiting.copy(self, &series);
        }
        waiting
    }

    fn copy(&mut self, from: &Self, series: &Series) {
        let (labels, chunks) = (self.labels.len() as u32, self.chunks.len() as u32);
        self.labels.extend_from_slice(from.labels(series));
        let range = series.chunks.start as usize..series.chunks.end as usize;
        self.chunks.extend_from_slice(&from.chunks[range]);
        self.series.push(Series {
            labels: labels..self.labels.len() as u32,
            tail: series.tail,
            chunks: chunks..self.chunks.len() as u32,
        });
    }
}

/// Decodes the entries of one block.
#[derive(Debug)]
pub(crate) struct Decoder<'a> {
    spec: &'a SeriesSpec,
    encoder: LabelEncoder<'a>,
    undecided: Undecided<'a>,
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(
        spec: &'a SeriesSpec,
        encoder: LabelEncoder<'a>,
        header: &'a Header,
        remaining: &'a [Matcher],
    ) -> Self {
        Self {
            spec,
            encoder,
            undecided: Undecided::new(header, remaining),
        }
    }

    /// Appends the series among `entries` that match, have chunks in the time range and belong to
    /// the shard.
    pub(crate) fn decode(
        &mut self,
        entries: &SeriesEntries,
        out: &mut Decoded,
    ) -> rutile_index::Result<()> {
        out.series.reserve(entries.len());
        for i in 0..entries.len() {
            let (entry, _) = SeriesEntry::parse_checked(entries.get(i))?;
            if !self.undecided.accept(&entry)? {
                continue;
            }
            let first_chunk = out.chunks.len();
            if !self.chunks(&entry, &mut out.chunks)? {
                continue;
            }
            let start = out.labels.len();
            let tail = self.encoder.encode(&entry, &mut out.labels)?;
            if !self.in_shard(&out.labels[start..]) {
                out.labels.truncate(start);
                out.chunks.truncate(first_chunk);
                continue;
            }
            out.series.push(Series {
                labels: start as u32..out.labels.len() as u32,
                tail: tail as u32,
                chunks: first_chunk as u32..out.chunks.len() as u32,
            });
        }
        Ok(())
    }

    fn in_shard(&self, labels: &[u8]) -> bool {
        let Some(shard) = &self.spec.shard else {
            return true;
        };
        rutile_storeapi::shard_matches(shard, label_block::labels(labels))
    }

    /// Appends the chunks in the time range; whether there are any.
    fn chunks(
        &self,
        entry: &SeriesEntry<'_>,
        out: &mut Vec<ChunkPlace>,
    ) -> rutile_index::Result<bool> {
        let first = out.len();
        for meta in entry.chunks() {
            let meta = meta?;
            let place = rutile_chunk::ChunkRef::from_u64(meta.chunk_ref);
            let (segment, offset) = (place.segment(), place.offset());
            // A chunk ends where the next one of its series starts.
            if let Some(before) = out.get_mut(first..).and_then(<[ChunkPlace]>::last_mut)
                && before.wanted.end == 0
                && before.wanted.segment == segment
                && before.wanted.offset < offset
            {
                before.wanted.end = offset;
            }
            if meta.min_time > self.spec.max_time {
                break;
            }
            if meta.max_time < self.spec.min_time {
                continue;
            }
            if self.spec.skip_chunks {
                return Ok(true);
            }
            out.push(ChunkPlace {
                min_time: meta.min_time,
                max_time: meta.max_time,
                wanted: WantedChunk {
                    segment,
                    offset,
                    end: 0,
                },
            });
        }
        Ok(out.len() > first)
    }
}
