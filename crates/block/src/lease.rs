//! Leases: names of objects of our own by which compactors share work (BC-14), which Thanos ignores.
//!
//! All that a lease says stands in its key, so that one listing tells of all of them:
//! `rutile/leases/<group>/<window>/<epoch>` while somebody works on the blocks of a group that begin in a window of time, and
//! the same with `-free` when the work has ended.

use std::fmt;
use std::str::FromStr;

use crate::GroupKey;

/// Where leases lie.
pub const LEASES_PREFIX: &str = "rutile/leases/";
/// Length of the windows of time that the work of a group is split by, ms: no compaction yields a longer block.
pub const LEASE_WINDOW_MS: i64 = 14 * 24 * 3_600_000;

const FREE: &str = "-free";
/// No work has had so many leases: a greater number, which only a stranger can have written, leaves room for none after it.
const MAX_NUMBER: u64 = 1 << 62;

/// Work that one compactor does at a time: on the blocks of a group that begin in a window of time.
///
/// Groups whose names are the same by chance take turns.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Work {
    group: String,
    window_ms: i64,
}

impl Work {
    /// On the blocks that begin in the window of `time_ms`.
    #[must_use]
    pub fn new(group: &GroupKey, time_ms: i64) -> Self {
        Self {
            group: group.to_string(),
            window_ms: window_start(time_ms),
        }
    }

    /// The folder of its leases, with a `/` at its end.
    #[must_use]
    pub fn folder(&self) -> String {
        format!("{LEASES_PREFIX}{self}/")
    }
}

/// `<resolution>@<hash of the labels>/<start of the window, ms>`
impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.group, self.window_ms)
    }
}

/// Start of the window that a time lies in, ms.
#[must_use]
pub fn window_start(time_ms: i64) -> i64 {
    time_ms.saturating_sub(time_ms.rem_euclid(LEASE_WINDOW_MS))
}

/// What a lease says of its work. Later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch {
    /// Counts the leases of the work, from 1.
    pub number: u64,
    /// Whether somebody works; if not, the one before has ended.
    pub held: bool,
}

impl Epoch {
    /// The key of the lease.
    #[must_use]
    pub fn key(self, work: &Work) -> String {
        let free = if self.held { "" } else { FREE };
        format!("{}{:020}{free}", work.folder(), self.number)
    }
}

/// What a key says, if it is one of a lease.
#[must_use]
pub fn parse_lease_key(key: &str) -> Option<(Work, Epoch)> {
    let mut parts = key.strip_prefix(LEASES_PREFIX)?.split('/');
    let (group, window, epoch) = (parts.next()?, parts.next()?, parts.next()?);
    let number = epoch.strip_suffix(FREE);
    let epoch = Epoch {
        held: number.is_none(),
        number: u64::from_str(number.unwrap_or(epoch)).ok()?,
    };
    let work = Work {
        group: group.to_owned(),
        window_ms: window.parse().ok()?,
    };
    let is_lease = parts.next().is_none() && epoch.number <= MAX_NUMBER && epoch.key(&work) == key;
    is_lease.then_some((work, epoch))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work() -> Work {
        Work {
            group: "0@12345".to_owned(),
            window_ms: window_start(1_700_000_000_000),
        }
    }

    #[test]
    fn a_key_is_read_as_it_was_written() {
        for (held, end) in [
            (true, "/00000000000000000007"),
            (false, "/00000000000000000007-free"),
        ] {
            let epoch = Epoch { number: 7, held };
            let key = epoch.key(&work());
            assert!(key.starts_with("rutile/leases/0@12345/"), "{key}");
            assert!(key.ends_with(end), "{key}");
            assert_eq!(parse_lease_key(&key), Some((work(), epoch)));
        }
    }

    #[test]
    fn what_is_no_key_of_a_lease_is_none() {
        let folder = work().folder();
        for key in [
            "rutile/leases/",
            &folder,
            &format!("{folder}7"),
            &format!("{folder}0000000000000000000x"),
            &format!("{folder}00000000000000000007/8"),
            "rutile/leases/0@1/x/00000000000000000007",
            &format!("{folder}18446744073709551615"),
            &format!("{folder}18446744073709551614-free"),
            "rutile/removals/01M325V5VZTPJZD0W3J5QM16Q1",
        ] {
            assert_eq!(parse_lease_key(key), None, "{key}");
        }
    }

    #[test]
    fn windows_start_where_the_longest_blocks_do() {
        assert_eq!(window_start(0), 0);
        assert_eq!(window_start(LEASE_WINDOW_MS - 1), 0);
        assert_eq!(window_start(LEASE_WINDOW_MS), LEASE_WINDOW_MS);
        assert_eq!(window_start(-1), -LEASE_WINDOW_MS);
    }

    #[test]
    fn who_works_comes_after_who_has_ended() {
        let epoch = |number, held| Epoch { number, held };
        assert!(epoch(7, true) > epoch(7, false));
        assert!(epoch(8, false) > epoch(7, true));
    }
}
