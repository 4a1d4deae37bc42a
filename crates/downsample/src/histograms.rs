//! Windows of native histograms.

use std::sync::Arc;

use rutile_chunk::{
    AggrChunk, Appended, Chunk, CounterReset, Encoding, Float, HistogramAppender, XorAppender,
};
use rutile_model::{CounterResetHint, FloatHistogram};

use crate::floats::Ends;
use crate::windows::{batches, window_end};
use crate::{Aggregated, Result};

/// A histogram and its time, ms.
pub(crate) type Sample<'a> = (i64, &'a FloatHistogram);

/// What becomes of a batch: each aggregate by the ends of its windows. Whatever comes of raw samples has the same ends in all.
#[derive(Debug, Default)]
pub(crate) struct Windows {
    pub(crate) count: Vec<(i64, f64)>,
    pub(crate) sum: Vec<(i64, FloatHistogram)>,
    pub(crate) counter: Vec<(i64, FloatHistogram)>,
}

/// What is known of a window, and of the counter up to its end.
#[derive(Debug, Default)]
pub(crate) struct Window {
    pub(crate) count: f64,
    pub(crate) sum: Option<FloatHistogram>,
    counter: Option<FloatHistogram>,
    /// The last sample, at the schema of all.
    previous: FloatHistogram,
    /// For its memory: a sample at that schema, and what it adds to the counter.
    reduced: FloatHistogram,
    increase: FloatHistogram,
}

/// Downsamples raw histograms of one kind: all with exponential buckets, or all with custom ones.
pub(crate) fn raw(
    times: &[i64],
    histograms: &[Arc<FloatHistogram>],
    resolution: i64,
    out: &mut Vec<Aggregated>,
) -> Result<()> {
    for batch in batches(times, resolution) {
        let (Some(times), Some(histograms)) = (times.get(batch.clone()), histograms.get(batch))
        else {
            break;
        };
        let samples = times.iter().copied().zip(histograms.iter().map(|h| &**h));
        let samples: Vec<Sample<'_>> = samples.filter(|(_, h)| !h.sum.is_nan()).collect();
        let mut all = Windows::default();
        windows(&samples, resolution, |end, window, counter| {
            all.count.push((end, window.count));
            all.sum.extend(window.sum.take().map(|sum| (end, sum)));
            all.counter.push((end, counter.clone()));
        })?;
        all.write(out)?;
    }
    Ok(())
}

