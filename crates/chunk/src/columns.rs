//! From a chunk of any encoding to columns: the fast way to read all of it.

use rutile_model::histogram::HistogramRows;
use rutile_model::{Samples, WindowTimes};

use crate::chunk::Chunk;
use crate::encoding::Encoding;
use crate::error::{Error, Result};
use crate::histogram::{Float, HistogramIter, Int};
use crate::xor::decode_floats;
use crate::xor2::Xor2Iter;

/// Appends the samples of a chunk to columns, without start timestamps. Integer histograms get float counts,
/// see [`rutile_model::Histogram::into_float`].
///
/// # Errors
/// As of [`Chunk::iter`] and its samples; the columns are of no use then.
pub fn decode_samples(chunk: Chunk<'_>, out: &mut Samples) -> Result<()> {
    match chunk.encoding {
        Encoding::Xor => {
            decode_floats(chunk.data, &mut out.times, &mut out.floats)?;
            if !out.histograms.is_empty() {
                out.histograms.resize(out.times.len(), None);
            }
            Ok(())
        }
        Encoding::Histogram | Encoding::HistogramSt => {
            HistogramIter::<Int>::new(chunk)?.append_to(out)
        }
        Encoding::FloatHistogram | Encoding::FloatHistogramSt => {
            HistogramIter::<Float>::new(chunk)?.append_to(out)
        }
        Encoding::Xor2 => {
            for sample in Xor2Iter::new(chunk.data)? {
                let (t, value) = sample?;
                out.push_float(t, value);
            }
            Ok(())
        }
        // It is read part by part, which the error says.
        Encoding::Aggregate => chunk.iter().map(drop),
    }
}

/// As [`decode_samples`], for windows of which only the first and the last sample are looked at, where counters were
/// not reset: histograms between these may be equal to the one before them, but for their times. Resets are found, for
/// hints are right, and so is what stands on both sides of one that no hint rules out.
///
/// # Errors
/// As of [`decode_samples`].
pub fn decode_ends(chunk: Chunk<'_>, windows: &WindowTimes, out: &mut Samples) -> Result<()> {
    let (from, ends) = (out.len(), windows.ends());
    let told = match chunk.encoding {
        Encoding::Histogram | Encoding::HistogramSt => {
            HistogramIter::<Int>::new(chunk)?.append_ends(ends, out)?
        }
        Encoding::FloatHistogram | Encoding::FloatHistogramSt => {
            HistogramIter::<Float>::new(chunk)?.append_ends(ends, out)?
        }
        Encoding::Xor | Encoding::Xor2 | Encoding::Aggregate => false,
    };
    if told {
        return Ok(());
    }
    out.truncate(from);
    decode_samples(chunk, out)
}

/// [`decode_rows`] of each chunk of a series; nothing is decoded where the first bytes of one tell that it cannot be.
///
/// # Errors
/// As of [`decode_samples`]; those of `chunks`.
pub fn decode_series_rows<'c, E: From<Error>>(
    chunks: impl Iterator<Item = Result<Chunk<'c>, E>> + Clone,
    windows: &WindowTimes,
    out: &mut HistogramRows,
) -> Result<bool, E> {
    for chunk in chunks.clone() {
        if !fits_rows(chunk?, out)? {
            return Ok(false);
        }
    }
    for chunk in chunks {
        if !decode_rows(chunk?, windows, out)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// As [`decode_ends`], to rows, without stale markers: of integer histograms that have the same buckets as what is there
/// already. False for all others, gauges and what goes back in time among them: then the rows are of no use.
///
/// # Errors
/// As of [`decode_samples`].
pub fn decode_rows(
    chunk: Chunk<'_>,
    windows: &WindowTimes,
    out: &mut HistogramRows,
) -> Result<bool> {
    match chunk.encoding {
        Encoding::Histogram | Encoding::HistogramSt => {
            HistogramIter::<Int>::new(chunk)?.append_rows(windows.ends(), out)
        }
        _ => Ok(false),
    }
}

/// Whether [`decode_rows`] can read a chunk, as far as its first bytes tell: where one of many cannot be read so, the work
/// on the others is saved. Rows without samples will have its layout.
///
/// # Errors
/// As of [`decode_samples`].
pub fn fits_rows(chunk: Chunk<'_>, out: &mut HistogramRows) -> Result<bool> {
    match chunk.encoding {
        Encoding::Histogram | Encoding::HistogramSt => {
            HistogramIter::<Int>::new(chunk)?.fits_rows(out)
        }
        _ => Ok(false),
    }
}
