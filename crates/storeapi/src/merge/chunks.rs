//! The order of the chunks of one series, and which of them are the same.

use std::cmp::Ordering;

use rutile_proto::thanos::{AggrChunk, Chunk};

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
        .then_with(|| compare_parts(a.raw.as_ref(), b.raw.as_ref()))
        .then_with(|| compare_parts(a.count.as_ref(), b.count.as_ref()))
        .then_with(|| compare_parts(a.sum.as_ref(), b.sum.as_ref()))
        .then_with(|| compare_parts(a.min.as_ref(), b.min.as_ref()))
        .then_with(|| compare_parts(a.max.as_ref(), b.max.as_ref()))
        .then_with(|| compare_parts(a.counter.as_ref(), b.counter.as_ref()))
}

fn compare_parts(a: Option<&Chunk>, b: Option<&Chunk>) -> Ordering {
    match (a, b) {
        (None, None) => Ordering::Equal,
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (Some(a), Some(b)) => a.r#type.cmp(&b.r#type).then_with(|| b.data.cmp(&a.data)),
    }
}
