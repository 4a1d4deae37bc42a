//! The series section of an index, decoded window by window.

use std::ops::Range;
use std::sync::Arc;

use rutile_index::{IndexVersion, varint};

use crate::batch::{Entries, Label, Place, Series};
use crate::digest;
use crate::error::{Error, Reason, Result};
use crate::input::Input;
use crate::symbols::SymbolMap;

/// Series of one batch at most, so that blocks of tiny chunks come in batches too.
const MAX_SERIES: usize = 8192;

/// Turns the bytes of the series section into batches of series.
#[derive(Debug)]
pub(crate) struct Decoder {
    input: Arc<Input>,
    symbols: Arc<SymbolMap>,
    /// A batch is closed when its chunks reach so many bytes.
    target: u64,
    /// Whether the series' places in the postings are summed up.
    sum_postings: bool,
    /// Read and not decoded yet; starts at `base` of the index.
    buffer: Vec<u8>,
    base: u64,
    end: u64,
    open: Entries,
    last_labels: Vec<Label>,
}

/// An entry that is wrong.
struct Wrong(Reason, &'static str);

impl Decoder {
    /// Of the part `section` of the index: all series, or some that stand side by side.
    pub(crate) fn new(
        input: Arc<Input>,
        symbols: Arc<SymbolMap>,
        target: u64,
        sum_postings: bool,
        section: Range<u64>,
    ) -> Self {
        Self {
            input,
            symbols,
            target,
            sum_postings,
            buffer: Vec::new(),
            base: section.start,
            end: section.end,
            open: Entries::default(),
            last_labels: Vec::new(),
        }
    }

    /// Decodes the next window; gives the batches that are full.
    pub(crate) fn feed(&mut self, window: &[u8]) -> Result<Vec<Entries>> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.extend_from_slice(window);
        let mut full = Vec::new();
        let mut at = 0;
        loop {
            at = self.skip_padding(&buffer, at);
            let rest = buffer.get(at..).unwrap_or_default();
            let decoded = self.entry(rest, self.base + at as u64, &mut full);
            match decoded {
                Ok(0) => break,
                Ok(len) => at += len,
                Err(Wrong(reason, expected)) => {
                    return Err(self.wrong(reason, self.base + at as u64, expected));
                }
            }
        }
        let at = at.min(buffer.len());
        buffer.drain(..at);
        self.base += at as u64;
        self.buffer = buffer;
        Ok(full)
    }

    /// The last batch, at the end of the section.
    pub(crate) fn finish(mut self) -> Result<Entries> {
        if self.buffer.iter().any(|&byte| byte != 0) {
            let expected = "a series entry within the series section";
            return Err(self.wrong(Reason::IndexCorrupt, self.base, expected));
        }
        Ok(std::mem::take(&mut self.open))
    }

    fn skip_padding(&self, buffer: &[u8], at: usize) -> usize {
        if self.input.version == IndexVersion::V1 {
            return at;
        }
        let offset = self.base + at as u64;
        let padding = offset.next_multiple_of(16) - offset;
        let padding = usize::try_from(padding).unwrap_or_default();
        (at + padding).min(buffer.len())
    }

    /// Decodes the entry at the start of `bytes`, which lie at `offset`. `Ok(0)`: there is none, or
    /// not all of it.
    fn entry(
        &mut self,
        bytes: &[u8],
        offset: u64,
        full: &mut Vec<Entries>,
    ) -> Result<usize, Wrong> {
        let room = self.end.saturating_sub(offset);
        let mut rest = bytes;
        let Some(len) = varint::read_uvarint(&mut rest) else {
            return match bytes.len() < varint::MAX_LEN {
                true => Ok(0),
                false => Err(damage("the length of a series entry")),
            };
        };
        let head = bytes.len() - rest.len();
        if len == 0 || len.saturating_add(head as u64 + 4) > room {
            return Err(damage("a series entry within the series section"));
        }
        let len = usize::try_from(len).map_err(|_| damage("the length of a series entry"))?;
        let Some((content, rest)) = rest.split_at_checked(len) else {
            return Ok(0);
        };
        let Some(crc) = rest.first_chunk::<4>() else {
            return Ok(0);
        };
        if crc_fast::crc32_iscsi(content) != u32::from_be_bytes(*crc) {
            return Err(damage("a series entry that matches its checksum"));
        }
        self.series(content, offset, full)?;
        Ok(head + len + 4)
    }

    fn series(
        &mut self,
        mut content: &[u8],
        offset: u64,
        full: &mut Vec<Entries>,
    ) -> Result<(), Wrong> {
        let align = self.input.version.series_align();
        let reference =
            u32::try_from(offset / align).map_err(|_| damage("a series below 64 GiB"))?;
        let (labels_before, chunks_before) = (self.open.labels.len(), self.open.places.len());
        let labels_digest = self.labels(&mut content, reference)?;
        self.chunks(&mut content)?;
        if !content.is_empty() {
            return Err(damage("the end of a series entry"));
        }
        let labels = self.open.labels.get(labels_before..).unwrap_or_default();
        if labels <= self.last_labels.as_slice() {
            return Err(Wrong(
                Reason::OutOfOrderSeries,
                "series in the order of their labels, each once",
            ));
        }
        self.last_labels.clear();
        self.last_labels.extend_from_slice(labels);
        self.open.series.push(Series {
            labels_end: cut(self.open.labels.len()),
            chunks_end: cut(self.open.places.len()),
            reference,
            labels_digest,
        });
        if self.is_full(chunks_before) {
            full.push(self.close(labels_before, chunks_before));
        }
        Ok(())
    }

    fn labels(&mut self, content: &mut &[u8], reference: u32) -> Result<u64, Wrong> {
        let missing = || damage("the labels of a series");
        let count = varint::read_uvarint32(content).ok_or_else(missing)?;
        let mut state = 0;
        let mut last_name = None;
        for _ in 0..count {
            let name = varint::read_uvarint32(content).ok_or_else(missing)?;
            let value = varint::read_uvarint32(content).ok_or_else(missing)?;
            let (Some(name), Some(value)) = (self.symbols.get(name), self.symbols.get(value))
            else {
                return Err(damage("symbol references within the symbol table"));
            };
            if last_name >= Some(name.output) {
                let expected = "the labels of a series in the order of their names";
                return Err(Wrong(Reason::OutOfOrderSeries, expected));
            }
            last_name = Some(name.output);
            state = digest::label(state, name, value);
            if self.sum_postings {
                let posting = digest::posting(name.hash, value.hash, reference);
                self.open.postings = self.open.postings.wrapping_add(posting);
            }
            self.open.labels.push((name.output, value.output));
        }
        Ok(state)
    }

    fn chunks(&mut self, content: &mut &[u8]) -> Result<(), Wrong> {
        let missing = || damage("the chunks of a series");
        let count = varint::read_uvarint32(content).ok_or_else(missing)?;
        let mut last: Option<Place> = None;
        for _ in 0..count {
            let place = read_place(content, last).ok_or_else(missing)?;
            let mends = self.input.mends;
            if !mends && last.is_some_and(|last| last.max_time >= place.min_time)
                || place.max_time < place.min_time
            {
                let expected = "the chunks of a series in order of time, without overlap";
                return Err(Wrong(Reason::OutOfOrderChunks, expected));
            }
            // As in the reference, the last sample may lie at the very end of the range.
            let within =
                place.min_time >= self.input.min_time && place.max_time <= self.input.max_time;
            if !within && !mends {
                let expected = "chunks within the times that meta.json names";
                return Err(Wrong(Reason::OutsideTimes, expected));
            }
            self.open.places.push(place);
            last = Some(place);
        }
        Ok(())
    }

    /// Whether the open batch is large enough without the series whose chunks start at `before`.
    fn is_full(&self, before: usize) -> bool {
        if before == 0 {
            return false;
        }
        if self.open.series.len() > MAX_SERIES {
            return true;
        }
        let places = &self.open.places;
        let (Some(first), Some(last)) = (places.first(), places.last()) else {
            return false;
        };
        last.chunk_ref.abs_diff(first.chunk_ref) > self.target
    }

    /// Closes the open batch in front of its last series, which starts the next.
    fn close(&mut self, labels_before: usize, chunks_before: usize) -> Entries {
        let labels = self.open.labels.split_off(labels_before);
        let places = self.open.places.split_off(chunks_before);
        let mut series: Vec<Series> = self.open.series.pop().into_iter().collect();
        for first in &mut series {
            first.labels_end = cut(labels.len());
            first.chunks_end = cut(places.len());
        }
        let next = Entries {
            labels,
            series,
            places,
            ..Entries::default()
        };
        let mut full = std::mem::replace(&mut self.open, next);
        full.next_ref = self.open.places.first().map(|place| place.chunk_ref);
        full
    }

    fn wrong(&self, reason: Reason, offset: u64, expected: &str) -> Error {
        let key = &self.input.index_key;
        let message = format!("{key}: series entry at byte {offset}: expected {expected}");
        self.input.fault(reason, message)
    }
}

fn read_place(content: &mut &[u8], last: Option<Place>) -> Option<Place> {
    let min_time = match last {
        None => varint::read_varint(content)?,
        // Differences wrap around as the writer's do: chunks that go back in time show as such.
        Some(last) => last
            .max_time
            .wrapping_add(varint::read_uvarint(content)?.cast_signed()),
    };
    let max_time = min_time.wrapping_add(varint::read_uvarint(content)?.cast_signed());
    let chunk_ref = match last {
        None => varint::read_uvarint(content)?,
        Some(last) => last
            .chunk_ref
            .checked_add_signed(varint::read_varint(content)?)?,
    };
    Some(Place {
        min_time,
        max_time,
        chunk_ref,
    })
}

#[cold]
fn damage(expected: &'static str) -> Wrong {
    Wrong(Reason::IndexCorrupt, expected)
}

/// Rows of a batch: far fewer than 2^32, as an index is shorter than that many labels.
fn cut(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
