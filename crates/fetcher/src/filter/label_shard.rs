//! Keeps a block of which relabelling leaves any label. It sees the external labels (without the
//! replica labels, so that replicas stay together) and `__block_id`.

use rutile_block::{BlockId, Meta};
use rutile_model::Labels;

/// The label that holds the block's ULID while relabelling.
pub const BLOCK_ID_LABEL: &str = "__block_id";

/// Which blocks belong to this process.
#[derive(Debug, Clone, Default)]
pub struct LabelShard {}

impl LabelShard {
    /// Whether the block belongs to the shard.
    #[must_use]
    pub fn keeps(&self, _id: BlockId, _meta: &Meta) -> bool {
        true
    }

    #[expect(dead_code, reason = "used once relabelling is there")]
    fn labels(id: BlockId, meta: &Meta) -> Labels {
        let mut labels = meta.thanos.labels.to_builder();
        labels.set(BLOCK_ID_LABEL, id.to_string());
        labels.build()
    }
}
