//! Deleting a marked block (BC-6).
//!
//! `meta.json` goes first, so that from the first request on nobody takes what is left for a block;
//! the mark goes last, so that an interrupted deletion is known as one and is finished by whoever
//! comes next.

use futures::{StreamExt, TryStreamExt, stream};
use rutile_block::{
    BlockId, CHUNKS_DIR, Contract, InvariantId, META_FILE, Mark, MarkKind, Meta, file_key,
    mark_key, meta_key,
};
use rutile_model::ErrorKind;
use rutile_objstore::Attributes;
use rutile_runtime::Moment;

use crate::error::Step;
use crate::verify::{FoundMark, Objects};
use crate::{Lifecycle, Result};

const PARALLEL_DELETES: usize = 16;
/// A look at a block is good for so long, ms.
const LOOK_GOOD_FOR_MS: i64 = 120_000;

/// What became of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// All objects are gone.
    Now,
    /// There was nothing any more.
    Before,
}

/// The objects of a block, and when they were looked at.
#[derive(Debug)]
pub(crate) struct Look {
    at: Moment,
    pub(crate) objects: Objects,
}

impl Lifecycle {
    pub(crate) async fn delete(&self, step: Step, successor: Option<BlockId>) -> Result<Deleted> {
        let look = self.look(step).await?;
        let objects = &look.objects;
        if objects.is_empty() {
            return Ok(Deleted::Before);
        }
        self.require_agreeing_clocks(step).await?;
        let (mark, attributes) = self.due_mark(step).await?;
        if self.has_meta(step).await? {
            if let Mark::Deletion(deletion) = &mark
                && deletion.needs_successor()
            {
                let meta = self.read_meta(step).await?;
                self.require_successor(step, &meta, successor).await?;
            }
        } else {
            require_none_newer(step, objects, attributes)?;
        }
        // All this took time; somebody may have thought better of it.
        if self.due_mark(step).await? != (mark, attributes) {
            return Err(step.error(ErrorKind::Invalid, "its deletion mark was changed just now"));
        }
        // The own clock may have jumped since the mark's age was looked at (BC-18).
        self.require_agreeing_clocks(step).await?;
        self.delete_objects(step, &look).await?;
        Ok(Deleted::Now)
    }

    pub(crate) async fn look(&self, step: Step) -> Result<Look> {
        let at = Moment::now(&*self.clock);
        let objects = self.objects(step).await?;
        Ok(Look { at, objects })
    }

    /// Refuses to delete by an old look. Otherwise: a cleaner lists the rest of an upload and stands
    /// still; the block is uploaded again and committed, and loses its `meta.json` to somebody else; the
    /// cleaner wakes, finds no `meta.json`, and deletes what is not old at all (BC-3).
    fn require_lately(&self, step: Step, look: &Look) -> Result<()> {
        let age_ms = look.at.age_ms(Moment::now(&*self.clock));
        if age_ms <= LOOK_GOOD_FOR_MS {
            return Ok(());
        }
        let message = format!(
            "its objects were looked at {} s ago: nothing is deleted before they are looked at anew",
            age_ms / 1000
        );
        Err(step.error(ErrorKind::Unavailable, message))
    }

    /// The mark, if it is old enough.
    pub(crate) async fn due_mark(&self, step: Step) -> Result<(Mark, Attributes)> {
        let invalid = |message: String| step.error(ErrorKind::Invalid, message);
        let (mark, attributes) = match self.find_mark(step, MarkKind::Deletion).await? {
            FoundMark::Whole(mark, attributes) => (mark, attributes),
            FoundMark::Absent => return Err(invalid("it is not marked for deletion".to_owned())),
            FoundMark::Torn => {
                self.event(InvariantId::Bc11);
                return Err(invalid(
                    "its deletion mark is torn: mark it again".to_owned(),
                ));
            }
            FoundMark::UnknownVersion => {
                let message = "its deletion mark has a version that is not known: it is left alone";
                return Err(step.error(ErrorKind::Unsupported, message));
            }
        };
        let age_ms = match &mark {
            Mark::Deletion(deletion) => {
                let now_ms = self.clock.now_ms();
                Contract::mark_age_ms(deletion, Some(attributes.last_modified_ms), now_ms)
            }
            Mark::NoCompact(_) | Mark::NoDownsample(_) => 0,
        };
        if !self.contract.may_delete(age_ms) {
            return Err(invalid(format!(
                "it is marked since {} s, not yet longer than the delete delay of {} s",
                age_ms / 1000,
                self.contract.delete_delay_ms / 1000
            )));
        }
        Ok((mark, attributes))
    }

