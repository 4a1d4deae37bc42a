//! Writes rows of numbers as the labels that leave.

use std::sync::Arc;

use rutile_storeapi::{SeriesWriter, encode_label};

use super::symbols::{Symbols, common_start};

/// Encoded labels are remembered; when they take this many bytes, all are forgotten. Metric name,
/// job, namespace and the like repeat from series to series.
const ARENA_BYTES: usize = 256 * 1024;
/// The most labels that are remembered.
const MAX_PAIRS: usize = 8192;

#[derive(Debug, Clone, Copy, Default)]
struct Pair {
    name: u32,
    value: u32,
    start: u32,
    len: u32,
}

/// Encodes labels, most of them by copying what was encoded before: those that a series has in common
/// with the one before it, and those that were met not long ago.
#[derive(Debug)]
pub(crate) struct LabelWriter {
    symbols: Arc<Symbols>,
    last: Last,
    /// Grows with the labels that are met, so that a small answer costs little.
    pairs: Vec<Pair>,
    arena: Vec<u8>,
    met: usize,
}

/// The labels of the last series.
#[derive(Debug, Default)]
struct Last {
    row: Vec<u32>,
    encoded: Vec<u8>,
    /// Where each label ends in `encoded`.
    ends: Vec<u32>,
}

impl Last {
    /// Keeps the labels that stand at the start of `row` too, and returns those of `row` that follow.
    fn keep<'a>(&mut self, row: &'a [u32]) -> &'a [[u32; 2]] {
        let labels = row.as_chunks().0;
        let alike = common_start(&self.row, row) / 2;
        self.row.truncate(2 * alike);
        self.row.extend_from_slice(&row[2 * alike..]);
        self.ends.truncate(alike);
        let end = self.ends.last().copied().unwrap_or_default();
        self.encoded.truncate(end as usize);
        &labels[alike..]
    }

    fn push(&mut self, encoded: &[u8]) {
        self.encoded.extend_from_slice(encoded);
        self.ends.push(self.encoded.len() as u32);
    }
}

impl LabelWriter {
    pub(crate) fn new(symbols: Arc<Symbols>) -> Self {
        // No remembered label starts at 0.
        Self {
            symbols,
            last: Last::default(),
            pairs: vec![Pair::default(); 64],
            arena: vec![0],
            met: 0,
        }
    }

    /// Writes the labels of a series.
    pub(crate) fn write(&mut self, row: &[u32], series: &mut SeriesWriter<'_>) {
        for [name, value] in self.last.keep(row) {
            let slot = value.wrapping_add(name.wrapping_mul(0x9E37_79B1)) as usize;
            let slot = slot & (self.pairs.len() - 1);
            let mut pair = self.pairs[slot];
            if pair.name != *name || pair.value != *value || pair.start == 0 {
                pair = self.remember(slot, *name, *value);
            }
            let start = pair.start as usize;
            self.last
                .push(&self.arena[start..start + pair.len as usize]);
        }
        series.encoded_labels(&self.last.encoded);
    }

    fn remember(&mut self, slot: usize, name: u32, value: u32) -> Pair {
        if self.arena.len() > ARENA_BYTES {
            self.arena.truncate(1);
            self.pairs.fill(Pair::default());
        }
        let start = self.arena.len();
        let (name_text, value_text) = (self.symbols.string(name), self.symbols.string(value));
        encode_label(&mut self.arena, name_text, value_text);
        let len = (self.arena.len() - start) as u32;
        let pair = Pair {
            name,
            value,
            start: start as u32,
            len,
        };
        self.pairs[slot] = pair;
        self.met += 1;
        if self.met > 2 * self.pairs.len() && self.pairs.len() < MAX_PAIRS {
            self.pairs = vec![Pair::default(); self.pairs.len() * 4];
        }
        pair
    }
}
