//! The strings of a request's label sets as numbers.
//!
//! While a series is inside, its labels are a row of numbers: name, value, name, value. A string
//! has the same number in all blocks of a request, so two label sets are equal if and only if their
//! rows are, and which of two comes first is decided by the strings of the first two numbers that
//! differ. A string is looked at once for each block that has it, not once for each series.

use std::cmp::Ordering;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use parking_lot::Mutex;
use rutile_blockio::{Error, Result};
use rutile_index::{Header, IndexVersion};
use rutile_runtime::{Account, Reservation};

/// What a string takes beside its bytes: its place, its hash slot, its allocation.
const OVERHEAD: u64 = 48;
/// Memory is reserved for so many bytes of strings at a time.
const SLAB: u64 = 64 * 1024;

/// Numbers for strings. Reading one takes no lock.
#[derive(Debug)]
pub(crate) struct Symbols {
    strings: boxcar::Vec<Box<[u8]>>,
    numbers: Mutex<Numbers>,
    hasher: FixedState,
}

#[derive(Debug)]
struct Numbers {
    table: HashTable<u32>,
    memory: Reservation,
    used: u64,
}

impl Symbols {
    pub(crate) fn new(account: &Account) -> Self {
        let numbers = Numbers {
            table: HashTable::new(),
            memory: account.empty(),
            used: 0,
        };
        Self {
            strings: boxcar::Vec::new(),
            numbers: Mutex::new(numbers),
            hasher: FixedState::default(),
        }
    }

    /// The number of a string.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub(crate) fn number(&self, string: &[u8]) -> Result<u32> {
        let hash = self.hasher.hash_one(string);
        let mut numbers = self.numbers.lock();
        let Numbers {
            table,
            memory,
            used,
        } = &mut *numbers;
        if let Some(number) = table.find(hash, |number| self.string(*number) == string) {
            return Ok(*number);
        }
        *used += string.len() as u64 + OVERHEAD;
        if *used > memory.bytes() {
            memory.grow(SLAB.max(string.len() as u64 + OVERHEAD))?;
        }
        // There are fewer strings than bytes that a process can hold, but be it never so many.
        let number = u32::try_from(self.strings.push(string.into())).unwrap_or(u32::MAX);
        let rehash = |number: &u32| self.hasher.hash_one(self.string(*number));
        table.insert_unique(hash, number, rehash);
        Ok(number)
    }

    /// The string of a number.
    #[inline]
    pub(crate) fn string(&self, number: u32) -> &[u8] {
        self.strings
            .get(number as usize)
            .map_or(&[], |string| string)
    }

    /// Orders two label sets as Prometheus does: label by label, name before value, a prefix first.
    #[inline]
    pub(crate) fn compare(&self, a: &[u32], b: &[u32]) -> Ordering {
        self.compare_at(common_start(a, b), a, b)
    }

    /// The same for two label sets that have their first `alike` numbers in common, and no more.
    #[inline]
    pub(crate) fn compare_at(&self, alike: usize, a: &[u32], b: &[u32]) -> Ordering {
        match (a.get(alike), b.get(alike)) {
            (Some(x), Some(y)) => self.string(*x).cmp(self.string(*y)),
            _ => a.len().cmp(&b.len()),
        }
    }

    /// The labels of a row.
    pub(crate) fn labels<'a>(
        &'a self,
        row: &'a [u32],
    ) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        row.as_chunks()
            .0
            .iter()
            .map(|[name, value]| (self.string(*name), self.string(*value)))
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

/// The numbers of one block's symbols, as far as they were met.
#[derive(Debug)]
pub(crate) struct BlockSymbols {
    header: Arc<Header>,
    symbols: Arc<Symbols>,
    /// By symbol: its number and one, or 0.
    known: Vec<u32>,
    _memory: Reservation,
}

impl BlockSymbols {
    /// # Errors
    /// When there is no memory for a number for each symbol.
    pub(crate) async fn new(
        header: Arc<Header>,
        symbols: Arc<Symbols>,
        account: &Account,
    ) -> Result<Self> {
        let places = match header.index_version() {
            // There a symbol is the offset of its string.
            IndexVersion::V1 => header.index_toc().series as usize,
            IndexVersion::V2 | IndexVersion::V3 => header.symbols().len(),
        };
        let memory = account.reserve(4 * places as u64).await?;
        Ok(Self {
            header,
            symbols,
            known: vec![0; places],
            _memory: memory,
        })
    }

    pub(crate) fn header(&self) -> &Arc<Header> {
        &self.header
    }

    pub(crate) fn symbols(&self) -> &Symbols {
        &self.symbols
    }

    /// The number of a symbol of this block.
    #[inline]
    pub(crate) fn number(&mut self, symbol: u32, block: rutile_block::BlockId) -> Result<u32> {
        match self.known.get(symbol as usize) {
            Some(known) if *known > 0 => Ok(known - 1),
            _ => self.learn(symbol, block),
        }
    }

    #[cold]
    fn learn(&mut self, symbol: u32, block: rutile_block::BlockId) -> Result<u32> {
        let string = self
            .header
            .symbol(symbol)
            .map_err(|source| Error::Index { block, source })?;
        let number = self.symbols.number(string)?;
        if let Some(known) = self.known.get_mut(symbol as usize) {
            *known = number.wrapping_add(1);
        }
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rutile_runtime::Ledger;

    use super::*;

    type Pairs = Vec<(String, String)>;

    fn row(symbols: &Symbols, pairs: &Pairs) -> Vec<u32> {
        let strings = pairs.iter().flat_map(|(name, value)| [name, value]);
        strings
            .map(|string| symbols.number(string.as_bytes()).unwrap())
            .collect()
    }

    proptest! {
        #[test]
        fn rows_are_ordered_as_their_labels(
            a in prop::collection::vec(("[ab]{1,2}", "[xy]{0,3}"), 0..8),
            b in prop::collection::vec(("[ab]{1,2}", "[xy]{0,3}"), 0..8),
        ) {
            let symbols = Symbols::new(&Ledger::new(1 << 20).account("test"));
            let (x, y) = (row(&symbols, &a), row(&symbols, &b));
            prop_assert_eq!(symbols.compare(&x, &y), a.cmp(&b));
            prop_assert_eq!(x == y, a == b);
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let back: Pairs = symbols.labels(&x).map(|(n, v)| (text(n), text(v))).collect();
            prop_assert_eq!(back, a);
        }
    }

    #[test]
    fn strings_are_bounded_by_the_ledger() {
        let ledger = Ledger::new(1 << 20);
        let symbols = Symbols::new(&ledger.account("test"));
        let full = (0..u32::MAX)
            .find_map(|i| symbols.number(&i.to_be_bytes()).err())
            .unwrap();
        assert_eq!(full.kind(), rutile_model::ErrorKind::Exhausted);
        drop(symbols);
        assert_eq!(ledger.account("next").in_use_bytes(), 0);
    }
}
