//! Sharing the work with other compactors, through the leases of `lifecycle` (BC-14).
//!
//! Merges and downsampling are claimed, window by window of a group; marking, deleting and cleaning up are not: doing these twice
//! costs a request, and waiting for who has died would cost more.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rutile_block::Work;
use rutile_lifecycle::{Claim, Lease, Leased, Leases};
use rutile_model::ErrorKind;
use rutile_objstore::Bucket;
use rutile_objstore::probe::{self, ConditionalCreate};
use rutile_runtime::Entropy;

use crate::{Compactor, Error, Result};

/// Between two tries of what the bucket guarantees: a minute in all.
const PROBE_PAUSES: [Duration; 6] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(4),
    Duration::from_secs(10),
    Duration::from_secs(15),
    Duration::from_secs(30),
];

/// Whether something may be worked on.
#[derive(Debug)]
pub(crate) enum Turn<T> {
    /// It was worked on, with this outcome.
    Taken(T),
    /// Another compactor is at it.
    Held,
    /// Another compactor has been at it since the look at the bucket.
    Outdated,
}

/// What to do so that several compactors may work on a bucket: leases of this length, if the bucket can tell who was first.
/// Tries that out, and tells of what it finds.
///
/// # Errors
/// A failure that does not pass: to go on without leases beside compactors that have them would do their work twice.
pub(crate) async fn lease_length(
    bucket: &Arc<dyn Bucket>,
    entropy: &dyn Entropy,
    wanted: Duration,
) -> Result<Option<Duration>, rutile_objstore::Error> {
    let shares = "one compactor may look after a block at a time: give several ones shares that do not overlap, by --selector.relabel-config";
    if wanted.is_zero() {
        tracing::info!("{shares}, or set --compact.lease-duration");
        return Ok(None);
    }
    match try_out(bucket, entropy).await {
        Ok(ConditionalCreate::Atomic) => {
            tracing::info!(lease = ?wanted, "work is shared with other compactors on this bucket");
            Ok(Some(wanted))
        }
        Ok(found) => {
            tracing::warn!(
                "{shares}: conditional create of this bucket is {found}, so work cannot be shared"
            );
            Ok(None)
        }
        Err(error) if matches!(error.kind(), ErrorKind::Denied | ErrorKind::Unsupported) => {
            tracing::warn!(%error, "{shares}: the bucket does not tell whether work can be shared");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Asks some sixty things: of a bucket that fails now and then, one of them does.
async fn try_out(
    bucket: &Arc<dyn Bucket>,
    entropy: &dyn Entropy,
) -> Result<ConditionalCreate, rutile_objstore::Error> {
    for pause in PROBE_PAUSES {
        match probe::conditional_create(&**bucket, entropy).await {
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                tracing::warn!(%error, "the bucket does not tell yet whether work can be shared");
            }
            found => return found,
        }
        tokio::time::sleep(pause).await;
    }
    probe::conditional_create(&**bucket, entropy).await
}

impl Compactor {
    /// The leases, before a look at the bucket; none of a compactor that works alone.
    pub(crate) async fn look_at_leases(&self) -> Result<Option<Leased>> {
        match &self.leases {
            Some(leases) => Ok(Some(leases.look().await?)),
            None => Ok(None),
        }
    }

    /// Does something while nobody else does, if nobody has done it since the look at the bucket before which the leases were
    /// so. It is dropped when the lease is lost.
    pub(crate) async fn take_turn<T>(
        &self,
        work: &Work,
        leased: Option<&Leased>,
        task: Pin<Box<dyn Future<Output = Result<T>> + Send + '_>>,
    ) -> Result<Turn<T>> {
        let (Some(leases), Some(leased)) = (&self.leases, leased) else {
            return task.await.map(Turn::Taken);
        };
        let claims = &self.metrics.claims;
        let claim = leases.claim(work, leased).await?;
        let (outcome, turn) = match claim {
            Claim::Granted(lease) => {
                claims.with_label_values(&["granted"]).inc();
                return self.hold(lease, work, task).await.map(Turn::Taken);
            }
            Claim::Held => ("held", Turn::Held),
            Claim::Outdated => ("outdated", Turn::Outdated),
        };
        claims.with_label_values(&[outcome]).inc();
        Ok(turn)
    }

    async fn hold<T>(
        &self,
        mut lease: Box<Lease>,
        work: &Work,
        task: Pin<Box<dyn Future<Output = Result<T>> + Send + '_>>,
    ) -> Result<T> {
        let outcome = tokio::select! {
            // After a pause the lease comes first: what is lost is not worked on.
            biased;
            () = lease.keep() => {
                self.metrics.claims.with_label_values(&["lost"]).inc();
                return Err(Error::LeaseLost(work.to_string()));
            }
            outcome = task => outcome,
        };
        if let Err(error) = lease.release().await {
            tracing::warn!(%work, %error, "a lease is not released: others wait until it is over");
        }
        outcome
    }

    /// Length of the leases; none of a compactor that works alone.
    #[must_use]
    pub fn lease_length(&self) -> Option<Duration> {
        self.leases.as_ref().map(Leases::length)
    }

    /// Leaves what was begun to others, at once. For a process that ends.
    pub async fn leave(&self) {
        if let Some(leases) = &self.leases
            && let Err(error) = leases.release_all().await
        {
            tracing::warn!(%error, "leases are not released: others wait until they are over");
        }
    }
}

#[cfg(test)]
mod tests {
    use rutile_objstore::Operation;
    use rutile_objstore::fake::{Fault, FaultyBucket, MemoryBucket, Rule};
    use rutile_runtime::{ManualClock, SeededEntropy};

    use super::*;

    const WANTED: Duration = Duration::from_secs(9);

    async fn found(fault: Option<ErrorKind>, times: u64) -> Result<Option<Duration>, ErrorKind> {
        let memory = MemoryBucket::new(Arc::new(ManualClock::new(0)));
        let bucket = FaultyBucket::new(Arc::new(memory));
        if let Some(kind) = fault {
            let rule = Rule::new(Fault::FailBefore(kind)).on([Operation::Put]);
            bucket.add(rule.times(times));
        }
        let bucket: Arc<dyn Bucket> = Arc::new(bucket);
        let found = lease_length(&bucket, &SeededEntropy::new(1), WANTED).await;
        found.map_err(|error| error.kind())
    }

    #[tokio::test(start_paused = true)]
    async fn bc_14_work_is_shared_where_the_bucket_lets_only_one_create() {
        assert_eq!(found(None, 0).await, Ok(Some(WANTED)));
        for kind in [ErrorKind::Unsupported, ErrorKind::Denied] {
            assert_eq!(
                found(Some(kind), u64::MAX).await,
                Ok(None),
                "{kind}: it says so and works alone"
            );
        }
        // It must not work alone beside others that share, because the network failed at its start.
        let passing = ErrorKind::Unavailable;
        assert_eq!(found(Some(passing), 4).await, Ok(Some(WANTED)));
        assert_eq!(found(Some(passing), u64::MAX).await, Err(passing));
    }
}
