//! Iterators over the postings offset table. Names and values were checked to be UTF-8 and in
//! order when the table was opened, so these cannot fail half-way.

use super::{OffsetTable, PostingsRange};

/// All label names of an index in order.
#[derive(Debug, Clone)]
pub struct LabelNames<'a> {
    table: &'a OffsetTable,
    index: usize,
}

/// The values of a label name in order.
#[derive(Debug, Clone)]
pub struct LabelValues<'a> {
    table: &'a OffsetTable,
    name: usize,
    at: usize,
    left: usize,
}

/// The values of a label name that start with a prefix, each with the range of its postings list.
#[derive(Debug, Clone)]
pub struct LabelValuesWithRanges<'a> {
    table: &'a OffsetTable,
    name: Option<usize>,
    at: usize,
    prefix: Box<str>,
}

impl<'a> LabelNames<'a> {
    pub(super) fn new(table: &'a OffsetTable) -> Self {
        // The empty name, which comes first, stands for all postings.
        let index = usize::from(table.names.first().is_some_and(|name| name.name_len == 0));
        Self { table, index }
    }
}

impl<'a> Iterator for LabelNames<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<Self::Item> {
        let name = self.table.name(self.table.names.get(self.index)?);
        self.index += 1;
        std::str::from_utf8(name).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.table.names.len().saturating_sub(self.index);
        (left, Some(left))
    }
}

impl ExactSizeIterator for LabelNames<'_> {}

impl<'a> LabelValues<'a> {
    pub(super) fn new(table: &'a OffsetTable, name: Option<usize>) -> Self {
        let left = name
            .and_then(|index| table.names.get(index))
            .map_or(0, |n| n.values as usize);
        let name = name.unwrap_or(table.names.len());
        Self {
            table,
            name,
            at: table.first(name),
            left,
        }
    }
}

impl<'a> Iterator for LabelValues<'a> {
    type Item = &'a str;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.table.entry(self.name, self.at)?;
        self.at = entry.next;
        self.left -= 1;
        std::str::from_utf8(entry.value).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for LabelValues<'_> {}

impl<'a> LabelValuesWithRanges<'a> {
    pub(super) fn new(table: &'a OffsetTable, name: Option<usize>, prefix: &str) -> Self {
        let at = name.map_or(0, |index| table.seek(index, prefix.as_bytes()));
        Self {
            table,
            name,
            at,
            prefix: prefix.into(),
        }
    }
}

impl<'a> Iterator for LabelValuesWithRanges<'a> {
    type Item = (&'a str, PostingsRange);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let name = self.name?;
        let prefix = self.prefix.as_bytes();
        loop {
            let entry = self.table.entry(name, self.at)?;
            self.at = entry.next;
            if entry.value.starts_with(prefix) {
                let value = std::str::from_utf8(entry.value).ok()?;
                return Some((value, self.table.range_of(&entry).ok()?));
            }
            if entry.value > prefix {
                self.name = None;
                return None;
            }
        }
    }
}
