//! Which samples come into one chunk, and where windows end.

use std::ops::Range;

/// What a raw series is taken to have between two samples, as in the reference.
const RAW_STEP_MS: i64 = 60_000;
/// Windows of a chunk, on average at most.
const WINDOWS_PER_CHUNK: i64 = 140;

/// The last ms of the window that `t` lies in.
#[inline]
pub(crate) fn window_end(t: i64, resolution: i64) -> i64 {
    t - t % resolution + resolution - 1
}

/// How many chunks `count` samples become that were made every `step` ms, from the first to the last of them; at least one.
pub(crate) fn chunk_count(
    (first, last): (i64, i64),
    step: i64,
    resolution: i64,
    count: usize,
) -> usize {
    let length = last.saturating_sub(first);
    // As the reference rounds: windows are counted whole, samples are not.
    let fullness = (count as f64 / (length as f64 / step as f64)).min(1.0);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "as in the reference; what is too large is the largest"
    )]
    let windows = ((length / resolution) as f64 * fullness) as i64;
    // The least number for which windows / number, rounded down, is no more than what a chunk has.
    let chunks = windows.saturating_add(1) / (WINDOWS_PER_CHUNK + 1) + 1;
    usize::try_from(chunks).unwrap_or(1)
}

/// Cuts raw samples into those of one chunk each, none of which ends within a window.
pub(crate) fn batches(times: &[i64], resolution: i64) -> impl Iterator<Item = Range<usize>> {
    let ends = (
        times.first().copied().unwrap_or_default(),
        times.last().copied().unwrap_or_default(),
    );
    let size = times.len() / chunk_count(ends, RAW_STEP_MS, resolution, times.len()) + 1;
    let mut start = 0;
    std::iter::from_fn(move || {
        let last = (start + size).min(times.len()).checked_sub(1)?;
        let end = window_end(*times.get(last).filter(|_| last >= start)?, resolution);
        let behind = times.get(last + 1..).unwrap_or_default();
        let more = behind.iter().take_while(|t| **t <= end).count();
        let batch = start..last + 1 + more;
        start = batch.end;
        Some(batch)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_have_at_most_140_windows_on_average() {
        let count = |windows: i64| {
            let last = windows * 300_000;
            chunk_count((0, last), RAW_STEP_MS, 300_000, usize::MAX)
        };
        assert_eq!([0, 139, 140, 280, 281].map(count), [1, 1, 2, 2, 3]);
        // A tenth of what there may be.
        let windows = 1410;
        let last = windows * 300_000;
        assert_eq!(chunk_count((0, last), RAW_STEP_MS, 300_000, 705), 2);
        assert_eq!(chunk_count((5, 5), RAW_STEP_MS, 300_000, 1), 1);
        assert_eq!(
            chunk_count((0, i64::MAX), 1, 1, usize::MAX) as i64,
            i64::MAX / 141 + 1
        );
    }

    #[test]
    fn a_batch_takes_the_whole_of_its_last_window() {
        let times: Vec<i64> = (0..2000).map(|i| i * 60_000).collect();
        let batches: Vec<_> = batches(&times, 300_000).collect();
        assert_eq!(batches.first().unwrap().start, 0);
        assert_eq!(batches.last().unwrap().end, 2000);
        for pair in batches.windows(2) {
            assert_eq!(pair[0].end, pair[1].start);
            assert_eq!(times[pair[1].start] % 300_000, 0);
        }
        assert_eq!(batches.len(), 3);
        assert_eq!(super::batches(&[], 300_000).count(), 0);
        assert!(super::batches(&[7], 300_000).eq(std::iter::once(0..1)));
    }
}
