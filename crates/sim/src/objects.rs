//! The objects of the simulated bucket, with their past.

use std::collections::BTreeMap;

use bytes::Bytes;
use rutile_block::{BlockId, file_key, meta_key, parse_entry};
use rutile_block::{CHUNKS_DIR, INDEX_FILE, META_FILE, Meta};
use rutile_objstore::{Attributes, Depth, Entry, UnfinishedUpload};

use crate::scenario::LAG_MS;

/// What an object was from some moment on.
#[derive(Debug, Clone)]
struct Version {
    at_ms: i64,
    body: Option<Bytes>,
}

/// All objects, now and as far back as an answer may lag.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    keys: BTreeMap<String, Vec<Version>>,
    /// Uploads in parts that are not finished, by their number.
    pub(crate) uploads: BTreeMap<u64, UnfinishedUpload>,
    next_upload: u64,
    /// Whether the store makes an object for each folder, which the port shows without its slash.
    pub(crate) markers: bool,
}

impl Objects {
    /// The object as it was then: its bytes, and since when.
    pub(crate) fn at(&self, key: &str, when_ms: i64) -> Option<(&Bytes, i64)> {
        let versions = self.keys.get(key)?;
        let version = versions.iter().rev().find(|v| v.at_ms <= when_ms)?;
        Some((version.body.as_ref()?, version.at_ms))
    }

    /// The object as it is.
    pub(crate) fn now(&self, key: &str) -> Option<(&Bytes, i64)> {
        self.at(key, i64::MAX)
    }

    /// Whether the object was something else before it became what it is.
    pub(crate) fn was_written_before(&self, key: &str) -> bool {
        self.keys
            .get(key)
            .is_some_and(|versions| versions.len() > 1)
    }

    pub(crate) fn attributes(&self, key: &str, when_ms: i64) -> Option<Attributes> {
        let (body, at_ms) = self.at(key, when_ms)?;
        Some(Attributes {
            size: body.len() as u64,
            last_modified_ms: at_ms,
        })
    }

    /// Writes or, without a body, deletes.
    pub(crate) fn set(&mut self, key: &str, body: Option<Bytes>, now_ms: i64) {
        if self.markers && body.is_some() && parse_entry(key).is_some() {
            for (at, _) in key.match_indices('/') {
                let (folder, _) = key.split_at(at);
                if self.now(folder).is_none() {
                    self.set_one(folder, Some(Bytes::new()), now_ms);
                }
            }
        }
        self.set_one(key, body, now_ms);
    }

    fn set_one(&mut self, key: &str, body: Option<Bytes>, now_ms: i64) {
        let versions = self.keys.entry(key.to_owned()).or_default();
        let body_there = body.is_some();
        if !body_there && versions.last().is_none_or(|v| v.body.is_none()) {
            return;
        }
        versions.push(Version {
            at_ms: now_ms,
            body,
        });
        // What no answer can show any more is forgotten.
        let horizon = now_ms - 2 * LAG_MS;
        let keep = versions.iter().rposition(|v| v.at_ms <= horizon);
        versions.drain(..keep.unwrap_or(0));
    }

    /// A listing of `folder`, each line from the moment that `when` gives.
    pub(crate) fn list(
        &self,
        folder: &str,
        depth: Depth,
        attributes: bool,
        mut when: impl FnMut() -> i64,
    ) -> Vec<Entry> {
        let folder = folder.strip_suffix('/').unwrap_or(folder);
        let prefix = match folder {
            "" => String::new(),
            folder => format!("{folder}/"),
        };
        let mut found: Vec<Entry> = Vec::new();
        for (key, _) in self.keys.range(prefix.clone()..) {
            let Some(rest) = key.strip_prefix(&prefix) else {
                break;
            };
            let Some(shown) = self.attributes(key, when()) else {
                continue;
            };
            let entry = match (depth, rest.split_once('/')) {
                (Depth::Shallow, Some((first, _))) => Entry {
                    key: format!("{prefix}{first}/"),
                    attributes: None,
                },
                _ => Entry {
                    key: key.clone(),
                    attributes: attributes.then_some(shown),
                },
            };
            if found.last().map(|last| &last.key) != Some(&entry.key) {
                found.push(entry);
            }
        }
        found
    }

    /// The keys that exist.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        let there = |versions: &[Version]| versions.last().is_some_and(|v| v.body.is_some());
        let keys = self
            .keys
            .iter()
            .filter(move |(_, versions)| there(versions));
        keys.map(|(key, _)| key.as_str())
    }

    /// The blocks that have a `meta.json`.
    pub(crate) fn committed(&self) -> Vec<BlockId> {
        let metas = self.keys().filter(|key| key.ends_with(META_FILE));
        metas.filter_map(parse_entry).collect()
    }

    pub(crate) fn meta(&self, id: BlockId) -> Option<Meta> {
        Meta::parse(id, self.now(&meta_key(id))?.0).ok()
    }

    /// Whether a committed block has all its objects.
    pub(crate) fn is_whole(&self, meta: &Meta) -> bool {
        let size = |path: &str| {
            self.now(&file_key(meta.id, path))
                .map(|(b, _)| b.len() as u64)
        };
        if meta.thanos.files.is_empty() {
            let first = format!("{CHUNKS_DIR}/000001");
            return size(INDEX_FILE).is_some() && size(&first).is_some();
        }
        let files = meta.thanos.files.iter();
        let mut files = files.filter(|file| file.rel_path != META_FILE);
        files.all(|file| size(&file.rel_path) == Some(file.size_bytes))
    }

    /// Begins an upload in parts.
    pub(crate) fn begin(&mut self, key: &str, now_ms: i64) -> u64 {
        self.next_upload += 1;
        let upload = UnfinishedUpload {
            key: Some(key.to_owned()),
            id: self.next_upload.to_string(),
            started_ms: now_ms,
        };
        self.uploads.insert(self.next_upload, upload);
        self.next_upload
    }
}
