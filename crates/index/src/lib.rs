//! The index of a block, in all its shapes: the index file (versions 1 to 3), the index-header
//! that a store gateway keeps of it, postings lists and their algebra, tombstones.
//!
//! Everything here is pure: bytes in, bytes out, no I/O, no clock. Sources are [`bytes::Bytes`], so
//! a mapped file is read in place and slices share its memory. Promises: no input makes a function
//! panic or allocate beyond a small multiple of its own length; damage is [`Error::Corrupt`] with
//! the byte offset, to which the caller adds the name of the object.
//!
//! The formats are described in `docs/formats/index.md` and `docs/formats/index-header.md`.

#![warn(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

mod cursor;
mod error;
mod header;
mod offset_table;
mod postings;
mod reader;
mod series;
mod symbols;
mod toc;
mod tombstones;
pub mod varint;
mod version;
mod writer;

pub use error::{Error, Result};
pub use header::{Header, HeaderPlan, HeaderSections, WHOLE_INDEX_LIMIT, build_header};
pub use offset_table::{
    DEFAULT_SAMPLING, LabelNames, LabelValues, LabelValuesWithRanges, PostingsRange,
};
pub use postings::{
    Postings, PostingsIter, PostingsList, SortedRefs, decode_cached, encode_cached, intersect,
    union, without,
};
pub use reader::{IndexReader, SeriesIter};
pub use series::{ChunkMeta, ChunkMetas, SeriesEntry, SeriesLabels, series_len_hint};
pub use symbols::{SymbolSpan, Symbols, SymbolsIter};
pub use toc::Toc;
pub use tombstones::{Tombstone, read_tombstones, write_tombstones};
pub use version::IndexVersion;
pub use writer::{IndexTail, IndexWriter, Spill};
