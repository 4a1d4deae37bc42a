//! Writing and removing marks.

use bytes::Bytes;
use rutile_block::{BlockId, InvariantId, Mark, MarkKind, mark_key};
use rutile_model::ErrorKind;
use rutile_objstore::PutMode;

use crate::error::Step;
use crate::verify::FoundMark;
use crate::{Lifecycle, Result};

/// What became of a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marked {
    /// It was written.
    Written,
    /// There was one already; it keeps its time.
    Already,
    /// There was a torn one; it was written again, and its time begins now (BC-11).
    Repaired,
}

/// Whether a block may be an input of a merge, as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is there and carries no deletion mark.
    Unmarked,
    /// It is marked as replaced by another block.
    Replaced,
    /// Retention marked it: what was downsampled of it stays.
    Expired,
    /// It carries another deletion mark, or one that cannot be read.
    Marked,
    /// It has no `meta.json` any more.
    Gone,
}

impl Lifecycle {
    /// Looks at a block again, before and after something is made of it (BC-14, BC-15).
    ///
    /// # Errors
    /// Whatever keeps the bucket from answering.
    pub async fn standing(&self, id: BlockId) -> Result<Standing> {
        let step = Step {
            operation: "look at",
            block: id,
        };
        // First the mark: a deletion takes it last.
        match self.find_mark(step, MarkKind::Deletion).await? {
            FoundMark::Absent => {}
            FoundMark::Whole(Mark::Deletion(mark), _) if mark.needs_successor() => {
                return Ok(Standing::Replaced);
            }
            FoundMark::Whole(Mark::Deletion(mark), _) if mark.is_by_retention() => {
                return Ok(Standing::Expired);
            }
            FoundMark::Whole(..) | FoundMark::Torn | FoundMark::UnknownVersion => {
                return Ok(Standing::Marked);
            }
        }
        Ok(match self.has_meta(step).await? {
            true => Standing::Unmarked,
            false => Standing::Gone,
        })
    }

    /// Marks a block for deletion. `details` says why; see [`rutile_block::details`].
    ///
    /// # Errors
    /// `NotFound` when there is no such block (a mark in an empty folder would stay for ever),
    /// `Unsupported` when it carries a mark of a version that is not known.
    pub async fn mark_deletion(&self, id: BlockId, details: &str) -> Result<Marked> {
        self.mark(id, MarkKind::Deletion, "", details).await
    }

    /// Excludes a block from compactions. For `reason` see [`rutile_block::reason`].
    ///
    /// # Errors
    /// As [`Lifecycle::mark_deletion`].
    pub async fn mark_no_compact(
        &self,
        id: BlockId,
        reason: &str,
        details: &str,
    ) -> Result<Marked> {
        self.mark(id, MarkKind::NoCompact, reason, details).await
    }

    /// Excludes a block from downsampling.
    ///
    /// # Errors
    /// As [`Lifecycle::mark_deletion`].
    pub async fn mark_no_downsample(
        &self,
        id: BlockId,
        reason: &str,
        details: &str,
    ) -> Result<Marked> {
        self.mark(id, MarkKind::NoDownsample, reason, details).await
    }

    /// Ends what the mark of a replaced block promises, when what replaced it goes too. With `details`
    /// the block goes for that reason, and its delay begins anew; without, it is given back and counts
    /// again. Nothing happens to a block whose mark needs no replacement. Whether anything did.
    ///
    /// # Errors
    /// Whatever keeps the bucket from answering.
    pub async fn bereave(&self, id: BlockId, details: Option<&str>) -> Result<bool> {
        let step = Step {
            operation: "mark",
            block: id,
        };
        let found = self.find_mark(step, MarkKind::Deletion).await?;
        let FoundMark::Whole(Mark::Deletion(mark), _) = found else {
            return Ok(false);
        };
        if !mark.needs_successor() {
            return Ok(false);
        }
        let key = mark_key(id, MarkKind::Deletion);
        let changed = match details {
            // In one request: between two the block would count again.
            Some(details) => {
                let mark = Mark::new(MarkKind::Deletion, id, "", details, self.clock.now_ms());
                let body = Bytes::from(mark.to_json());
                self.bucket.put(&key, body, PutMode::Overwrite).await
            }
            None => self.bucket.delete(&key).await,
        };
        changed.map_err(|e| step.bucket(e))?;
        Ok(true)
    }

    /// Takes a mark off a block that is to stay; whether there was one. See [`Lifecycle::remove_mark`] for one
    /// that goes all the same.
    ///
    /// A cleaner that has read a deletion mark cannot be called back. *Otherwise:* it stands still right before
    /// its first request; somebody takes the mark off and relies on the block; the cleaner wakes (BC-6).
    ///
    /// # Errors
    /// `Unavailable` while a compactor deletes the block: its deletion mark stays, unless the two
    /// began at the same moment, which the message says. Whatever keeps the bucket from answering.
    pub async fn unmark(&self, id: BlockId, kind: MarkKind) -> Result<bool> {
        if kind != MarkKind::Deletion {
            return self.remove_mark(id, kind).await;
        }
        let step = Step {
            operation: "unmark",
            block: id,
        };
        self.require_not_being_removed(step).await?;
        let removed = self.remove_mark(id, kind).await?;
        if let Err(error) = self.require_not_being_removed(step).await {
            let message = format!("its mark is gone, and it may be deleted all the same: {error}");
            return Err(step.error(error.kind(), message));
        }
        Ok(removed)
    }

    /// Removes a mark; whether there was one.
    ///
    /// # Errors
    /// Whatever keeps the bucket from answering.
    pub async fn remove_mark(&self, id: BlockId, kind: MarkKind) -> Result<bool> {
        let step = Step {
            operation: "unmark",
            block: id,
        };
        let key = mark_key(id, kind);
        if self.attributes(step, &key).await?.is_none() {
            return Ok(false);
        }
        self.bucket.delete(&key).await.map_err(|e| step.bucket(e))?;
        Ok(true)
    }

    async fn mark(
        &self,
        id: BlockId,
        kind: MarkKind,
        reason: &str,
        details: &str,
    ) -> Result<Marked> {
        let step = Step {
            operation: "mark",
            block: id,
        };
        let outcome = match self.find_mark(step, kind).await? {
            FoundMark::Whole(..) => return Ok(Marked::Already),
            FoundMark::UnknownVersion => {
                let message =
                    format!("its {kind} has a version that is not known: it is left alone");
                return Err(step.error(ErrorKind::Unsupported, message));
            }
            FoundMark::Torn => {
                self.event(InvariantId::Bc11);
                Marked::Repaired
            }
            FoundMark::Absent => Marked::Written,
        };
        if !self.has_meta(step).await? {
            return Err(step.error(ErrorKind::NotFound, "there is no such block"));
        }
        let mark = Mark::new(kind, id, reason, details, self.clock.now_ms());
        let key = mark_key(id, kind);
        let put = self
            .bucket
            .put(&key, Bytes::from(mark.to_json()), PutMode::Overwrite);
        put.await.map_err(|e| step.bucket(e))?;
        // The block may have been deleted since it was looked for: then the mark is all there is,
        // and nobody would ever remove it.
        let objects = self.objects(step).await?;
        if objects
            .keys()
            .all(|path| MarkKind::from_file_name(path).is_some())
        {
            self.bucket.delete(&key).await.map_err(|e| step.bucket(e))?;
            return Err(step.error(ErrorKind::NotFound, "it was deleted meanwhile"));
        }
        Ok(outcome)
    }
}
