//! Sharing work among compactors (BC-14).
//!
//! Who works creates the next epoch of the work's lease, which only one can, and creates another one from time to time as long
//! as it works. An epoch that an observer sees unchanged for the length of a lease, by its own monotonic clock, is over: its
//! holder, which counts from before it created it, has stopped by then. *Otherwise:* clocks that differ, or jump, make two
//! holders.
//!
//! Leases save work and protect nothing: a holder that stood still may go on beside its successor. What two of them make of
//! the same blocks is kept in order by the looks at the inputs before and after a commit.
//!
//! A view of the bucket is older than a lease that is claimed by it. So the end of work leaves an epoch behind that says so:
//! whoever finds another epoch than when it looked at the bucket has to look again. *Otherwise:* work is done again that
//! another one has just finished.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use parking_lot::Mutex;
use rutile_block::{BlockId, Epoch, LEASES_PREFIX, Work, parse_lease_key};
use rutile_model::ErrorKind;
use rutile_objstore::{Depth, PutMode, probe};
use tokio::time::Instant;

use crate::error::Step;
use crate::{Lifecycle, Result};

/// Length of a lease by default.
pub const DEFAULT_LEASE: Duration = Duration::from_secs(60);

/// A lease is renewed when this part of its length has passed.
const RENEWED_AFTER: u32 = 4;
/// What is older says nothing of work that anybody remembers, ms. No view is older that work is claimed by.
const FORGOTTEN_MS: i64 = 3_600_000;
/// No lease has more bytes.
const MAX_BYTES: u64 = 4096;

/// The leases of one bucket, for one process. Clones share them.
#[derive(Debug, Clone)]
pub struct Leases {
    lifecycle: Lifecycle,
    /// What this process writes into its leases.
    name: BlockId,
    length: Duration,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// The newest epoch of each work, and since when it was seen.
    seen: BTreeMap<Work, (Epoch, Instant)>,
    /// What this process works on.
    held: BTreeMap<Work, u64>,
}

/// What the leases were before a look at the bucket.
#[derive(Debug, Clone)]
pub struct Leased {
    at: Instant,
    newest: BTreeMap<Work, Epoch>,
}

/// The answer to a claim.
#[derive(Debug)]
pub enum Claim {
    /// Work on.
    Granted(Box<Lease>),
    /// Somebody else works on it.
    Held,
    /// Somebody else has worked on it since the look at the bucket: look again.
    Outdated,
}

/// Leave to work.
#[derive(Debug)]
pub struct Lease {
    leases: Leases,
    work: Work,
    number: u64,
    /// Since before its present epoch was created.
    since: Instant,
}

impl Leases {
    /// Leases of this length, with the name of a process that nobody else has. The bucket must create objects only where there
    /// are none, by one writer at a time.
    #[must_use]
    pub fn new(lifecycle: Lifecycle, name: BlockId, length: Duration) -> Self {
        Self {
            lifecycle,
            name,
            length,
            state: Arc::default(),
        }
    }

    /// Length of a lease.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.length
    }

    /// Looks at all leases. Work may be claimed by what is seen of the bucket afterwards.
    ///
    /// # Errors
    /// Whatever keeps the bucket from answering.
    pub async fn look(&self) -> Result<Leased> {
        let at = Instant::now();
        let mut newest: BTreeMap<Work, Epoch> = BTreeMap::new();
        for (work, epoch) in self.list(LEASES_PREFIX).await? {
            let newest = newest.entry(work).or_insert(epoch);
            *newest = epoch.max(*newest);
        }
        let seen = &mut self.state.lock().seen;
        let now = Instant::now();
        *seen = { newest.iter() }
            .map(|(work, epoch)| {
                let known = seen.get(work).filter(|(known, _)| known == epoch);
                (work.clone(), known.copied().unwrap_or((*epoch, now)))
            })
            .collect();
        Ok(Leased { at, newest })
    }

    /// Claims work that was found when the leases were so.
    ///
    /// # Errors
    /// Whatever keeps the bucket from answering.
    pub async fn claim(&self, work: &Work, leased: &Leased) -> Result<Claim> {
        let folder = work.folder();
        let before = self.epochs(&folder).await?;
        let newest = before.last().copied();
        let forgotten = Duration::from_millis(FORGOTTEN_MS.unsigned_abs());
        let outdated =
            newest != leased.newest.get(work).copied() || leased.at.elapsed() > forgotten;
        match newest {
            Some(epoch) if epoch.held && !self.is_over(work, epoch) => return Ok(Claim::Held),
            _ if outdated => return Ok(Claim::Outdated),
            _ => {}
        }
        let (number, since) = (newest.map_or(0, |epoch| epoch.number) + 1, Instant::now());
        let mine = Epoch { number, held: true };
        if !self.create(work, mine).await? {
            return Ok(Claim::Held);
        }
        let now = self.epochs(&folder).await?;
        // Somebody began with a number that was free for it because the ones before were removed.
        if now
            .iter()
            .any(|epoch| *epoch != mine && !before.contains(epoch))
        {
            self.delete(work, mine).await?;
            return Ok(Claim::Held);
        }
        self.state.lock().held.insert(work.clone(), number);
        for epoch in before {
            self.delete(work, epoch).await?;
        }
        Ok(Claim::Granted(Box::new(Lease {
            leases: self.clone(),
            work: work.clone(),
            number,
            since,
        })))
    }

    /// Ends all work of this process, for one that stops.
    ///
    /// # Errors
    /// Whatever keeps the bucket from answering: what is left is over after the length of a lease.
    pub async fn release_all(&self) -> Result<()> {
        let held = std::mem::take(&mut self.state.lock().held);
        for (work, number) in held {
            self.release(&work, number).await?;
        }
        Ok(())
    }

    /// Whether an epoch was seen for so long that its holder has stopped.
    fn is_over(&self, work: &Work, epoch: Epoch) -> bool {
        let state = self.state.lock();
        let seen = state.seen.get(work).filter(|(seen, _)| *seen == epoch);
        seen.is_some_and(|(_, since)| since.elapsed() >= self.length)
    }

    /// Whether the lease is this process's now.
    async fn create(&self, work: &Work, epoch: Epoch) -> Result<bool> {
        let step = Step::of_none("claim work");
        let (key, body) = (epoch.key(work), self.body());
        let bucket = &self.lifecycle.bucket;
        match bucket.put(&key, body.clone(), PutMode::Create).await {
            Ok(()) => Ok(true),
            // A request whose answer was lost may have been sent again.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                match bucket.get(&key, MAX_BYTES).await {
                    Ok(there) => Ok(there == body),
                    Err(error) if error.is_not_found() => Ok(false),
                    Err(error) => Err(step.bucket(error)),
                }
            }
            Err(error) => Err(step.bucket(error)),
        }
    }

    async fn release(&self, work: &Work, number: u64) -> Result<()> {
        let step = Step::of_none("release work");
        let free = Epoch {
            number: number + 1,
            held: false,
        };
        let (bucket, key) = (&self.lifecycle.bucket, free.key(work));
        let put = bucket.put(&key, self.body(), PutMode::Overwrite);
        put.await.map_err(|e| step.bucket(e))?;
        self.delete(work, Epoch { number, held: true }).await
    }

    fn body(&self) -> Bytes {
        format!("{{\"version\":1,\"owner\":\"{}\"}}", self.name).into()
    }

    async fn delete(&self, work: &Work, epoch: Epoch) -> Result<()> {
        let step = Step::of_none("take back a lease");
        let deleted = self.lifecycle.bucket.delete(&epoch.key(work)).await;
        deleted.map_err(|e| step.bucket(e))
    }

    async fn epochs(&self, folder: &str) -> Result<BTreeSet<Epoch>> {
        let listed = self.list(folder).await?;
        Ok(listed.into_iter().map(|(_, epoch)| epoch).collect())
    }

    async fn list(&self, folder: &str) -> Result<Vec<(Work, Epoch)>> {
        let step = Step::of_none("look for leases");
        let keys = self.lifecycle.keys(step, folder).await?;
        Ok(keys.iter().filter_map(|key| parse_lease_key(key)).collect())
    }
}

