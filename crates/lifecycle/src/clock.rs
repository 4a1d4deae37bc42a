//! Whether the own clock and the bucket's agree (BC-18).
//!
//! All delays before a deletion compare the own clock with times that the bucket or others wrote. A
//! clock that is a day ahead would delete what was marked a minute ago; so deletion pauses while
//! the two differ by more than the contract's bound. The bucket tells its time by stamping an
//! object, written for that purpose outside all blocks, where Thanos ignores it.

use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use rutile_block::InvariantId;
use rutile_model::ErrorKind;
use rutile_objstore::PutMode;
use tokio::time::Instant;

use crate::error::Step;
use crate::{Lifecycle, Result};

const KEY: &str = "rutile/clock";
/// A comparison is good for so long, by the monotonic clock.
const GOOD_FOR: Duration = Duration::from_secs(60);

/// The last comparison: when, and bucket time minus own time in ms.
#[derive(Debug, Default)]
pub(crate) struct BucketClock(Mutex<Option<Comparison>>);

#[derive(Debug, Clone, Copy)]
struct Comparison {
    at: Instant,
    own_ms: i64,
    bucket_ms: i64,
}

impl Lifecycle {
    /// Whether the own clock may decide what is too old: what a clock that is ahead marks stays marked
    /// when the clock is set right.
    ///
    /// # Errors
    /// `Unavailable` while the clocks differ (BC-18); whatever keeps the bucket from answering.
    pub async fn require_right_clock(&self) -> Result<()> {
        let step = Step::of_none("apply retention");
        self.require_agreeing_clocks(step).await
    }

    /// Refuses to go on while the clocks differ by more than the contract's bound.
    pub(crate) async fn require_agreeing_clocks(&self, step: Step) -> Result<()> {
        let Comparison {
            own_ms, bucket_ms, ..
        } = self.lately_compared(step).await?;
        if self.contract.clocks_agree(own_ms, bucket_ms) {
            return Ok(());
        }
        self.event(InvariantId::Bc18);
        let message = format!(
            "the own clock and the bucket's differ by {} s, more than {} s: nothing is deleted \
             until they agree; set this machine's clock",
            own_ms.abs_diff(bucket_ms) / 1000,
            self.contract.clock_bound_ms / 1000
        );
        Err(step.error(ErrorKind::Unavailable, message))
    }

    /// What the bucket's clock shows, or showed a moment ago, ms: ages by it are no greater than they are.
    pub(crate) async fn bucket_now_ms(&self, step: Step) -> Result<i64> {
        let Comparison { at, bucket_ms, .. } = self.lately_compared(step).await?;
        let passed = i64::try_from(at.elapsed().as_millis()).unwrap_or(i64::MAX);
        Ok(bucket_ms.saturating_add(passed))
    }

    async fn lately_compared(&self, step: Step) -> Result<Comparison> {
        let own_now_ms = self.clock.now_ms();
        let last = *self.bucket_clock.0.lock();
        // A wall clock that jumped makes an old comparison worthless, however recent.
        let good = last.filter(|c| {
            let passed = i64::try_from(c.at.elapsed().as_millis()).unwrap_or(i64::MAX);
            c.at.elapsed() < GOOD_FOR
                && self
                    .contract
                    .clocks_agree(own_now_ms, c.own_ms.saturating_add(passed))
        });
        match good {
            Some(comparison) => Ok(comparison),
            None => self.compare_clocks(step).await,
        }
    }

    async fn compare_clocks(&self, step: Step) -> Result<Comparison> {
        let body = Bytes::from_static(b"{}");
        self.bucket
            .put(KEY, body, PutMode::Overwrite)
            .await
            .map_err(|e| step.bucket(e))?;
        let attributes = self
            .bucket
            .attributes(KEY)
            .await
            .map_err(|e| step.bucket(e))?;
        let comparison = Comparison {
            at: Instant::now(),
            own_ms: self.clock.now_ms(),
            bucket_ms: attributes.last_modified_ms,
        };
        *self.bucket_clock.0.lock() = Some(comparison);
        Ok(comparison)
    }
}
