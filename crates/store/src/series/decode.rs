//! Series entries decoded: labels as rows of numbers, chunks as what to read.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use rutile_block::BlockId;
use rutile_blockio::{Error, Result, SeriesEntries, WantedChunk};
use rutile_index::{Header, SeriesEntry};

use super::label_numbers::LabelNumbers;
use super::rows::{Previous, Rows};
use super::spec::SeriesSpec;
use super::undecided::Undecided;

/// Room is made for as many labels and chunks as the first series makes likely, at most for these.
const MOST_AHEAD: usize = 64 * 1024;

/// One series of a block.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    labels: Range<u32>,
    /// Numbers at the end of the row that are external labels.
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
    labels: Vec<u32>,
    pub(crate) series: Vec<Series>,
    pub(crate) chunks: Vec<ChunkPlace>,
    /// Whether external labels brought the series out of order.
    disordered: bool,
    /// How many of the series at the start waited for those behind them.
    waited: usize,
}

impl Decoded {
    /// The labels of a series, as a row.
    #[inline]
    pub(crate) fn labels(&self, series: &Series) -> &[u32] {
        &self.labels[series.labels.start as usize..series.labels.end as usize]
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> u64 {
        let series = self.series.capacity() * size_of::<Series>();
        let chunks = self.chunks.capacity() * size_of::<ChunkPlace>();
        (4 * self.labels.capacity() + series + chunks) as u64
    }

    /// Sorts what left-out or replaced labels may have shuffled.
    pub(crate) fn sort(&mut self, numbers: &LabelNumbers) {
        let mut series = std::mem::take(&mut self.series);
        series.sort_by(|a, b| numbers.compare(self.labels(a), self.labels(b)));
        self.series = series;
    }

    /// Sorts what external labels brought out of order; no more series are to come.
    pub(crate) fn settle(&mut self, numbers: &LabelNumbers) {
        if self.disordered {
            self.sort(numbers);
        }
    }

    /// Sorts, and takes out the series that a later one may still come before.
    ///
    /// The index sorts `{a="1"}` before `{a="1", b="2"}`. With the external label `c="3"` it is the
    /// other way around: a label set waits for those that it is the start of. Call with the series
    /// in the order of the index behind what waited before; more are to come.
    pub(crate) fn hold_back(&mut self, numbers: &LabelNumbers) -> Self {
        if self.series.len() == self.waited {
            // Nothing came that could let them go.
            return std::mem::take(self);
        }
        let mut waiting = Self::default();
        let Some(last) = self.series.last().cloned() else {
            return waiting;
        };
        if !self.disordered {
            // Only what comes right behind a label set can have it as its start.
            if last.tail > 0 {
                self.series.pop();
                waiting.copy(self, &last);
                waiting.waited = 1;
            }
            return waiting;
        }
        self.sort(numbers);
        let behind_last =
            |series: &Series| match numbers.compare(self.labels(series), self.labels(&last)) {
                Ordering::Less => false,
                Ordering::Equal => last.tail > 0,
                Ordering::Greater => true,
            };
        let first = self.series.partition_point(|series| !behind_last(series));
        for series in self.series.split_off(first) {
            waiting.copy(self, &series);
        }
        waiting.disordered = !waiting.series.is_empty();
        waiting.waited = waiting.series.len();
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
pub(crate) struct Decoder {
    block: BlockId,
    spec: Arc<SeriesSpec>,
    rows: Rows,
    undecided: Undecided,
    /// Whether all of the block lies in the time range.
    covered: bool,
    last: Last,
}

/// The series decoded last.
#[derive(Debug, Default)]
struct Last {
    /// Its labels as the index has them.
    labels: Vec<u8>,
    label_count: usize,
    /// Whether an external label stands behind its own.
    has_tail: bool,
}

impl Last {
    fn set(&mut self, entry: &SeriesEntry<'_>, has_tail: bool) {
        self.labels.clear();
        self.labels.extend_from_slice(entry.label_bytes());
        self.label_count = entry.label_count();
        self.has_tail = has_tail;
    }
}

/// Whether `entry` has these labels first and then more.
#[inline]
fn is_start(labels: &[u8], label_count: usize, entry: &SeriesEntry<'_>) -> bool {
    label_count < entry.label_count() && entry.label_bytes().starts_with(labels)
}

impl Decoder {
    pub(crate) fn new(
        block: BlockId,
        spec: Arc<SeriesSpec>,
        rows: Rows,
        undecided: Undecided,
        covered: bool,
    ) -> Self {
        Self {
            block,
            spec,
            rows,
            undecided,
            covered,
            last: Last::default(),
        }
    }

    /// The header of the block's index.
    pub(crate) fn header(&self) -> &Header {
        self.rows.header()
    }

    /// The labels behind the rows.
    pub(crate) fn numbers(&self) -> &LabelNumbers {
        self.rows.numbers()
    }

    /// Appends the series among `entries`, those of `refs`, that match, have chunks in the time
    /// range and belong to the shard.
    pub(crate) fn decode(
        &mut self,
        refs: &[u32],
        entries: &SeriesEntries,
        out: &mut Decoded,
    ) -> Result<()> {
        let (block, version) = (self.block, self.rows.header().index_version());
        out.series.reserve(entries.len());
        let mut last: Option<(SeriesEntry<'_>, bool)> = None;
        let mut previous = None;
        for i in 0..entries.len() {
            let damaged = |source: rutile_index::Error| {
                let start = refs.get(i).map_or(0, |r| version.series_offset(*r));
                let source = source.shifted(start);
                Error::Index { block, source }
            };
            let (entry, _) = SeriesEntry::parse_checked(entries.get(i)).map_err(damaged)?;
            if !self.undecided.accept(&entry).map_err(damaged)? {
                continue;
            }
            let first_chunk = out.chunks.len();
            if !self.chunks(&entry, &mut out.chunks).map_err(damaged)? {
                continue;
            }
            let start = out.labels.len();
            let tail = self.rows.push(&entry, previous.take(), &mut out.labels)?;
            if !self.in_shard(&out.labels[start..]) {
                out.labels.truncate(start);
                out.chunks.truncate(first_chunk);
                continue;
            }
            out.disordered |= match &last {
                Some((last, has_tail)) => {
                    *has_tail && is_start(last.label_bytes(), last.label_count(), &entry)
                }
                None => {
                    self.last.has_tail && is_start(&self.last.labels, self.last.label_count, &entry)
                }
            };
            let is_first = last.replace((entry, tail > 0)).is_none();
            previous = Some(Previous { entry, start });
            if is_first {
                let rest = entries.len() - i;
                let alike = (out.labels.len() - start + 1).saturating_mul(rest);
                out.labels.reserve(alike.min(MOST_AHEAD));
                let alike = (out.chunks.len() - first_chunk).saturating_mul(rest);
                out.chunks.reserve(alike.min(MOST_AHEAD));
            }
            out.series.push(Series {
                labels: start as u32..out.labels.len() as u32,
                tail: tail as u32,
                chunks: first_chunk as u32..out.chunks.len() as u32,
            });
        }
        if let Some((entry, has_tail)) = last {
            self.last.set(&entry, has_tail);
        }
        Ok(())
    }

    fn in_shard(&self, row: &[u32]) -> bool {
        let Some(shard) = &self.spec.shard else {
            return true;
        };
        rutile_storeapi::shard_matches(shard, self.rows.numbers().labels(row))
    }

    /// Appends the chunks in the time range; whether there are any.
    fn chunks(
        &self,
        entry: &SeriesEntry<'_>,
        out: &mut Vec<ChunkPlace>,
    ) -> rutile_index::Result<bool> {
        if self.spec.skip_chunks && self.covered {
            return Ok(entry.chunk_count() > 0);
        }
        let first = out.len();
        let (mut last, mut longest) = (None, 0);
        for meta in entry.chunks() {
            let meta = meta?;
            let place = rutile_chunk::ChunkRef::from_u64(meta.chunk_ref);
            let (segment, offset) = (place.segment(), place.offset());
            // A chunk ends where the next one of its series starts.
            if let Some((before, start)) = last.replace((segment, offset))
                && before == segment
                && start < offset
            {
                longest = longest.max(offset - start);
                if let Some(chunk) = out.get_mut(first..).and_then(<[ChunkPlace]>::last_mut)
                    && (chunk.wanted.segment, chunk.wanted.offset) == (before, start)
                {
                    chunk.wanted.end = offset;
                }
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
                    likely: 0,
                },
            });
        }
        // The last one is probably not twice as long as the others.
        if let Some(chunk) = out.get_mut(first..).and_then(<[ChunkPlace]>::last_mut) {
            chunk.wanted.likely = longest.saturating_mul(2);
        }
        Ok(out.len() > first)
    }
}