/// Hands on each window of the samples with its end, and the counter there.
pub(crate) fn windows(
    samples: &[Sample<'_>],
    resolution: i64,
    mut each: impl FnMut(i64, &mut Window, &FloatHistogram),
) -> Result<()> {
    let Some(schema) = samples.iter().map(|(_, h)| h.schema).min() else {
        return Ok(());
    };
    let last = samples.last().map_or(i64::MIN, |(t, _)| *t);
    let is_gauge = { samples.first() }
        .is_some_and(|(_, first)| first.counter_reset_hint == CounterResetHint::Gauge);
    let mut window = Window::default();
    let mut close = |end: i64, window: &mut Window| {
        let Some(mut counter) = window.counter.take() else {
            return;
        };
        if is_gauge {
            counter.counter_reset_hint = CounterResetHint::Gauge;
        }
        each(end, window, &counter);
        window.counter = Some(counter);
        (window.count, window.sum) = (0.0, None);
    };
    let mut open: Option<i64> = None;
    for (t, histogram) in samples {
        if open.is_none_or(|end| *t > end) {
            if let Some(end) = open {
                close(end, &mut window);
            }
            open = Some(window_end(*t, resolution).min(last));
        }
        window.add(histogram, schema)?;
    }
    if let Some(end) = open {
        close(end, &mut window);
    }
    Ok(())
}

impl Window {
    fn add(&mut self, original: &FloatHistogram, schema: i32) -> Result<()> {
        let histogram = if original.schema == schema {
            original
        } else {
            self.reduced.copy_from_at(original, schema)?;
            &self.reduced
        };
        match &mut self.counter {
            None => self.counter = Some(histogram.clone()),
            Some(counter) => {
                let is_gauge = histogram.counter_reset_hint == CounterResetHint::Gauge;
                // A schema that rises is a reset, so it is the sample as it was that is asked.
                if !is_gauge && original.detect_reset(&self.previous) {
                    counter.add(histogram)?;
                } else {
                    self.increase.copy_from(histogram);
                    self.increase.sub(&self.previous)?;
                    counter.add(&self.increase)?;
                }
            }
        }
        match &mut self.sum {
            None => self.sum = Some(histogram.clone()),
            Some(sum) => {
                sum.add(histogram)?;
            }
        }
        if let Some(sum) = &mut self.sum {
            // A sum may be less than the one before it, which is no reset.
            sum.counter_reset_hint = CounterResetHint::Gauge;
        }
        self.previous.copy_from(histogram);
        self.count += 1.0;
        Ok(())
    }
}

impl Windows {
    /// Writes the chunk, or more than one: where a window does not fit behind the others, such as one with another zero bucket,
    /// a chunk begins with it. (The reference loses the windows before it.)
    pub(crate) fn write(mut self, out: &mut Vec<Aggregated>) -> Result<()> {
        loop {
            let (counter, counter_ends) = histograms(&self.counter)?;
            let (sum, sum_ends) = histograms(&self.sum)?;
            let Some(from) = { [counter_ends, sum_ends].into_iter().flatten() }.min() else {
                out.extend(self.encode([&sum, &counter])?);
                return Ok(());
            };
            let rest = Self {
                count: split_off(&mut self.count, from),
                sum: split_off(&mut self.sum, from),
                counter: split_off(&mut self.counter, from),
            };
            let (counter, _) = histograms(&self.counter)?;
            let (sum, _) = histograms(&self.sum)?;
            out.extend(self.encode([&sum, &counter])?);
            self = rest;
        }
    }

    fn encode(&self, histograms: [&HistogramAppender<Float>; 2]) -> Result<Option<Aggregated>> {
        let mut times = Ends::default();
        let mut count = XorAppender::new();
        for (end, value) in &self.count {
            times.see(*end);
            count.append(*end, *value)?;
        }
        let ends = self.sum.iter().chain(&self.counter);
        ends.for_each(|(end, _)| times.see(*end));
        if times.first > times.last {
            return Ok(None);
        }
        let [sum, counter] = histograms.map(|part| {
            (part.num_samples() > 0).then(|| Chunk {
                encoding: Encoding::FloatHistogram,
                data: part.bytes(),
            })
        });
        let count = (count.num_samples() > 0).then(|| Chunk {
            encoding: Encoding::Xor,
            data: count.bytes(),
        });
        Ok(Some(Aggregated {
            min_time: times.first,
            max_time: times.last,
            data: AggrChunk::new([count, sum, None, None, counter]).encode(),
        }))
    }
}

fn split_off<T>(windows: &mut Vec<(i64, T)>, from: i64) -> Vec<(i64, T)> {
    windows.split_off(windows.partition_point(|(end, _)| *end < from))
}

/// The chunk of the first of these, and the time of the first that does not fit behind them.
fn histograms(
    windows: &[(i64, FloatHistogram)],
) -> Result<(HistogramAppender<Float>, Option<i64>)> {
    let mut chunk = HistogramAppender::<Float>::new();
    for (at, (end, histogram)) in windows.iter().enumerate() {
        if let Appended::Cut(_) = chunk.append(*end, histogram, None)? {
            let (fitting, _) = histograms(windows.get(..at).unwrap_or_default())?;
            return Ok((fitting, Some(*end)));
        }
        if at == 0 && chunk.counter_reset() == CounterReset::Unknown {
            // As in the reference, which takes the chunk for its own predecessor.
            chunk.set_counter_reset(CounterReset::NotReset);
        }
    }
    Ok((chunk, None))
}
