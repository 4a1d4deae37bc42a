//! Removing what is left of uploads and deletions that were never finished (BC-3, BC-6, BC-16).

use rutile_block::{BlockId, InvariantId, META_FILE, MarkKind, parse_entry};
use rutile_model::ErrorKind;

use crate::delete::{Look, require_none_newer};
use crate::error::Step;
use crate::verify::FoundMark;
use crate::{Lifecycle, Result};

/// What became of a partial block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleaned {
    /// Its objects are gone.
    Removed,
    /// It stays for now.
    Kept(KeptBecause),
}

/// Why a partial block stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptBecause {
    /// It has a `meta.json` by now: its upload was finished.
    Committed,
    /// Its newest object, or the mark of its interrupted deletion, is too young, or the bucket does
    /// not tell how old it is.
    TooYoung,
    /// It carries a deletion mark of a version that is not known.
    UnknownMark,
}

/// What is found of a partial block.
#[derive(Debug)]
enum Examined {
    /// It is to stay.
    Kept(KeptBecause),
    /// Nothing but its folder, where a bucket shows folders.
    Empty,
    /// The rest of an upload that nobody is at any more.
    Abandoned(Look),
    /// The rest of a deletion.
    Interrupted(Look),
}

impl Lifecycle {
    /// Gives back the parts of uploads to blocks that nobody finished and nobody can still be at: an
    /// upload gives up at half the partial age (BC-3, BC-16). How many there were.
    ///
    /// # Errors
    /// As [`crate::Removal::clean_partial`]; of several the first one, after all were tried.
    pub async fn abort_dangling(&self) -> Result<usize> {
        let unknown = Step::of_none("clean up uploads");
        let uploads = self.bucket.unfinished_uploads().await;
        let uploads = uploads.map_err(|e| unknown.bucket(e))?;
        let now_ms = self.clock.now_ms();
        let mut aborted = Ok(0);
        for upload in uploads {
            // Others may keep other things in the bucket: their uploads are not ours to end.
            let Some(block) = upload
                .key
                .as_deref()
                .map_or(Some(unknown.block), parse_entry)
            else {
                continue;
            };
            if !self.contract.partial_due(Some(upload.started_ms), now_ms) {
                continue;
            }
            let step = Step { block, ..unknown };
            self.require_agreeing_clocks(step).await?;
            let ended = self.bucket.abort_unfinished(&upload).await;
            match (ended, &mut aborted) {
                (Ok(()), Ok(count)) => *count += 1,
                (Err(error), Ok(_)) => aborted = Err(step.bucket(error)),
                (_, Err(_)) => {}
            }
        }
        aborted
    }

    /// Why a block without `meta.json` is to stay for now; none if it is to be cleaned, which looks at
    /// everything anew.
    ///
    /// # Errors
    /// As [`crate::Removal::clean_partial`].
    pub async fn keeps_partial(&self, id: BlockId) -> Result<Option<KeptBecause>> {
        let step = Step {
            operation: "look at what is left of",
            block: id,
        };
        Ok(match self.examine(step).await? {
            Examined::Kept(because) => Some(because),
            Examined::Empty | Examined::Abandoned(_) | Examined::Interrupted(_) => None,
        })
    }

    pub(crate) async fn clean_partial(&self, step: Step) -> Result<Cleaned> {
        let look = match self.examine(step).await? {
            Examined::Kept(because) => return Ok(Cleaned::Kept(because)),
            Examined::Empty => {
                self.delete_folder(step).await?;
                return Ok(Cleaned::Removed);
            }
            Examined::Abandoned(look) => {
                self.event(InvariantId::Bc3);
                look
            }
            Examined::Interrupted(look) => look,
        };
        // The own clock may have jumped since the ages were looked at (BC-18).
        self.require_agreeing_clocks(step).await?;
        self.delete_objects(step, &look).await?;
        Ok(Cleaned::Removed)
    }

    async fn examine(&self, step: Step) -> Result<Examined> {
        let look = self.look(step).await?;
        let objects = &look.objects;
        if objects.is_empty() {
            return Ok(Examined::Empty);
        }
        if objects.contains_key(META_FILE) {
            return Ok(Examined::Kept(KeptBecause::Committed));
        }
        self.require_agreeing_clocks(step).await?;
        let mark = self.find_mark(step, MarkKind::Deletion).await?;
        if mark == FoundMark::UnknownVersion {
            return Ok(Examined::Kept(KeptBecause::UnknownMark));
        }
        let interrupted = match self.due_mark(step).await {
            Ok((_, attributes)) => require_none_newer(step, objects, attributes).is_ok(),
            Err(error) if error.kind() == ErrorKind::Invalid => false,
            Err(error) => return Err(error),
        };
        let newest_ms = objects.values().map(|a| a.last_modified_ms).max();
        if !interrupted && !self.contract.partial_due(newest_ms, self.clock.now_ms()) {
            return Ok(Examined::Kept(KeptBecause::TooYoung));
        }
        // The listing took time; a commit may have landed.
        if self.has_meta(step).await? {
            return Ok(Examined::Kept(KeptBecause::Committed));
        }
        Ok(if interrupted {
            Examined::Interrupted(look)
        } else {
            Examined::Abandoned(look)
        })
    }
}
