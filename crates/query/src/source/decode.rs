//! From the chunks of a replica to columns.
//!
//! Chunks are in order of their first time and do not overlap much; of what does, what came first counts. Source of
//! the rules: Thanos 0.43, `pkg/query/iter.go` and `pkg/compact/downsample/downsample.go`.

use std::sync::Arc;

use rutile_chunk::{Chunk, WireEncoding, decode_ends, decode_samples, decode_series_rows};
use rutile_model::histogram::HistogramRows;
use rutile_model::{FloatHistogram, Samples, WindowTimes};
use rutile_proto::thanos::{self, Aggr};
use rutile_storeapi::AggrChunk;

use super::take::Take;

/// Why a series cannot be decoded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error(transparent)]
    Chunk(#[from] rutile_chunk::Error),
    #[error("chunk encoding {0} is unknown")]
    Encoding(i32),
    #[error("no valid chunk found")]
    NoPart,
    #[error("sum and count of a downsampled chunk are not aligned")]
    NotAligned,
}

type Result<T> = std::result::Result<T, DecodeError>;

/// As [`append`], but with `windows` only what is at their ends need be right ([`rutile_chunk::decode_ends`]).
pub(crate) fn append_ends<'a>(
    chunks: impl Iterator<Item = &'a AggrChunk> + Clone,
    take: Take,
    windows: Option<&WindowTimes>,
    out: &mut Samples,
) -> Result<()> {
    let from = out.len();
    let is_raw = |chunk: &AggrChunk| take == Take::Counter && !has_counter(chunk);
    if let Some(windows) = windows
        && chunks.clone().all(is_raw)
    {
        if append_raw_ends(chunks.clone(), windows, out)? {
            return Ok(());
        }
        out.truncate(from);
    }
    append(chunks, take, out)
}

/// The histograms of raw chunks, as rows ([`decode_series_rows`]). False if they are others, or if chunks overlap.
pub(crate) fn append_rows(
    chunks: &[AggrChunk],
    take: Take,
    windows: &WindowTimes,
    out: &mut HistogramRows,
) -> Result<bool> {
    if take != Take::Counter || chunks.iter().any(has_counter) {
        return Ok(false);
    }
    decode_series_rows(chunks.iter().map(raw), windows, out)
}

/// False if chunks overlap: of these a part goes, and other samples are at the ends then.
fn append_raw_ends<'a>(
    chunks: impl Iterator<Item = &'a AggrChunk>,
    windows: &WindowTimes,
    out: &mut Samples,
) -> Result<bool> {
    for chunk in chunks {
        let last = out.times.last().copied();
        let from = out.len();
        decode_ends(raw(chunk)?, windows, out)?;
        if last.is_some() && out.times.get(from).copied() <= last {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Appends the samples of chunks, each time once.
pub(crate) fn append<'a>(
    chunks: impl Iterator<Item = &'a AggrChunk> + Clone,
    take: Take,
    out: &mut Samples,
) -> Result<()> {
    let is_counter = take == Take::Counter && chunks.clone().any(has_counter);
    if is_counter {
        return append_counter(chunks, out);
    }
    for chunk in chunks {
        let from = out.len();
        if let Some(part) = take.part(chunk) {
            append_part(part, out)?;
        } else if take == Take::Average
            && let (Some(count), Some(sum)) = (chunk.part(Aggr::Count), chunk.part(Aggr::Sum))
        {
            append_average(count, sum, out)?;
        } else {
            return Err(DecodeError::NoPart);
        }
        drop_old(from, out);
    }
    Ok(())
}

fn has_counter(chunk: &AggrChunk) -> bool {
    chunk.part(Aggr::Counter).is_some()
}

/// Takes out what begins at `from` and is not later than what stands before it.
fn drop_old(from: usize, out: &mut Samples) {
    let Some(last) = from.checked_sub(1).map(|last| out.times[last]) else {
        return;
    };
    let old = out.times[from..]
        .iter()
        .take_while(|time| **time <= last)
        .count();
    if old == 0 {
        return;
    }
    let old = from..from + old;
    out.times.drain(old.clone());
    out.floats.drain(old.clone());
    if !out.histograms.is_empty() {
        out.histograms.drain(old);
    }
}

fn raw(chunk: &AggrChunk) -> Result<Chunk<'_>> {
    open(chunk.part(Aggr::Raw).ok_or(DecodeError::NoPart)?)
}

fn open(part: &thanos::Chunk) -> Result<Chunk<'_>> {
    let encoding = WireEncoding::from_i32(part.r#type).ok_or(DecodeError::Encoding(part.r#type))?;
    Ok(Chunk {
        encoding: encoding.into(),
        data: &part.data,
    })
}

fn append_part(part: &thanos::Chunk, out: &mut Samples) -> Result<()> {
    Ok(decode_samples(open(part)?, out)?)
}

/// The average of each window: its sum by its count.
fn append_average(count: &thanos::Chunk, sum: &thanos::Chunk, out: &mut Samples) -> Result<()> {
    let from = out.len();
    append_part(sum, out)?;
    let mut counts = Samples::default();
    append_part(count, &mut counts)?;
    if out.times[from..] != counts.times || !counts.histograms.is_empty() {
        return Err(DecodeError::NotAligned);
    }
    for (i, count) in counts.floats.iter().enumerate() {
        match out.histograms.get_mut(from + i) {
            Some(Some(histogram)) => divide(Arc::make_mut(histogram), *count),
            Some(None) | None => out.floats[from + i] /= count,
        }
    }
    Ok(())
}

fn divide(histogram: &mut FloatHistogram, by: f64) {
    let FloatHistogram {
        count,
        zero_count,
        sum,
        positive_buckets,
        negative_buckets,
        ..
    } = histogram;
    let buckets = positive_buckets.iter_mut().chain(negative_buckets);
    for value in [count, zero_count, sum].into_iter().chain(buckets) {
        *value /= by;
    }
}

/// The running total of a counter over chunks of which some are downsampled: a sample at the time of the one before it
/// tells the last raw value, by which a reset between two chunks shows. Source: Thanos,
/// `ApplyCounterResetsSeriesIterator`.
fn append_counter<'a>(
    chunks: impl Iterator<Item = &'a AggrChunk>,
    out: &mut Samples,
) -> Result<()> {
    let mut part_samples = Samples::default();
    let mut state: Option<Total> = None;
    for chunk in chunks {
        part_samples.clear();
        append_part(
            Take::Counter.part(chunk).ok_or(DecodeError::NoPart)?,
            &mut part_samples,
        )?;
        for (i, time) in part_samples.times.iter().enumerate() {
            let last = out.times.last().copied();
            if let Some(histogram) = part_samples.histogram(i) {
                if last.is_none_or(|last| *time > last) {
                    out.push_histogram(*time, Arc::clone(histogram));
                }
                continue;
            }
            let value = part_samples.floats[i];
            if value.is_nan() {
                continue;
            }
            match &mut state {
                Some(total) if last.is_some_and(|last| *time <= last) => {
                    if last == Some(*time) {
                        total.last = value;
                    }
                }
                Some(total) => out.push_float(*time, total.add(value)),
                None => {
                    state = Some(Total {
                        last: value,
                        total: value,
                    });
                    out.push_float(*time, value);
                }
            }
        }
    }
    Ok(())
}

/// What a counter has counted so far.
struct Total {
    last: f64,
    total: f64,
}

impl Total {
    fn add(&mut self, value: f64) -> f64 {
        self.total += if value >= self.last {
            value - self.last
        } else {
            value
        };
        self.last = value;
        self.total
    }
}

#[cfg(test)]
mod tests;
