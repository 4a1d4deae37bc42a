//! What replicas of the same thing differ by, and the order of what they do not.

use std::cmp::Ordering;

use prost_types::Timestamp;
use rutile_proto::thanos::{Label, ZLabelSet};

/// Removes the labels of replicas and sorts the others by name, so that they compare.
pub(super) fn strip(set: Option<&mut ZLabelSet>, replica: &[String]) {
    if let Some(set) = set {
        set.labels.retain(|label| !replica.contains(&label.name));
        set.labels.sort_by(|a, b| a.name.cmp(&b.name));
    }
}

/// Compares label sets as Prometheus does: label by label, name before value, a prefix first.
pub(super) fn compare_labels(a: &[Label], b: &[Label]) -> Ordering {
    fn pair(label: &Label) -> (&str, &str) {
        (&label.name, &label.value)
    }
    a.iter().map(pair).cmp(b.iter().map(pair))
}

/// Seconds and nanoseconds, so that they compare; what never happened comes before all else.
pub(super) fn time(time: Option<&Timestamp>) -> Option<(i64, i32)> {
    time.map(|time| (time.seconds, time.nanos))
}