impl Lifecycle {
    /// Removes leases that ended, or were left behind, long ago, and what probes left behind. How many objects there were.
    ///
    /// # Errors
    /// Whatever keeps the bucket from answering.
    pub async fn forget_leases(&self) -> Result<usize> {
        let step = Step::of_none("forget leases");
        let mut found = self.keys(step, probe::FOLDER).await?;
        let leases = self.keys(step, LEASES_PREFIX).await?.into_iter();
        found.extend(leases.filter(|key| parse_lease_key(key).is_some()));
        let mut forgotten = 0;
        for key in found {
            let Some(attributes) = self.attributes(step, &key).await? else {
                continue;
            };
            // A holder that lives has just created its epoch.
            let age_ms = self
                .bucket_now_ms(step)
                .await?
                .saturating_sub(attributes.last_modified_ms);
            if age_ms > FORGOTTEN_MS {
                self.bucket.delete(&key).await.map_err(|e| step.bucket(e))?;
                forgotten += 1;
            }
        }
        Ok(forgotten)
    }

    async fn keys(&self, step: Step, folder: &str) -> Result<Vec<String>> {
        let mut entries = self.bucket.list(folder, Depth::Recursive);
        let mut keys = Vec::new();
        while let Some(entry) = entries.next().await {
            keys.push(entry.map_err(|e| step.bucket(e))?.key);
        }
        Ok(keys)
    }
}

impl Lease {
    /// Renews the lease for as long as it can. Work goes on beside this future, and must stop when it ends: then the lease is
    /// lost.
    pub async fn keep(&mut self) {
        let length = self.leases.length;
        loop {
            let pause = (length / RENEWED_AFTER).saturating_sub(self.since.elapsed());
            tokio::time::sleep(pause).await;
            let renewed = tokio::time::timeout_at(self.since + length, self.renew());
            match renewed.await {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) | Err(_) => break,
                Ok(Err(error)) => {
                    tracing::debug!(work = %self.work, %error, "a lease is not renewed yet");
                    tokio::time::sleep(length / (2 * RENEWED_AFTER)).await;
                }
            }
            if self.since.elapsed() >= length {
                break;
            }
        }
        self.leases.state.lock().held.remove(&self.work);
    }

    /// Says that the work has ended, so that others need not wait.
    ///
    /// # Errors
    /// Whatever keeps the bucket from answering: others wait for the length of a lease then.
    pub async fn release(self) -> Result<()> {
        self.leases.state.lock().held.remove(&self.work);
        self.leases.release(&self.work, self.number).await
    }

    /// Whether it is still there.
    async fn renew(&mut self) -> Result<bool> {
        let since = Instant::now();
        let (leases, work) = (&self.leases, &self.work);
        let before = Epoch {
            number: self.number,
            held: true,
        };
        let next = Epoch {
            number: self.number + 1,
            ..before
        };
        if !leases.create(work, next).await? {
            return Ok(false);
        }
        // One that stood still, even with its clock, finds a number free that its successor has used and removed.
        if leases.epochs(&work.folder()).await?.last() > Some(&next) {
            leases.delete(work, next).await?;
            return Ok(false);
        }
        (self.number, self.since) = (next.number, since);
        leases.state.lock().held.insert(work.clone(), next.number);
        leases.delete(work, before).await?;
        Ok(true)
    }
}
