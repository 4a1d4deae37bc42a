//! The series of the output, in order, and its symbols.

use std::collections::HashMap;

use rutile_block::BlockId;
use rutile_index::IndexWriter;
use rutile_model::ErrorKind;

use crate::batch::Label;
use crate::error::{Error, Result};
use crate::symbols::{Symbol, SymbolSink};

/// Series that can become one: each needs buffers of its own.
const MAX_LANES: usize = 64;

/// A series that stays.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    /// Where its labels start in [`Table::labels`], and how many there are.
    pub(crate) labels_start: usize,
    pub(crate) labels_len: u32,
    /// Its reference in the input.
    pub(crate) reference: u32,
    /// Reference at which the series behind it starts, or the series end.
    pub(crate) next: u32,
    /// Of its first chunk, ms.
    pub(crate) min_time: i64,
    /// Which of its layers of chunks this is, if they are mended.
    pub(crate) layer: u32,
}

/// The series of the output.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// Of all series; references into the symbols, of the output when [`Symbols::finish`] was through.
    pub(crate) labels: Vec<Label>,
    /// In lane `i` the `i`th series of each set of labels; in order of labels when [`Symbols::finish`] was through.
    pub(crate) lanes: Vec<Vec<Row>>,
    /// By references of the output.
    pub(crate) symbols: Vec<Symbol>,
}

impl Table {
    pub(crate) fn labels_of(&self, row: &Row) -> &[Label] {
        let end = row.labels_start + row.labels_len as usize;
        self.labels.get(row.labels_start..end).unwrap_or_default()
    }

    /// Gives each row its lane, those of equal labels by time. How many became part of another one.
    pub(crate) fn sort(&mut self, input: BlockId, mut rows: Vec<Row>) -> Result<u64> {
        rows.sort_unstable_by(|a, b| {
            let by_labels = self.labels_of(a).cmp(self.labels_of(b));
            by_labels.then_with(|| (a.min_time, a.reference).cmp(&(b.min_time, b.reference)))
        });
        let mut lanes = vec![Vec::new()];
        let (mut joined, mut lane) = (0, 0);
        let mut last: Option<Row> = None;
        for row in rows {
            let equal = last.is_some_and(|last| self.labels_of(&last) == self.labels_of(&row));
            lane = if equal { lane + 1 } else { 0 };
            joined += u64::from(equal);
            if lane == MAX_LANES {
                let message = format!(
                    "more than {MAX_LANES} series of block {input} would become one: keep a label that tells them apart"
                );
                return Err(Error::passing(input, ErrorKind::Invalid, message));
            }
            if lane == lanes.len() {
                lanes.push(Vec::new());
            }
            if let Some(lane) = lanes.get_mut(lane) {
                lane.push(row);
            }
            last = Some(row);
        }
        self.lanes = lanes;
        Ok(joined)
    }

    /// Puts the rows of each lane in order: references of added strings say nothing of it before they are those of the output.
    fn put_in_order(&mut self) {
        let mut lanes = std::mem::take(&mut self.lanes);
        for lane in &mut lanes {
            lane.sort_unstable_by(|a, b| self.labels_of(a).cmp(self.labels_of(b)));
        }
        self.lanes = lanes;
    }
}

/// Strings of the input, and those that relabelling adds.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    /// Of the input by reference: where each ends in `text`.
    ends: Vec<usize>,
    text: Vec<u8>,
    added: HashMap<Box<str>, u32>,
    /// Bytes that those take.
    added_bytes: u64,
    used: Vec<bool>,
}

impl SymbolSink for Symbols {
    fn add(&mut self, symbol: &[u8]) -> rutile_index::Result<u32> {
        let reference = self.ends.len();
        if reference > 0 && self.get(reference - 1) >= Some(symbol) {
            let message = "symbols are not in order".into();
            return Err(rutile_index::Error::Invalid(message));
        }
        self.text.extend_from_slice(symbol);
        self.ends.push(self.text.len());
        // Prometheus keeps the empty string where it was.
        self.used.push(symbol.is_empty());
        u32::try_from(reference).map_err(|_| rutile_index::Error::TooLarge {
            what: "the symbol table",
            limit: u64::from(u32::MAX),
        })
    }
}

impl Symbols {
    /// A string of the input.
    pub(crate) fn get(&self, reference: usize) -> Option<&[u8]> {
        let end = *self.ends.get(reference)?;
        let start = reference.checked_sub(1).and_then(|at| self.ends.get(at));
        self.text.get(start.copied().unwrap_or_default()..end)
    }

    /// The reference of a string that the output has.
    pub(crate) fn put(&mut self, text: &str) -> u32 {
        let reference = match self.find(text.as_bytes()) {
            Ok(found) => found,
            Err(_) => match self.added.get(text) {
                Some(&found) => found as usize,
                None => {
                    let reference = self.used.len();
                    let short = u32::try_from(reference).unwrap_or(u32::MAX);
                    self.added.insert(text.into(), short);
                    let each = text.len() + size_of::<(Box<str>, u32)>() * 2;
                    self.added_bytes += each as u64;
                    self.used.push(true);
                    reference
                }
            },
        };
        if let Some(used) = self.used.get_mut(reference) {
            *used = true;
        }
        u32::try_from(reference).unwrap_or(u32::MAX)
    }

    /// Bytes that added strings take.
    pub(crate) fn added_bytes(&self) -> u64 {
        self.added_bytes
    }

    fn find(&self, text: &[u8]) -> std::result::Result<usize, usize> {
        let (mut low, mut high) = (0, self.ends.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.get(middle).unwrap_or_default().cmp(text) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    /// Writes what is used, in order, and turns the references in `table` into those of `writer`.
    pub(crate) fn finish(
        &self,
        table: &mut Table,
        writer: &mut IndexWriter,
    ) -> rutile_index::Result<()> {
        let used = |reference: &usize| self.used.get(*reference) == Some(&true);
        let of_input = (0..self.ends.len())
            .filter(used)
            .filter_map(|reference| Some((self.get(reference)?, reference)));
        let added = (self.added.iter()).map(|(text, at)| (text.as_bytes(), *at as usize));
        let mut strings: Vec<(&[u8], usize)> = of_input.chain(added).collect();
        strings.sort_unstable();
        let mut outputs = vec![u32::MAX; self.used.len()];
        for (text, reference) in strings {
            let output = writer.add_symbol(text)?;
            let hash = crc_fast::crc32_iscsi(text);
            table.symbols.push(Symbol { output, hash });
            if let Some(slot) = outputs.get_mut(reference) {
                *slot = output;
            }
        }
        let of = |reference: u32| outputs.get(reference as usize).copied();
        for (name, value) in &mut table.labels {
            *name = of(*name).unwrap_or(u32::MAX);
            *value = of(*value).unwrap_or(u32::MAX);
        }
        table.put_in_order();
        Ok(())
    }
}
