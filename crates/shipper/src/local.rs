//! The blocks in the folder of the database, and getting hold of their files.

use rutile_block::{BlockId, CHUNKS_DIR, INDEX_FILE, META_FILE, Meta};
use rutile_disk::{AsyncDisk, Disk};
use rutile_lifecycle::read_local_meta;

use crate::{Error, Result};

/// Where links to the files of a block lie while it is uploaded; Thanos has the same place.
pub(crate) const LINKS: &str = "thanos/upload";

/// What lies in the folder of the database.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// By start of their time range.
    pub(crate) blocks: Vec<Meta>,
    /// Block folders whose metadata cannot be read, and why.
    pub(crate) unreadable: Vec<(BlockId, Error)>,
}

impl Found {
    /// All blocks, the unreadable ones at the end.
    pub(crate) fn ids(&self) -> impl Iterator<Item = BlockId> {
        let unreadable = self.unreadable.iter().map(|(id, _)| *id);
        self.blocks.iter().map(|meta| meta.id).chain(unreadable)
    }
}

/// Looks for blocks. The database makes them and takes them away under other names (`.tmp-for-creation`,
/// `.tmp-for-deletion`), so that a folder named like a block is one.
pub(crate) async fn find(disk: &AsyncDisk) -> Result<Found> {
    let mut found = Found::default();
    for entry in disk.list("").await.map_err(Error::Disk)? {
        let id = BlockId::parse_dir_name(&entry.name).filter(|id| id.is_canonical(&entry.name));
        let Some(id) = id.filter(|_| entry.is_folder) else {
            continue;
        };
        match read_local_meta(disk, &entry.name).await {
            Ok(meta) => found.blocks.push(meta),
            // Taken away since it was listed.
            Err(_) if !is_there(disk, &entry.name).await? => {}
            Err(error) => found.unreadable.push((id, Error::Unreadable(error))),
        }
    }
    found.blocks.sort_by_key(|meta| (meta.min_time, meta.id));
    Ok(found)
}

async fn is_there(disk: &AsyncDisk, folder: &str) -> Result<bool> {
    let there = disk.stat(folder).await.map_err(Error::Disk)?;
    Ok(there.is_some())
}

/// The folder with the links to a block's files.
pub(crate) fn links(id: BlockId) -> String {
    format!("{LINKS}/{id}")
}

/// Links the files of a block, so that the database may take it away while it is uploaded (S9). Whether
/// the block was still there.
///
/// # Errors
/// `Damaged` when files are missing or empty, `Link` when the disk refuses.
pub(crate) async fn link(disk: &AsyncDisk, meta: &Meta) -> Result<bool> {
    let (id, has_chunks) = (meta.id, meta.stats.num_chunks > 0);
    let linked = disk.run(move |disk| {
        let linked = link_files(disk, id, has_chunks);
        // Looked at last: as long as it is there, nobody took anything away before.
        match disk.stat(&format!("{id}/{META_FILE}")) {
            Ok(None) => Ok(false),
            Ok(Some(_)) => linked.map(|()| true),
            Err(source) => Err(Error::Link { block: id, source }),
        }
    });
    linked.await
}

fn link_files(disk: &dyn Disk, block: BlockId, has_chunks: bool) -> Result<()> {
    let failed = |source| Error::Link { block, source };
    let damaged = |message: String| Error::Damaged { block, message };
    let links = links(block);
    disk.remove_tree(&links).map_err(failed)?;
    let mut segments = disk
        .list(&format!("{block}/{CHUNKS_DIR}"))
        .map_err(failed)?;
    segments.retain(|entry| !entry.is_folder);
    if segments.is_empty() && has_chunks {
        let message = format!("{CHUNKS_DIR} has no segments, although {META_FILE} tells of chunks");
        return Err(damaged(message));
    }
    let segments = segments
        .into_iter()
        .map(|entry| (format!("{CHUNKS_DIR}/{}", entry.name), entry.size));
    let index = disk
        .stat(&format!("{block}/{INDEX_FILE}"))
        .map_err(failed)?;
    let Some(index) = index else {
        return Err(damaged(format!("{INDEX_FILE} is missing")));
    };
    for (path, size) in segments.chain([(INDEX_FILE.to_owned(), index.size)]) {
        if size == 0 {
            return Err(damaged(format!("{path} is empty")));
        }
        disk.link(&format!("{block}/{path}"), &format!("{links}/{path}"))
            .map_err(failed)?;
    }
    Ok(())
}
