//! The symbol table: every string of an index, once, in byte order.
//!
//! Only every 32nd offset is resident (an eighth of a byte for each symbol); a lookup walks at most
//! 31 entries of the mapped bytes. A caller that looks up much keeps [`SymbolSpan`]s, which are
//! 8 bytes and read in constant time.

use bytes::Bytes;

use crate::cursor::{Cursor, Section};
use crate::varint::{read_string, read_uvarint};
use crate::{Error, IndexVersion, Result};

const SAMPLING: usize = 32;

/// A view of the symbol table.
#[derive(Debug, Clone)]
pub struct Symbols {
    /// The strings, each with its length in front.
    strings: Bytes,
    /// Offset in `strings` of every 32nd.
    samples: Box<[u32]>,
    count: u32,
    /// In version 1 a symbol is the offset in the index; this is the offset of `strings`.
    v1_base: Option<u64>,
    /// Offset of `strings` in the file that is read, for errors.
    base: u64,
}

/// Where a string lies in the symbol table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SymbolSpan {
    offset: u32,
    len: u32,
}

/// All symbols in order: reference and bytes.
#[derive(Debug, Clone)]
pub struct SymbolsIter<'a> {
    symbols: &'a Symbols,
    rest: &'a [u8],
    ordinal: u32,
}

impl Symbols {
    /// Reads the section `len | count | strings | crc` at the start of `bytes`, which lie at `base`
    /// in the file read and at `index_base` in the index. Checks structure, not the checksum.
    pub(crate) fn open(
        bytes: &Bytes,
        base: u64,
        index_base: u64,
        version: IndexVersion,
    ) -> Result<Self> {
        let section = Section::cut(bytes, base)?;
        let mut cursor = Cursor::new(section.content, section.base);
        let count = cursor.be32("the number of symbols")?;
        let strings = bytes.slice_ref(cursor.rest());
        let base = cursor.offset();
        // Every string takes a byte at least, so what is allocated is bounded by what is there.
        if count as usize > strings.len() {
            return Err(cursor.fail("as many symbols as their number says"));
        }
        let mut samples = Vec::with_capacity((count as usize).div_ceil(SAMPLING));
        for ordinal in 0..count as usize {
            if ordinal % SAMPLING == 0 {
                let at = strings.len() - cursor.rest().len();
                samples.push(u32::try_from(at).map_err(|_| cursor.fail("a 32-bit offset"))?);
            }
            cursor.string("a symbol")?;
        }
        let v1_base = (version == IndexVersion::V1).then_some(index_base + 8);
        Ok(Self {
            strings,
            samples: samples.into(),
            count,
            v1_base,
            base,
        })
    }

    /// Number of symbols.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The string of a symbol reference as it stands in a series entry.
    #[inline]
    pub fn get(&self, symbol: u32) -> Result<&[u8]> {
        self.locate(symbol).map(|span| self.at(span))
    }

    /// As [`Self::get`], for a string that must be UTF-8.
    #[inline]
    pub fn get_str(&self, symbol: u32) -> Result<&str> {
        let span = self.locate(symbol)?;
        std::str::from_utf8(self.at(span))
            .map_err(|_| Error::corrupt(self.base + u64::from(span.offset), "a symbol in UTF-8"))
    }

    /// Where the string of a symbol reference lies.
    #[inline]
    pub fn locate(&self, symbol: u32) -> Result<SymbolSpan> {
        let unknown = || Error::corrupt(self.base, "a symbol reference within the symbol table");
        let (at, skip) = match self.v1_base {
            None if symbol < self.count => {
                let sample = self
                    .samples
                    .get(symbol as usize / SAMPLING)
                    .ok_or_else(unknown)?;
                (*sample as usize, symbol as usize % SAMPLING)
            }
            None => return Err(unknown()),
            Some(base) => {
                let at = u64::from(symbol).checked_sub(base).ok_or_else(unknown)?;
                (usize::try_from(at).map_err(|_| unknown())?, 0)
            }
        };
        let mut rest = self.strings.get(at..).ok_or_else(unknown)?;
        for _ in 0..skip {
            read_string(&mut rest).ok_or_else(unknown)?;
        }
        let len = read_uvarint(&mut rest).ok_or_else(unknown)?;
        if len > rest.len() as u64 {
            return Err(unknown());
        }
        let offset = u32::try_from(self.strings.len() - rest.len()).map_err(|_| unknown())?;
        Ok(SymbolSpan {
            offset,
            len: u32::try_from(len).map_err(|_| unknown())?,
        })
    }

    /// The string at `span`, which came from [`Self::locate`] of the same table; empty for a span
    /// that does not lie in it.
    #[inline]
    #[must_use]
    pub fn at(&self, span: SymbolSpan) -> &[u8] {
        let start = span.offset as usize;
        self.strings
            .get(start..start + span.len as usize)
            .unwrap_or_default()
    }

    /// The reference of a string, if the table has it.
    #[must_use]
    pub fn lookup(&self, string: &[u8]) -> Option<u32> {
        let sampled = |at: u32| read_string(&mut self.strings.get(at as usize..)?);
        let after = self
            .samples
            .partition_point(|&at| sampled(at).is_some_and(|s| s <= string));
        let block = after.checked_sub(1)?;
        let mut rest = self.strings.get(*self.samples.get(block)? as usize..)?;
        for ordinal in block * SAMPLING..((block + 1) * SAMPLING).min(self.len()) {
            let at = self.strings.len() - rest.len();
            if read_string(&mut rest)? == string {
                return match self.v1_base {
                    None => u32::try_from(ordinal).ok(),
                    Some(base) => u32::try_from(base + at as u64).ok(),
                };
            }
        }
        None
    }

    /// All symbols in order.
    #[must_use]
    pub fn iter(&self) -> SymbolsIter<'_> {
        SymbolsIter {
            symbols: self,
            rest: &self.strings,
            ordinal: 0,
        }
    }

    /// Checks that the strings are strictly increasing, which [`Self::lookup`] relies on.
    pub(crate) fn verify_order(&self) -> Result<()> {
        if self
            .iter()
            .zip(self.iter().skip(1))
            .all(|((_, a), (_, b))| a < b)
        {
            return Ok(());
        }
        Err(Error::corrupt(self.base, "symbols in increasing order"))
    }

    /// Heap bytes that are resident besides the mapped ones.
    pub(crate) fn resident_bytes(&self) -> usize {
        size_of_val(&*self.samples)
    }
}

impl<'a> IntoIterator for &'a Symbols {
    type Item = (u32, &'a [u8]);
    type IntoIter = SymbolsIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a> Iterator for SymbolsIter<'a> {
    type Item = (u32, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.ordinal == self.symbols.count {
            return None;
        }
        let at = self.symbols.strings.len() - self.rest.len();
        let string = read_string(&mut self.rest)?;
        let reference = match self.symbols.v1_base {
            None => self.ordinal,
            Some(base) => u32::try_from(base + at as u64).ok()?,
        };
        self.ordinal += 1;
        Some((reference, string))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.symbols.count - self.ordinal) as usize;
        (left, Some(left))
    }
}
