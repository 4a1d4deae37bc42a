//! Loading one block's metadata, from what is known of it and what the bucket now shows.
//!
//! Whatever goes wrong here concerns this block alone (BC-11). A block that was known and cannot be
//! read now stays as it was; one that was not known does not appear.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;
use rutile_block::{
    BlockId, MAX_MARK_BYTES, MAX_META_BYTES, Mark, MarkKind, Meta, mark_key, meta_key,
};
use rutile_model::{ErrorKind, Labels};
use rutile_objstore::{Attributes, BucketReader};
use rutile_telemetry::IntCounter;

use crate::list::{self, Seen};
use crate::{BadBlock, BadReason, BlockInfo, MarkState, Marks, PartialBlock, PresentMark};

/// What came of a block.
#[derive(Debug)]
pub(crate) enum Loaded {
    Block(BlockInfo),
    /// It cannot be read; as it was before, if it was known before.
    Bad(BadBlock, Option<BlockInfo>),
    /// It has no `meta.json`.
    Partial(PartialBlock),
}

/// What an earlier look brought.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// From the last view.
    pub(crate) viewed: Option<BlockInfo>,
    /// From the cache on disk: only the metadata counts, and only if it is still that of the bucket.
    pub(crate) cached: Option<BlockInfo>,
}

#[derive(Debug)]
pub(crate) struct Loader {
    pub(crate) bucket: Arc<dyn BucketReader>,
    /// Which marks to look for.
    pub(crate) kinds: Vec<MarkKind>,
    pub(crate) cache_busts: IntCounter,
    /// Every label set once: blocks have few different ones.
    pub(crate) labels: Mutex<HashSet<Labels>>,
}

impl Loader {
    /// Loads a block. `listed` is what a deep listing told of it, if there was one.
    pub(crate) async fn load(&self, id: BlockId, listed: Option<Seen>, known: Known) -> Loaded {
        match self.try_load(id, listed, &known).await {
            Ok(loaded) => loaded,
            Err(bad) => Loaded::Bad(bad, known.viewed),
        }
    }

    async fn try_load(
        &self,
        id: BlockId,
        listed: Option<Seen>,
        known: &Known,
    ) -> Result<Loaded, BadBlock> {
        let seen = match listed {
            Some(seen) if !contradicts(&seen, known.viewed.as_ref()) => seen,
            _ => list::observe(&*self.bucket, id, &self.kinds)
                .await
                .map_err(|e| unreadable(&e))?,
        };
        let Some(meta_seen) = seen.meta else {
            return Ok(partial(&seen));
        };
        let mut marks = Marks::default();
        let mut mark_went = false;
        for kind in &self.kinds {
            let Some(attributes) = seen.mark(*kind) else {
                continue;
            };
            match self
                .load_mark(id, *kind, attributes, known.viewed.as_ref())
                .await?
            {
                Some(state) => marks.set(*kind, state),
                None => mark_went = true,
            }
        }
        // A mark that went away since it was seen was removed, or the whole block was (P2).
        let still_there = !mark_went
            || list::attributes(&*self.bucket, &meta_key(id))
                .await
                .map_err(|e| unreadable(&e))?
                .is_some();
        let loaded = self.load_meta(id, meta_seen, known).await;
        let loaded = loaded.map_err(|bad| BadBlock {
            deletion: marks.deletion.clone(),
            ..bad
        })?;
        match loaded {
            Some(meta) if still_there => Ok(Loaded::Block(BlockInfo {
                meta,
                meta_modified_ms: Some(meta_seen.last_modified_ms),
                meta_size: meta_seen.size,
                marks,
            })),
            _ => Ok(partial(&Seen::default())),
        }
    }

    /// The mark; none when it is gone.
    async fn load_mark(
        &self,
        id: BlockId,
        kind: MarkKind,
        attributes: Attributes,
        known: Option<&BlockInfo>,
    ) -> Result<Option<MarkState>, BadBlock> {
        if let Some(state @ MarkState::Present(present)) = known.map(|info| info.marks.get(kind))
            && present.attributes == attributes
        {
            return Ok(Some(state.clone()));
        }
        let bytes = match self.bucket.get(&mark_key(id, kind), MAX_MARK_BYTES).await {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) if error.kind() == ErrorKind::Exhausted => return Ok(Some(MarkState::Torn)),
            Err(error) => return Err(unreadable(&error)),
        };
        Ok(Some(match Mark::parse(kind, id, &bytes) {
            Ok(mark) => MarkState::Present(Arc::new(PresentMark { mark, attributes })),
            Err(error) if error.kind() == ErrorKind::Unsupported => MarkState::UnknownVersion,
            Err(_) => MarkState::Torn,
        }))
    }

    /// The metadata; none when it is gone.
    async fn load_meta(
        &self,
        id: BlockId,
        seen: Attributes,
        known: &Known,
    ) -> Result<Option<Arc<Meta>>, BadBlock> {
        let same = |info: &&BlockInfo| {
            info.meta_size == seen.size && info.meta_modified_ms == Some(seen.last_modified_ms)
        };
        let earlier = [&known.viewed, &known.cached];
        if let Some(info) = earlier.iter().filter_map(|info| info.as_ref()).find(same) {
            return Ok(Some(Arc::clone(&info.meta)));
        }
        if earlier.iter().any(|info| info.is_some()) {
            self.cache_busts.inc();
        }
        let bytes = match self.bucket.get(&meta_key(id), MAX_META_BYTES).await {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) if error.kind() == ErrorKind::Exhausted => {
                return Err(BadBlock {
                    reason: BadReason::TooLarge,
                    message: error.to_string(),
                    deletion: MarkState::Absent,
                });
            }
            Err(error) => return Err(unreadable(&error)),
        };
        let mut meta = Meta::parse(id, &bytes).map_err(|error| BadBlock {
            reason: match error.kind() {
                ErrorKind::Unsupported => BadReason::UnknownVersion,
                ErrorKind::Exhausted => BadReason::TooLarge,
                _ => BadReason::CorruptMeta,
            },
            message: error.to_string(),
            deletion: MarkState::Absent,
        })?;
        meta.thanos.labels = self.intern(meta.thanos.labels);
        Ok(Some(Arc::new(meta)))
    }

    pub(crate) fn intern(&self, labels: Labels) -> Labels {
        let mut known = self.labels.lock();
        match known.get(&labels) {
            Some(same) => same.clone(),
            None => {
                known.insert(labels.clone());
                labels
            }
        }
    }
}

/// Whether a listing lacks what was there before: listings may lag, so the objects are then asked
/// for one by one.
fn contradicts(seen: &Seen, known: Option<&BlockInfo>) -> bool {
    known.is_some_and(|info| {
        let lost = |kind: &MarkKind| info.marks.get(*kind).is_there() && seen.mark(*kind).is_none();
        seen.meta.is_none() || MarkKind::ALL.iter().any(lost)
    })
}

fn partial(seen: &Seen) -> Loaded {
    Loaded::Partial(PartialBlock {
        newest_object_ms: seen.newest_object_ms,
        marked: seen.mark(MarkKind::Deletion).is_some(),
    })
}

fn unreadable(error: &rutile_objstore::Error) -> BadBlock {
    BadBlock {
        reason: BadReason::Unreadable,
        message: error.to_string(),
        deletion: MarkState::Absent,
    }
}
