//! The labels of a request's series as numbers.
//!
//! While a series is inside, its labels are a row of numbers, one for each. A label has the same number in
//! all blocks of a request, so two label sets are equal if and only if their rows are, and which of two
//! comes first is decided by the first two labels that differ. The strings of a label are looked at once for each
//! block that has it, not once for each series.

use std::cmp::Ordering;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashTable};
use parking_lot::Mutex;
use rutile_block::BlockId;
use rutile_blockio::{Error, Result};
use rutile_index::{Header, IndexVersion};
use rutile_runtime::{Account, Reservation};
use rutile_storeapi::EncodedLabel;

/// What a label takes beside its strings: its place, its hash slot, its allocation, tags and lengths.
const OVERHEAD: u64 = 80;
/// Memory is reserved for so many bytes of labels at a time.
const SLAB: u64 = 64 * 1024;
/// A block has a place for each of its symbols if there is a wanted series to so many of them.
const WORTH_PLACES: usize = 8;

/// Numbers for labels. To read one takes no lock.
#[derive(Debug)]
pub(crate) struct LabelNumbers {
    labels: boxcar::Vec<EncodedLabel>,
    met: Mutex<Met>,
    hasher: FixedState,
}

#[derive(Debug)]
struct Met {
    numbers: HashTable<u32>,
    memory: Reservation,
    used: u64,
}

impl LabelNumbers {
    pub(crate) fn new(account: &Account) -> Self {
        let met = Met {
            numbers: HashTable::new(),
            memory: account.empty(),
            used: 0,
        };
        Self {
            labels: boxcar::Vec::new(),
            met: Mutex::new(met),
            hasher: FixedState::default(),
        }
    }

    /// The number of a label.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub(crate) fn number(&self, name: &[u8], value: &[u8]) -> Result<u32> {
        let hash = self.hasher.hash_one((name, value));
        let mut met = self.met.lock();
        let Met {
            numbers,
            memory,
            used,
        } = &mut *met;
        let is_it = |number: &u32| self.label(*number) == (name, value);
        if let Some(number) = numbers.find(hash, is_it) {
            return Ok(*number);
        }
        let bytes = (name.len() + value.len()) as u64 + OVERHEAD;
        *used += bytes;
        if *used > memory.bytes() {
            memory.grow(SLAB.max(bytes))?;
        }
        // There are fewer labels than bytes that a process can hold, but be it never so many.
        let number = u32::try_from(self.labels.push(EncodedLabel::new(name, value)));
        let number = number.unwrap_or(u32::MAX);
        let rehash = |number: &u32| self.hasher.hash_one(self.label(*number));
        numbers.insert_unique(hash, number, rehash);
        Ok(number)
    }

    /// The name and the value of a label.
    #[inline]
    pub(crate) fn label(&self, number: u32) -> (&[u8], &[u8]) {
        let label = self.labels.get(number as usize);
        label.map_or((&[], &[]), |label| (label.name(), label.value()))
    }

    /// The label as it leaves.
    #[inline]
    pub(crate) fn encoded(&self, number: u32) -> &[u8] {
        let label = self.labels.get(number as usize);
        label.map_or(&[], EncodedLabel::as_bytes)
    }

    /// Orders two label sets as Prometheus does: label by label, name before value, a prefix first.
    #[inline]
    pub(crate) fn compare(&self, a: &[u32], b: &[u32]) -> Ordering {
        self.compare_at(common_start(a, b), a, b)
    }

    /// The same for two label sets that have their first `alike` labels in common, and no more.
    #[inline]
    pub(crate) fn compare_at(&self, alike: usize, a: &[u32], b: &[u32]) -> Ordering {
        match (a.get(alike), b.get(alike)) {
            (Some(x), Some(y)) => self.label(*x).cmp(&self.label(*y)),
            _ => a.len().cmp(&b.len()),
        }
    }

    /// The labels of a row.
    pub(crate) fn labels<'a>(
        &'a self,
        row: &'a [u32],
    ) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        row.iter().map(|number| self.label(*number))
    }
}

/// How many elements two rows, or the bytes of two label sets, have in common at their start.
#[inline]
pub(crate) fn common_start<T: PartialEq>(a: &[T], b: &[T]) -> usize {
    // Most share a long start, or all: eight are compared at once.
    let eights = a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0);
    let alike = 8 * eights.take_while(|(x, y)| x == y).count();
    let rest = a.iter().zip(b).skip(alike);
    alike + rest.take_while(|(x, y)| x == y).count()
}

/// The numbers of one block's labels, as far as they were met.
#[derive(Debug)]
pub(crate) struct BlockNumbers {
    block: BlockId,
    header: Arc<Header>,
    numbers: Arc<LabelNumbers>,
    /// By the symbol of the value: the first label with that value. Empty if few of the symbols are likely to be met.
    places: Vec<Place>,
    /// The others, by the symbols of name and value.
    others: HashMap<(u32, u32), u32, FixedState>,
    memory: Reservation,
}

