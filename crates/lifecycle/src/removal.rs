//! Telling uploaders what is being removed (BC-6).
//!
//! A request to delete an object cannot be called back: a proxy may send it twice, and a process may stand
//! still right before it sends it. An object store deletes whatever has the name by then. *Otherwise:* a
//! cleaner stands still while it removes an old, partial block; the uploader comes back and uploads
//! the block again; the cleaner wakes, and the index of a committed block is gone.
//!
//! So who removes says so first, in an object of its own, and takes it back when its requests were
//! answered and the last of them can no longer be on its way. An uploader looks for such notices before its
//! first file and again before its commit: either it finds the notice, or the cleaner, whose look at the
//! block comes after its notice, finds the files. In the same way, who takes a deletion mark off looks before
//! and after.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures::StreamExt;
use rutile_block::{BlockId, InvariantId, MAX_REMOVAL_BYTES, REMOVALS_PREFIX, RemovalNotice};
use rutile_model::ErrorKind;
use rutile_objstore::{Depth, PutMode};

use crate::error::Step;
use crate::{Cleaned, Deleted, Lifecycle, Result};

/// For so long after its answer a request may still take effect again, ms.
const ECHO_MS: i64 = 5 * 60_000;

/// Leave to remove the blocks that a notice in the bucket names. Only through it are objects of
/// blocks removed.
#[derive(Debug)]
pub struct Removal {
    owner: Lifecycle,
    key: String,
    notice: RemovalNotice,
}

impl Lifecycle {
    /// Announces that `blocks` are about to be removed, under a name that nobody else uses.
    ///
    /// # Errors
    /// Whatever keeps the bucket from taking the notice: nothing may be removed then.
    pub async fn announce_removal(
        &self,
        name: BlockId,
        blocks: BTreeSet<BlockId>,
    ) -> Result<Removal> {
        let removal = Removal {
            owner: self.clone(),
            key: RemovalNotice::key(name),
            notice: RemovalNotice::new(blocks),
        };
        removal.put().await?;
        Ok(removal)
    }

    /// Takes away the notices of removals that are over, and those of processes that died long ago. How
    /// many there were.
    ///
    /// # Errors
    /// Whatever keeps the bucket from answering. A notice that cannot be read stays until it is old.
    pub async fn forget_removals(&self) -> Result<usize> {
        let step = Step::of_none("forget removals");
        let mut forgotten = 0;
        for key in self.removals(step).await? {
            let Some(notice) = self.notice(step, &key).await? else {
                continue;
            };
            if self.is_over(step, &key, notice.as_ref()).await? {
                self.bucket.delete(&key).await.map_err(|e| step.bucket(e))?;
                forgotten += 1;
            }
        }
        Ok(forgotten)
    }

    /// Refuses to go on with a block that somebody is removing.
    pub(crate) async fn require_not_being_removed(&self, step: Step) -> Result<()> {
        for key in self.removals(step).await? {
            let Some(notice) = self.notice(step, &key).await? else {
                continue;
            };
            // One that cannot be read may name this block as well as any other.
            let concerned = (notice.as_ref()).is_none_or(|n| n.blocks.contains(&step.block));
            if concerned && !self.is_over(step, &key, notice.as_ref()).await? {
                self.event(InvariantId::Bc6);
                let message = format!(
                    "a compactor is removing it (notice {key}): try again when that is over"
                );
                return Err(step.error(ErrorKind::Unavailable, message));
            }
        }
        Ok(())
    }

    /// The keys of all notices. Stores with folders show the folder itself, too.
    async fn removals(&self, step: Step) -> Result<Vec<String>> {
        let mut keys = Vec::new();
        let mut entries = self.bucket.list(REMOVALS_PREFIX, Depth::Recursive);
        while let Some(entry) = entries.next().await {
            let key = entry.map_err(|e| step.bucket(e))?.key;
            let name = key.strip_prefix(REMOVALS_PREFIX);
            if name.is_some_and(|name| name.parse::<BlockId>().is_ok()) {
                keys.push(key);
            }
        }
        Ok(keys)
    }

    /// What an object says: nothing if it is no notice that can be read. None if it is gone.
    async fn notice(&self, step: Step, key: &str) -> Result<Option<Option<RemovalNotice>>> {
        match self.bucket.get(key, MAX_REMOVAL_BYTES).await {
            Ok(bytes) => Ok(Some(RemovalNotice::parse(key, &bytes).ok())),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) if error.kind() == ErrorKind::Exhausted => Ok(Some(None)),
            Err(error) => Err(step.bucket(error)),
        }
    }

    /// Whether no request of a removal can take effect any more: it ended a while ago, or the process
    /// that announced it has neither ended it nor come back for longer than any process stands still.
    async fn is_over(&self, step: Step, key: &str, notice: Option<&RemovalNotice>) -> Result<bool> {
        let age_ms = async |since_ms| {
            let now_ms = self.bucket_now_ms(step).await?;
            Ok(now_ms.saturating_sub(since_ms))
        };
        if let Some(ended_ms) = notice.and_then(|notice| notice.ended_ms)
            && age_ms(ended_ms).await? > ECHO_MS
        {
            return Ok(true);
        }
        let Some(attributes) = self.attributes(step, key).await? else {
            return Ok(true);
        };
        let longest_ms = self.contract.delete_delay_ms + self.contract.partial_age_ms;
        Ok(age_ms(attributes.last_modified_ms).await? > longest_ms)
    }
}

impl Removal {
    /// Deletes a marked block whose delete delay has passed. `successor` is a block that holds its
    /// sources; it is looked at again here, and must be whole.
    ///
    /// # Errors
    /// `Invalid` when the block is not marked, or not long enough, or was replaced and no
    /// `successor` is given that holds its sources; `Corrupt` when that one is not whole;
    /// `Unsupported` for a mark of unknown version; `Unavailable` while the clocks differ (BC-18).
    /// Nothing was deleted then. Other errors leave an interrupted deletion: call again.
    pub async fn delete(&self, id: BlockId, successor: Option<BlockId>) -> Result<Deleted> {
        let step = self.step("delete", id)?;
        self.owner.delete(step, successor).await
    }

    /// Removes a block without `meta.json`, if it is time: the rest of an interrupted deletion when
    /// its mark is due and nothing is newer than the mark, anything else when its newest object is
    /// older than the partial age. Everything is looked at anew; no earlier view counts (P6).
    ///
    /// # Errors
    /// Whatever keeps the bucket from answering; `Unavailable` while the clocks differ (BC-18).
    pub async fn clean_partial(&self, id: BlockId) -> Result<Cleaned> {
        let step = self.step("clean", id)?;
        self.owner.clean_partial(step).await
    }

    /// Says that nothing more is removed. Without it, uploads of the blocks wait until the notice is old.
    ///
    /// # Errors
    /// Whatever keeps the bucket from taking it.
    pub async fn end(mut self) -> Result<()> {
        let step = Step::of_none("end a removal");
        self.notice.ended_ms = Some(self.owner.bucket_now_ms(step).await?);
        self.put().await
    }

    async fn put(&self) -> Result<()> {
        let step = Step::of_none("announce a removal");
        let body = Bytes::from(self.notice.to_json());
        let put = self.owner.bucket.put(&self.key, body, PutMode::Overwrite);
        put.await.map_err(|e| step.bucket(e))
    }

    fn step(&self, operation: &'static str, block: BlockId) -> Result<Step> {
        let step = Step { operation, block };
        if self.notice.blocks.contains(&block) {
            return Ok(step);
        }
        let message = "its removal was not announced";
        Err(step.error(ErrorKind::Invalid, message))
    }
}
