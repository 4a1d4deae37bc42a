//! A rate of requests, as a bucket of tokens.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// How many requests are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    /// One for each.
    pub(super) interval: Duration,
    /// And so many at once.
    pub(super) burst: u32,
}

/// Counts requests against a rate.
#[derive(Debug)]
pub(super) struct RateLimit {
    rate: Rate,
    /// Tokens that were there, and when.
    left: Mutex<(f64, Instant)>,
}

impl RateLimit {
    pub(super) fn new(rate: Rate) -> Self {
        let left = Mutex::new((f64::from(rate.burst), Instant::now()));
        Self { rate, left }
    }

    /// Whether one more is taken now.
    pub(super) fn allows(&self) -> bool {
        let now = Instant::now();
        let mut left = self.left.lock();
        let (tokens, since) = *left;
        let came = now
            .duration_since(since)
            .div_duration_f64(self.rate.interval);
        let tokens = f64::from(self.rate.burst).min(tokens + came);
        let is_taken = tokens >= 1.0;
        *left = (if is_taken { tokens - 1.0 } else { tokens }, now);
        is_taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_taken_and_then_one_each_interval() {
        let (interval, burst) = (Duration::from_secs(1), 3);
        let limit = RateLimit::new(Rate { interval, burst });
        let taken = || (0..5).filter(|_| limit.allows()).count();
        assert_eq!(taken(), 3);
        tokio::time::advance(interval).await;
        assert_eq!(taken(), 1);
        tokio::time::advance(interval * 100).await;
        assert_eq!(taken(), 3);
    }
}
