//! What follows the series: postings lists, their offset table, the table of contents.

use super::SymbolTable;
use super::accumulator::Lists;
use crate::cursor::crc32c;
use crate::varint::{put_string, put_uvarint};
use crate::{Error, Result, Toc};

/// Size in bytes from which a piece is handed out.
const PIECE: usize = 1 << 20;

/// The rest of an index in pieces of about a MiB; longer only where one postings list is. Ends after
/// an error.
#[derive(Debug)]
pub struct IndexTail {
    out: Vec<u8>,
    /// Length of the index up to the end of `out`.
    len: u64,
    toc: Toc,
    symbols: SymbolTable,
    lists: Lists,
    /// The list that is being written.
    references: Vec<u32>,
    table: OffsetTable,
    state: State,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Lists,
    /// The entries of the offset table, from this one on.
    Table(usize),
    Done,
}

/// The postings offset table. Its length stands in front of it and is known only behind the last
/// list; till then an entry is kept as numbers, not as strings, of which there may be millions.
#[derive(Debug)]
struct OffsetTable {
    /// Label, none for that of all series, and the offset of its list in the index.
    entries: Vec<(Option<(u32, u32)>, u64)>,
    /// Bytes that the entries will take.
    len: u64,
    crc: crc_fast::Digest,
}

impl IndexTail {
    pub(super) fn new(
        out: Vec<u8>,
        len: u64,
        toc: Toc,
        symbols: SymbolTable,
        lists: Lists,
    ) -> Self {
        Self {
            out,
            len,
            toc,
            symbols,
            lists,
            references: Vec::new(),
            table: OffsetTable {
                entries: Vec::new(),
                len: 0,
                crc: crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi),
            },
            state: State::Lists,
        }
    }

    /// All pieces as one.
    pub fn into_bytes(self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for piece in self {
            bytes.append(&mut piece?);
        }
        Ok(bytes)
    }

    fn write_list(&mut self, label: Option<(u32, u32)>) -> Result<()> {
        let (name, value) = strings(&self.symbols, label);
        let text = |string: &[u8]| uvarint_len(string.len() as u64) + string.len() as u64;
        self.table.len += 1 + text(name) + text(value) + uvarint_len(self.len);
        self.table.entries.push((label, self.len));

        let too_large = Error::TooLarge {
            what: "a postings list",
            limit: u64::from(u32::MAX),
        };
        let count = u32::try_from(self.references.len()).ok();
        let content_len = count.and_then(|count| count.checked_mul(4)?.checked_add(4));
        let (Some(count), Some(content_len)) = (count, content_len) else {
            return Err(too_large);
        };
        self.out.extend(content_len.to_be_bytes());
        let content = self.out.len();
        self.out.extend(count.to_be_bytes());
        self.out
            .extend(self.references.iter().flat_map(|r| r.to_be_bytes()));
        let crc = crc32c(self.out.get(content..).unwrap_or_default());
        self.out.extend(crc.to_be_bytes());
        self.len += (self.out.len() - content) as u64 + 4;
        Ok(())
    }

    /// Writes what stands in front of the entries of the offset table.
    fn begin_table(&mut self) -> Result<()> {
        self.toc.label_indices_table = self.len;
        self.toc.postings_table = self.len;
        let too_large = || Error::TooLarge {
            what: "the postings offset table",
            limit: u64::from(u32::MAX),
        };
        let content_len = u32::try_from(self.table.len + 4).map_err(|_| too_large())?;
        let count = u32::try_from(self.table.entries.len()).map_err(|_| too_large())?;
        self.out.extend(content_len.to_be_bytes());
        self.out.extend(count.to_be_bytes());
        self.table.crc.update(&count.to_be_bytes());
        Ok(())
    }

    /// Writes about a piece of entries from `first` on; behind the last one all that follows.
    fn write_entries(&mut self, first: usize) -> State {
        let OffsetTable { entries, crc, .. } = &mut self.table;
        let (start, mut at) = (self.out.len(), first);
        while let Some((label, offset)) = entries.get(at)
            && self.out.len() < PIECE
        {
            let (name, value) = strings(&self.symbols, *label);
            put_uvarint(&mut self.out, 2);
            put_string(&mut self.out, name);
            put_string(&mut self.out, value);
            put_uvarint(&mut self.out, *offset);
            at += 1;
        }
        crc.update(self.out.get(start..).unwrap_or_default());
        if at < entries.len() {
            return State::Table(at);
        }
        // A CRC-32 has no higher bits.
        let crc = u32::try_from(crc.finalize()).unwrap_or_default();
        self.out.extend(crc.to_be_bytes());
        self.toc.write(&mut self.out);
        State::Done
    }

    /// Writes some more.
    fn step(&mut self) -> Result<State> {
        match self.state {
            State::Lists => match self.lists.next(&mut self.references)? {
                Some(label) => self.write_list(label).map(|()| State::Lists),
                None => self.begin_table().map(|()| State::Table(0)),
            },
            State::Table(first) => Ok(self.write_entries(first)),
            State::Done => Ok(State::Done),
        }
    }
}

/// Name and value of a list's label; both empty for the list of all series.
fn strings(symbols: &SymbolTable, label: Option<(u32, u32)>) -> (&[u8], &[u8]) {
    label.map_or((&[], &[]), |(name, value)| {
        (symbols.get(name), symbols.get(value))
    })
}

/// Bytes that a uvarint takes.
fn uvarint_len(value: u64) -> u64 {
    u64::from(64 - (value | 1).leading_zeros()).div_ceil(7)
}

impl Iterator for IndexTail {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Done {
            return None;
        }
        while self.out.len() < PIECE && self.state != State::Done {
            match self.step() {
                Ok(state) => self.state = state,
                Err(error) => {
                    self.state = State::Done;
                    return Some(Err(error));
                }
            }
        }
        Some(Ok(std::mem::take(&mut self.out)))
    }
}
