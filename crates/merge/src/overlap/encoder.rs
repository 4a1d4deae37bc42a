//! From chosen samples to chunks.
//!
//! Source: Prometheus 3.9, `storage/series.go`, `seriesToChunkEncoder`: a chunk ends at 120 samples,
//! where the type changes, and where a histogram cannot follow.

use std::mem;

use rutile_chunk::{
    Appended, Chunk, Encoding, Float, HistogramAppender, Int, Result, Value, XorAppender,
};
use rutile_dedup::Run;
use rutile_model::CounterResetHint;

use super::column::Column;
use crate::function::ChunkSink;

/// Most samples of a chunk.
const CHUNK_SAMPLES: usize = 120;

/// Writes chunks, which are handed on when all are there.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    made: Vec<Made>,
    open: Open,
    samples: usize,
    min_time: i64,
    max_time: i64,
}

/// A chunk that was written.
#[derive(Debug)]
struct Made {
    min_time: i64,
    max_time: i64,
    encoding: Encoding,
    data: Vec<u8>,
}

/// The chunk that is being written.
#[derive(Debug, Default)]
enum Open {
    #[default]
    None,
    Floats(XorAppender),
    Histograms(Box<HistogramAppender<Int>>),
    FloatHistograms(Box<HistogramAppender<Float>>),
}

impl Encoder {
    /// Appends the samples of a run of a replica.
    ///
    /// # Errors
    /// A histogram that contradicts itself.
    pub(super) fn append(&mut self, run: &Run, column: &Column) -> Result<()> {
        if column.histograms.is_empty() {
            let times = column.times.get(run.range()).unwrap_or_default();
            let floats = column.floats.get(run.range()).unwrap_or_default();
            let mut samples = times.iter().zip(floats);
            return samples.try_for_each(|(time, value)| self.float(*time, *value));
        }
        for at in run.range() {
            let Some(&time) = column.times.get(at) else {
                break;
            };
            match column.histogram(at) {
                Some(histogram) if run.forgets && at == run.start => {
                    self.histogram(time, &forgetful(histogram))?;
                }
                Some(histogram) => self.histogram(time, histogram)?,
                None => {
                    let value = column.floats.get(at).copied().unwrap_or_default();
                    self.float(time, value)?;
                }
            }
        }
        Ok(())
    }

    /// Hands the chunks on; gives their times.
    pub(super) fn finish(&mut self, out: &mut dyn ChunkSink) -> Vec<(i64, i64)> {
        self.cut();
        let put = |made: Made| {
            let (encoding, data) = (made.encoding, made.data.as_slice());
            out.put(made.min_time, made.max_time, Chunk { encoding, data });
            (made.min_time, made.max_time)
        };
        self.made.drain(..).map(put).collect()
    }

    /// Forgets what is left of a series that failed.
    pub(super) fn clear(&mut self) {
        self.made.clear();
        self.open = Open::None;
        self.samples = 0;
    }

    fn float(&mut self, time: i64, value: f64) -> Result<()> {
        if !matches!(self.open, Open::Floats(_)) || self.samples >= CHUNK_SAMPLES {
            self.cut();
            self.open = Open::Floats(XorAppender::new());
        }
        if let Open::Floats(appender) = &mut self.open {
            appender.append(time, value)?;
        }
        self.count(time);
        Ok(())
    }

    fn histogram(&mut self, time: i64, value: &Value) -> Result<()> {
        let goes_on = matches!(
            (&self.open, value),
            (Open::Histograms(_), Value::Histogram(_))
                | (Open::FloatHistograms(_), Value::FloatHistogram(_))
        );
        if !goes_on || self.samples >= CHUNK_SAMPLES {
            self.cut();
            self.open = match value {
                Value::Histogram(_) => Open::Histograms(Box::default()),
                _ => Open::FloatHistograms(Box::default()),
            };
        }
        let (encoding, appended) = match (&mut self.open, value) {
            (Open::Histograms(appender), Value::Histogram(histogram)) => {
                let appended = appender.append(time, histogram, None)?;
                (Encoding::Histogram, appended)
            }
            (Open::FloatHistograms(appender), Value::FloatHistogram(histogram)) => {
                let appended = appender.append(time, histogram, None)?;
                (Encoding::FloatHistogram, appended)
            }
            _ => return Ok(()),
        };
        if let Appended::Cut(data) = appended {
            self.keep(encoding, data);
        }
        self.count(time);
        Ok(())
    }

    fn count(&mut self, time: i64) {
        if self.samples == 0 {
            self.min_time = time;
        }
        self.max_time = time;
        self.samples += 1;
    }

    fn cut(&mut self) {
        let (encoding, data) = match mem::take(&mut self.open) {
            Open::None => return,
            Open::Floats(appender) => (Encoding::Xor, appender.into_bytes()),
            Open::Histograms(appender) => (Encoding::Histogram, appender.into_bytes()),
            Open::FloatHistograms(appender) => (Encoding::FloatHistogram, appender.into_bytes()),
        };
        self.keep(encoding, data);
    }

    fn keep(&mut self, encoding: Encoding, data: Vec<u8>) {
        self.made.push(Made {
            min_time: self.min_time,
            max_time: self.max_time,
            encoding,
            data,
        });
        self.samples = 0;
    }
}

/// A histogram whose predecessor is another one now.
fn forgetful(value: &Value) -> Value {
    let mut value = value.clone();
    let hint = match &mut value {
        Value::Histogram(histogram) => &mut histogram.counter_reset_hint,
        Value::FloatHistogram(histogram) => &mut histogram.counter_reset_hint,
        Value::Float(_) => return value,
    };
    if matches!(hint, CounterResetHint::Reset | CounterResetHint::NotReset) {
        *hint = CounterResetHint::Unknown;
    }
    value
}
