//! The contract's delays, the inequalities between them, and the decisions that follow from them.
//!
//! Everything here is a pure function of recorded times and a given "now", in milliseconds. Readers
//! (`fetcher`), writers (`lifecycle`) and simulations call the same ones.

use std::fmt;

use crate::{DeletionMark, InvariantId, Meta, Source};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// The delays that one process knows of, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contract {
    /// How old a block must be before a reader relies on it (`--consistency-delay`).
    pub consistency_delay_ms: i64,
    /// How long a marked block is still served (`--ignore-deletion-marks-delay`).
    pub ignore_delay_ms: i64,
    /// How long after its mark a block's objects stay (`--delete-delay`).
    pub delete_delay_ms: i64,
    /// How often a reader looks at the bucket (`--sync-block-duration`).
    pub sync_interval_ms: i64,
    /// How long a reader may need to load the blocks that a look at the bucket brought.
    pub load_allowance_ms: i64,
    /// How old the newest object of a partial block must be before it may be removed.
    pub partial_age_ms: i64,
    /// How long a cache between the reader and the bucket may hide what is new or gone; 0 without one.
    pub meta_cache_ttl_ms: i64,
    /// How much the own clock and the bucket's may differ before deletion pauses.
    pub clock_bound_ms: i64,
}

impl Default for Contract {
    /// Thanos' defaults, as the store gateway has them.
    fn default() -> Self {
        Self {
            consistency_delay_ms: 0,
            ignore_delay_ms: 24 * HOUR,
            delete_delay_ms: 48 * HOUR,
            sync_interval_ms: 15 * MINUTE,
            load_allowance_ms: 15 * MINUTE,
            partial_age_ms: 48 * HOUR,
            meta_cache_ttl_ms: 0,
            clock_bound_ms: 10 * MINUTE,
        }
    }
}

/// An inequality of the contract that the settings break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The clause.
    pub clause: InvariantId,
    /// The inequality, in the names of the settings.
    pub inequality: &'static str,
    /// The same with the values put in.
    pub values: String,
    /// What to change.
    pub advice: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            clause,
            inequality,
            values,
            advice,
        } = self;
        write!(
            f,
            "{clause}: {inequality} does not hold ({values}): {advice}"
        )
    }
}

/// How long ago `then_ms` was. What lies in the future, by a clock that is ahead, was just now.
#[must_use]
pub fn age_ms(then_ms: i64, now_ms: i64) -> i64 {
    now_ms.saturating_sub(then_ms).max(0)
}

/// When a block came to the bucket: its upload time, else `meta.json`'s modification time, else the
/// time in its ULID (BC-4).
///
/// An upload time that lies in the future comes from a clock that is ahead. The bucket's own time
/// is then the better witness; the ULID is not, since a block may be uploaded long after it was cut.
#[must_use]
pub fn uploaded_at_ms(meta: &Meta, meta_modified_ms: Option<i64>, now_ms: i64) -> i64 {
    match (meta.thanos.upload_time.ms(), meta_modified_ms) {
        (Some(uploaded), Some(modified)) if uploaded > now_ms => modified,
        (Some(uploaded), _) => uploaded,
        (None, Some(modified)) => modified,
        (None, None) => meta.id.time_ms(),
    }
}

impl Contract {
    /// The inequalities that do not hold; none when the delays are safe (BC-9).
    #[must_use]
    pub fn check(&self) -> Vec<Violation> {
        let seen_after = self.sync_interval_ms.saturating_add(self.meta_cache_ttl_ms);
        let loaded_after = seen_after.saturating_add(self.load_allowance_ms);
        let dropped_after = self.ignore_delay_ms.saturating_add(seen_after);
        let [
            ignore,
            delete,
            sync,
            load,
            cache,
            partial,
            consistency,
            bound,
        ] = [
            self.ignore_delay_ms,
            self.delete_delay_ms,
            self.sync_interval_ms,
            self.load_allowance_ms,
            self.meta_cache_ttl_ms,
            self.partial_age_ms,
            self.consistency_delay_ms,
            self.clock_bound_ms,
        ]
        .map(Span);
        let mut violations = Vec::new();
        if self.ignore_delay_ms <= loaded_after {
            violations.push(Violation {
                clause: InvariantId::Bc9,
                inequality: "ignore-deletion-marks-delay > sync interval + load time + cache lifetime",
                values: format!("{ignore} > {sync} + {load} + {cache}"),
                advice: format!(
                    "set --ignore-deletion-marks-delay to more than {}, or sync more often: else a \
                     replaced block is dropped before its successor can be loaded",
                    Span(loaded_after)
                ),
            });
        }
        if self.delete_delay_ms <= dropped_after {
            violations.push(Violation {
                clause: InvariantId::Bc9,
                inequality: "delete-delay > ignore-deletion-marks-delay + sync interval + cache lifetime",
                values: format!("{delete} > {ignore} + {sync} + {cache}"),
                advice: format!(
                    "set the compactor's --delete-delay (and the same value here) to more than {}, or \
                     lower --ignore-deletion-marks-delay: else objects are deleted while queries use them",
                    Span(dropped_after)
                ),
            });
        }
        if self.partial_age_ms / 2
            <= self
                .consistency_delay_ms
                .saturating_add(self.clock_bound_ms)
        {
            violations.push(Violation {
                clause: InvariantId::Bc3,
                inequality: "partial age / 2 > consistency-delay + clock bound",
                values: format!("{partial} / 2 > {consistency} + {bound}"),
                advice:
                    "lower --consistency-delay: else a block may be removed as partial while it \
                         is still being uploaded"
                        .to_owned(),
            });
        }
        violations
    }

