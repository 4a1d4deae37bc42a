//! The samples of one replica, decoded.

use std::ops::Range;

use rutile_chunk::{Encoding, Value, decode_floats};
use rutile_dedup::Series;
use rutile_model::sample::is_stale_nan;

use super::damaged;
use crate::batch::Chunk;
use crate::function::{Piece, Refusal};

/// Samples in order of time.
#[derive(Debug, Default)]
pub(super) struct Column {
    pub(super) times: Vec<i64>,
    /// 0 where the sample is a histogram.
    pub(super) floats: Vec<f64>,
    /// Empty if all samples are floats.
    pub(super) histograms: Vec<Option<Value>>,
}

impl Column {
    pub(super) fn clear(&mut self) {
        self.times.clear();
        self.floats.clear();
        self.histograms.clear();
    }

    /// Appends the samples of a chunk of a piece.
    ///
    /// # Errors
    /// A chunk that cannot be read, or whose samples are out of order or outside of its times.
    pub(super) fn read(&mut self, piece: &Piece<'_>, chunk: &Chunk) -> Result<(), Refusal> {
        let from = self.times.len();
        let content = chunk.content(piece.bytes);
        let read = match content.encoding {
            Encoding::Xor => decode_floats(content.data, &mut self.times, &mut self.floats),
            _ => content.iter().and_then(|mut samples| {
                self.histograms.resize(from, None);
                samples.try_for_each(|sample| {
                    let sample = sample?;
                    self.push(sample.time_ms, sample.value);
                    Ok(())
                })
            }),
        };
        read.map_err(|error| damaged(piece.input, &error))?;
        if !self.histograms.is_empty() {
            self.histograms.resize(self.times.len(), None);
        }
        let times = self.times.get(from..).unwrap_or_default();
        let inside = |time: &i64| (chunk.min_time..=chunk.max_time).contains(time);
        let ascending = times.is_sorted_by(|a, b| a < b);
        if ascending && times.first().is_some_and(inside) && times.last().is_some_and(inside) {
            return Ok(());
        }
        let (first, last) = (chunk.min_time, chunk.max_time);
        let what = format!(
            "the samples of a chunk are not in order between {first} and {last}, its times"
        );
        let input = piece.input;
        Err(Refusal::Damaged { input, what })
    }

    fn push(&mut self, time: i64, value: Value) {
        let (float, histogram) = match value {
            Value::Float(float) => (float, None),
            histogram => (0.0, Some(histogram)),
        };
        self.times.push(time);
        self.floats.push(float);
        self.histograms.push(histogram);
    }

    pub(super) fn histogram(&self, at: usize) -> Option<&Value> {
        self.histograms.get(at)?.as_ref()
    }
}

impl Series for Column {
    fn times(&self) -> &[i64] {
        &self.times
    }

    #[inline]
    fn float(&self, at: usize) -> Option<f64> {
        match self.histogram(at) {
            Some(_) => None,
            None => self.floats.get(at).copied(),
        }
    }

    #[inline]
    fn is_stale(&self, at: usize) -> bool {
        is_stale_nan(match self.histogram(at) {
            Some(Value::Histogram(histogram)) => histogram.sum,
            Some(Value::FloatHistogram(histogram)) => histogram.sum,
            Some(Value::Float(_)) | None => self.floats.get(at).copied().unwrap_or_default(),
        })
    }

    fn any_stale(&self, mut places: Range<usize>) -> bool {
        if !self.histograms.is_empty() {
            return places.any(|at| self.is_stale(at));
        }
        let floats = self.floats.get(places).unwrap_or_default();
        // All are looked at: without an early end several are compared at a time.
        floats.iter().fold(false, |any, v| any | is_stale_nan(*v))
    }
}
