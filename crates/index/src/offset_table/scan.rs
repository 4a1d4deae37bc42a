//! The pass over the postings offset table when it is opened: checks it and picks what stays
//! resident. And the sorting of a table of version 1.

use bytes::Bytes;

use super::Name;
use crate::Result;
use crate::cursor::Cursor;
use crate::varint::{put_string, put_uvarint};

/// Keys of an entry: name and value.
const KEYS: u64 = 2;
/// Bytes of the shortest list: length, count, crc.
const SHORTEST_LIST: u64 = 12;

/// State of the one pass over the table at open.
pub(super) struct Scan<'a> {
    sampling: usize,
    with_len: bool,
    /// Where the lists end at the latest.
    end: u64,
    pub(super) names: Vec<Name>,
    pub(super) samples: Vec<u32>,
    name: Option<&'a [u8]>,
    value: &'a [u8],
    list: Option<u64>,
}

impl<'a> Scan<'a> {
    pub(super) fn new(sampling: usize, with_len: bool, end: u64) -> Self {
        let (names, samples) = (Vec::new(), Vec::new());
        Self {
            sampling,
            with_len,
            end,
            names,
            samples,
            name: None,
            value: &[],
            list: None,
        }
    }

    pub(super) fn entry(&mut self, cursor: &mut Cursor<'a>, total: usize) -> Result<()> {
        let start = *cursor;
        let position = |cursor: &Cursor<'_>| {
            u32::try_from(total - cursor.rest().len())
                .map_err(|_| cursor.fail("a postings offset table below 4 GiB"))
        };
        let at = position(cursor)?;
        if cursor.uvarint("the number of keys")? != KEYS {
            return Err(start.fail("two keys: name and value"));
        }
        let name = cursor.string("a label name")?;
        let prefix = position(cursor)? - at;
        let value = cursor.string("a label value")?;
        let list = cursor.uvarint("the offset of a postings list")?;
        if self.with_len {
            cursor.uvarint("the length of a postings list")?;
        } else {
            self.list_before(list)
                .map_err(|expected| start.fail(expected))?;
            self.list = Some(list);
        }
        if self.name == Some(name) {
            if value <= self.value {
                return Err(start.fail("label values in increasing order"));
            }
        } else {
            if self.name.is_some_and(|last| name <= last) || std::str::from_utf8(name).is_err() {
                return Err(start.fail("label names in UTF-8 and in increasing order"));
            }
            self.open_name(at, prefix, name)
                .ok_or_else(|| start.fail("a 32-bit length"))?;
        }
        if std::str::from_utf8(value).is_err() {
            return Err(start.fail("a label value in UTF-8"));
        }
        self.value = value;
        self.count_value(at);
        Ok(())
    }

    fn open_name(&mut self, at: u32, prefix: u32, name: &'a [u8]) -> Option<()> {
        let name_len = u32::try_from(name.len()).ok()?;
        let first_sample = u32::try_from(self.samples.len()).ok()?;
        self.names.push(Name {
            first: at,
            prefix,
            name_len,
            first_sample,
            values: 0,
        });
        self.name = Some(name);
        Some(())
    }

    fn count_value(&mut self, at: u32) {
        let Some(name) = self.names.last_mut() else {
            return;
        };
        if (name.values as usize).is_multiple_of(self.sampling) {
            self.samples.push(at);
        }
        name.values += 1;
    }

    /// Checks that the list scanned last has room before the next one at `next`.
    pub(super) fn list_before(&self, next: u64) -> Result<(), &'static str> {
        let room = match self.list {
            None => true,
            Some(list) => next
                .checked_sub(list)
                .is_some_and(|len| len >= SHORTEST_LIST),
        };
        let inside = next <= self.end;
        if room && inside {
            Ok(())
        } else {
            Err("postings lists in order, before the table")
        }
    }
}

/// Sorts the entries of a table of version 1 and adds to each the length of its list, which is
/// where the next one of the original order starts.
pub(super) fn sort_v1(mut cursor: Cursor<'_>, count: u32, end: u64) -> Result<Bytes> {
    // Not reserved ahead: an entry here is larger than the smallest in the file.
    let mut entries = Vec::new();
    for _ in 0..count {
        if cursor.uvarint("the number of keys")? != KEYS {
            return Err(cursor.fail("two keys: name and value"));
        }
        let name = cursor.string("a label name")?;
        let value = cursor.string("a label value")?;
        entries.push((
            name,
            value,
            cursor.uvarint("the offset of a postings list")?,
            0,
        ));
    }
    let mut next = end;
    for (_, _, list, len) in entries.iter_mut().rev() {
        *len = next
            .checked_sub(*list)
            .filter(|&len| len >= SHORTEST_LIST)
            .ok_or_else(|| cursor.fail("postings lists in order, before the table"))?;
        next = *list;
    }
    entries.sort_unstable();
    let mut out = Vec::with_capacity(cursor.rest().len());
    for (name, value, list, len) in entries {
        put_uvarint(&mut out, KEYS);
        put_string(&mut out, name);
        put_string(&mut out, value);
        put_uvarint(&mut out, list);
        put_uvarint(&mut out, len);
    }
    Ok(out.into())
}