    /// Whether a reader does not yet rely on the block (BC-4). The outputs of compactions and
    /// repairs are exempt: hiding them would hide what their sources no longer cover.
    #[must_use]
    pub fn is_fresh(&self, meta: &Meta, meta_modified_ms: Option<i64>, now_ms: i64) -> bool {
        let exempt = matches!(
            meta.thanos.source,
            Source::Compactor | Source::CompactorRepair | Source::BucketRepair
        );
        !exempt
            && age_ms(uploaded_at_ms(meta, meta_modified_ms, now_ms), now_ms)
                < self.consistency_delay_ms
    }

    /// How long ago the block was marked: from the later of the mark's time and its object's
    /// modification time, so that neither a marker whose clock is behind nor a replicated old mark
    /// shortens the delay (BC-18).
    #[must_use]
    pub fn mark_age_ms(mark: &DeletionMark, object_modified_ms: Option<i64>, now_ms: i64) -> i64 {
        age_ms(
            mark.time_ms().max(object_modified_ms.unwrap_or(i64::MIN)),
            now_ms,
        )
    }

    /// Whether readers may drop a block that was marked so long ago, if its successor is there (BC-5).
    #[must_use]
    pub fn may_ignore(&self, mark_age_ms: i64) -> bool {
        mark_age_ms > self.ignore_delay_ms
    }

    /// Whether the objects of a block that was marked so long ago may go (BC-6).
    #[must_use]
    pub fn may_delete(&self, mark_age_ms: i64) -> bool {
        mark_age_ms > self.delete_delay_ms
    }

    /// Whether a partial block may be removed (BC-3). `newest_object_ms` is the latest modification
    /// time among its objects; where the provider tells none, the block stays.
    #[must_use]
    pub fn partial_due(&self, newest_object_ms: Option<i64>, now_ms: i64) -> bool {
        newest_object_ms.is_some_and(|newest| age_ms(newest, now_ms) > self.partial_age_ms)
    }

    /// Whether an upload that began then must be given up and started anew (BC-3).
    #[must_use]
    pub fn upload_expired(&self, started_ms: i64, now_ms: i64) -> bool {
        age_ms(started_ms, now_ms) > self.partial_age_ms / 2
    }

    /// How old a view of the bucket may be and still be served (BC-17). Where the delays leave no
    /// room, which `check` has reported, two sync intervals: else nothing would ever be served.
    #[must_use]
    pub fn max_view_age_ms(&self) -> i64 {
        self.delete_delay_ms
            .saturating_sub(self.ignore_delay_ms)
            .saturating_sub(self.sync_interval_ms)
            .max(self.sync_interval_ms.saturating_mul(2))
    }

    /// Whether the own clock and the bucket's are close enough for deletion to go on (BC-18).
    #[must_use]
    pub fn clocks_agree(&self, own_ms: i64, bucket_ms: i64) -> bool {
        own_ms.abs_diff(bucket_ms) <= self.clock_bound_ms.unsigned_abs()
    }
}

/// A length of time in ms as Prometheus writes it.
struct Span(i64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.unsigned_abs();
        if rest == 0 {
            return f.write_str("0s");
        }
        if self.0 < 0 {
            f.write_str("-")?;
        }
        for (unit, name) in [
            (86_400_000, "d"),
            (3_600_000, "h"),
            (60_000, "m"),
            (1_000, "s"),
            (1, "ms"),
        ] {
            if rest >= unit {
                write!(f, "{}{name}", rest / unit)?;
                rest %= unit;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