/// A label that was met.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    /// The symbol of its name.
    name: u32,
    /// Its number and one, or 0.
    after: u32,
}

impl BlockNumbers {
    /// For a block of which `series` series are wanted.
    ///
    /// # Errors
    /// When there is no memory for a place for each symbol.
    pub(crate) async fn new(
        block: BlockId,
        header: Arc<Header>,
        numbers: Arc<LabelNumbers>,
        series: usize,
        account: &Account,
    ) -> Result<Self> {
        let symbols = match header.index_version() {
            // There a symbol is the offset of its string.
            IndexVersion::V1 => header.index_toc().series as usize,
            IndexVersion::V2 | IndexVersion::V3 => header.symbols().len(),
        };
        let places = match symbols / WORTH_PLACES {
            many if many > series => 0,
            _ => symbols,
        };
        let memory = account
            .reserve((size_of::<Place>() * places) as u64)
            .await?;
        Ok(Self {
            block,
            header,
            numbers,
            places: vec![Place::default(); places],
            others: HashMap::default(),
            memory,
        })
    }

    pub(crate) fn header(&self) -> &Arc<Header> {
        &self.header
    }

    pub(crate) fn numbers(&self) -> &LabelNumbers {
        &self.numbers
    }

    /// The number of a label, by the symbols of its name and its value.
    ///
    /// # Errors
    /// `Index` for a symbol that the block does not have; when there is no memory for a new label.
    #[inline]
    pub(crate) fn number(&mut self, name: u32, value: u32) -> Result<u32> {
        match self.places.get(value as usize) {
            Some(place) if place.name == name && place.after > 0 => Ok(place.after - 1),
            _ => self.find(name, value),
        }
    }

    #[cold]
    fn find(&mut self, name: u32, value: u32) -> Result<u32> {
        if let Some(number) = self.others.get(&(name, value)) {
            return Ok(*number);
        }
        let number = self
            .numbers
            .number(self.symbol(name)?, self.symbol(value)?)?;
        match self.places.get_mut(value as usize) {
            Some(place) if place.after == 0 => {
                *place = Place {
                    name,
                    after: number.wrapping_add(1),
                };
            }
            _ => self.keep((name, value), number)?,
        }
        Ok(number)
    }

    fn keep(&mut self, label: (u32, u32), number: u32) -> Result<()> {
        if self.others.len() == self.others.capacity() {
            let more = self.others.capacity().max(16);
            // A table is at most half empty when it has grown.
            let slot = size_of::<((u32, u32), u32)>() + 1;
            self.memory.grow((2 * more * slot) as u64)?;
            self.others.reserve(more);
        }
        self.others.insert(label, number);
        Ok(())
    }

    /// The string of a symbol.
    ///
    /// # Errors
    /// `Index` for a symbol that the block does not have.
    pub(crate) fn symbol(&self, symbol: u32) -> Result<&[u8]> {
        let string = self.header.symbol(symbol);
        string.map_err(|source| self.damaged(source))
    }

    /// The error for an index that is not what it should be.
    pub(crate) fn damaged(&self, source: rutile_index::Error) -> Error {
        let block = self.block;
        Error::Index { block, source }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rutile_runtime::Ledger;

    use super::*;

    type Pairs = Vec<(String, String)>;

    fn row(numbers: &LabelNumbers, pairs: &Pairs) -> Vec<u32> {
        let number =
            |(name, value): &(String, String)| numbers.number(name.as_bytes(), value.as_bytes());
        pairs.iter().map(|label| number(label).unwrap()).collect()
    }

    proptest! {
        #[test]
        fn rows_are_ordered_as_their_labels(
            a in prop::collection::vec(("[ab]{1,2}", "[xy]{0,3}"), 0..8),
            b in prop::collection::vec(("[ab]{1,2}", "[xy]{0,3}"), 0..8),
        ) {
            let numbers = LabelNumbers::new(&Ledger::new(1 << 20).account("test"));
            let (x, y) = (row(&numbers, &a), row(&numbers, &b));
            prop_assert_eq!(numbers.compare(&x, &y), a.cmp(&b));
            prop_assert_eq!(x == y, a == b);
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let back: Pairs = numbers.labels(&x).map(|(n, v)| (text(n), text(v))).collect();
            prop_assert_eq!(back, a);
        }
    }

    #[test]
    fn strings_are_bounded_by_the_ledger() {
        let ledger = Ledger::new(1 << 20);
        let numbers = LabelNumbers::new(&ledger.account("test"));
        let full = (0..u32::MAX)
            .find_map(|i| numbers.number(b"pod", &i.to_be_bytes()).err())
            .unwrap();
        assert_eq!(full.kind(), rutile_model::ErrorKind::Exhausted);
        drop(numbers);
        assert_eq!(ledger.account("next").in_use_bytes(), 0);
    }
}
