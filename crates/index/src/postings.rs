//! Postings: sorted lists of series references, and their algebra.
//!
//! A list is read where it lies (be32 numbers, [`PostingsList`]) or decoded ([`Vec<u32>`]); the
//! algebra takes both through [`SortedRefs`]. Results are decoded lists.

use std::iter::FusedIterator;
use std::ops::Range;

use bytes::Bytes;

use crate::cursor::crc32c;
use crate::{Error, Result};

mod algebra;
mod codec;

pub use algebra::{intersect, union, without};
pub use codec::{decode_cached, encode_cached};

/// A sorted list of series references with random access.
pub trait SortedRefs {
    /// Number of references.
    fn count(&self) -> usize;

    /// The reference at `index`; `u32::MAX` behind the end.
    fn at(&self, index: usize) -> u32;

    /// Appends the references in `range` to `out`.
    fn append_to(&self, range: Range<usize>, out: &mut Vec<u32>);

    /// The first index, not below `from`, whose reference is at least `target`: a galloping
    /// search, so its cost is the logarithm of the distance.
    #[inline]
    fn seek(&self, from: usize, target: u32) -> usize {
        let len = self.count();
        if from >= len || self.at(from) >= target {
            return from.min(len);
        }
        // Invariant: the reference at `low` is below the target.
        let (mut low, mut step) = (from, 1_usize);
        let mut high = loop {
            let probe = low.saturating_add(step);
            if probe >= len {
                break len;
            }
            if self.at(probe) >= target {
                break probe;
            }
            low = probe;
            step = step.saturating_mul(2);
        };
        while low + 1 < high {
            let middle = low + (high - low) / 2;
            if self.at(middle) < target {
                low = middle;
            } else {
                high = middle;
            }
        }
        high
    }
}

impl SortedRefs for [u32] {
    #[inline]
    fn count(&self) -> usize {
        self.len()
    }

    #[inline]
    fn at(&self, index: usize) -> u32 {
        self.get(index).copied().unwrap_or(u32::MAX)
    }

    fn append_to(&self, range: Range<usize>, out: &mut Vec<u32>) {
        out.extend_from_slice(self.get(range).unwrap_or_default());
    }
}

impl SortedRefs for Vec<u32> {
    #[inline]
    fn count(&self) -> usize {
        self.len()
    }

    #[inline]
    fn at(&self, index: usize) -> u32 {
        self.as_slice().at(index)
    }

    fn append_to(&self, range: Range<usize>, out: &mut Vec<u32>) {
        self.as_slice().append_to(range, out);
    }
}

impl<T: SortedRefs + ?Sized> SortedRefs for &T {
    #[inline]
    fn count(&self) -> usize {
        (**self).count()
    }

    #[inline]
    fn at(&self, index: usize) -> u32 {
        (**self).at(index)
    }

    fn append_to(&self, range: Range<usize>, out: &mut Vec<u32>) {
        (**self).append_to(range, out);
    }
}

/// A list as it lies in the index, not decoded. Cloning shares the bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PostingsList {
    /// be32 numbers, nothing else.
    refs: Bytes,
}

impl PostingsList {
    /// Reads the bytes of a [`PostingsRange`](crate::PostingsRange): be32 count, then as many be32
    /// references; what follows is ignored. Neither order nor checksum are checked.
    pub fn parse(bytes: &Bytes) -> Result<Self> {
        let corrupt = || Error::corrupt(0, "a postings list as long as its count says");
        let (count, refs) = bytes.split_first_chunk::<4>().ok_or_else(corrupt)?;
        let len = usize::try_from(u32::from_be_bytes(*count))
            .ok()
            .and_then(|n| n.checked_mul(4));
        let refs = len.and_then(|len| refs.get(..len)).ok_or_else(corrupt)?;
        Ok(Self {
            refs: bytes.slice_ref(refs),
        })
    }

    /// As [`Self::parse`] for bytes that go on with the list's crc (4 bytes behind the end of a
    /// range suffice); checks it and that the references increase.
    pub fn parse_checked(bytes: &Bytes) -> Result<Self> {
        let list = Self::parse(bytes)?;
        let len = 4 + list.refs.len();
        let crc = bytes.get(len..).and_then(|rest| rest.first_chunk::<4>());
        let covered = bytes.get(..len).unwrap_or_default();
        if crc.is_none_or(|crc| u32::from_be_bytes(*crc) != crc32c(covered)) {
            return Err(Error::corrupt(
                0,
                "a postings list that matches its checksum",
            ));
        }
        if !list.iter().is_sorted_by(|a, b| a < b) {
            return Err(Error::corrupt(0, "series references in increasing order"));
        }
        Ok(list)
    }

    /// Number of references.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.refs.len() / 4
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.refs.is_empty()
    }

    /// The reference at `index`.
    #[inline]
    #[must_use]
    pub fn get(&self, index: usize) -> Option<u32> {
        self.refs
            .as_chunks()
            .0
            .get(index)
            .map(|be| u32::from_be_bytes(*be))
    }

    /// All references in order.
    #[must_use]
    pub fn iter(&self) -> PostingsIter<'_> {
        PostingsIter {
            refs: self.refs.as_chunks().0.iter(),
        }
    }

    /// All references, decoded.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u32> {
        self.iter().collect()
    }

    /// Length in bytes of the references.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.refs.len()
    }
}

impl SortedRefs for PostingsList {
    #[inline]
    fn count(&self) -> usize {
        self.len()
    }

    #[inline]
    fn at(&self, index: usize) -> u32 {
        self.get(index).unwrap_or(u32::MAX)
    }

    fn append_to(&self, range: Range<usize>, out: &mut Vec<u32>) {
        let refs = self.refs.as_chunks().0.get(range).unwrap_or_default();
        out.extend(refs.iter().map(|be| u32::from_be_bytes(*be)));
    }
}

impl<'a> IntoIterator for &'a PostingsList {
    type Item = u32;
    type IntoIter = PostingsIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The references of a [`PostingsList`] in order.
#[derive(Debug, Clone)]
pub struct PostingsIter<'a> {
    refs: std::slice::Iter<'a, [u8; 4]>,
}

impl Iterator for PostingsIter<'_> {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        self.refs.next().map(|be| u32::from_be_bytes(*be))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.refs.size_hint()
    }
}

impl ExactSizeIterator for PostingsIter<'_> {}
impl FusedIterator for PostingsIter<'_> {}

/// A list in either form, for callers that mix fetched and computed ones.
#[derive(Debug, Clone)]
pub enum Postings {
    /// As it lies in the index.
    Raw(PostingsList),
    /// Decoded.
    Decoded(Vec<u32>),
}

impl Postings {
    /// The references, decoded.
    #[must_use]
    pub fn into_vec(self) -> Vec<u32> {
        match self {
            Self::Raw(list) => list.to_vec(),
            Self::Decoded(refs) => refs,
        }
    }
}

impl SortedRefs for Postings {
    #[inline]
    fn count(&self) -> usize {
        match self {
            Self::Raw(list) => list.len(),
            Self::Decoded(refs) => refs.len(),
        }
    }

    #[inline]
    fn at(&self, index: usize) -> u32 {
        match self {
            Self::Raw(list) => list.at(index),
            Self::Decoded(refs) => refs.at(index),
        }
    }

    fn append_to(&self, range: Range<usize>, out: &mut Vec<u32>) {
        match self {
            Self::Raw(list) => list.append_to(range, out),
            Self::Decoded(refs) => refs.append_to(range, out),
        }
    }
}

#[cfg(test)]
mod tests;
