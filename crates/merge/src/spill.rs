//! Postings on the local disk while an index is written.

use std::sync::Arc;

use rutile_block::BlockId;
use rutile_disk::{Disk, Durability};
use rutile_index::Spill;

/// Keeps compressed postings in a folder of their own, which goes with it. Blocks: for use on a
/// pool, as the index writer is.
#[derive(Debug)]
pub(crate) struct Scratch {
    disk: Arc<dyn Disk>,
    folder: String,
    files: u64,
}

impl Scratch {
    /// Nothing is written before it is needed; what a merge into the same block left is replaced.
    pub(crate) fn new(disk: Arc<dyn Disk>, output: BlockId) -> Self {
        Self {
            disk,
            folder: format!("merge/{output}"),
            files: 0,
        }
    }

    fn path(&self, number: u64) -> String {
        format!("{}/{number}", self.folder)
    }
}

impl Spill for Scratch {
    fn write(&mut self, bytes: &[u8]) -> Result<u64, String> {
        let number = self.files;
        let written = self
            .disk
            .write(&self.path(number), bytes, Durability::Cached);
        written.map_err(|e| e.to_string())?;
        self.files += 1;
        Ok(number)
    }

    fn read(&mut self, number: u64, offset: u64, len: usize) -> Result<Vec<u8>, String> {
        let range = offset..offset.saturating_add(len as u64);
        let read = self.disk.read_range(&self.path(number), range);
        read.map(Vec::from).map_err(|e| e.to_string())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.files > 0
            && let Err(error) = self.disk.remove_tree(&self.folder)
        {
            tracing::warn!(folder = self.folder, %error, "spilled postings are left behind");
        }
    }
}
