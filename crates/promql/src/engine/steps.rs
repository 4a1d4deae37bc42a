//! The times at which an expression is evaluated.

use super::{Error, MAX_STEPS, Result};

/// The times that are looked at lie between this and its negative, ms: far beyond all samples, and far from
/// where numbers end.
pub const MAX_TIME_MS: i64 = i64::MAX / 4;

/// Evenly spaced times, one at least, ms since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Steps {
    pub(crate) start: i64,
    /// Not before `start`; the last step may lie before it.
    pub(crate) end: i64,
    /// Positive.
    pub(crate) interval: i64,
    /// Whether this is one time of an instant query, whose step is 0 to who asks.
    pub(crate) instant: bool,
}

impl Steps {
    pub(crate) fn one(time_ms: i64) -> Result<Self> {
        require_time(time_ms)?;
        Ok(Self {
            start: time_ms,
            end: time_ms,
            interval: 1,
            instant: true,
        })
    }

    pub(crate) fn range(start: i64, end: i64, interval: i64) -> Result<Self> {
        if interval <= 0 {
            return Err(Error::invalid("the step of a range query must be positive"));
        }
        if end < start {
            return Err(Error::invalid(
                "the end of a range query lies before its start",
            ));
        }
        require_time(start)?;
        require_time(end)?;
        if (end - start) / interval > MAX_STEPS {
            return Err(Error::invalid(
                "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the \
                 query resolution (?step=XX)",
            ));
        }
        Ok(Self {
            start,
            end,
            interval,
            instant: false,
        })
    }

    /// The same times without a bound on their number: those of a subquery.
    pub(crate) fn inner(start: i64, end: i64, interval: i64) -> Self {
        Self {
            start,
            end: end.max(start),
            interval: interval.max(1),
            instant: false,
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        ((self.end - self.start) / self.interval) as usize + 1
    }

    pub(crate) fn time(&self, step: usize) -> i64 {
        self.start + step as i64 * self.interval
    }

    pub(crate) fn times(&self) -> impl Iterator<Item = i64> + use<> {
        let steps = *self;
        (0..steps.len()).map(move |step| steps.time(step))
    }

    /// The step as `step()` and hints have it: 0 for an instant query.
    pub(crate) fn step_ms(&self) -> i64 {
        if self.instant { 0 } else { self.interval }
    }
}

fn require_time(time_ms: i64) -> Result<()> {
    if (-MAX_TIME_MS..=MAX_TIME_MS).contains(&time_ms) {
        Ok(())
    } else {
        Err(Error::invalid("the time of the query is out of range"))
    }
}
