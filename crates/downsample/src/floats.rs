//! Windows of floats.

use rutile_chunk::{AggrChunk, Chunk, Encoding, XorAppender};

use crate::windows::{batches, window_end};
use crate::{Aggregated, Result};

/// What is known of a window, and of the counter up to its end.
#[derive(Debug)]
pub(crate) struct Window {
    pub(crate) count: f64,
    pub(crate) sum: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// The total of all increases since the first sample, and that sample's value.
    pub(crate) counter: f64,
    last: Option<f64>,
}

impl Window {
    fn new() -> Self {
        Self {
            count: 0.0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            counter: 0.0,
            last: None,
        }
    }

    /// The next window goes on with the counter.
    fn clear(&mut self) {
        let (counter, last) = (self.counter, self.last);
        *self = Self {
            counter,
            last,
            ..Self::new()
        };
    }

    /// Adds samples, one at least.
    fn add(&mut self, values: &[f64]) {
        let Some((first, _)) = values.split_first() else {
            return;
        };
        let (mut counter, mut last) = match self.last {
            Some(last) => (self.counter, last),
            None => (*first, *first),
        };
        let is_first = self.last.is_none();
        let (mut sum, mut min, mut max) = (self.sum, self.min, self.max);
        for (at, &value) in values.iter().enumerate() {
            if at > 0 || !is_first {
                counter += if value < last { value } else { value - last };
            }
            last = value;
            sum += value;
            // Of a NaN neither holds, as in the reference.
            min = if value < min { value } else { min };
            max = if value > max { value } else { max };
        }
        *self = Self {
            count: self.count + values.len() as f64,
            sum,
            min,
            max,
            counter,
            last: Some(last),
        };
    }
}

/// Hands on each window of the samples with its end, which is not beyond the time of the last sample.
pub(crate) fn windows(
    times: &[i64],
    values: &[f64],
    resolution: i64,
    mut each: impl FnMut(i64, &Window) -> Result<()>,
) -> Result<()> {
    let mut window = Window::new();
    let last = times.last().copied().unwrap_or_default();
    let (mut times, mut values) = (times, values);
    while let Some(first) = times.first() {
        let end = window_end(*first, resolution).min(last);
        let count = times.iter().take_while(|t| **t <= end).count();
        let (these, others) = values.split_at_checked(count).unwrap_or((values, &[]));
        window.add(these);
        each(end, &window)?;
        window.clear();
        (times, values) = (times.get(count..).unwrap_or_default(), others);
    }
    Ok(())
}

/// Downsamples raw samples.
pub(crate) fn raw(
    times: &[i64],
    values: &[f64],
    resolution: i64,
    out: &mut Vec<Aggregated>,
) -> Result<()> {
    for batch in batches(times, resolution) {
        let (Some(times), Some(values)) = (times.get(batch.clone()), values.get(batch)) else {
            break;
        };
        // All are looked at: without an early end several are compared at a time.
        if values.iter().fold(false, |any, value| any | value.is_nan()) {
            let numbers = times
                .iter()
                .zip(values)
                .filter(|(_, value)| !value.is_nan());
            let (times, values): (Vec<i64>, Vec<f64>) = numbers.unzip();
            out.extend(chunk(&times, &values, resolution)?);
        } else {
            out.extend(chunk(times, values, resolution)?);
        }
    }
    Ok(())
}

/// The chunk of samples of which none is NaN; none of no samples.
fn chunk(times: &[i64], values: &[f64], resolution: i64) -> Result<Option<Aggregated>> {
    let ends = times.first().zip(values.first()).zip(values.last());
    let Some(((first_time, first), last)) = ends else {
        return Ok(None);
    };
    let mut chunk = FloatChunk::default();
    chunk.counter.append(*first_time, *first)?;
    windows(times, values, resolution, |end, window| {
        chunk.times.see(end);
        chunk.count.append(end, window.count)?;
        chunk.sum.append(end, window.sum)?;
        chunk.min.append(end, window.min)?;
        chunk.max.append(end, window.max)?;
        Ok(chunk.counter.append(end, window.counter)?)
    })?;
    chunk.counter.append(chunk.times.last, *last)?;
    Ok(chunk.finish())
}

/// The first and the last end of a window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) first: i64,
    pub(crate) last: i64,
}

impl Default for Ends {
    fn default() -> Self {
        Self {
            first: i64::MAX,
            last: i64::MIN,
        }
    }
}

impl Ends {
    pub(crate) fn see(&mut self, end: i64) {
        self.first = self.first.min(end);
        self.last = self.last.max(end);
    }
}

/// An aggregate chunk of floats that is being written.
#[derive(Debug, Default)]
pub(crate) struct FloatChunk {
    pub(crate) times: Ends,
    pub(crate) count: XorAppender,
    pub(crate) sum: XorAppender,
    pub(crate) min: XorAppender,
    pub(crate) max: XorAppender,
    pub(crate) counter: XorAppender,
}

impl FloatChunk {
    /// The chunk; none if it has no window. An aggregate without samples is absent.
    pub(crate) fn finish(&self) -> Option<Aggregated> {
        if self.times.first > self.times.last {
            return None;
        }
        let parts = [&self.count, &self.sum, &self.min, &self.max, &self.counter];
        let parts = parts.map(|part| {
            (part.num_samples() > 0).then(|| Chunk {
                encoding: Encoding::Xor,
                data: part.bytes(),
            })
        });
        Some(Aggregated {
            min_time: self.times.first,
            max_time: self.times.last,
            data: AggrChunk::new(parts).encode(),
        })
    }
}
