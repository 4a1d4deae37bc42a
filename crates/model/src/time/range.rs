//! Inclusive ranges of time, as requests state them.

use serde::{Deserialize, Serialize};

/// From `min_ms` to `max_ms`, both included. Empty when `min_ms > max_ms`.
///
/// Requests use inclusive ranges; blocks use half-open ones, see [`TimeRange::overlaps_block`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TimeRange {
    /// First millisecond.
    pub min_ms: i64,
    /// Last millisecond.
    pub max_ms: i64,
}

impl TimeRange {
    /// All of time.
    pub const ALL: Self = Self {
        min_ms: i64::MIN,
        max_ms: i64::MAX,
    };

    /// The range from `min_ms` to `max_ms`, both included.
    #[must_use]
    pub const fn new(min_ms: i64, max_ms: i64) -> Self {
        Self { min_ms, max_ms }
    }

    /// Whether no moment lies in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.min_ms > self.max_ms
    }

    /// Whether `at_ms` lies in it.
    #[must_use]
    pub const fn contains(&self, at_ms: i64) -> bool {
        self.min_ms <= at_ms && at_ms <= self.max_ms
    }

    /// Whether some moment lies in both. An empty range overlaps nothing.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        !self.intersect(other).is_empty()
    }

    /// Whether some moment of the half-open `[min_time, max_time)` lies in it.
    #[must_use]
    pub fn overlaps_block(&self, min_time: i64, max_time: i64) -> bool {
        min_time < max_time && self.overlaps(&Self::new(min_time, max_time.saturating_sub(1)))
    }

    /// What lies in both; empty if nothing does.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        Self::new(self.min_ms.max(other.min_ms), self.max_ms.min(other.max_ms))
    }

    /// The smallest range that holds both; an empty one adds nothing.
    #[must_use]
    pub fn hull(&self, other: &Self) -> Self {
        match (self.is_empty(), other.is_empty()) {
            (true, _) => *other,
            (_, true) => *self,
            _ => Self::new(self.min_ms.min(other.min_ms), self.max_ms.max(other.max_ms)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_are_included() {
        let range = TimeRange::new(10, 20);
        assert!(range.contains(10) && range.contains(20));
        assert!(!range.contains(9) && !range.contains(21));
        assert!(range.overlaps(&TimeRange::new(20, 30)) && range.overlaps(&TimeRange::new(0, 10)));
        assert!(!range.overlaps(&TimeRange::new(21, 30)));
    }

    #[test]
    fn blocks_exclude_their_end() {
        let range = TimeRange::new(10, 20);
        assert!(range.overlaps_block(20, 21) && !range.overlaps_block(0, 10));
        assert!(range.overlaps_block(0, 11) && !range.overlaps_block(15, 15));
        assert!(TimeRange::ALL.overlaps_block(i64::MIN, i64::MAX));
    }

    #[test]
    fn an_empty_range_overlaps_nothing_and_adds_nothing() {
        let (empty, range) = (TimeRange::new(5, 4), TimeRange::new(0, 9));
        assert!(empty.is_empty() && !empty.overlaps(&range) && !range.overlaps(&empty));
        assert_eq!(range.hull(&empty), range);
        assert_eq!(range.hull(&TimeRange::new(20, 21)), TimeRange::new(0, 21));
    }
}
