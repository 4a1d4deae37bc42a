//! Where the objects of a block lie, relative to the bucket's prefix.

use crate::{BlockId, MarkKind};

/// Base name of the object that makes a folder a block.
pub const META_FILE: &str = "meta.json";
/// Base name of the index.
pub const INDEX_FILE: &str = "index";
/// Folder of the chunk segments.
pub const CHUNKS_DIR: &str = "chunks";

/// What an object of a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// `meta.json`.
    Meta,
    /// `index`.
    Index,
    /// `chunks/<name>`.
    Chunks(&'a str),
    /// One of the marks.
    Mark(MarkKind),
    /// Anything else: path relative to the block's folder.
    Other(&'a str),
}

/// `<ULID>/`.
#[must_use]
pub fn block_prefix(id: BlockId) -> String {
    format!("{id}/")
}

/// `<ULID>/meta.json`.
#[must_use]
pub fn meta_key(id: BlockId) -> String {
    file_key(id, META_FILE)
}

/// `<ULID>/index`.
#[must_use]
pub fn index_key(id: BlockId) -> String {
    file_key(id, INDEX_FILE)
}

/// `<ULID>/chunks/NNNNNN`; `segment` counts from 1.
#[must_use]
pub fn chunk_key(id: BlockId, segment: u32) -> String {
    format!("{id}/{CHUNKS_DIR}/{segment:06}")
}

/// `<ULID>/deletion-mark.json` and the like.
#[must_use]
pub fn mark_key(id: BlockId, kind: MarkKind) -> String {
    file_key(id, kind.file_name())
}

/// `<ULID>/<path>`, for a path relative to the block's folder as in [`crate::FileStat::rel_path`].
#[must_use]
pub fn file_key(id: BlockId, path: &str) -> String {
    format!("{id}/{path}")
}

/// Whether the key is that of a mark, which alone may change after a block's commit (BC-1).
#[must_use]
pub fn is_mark(key: &str) -> bool {
    matches!(parse_key(key), Some((_, Part::Mark(_))))
}

/// Which block, and which part of it, an object is. `None` for what lies in no block's folder,
/// also when the folder is a block id in a spelling that no key is made with.
#[must_use]
pub fn parse_key(key: &str) -> Option<(BlockId, Part<'_>)> {
    let (folder, path) = key.split_once('/')?;
    let id = BlockId::parse_dir_name(folder).filter(|id| id.is_canonical(folder))?;
    let part = match path {
        "" => return None,
        META_FILE => Part::Meta,
        INDEX_FILE => Part::Index,
        _ => match (MarkKind::from_file_name(path), path.split_once('/')) {
            (Some(kind), _) => Part::Mark(kind),
            (None, Some((CHUNKS_DIR, name))) if !name.is_empty() => Part::Chunks(name),
            (None, _) => Part::Other(path),
        },
    };
    Some((id, part))
}

/// The block that an entry of a listing of the root, folder or object, belongs to. Lenient, as
/// Thanos is: see [`BlockId::parse_dir_name`].
#[must_use]
pub fn parse_entry(key: &str) -> Option<BlockId> {
    BlockId::parse_dir_name(key.split_once('/').map_or(key, |(folder, _)| folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01M820PHAWJ4QN17XR7HF3SM97";

    #[test]
    fn keys_parse_back() {
        let id: BlockId = ID.parse().unwrap();
        let cases = [
            (meta_key(id), Part::Meta),
            (index_key(id), Part::Index),
            (chunk_key(id, 7), Part::Chunks("000007")),
            (chunk_key(id, 1_234_567), Part::Chunks("1234567")),
            (
                mark_key(id, MarkKind::Deletion),
                Part::Mark(MarkKind::Deletion),
            ),
            (
                mark_key(id, MarkKind::NoCompact),
                Part::Mark(MarkKind::NoCompact),
            ),
            (
                mark_key(id, MarkKind::NoDownsample),
                Part::Mark(MarkKind::NoDownsample),
            ),
            (file_key(id, "tombstones"), Part::Other("tombstones")),
            (file_key(id, "chunks/"), Part::Other("chunks/")),
            (file_key(id, "a/meta.json"), Part::Other("a/meta.json")),
        ];
        for (key, part) in cases {
            assert_eq!(parse_key(&key), Some((id, part)), "{key}");
            assert_eq!(is_mark(&key), matches!(part, Part::Mark(_)));
            assert_eq!(parse_entry(&key), Some(id));
        }
        assert_eq!(parse_entry(&block_prefix(id)), Some(id));
    }

    #[test]
    fn foreign_objects_belong_to_no_block() {
        for key in [
            "",
            "meta.json",
            ID,
            "debug/metas/x.json",
            "rutile/leases/a/1",
            &format!("{ID}/"),
            &format!("{}/meta.json", ID.to_lowercase()),
        ] {
            assert_eq!(parse_key(key), None, "{key}");
        }
        assert_eq!(parse_entry("rutile/leases"), None);
        assert!(parse_entry(&format!("{}/meta.json", ID.to_lowercase())).is_some());
    }
}
