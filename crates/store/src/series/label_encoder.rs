//! Encodes the labels of series entries: symbols looked up, external labels woven in, replica
//! labels left out.

use rutile_index::{Header, SeriesEntry};
use rutile_model::Labels;
use rutile_storeapi::encode_label;

/// Encoded labels are remembered by their symbols; when they take this many bytes, all are
/// forgotten. Metric name, job, namespace and the like repeat from series to series.
const ARENA_BYTES: usize = 256 * 1024;
/// The most label pairs that are remembered.
const MAX_PAIRS: usize = 8192;

/// What to do with a label, by its name.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// It goes out, behind the first `n` external labels.
    Keep(u32),
    /// An external label of the same name replaces it, or it is a replica label.
    Drop,
}

#[derive(Debug, Clone, Copy, Default)]
struct Pair {
    name: u32,
    value: u32,
    start: u32,
    len: u32,
}

/// Turns the labels of entries of one block into label blocks.
#[derive(Debug)]
pub(crate) struct LabelEncoder<'a> {
    header: &'a Header,
    external: &'a [(Box<str>, Vec<u8>)],
    drop: &'a [String],
    fates: Vec<(u32, Fate)>,
    pairs: Vec<Pair>,
    arena: Vec<u8>,
}

/// The external labels of a block as they go out: name and encoded label, in order.
pub(crate) fn external_labels(labels: &Labels, drop: &[String]) -> Vec<(Box<str>, Vec<u8>)> {
    let kept = labels
        .iter()
        .filter(|(name, _)| !drop.iter().any(|dropped| dropped == name));
    kept.map(|(name, value)| {
        let mut encoded = Vec::new();
        encode_label(&mut encoded, name.as_bytes(), value.as_bytes());
        (name.into(), encoded)
    })
    .collect()
}

impl<'a> LabelEncoder<'a> {
    /// `external` comes from [`external_labels`]; `drop` are the labels that go out in no series.
    pub(crate) fn new(
        header: &'a Header,
        external: &'a [(Box<str>, Vec<u8>)],
        drop: &'a [String],
    ) -> Self {
        let pairs = header.symbols().len().next_power_of_two().min(MAX_PAIRS);
        Self {
            header,
            external,
            drop,
            fates: Vec::new(),
            pairs: vec![Pair::default(); pairs],
            arena: vec![0], // so that no remembered pair starts at 0
        }
    }

    /// Appends the label block of `entry`. Returns how many bytes at its end are external labels:
    /// if there are any, a longer label set may come later that sorts before this one.
    pub(crate) fn encode(
        &mut self,
        entry: &SeriesEntry<'_>,
        out: &mut Vec<u8>,
    ) -> rutile_index::Result<usize> {
        let mut written = 0;
        for symbols in entry.labels() {
            let (name, value) = symbols?;
            let Fate::Keep(before) = self.fate(name)? else {
                continue;
            };
            while written < before {
                out.extend_from_slice(&self.external[written as usize].1);
                written += 1;
            }
            self.label(name, value, out)?;
        }
        let behind = self.external.get(written as usize..).unwrap_or_default();
        let own = out.len();
        for (_, encoded) in behind {
            out.extend_from_slice(encoded);
        }
        Ok(out.len() - own)
    }

    #[inline]
    fn fate(&mut self, name: u32) -> rutile_index::Result<Fate> {
        if let Some((_, fate)) = self.fates.iter().find(|(symbol, _)| *symbol == name) {
            return Ok(*fate);
        }
        let text = self.header.symbol(name)?;
        let replaced = self
            .external
            .iter()
            .any(|(name, _)| name.as_bytes() == text);
        let fate = if replaced || self.drop.iter().any(|name| name.as_bytes() == text) {
            Fate::Drop
        } else {
            let before = self
                .external
                .iter()
                .filter(|(name, _)| name.as_bytes() < text);
            Fate::Keep(before.count() as u32)
        };
        self.fates.push((name, fate));
        Ok(fate)
    }

    #[inline]
    fn label(&mut self, name: u32, value: u32, out: &mut Vec<u8>) -> rutile_index::Result<()> {
        let slot =
            (value.wrapping_add(name.wrapping_mul(0x9E37_79B1))) as usize & (self.pairs.len() - 1);
        let pair = self.pairs[slot];
        if pair.start != 0 && pair.name == name && pair.value == value {
            let start = pair.start as usize;
            out.extend_from_slice(&self.arena[start..start + pair.len as usize]);
            return Ok(());
        }
        let start = out.len();
        encode_label(out, self.header.symbol(name)?, self.header.symbol(value)?);
        self.remember(slot, name, value, &out[start..]);
        Ok(())
    }

    fn remember(&mut self, slot: usize, name: u32, value: u32, encoded: &[u8]) {
        if self.arena.len() + encoded.len() > ARENA_BYTES {
            self.arena.truncate(1);
            self.pairs.fill(Pair::default());
        }
        let start = self.arena.len() as u32;
        self.arena.extend_from_slice(encoded);
        self.pairs[slot] = Pair {
            name,
            value,
            start,
            len: encoded.len() as u32,
        };
    }
}
