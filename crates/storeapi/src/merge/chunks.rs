//! The order of the chunks of one series, and which of them are the same.

use std::cmp::Ordering;

use rutile_proto::thanos::{Aggr, Chunk};

use crate::AggrChunk;

/// Adds the chunks of the same series from elsewhere, unless they are the same: replicas of a store
/// answer alike, and what is not added need not be sorted.
pub(super) fn add_chunks(chunks: &mut Vec<AggrChunk>, more: Vec<AggrChunk>) {
    let same = chunks.len() == more.len()
        && chunks
            .iter()
            .zip(&more)
            .all(|(a, b)| compare_chunks(a, b).is_eq());
    if !same {
        chunks.extend(more);
    }
}

/// Sorts chunks and drops those that are there already.
pub(super) fn order_chunks(chunks: &mut Vec<AggrChunk>) {
    if chunks.is_sorted_by(|a, b| compare_chunks(a, b).is_lt()) {
        return;
    }
    chunks.sort_by(compare_chunks);
    chunks.dedup_by(|a, b| compare_chunks(a, b).is_eq());
}

/// Earlier first. Of the same times: what has an aggregate before what has not, the smaller encoding,
/// the larger data. Hashes do not count, not every store computes them.
fn compare_chunks(a: &AggrChunk, b: &AggrChunk) -> Ordering {
    (a.min_time, a.max_time)
        .cmp(&(b.min_time, b.max_time))
        .then_with(|| {
            let parts = a.parts().iter().zip(b.parts());
            let unequal = parts.map(|(a, b)| compare_parts(a, b)).find(|o| o.is_ne());
            // Of parts that are alike as far as they go, more come first.
            unequal.unwrap_or_else(|| b.parts().len().cmp(&a.parts().len()))
        })
}

/// Where one has an aggregate that the other lacks, that of the other comes later in the order.
fn compare_parts((of_a, a): &(Aggr, Chunk), (of_b, b): &(Aggr, Chunk)) -> Ordering {
    (of_a.cmp(of_b))
        .then_with(|| a.r#type.cmp(&b.r#type))
        .then_with(|| b.data.cmp(&a.data))
}
