//! Looking at a block's objects, and holding them against its metadata.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::StreamExt;
use rutile_block::{
    BlockId, CHUNKS_DIR, INDEX_FILE, MAX_MARK_BYTES, MAX_META_BYTES, META_FILE, Mark, MarkKind,
    Meta, block_prefix, file_key, mark_key, meta_key,
};
use rutile_model::ErrorKind;
use rutile_objstore::{Attributes, Depth};

use crate::error::Step;
use crate::{Lifecycle, Result};

/// The objects of a block by their path below its folder.
pub(crate) type Objects = BTreeMap<String, Attributes>;

/// A mark object as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FoundMark {
    Absent,
    Whole(Mark, Attributes),
    Torn,
    UnknownVersion,
}

impl Lifecycle {
    /// Checks that all objects of a committed block are there with the sizes that its metadata
    /// names (BC-2). What replaces another block must pass this before the other one goes.
    ///
    /// # Errors
    /// `NotFound` when it has no `meta.json`, `Corrupt` when an object is missing or of another
    /// size, or when the metadata cannot be read.
    pub async fn verify(&self, id: BlockId) -> Result<Meta> {
        let step = Step {
            operation: "verify",
            block: id,
        };
        self.read_whole(step).await
    }

    pub(crate) async fn read_whole(&self, step: Step) -> Result<Meta> {
        let meta = self.read_meta(step).await?;
        self.require_whole(step, &meta).await?;
        Ok(meta)
    }

    /// Lists the block and holds the listing against its metadata. Listings may lag: what one lacks,
    /// or shows with another size, is asked for by name before the block counts as damaged.
    pub(crate) async fn require_whole(&self, step: Step, meta: &Meta) -> Result<()> {
        let mut objects = self.objects(step).await?;
        let files = meta.thanos.files.iter();
        for file in files.filter(|file| file.rel_path != META_FILE) {
            let path = &file.rel_path;
            if objects
                .get(path)
                .is_some_and(|seen| seen.size == file.size_bytes)
            {
                continue;
            }
            let key = file_key(step.block, path);
            if let Some(attributes) = self.attributes(step, &key).await? {
                objects.insert(path.clone(), attributes);
            }
        }
        check_objects(step, meta, &objects)
    }

    pub(crate) async fn read_meta(&self, step: Step) -> Result<Meta> {
        let bytes = self
            .get(step, &meta_key(step.block), MAX_META_BYTES)
            .await?;
        Meta::parse(step.block, &bytes).map_err(|e| step.metadata(e))
    }

    pub(crate) async fn has_meta(&self, step: Step) -> Result<bool> {
        self.bucket
            .exists(&meta_key(step.block))
            .await
            .map_err(|e| step.bucket(e))
    }

    /// All objects of the block, by a fresh listing. Where that does not tell times and sizes, each
    /// object is asked for.
    pub(crate) async fn objects(&self, step: Step) -> Result<Objects> {
        let prefix = block_prefix(step.block);
        let mut objects = Objects::new();
        let mut untold = Vec::new();
        let mut entries = self.bucket.list(&prefix, Depth::Recursive);
        while let Some(entry) = entries.next().await {
            let entry = entry.map_err(|e| step.bucket(e))?;
            let path = entry
                .key
                .strip_prefix(&prefix)
                .unwrap_or(&entry.key)
                .to_owned();
            match entry.attributes {
                _ if path.is_empty() => {}
                Some(attributes) => {
                    objects.insert(path, attributes);
                }
                None => untold.push(path),
            }
        }
        drop(entries);
        for path in untold {
            if let Some(attributes) = self.attributes(step, &file_key(step.block, &path)).await? {
                objects.insert(path, attributes);
            }
        }
        Ok(objects)
    }

    /// Reads a mark, with the time of its object.
    pub(crate) async fn find_mark(&self, step: Step, kind: MarkKind) -> Result<FoundMark> {
        let key = mark_key(step.block, kind);
        // First the time, then the content: a mark written in between looks older than it is only
        // by its object, and the later of the two times counts.
        let Some(attributes) = self.attributes(step, &key).await? else {
            return Ok(FoundMark::Absent);
        };
        let bytes = match self.bucket.get(&key, MAX_MARK_BYTES).await {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return Ok(FoundMark::Absent),
            Err(error) if error.kind() == ErrorKind::Exhausted => return Ok(FoundMark::Torn),
            Err(error) => return Err(step.bucket(error)),
        };
        Ok(match Mark::parse(kind, step.block, &bytes) {
            Ok(mark) => FoundMark::Whole(mark, attributes),
            Err(error) if error.kind() == ErrorKind::Unsupported => FoundMark::UnknownVersion,
            Err(_) => FoundMark::Torn,
        })
    }

    pub(crate) async fn attributes(&self, step: Step, key: &str) -> Result<Option<Attributes>> {
        match self.bucket.attributes(key).await {
            Ok(attributes) => Ok(Some(attributes)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(step.bucket(error)),
        }
    }

    pub(crate) async fn get(&self, step: Step, key: &str, limit: u64) -> Result<Bytes> {
        self.bucket
            .get(key, limit)
            .await
            .map_err(|e| step.bucket(e))
    }
}

/// Holds a listing against the metadata, see [`damage`].
pub(crate) fn check_objects(step: Step, meta: &Meta, objects: &Objects) -> Result<()> {
    let size_of = |path: &str| match path {
        CHUNKS_DIR => objects
            .keys()
            .any(|path| path.starts_with(CHUNKS_DIR))
            .then_some(0),
        path => objects.get(path).map(|found| found.size),
    };
    match damage(meta, size_of) {
        None => Ok(()),
        Some(damage) => Err(step.error(ErrorKind::Corrupt, damage.message)),
    }
}

/// An object of a block that is not what the metadata say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Below the block's folder.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

/// Holds the sizes of a block's objects against the metadata's `files`, `meta.json` aside: the first
/// thing that is wrong, of the index before all others. A block whose writer did not record its files
/// must have an index, and chunks if it says so; a folder is asked for by its name and has any size.
pub fn damage(meta: &Meta, size_of: impl Fn(&str) -> Option<u64>) -> Option<Damage> {
    let wrong = |path: &str, message: String| {
        let path = path.to_owned();
        Some(Damage { path, message })
    };
    let missing = |path: &str| {
        let message = format!("object {path} is missing although meta.json names it");
        wrong(path, message)
    };
    let files = &meta.thanos.files;
    let (index, others): (Vec<_>, Vec<_>) = files
        .iter()
        .filter(|file| file.rel_path != META_FILE)
        .partition(|file| file.rel_path == INDEX_FILE);
    for file in index.into_iter().chain(others) {
        let (path, expected) = (file.rel_path.as_str(), file.size_bytes);
        let Some(size) = size_of(path) else {
            return missing(path);
        };
        if size != expected {
            let message = format!("object {path} has {size} bytes, meta.json says {expected}");
            return wrong(path, message);
        }
    }
    if files.is_empty() {
        if size_of(INDEX_FILE).is_none() {
            return missing(INDEX_FILE);
        }
        if meta.stats.num_chunks > 0 && size_of(CHUNKS_DIR).is_none() {
            return missing(CHUNKS_DIR);
        }
    }
    None
}
