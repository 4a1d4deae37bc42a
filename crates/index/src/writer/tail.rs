//! What follows the series: postings lists, their offset table, the table of contents.

use super::SymbolTable;
use super::accumulator::Lists;
use crate::cursor::crc32c;
use crate::varint::{put_string, put_uvarint};
use crate::{Error, Result, Toc};

/// Size in bytes from which a piece is handed out.
const PIECE: usize = 1 << 20;

/// The rest of an index in pieces of about a MiB; longer only where one postings list or the offset
/// table is. Ends after an error.
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
    /// Entries of the postings offset table so far, and their number.
    table: Vec<u8>,
    table_count: u32,
    done: bool,
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
            table: Vec::new(),
            table_count: 0,
            done: false,
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
        let (name, value) = match label {
            None => (&[][..], &[][..]),
            Some((name, value)) => (self.symbols.get(name), self.symbols.get(value)),
        };
        put_uvarint(&mut self.table, 2);
        put_string(&mut self.table, name);
        put_string(&mut self.table, value);
        put_uvarint(&mut self.table, self.len);
        self.table_count += 1;

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

    fn write_tables(&mut self) -> Result<()> {
        self.toc.label_indices_table = self.len;
        self.toc.postings_table = self.len;
        let too_large = Error::TooLarge {
            what: "the postings offset table",
            limit: u64::from(u32::MAX),
        };
        let content_len = u32::try_from(self.table.len() + 4).map_err(|_| too_large)?;
        self.out.extend(content_len.to_be_bytes());
        let content = self.out.len();
        self.out.extend(self.table_count.to_be_bytes());
        self.out.append(&mut self.table);
        let crc = crc32c(self.out.get(content..).unwrap_or_default());
        self.out.extend(crc.to_be_bytes());
        self.toc.write(&mut self.out);
        Ok(())
    }
}

impl Iterator for IndexTail {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        while self.out.len() < PIECE {
            let written = match self.lists.next(&mut self.references) {
                Ok(Some(label)) => self.write_list(label),
                Ok(None) => {
                    self.done = true;
                    self.write_tables()
                }
                Err(error) => Err(error),
            };
            if let Err(error) = written {
                self.done = true;
                return Some(Err(error));
            }
            if self.done {
                break;
            }
        }
        Some(Ok(std::mem::take(&mut self.out)))
    }
}
