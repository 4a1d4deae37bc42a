//! The value of a query, in pieces of bounded size.

use std::sync::Arc;
use std::vec::IntoIter;

use bytes::Bytes;
use rutile_model::FloatHistogram;
use rutile_promql::{InstantSample, RangeSeries, SampleValue, Value};

use super::{
    push_fixed, push_float, push_histogram, push_html_safe, push_labels, push_seconds, push_time,
};

/// About how long a piece is, bytes.
const PIECE_BYTES: usize = 128 << 10;

/// Writes what stands before a value, the value, and what stands behind it, a piece at a time. A series is freed when
/// it was written.
#[derive(Debug)]
pub struct Pieces {
    buffer: Vec<u8>,
    rest: Rest,
    behind: Vec<u8>,
}

/// What is to be written yet.
#[derive(Debug)]
enum Rest {
    Vector(IntoIter<InstantSample>),
    Matrix(Matrix),
    Nothing,
}

#[derive(Debug)]
struct Matrix {
    series: IntoIter<RangeSeries>,
    /// Whether the points are those of a series that was begun.
    begun: bool,
    floats: Points<f64>,
    histograms: Points<Arc<FloatHistogram>>,
}

/// The points of a series.
#[derive(Debug)]
struct Points<T> {
    points: IntoIter<(i64, T)>,
    begun: bool,
}

impl Matrix {
    /// True: all is written.
    fn fill(&mut self, out: &mut Vec<u8>) -> bool {
        loop {
            let floats = |out: &mut Vec<u8>, value: f64| push_float(out, value);
            let histograms = |out: &mut Vec<u8>, value: Arc<_>| push_histogram(out, &value);
            if !self.floats.fill(out, b",\"values\":[", floats)
                || !self.histograms.fill(out, b",\"histograms\":[", histograms)
            {
                return false;
            }
            if std::mem::take(&mut self.begun) {
                out.push(b'}');
            }
            if out.len() >= PIECE_BYTES {
                return self.series.as_slice().is_empty();
            }
            let Some(series) = self.series.next() else {
                return true;
            };
            separate(out);
            out.extend_from_slice(b"{\"metric\":");
            push_labels(out, &series.labels);
            self.begun = true;
            self.floats = Points::new(series.floats);
            self.histograms = Points::new(series.histograms);
        }
    }
}

impl<T> Points<T> {
    fn new(points: Vec<(i64, T)>) -> Self {
        Self {
            points: points.into_iter(),
            begun: false,
        }
    }

    /// True: all is written.
    fn fill(&mut self, out: &mut Vec<u8>, key: &[u8], push: impl Fn(&mut Vec<u8>, T)) -> bool {
        while let Some((time_ms, value)) = self.points.next() {
            out.extend_from_slice(if self.begun { b"," } else { key });
            self.begun = true;
            push_point(out, time_ms, |out| push(out, value));
            if out.len() >= PIECE_BYTES && !self.points.as_slice().is_empty() {
                return false;
            }
        }
        if std::mem::take(&mut self.begun) {
            out.push(b']');
        }
        true
    }
}

impl Pieces {
    /// Writes `before`, the JSON of `value`, and `behind`.
    #[must_use]
    pub fn new(before: Vec<u8>, value: Value, behind: Vec<u8>) -> Self {
        let mut buffer = before;
        let rest = match value {
            Value::Scalar { time_ms, value } => {
                push_pair(&mut buffer, time_ms, |out| push_fixed(out, value));
                Rest::Nothing
            }
            Value::String { time_ms, value } => {
                push_pair(&mut buffer, time_ms, |out| push_html_safe(out, &value));
                Rest::Nothing
            }
            Value::Vector(samples) => {
                buffer.push(b'[');
                Rest::Vector(samples.into_iter())
            }
            Value::Matrix(series) => {
                buffer.push(b'[');
                Rest::Matrix(Matrix {
                    series: series.into_iter(),
                    begun: false,
                    floats: Points::new(Vec::new()),
                    histograms: Points::new(Vec::new()),
                })
            }
        };
        Self {
            buffer,
            rest,
            behind,
        }
    }

    /// Fills the buffer. True: all is written.
    fn fill(&mut self) -> bool {
        let Self {
            buffer,
            rest,
            behind,
        } = self;
        let done = match rest {
            Rest::Vector(samples) => fill_vector(buffer, samples),
            Rest::Matrix(matrix) => matrix.fill(buffer),
            Rest::Nothing => true,
        };
        if done {
            if !matches!(rest, Rest::Nothing) {
                buffer.push(b']');
            }
            buffer.append(behind);
        }
        done
    }
}

impl Iterator for Pieces {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.buffer.is_empty() && self.behind.is_empty() && matches!(self.rest, Rest::Nothing) {
            return None;
        }
        self.buffer.reserve(PIECE_BYTES + PIECE_BYTES / 8);
        if self.fill() {
            self.rest = Rest::Nothing;
        }
        Some(Bytes::from(std::mem::take(&mut self.buffer)))
    }
}

fn push_pair(out: &mut Vec<u8>, time_ms: i64, push: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'[');
    push_seconds(out, time_ms);
    out.push(b',');
    push(out);
    out.push(b']');
}

/// A comma, unless what is written begins with this.
fn separate(out: &mut Vec<u8>) {
    if out.last() != Some(&b'[') {
        out.push(b',');
    }
}

fn fill_vector(out: &mut Vec<u8>, samples: &mut IntoIter<InstantSample>) -> bool {
    for sample in samples.by_ref() {
        separate(out);
        out.extend_from_slice(b"{\"metric\":");
        push_labels(out, &sample.labels);
        match sample.value {
            SampleValue::Float(value) => {
                out.extend_from_slice(b",\"value\":");
                push_point(out, sample.time_ms, |out| push_float(out, value));
            }
            SampleValue::Histogram(value) => {
                out.extend_from_slice(b",\"histogram\":");
                push_point(out, sample.time_ms, |out| push_histogram(out, &value));
            }
        }
        out.push(b'}');
        if out.len() >= PIECE_BYTES {
            return samples.as_slice().is_empty();
        }
    }
    true
}

fn push_point(out: &mut Vec<u8>, time_ms: i64, push: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'[');
    push_time(out, time_ms);
    out.push(b',');
    push(out);
    out.push(b']');
}
