//! Ranges of chunk files, read in aligned pieces.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use rutile_model::ErrorKind;
use rutile_objstore::{Error, Operation, Result};

use super::flight::{Follower, Leader, Turn};
use super::timed::Value;
use super::{CachingBucket, attributes_key, subrange_key};

/// Pieces at hand, by start, and the reads that they were cut from.
#[derive(Debug, Default)]
struct Pieces {
    pieces: BTreeMap<u64, Bytes>,
    reads: Vec<(Range<u64>, Bytes)>,
}

impl CachingBucket {
    /// The ranges from cache and bucket; `None` if one of them is not within the object, about which
    /// the bucket shall complain itself.
    pub(super) async fn cached_ranges(
        &self,
        key: &str,
        ranges: &[Range<u64>],
    ) -> Result<Option<Vec<Bytes>>> {
        let size = self.cached_attributes(key).await?.size;
        if ranges
            .iter()
            .any(|range| range.start >= range.end || range.start >= size)
        {
            return Ok(None);
        }
        let metrics = &self.shared.metrics;
        let ranges: Vec<_> = ranges.iter().map(|r| r.start..r.end.min(size)).collect();
        metrics.get_range.requests.inc_by(ranges.len() as u64);
        metrics
            .requested_bytes
            .inc_by(ranges.iter().map(|r| r.end - r.start).sum());

        let wanted = self.aligned(&ranges, size);
        let requests = self.shared.config.max_chunks_get_range_requests;
        let requests = requests.map_or(usize::MAX, |n| n.saturating_mul(ranges.len()));
        let (mut have, missing) = self.look_up(key, &wanted).await;
        let share = have.pieces.len() as f64 / wanted.len().max(1) as f64;
        metrics.get_range.hits.inc_by(share * ranges.len() as f64);

        let (led, followed) = self.take_off(key, missing, &mut have);
        self.read(key, led, requests, &mut have).await?;
        let mut left = Vec::new();
        for (piece, follower) in followed {
            match follower.wait().await {
                Some(Value::Content(content)) => drop(have.pieces.insert(piece.start, content)),
                _ => left.push((piece, None)),
            }
        }
        // Whoever was to read these did not. All ask now, at once: in turn would take ages.
        self.read(key, left, requests, &mut have).await?;
        ranges
            .iter()
            .map(|range| self.assemble(key, range, &have))
            .collect::<Result<_>>()
            .map(Some)
    }

    /// The pieces that cover the ranges, in order.
    fn aligned(&self, ranges: &[Range<u64>], size: u64) -> Vec<Range<u64>> {
        let step = self.shared.config.chunk_subrange_size;
        let mut starts: Vec<u64> = Vec::new();
        for range in ranges {
            let first = range.start / step;
            let last = (range.end - 1) / step;
            starts.extend((first..=last).map(|piece| piece * step));
        }
        starts.sort_unstable();
        starts.dedup();
        starts
            .into_iter()
            .map(|start| start..start.saturating_add(step).min(size))
            .collect()
    }

    async fn look_up(&self, key: &str, wanted: &[Range<u64>]) -> (Pieces, Vec<Range<u64>>) {
        let mut have = Pieces::default();
        let mut missing = Vec::new();
        let mut cached_bytes = 0;
        let keys: Vec<_> = wanted
            .iter()
            .map(|piece| subrange_key(key, piece))
            .collect();
        let cached = self.shared.cache.get_all(&keys).await;
        for (piece, cached) in wanted.iter().zip(cached) {
            match cached {
                Some(Value::Content(content)) => {
                    cached_bytes += content.len() as u64;
                    have.pieces.insert(piece.start, content);
                }
                _ => missing.push(piece.clone()),
            }
        }
        self.shared.metrics.fetched_from_cache.inc_by(cached_bytes);
        (have, missing)
    }

    /// Divides what is missing into what this request reads and what others are reading.
    #[expect(clippy::type_complexity, reason = "two lists, used once")]
    fn take_off(
        &self,
        key: &str,
        missing: Vec<Range<u64>>,
        have: &mut Pieces,
    ) -> (
        Vec<(Range<u64>, Option<Leader>)>,
        Vec<(Range<u64>, Follower)>,
    ) {
        let (mut led, mut followed) = (Vec::new(), Vec::new());
        for piece in missing {
            let cache_key = subrange_key(key, &piece);
            match self.shared.flights.join(&cache_key) {
                Turn::Follow(follower) => followed.push((piece, follower)),
                Turn::Lead(leader) => match self.shared.cache.peek(&cache_key) {
                    // Another flight landed after the first look.
                    Some(Value::Content(content)) => {
                        have.pieces.insert(piece.start, content.clone());
                        leader.land(Value::Content(content));
                    }
                    _ => led.push((piece, Some(leader))),
                },
            }
        }
        (led, followed)
    }

