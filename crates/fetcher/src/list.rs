//! Finding the blocks of a bucket.
//!
//! Either the root is listed and each block's objects are asked for one by one, or everything is
//! listed at once. The second also tells which marks there are and when each object was written, so
//! that an unchanged block costs no request at all; but it goes over every chunk segment too.

use std::collections::BTreeMap;

use futures::StreamExt;
use rutile_block::{BlockId, MarkKind, Part, mark_key, meta_key, parse_entry, parse_key};
use rutile_objstore::{Attributes, BucketReader, Depth, Error};

/// Which of the objects that matter a block has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) meta: Option<Attributes>,
    marks: [Option<Attributes>; 3],
    /// Modification time of the newest of all objects; known from a deep listing only.
    pub(crate) newest_object_ms: Option<i64>,
}

impl Seen {
    pub(crate) fn mark(&self, kind: MarkKind) -> Option<Attributes> {
        self.marks[kind as usize]
    }
}

/// The blocks below the root. `None` where their objects are still to be asked for.
pub(crate) async fn shallow(
    bucket: &dyn BucketReader,
) -> Result<BTreeMap<BlockId, Option<Seen>>, Error> {
    let mut blocks = BTreeMap::new();
    let mut entries = bucket.list("", Depth::Shallow);
    while let Some(entry) = entries.next().await {
        let entry = entry?;
        if let Some(id) = parse_entry(&entry.key) {
            blocks.insert(id, None);
        }
    }
    Ok(blocks)
}

/// The blocks of the bucket and which objects they have.
pub(crate) async fn deep(
    bucket: &dyn BucketReader,
) -> Result<BTreeMap<BlockId, Option<Seen>>, Error> {
    let mut blocks: BTreeMap<BlockId, Option<Seen>> = BTreeMap::new();
    let mut entries = bucket.list("", Depth::Recursive);
    while let Some(entry) = entries.next().await {
        let entry = entry?;
        let Some(id) = parse_entry(&entry.key) else {
            continue;
        };
        let slot = blocks.entry(id).or_insert_with(|| Some(Seen::default()));
        // A folder in another spelling of the id counts as a block without `meta.json`, as it does
        // for Thanos: no key that is made from an id reaches into it.
        let (Some((_, part)), Some(seen)) = (parse_key(&entry.key), slot.as_mut()) else {
            continue;
        };
        let Some(attributes) = entry.attributes else {
            if matches!(part, Part::Meta | Part::Mark(_)) {
                // The provider does not tell, so the block is looked at by itself.
                *slot = None;
            }
            continue;
        };
        seen.newest_object_ms = seen.newest_object_ms.max(Some(attributes.last_modified_ms));
        match part {
            Part::Meta => seen.meta = Some(attributes),
            Part::Mark(kind) => seen.marks[kind as usize] = Some(attributes),
            Part::Index | Part::Chunks(_) | Part::Other(_) => {}
        }
    }
    Ok(blocks)
}

/// Asks for the objects of one block.
///
/// The marks come first, `meta.json` last. A deletion goes the other way round (BC-2, BC-6), so
/// that a mark which is gone because the block is gone is never followed by a `meta.json` that is
/// still there: what looks unmarked here, is (P2).
pub(crate) async fn observe(
    bucket: &dyn BucketReader,
    id: BlockId,
    kinds: &[MarkKind],
) -> Result<Seen, Error> {
    let mut seen = Seen::default();
    for kind in kinds {
        seen.marks[*kind as usize] = attributes(bucket, &mark_key(id, *kind)).await?;
    }
    seen.meta = attributes(bucket, &meta_key(id)).await?;
    Ok(seen)
}

pub(crate) async fn attributes(
    bucket: &dyn BucketReader,
    key: &str,
) -> Result<Option<Attributes>, Error> {
    match bucket.attributes(key).await {
        Ok(attributes) => Ok(Some(attributes)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
