//! Reading back the postings of an index: every list against its checksum, and their sum.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _};
use rutile_index::varint;

use crate::digest;
use crate::error::{Error, Reason, Result};
use crate::input::{Input, windows};

/// Read at a time of the lists and of the offset table.
const WINDOW: u64 = 1 << 20;
/// Longest part of an offset table's entry besides its strings.
const REFERENCES: usize = 64 << 10;

/// What all lists hold.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Postings {
    /// Sum over all lists and references of [`digest::posting`], that of all series aside.
    pub(crate) sum: u64,
    /// References in the list of all series.
    pub(crate) all: u64,
}

/// Reads the lists and their table of an index that was just written: the lists lie in the order of
/// the table, one behind the other.
pub(crate) async fn read(input: &Arc<Input>, count: impl Fn(u64)) -> Result<Postings> {
    let toc = input.toc;
    let first = toc.postings.next_multiple_of(4);
    let mut lists = Section::new(input, first..toc.postings_table, &count);
    let end = input.index_len - rutile_index::Toc::LEN as u64;
    let mut table = Section::new(input, toc.postings_table..end, &count);
    let mut postings = Postings::default();
    table.need(8).await?;
    let content = u64::from(table.be32());
    let mut crc = new_crc();
    crc.update(table.peek(4));
    let entries = table.be32();
    for _ in 0..entries {
        let (name, value, offset) = entry(&mut table, &mut crc).await?;
        if offset != lists.offset() {
            return Err(lists.wrong("lists in the order of their table"));
        }
        list(&mut lists, name, value, &mut postings).await?;
    }
    table.need(4).await?;
    let stored = u64::from(table.be32());
    let whole = content + 8 == end - toc.postings_table;
    if !whole || crc.finalize() != stored || lists.offset() != toc.postings_table {
        return Err(table.wrong("a postings offset table that matches its checksum"));
    }
    Ok(postings)
}

/// One entry of the table: the hashes of name and value, and where the list is.
async fn entry<C: Fn(u64)>(
    table: &mut Section<'_, C>,
    crc: &mut crc_fast::Digest,
) -> Result<(Option<u32>, u32, u64)> {
    let mut need = 64;
    loop {
        table.fill(need).await?;
        let bytes = table.rest();
        let mut rest = bytes;
        let read = (|| {
            let keys = varint::read_uvarint(&mut rest)?;
            let name = varint::read_string(&mut rest)?;
            let value = varint::read_string(&mut rest)?;
            let offset = varint::read_uvarint(&mut rest)?;
            let hash = |string: &[u8]| crc_fast::crc32_iscsi(string);
            let name = (!name.is_empty()).then(|| hash(name));
            (keys == 2).then_some((name, hash(value), offset))
        })();
        if let Some(entry) = read {
            let len = bytes.len() - rest.len();
            crc.update(table.peek(len));
            table.skip(len);
            return Ok(entry);
        }
        if table.rest().len() < need {
            return Err(table.wrong("an entry of the postings offset table"));
        }
        need *= 2;
    }
}

async fn list<C: Fn(u64)>(
    lists: &mut Section<'_, C>,
    name: Option<u32>,
    value: u32,
    postings: &mut Postings,
) -> Result<()> {
    lists.need(8).await?;
    let content = lists.be32();
    let mut crc = new_crc();
    crc.update(lists.peek(4));
    let mut left = lists.be32() as usize;
    if u64::from(content) != 4 + 4 * left as u64 {
        return Err(lists.wrong("a list as long as its number of series"));
    }
    if name.is_none() {
        postings.all += left as u64;
    }
    while left > 0 {
        lists.need(4 * left.min(REFERENCES / 4)).await?;
        let now = left.min(lists.rest().len() / 4);
        let bytes = lists.peek(4 * now);
        crc.update(bytes);
        if let Some(name) = name {
            for reference in bytes.as_chunks::<4>().0 {
                let reference = u32::from_be_bytes(*reference);
                let posting = digest::posting(name, value, reference);
                postings.sum = postings.sum.wrapping_add(posting);
            }
        }
        lists.skip(4 * now);
        left -= now;
    }
    lists.need(4).await?;
    if u64::from(lists.be32()) != crc.finalize() {
        return Err(lists.wrong("a list that matches its checksum"));
    }
    Ok(())
}

fn new_crc() -> crc_fast::Digest {
    crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi)
}

/// A part of the index that is read from front to back.
struct Section<'a, C> {
    input: &'a Arc<Input>,
    windows: BoxStream<'static, Result<Bytes>>,
    buffer: Vec<u8>,
    at: usize,
    /// Offset in the index of the start of `buffer`.
    base: u64,
    count: &'a C,
}

impl<'a, C: Fn(u64)> Section<'a, C> {
    fn new(input: &'a Arc<Input>, range: std::ops::Range<u64>, count: &'a C) -> Self {
        let base = range.start;
        let key = input.index_key.clone();
        let windows = windows(Arc::clone(input), key, range, WINDOW, Reason::IndexCorrupt);
        Self {
            input,
            windows: windows.boxed(),
            buffer: Vec::new(),
            at: 0,
            base,
            count,
        }
    }

    fn offset(&self) -> u64 {
        self.base + self.at as u64
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get(self.at..).unwrap_or_default()
    }

    fn peek(&self, len: usize) -> &[u8] {
        self.rest().get(..len).unwrap_or_default()
    }

    fn skip(&mut self, len: usize) {
        self.at = (self.at + len).min(self.buffer.len());
    }

    /// Reads until `len` bytes are there, or the section ends.
    async fn fill(&mut self, len: usize) -> Result<()> {
        while self.buffer.len() - self.at < len {
            let Some(window) = self.windows.next().await.transpose()? else {
                return Ok(());
            };
            (self.count)(window.len() as u64);
            self.base += self.at as u64;
            self.buffer.drain(..self.at);
            self.at = 0;
            self.buffer.extend_from_slice(&window);
        }
        Ok(())
    }

    async fn need(&mut self, len: usize) -> Result<()> {
        self.fill(len).await?;
        match self.rest().len() < len {
            true => Err(self.wrong("more bytes")),
            false => Ok(()),
        }
    }

    /// The next number, which must have been needed.
    fn be32(&mut self) -> u32 {
        let number = self.rest().first_chunk().copied().unwrap_or_default();
        self.skip(4);
        u32::from_be_bytes(number)
    }

    fn wrong(&self, expected: &str) -> Error {
        let (key, at) = (&self.input.index_key, self.offset());
        let message = format!("{key}: damaged at byte {at}: expected {expected}");
        self.input.fault(Reason::IndexCorrupt, message)
    }
}
