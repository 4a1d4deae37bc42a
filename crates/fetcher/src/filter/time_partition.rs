//! Keeps a block whose range touches the partition, both taken as inclusive: a sample on the border
//! is then found in either of two neighbouring partitions. Relative bounds are resolved anew each
//! time, so the partition moves with the clock.

use rutile_block::Meta;
use rutile_model::time::TimeOrDuration;

/// A range of time, both ends inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimePartition {
    /// Start (`--min-time`).
    pub min_time: TimeOrDuration,
    /// End (`--max-time`).
    pub max_time: TimeOrDuration,
}

impl Default for TimePartition {
    /// All of time.
    fn default() -> Self {
        Self {
            min_time: TimeOrDuration::Time(i64::MIN),
            max_time: TimeOrDuration::Time(i64::MAX),
        }
    }
}

impl TimePartition {
    /// Whether the block belongs to the partition.
    #[must_use]
    pub fn keeps(&self, meta: &Meta, now_ms: i64) -> bool {
        meta.max_time >= self.min_time.resolve(now_ms)
            && meta.min_time <= self.max_time.resolve(now_ms)
    }
}
