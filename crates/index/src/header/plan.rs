//! Building an index-header from as few bytes of a remote index as possible.
//!
//! The caller does the I/O: it fetches [`HeaderPlan::probe`], asks for the [`HeaderSections`],
//! fetches these, and assembles. A small index is cheaper to fetch as a whole: one request.

use std::ops::Range;

use super::{MAGIC, PREFIX_LEN, TOC_LEN, VERSION};
use crate::cursor::crc32c;
use crate::version::INDEX_PREFIX_LEN;
use crate::{Error, IndexVersion, Result, Toc};

/// Up to this length in bytes an index is fetched as a whole.
pub const WHOLE_INDEX_LIMIT: u64 = 1 << 20;

/// What to fetch first of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderPlan {
    index_len: u64,
}

/// Which parts of an index make its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderSections {
    version: IndexVersion,
    toc: Toc,
    index_len: u64,
}

impl HeaderPlan {
    /// For an index of a given length in bytes. Fails if it is too short to be one.
    pub fn new(index_len: u64) -> Result<Self> {
        if index_len < (INDEX_PREFIX_LEN + Toc::LEN) as u64 {
            return Err(Error::corrupt(index_len, "an index of at least 57 bytes"));
        }
        Ok(Self { index_len })
    }

    /// Whether to fetch the whole index and call [`build_header`].
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.index_len <= WHOLE_INDEX_LIMIT
    }

    /// The two ranges that tell the rest: the first five bytes and the table of contents.
    #[must_use]
    pub fn probe(&self) -> [Range<u64>; 2] {
        [
            0..INDEX_PREFIX_LEN as u64,
            self.index_len - Toc::LEN as u64..self.index_len,
        ]
    }

    /// Reads what [`Self::probe`] asked for (`tail` may start earlier).
    ///
    /// Fails for an index version 3: no index-header can be made of it that others could read.
    pub fn sections(&self, first5: &[u8], tail: &[u8]) -> Result<HeaderSections> {
        let version = IndexVersion::parse_prefix(first5)?;
        if version == IndexVersion::V3 {
            return Err(Error::Unsupported {
                format: "index-header of index",
                version: 3,
            });
        }
        let toc = Toc::parse(tail, self.index_len)?;
        Ok(HeaderSections {
            version,
            toc,
            index_len: self.index_len,
        })
    }
}

impl HeaderSections {
    /// The bytes of the index that hold the symbol table.
    #[must_use]
    pub fn symbols(&self) -> Range<u64> {
        self.toc.symbols..self.toc.series
    }

    /// The bytes of the index from its postings offset table to its end.
    #[must_use]
    pub fn tail(&self) -> Range<u64> {
        self.toc.postings_table..self.index_len
    }

    /// Table of contents of the index.
    #[must_use]
    pub fn index_toc(&self) -> &Toc {
        &self.toc
    }

    /// Length in bytes of the header: [`Self::prefix`], symbols, tail, [`Self::suffix`].
    #[must_use]
    pub fn header_len(&self) -> u64 {
        let (symbols, tail) = (self.symbols(), self.tail());
        let sections = (symbols.end - symbols.start) + (tail.end - tail.start);
        (PREFIX_LEN + TOC_LEN) as u64 + sections
    }

    /// What stands in front of the symbol table.
    #[must_use]
    pub fn prefix(&self) -> [u8; PREFIX_LEN] {
        let [m0, m1, m2, m3] = MAGIC.to_be_bytes();
        let [e0, e1, e2, e3, e4, e5, e6, e7] = self.toc.postings_table.to_be_bytes();
        [
            m0,
            m1,
            m2,
            m3,
            VERSION,
            self.version.byte(),
            e0,
            e1,
            e2,
            e3,
            e4,
            e5,
            e6,
            e7,
        ]
    }

    /// What stands behind the tail of the index.
    #[must_use]
    pub fn suffix(&self) -> Vec<u8> {
        let symbols = self.symbols();
        let table = PREFIX_LEN as u64 + (symbols.end - symbols.start);
        let mut toc = Vec::with_capacity(TOC_LEN);
        toc.extend((PREFIX_LEN as u64).to_be_bytes());
        toc.extend(table.to_be_bytes());
        let crc = crc32c(&toc);
        toc.extend(crc.to_be_bytes());
        toc
    }

    /// Puts a header together in memory.
    pub fn assemble(&self, symbols: &[u8], tail: &[u8]) -> Result<Vec<u8>> {
        let exact = |range: Range<u64>, bytes: &[u8]| {
            if bytes.len() as u64 == range.end - range.start {
                return Ok(());
            }
            let end = range.start + bytes.len() as u64;
            Err(Error::corrupt(
                end,
                "a section of the index as long as was asked for",
            ))
        };
        exact(self.symbols(), symbols)?;
        exact(self.tail(), tail)?;
        Ok([&self.prefix(), symbols, tail, &self.suffix()].concat())
    }
}

/// The index-header of an index that is at hand as a whole.
pub fn build_header(index: &[u8]) -> Result<Vec<u8>> {
    let sections = HeaderPlan::new(index.len() as u64)?.sections(index, index)?;
    let part = |range: Range<u64>| {
        let start = usize::try_from(range.start).ok();
        let end = usize::try_from(range.end).ok();
        start
            .zip(end)
            .and_then(|(start, end)| index.get(start..end))
            .unwrap_or_default()
    };
    sections.assemble(part(sections.symbols()), part(sections.tail()))
}
