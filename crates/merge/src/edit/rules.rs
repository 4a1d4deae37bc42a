//! What is to become of a series, by its labels.

use std::ops::RangeInclusive;

use rutile_model::{Labels, Matcher, RelabelConfig, relabel};

/// Times in ms, both ends inclusive.
pub(crate) type Interval = RangeInclusive<i64>;

/// All times.
pub(crate) const ALWAYS: Interval = i64::MIN..=i64::MAX;

/// What to change in a block: first all series are relabelled, then deletions look at the new labels, as in
/// the reference (`pkg/compactv2/modifiers.go`).
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Applied to the labels of each series. A series that is dropped or left without labels is deleted.
    pub relabel: Vec<RelabelConfig>,
    /// What to delete.
    pub deletions: Vec<Deletion>,
    /// Whether chunks that are out of order, overlap each other, are named twice or lie outside of the block are put in order, merged, or
    /// left out. Otherwise they are a fault of the block.
    pub mend: bool,
}

/// A request to delete.
#[derive(Debug, Clone)]
pub struct Deletion {
    /// All of these must match, each a label that the series has.
    pub matchers: Vec<Matcher>,
    /// Times to delete, ms, both ends inclusive; none: the whole series.
    pub intervals: Vec<RangeInclusive<i64>>,
}

/// Something that happens to a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Samples go.
    Deleted {
        /// The labels, relabelled unless that deleted it.
        labels: Labels,
        /// From when to when, ms, within what it has; both ends inclusive.
        intervals: Vec<RangeInclusive<i64>>,
    },
    /// It gets other labels.
    Relabelled {
        /// What it had.
        old: Labels,
        /// What it gets.
        new: Labels,
    },
}

impl Rules {
    /// The new labels; none if there are to be none.
    pub(crate) fn relabelled(&self, labels: &Labels) -> Option<Labels> {
        if self.relabel.is_empty() {
            return Some(labels.clone());
        }
        relabel::process(labels, &self.relabel).filter(|new| !new.is_empty())
    }

    /// What to delete of a series, by its new labels: in order, apart from each other.
    pub(crate) fn deleted(&self, labels: &Labels) -> Vec<Interval> {
        let mut intervals = Vec::new();
        for deletion in self.deletions.iter().filter(|d| d.concerns(labels)) {
            match deletion.intervals.as_slice() {
                [] => return vec![ALWAYS],
                some => intervals.extend_from_slice(some),
            }
        }
        united(intervals)
    }
}

impl Deletion {
    /// A label that the series has not matches nothing, not even the empty value, as in the reference.
    fn concerns(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|matcher| {
            let value = labels.value(matcher.name());
            !value.is_empty() && matcher.matches(value)
        })
    }
}

/// The same times, in order, as few intervals as can be.
pub(crate) fn united(mut intervals: Vec<Interval>) -> Vec<Interval> {
    intervals.sort_unstable_by_key(|interval| (*interval.start(), *interval.end()));
    let mut united: Vec<Interval> = Vec::with_capacity(intervals.len());
    for interval in intervals {
        match united.last_mut() {
            Some(last) if *interval.start() <= last.end().saturating_add(1) => {
                *last = *last.start()..=*last.end().max(interval.end());
            }
            _ => united.push(interval),
        }
    }
    united
}

#[cfg(test)]
mod tests {
    use super::*;
    use rutile_model::MatchOp;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        let mut labels = Labels::builder();
        for (name, value) in pairs {
            labels.set(*name, *value);
        }
        labels.build()
    }

    fn deletion(matchers: &[(MatchOp, &str, &str)], intervals: &[Interval]) -> Deletion {
        let matchers = matchers
            .iter()
            .map(|(op, name, value)| Matcher::new(*op, *name, *value).unwrap());
        Deletion {
            matchers: matchers.collect(),
            intervals: intervals.to_vec(),
        }
    }

    #[test]
    fn intervals_that_touch_become_one() {
        assert_eq!(
            united(vec![10..=20, 1..=3, 4..=5, 15..=30]),
            [1..=5, 10..=30]
        );
        assert_eq!(united(vec![ALWAYS, 5..=6]), [ALWAYS]);
    }

    #[test]
    fn all_matchers_must_match_labels_that_are_there() {
        let rules = Rules {
            deletions: vec![
                deletion(
                    &[(MatchOp::Equal, "a", "1"), (MatchOp::NotEqual, "b", "2")],
                    &[],
                ),
                deletion(&[(MatchOp::Equal, "c", "3")], &[5..=9]),
                deletion(&[(MatchOp::Equal, "c", "3")], &[0..=4]),
            ],
            ..Rules::default()
        };
        assert_eq!(rules.deleted(&labels(&[("a", "1"), ("b", "1")])), [ALWAYS]);
        assert_eq!(rules.deleted(&labels(&[("a", "1")])), []);
        assert_eq!(rules.deleted(&labels(&[("c", "3")])), [0..=9]);
    }

    #[test]
    fn a_series_may_be_left_without_labels() {
        let rule = "{action: labeldrop, regex: a.*}";
        let rules = Rules {
            relabel: vec![rutile_model::config::parse_yaml(rule).unwrap()],
            ..Rules::default()
        };
        let left = rules.relabelled(&labels(&[("a", "1"), ("b", "2")]));
        assert_eq!(left, Some(labels(&[("b", "2")])));
        assert_eq!(rules.relabelled(&labels(&[("a", "1"), ("ab", "2")])), None);
    }
}
