//! Equality of data, and copies into what is there already.
//!
//! Source: Prometheus 3.14, `model/histogram/float_histogram.go` (`Equals`, `CopyTo`, `Size`).

use super::{bounds, layout};
use crate::sample::FloatHistogram;

impl FloatHistogram {
    /// Whether both hold the same data: what PromQL's `==` means. Counts and sum are compared by
    /// their bits, the layout by where buckets are, empty ones included; the hints do not matter, nor
    /// do custom bounds that the schema has no use for. `==` of Rust compares all fields.
    #[must_use]
    pub fn equals(&self, other: &Self) -> bool {
        let same = |a: f64, b: f64| a.to_bits() == b.to_bits();
        let all_same =
            |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(*a, *b));
        self.schema == other.schema
            && same(self.count, other.count)
            && same(self.sum, other.sum)
            && (!self.uses_custom_buckets()
                || bounds::same_bounds(&self.custom_values, &other.custom_values))
            && self.zero_threshold == other.zero_threshold
            && same(self.zero_count, other.zero_count)
            && layout::same_layout(&self.negative_spans, &other.negative_spans)
            && all_same(&self.negative_buckets, &other.negative_buckets)
            && layout::same_layout(&self.positive_spans, &other.positive_spans)
            && all_same(&self.positive_buckets, &other.positive_buckets)
    }

    /// Becomes a copy of `other`, in the memory that it has already where that is large enough.
    pub fn copy_from(&mut self, other: &Self) {
        self.counter_reset_hint = other.counter_reset_hint;
        self.schema = other.schema;
        self.zero_threshold = other.zero_threshold;
        self.zero_count = other.zero_count;
        self.count = other.count;
        self.sum = other.sum;
        self.positive_spans.clone_from(&other.positive_spans);
        self.negative_spans.clone_from(&other.negative_spans);
        self.positive_buckets.clone_from(&other.positive_buckets);
        self.negative_buckets.clone_from(&other.negative_buckets);
        self.custom_values.clone_from(&other.custom_values);
    }

    /// The bytes that Prometheus counts for a histogram when it limits the samples of a query (its
    /// struct on a 64-bit machine and what its lists hold), from which that count is derived.
    #[must_use]
    pub fn size(&self) -> usize {
        let elements = self.positive_spans.len()
            + self.negative_spans.len()
            + self.positive_buckets.len()
            + self.negative_buckets.len()
            + self.custom_values.len();
        size_with(elements)
    }
}

/// The size of a histogram whose lists hold so many elements.
pub(super) fn size_with(elements: usize) -> usize {
    const STRUCT: usize = 168;
    STRUCT + elements * 8
}
