//! Takes the replica labels off a block, in memory only, so that the blocks of replicas fall into
//! one group. A block that would have no labels left gets `<first replica label>="deduped"`.

use std::sync::Arc;

use rutile_block::Meta;
use rutile_model::Labels;

/// The value that stands for "all replicas".
pub const DEDUPED: &str = "deduped";

/// The block's metadata without the labels in `replica_labels`, and how many it lost.
#[must_use]
pub fn remove(replica_labels: &[String], meta: &Arc<Meta>) -> (Arc<Meta>, usize) {
    let labels = &meta.thanos.labels;
    let mut rest = labels.without(replica_labels);
    let removed = labels.len() - rest.len();
    if let (true, Some(first)) = (rest.is_empty(), replica_labels.first()) {
        rest = Labels::from([(first.as_str(), DEDUPED)]);
    }
    if rest == *labels {
        return (Arc::clone(meta), 0);
    }
    let mut changed = Meta::clone(meta);
    changed.thanos.labels = rest;
    (Arc::new(changed), removed)
}
