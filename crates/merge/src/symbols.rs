//! The union of the inputs' symbol tables, and what each input's references become in it.
//!
//! All tables are in byte order, so the union is one pass over them, and the new references are in
//! the order of the old: rows of references compare as the labels do.

use std::cmp::Ordering;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _};
use rutile_index::{IndexVersion, IndexWriter, varint};
use rutile_runtime::{CpuPool, Reservation};

use crate::error::{Error, Reason, Result};
use crate::input::{Input, windows};
use crate::progress::Progress;

/// Read at a time of each table.
const WINDOW: u64 = 1 << 20;
/// Bytes of a table in front of its strings: its length and their number.
const HEAD: usize = 8;

/// A symbol of an input.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Symbol {
    /// Its reference in the output.
    pub(crate) output: u32,
    /// The checksum of its string, read from the input.
    pub(crate) hash: u32,
}

/// What the symbol references of one input mean.
#[derive(Debug, Default)]
pub(crate) struct SymbolMap {
    symbols: Vec<Symbol>,
    /// Of version 1: the byte offset in the index of each, which is its reference.
    offsets: Option<Vec<u32>>,
}

impl SymbolMap {
    #[inline]
    pub(crate) fn get(&self, reference: u32) -> Option<Symbol> {
        let ordinal = match &self.offsets {
            None => reference as usize,
            Some(offsets) => offsets.binary_search(&reference).ok()?,
        };
        self.symbols.get(ordinal).copied()
    }
}

/// Where the union of the tables goes.
pub(crate) trait SymbolSink: Send + 'static {
    /// Takes the next symbol in order and gives its reference; refuses what is not in order.
    fn add(&mut self, symbol: &[u8]) -> rutile_index::Result<u32>;
}

impl SymbolSink for IndexWriter {
    fn add(&mut self, symbol: &[u8]) -> rutile_index::Result<u32> {
        self.add_symbol(symbol)
    }
}

/// Reads all tables, puts their union into `sink`, and gives the map of each input.
///
/// `memory` grows by what the maps and the sink's strings take.
pub(crate) async fn unite<S: SymbolSink>(
    inputs: &[Arc<Input>],
    mut sink: S,
    pool: &CpuPool,
    memory: &mut Reservation,
    count: fn(&Progress, u64),
    progress: &Arc<Progress>,
) -> Result<(S, Vec<SymbolMap>)> {
    let mut streams: Vec<_> = inputs.iter().map(stream_of).collect();
    let mut tables: Vec<Table> = inputs.iter().map(Table::new).collect();
    loop {
        let (stopped, back, sink_back) = pool
            .run(move || {
                let stopped = step(&mut tables, &mut sink);
                (stopped, tables, sink)
            })
            .await;
        (tables, sink) = (back, sink_back);
        let Some(hungry) = stopped? else {
            break;
        };
        let (Some(stream), Some(table)) = (streams.get_mut(hungry), tables.get_mut(hungry)) else {
            break;
        };
        let Some(window) = stream.next().await.transpose()? else {
            return Err(table.corrupt("a symbol table as long as it says"));
        };
        count(progress, window.len() as u64);
        let grown = memory.grow(table.memory(&window));
        grown.map_err(|e| table.input.exhausted(e))?;
        table.feed(&window);
    }
    Ok((sink, tables.into_iter().map(|table| table.map).collect()))
}

fn stream_of(input: &Arc<Input>) -> BoxStream<'static, Result<Bytes>> {
    let range = input.toc.symbols..input.toc.series;
    let key = input.index_key.clone();
    windows(Arc::clone(input), key, range, WINDOW, Reason::IndexCorrupt).boxed()
}

/// One table as it is read.
struct Table {
    input: Arc<Input>,
    /// Read and not used yet from `at` on.
    buffer: Vec<u8>,
    at: usize,
    /// Offset in the index of the start of `buffer`.
    base: u64,
    /// Bytes of content that are not in `buffer` yet; `None` before the head was read.
    content_left: Option<u64>,
    symbols_left: u32,
    crc: crc_fast::Digest,
    /// The next symbol, within `buffer`.
    head: Option<(usize, usize)>,
    map: SymbolMap,
}

