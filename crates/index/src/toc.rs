//! The table of contents: the last 52 bytes of an index.

use std::ops::Range;

use crate::cursor::{Cursor, crc32c};
use crate::version::INDEX_PREFIX_LEN;
use crate::{Error, Result};

/// Byte offsets of the sections of an index. 0 says that a section is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Toc {
    /// The symbol table.
    pub symbols: u64,
    /// The series entries.
    pub series: u64,
    /// The label indices. Not written any more; then the end of the series.
    pub label_indices: u64,
    /// The label offset table. Not written any more; then equal to `postings_table`.
    pub label_indices_table: u64,
    /// The postings lists; recorded before the padding to 4 bytes.
    pub postings: u64,
    /// The postings offset table.
    pub postings_table: u64,
}

impl Toc {
    /// Length in bytes: six be64 and a crc.
    pub const LEN: usize = 52;

    /// Reads the table from the end of `tail`, the last bytes of an index of `index_len` bytes.
    ///
    /// Fails if the checksum is wrong or a section does not lie where it can.
    pub fn parse(tail: &[u8], index_len: u64) -> Result<Self> {
        let base = index_len.saturating_sub(Self::LEN as u64);
        let Some(table) = tail.last_chunk::<{ Self::LEN }>() else {
            return Err(Error::corrupt(base, "a table of contents of 52 bytes"));
        };
        let mut cursor = Cursor::new(table, base);
        let mut covered = cursor;
        let covered = covered.take(Self::LEN - 4, "a table of contents")?;
        let mut slot = || cursor.be64("an offset in the table of contents");
        let toc = Self {
            symbols: slot()?,
            series: slot()?,
            label_indices: slot()?,
            label_indices_table: slot()?,
            postings: slot()?,
            postings_table: slot()?,
        };
        if cursor.be32("the checksum of the table of contents")? != crc32c(covered) {
            return Err(Error::corrupt(
                base,
                "a table of contents that matches its checksum",
            ));
        }
        toc.check(base)?;
        Ok(toc)
    }

    /// Appends the table.
    pub fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let slots = [
            self.symbols,
            self.series,
            self.label_indices,
            self.label_indices_table,
            self.postings,
            self.postings_table,
        ];
        out.extend(slots.into_iter().flat_map(u64::to_be_bytes));
        let crc = crc32c(out.get(start..).unwrap_or_default());
        out.extend(crc.to_be_bytes());
    }

    /// Where the series entries lie: from `series` to the next section that exists.
    #[must_use]
    pub fn series_section(&self) -> Range<u64> {
        let end = [self.label_indices, self.label_indices_table, self.postings]
            .into_iter()
            .filter(|&offset| offset >= self.series && offset != 0)
            .fold(self.postings_table, u64::min);
        self.series..end
    }

    fn check(&self, base: u64) -> Result<()> {
        let required = [self.symbols, self.series, self.postings_table, base];
        let ordered = required.is_sorted() && self.symbols >= INDEX_PREFIX_LEN as u64;
        let optional = [self.label_indices, self.label_indices_table, self.postings];
        let inside = optional
            .iter()
            .all(|&at| at == 0 || (self.series..=base).contains(&at));
        if ordered && inside {
            return Ok(());
        }
        Err(Error::corrupt(
            base,
            "sections in order and within the index",
        ))
    }
}
