//! Whether a block can really be loaded, before others go for its sake (BC-6, P1).
//!
//! A listing that is complete says nothing of an index that no reader can open. So what is to replace
//! others is opened as a store gateway opens it: the index-header is built from the bucket. That costs
//! a few ranges of the index, once for each block while the process runs.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;
use rutile_block::{BlockId, Meta};
use rutile_blockio::{BlockEnv, BlockReader};

use crate::Result;

/// Remembers which blocks could be loaded.
#[derive(Debug)]
pub(crate) struct Loadable {
    env: Arc<BlockEnv>,
    found: Mutex<BTreeSet<BlockId>>,
}

impl Loadable {
    pub(crate) fn new(env: BlockEnv) -> Self {
        Self {
            env: Arc::new(env),
            found: Mutex::default(),
        }
    }

    /// Opens the block, unless it was opened before.
    ///
    /// # Errors
    /// What keeps it from being opened.
    pub(crate) async fn check(&self, meta: &Meta) -> Result<()> {
        if self.found.lock().contains(&meta.id) {
            return Ok(());
        }
        let reader = BlockReader::new(Arc::clone(&self.env), meta.id, meta);
        let opened = reader.prepare_header().await;
        drop(reader);
        if let Some(disk) = self.env.disk.clone() {
            let folder = meta.id.to_string();
            let removed = self.env.cpu.run(move || disk.remove_tree(&folder)).await;
            if let Err(error) = removed {
                tracing::warn!(block = %meta.id, %error, "a local index-header stays");
            }
        }
        opened?;
        self.found.lock().insert(meta.id);
        Ok(())
    }

    /// Forgets blocks that are gone.
    pub(crate) fn retain(&self, there: impl Fn(&BlockId) -> bool) {
        self.found.lock().retain(|id| there(id));
    }
}
