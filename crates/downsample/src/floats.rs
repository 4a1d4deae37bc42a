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

    #[inline]
    fn add(&mut self, value: f64) {
        self.counter = match self.last {
            Some(last) if value < last => self.counter + value,
            Some(last) => self.counter + (value - last),
            None => value,
        };
        self.last = Some(value);
        self.count += 1.0;
        self.sum += value;
        // Of a NaN neither holds, as in the reference.
        if value < self.min {
            self.min = value;
        }
        if value > self.max {
            self.max = value;
        }
    }
}

/// Hands on each window of the samples with its end, which is not beyond `last`, the time of the last sample.
#[inline]
pub(crate) fn windows(
    samples: impl Iterator<Item = (i64, f64)>,
    last: i64,
    resolution: i64,
    mut each: impl FnMut(i64, &Window) -> Result<()>,
) -> Result<()> {
    let mut window = Window::new();
    let mut open: Option<i64> = None;
    for (t, value) in samples {
        if open.is_none_or(|end| t > end) {
            if let Some(end) = open {
                each(end, &window)?;
                window.clear();
            }
            open = Some(window_end(t, resolution).min(last));
        }
        window.add(value);
    }
    match open {
        Some(end) => each(end, &window),
        None => Ok(()),
    }
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
        let mut samples = times.iter().copied().zip(values.iter().copied());
        let is_number = |sample: &(i64, f64)| !sample.1.is_nan();
        // Both are there, or none is.
        let (first, last) = (
            samples.clone().find(is_number),
            samples.clone().rfind(is_number),
        );
        let (Some(first), Some(last)) = (first, last) else {
            continue;
        };
        let mut chunk = FloatChunk::default();
        chunk.counter.append(first.0, first.1)?;
        let numbers = samples.by_ref().filter(is_number);
        windows(numbers, last.0, resolution, |end, window| {
            chunk.times.see(end);
            chunk.count.append(end, window.count)?;
            chunk.sum.append(end, window.sum)?;
            chunk.min.append(end, window.min)?;
            chunk.max.append(end, window.max)?;
            Ok(chunk.counter.append(end, window.counter)?)
        })?;
        chunk.counter.append(chunk.times.last, last.1)?;
        out.extend(chunk.finish());
    }
    Ok(())
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
