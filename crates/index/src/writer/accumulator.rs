//! The postings of an index that is being written.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use crate::varint::{put_uvarint, read_uvarint};

/// Collects the series of each label, in increasing order, as compressed differences.
#[derive(Debug, Default)]
pub(super) struct Postings {
    all: List,
    /// By (name, value) symbol reference. Iterated only after sorting.
    lists: HashMap<(u32, u32), List, FixedState>,
}

/// One list: differences as uvarints. The first reference costs no allocation, since most values
/// of an identifying label are of one series.
#[derive(Debug, Default)]
pub(super) struct List {
    first: u32,
    last: u32,
    count: u32,
    differences: Vec<u8>,
}

impl Postings {
    /// Adds a series, whose reference is greater than all before.
    pub(super) fn add(&mut self, labels: &[(u32, u32)], reference: u32) {
        self.all.push(reference);
        for &label in labels {
            self.lists.entry(label).or_default().push(reference);
        }
    }

    /// All lists in file order: that of all series, then by name and value.
    pub(super) fn finish(self) -> Vec<(Option<(u32, u32)>, List)> {
        let mut lists = Vec::with_capacity(self.lists.len() + 1);
        lists.push((None, self.all));
        lists.extend(
            self.lists
                .into_iter()
                .map(|(label, list)| (Some(label), list)),
        );
        lists.sort_unstable_by_key(|&(label, _)| label);
        lists
    }
}

impl List {
    fn push(&mut self, reference: u32) {
        if self.count == 0 {
            self.first = reference;
        } else {
            put_uvarint(&mut self.differences, u64::from(reference - self.last));
        }
        self.last = reference;
        self.count += 1;
    }

    /// Number of references.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Appends the references as be32.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        if self.count == 0 {
            return;
        }
        let mut reference = u64::from(self.first);
        out.extend(self.first.to_be_bytes());
        let mut rest = self.differences.as_slice();
        while let Some(difference) = read_uvarint(&mut rest) {
            reference += difference;
            out.extend(u32::try_from(reference).unwrap_or(self.last).to_be_bytes());
        }
    }
}
