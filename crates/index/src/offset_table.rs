//! The postings offset table: where the list of each (label name, label value) lies.
//!
//! Resident are one small record for each name and the position of every nth value (32 by default);
//! names and values themselves are read from the mapped bytes. A lookup is a binary search over
//! these and a walk over less than n entries.
//!
//! The table of version 1 is in no order. It is sorted once, at open, into a table of the same form
//! whose entries also carry the length of their list, and read by the same code from then on.

use bytes::Bytes;

use crate::cursor::{Cursor, Section};
use crate::varint::{read_string, read_uvarint};
use crate::{Error, IndexVersion, Result};

mod iter;
mod scan;

pub use iter::{LabelNames, LabelValues, LabelValuesWithRanges};

/// Every how many values of a name one stays resident, unless the caller says otherwise.
pub const DEFAULT_SAMPLING: usize = 32;

/// Which bytes of the index hold a postings list: its be32 count and its be32 series references.
///
/// The list's length in front of the count and its crc behind the last reference are left out. The
/// end comes from where the next list starts, so there may be foreign bytes behind the references
/// (padding; in old blocks, for the very last list, whole tables): the count is what bounds the
/// list. Hence also the crc lies right behind the references, not necessarily at `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PostingsRange {
    /// Offset in the index of the count.
    pub start: u64,
    /// Offset in the index behind the last reference, at least `start + 4`.
    pub end: u64,
}

impl PostingsRange {
    /// Length in bytes; an upper bound of 4 + 4 × number of series.
    #[must_use]
    pub fn byte_len(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// The number of series in the list, or somewhat more (see the type).
    #[must_use]
    pub fn max_series(&self) -> u64 {
        self.byte_len().saturating_sub(4) / 4
    }
}

/// A view of the table.
#[derive(Debug, Clone)]
pub(crate) struct OffsetTable {
    entries: Bytes,
    /// Whether an entry carries the length of its list (a sorted table of version 1).
    with_len: bool,
    names: Box<[Name]>,
    /// Positions in `entries`, name after name: of each name the first value and every nth after.
    samples: Box<[u32]>,
    /// Where in the index the last list ends at the latest.
    end: u64,
}

/// One label name. Its entries end where those of the next name start; so do its samples.
#[derive(Debug, Clone, Copy)]
struct Name {
    /// Position of the first entry.
    first: u32,
    /// Bytes of an entry in front of the value: number of keys and name. Equal for all of a name.
    prefix: u32,
    name_len: u32,
    first_sample: u32,
    values: u32,
}

/// One entry as it is walked over.
#[derive(Debug, Clone, Copy)]
struct Entry<'a> {
    /// Its own position.
    at: usize,
    value: &'a [u8],
    /// Offset in the index of the list.
    list: u64,
    /// Position of the next entry.
    next: usize,
    /// Length of the list with all its fields, if the entry carries it.
    len: u64,
}

impl OffsetTable {
    /// Reads the section at the start of `bytes`, which lie at `base` in the file. `end` is where
    /// the lists end at the latest, an offset in the index. Checks structure and order, not the
    /// checksum.
    pub(crate) fn open(
        bytes: &Bytes,
        base: u64,
        version: IndexVersion,
        end: u64,
        sampling: usize,
    ) -> Result<Self> {
        let section = Section::cut(bytes, base)?;
        let mut cursor = Cursor::new(section.content, section.base);
        let count = cursor.be32("the number of postings lists")?;
        // "2", an empty name, an empty value and an offset take four bytes.
        if u64::from(count) * 4 > cursor.rest().len() as u64 {
            return Err(cursor.fail("as many postings lists as their number says"));
        }
        if version == IndexVersion::V1 {
            let entries = scan::sort_v1(cursor, count, end)?;
            return Self::scan(entries, count, 0, true, end, sampling);
        }
        let entries = bytes.slice_ref(cursor.rest());
        Self::scan(entries, count, cursor.offset(), false, end, sampling)
    }

    fn scan(
        mut entries: Bytes,
        count: u32,
        base: u64,
        with_len: bool,
        end: u64,
        sampling: usize,
    ) -> Result<Self> {
        let bytes = entries.clone();
        let mut scan = scan::Scan::new(sampling.max(1), with_len, end);
        let mut cursor = Cursor::new(&bytes, base);
        for _ in 0..count {
            scan.entry(&mut cursor, bytes.len())?;
        }
        scan.list_before(end)
            .map_err(|expected| cursor.fail(expected))?;
        entries.truncate(bytes.len() - cursor.rest().len());
        Ok(Self {
            entries,
            with_len,
            names: scan.names.into(),
            samples: scan.samples.into(),
            end,
        })
    }

