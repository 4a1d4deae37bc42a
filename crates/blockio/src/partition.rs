//! Which ranges to read together.

use std::ops::Range;

/// No part is longer than this, so that one read neither times out nor holds much memory.
const MAX_PART: u64 = 16 * 1024 * 1024;

/// A range to read, and the elements that lie in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Bytes of the object, end exclusive.
    pub range: Range<u64>,
    /// Elements of the input, end exclusive.
    pub elements: Range<usize>,
}

/// Groups `wanted` (ordered by start) into parts: what lies at most `gap` bytes apart is read in
/// one go, up to 16 MiB. A longer single range stays whole.
pub fn coalesce(wanted: impl IntoIterator<Item = Range<u64>>, gap: u64) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for (i, range) in wanted.into_iter().enumerate() {
        if let Some(last) = parts.last_mut() {
            debug_assert!(range.start >= last.range.start, "the ranges are ordered");
            let end = last.range.end.max(range.end);
            let near = range.start <= last.range.end.saturating_add(gap);
            if near && end - last.range.start <= MAX_PART {
                last.range.end = end;
                last.elements.end = i + 1;
                continue;
            }
        }
        parts.push(Part {
            range,
            elements: i..i + 1,
        });
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wanted: &[Range<u64>], gap: u64, expected: &[(Range<u64>, Range<usize>)]) {
        let got: Vec<_> = coalesce(wanted.iter().cloned(), gap)
            .into_iter()
            .map(|part| (part.range, part.elements))
            .collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn near_ranges_are_read_together() {
        check(
            &[0..10, 12..20, 31..40],
            10,
            &[(0..20, 0..2), (31..40, 2..3)],
        );
        check(&[0..10, 10..20], 0, &[(0..20, 0..2)]);
        check(&[0..30, 5..10, 30..31], 0, &[(0..31, 0..3)]);
        check(&[], 10, &[]);
    }

    #[test]
    fn a_part_has_a_bound() {
        let big = MAX_PART - 5;
        check(
            &[0..big, big..big + 10, big + 10..big + 20],
            100,
            &[(0..big, 0..1), (big..big + 20, 1..3)],
        );
    }
}
