//! The binary index-header: what a store gateway keeps of an index to find its way in it.
//!
//! ```text
//! 0   be32 0xBAAAD792 | byte 1 | byte index version | be64 toc.postings_table
//! 14  the symbol table of the index, verbatim
//!     the index from its postings offset table to its end, verbatim (so with its toc)
//!     be64 14 | be64 offset of the postings offset table | be32 crc of these 16 bytes
//! ```
//! A header is opened over mapped bytes. Resident besides are a sampled table of symbols, one of
//! label values and a record for each label name: about 0.25 bytes for each string.

use bytes::Bytes;

use crate::cursor::{Cursor, Section, crc32c};
use crate::offset_table::OffsetTable;
use crate::{
    DEFAULT_SAMPLING, Error, IndexVersion, LabelNames, LabelValues, LabelValuesWithRanges,
    PostingsRange, Result, SymbolSpan, Symbols, Toc,
};

mod plan;

pub use plan::{HeaderPlan, HeaderSections, WHOLE_INDEX_LIMIT, build_header};

const MAGIC: u32 = 0xBAAA_D792;
const VERSION: u8 = 1;
/// Bytes in front of the symbol table.
const PREFIX_LEN: usize = 14;
/// Bytes of the table of contents of the header itself.
const TOC_LEN: usize = 20;

/// An open index-header. Cheap to clone is [`Bytes`], not this: keep it in an `Arc`.
#[derive(Debug, Clone)]
pub struct Header {
    bytes: Bytes,
    version: IndexVersion,
    toc: Toc,
    symbols: Symbols,
    table: OffsetTable,
    table_at: u64,
}

impl Header {
    /// Opens a header: one pass over it that checks everything but the two checksums of the
    /// sections, which [`Self::verify`] does.
    pub fn open(bytes: Bytes) -> Result<Self> {
        Self::open_sampled(bytes, DEFAULT_SAMPLING)
    }

    /// As [`Self::open`], keeping every `sampling`th label value resident.
    pub fn open_sampled(bytes: Bytes, sampling: usize) -> Result<Self> {
        let mut cursor = Cursor::new(&bytes, 0);
        if cursor.be32("the magic number of an index-header")? != MAGIC {
            return Err(Error::corrupt(
                0,
                "the magic number baaad792 of an index-header",
            ));
        }
        let version = cursor.u8("the version of an index-header")?;
        if version != VERSION {
            return Err(Error::Unsupported {
                format: "index-header",
                version,
            });
        }
        let version = IndexVersion::from_byte(cursor.u8("the version of the index")?)?;
        let postings_end = cursor.be64("the end of the postings")?;
        let (table_at, end) = parse_toc(&bytes)?;
        let (Some(symbols), Some(tail)) =
            (bytes.get(PREFIX_LEN..table_at), bytes.get(table_at..end))
        else {
            return Err(Error::corrupt(
                end as u64,
                "sections within the index-header",
            ));
        };
        let index_len = postings_end
            .checked_add(tail.len() as u64)
            .ok_or_else(|| Error::corrupt(6, "the end of the postings within an index"))?;
        let toc = Toc::parse(tail, index_len).map_err(|error| relocate(error, end as u64))?;
        if toc.postings_table != postings_end {
            return Err(Error::corrupt(
                6,
                "the end of the postings as in the table of contents",
            ));
        }
        let symbols = Symbols::open(
            &bytes.slice_ref(symbols),
            PREFIX_LEN as u64,
            toc.symbols,
            version,
        )?;
        let table_bytes = bytes.slice_ref(tail);
        let table_at = table_at as u64;
        let table = OffsetTable::open(&table_bytes, table_at, version, postings_end, sampling)?;
        Ok(Self {
            bytes,
            version,
            toc,
            symbols,
            table,
            table_at,
        })
    }

    /// Checks the checksums of both sections and the order of the symbols. Reads all bytes.
    pub fn verify(&self) -> Result<()> {
        let section = |at: u64| {
            let bytes = usize::try_from(at).ok().and_then(|at| self.bytes.get(at..));
            Section::cut(bytes.unwrap_or_default(), at)?.verify()
        };
        section(PREFIX_LEN as u64)?;
        section(self.table_at)?;
        self.symbols.verify_order()
    }

