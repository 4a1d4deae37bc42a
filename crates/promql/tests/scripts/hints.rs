//! Counter reset hints, as they come back out of Prometheus' storage.
//!
//! A chunk of counter histograms holds no reset, so that all but its first one come out as not reset;
//! about the first one nothing is known. What was written in the script counts only for where chunks
//! begin. Chunks that end because they are full do not occur in the scripts.

use std::sync::Arc;

use rutile_model::sample::is_stale_nan;
use rutile_model::{CounterResetHint, FloatHistogram, Span};
use rutile_promql::Samples;

/// The last chunk, as far as it matters.
struct Chunk {
    gauge: bool,
    last: Arc<FloatHistogram>,
    stale: bool,
}

/// Sets the hints of all histograms of a series.
pub(crate) fn set(samples: &mut Samples) {
    let mut chunk: Option<Chunk> = None;
    for i in 0..samples.len() {
        let Some(written) = samples.histogram(i).cloned() else {
            // A marker after a histogram is one of a histogram.
            if let (Some(chunk), true) = (&mut chunk, is_stale_nan(samples.floats[i])) {
                chunk.stale = true;
            } else {
                chunk = None;
            }
            continue;
        };
        let gauge = written.counter_reset_hint == CounterResetHint::Gauge;
        let continues = chunk.as_ref().is_some_and(|chunk| chunk.takes(&written));
        let hint = match (gauge, continues) {
            (true, _) => CounterResetHint::Gauge,
            (false, true) => CounterResetHint::NotReset,
            (false, false) => CounterResetHint::Unknown,
        };
        let mut histogram = (*written).clone();
        histogram.counter_reset_hint = hint;
        samples.histograms[i] = Some(Arc::new(histogram));
        chunk = Some(Chunk {
            gauge,
            last: written,
            stale: false,
        });
    }
}

impl Chunk {
    fn takes(&self, next: &FloatHistogram) -> bool {
        let last = &*self.last;
        let gauge = next.counter_reset_hint == CounterResetHint::Gauge;
        let same_shape = last.schema == next.schema
            && last.zero_threshold == next.zero_threshold
            && (!next.uses_custom_buckets() || last.custom_values == next.custom_values);
        if self.gauge != gauge || self.stale || !same_shape {
            return false;
        }
        gauge
            || next.counter_reset_hint != CounterResetHint::Reset
                && last.count <= next.count
                && last.zero_count <= next.zero_count
                && grows(
                    (&last.positive_spans, &last.positive_buckets),
                    (&next.positive_spans, &next.positive_buckets),
                )
                && grows(
                    (&last.negative_spans, &last.negative_buckets),
                    (&next.negative_spans, &next.negative_buckets),
                )
    }
}

/// Whether no bucket of `last` is greater than that of `next`.
fn grows(last: (&[Span], &[f64]), next: (&[Span], &[f64])) -> bool {
    let next: Vec<(i64, f64)> = indexed(next);
    indexed(last).iter().all(|(index, count)| {
        let found = next.iter().find(|(other, _)| other == index);
        *count <= found.map_or(0.0, |(_, count)| *count)
    })
}

fn indexed((spans, buckets): (&[Span], &[f64])) -> Vec<(i64, f64)> {
    places(spans)
        .into_iter()
        .zip(buckets.iter().copied())
        .collect()
}

/// The indices of the buckets.
pub(crate) fn places(spans: &[Span]) -> Vec<i64> {
    let (mut places, mut next) = (Vec::new(), 0);
    for span in spans {
        next += i64::from(span.offset);
        places.extend(next..next + i64::from(span.length));
        next += i64::from(span.length);
    }
    places
}
