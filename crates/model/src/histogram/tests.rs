//! Tests of the algebra as a whole. `recorded` compares with Prometheus itself.

mod laws;
mod recorded;
mod sums;
mod tables;
mod untrusted;

use crate::sample::{FloatHistogram, Span};

fn span(offset: i32, length: u32) -> Span {
    Span { offset, length }
}

/// Compact, without a trace of how it came to be: for comparisons.
fn compacted(mut histogram: FloatHistogram) -> FloatHistogram {
    histogram.compact(0);
    histogram
}
