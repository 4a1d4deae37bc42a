//! What replicas of the same thing differ by.

use prost_types::Timestamp;
use rutile_proto::thanos::ZLabelSet;

/// Removes the labels of replicas and sorts the others by name, so that they compare.
pub(super) fn strip(set: Option<&mut ZLabelSet>, replica: &[String]) {
    if let Some(set) = set {
        set.labels.retain(|label| !replica.contains(&label.name));
        set.labels.sort_by(|a, b| a.name.cmp(&b.name));
    }
}

/// Seconds and nanoseconds, so that they compare; what never happened comes before all else.
pub(super) fn time(time: Option<&Timestamp>) -> Option<(i64, i32)> {
    time.map(|time| (time.seconds, time.nanos))
}
