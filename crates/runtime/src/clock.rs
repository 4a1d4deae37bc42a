//! Wall time as an input.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Wall time in milliseconds since the Unix epoch.
///
/// It may jump in either direction; durations are measured with `tokio::time::Instant`.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The time now, in milliseconds since the Unix epoch.
    fn now_ms(&self) -> i64;
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        let now = SystemTime::now();
        match now.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
        }
    }
}

/// A moment by two clocks: the wall's, which says when it was, and a steady one, which nobody sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    wall_ms: i64,
    steady: Instant,
}

impl Moment {
    /// Now, when the wall's clock shows `wall_ms`.
    #[must_use]
    pub fn at(wall_ms: i64) -> Self {
        Self {
            wall_ms,
            steady: Instant::now(),
        }
    }

    /// Now.
    #[must_use]
    pub fn now(clock: &dyn Clock) -> Self {
        Self::at(clock.now_ms())
    }

    /// What the wall's clock showed, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn wall_ms(self) -> i64 {
        self.wall_ms
    }

    /// How many milliseconds before `now` this was, by the clock by which it is longer ago: the wall's
    /// may have been set back since, and the steady one stops while a machine is suspended.
    #[must_use]
    pub fn age_ms(self, now: Self) -> i64 {
        let steady = now.steady.saturating_duration_since(self.steady);
        let steady_ms = i64::try_from(steady.as_millis()).unwrap_or(i64::MAX);
        steady_ms.max(now.wall_ms.saturating_sub(self.wall_ms))
    }
}

impl Default for Moment {
    fn default() -> Self {
        Self::at(0)
    }
}

/// A clock that stands still until it is told otherwise.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `now_ms`.
    #[must_use]
    pub fn new(now_ms: i64) -> Self {
        Self(AtomicI64::new(now_ms))
    }

    /// Shows `now_ms` from here on, which may lie in the past.
    pub fn set(&self, now_ms: i64) {
        self.0.store(now_ms, Ordering::SeqCst);
    }

    /// Moves by `by_ms`, backwards when it is negative.
    pub fn advance(&self, by_ms: i64) {
        self.0.fetch_add(by_ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manual_clock_moves_only_when_told() {
        let clock = ManualClock::new(1_000);
        assert_eq!(clock.now_ms(), 1_000);
        clock.advance(500);
        assert_eq!(clock.now_ms(), 1_500);
        clock.advance(-600);
        assert_eq!(clock.now_ms(), 900);
        clock.set(-1);
        assert_eq!(clock.now_ms(), -1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_moment_is_as_old_as_the_slower_clock_says() {
        let clock = ManualClock::new(1_000);
        let moment = Moment::now(&clock);
        clock.advance(-500);
        tokio::time::advance(std::time::Duration::from_millis(30)).await;
        assert_eq!(moment.age_ms(Moment::now(&clock)), 30, "it was set back");
        clock.advance(540);
        assert_eq!(moment.age_ms(Moment::now(&clock)), 40, "the machine slept");
        assert_eq!(moment.wall_ms(), 1_000);
    }

    #[test]
    fn system_clock_is_past_2024() {
        assert!(SystemClock.now_ms() > 1_704_067_200_000);
    }
}
