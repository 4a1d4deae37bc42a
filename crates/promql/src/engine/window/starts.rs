//! What start timestamps tell of a counter: when it began anew.

/// A sample of a counter: when, and when the counter began; 0 if that is not known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp {
    pub(super) time: i64,
    pub(super) start: i64,
}

impl Stamp {
    /// Whether the counter began anew after `previous`.
    pub(super) fn is_reset_since(self, previous: Self) -> bool {
        let is_valid = self.start != 0 && self.start < self.time;
        if !is_valid || self.start < previous.time {
            return false;
        }
        // A start right at the sample before is that of a delta, but also of a cumulative counter whose
        // start is not known; then, that sample has no start before it either.
        self.start > previous.time || (previous.start != 0 && previous.start < previous.time)
    }

    /// Whether it claims time that belongs to `previous`, but is no continuation of it.
    pub(super) fn overlaps(self, previous: Self) -> bool {
        self.start != 0 && self.start < previous.time && self.start != previous.start
    }
}

#[cfg(test)]
mod tests {
    use super::Stamp;

    #[test]
    fn resets_and_overlaps() {
        let previous = |start| Stamp { time: 100, start };
        for (before, start, reset, overlap) in [
            (50, 0, false, false),
            (50, 50, false, false),
            (50, 99, false, true),
            (50, 100, true, false),
            (0, 100, false, false),
            (100, 100, false, false),
            (101, 100, false, false),
            (101, 101, true, false),
            (0, 150, true, false),
            (0, 200, false, false),
            (0, 201, false, false),
        ] {
            let now = Stamp { time: 200, start };
            let case = format!("{before} {start}");
            assert_eq!(now.is_reset_since(previous(before)), reset, "{case}");
            assert_eq!(now.overlaps(previous(before)), overlap, "{case}");
        }
    }
}
