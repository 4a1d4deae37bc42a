//! Chunks that overlap, taken apart.

/// Distributes the chunks of one merged series over replicas without overlaps: gives the number of
/// the replica of each.
///
/// `chunks` are first and last time, ms, both inclusive, in the order of the proxy. A chunk goes to
/// the first replica whose last chunk ends before it starts, else to a new one. Source: Thanos 0.43,
/// `pkg/dedup/iter.go`, `NewOverlapSplit`.
#[must_use]
pub fn pseudo_replicas(chunks: impl IntoIterator<Item = (i64, i64)>) -> Vec<usize> {
    let mut ends: Vec<i64> = Vec::new();
    let mut place = |(min_time, max_time)| {
        let found = ends.iter().position(|&end| end < min_time);
        match found.and_then(|replica| ends.get_mut(replica)) {
            Some(end) => *end = max_time,
            None => ends.push(max_time),
        }
        found.unwrap_or(ends.len() - 1)
    };
    chunks.into_iter().map(&mut place).collect()
}
