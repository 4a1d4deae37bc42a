//! What a Series call may send: `--store.limits.request-series` and `--store.limits.request-samples`.

use rutile_model::ErrorKind;
use rutile_telemetry::{IntCounterVec, Registry};

use crate::{Error, Result};

/// Samples that a chunk counts as.
const SAMPLES_PER_CHUNK: u64 = 120;

/// What a Series call may take; 0: no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallLimits {
    /// Series.
    pub series: u64,
    /// Samples, counted as 120 a chunk.
    pub samples: u64,
}

/// Counts what one call sends. A clone counts for another call, from what this one has counted.
#[derive(Debug, Clone)]
pub struct CallCounter {
    limits: CallLimits,
    series: u64,
    samples: u64,
    dropped: IntCounterVec,
}

impl CallLimits {
    /// Whether there is no limit at all.
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::default()
    }
}

impl CallCounter {
    /// Has counted nothing yet. Calls that a limit fails are counted in `registry`.
    #[must_use]
    pub fn new(limits: CallLimits, registry: &Registry) -> Self {
        Self {
            limits,
            series: 0,
            samples: 0,
            dropped: registry.int_counter_vec(
                "thanos_store_selects_dropped_total",
                "Series calls that a limit failed.",
                &["reason"],
            ),
        }
    }

    /// Counts a series with so many chunks.
    ///
    /// # Errors
    /// `Exhausted` beyond a limit; the message says which.
    pub fn add(&mut self, chunks: usize) -> Result<()> {
        self.series += 1;
        self.samples += chunks as u64 * SAMPLES_PER_CHUNK;
        let counts = [
            ("series", "series", self.series, self.limits.series),
            ("chunks", "samples", self.samples, self.limits.samples),
        ];
        for (reason, what, got, limit) in counts {
            if limit > 0 && got > limit {
                self.dropped.with_label_values(&[reason]).inc();
                let message = format!("failed to send {what}: limit {limit} violated (got {got})");
                return Err(Error::new(ErrorKind::Exhausted, message));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_told_and_counted() {
        let registry = Registry::new();
        let counter = |series, samples| CallCounter::new(CallLimits { series, samples }, &registry);
        let mut unlimited = counter(0, 0);
        unlimited.add(1_000_000).unwrap();
        let mut two = counter(2, 0);
        two.add(9).unwrap();
        two.add(9).unwrap();
        let error = two.add(0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exhausted);
        assert_eq!(
            error.to_string(),
            "failed to send series: limit 2 violated (got 3)"
        );
        let error = counter(0, 240).add(3).unwrap_err();
        assert_eq!(
            error.to_string(),
            "failed to send samples: limit 240 violated (got 360)"
        );
        let page = registry.render();
        for reason in ["series", "chunks"] {
            let line = format!("thanos_store_selects_dropped_total{{reason=\"{reason}\"}} 1");
            assert!(page.contains(&line), "{page}");
        }
    }
}
