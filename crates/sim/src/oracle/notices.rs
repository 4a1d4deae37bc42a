//! What cleaners said that they remove.

use std::collections::{BTreeMap, BTreeSet};

use rutile_block::{BlockId, REMOVALS_PREFIX, RemovalNotice};

use super::Role;

/// The notices in the bucket, and who heeds them.
#[derive(Debug, Default)]
pub(super) struct Notices {
    /// Since when each is there, and what it names: any block, if it cannot be read.
    there: BTreeMap<String, (i64, Option<BTreeSet<BlockId>>)>,
    /// Blocks whose uploaders look for no notices.
    unheeded: BTreeSet<BlockId>,
}

impl Notices {
    pub(super) fn on_put(&mut self, key: &str, body: &[u8], now_ms: i64) {
        if key.starts_with(REMOVALS_PREFIX) {
            let names = || RemovalNotice::parse(key, body).ok().map(|n| n.blocks);
            let new = || (now_ms, names());
            self.there.entry(key.to_owned()).or_insert_with(new);
        }
    }

    pub(super) fn on_delete(&mut self, key: &str) {
        self.there.remove(key);
    }

    pub(super) fn on_upload(&mut self, by: Role, id: BlockId) {
        if by == Role::Thanos {
            self.unheeded.insert(id);
        }
    }

    /// Whether an object that was written to a block at this time may go with what was there before: a
    /// notice was there already, and nobody relies on the object until that is over (BC-3).
    pub(super) fn cover(&self, id: BlockId, written_ms: i64) -> bool {
        let names = |(since_ms, blocks): &(i64, Option<BTreeSet<BlockId>>)| {
            written_ms > *since_ms && blocks.as_ref().is_none_or(|names| names.contains(&id))
        };
        !self.unheeded.contains(&id) && self.there.values().any(names)
    }
}
