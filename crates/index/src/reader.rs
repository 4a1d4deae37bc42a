//! A whole index file.

use bytes::Bytes;

use crate::cursor::{Cursor, Section};
use crate::offset_table::OffsetTable;
use crate::{
    DEFAULT_SAMPLING, Error, IndexVersion, LabelNames, LabelValues, PostingsList, Result,
    SeriesEntry, Symbols, Toc,
};

/// An open index, usually over mapped bytes.
#[derive(Debug, Clone)]
pub struct IndexReader {
    bytes: Bytes,
    version: IndexVersion,
    toc: Toc,
    symbols: Symbols,
    table: OffsetTable,
}

/// All series entries in file order, which is label order: reference and entry. Ends after an error.
#[derive(Debug, Clone)]
pub struct SeriesIter<'a> {
    reader: &'a IndexReader,
    /// Offset in the index of where to look for the next entry, and of the end of the section.
    at: u64,
    end: u64,
}

impl IndexReader {
    /// Opens an index: one pass over symbols and postings offset table, without checksums.
    pub fn open(bytes: Bytes) -> Result<Self> {
        let version = IndexVersion::parse_prefix(&bytes)?;
        let toc = Toc::parse(&bytes, bytes.len() as u64)?;
        let section = |at: u64| match usize::try_from(at) {
            Ok(at) if at <= bytes.len() => Ok(bytes.slice(at..)),
            _ => Err(Error::corrupt(at, "a section within the index")),
        };
        let symbols = Symbols::open(&section(toc.symbols)?, toc.symbols, toc.symbols, version)?;
        let table = OffsetTable::open(
            &section(toc.postings_table)?,
            toc.postings_table,
            version,
            toc.postings_table,
            DEFAULT_SAMPLING,
        )?;
        Ok(Self {
            bytes,
            version,
            toc,
            symbols,
            table,
        })
    }

    /// Checks every checksum, the order of symbols and of the references in each postings list.
    /// Reads all bytes.
    pub fn verify(&self) -> Result<()> {
        for at in [self.toc.symbols, self.toc.postings_table] {
            Section::cut(self.slice_from(at), at)?.verify()?;
        }
        self.symbols.verify_order()?;
        for series in self.series() {
            let (reference, _) = series?;
            let at = self.version.series_offset(reference);
            SeriesEntry::parse_checked(self.slice_from(at)).map_err(|error| error.shifted(at))?;
        }
        self.postings("", "")?;
        for name in self.label_names() {
            for (_, range) in self.table.label_values_with_ranges(name, "") {
                let bytes = self.bytes.slice_ref(self.slice_from(range.start));
                PostingsList::parse_checked(&bytes).map_err(|error| error.shifted(range.start))?;
            }
        }
        Ok(())
    }

    /// Version of the format.
    #[must_use]
    pub fn version(&self) -> IndexVersion {
        self.version
    }

    /// Table of contents.
    #[must_use]
    pub fn toc(&self) -> &Toc {
        &self.toc
    }

    /// The symbol table.
    #[must_use]
    pub fn symbols(&self) -> &Symbols {
        &self.symbols
    }

    /// All label names in order.
    #[must_use]
    pub fn label_names(&self) -> LabelNames<'_> {
        self.table.label_names()
    }

    /// All values of a label name in order; none if the name is unknown.
    #[must_use]
    pub fn label_values(&self, name: &str) -> LabelValues<'_> {
        self.table.label_values(name)
    }

    /// The series with a label; `None` if there are none. ("", "") stands for all series.
    pub fn postings(&self, name: &str, value: &str) -> Result<Option<PostingsList>> {
        let Some(range) = self.table.range(name, value)? else {
            return Ok(None);
        };
        let bytes = self.bytes.slice_ref(self.slice_from(range.start));
        PostingsList::parse(&bytes)
            .map(Some)
            .map_err(|error| error.shifted(range.start))
    }

    /// The entry that a posting refers to. The checksum is not looked at.
    pub fn series_at(&self, reference: u32) -> Result<SeriesEntry<'_>> {
        let at = self.version.series_offset(reference);
        let section = self.toc.series_section();
        if !section.contains(&at) {
            return Err(Error::corrupt(
                at,
                "a series reference within the series section",
            ));
        }
        let (entry, _) =
            SeriesEntry::parse(self.slice_from(at)).map_err(|error| error.shifted(at))?;
        Ok(entry)
    }

    /// All series entries in file order.
    #[must_use]
    pub fn series(&self) -> SeriesIter<'_> {
        let section = self.toc.series_section();
        SeriesIter {
            reader: self,
            at: section.start,
            end: section.end,
        }
    }

    fn slice_from(&self, at: u64) -> &[u8] {
        usize::try_from(at)
            .ok()
            .and_then(|at| self.bytes.get(at..))
            .unwrap_or_default()
    }
}

impl<'a> Iterator for SeriesIter<'a> {
    type Item = Result<(u32, SeriesEntry<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let align = self.reader.version.series_align();
        let at = self.at.next_multiple_of(align);
        if at >= self.end {
            return None;
        }
        let result = self.entry(at, align);
        self.at = match &result {
            Ok((_, len)) => at + len,
            Err(_) => self.end,
        };
        Some(result.map(|(item, _)| item))
    }
}

impl<'a> SeriesIter<'a> {
    fn entry(&self, at: u64, align: u64) -> Result<((u32, SeriesEntry<'a>), u64)> {
        let bytes = self.reader.slice_from(at);
        let left = usize::try_from(self.end - at).unwrap_or(usize::MAX);
        let bytes = bytes.get(..left).unwrap_or(bytes);
        let (entry, len) = SeriesEntry::parse(bytes).map_err(|error| error.shifted(at))?;
        let reference = u32::try_from(at / align)
            .map_err(|_| Cursor::new(bytes, at).fail("a series reference of 32 bits"))?;
        Ok(((reference, entry), len as u64))
    }
}