    /// Version of the index that this is the header of.
    #[must_use]
    pub fn index_version(&self) -> IndexVersion {
        self.version
    }

    /// Table of contents of the index that this is the header of.
    #[must_use]
    pub fn index_toc(&self) -> &Toc {
        &self.toc
    }

    /// Length in bytes of the index that this is the header of.
    #[must_use]
    pub fn index_len(&self) -> u64 {
        let tail = self.bytes.len() as u64 - self.table_at - TOC_LEN as u64;
        self.toc.postings_table + tail
    }

    /// The symbol table.
    #[inline]
    #[must_use]
    pub fn symbols(&self) -> &Symbols {
        &self.symbols
    }

    /// The string of a symbol reference in a series entry.
    #[inline]
    pub fn symbol(&self, symbol: u32) -> Result<&[u8]> {
        self.symbols.get(symbol)
    }

    /// The string at a place that [`Symbols::locate`] found.
    #[inline]
    #[must_use]
    pub fn symbol_at(&self, span: SymbolSpan) -> &[u8] {
        self.symbols.at(span)
    }

    /// The symbol reference of a string, if the index has it.
    #[must_use]
    pub fn lookup_symbol(&self, string: &str) -> Option<u32> {
        self.symbols.lookup(string.as_bytes())
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

    /// The values of a label name that start with `prefix` (all if `None`), in order, each with the
    /// range of its postings list. Costs what it yields.
    #[must_use]
    pub fn label_values_with_ranges<'a>(
        &'a self,
        name: &str,
        prefix: Option<&str>,
    ) -> LabelValuesWithRanges<'a> {
        self.table
            .label_values_with_ranges(name, prefix.unwrap_or_default())
    }

    /// Where in the index the postings list of (name, value) lies; `None` if there is none.
    pub fn postings_range(&self, name: &str, value: &str) -> Result<Option<PostingsRange>> {
        self.table.range(name, value)
    }

    /// As [`Self::postings_range`] for many values, which must be sorted; answers in their order.
    pub fn postings_ranges<S: AsRef<str>>(
        &self,
        name: &str,
        sorted_values: &[S],
    ) -> Result<Vec<Option<PostingsRange>>> {
        self.table.ranges(name, sorted_values)
    }

    /// Where in the index the list of all series lies.
    pub fn all_postings_range(&self) -> Result<Option<PostingsRange>> {
        self.table.range("", "")
    }

    /// Heap bytes that are resident besides the mapped ones.
    #[must_use]
    pub fn resident_bytes(&self) -> usize {
        size_of::<Self>() + self.symbols.resident_bytes() + self.table.resident_bytes()
    }
}

/// Position of the postings offset table and of the header's own table of contents.
fn parse_toc(bytes: &[u8]) -> Result<(usize, usize)> {
    let end = bytes.len().saturating_sub(TOC_LEN);
    let mut cursor = Cursor::new(bytes.get(end..).unwrap_or_default(), end as u64);
    let expected = "a table of contents of 20 bytes";
    let mut covered = cursor;
    let covered = covered.take(TOC_LEN - 4, expected)?;
    let symbols = cursor.be64(expected)?;
    let table = cursor.be64(expected)?;
    if cursor.be32(expected)? != crc32c(covered) {
        return Err(Error::corrupt(
            end as u64,
            "a table of contents that matches its checksum",
        ));
    }
    match usize::try_from(table) {
        Ok(at) if symbols == PREFIX_LEN as u64 && (PREFIX_LEN..=end).contains(&at) => Ok((at, end)),
        _ => Err(Error::corrupt(
            end as u64,
            "sections in order and within the index-header",
        )),
    }
}

/// The table of contents of the index counts offsets in the index; here it ends at `end`.
fn relocate(error: Error, end: u64) -> Error {
    match error {
        Error::Corrupt { expected, .. } => {
            Error::corrupt(end.saturating_sub(Toc::LEN as u64), expected)
        }
        other => other,
    }
}
