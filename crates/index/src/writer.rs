//! Writing an index, version 2.
//!
//! The caller feeds symbols, then series, both in order, and takes the bytes away as they come; the
//! writer does no I/O and keeps no written byte. Memory: the symbol table until it is complete
//! (its length stands in front of it), then the postings, two or three bytes for each label of each
//! series, up to a bound if there is a [`Spill`] for the rest.

use crate::cursor::crc32c;
use crate::varint::{put_string, put_uvarint, put_varint};
use crate::version::INDEX_MAGIC;
use crate::{ChunkMeta, Error, IndexVersion, Result, Toc};

mod accumulator;
mod tail;

pub use accumulator::Spill;
pub use tail::IndexTail;

/// The format cannot address series beyond 2^32 × 16 bytes.
const MAX_INDEX_LEN: u64 = 16 * (u32::MAX as u64);
const SERIES_ALIGN: u64 = 16;

/// A writer that turns symbols and series into the bytes of an index.
///
/// ```text
/// add_symbol … add_symbol  add_series … add_series  finish → bytes, bytes, …
/// ```
/// [`Self::take`] hands out what has been written so far.
#[derive(Debug)]
pub struct IndexWriter {
    /// Written, not yet taken.
    out: Vec<u8>,
    /// Length of the index up to the end of `out`.
    len: u64,
    toc: Toc,
    symbols: SymbolTable,
    postings: accumulator::Postings,
    /// Labels of the last series, to check the order; empty before the first.
    last_labels: Vec<(u32, u32)>,
    last_chunk_ref: u64,
    /// Reused for the content of a series entry.
    content: Vec<u8>,
}

/// The symbol table: collected until the first series, then only what the postings need of it.
#[derive(Debug, Default)]
struct SymbolTable {
    strings: Vec<u8>,
    /// Offset in `strings` of each.
    offsets: Vec<u32>,
    done: bool,
}

impl IndexWriter {
    /// Starts an index.
    #[must_use]
    pub fn new() -> Self {
        let mut out = INDEX_MAGIC.to_be_bytes().to_vec();
        out.push(IndexVersion::V2.byte());
        Self {
            len: out.len() as u64,
            out,
            toc: Toc::default(),
            symbols: SymbolTable::default(),
            postings: accumulator::Postings::default(),
            last_labels: Vec::new(),
            last_chunk_ref: 0,
            content: Vec::new(),
        }
    }

    /// As [`Self::new`]; postings beyond `bound` bytes are kept by `spill`. Besides, up to 16 MiB
    /// are not compressed yet.
    #[must_use]
    pub fn with_spill(bound: usize, spill: Box<dyn Spill>) -> Self {
        Self {
            postings: accumulator::Postings::new(bound, Some(spill)),
            ..Self::new()
        }
    }

    /// Adds the next symbol, greater than the last, and returns its reference for
    /// [`Self::add_series`].
    pub fn add_symbol(&mut self, symbol: &[u8]) -> Result<u32> {
        self.symbols.add(symbol)
    }

    /// Adds the next series and returns its reference.
    ///
    /// Labels are (name, value) symbol references, names increasing; the labels of each series
    /// must be greater than those of the last. Chunk references must not decrease over all series;
    /// within a series the times must increase without overlap.
    pub fn add_series(&mut self, labels: &[(u32, u32)], chunks: &[ChunkMeta]) -> Result<u32> {
        self.finish_symbols()?;
        self.check_labels(labels)?;
        self.check_chunks(chunks)?;
        self.pad_to(SERIES_ALIGN);
        let reference = u32::try_from(self.len / SERIES_ALIGN).map_err(|_| Error::TooLarge {
            what: "the index",
            limit: MAX_INDEX_LEN,
        })?;
        self.encode_content(labels, chunks);
        let before = self.out.len();
        put_uvarint(&mut self.out, self.content.len() as u64);
        self.out.extend_from_slice(&self.content);
        self.out.extend(crc32c(&self.content).to_be_bytes());
        self.len += (self.out.len() - before) as u64;
        self.postings.add(labels, reference)?;
        self.last_labels.clear();
        self.last_labels.extend_from_slice(labels);
        self.last_chunk_ref = chunks
            .last()
            .map_or(self.last_chunk_ref, |chunk| chunk.chunk_ref);
        Ok(reference)
    }