impl Table {
    fn new(input: &Arc<Input>) -> Self {
        let offsets = (input.version == IndexVersion::V1).then(Vec::new);
        Self {
            buffer: Vec::new(),
            at: 0,
            base: input.toc.symbols,
            content_left: None,
            symbols_left: 0,
            crc: crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi),
            head: None,
            map: SymbolMap {
                symbols: Vec::new(),
                offsets,
            },
            input: Arc::clone(input),
        }
    }

    /// An upper bound of what a window costs to keep: the map, and the strings in the sink.
    fn memory(&self, window: &Bytes) -> u64 {
        let each = size_of::<Symbol>() as u64 + 4;
        window.len() as u64 + u64::from(self.symbols_left).min(window.len() as u64) / 8 * each
    }

    fn feed(&mut self, window: &[u8]) {
        let done = self.head.map_or(self.at, |(start, _)| start);
        self.base += done as u64;
        self.buffer.drain(..done);
        self.at -= done;
        self.head = self.head.map(|(start, end)| (start - done, end - done));
        self.buffer.extend_from_slice(window);
        self.check(window);
    }

    /// Takes what of the window is content into the checksum.
    fn check(&mut self, window: &[u8]) {
        if let Some(left) = &mut self.content_left {
            let len = usize::try_from(*left).map_or(window.len(), |left| left.min(window.len()));
            self.crc.update(window.get(..len).unwrap_or_default());
            *left -= len as u64;
        }
    }

    /// Makes `head` the next symbol. `Ok(false)`: more bytes are needed. At the end of the table
    /// `head` stays empty.
    fn advance(&mut self) -> Result<bool> {
        if self.head.is_some() {
            return Ok(true);
        }
        if self.content_left.is_none() && !self.read_head()? {
            return Ok(false);
        }
        let rest = self.buffer.get(self.at..).unwrap_or_default();
        if self.symbols_left == 0 {
            return self.read_crc();
        }
        let mut ahead = rest;
        let Some(len) = varint::read_uvarint(&mut ahead) else {
            return match rest.len() < varint::MAX_LEN && self.content_left != Some(0) {
                true => Ok(false),
                false => Err(self.corrupt("the length of a symbol")),
            };
        };
        if (ahead.len() as u64) < len {
            let coming = self.content_left.unwrap_or_default();
            return match len - ahead.len() as u64 <= coming {
                true => Ok(false),
                false => Err(self.corrupt("a symbol within the symbol table")),
            };
        }
        let start = self.buffer.len() - ahead.len();
        if let Some(offsets) = &mut self.map.offsets {
            let offset = u32::try_from(self.base + self.at as u64);
            offsets.push(offset.unwrap_or(u32::MAX));
        }
        self.at = start + usize::try_from(len).unwrap_or_default();
        self.head = Some((start, self.at));
        self.symbols_left -= 1;
        Ok(true)
    }

    fn read_head(&mut self) -> Result<bool> {
        let Some(&[a, b, c, d, e, f, g, h]) = self.buffer.first_chunk::<HEAD>() else {
            return Ok(false);
        };
        let content = u64::from(u32::from_be_bytes([a, b, c, d]));
        self.symbols_left = u32::from_be_bytes([e, f, g, h]);
        let room = self.input.toc.series - self.input.toc.symbols;
        if content < 4 || content + 8 > room || u64::from(self.symbols_left) > content {
            return Err(self.corrupt("a symbol table that lies before the series"));
        }
        self.content_left = Some(content);
        self.at = HEAD;
        let window = self.buffer.split_off(4);
        self.check(&window);
        self.buffer.extend_from_slice(&window);
        Ok(true)
    }

    fn read_crc(&mut self) -> Result<bool> {
        if self.content_left == Some(u64::MAX) {
            return Ok(true);
        }
        let rest = self.buffer.get(self.at..).unwrap_or_default();
        let Some(stored) = rest.first_chunk::<4>() else {
            return Ok(false);
        };
        let computed = self.crc.clone().finalize();
        if self.content_left != Some(0) || computed != u64::from(u32::from_be_bytes(*stored)) {
            return Err(self.corrupt("a symbol table that matches its checksum"));
        }
        // Checked: nothing is left to do.
        self.content_left = Some(u64::MAX);
        Ok(true)
    }

    fn symbol(&self) -> Option<&[u8]> {
        let (start, end) = self.head?;
        self.buffer.get(start..end)
    }

    fn corrupt(&self, expected: &str) -> Error {
        let (key, at) = (&self.input.index_key, self.base + self.at as u64);
        let message = format!("{key}: damaged at byte {at}: expected {expected}");
        self.input.fault(Reason::IndexCorrupt, message)
    }
}

/// Unites until all tables end (`None`) or one needs more bytes.
fn step<S: SymbolSink>(tables: &mut [Table], sink: &mut S) -> Result<Option<usize>> {
    let mut equal: Vec<usize> = Vec::with_capacity(tables.len());
    loop {
        for (i, table) in tables.iter_mut().enumerate() {
            if !table.advance()? {
                return Ok(Some(i));
            }
        }
        equal.clear();
        let mut least: Option<&[u8]> = None;
        for (i, table) in tables.iter().enumerate() {
            let Some(symbol) = table.symbol() else {
                continue;
            };
            match least.map_or(Ordering::Less, |least| symbol.cmp(least)) {
                Ordering::Less => {
                    equal.clear();
                    equal.push(i);
                    least = Some(symbol);
                }
                Ordering::Equal => equal.push(i),
                Ordering::Greater => {}
            }
        }
        let (Some(symbol), Some(&first)) = (least, equal.first()) else {
            return Ok(None);
        };
        let added = sink.add(symbol);
        let hash = crc_fast::crc32_iscsi(symbol);
        let output = added.map_err(|e| match e {
            rutile_index::Error::TooLarge { .. } => tables
                .get(first)
                .map_or_else(|| unreachable!("it was just seen"), |t| t.too_large(&e)),
            _ => tables.get(first).map_or_else(
                || unreachable!("it was just seen"),
                |t| t.corrupt("symbols in increasing order"),
            ),
        })?;
        for &i in &equal {
            if let Some(table) = tables.get_mut(i) {
                table.map.symbols.push(Symbol { output, hash });
                table.head = None;
            }
        }
    }
}

impl Table {
    fn too_large(&self, error: &rutile_index::Error) -> Error {
        self.input.fault(Reason::IndexTooLarge, error.to_string())
    }
}