    async fn require_successor(
        &self,
        step: Step,
        meta: &Meta,
        successor: Option<BlockId>,
    ) -> Result<()> {
        let refuse = |message: String| {
            self.event(InvariantId::Bc6);
            Err(step.error(ErrorKind::Invalid, message))
        };
        let Some(successor) = successor.filter(|id| *id != step.block) else {
            return refuse(
                "it was replaced, and no block is known that holds its sources".to_owned(),
            );
        };
        let new = self.verify(successor).await?;
        let holds_all = new.holds_sources_of(meta) || new.is_rewritten_from(meta);
        if !holds_all || new.thanos.downsample != meta.thanos.downsample {
            return refuse(format!("block {successor} does not hold all its sources"));
        }
        let mark = self
            .find_mark(
                Step {
                    block: successor,
                    ..step
                },
                MarkKind::Deletion,
            )
            .await?;
        if let FoundMark::Whole(Mark::Deletion(mark), attributes) = mark {
            let modified = Some(attributes.last_modified_ms);
            let age_ms = Contract::mark_age_ms(&mark, modified, self.clock.now_ms());
            if self.contract.may_delete(age_ms) {
                return refuse(format!(
                    "block {successor}, which holds its sources, is being deleted too"
                ));
            }
        }
        Ok(())
    }

    /// Removes all objects in the safe order, as long as the look at them is good: in the meantime
    /// another cleaner may have finished, and the block may have been uploaded again.
    pub(crate) async fn delete_objects(&self, step: Step, look: &Look) -> Result<()> {
        let id = step.block;
        self.require_lately(step, look)?;
        self.bucket
            .delete(&meta_key(id))
            .await
            .map_err(|e| step.bucket(e))?;
        let mark = MarkKind::Deletion.file_name();
        let objects = self.objects(step).await?;
        require_none_since(step, &objects, look)?;
        let shows_folders = objects.contains_key(CHUNKS_DIR);
        let rest: Vec<String> = objects
            .into_keys()
            .filter(|path| path != META_FILE && path != mark)
            .map(|path| file_key(id, &path))
            .collect();
        stream::iter(rest)
            .map(|key| async move {
                self.require_lately(step, look)?;
                let deleted = self.bucket.delete(&key).await;
                deleted.map_err(|e| step.bucket(e))
            })
            .buffer_unordered(PARALLEL_DELETES)
            .try_collect::<()>()
            .await?;
        self.require_lately(step, look)?;
        self.bucket
            .delete(&mark_key(id, MarkKind::Deletion))
            .await
            .map_err(|e| step.bucket(e))?;
        if shows_folders {
            self.delete_folder(step).await?;
        }
        Ok(())
    }

    /// Stores with folders show a folder itself as an empty object of its name.
    pub(crate) async fn delete_folder(&self, step: Step) -> Result<()> {
        let folder = self.bucket.delete(&step.block.to_string()).await;
        folder.map_err(|e| step.bucket(e))
    }
}

/// What was written since the look belongs to an upload that has begun meanwhile.
fn require_none_since(step: Step, objects: &Objects, look: &Look) -> Result<()> {
    let newest = look
        .objects
        .values()
        .map(|seen| seen.last_modified_ms)
        .max();
    let since = objects.iter().find(|(path, attributes)| {
        MarkKind::from_file_name(path).is_none() && Some(attributes.last_modified_ms) > newest
    });
    match since {
        None => Ok(()),
        Some((path, _)) => {
            let message = format!("object {path} was written just now: an upload is under way");
            Err(step.error(ErrorKind::Unavailable, message))
        }
    }
}

/// What was written after the mark belongs to an upload, not to the deletion.
pub(crate) fn require_none_newer(step: Step, objects: &Objects, mark: Attributes) -> Result<()> {
    let newer = objects.iter().find(|(path, attributes)| {
        MarkKind::from_file_name(path).is_none()
            && attributes.last_modified_ms > mark.last_modified_ms
    });
    match newer {
        None => Ok(()),
        Some((path, _)) => {
            let message = format!(
                "object {path} is newer than the deletion mark: an upload may be under way"
            );
            Err(step.error(ErrorKind::Invalid, message))
        }
    }
}
