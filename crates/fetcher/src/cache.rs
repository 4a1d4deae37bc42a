//! The metadata cache on disk: what makes a restart cheap.
//!
//! One file, because ten thousand small ones cost a restart more than the bucket's own answers do.
//! A line for each block: ULID, size and modification time of the object, its content as compact
//! JSON. A line counts only while the bucket still shows that size and time (P16), so a cache that
//! is old, torn or of another bucket costs requests and nothing else.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use rutile_block::{BlockId, Meta};
use rutile_disk::{Disk, Durability};

use crate::load::Loader;
use crate::{BlockInfo, Marks, View};

const PATH: &str = "meta-syncer/metas";

/// What the last process left. Lines that cannot be read are left out.
pub(crate) fn read(
    disk: &dyn Disk,
    loader: &Loader,
) -> rutile_disk::Result<BTreeMap<BlockId, BlockInfo>> {
    if disk.stat(PATH)?.is_none() {
        return Ok(BTreeMap::new());
    }
    let file = disk.map(PATH)?;
    let lines = file.split(|byte| *byte == b'\n');
    Ok(lines
        .filter_map(|line| parse(line, loader))
        .map(|info| (info.meta.id, info))
        .collect())
}

/// Writes the metadata of a view, in place of what was there.
pub(crate) fn write(disk: &dyn Disk, view: &View) -> rutile_disk::Result<()> {
    let failed = |source| rutile_disk::Error::Io {
        operation: "write",
        path: PATH.to_owned(),
        source,
    };
    let mut file = disk.create(PATH)?;
    for (id, info) in &view.blocks {
        let Some(modified_ms) = info.meta_modified_ms else {
            continue;
        };
        write!(file, "{id} {} {modified_ms} ", info.meta_size).map_err(failed)?;
        serde_json::to_writer(&mut file, &info.meta).map_err(|e| failed(e.into()))?;
        file.write_all(b"\n").map_err(failed)?;
    }
    file.finish(Durability::Cached)
}

fn parse(line: &[u8], loader: &Loader) -> Option<BlockInfo> {
    let mut parts = line.splitn(4, |byte| *byte == b' ');
    let mut word = || str::from_utf8(parts.next()?).ok();
    let id: BlockId = word()?.parse().ok()?;
    let meta_size = word()?.parse().ok()?;
    let meta_modified_ms = Some(word()?.parse().ok()?);
    let mut meta = Meta::parse(id, word()?.as_bytes()).ok()?;
    meta.thanos.labels = loader.intern(meta.thanos.labels);
    Some(BlockInfo {
        meta: Arc::new(meta),
        meta_modified_ms,
        meta_size,
        marks: Marks::default(),
    })
}
