//! The same series after their samples went through chunks.

use std::sync::Arc;

use rutile_chunk::{Appended, Chunk, Encoding, Float, HistogramAppender, Int, Value, XorAppender};
use rutile_model::{FloatHistogram, Histogram, Samples};

use crate::chance::Chance;
use crate::data::Stored;

/// How chunks are made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cuts {
    /// The most samples of a chunk.
    pub(crate) most: usize,
    /// Whether they end earlier by chance.
    pub(crate) random: bool,
    /// Whether histograms are written with float counts, even if theirs are whole.
    pub(crate) floats: bool,
}

/// Writes samples as chunks, reads these, and gives the series that come out.
pub(crate) fn through(stored: &Stored, cuts: Cuts, chance: &mut Chance) -> Stored {
    let mut writer = Writer::default();
    let all = &stored.samples;
    for (i, time) in all.times.iter().enumerate() {
        if writer.count >= cuts.most || (cuts.random && chance.percent(8)) {
            writer.finish();
        }
        match all.histogram(i) {
            None => writer.float(*time, all.floats[i]),
            Some(histogram) => match whole(histogram) {
                Some(whole) if !cuts.floats => writer.int_histogram(*time, &whole),
                _ => writer.float_histogram(*time, histogram),
            },
        }
    }
    writer.finish();
    let mut samples = Samples::default();
    for (encoding, data) in &writer.chunks {
        let chunk = Chunk {
            encoding: *encoding,
            data,
        };
        for sample in chunk.iter().expect("a chunk") {
            let sample = sample.expect("a sample");
            match sample.value {
                Value::Float(value) => samples.push_float(sample.time_ms, value),
                Value::Histogram(h) => {
                    samples.push_histogram(sample.time_ms, Arc::new(h.to_float()));
                }
                Value::FloatHistogram(h) => samples.push_histogram(sample.time_ms, Arc::new(h)),
            }
        }
    }
    assert_eq!(samples.times, all.times);
    let labels = stored.labels.clone();
    Stored {
        labels,
        samples,
        chunks: writer.chunks,
    }
}

#[derive(Debug, Default)]
enum Open {
    #[default]
    None,
    Floats(XorAppender),
    Ints(HistogramAppender<Int>),
    FloatHistograms(HistogramAppender<Float>),
}

#[derive(Debug, Default)]
struct Writer {
    chunks: Vec<(Encoding, Vec<u8>)>,
    open: Open,
    count: usize,
    /// The one before, if it was of the same kind: it shows whether there was a reset.
    ints: Option<HistogramAppender<Int>>,
    floats: Option<HistogramAppender<Float>>,
}

impl Writer {
    fn finish(&mut self) {
        self.count = 0;
        (self.ints, self.floats) = (None, None);
        match std::mem::take(&mut self.open) {
            Open::None => {}
            Open::Floats(appender) => self.chunks.push((Encoding::Xor, appender.into_bytes())),
            Open::Ints(appender) => {
                self.ints = Some(appender.clone());
                self.chunks
                    .push((Encoding::Histogram, appender.into_bytes()));
            }
            Open::FloatHistograms(appender) => {
                self.floats = Some(appender.clone());
                self.chunks
                    .push((Encoding::FloatHistogram, appender.into_bytes()));
            }
        }
    }

    fn float(&mut self, time: i64, value: f64) {
        if !matches!(self.open, Open::Floats(_)) {
            self.finish();
            self.open = Open::Floats(XorAppender::new());
        }
        if let Open::Floats(appender) = &mut self.open {
            appender.append(time, value).expect("it fits");
            self.count += 1;
        }
    }

    fn int_histogram(&mut self, time: i64, histogram: &Histogram) {
        if !matches!(self.open, Open::Ints(_)) {
            self.finish();
            self.open = Open::Ints(HistogramAppender::<Int>::new());
        }
        if let Open::Ints(appender) = &mut self.open {
            let after = self.ints.take();
            match appender
                .append(time, histogram, after.as_ref())
                .expect("it fits")
            {
                Appended::InPlace | Appended::Recoded => self.count += 1,
                Appended::Cut(bytes) => {
                    self.chunks.push((Encoding::Histogram, bytes));
                    self.count = 1;
                }
            }
        }
    }

    fn float_histogram(&mut self, time: i64, histogram: &FloatHistogram) {
        if !matches!(self.open, Open::FloatHistograms(_)) {
            self.finish();
            self.open = Open::FloatHistograms(HistogramAppender::<Float>::new());
        }
        if let Open::FloatHistograms(appender) = &mut self.open {
            let after = self.floats.take();
            match appender
                .append(time, histogram, after.as_ref())
                .expect("it fits")
            {
                Appended::InPlace | Appended::Recoded => self.count += 1,
                Appended::Cut(bytes) => {
                    self.chunks.push((Encoding::FloatHistogram, bytes));
                    self.count = 1;
                }
            }
        }
    }
}

/// The histogram with integer counts, if they are whole.
fn whole(histogram: &FloatHistogram) -> Option<Histogram> {
    let count =
        |value: f64| (value >= 0.0 && value.fract() == 0.0 && value < 1e15).then_some(value as i64);
    let deltas = |values: &[f64]| {
        let mut last = 0;
        let mut delta = |value: &f64| {
            let now = count(*value)?;
            Some(now - std::mem::replace(&mut last, now))
        };
        values.iter().map(&mut delta).collect::<Option<Vec<i64>>>()
    };
    Some(Histogram {
        counter_reset_hint: histogram.counter_reset_hint,
        schema: histogram.schema,
        zero_threshold: histogram.zero_threshold,
        zero_count: count(histogram.zero_count)? as u64,
        count: count(histogram.count)? as u64,
        sum: histogram.sum,
        positive_spans: histogram.positive_spans.clone(),
        negative_spans: histogram.negative_spans.clone(),
        positive_buckets: deltas(&histogram.positive_buckets)?,
        negative_buckets: deltas(&histogram.negative_buckets)?,
        custom_values: histogram.custom_values.clone(),
    })
}
