//! The value of a query, in pieces that can be written independently of each other.

use std::vec::IntoIter;

use bytes::Bytes;
use rutile_promql::{InstantSample, RangeSeries, SampleValue, Value};

use super::{
    push_fixed, push_float, push_histogram, push_html_safe, push_labels, push_seconds, push_time,
};

/// About how long a piece is, bytes; it holds whole series.
const PIECE_BYTES: usize = 128 << 10;
/// About how long what belongs to a sample is, and the least of a series, bytes.
const SAMPLE_BYTES: usize = 32;
const SERIES_BYTES: usize = 128;
/// Room for the beginning of any point.
const TIME_BYTES: usize = 24;

/// What stands before a value, the value, and what stands behind it, cut into [`Piece`]s.
#[derive(Debug)]
pub struct Pieces {
    before: Vec<u8>,
    rest: Rest,
    behind: Vec<u8>,
    begun: bool,
    ended: bool,
}

/// What is to be cut yet.
#[derive(Debug)]
enum Rest {
    Vector(IntoIter<InstantSample>),
    Matrix(IntoIter<RangeSeries>),
    Nothing,
}

/// A piece that is not written yet.
#[derive(Debug)]
pub struct Piece {
    before: Vec<u8>,
    part: Part,
    behind: Vec<u8>,
}

#[derive(Debug)]
enum Part {
    Vector(Vec<InstantSample>),
    Matrix(Vec<RangeSeries>),
    Nothing,
}

/// The beginnings of points, `[seconds,`, as text: series have values at the same steps, most of them.
#[derive(Default)]
struct Times {
    /// Those of the last series, by their place in it.
    known: Vec<Known>,
}

/// The beginning of a point.
struct Known {
    time_ms: i64,
    text: [u8; TIME_BYTES],
    len: usize,
}

impl Pieces {
    /// Will write `before`, the JSON of `value`, and `behind`.
    #[must_use]
    pub fn new(before: Vec<u8>, value: Value, behind: Vec<u8>) -> Self {
        let mut pieces = Self {
            before,
            rest: Rest::Nothing,
            behind,
            begun: false,
            ended: false,
        };
        let out = &mut pieces.before;
        match value {
            Value::Scalar { time_ms, value } => {
                push_pair(out, time_ms, |out| push_fixed(out, value));
            }
            Value::String { time_ms, value } => {
                push_pair(out, time_ms, |out| push_html_safe(out, &value));
            }
            Value::Vector(samples) => {
                out.push(b'[');
                pieces.behind.insert(0, b']');
                pieces.rest = Rest::Vector(samples.into_iter());
            }
            Value::Matrix(series) => {
                out.push(b'[');
                pieces.behind.insert(0, b']');
                pieces.rest = Rest::Matrix(series.into_iter());
            }
        }
        pieces
    }
}

impl Iterator for Pieces {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        if self.ended {
            return None;
        }
        let mut before = std::mem::take(&mut self.before);
        let (part, is_last) = match &mut self.rest {
            Rest::Vector(samples) => {
                let few = samples.by_ref().take(PIECE_BYTES / SERIES_BYTES).collect();
                (Part::Vector(few), samples.as_slice().is_empty())
            }
            Rest::Matrix(series) => {
                let few = take_series(series);
                (Part::Matrix(few), series.as_slice().is_empty())
            }
            Rest::Nothing => (Part::Nothing, true),
        };
        if std::mem::replace(&mut self.begun, true) {
            before.push(b',');
        }
        self.ended = is_last;
        let behind = match is_last {
            true => std::mem::take(&mut self.behind),
            false => Vec::new(),
        };
        Some(Piece {
            before,
            part,
            behind,
        })
    }
}

/// As many series as make a piece, one at least.
fn take_series(series: &mut IntoIter<RangeSeries>) -> Vec<RangeSeries> {
    let (mut few, mut bytes) = (Vec::new(), 0);
    while bytes < PIECE_BYTES
        && let Some(next) = series.next()
    {
        // A histogram has some dozen buckets.
        let samples = next.floats.len() + 16 * next.histograms.len();
        bytes += SERIES_BYTES + SAMPLE_BYTES * samples;
        few.push(next);
    }
    few
}

impl Piece {
    /// Its bytes.
    #[must_use]
    pub fn write(self) -> Bytes {
        let mut out = self.before;
        out.reserve(PIECE_BYTES);
        match self.part {
            Part::Vector(samples) => separated(&mut out, samples, push_sample),
            Part::Matrix(series) => {
                let mut times = Times::default();
                separated(&mut out, series, |out, series| {
                    push_series(out, series, &mut times);
                });
            }
            Part::Nothing => {}
        }
        out.extend(self.behind);
        Bytes::from(out)
    }
}

impl Times {
    /// Appends the beginning of the point at a place of its series.
    #[inline]
    fn push(&mut self, out: &mut Vec<u8>, at: usize, time_ms: i64) {
        if let Some(known) = self.known.get(at)
            && known.time_ms == time_ms
        {
            // All of the text, whatever its length: a copy of a fixed size is a fast one.
            let end = out.len() + known.len;
            out.extend_from_slice(&known.text);
            return out.truncate(end);
        }
        let from = out.len();
        out.push(b'[');
        push_time(out, time_ms);
        out.push(b',');
        self.remember(at, time_ms, &out[from..]);
    }

    fn remember(&mut self, at: usize, time_ms: i64, written: &[u8]) {
        let len = written.len();
        let mut text = [0; TIME_BYTES];
        text[..len].copy_from_slice(written);
        let known = Known { time_ms, text, len };
        if let Some(place) = self.known.get_mut(at) {
            *place = known;
        } else if at == self.known.len() {
            self.known.push(known);
        }
    }
}

fn separated<T>(out: &mut Vec<u8>, items: Vec<T>, mut push: impl FnMut(&mut Vec<u8>, T)) {
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        push(out, item);
    }
}

fn push_sample(out: &mut Vec<u8>, sample: InstantSample) {
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
}

fn push_series(out: &mut Vec<u8>, series: RangeSeries, times: &mut Times) {
    out.extend_from_slice(b"{\"metric\":");
    push_labels(out, &series.labels);
    if !series.floats.is_empty() {
        out.extend_from_slice(b",\"values\":[");
        for (i, (time_ms, value)) in series.floats.into_iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            times.push(out, i, time_ms);
            push_float(out, value);
            out.push(b']');
        }
        out.push(b']');
    }
    if !series.histograms.is_empty() {
        out.extend_from_slice(b",\"histograms\":[");
        separated(out, series.histograms, |out, (time_ms, value)| {
            push_point(out, time_ms, |out| push_histogram(out, &value));
        });
        out.push(b']');
    }
    out.push(b'}');
}

fn push_pair(out: &mut Vec<u8>, time_ms: i64, push: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'[');
    push_seconds(out, time_ms);
    out.push(b',');
    push(out);
    out.push(b']');
}

fn push_point(out: &mut Vec<u8>, time_ms: i64, push: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'[');
    push_time(out, time_ms);
    out.push(b',');
    push(out);
    out.push(b']');
}
