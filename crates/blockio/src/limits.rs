//! The limits of one request.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use prometheus::IntCounter;

use crate::{Error, Result};

/// Counts what a request takes, over all its blocks, and fails it past a bound.
#[derive(Debug)]
pub struct Limiter {
    name: &'static str,
    allowed: u64,
    taken: AtomicU64,
    dropped: IntCounter,
    reported: AtomicBool,
}

impl Limiter {
    /// `allowed` = 0 means no limit. `dropped` counts the requests that the limit failed.
    #[must_use]
    pub fn new(name: &'static str, allowed: u64, dropped: IntCounter) -> Self {
        Self {
            name,
            allowed,
            taken: AtomicU64::new(0),
            dropped,
            reported: AtomicBool::new(false),
        }
    }

    /// Takes `amount`.
    ///
    /// # Errors
    /// [`Error::Limit`] once the sum is past the limit.
    pub fn take(&self, amount: u64) -> Result<()> {
        if self.allowed == 0 {
            return Ok(());
        }
        let got = self
            .taken
            .fetch_add(amount, Ordering::Relaxed)
            .saturating_add(amount);
        if got <= self.allowed {
            return Ok(());
        }
        if !self.reported.swap(true, Ordering::Relaxed) {
            self.dropped.inc();
        }
        Err(Error::Limit {
            limit: self.name,
            allowed: self.allowed,
            got,
        })
    }

    /// Gives back what was taken for work that was not done.
    pub fn give_back(&self, amount: u64) {
        if self.allowed > 0 {
            self.taken.fetch_sub(amount, Ordering::Relaxed);
        }
    }
}

/// The limits of one request.
#[derive(Debug)]
pub struct Limits {
    /// Series that the postings select.
    pub series: Limiter,
    /// Chunks that are read.
    pub chunks: Limiter,
    /// Bytes that are read from the bucket or from a cache.
    pub bytes: Limiter,
}

impl Limits {
    /// Limits that never fail, for readers that answer nobody's request.
    #[must_use]
    pub fn none() -> Self {
        let free = |name| {
            let dropped = IntCounter::new("dropped", "never incremented");
            Limiter::new(
                name,
                0,
                dropped.unwrap_or_else(|_| unreachable!("the name is valid")),
            )
        };
        Self {
            series: free("series"),
            chunks: free("chunks"),
            bytes: free("bytes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_fails_the_request_and_is_counted_once() {
        let dropped = IntCounter::new("dropped", "test").unwrap();
        let limiter = Limiter::new("series", 10, dropped.clone());
        limiter.take(10).unwrap();
        let error = limiter.take(1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "exceeded series limit: limit 10 violated (got 11)"
        );
        assert_eq!(error.kind(), rutile_model::ErrorKind::Exhausted);
        limiter.take(1).unwrap_err();
        assert_eq!(dropped.get(), 1);
        limiter.give_back(3);
        limiter.take(1).unwrap();
    }

    #[test]
    fn zero_is_no_limit() {
        Limits::none().bytes.take(u64::MAX).unwrap();
    }
}