    /// All label names in order, without the empty one that stands for all postings.
    pub(crate) fn label_names(&self) -> LabelNames<'_> {
        LabelNames::new(self)
    }

    /// All values of a name in order; none for a name that is not there.
    pub(crate) fn label_values(&self, name: &str) -> LabelValues<'_> {
        LabelValues::new(
            self,
            self.find(name.as_bytes()).filter(|_| !name.is_empty()),
        )
    }

    /// The values of a name that start with `prefix`, each with its list.
    pub(crate) fn label_values_with_ranges<'a>(
        &'a self,
        name: &str,
        prefix: &str,
    ) -> LabelValuesWithRanges<'a> {
        let index = self.find(name.as_bytes()).filter(|_| !name.is_empty());
        LabelValuesWithRanges::new(self, index, prefix)
    }

    /// Where the list of (name, value) lies.
    pub(crate) fn range(&self, name: &str, value: &str) -> Result<Option<PostingsRange>> {
        let Some(index) = self.find(name.as_bytes()) else {
            return Ok(None);
        };
        let at = self.seek(index, value.as_bytes());
        match self.walk_to(index, at, value.as_bytes()) {
            Some(entry) if entry.value == value.as_bytes() => self.range_of(&entry).map(Some),
            _ => Ok(None),
        }
    }

    /// As [`Self::range`] for many values of a name; these must be sorted.
    pub(crate) fn ranges<S: AsRef<str>>(
        &self,
        name: &str,
        sorted_values: &[S],
    ) -> Result<Vec<Option<PostingsRange>>> {
        let mut ranges = vec![None; sorted_values.len()];
        let Some(index) = self.find(name.as_bytes()) else {
            return Ok(ranges);
        };
        let mut at = self.first(index);
        for (range, value) in ranges.iter_mut().zip(sorted_values) {
            let value = value.as_ref().as_bytes();
            // Values close to each other share a walk, others skip ahead.
            at = at.max(self.seek(index, value));
            let Some(entry) = self.walk_to(index, at, value) else {
                break;
            };
            at = entry.at;
            if entry.value == value {
                *range = Some(self.range_of(&entry)?);
            }
        }
        Ok(ranges)
    }

    /// Heap bytes that are resident besides the mapped ones.
    pub(crate) fn resident_bytes(&self) -> usize {
        let owned = if self.with_len { self.entries.len() } else { 0 };
        size_of_val(&*self.names) + size_of_val(&*self.samples) + owned
    }

    /// The index in `names` of a name.
    fn find(&self, name: &[u8]) -> Option<usize> {
        self.names
            .binary_search_by(|candidate| self.name(candidate).cmp(name))
            .ok()
    }

    fn name(&self, name: &Name) -> &[u8] {
        let end = name.first as usize + name.prefix as usize;
        self.entries
            .get(end - name.name_len as usize..end)
            .unwrap_or_default()
    }

    fn first(&self, index: usize) -> usize {
        self.names
            .get(index)
            .map_or(self.entries.len(), |name| name.first as usize)
    }

    /// Position of the entry from which to walk to `value`: the last resident one not above it.
    fn seek(&self, index: usize, value: &[u8]) -> usize {
        let start = self
            .names
            .get(index)
            .map_or(0, |name| name.first_sample as usize);
        let end = self
            .names
            .get(index + 1)
            .map_or(self.samples.len(), |n| n.first_sample as usize);
        let samples = self.samples.get(start..end).unwrap_or_default();
        let after = samples.partition_point(|&at| {
            self.entry(index, at as usize)
                .is_some_and(|entry| entry.value <= value)
        });
        samples
            .get(after.saturating_sub(1))
            .map_or_else(|| self.first(index), |&at| at as usize)
    }

    /// The first entry from `at` on whose value is not below `value`, if the name has one.
    fn walk_to(&self, index: usize, mut at: usize, value: &[u8]) -> Option<Entry<'_>> {
        loop {
            let entry = self.entry(index, at)?;
            if entry.value >= value {
                return Some(entry);
            }
            at = entry.next;
        }
    }

    /// The entry at a position, if it belongs to the name.
    #[inline]
    fn entry(&self, index: usize, at: usize) -> Option<Entry<'_>> {
        let name = self.names.get(index)?;
        let end = self.first(index + 1);
        if at >= end {
            return None;
        }
        let mut rest = self.entries.get(at + name.prefix as usize..end)?;
        let value = read_string(&mut rest)?;
        let list = read_uvarint(&mut rest)?;
        let len = if self.with_len {
            read_uvarint(&mut rest)?
        } else {
            0
        };
        Some(Entry {
            at,
            value,
            list,
            next: end - rest.len(),
            len,
        })
    }

    /// The range of an entry's list: up to the next list, whatever its name.
    #[inline]
    fn range_of(&self, entry: &Entry<'_>) -> Result<PostingsRange> {
        let end = if self.with_len {
            entry.list.checked_add(entry.len)
        } else if entry.next == self.entries.len() {
            Some(self.end)
        } else {
            self.list_at(entry.next)
        };
        let range = end.and_then(|end| {
            let range = PostingsRange {
                start: entry.list + 4,
                end: end.checked_sub(4)?,
            };
            (range.end >= range.start + 4).then_some(range)
        });
        range.ok_or_else(|| Error::corrupt(entry.list, "postings lists in increasing order"))
    }

    /// Offset in the index of the list of the entry at a position, whatever its name.
    fn list_at(&self, at: usize) -> Option<u64> {
        let mut rest = self.entries.get(at..)?;
        read_uvarint(&mut rest)?;
        read_string(&mut rest)?;
        read_string(&mut rest)?;
        read_uvarint(&mut rest)
    }
}