    /// Reads pieces by at most `requests` requests, keeps them, and answers who waits for them.
    async fn read(
        &self,
        key: &str,
        pieces: Vec<(Range<u64>, Option<Leader>)>,
        requests: usize,
        have: &mut Pieces,
    ) -> Result<()> {
        if pieces.is_empty() {
            return Ok(());
        }
        let step = self.shared.config.chunk_subrange_size;
        let merged = merge(
            pieces.iter().map(|(piece, _)| piece.clone()),
            requests,
            step,
        );
        let asked = self.shared.cache.now();
        let reads = self.inner.get_ranges(key, &merged).await?;
        let metrics = &self.shared.metrics;
        let mut read_bytes = 0;
        for (range, bytes) in merged.into_iter().zip(reads) {
            read_bytes += bytes.len() as u64;
            if bytes.len() as u64 != range.end - range.start {
                return Err(self.changed(key, &range, bytes.len()));
            }
            have.reads.push((range, bytes));
        }
        let mut kept_bytes = 0;
        for (piece, leader) in pieces {
            let Some(content) = have.cut(&piece) else {
                return Err(self.changed(key, &piece, 0));
            };
            kept_bytes += content.len() as u64;
            have.pieces.insert(piece.start, content.clone());
            let value = Value::Content(content);
            let ttl_ms = self.shared.config.chunk_subrange_ttl_ms;
            self.shared
                .cache
                .put(&subrange_key(key, &piece), value.clone(), asked, ttl_ms);
            if let Some(leader) = leader {
                leader.land(value);
            }
        }
        metrics.fetched_from_bucket.inc_by(kept_bytes);
        metrics
            .refetched
            .inc_by(read_bytes.saturating_sub(kept_bytes));
        Ok(())
    }

    /// One range, without a copy where a piece or a read holds it whole.
    fn assemble(&self, key: &str, range: &Range<u64>, have: &Pieces) -> Result<Bytes> {
        if let Some(bytes) = have.cut(range) {
            return Ok(bytes);
        }
        let len = usize::try_from(range.end - range.start).unwrap_or_default();
        let mut out = BytesMut::with_capacity(len);
        for piece in self.aligned(std::slice::from_ref(range), u64::MAX) {
            let content = have.pieces.get(&piece.start).map_or(0, Bytes::len) as u64;
            let end = piece.start.saturating_add(content).min(range.end);
            let part = have.cut(&(piece.start.max(range.start)..end));
            out.extend_from_slice(&part.unwrap_or_default());
        }
        if out.len() == len {
            return Ok(out.freeze());
        }
        Err(self.changed(key, range, out.len()))
    }

    /// The object is not as long as it was when its size was asked: ask again next time.
    fn changed(&self, key: &str, range: &Range<u64>, got: usize) -> Error {
        self.shared.cache.remove(&attributes_key(key));
        let message = format!(
            "bytes {} to {} were read, but {got} came: the object changed while it was read",
            range.start, range.end
        );
        Error::new(
            ErrorKind::Unavailable,
            Operation::GetRanges,
            self.inner.name(),
            key,
            message,
        )
    }
}

impl Pieces {
    /// A range that lies in one read or in one piece.
    fn cut(&self, range: &Range<u64>) -> Option<Bytes> {
        let from_piece = || {
            let (&start, piece) = self.pieces.range(..=range.start).next_back()?;
            cut_from(&(start..start + piece.len() as u64, piece.clone()), range)
        };
        self.reads
            .iter()
            .find_map(|read| cut_from(read, range))
            .or_else(from_piece)
    }
}

/// `wanted` out of the bytes of a range, if they hold all of it.
fn cut_from((range, bytes): &(Range<u64>, Bytes), wanted: &Range<u64>) -> Option<Bytes> {
    let start = usize::try_from(wanted.start.checked_sub(range.start)?).ok()?;
    let end = usize::try_from(wanted.end.checked_sub(range.start)?).ok()?;
    (start <= end && end <= bytes.len()).then(|| bytes.slice(start..end))
}

/// Joins neighbours, then over growing gaps until there are at most `requests`.
fn merge(pieces: impl Iterator<Item = Range<u64>>, requests: usize, step: u64) -> Vec<Range<u64>> {
    let mut merged = join(pieces, 0);
    let mut gap = step;
    while merged.len() > requests.max(1) {
        merged = join(merged.into_iter(), gap);
        gap = gap.saturating_mul(2);
    }
    merged
}

fn join(ranges: impl Iterator<Item = Range<u64>>, gap: u64) -> Vec<Range<u64>> {
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start.saturating_sub(last.end) <= gap => last.end = range.end,
            _ => joined.push(range),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_over_gaps() {
        #[track_caller]
        fn check(pieces: &[Range<u64>], requests: usize, expected: &[Range<u64>]) {
            assert_eq!(merge(pieces.iter().cloned(), requests, 10), expected);
        }
        check(&[0..10, 10..20, 30..40], usize::MAX, &[0..20, 30..40]);
        check(
            &[0..10, 20..30, 100..110, 200..210],
            3,
            &[0..30, 100..110, 200..210],
        );
        check(&[0..10, 20..30, 100..110, 200..210], 2, &[0..110, 200..210]);
        check(&[0..10, 20..30], 0, std::slice::from_ref(&(0..30)));
    }
}