    /// Bytes written and not taken yet.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.out.len()
    }

    /// Hands out the bytes written since the last call.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Ends the series. What is pending, the postings and the tables come out of the iterator in
    /// pieces of about a MiB.
    pub fn finish(mut self) -> Result<IndexTail> {
        self.finish_symbols()?;
        self.toc.label_indices = self.len;
        self.toc.postings = self.len;
        self.pad_to(4);
        Ok(IndexTail::new(
            self.out,
            self.len,
            self.toc,
            self.symbols,
            self.postings.finish()?,
        ))
    }

    /// Writes the symbol table, once.
    fn finish_symbols(&mut self) -> Result<()> {
        if self.symbols.done {
            return Ok(());
        }
        self.symbols.done = true;
        self.toc.symbols = self.len;
        let before = self.out.len();
        let content_len = self.symbols.strings.len() + 4;
        let too_large = Error::TooLarge {
            what: "the symbol table",
            limit: u64::from(u32::MAX),
        };
        let content_len = u32::try_from(content_len).map_err(|_| too_large)?;
        self.out.extend(content_len.to_be_bytes());
        self.out.extend(self.symbols.count().to_be_bytes());
        self.out.extend_from_slice(&self.symbols.strings);
        let crc = crc32c(self.out.get(before + 4..).unwrap_or_default());
        self.out.extend(crc.to_be_bytes());
        self.len += (self.out.len() - before) as u64;
        self.toc.series = self.len;
        Ok(())
    }

    fn check_labels(&self, labels: &[(u32, u32)]) -> Result<()> {
        if labels <= self.last_labels.as_slice() {
            return Err(invalid(
                "series are not in the order of their labels, or one is twice",
            ));
        }
        if !labels.is_sorted_by(|(a, _), (b, _)| a < b) {
            return Err(invalid(
                "the labels of a series are not in the order of their names",
            ));
        }
        let count = self.symbols.count();
        if labels
            .iter()
            .any(|&(name, value)| name >= count || value >= count)
        {
            return Err(invalid("a label of a series is not in the symbol table"));
        }
        Ok(())
    }

    fn check_chunks(&self, chunks: &[ChunkMeta]) -> Result<()> {
        let first_ref = chunks
            .first()
            .map_or(self.last_chunk_ref, |chunk| chunk.chunk_ref);
        let refs_in_order = first_ref >= self.last_chunk_ref
            && chunks.is_sorted_by(|a, b| a.chunk_ref <= b.chunk_ref);
        if !refs_in_order {
            return Err(invalid("chunk references decrease"));
        }
        let times_in_order = chunks.iter().all(|chunk| chunk.min_time <= chunk.max_time)
            && chunks.is_sorted_by(|a, b| a.max_time < b.min_time);
        if !times_in_order {
            return Err(invalid(
                "the chunks of a series overlap, or are not in order of time",
            ));
        }
        Ok(())
    }

    fn encode_content(&mut self, labels: &[(u32, u32)], chunks: &[ChunkMeta]) {
        let out = &mut self.content;
        out.clear();
        put_uvarint(out, labels.len() as u64);
        for &(name, value) in labels {
            put_uvarint(out, u64::from(name));
            put_uvarint(out, u64::from(value));
        }
        put_uvarint(out, chunks.len() as u64);
        let mut last: Option<&ChunkMeta> = None;
        for chunk in chunks {
            let span = chunk.max_time.wrapping_sub(chunk.min_time).cast_unsigned();
            match last {
                None => {
                    put_varint(out, chunk.min_time);
                    put_uvarint(out, span);
                    put_uvarint(out, chunk.chunk_ref);
                }
                Some(last) => {
                    let gap = chunk.min_time.wrapping_sub(last.max_time).cast_unsigned();
                    put_uvarint(out, gap);
                    put_uvarint(out, span);
                    put_varint(
                        out,
                        chunk.chunk_ref.wrapping_sub(last.chunk_ref).cast_signed(),
                    );
                }
            }
            last = Some(chunk);
        }
    }

    fn pad_to(&mut self, align: u64) {
        while !self.len.is_multiple_of(align) {
            self.out.push(0);
            self.len += 1;
        }
    }
}

impl Default for IndexWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl SymbolTable {
    fn add(&mut self, symbol: &[u8]) -> Result<u32> {
        if self.done {
            return Err(invalid("a symbol is added after the first series"));
        }
        let reference = self.count();
        if reference
            .checked_sub(1)
            .is_some_and(|last| self.get(last) >= symbol)
        {
            return Err(invalid("symbols are not in order, or one is twice"));
        }
        let too_large = || Error::TooLarge {
            what: "the symbol table",
            limit: u64::from(u32::MAX),
        };
        let offset = u32::try_from(self.strings.len()).map_err(|_| too_large())?;
        put_string(&mut self.strings, symbol);
        self.offsets.push(offset);
        Ok(reference)
    }

    #[allow(
        clippy::cast_possible_truncation,
        reason = "every symbol takes a byte of below 4 GiB"
    )]
    fn count(&self) -> u32 {
        self.offsets.len() as u32
    }

    fn get(&self, reference: u32) -> &[u8] {
        let at = self
            .offsets
            .get(reference as usize)
            .map_or(self.strings.len(), |&at| at as usize);
        let mut rest = self.strings.get(at..).unwrap_or_default();
        crate::varint::read_string(&mut rest).unwrap_or_default()
    }
}

#[cold]
fn invalid(message: &'static str) -> Error {
    Error::Invalid(message.into())
}

#[cfg(test)]
mod tests;
