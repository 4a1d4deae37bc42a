//! The clauses of the bucket contract by name, for logs, counters, assertions and simulations.

use std::fmt;

/// A clause of `docs/CONTRACT.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "`statement` says what each one is")]
pub enum InvariantId {
    Bc1,
    Bc2,
    Bc3,
    Bc4,
    Bc5,
    Bc6,
    Bc7,
    Bc8,
    Bc9,
    Bc10,
    Bc11,
    Bc12,
    Bc13,
    Bc14,
    Bc15,
    Bc16,
    Bc17,
    Bc18,
    Bc19,
}

/// Name, short name and statement of each clause, in order.
const CLAUSES: [(&str, &str, &str); 19] = [
    (
        "BC-1",
        "immutable",
        "after its commit no object of a block is overwritten, marks aside",
    ),
    (
        "BC-2",
        "commit",
        "meta.json is uploaded last and deleted first, and the block is listed against its files right before and right after",
    ),
    (
        "BC-3",
        "partial",
        "a partial block goes only when its newest object is older than the partial age and meta.json was looked for again",
    ),
    (
        "BC-4",
        "fresh",
        "a reader relies on a block only after the consistency delay; a clock that is ahead counts as age zero",
    ),
    (
        "BC-5",
        "mark",
        "a marked block is dropped after the ignore delay once its successor is loaded or lies elsewhere, else after the delete delay with a warning",
    ),
    (
        "BC-6",
        "delete",
        "objects go only after the delete delay, the mark read again and the successor verified: meta.json, the rest, the mark",
    ),
    (
        "BC-7",
        "coverage",
        "a reader never covers less than before without saying so",
    ),
    (
        "BC-8",
        "overlap",
        "no sample is counted twice, and every reader picks the same winner",
    ),
    (
        "BC-9",
        "delays",
        "ignore delay > sync interval + load time; delete delay > ignore delay + sync interval; cache lifetimes count in",
    ),
    (
        "BC-10",
        "restart",
        "every step is idempotent and can be repeated after a crash at any request",
    ),
    (
        "BC-11",
        "isolation",
        "a bad object affects its own block only, and unread is not bad",
    ),
    (
        "BC-12",
        "retention",
        "raw data stays while a downsampled block of it is due and not committed",
    ),
    (
        "BC-13",
        "output",
        "a compaction yields exactly what the merge function yields, verified before any source is marked",
    ),
    (
        "BC-14",
        "workers",
        "any number of compactors may run; work is claimed by create-only leases",
    ),
    (
        "BC-15",
        "no return",
        "deleted data never comes back: a marked block is never an input of a compaction",
    ),
    (
        "BC-16",
        "garbage",
        "when faults stop, what is superseded, partial or dangling is gone within a bounded time",
    ),
    (
        "BC-17",
        "stale readers",
        "a snapshot older than delete delay - ignore delay - sync interval is not served",
    ),
    (
        "BC-18",
        "clocks",
        "a mark's age counts from the later of its time and its object's; deletion pauses while clocks differ too much",
    ),
    (
        "BC-19",
        "neighbours",
        "Thanos components on the same bucket see only states that they understand",
    ),
];

impl InvariantId {
    /// Every clause, in order.
    pub const ALL: [Self; 19] = [
        Self::Bc1,
        Self::Bc2,
        Self::Bc3,
        Self::Bc4,
        Self::Bc5,
        Self::Bc6,
        Self::Bc7,
        Self::Bc8,
        Self::Bc9,
        Self::Bc10,
        Self::Bc11,
        Self::Bc12,
        Self::Bc13,
        Self::Bc14,
        Self::Bc15,
        Self::Bc16,
        Self::Bc17,
        Self::Bc18,
        Self::Bc19,
    ];

    /// `BC-1`, `BC-2`, …: also the value of the label `clause` in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.row().0
    }

    /// One word or two.
    #[must_use]
    pub const fn short_name(self) -> &'static str {
        self.row().1
    }

    /// The clause in one line.
    #[must_use]
    pub const fn statement(self) -> &'static str {
        self.row().2
    }

    const fn row(self) -> (&'static str, &'static str, &'static str) {
        #[expect(clippy::indexing_slicing, reason = "one row for each variant")]
        CLAUSES[self as usize]
    }
}

impl fmt::Display for InvariantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_numbered_in_order() {
        for (i, id) in InvariantId::ALL.into_iter().enumerate() {
            assert_eq!(id.to_string(), format!("BC-{}", i + 1));
            assert!(!id.short_name().is_empty() && !id.statement().ends_with('.'));
        }
    }
}
