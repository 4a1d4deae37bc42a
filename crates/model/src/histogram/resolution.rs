//! Merging buckets to those of a lower resolution.
//!
//! Source: Prometheus 3.14, `model/histogram/generic.go` (`reduceResolution`, `targetIdx`) and
//! `float_histogram.go` (`ReduceResolution`, `CopyToSchema`, `kahanReduceResolution`).

use super::{
    HistogramError, bounds,
    kahan::{Compensation, inc},
    layout::{self, Indexes, SpanBuilder},
};
use crate::sample::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint, FloatHistogram, Span};

/// By how many bits the index of a bucket shrinks from one schema to a lower one.
pub(super) fn shift(from: i32, to: i32) -> u32 {
    from.saturating_sub(to).clamp(0, 63).unsigned_abs()
}

/// The index of the bucket that holds bucket `index` at a resolution lower by `shift`.
pub(super) fn target_index(index: i64, shift: u32) -> i64 {
    ((index - 1) >> shift.min(63)) + 1
}

impl FloatHistogram {
    /// Merges buckets to those of a lower schema, in place. On an error, nothing was changed.
    pub fn reduce_resolution(&mut self, schema: i32) -> Result<(), HistogramError> {
        let refused = HistogramError::NoSuchReduction {
            from: self.schema,
            to: schema,
        };
        if self.uses_custom_buckets()
            || schema == CUSTOM_BUCKETS_SCHEMA
            || schema >= self.schema
            || !bounds::is_usable_schema(schema)
        {
            return Err(refused);
        }
        layout::check(&self.positive_spans, self.positive_buckets.len())?;
        layout::check(&self.negative_spans, self.negative_buckets.len())?;
        reduce(self, schema, None);
        Ok(())
    }

    /// A copy at the given schema, which must not be higher. If it is lower, the copy's hint is
    /// [`CounterResetHint::Unknown`].
    pub fn copy_to_schema(&self, schema: i32) -> Result<Self, HistogramError> {
        let mut copy = Self::default();
        copy.copy_from_at(self, schema)?;
        Ok(copy)
    }

    /// Becomes what [`Self::copy_to_schema`] makes of `source`, in the memory that it has already; of no use on an error.
    pub fn copy_from_at(&mut self, source: &Self, schema: i32) -> Result<(), HistogramError> {
        self.copy_from(source);
        if schema != source.schema {
            self.reduce_resolution(schema)?;
            self.counter_reset_hint = CounterResetHint::Unknown;
        }
        Ok(())
    }
}

/// Merges the buckets of a histogram and of its compensation. The spans must have been checked.
pub(super) fn reduce(
    histogram: &mut FloatHistogram,
    schema: i32,
    carry: Option<&mut Compensation>,
) {
    let shift = shift(histogram.schema, schema);
    let (positive, negative) = match carry {
        Some(carry) => (Some(&mut carry.positive), Some(&mut carry.negative)),
        None => (None, None),
    };
    merge(
        &mut histogram.positive_spans,
        &mut histogram.positive_buckets,
        positive,
        shift,
    );
    merge(
        &mut histogram.negative_spans,
        &mut histogram.negative_buckets,
        negative,
        shift,
    );
    histogram.schema = schema;
}

/// One side of a histogram at a lower resolution.
pub(super) struct Merged {
    pub(super) spans: Vec<Span>,
    pub(super) counts: Vec<f64>,
    /// What merging the buckets lost to rounding.
    pub(super) carry: Option<Vec<f64>>,
}

/// A copy of spans and buckets at a lower resolution, if asked for with compensation.
pub(super) fn merged(spans: &[Span], counts: &[f64], shift: u32, compensated: bool) -> Merged {
    let mut merged = Merged {
        spans: spans.to_vec(),
        counts: counts.to_vec(),
        carry: compensated.then(|| vec![0.0; counts.len()]),
    };
    merge(
        &mut merged.spans,
        &mut merged.counts,
        merged.carry.as_mut(),
        shift,
    );
    merged
}

fn merge(
    spans: &mut Vec<Span>,
    counts: &mut Vec<f64>,
    mut carry: Option<&mut Vec<f64>>,
    shift: u32,
) {
    let mut merged = SpanBuilder::default();
    let mut write = 0;
    let indexes = Indexes::new(spans).take(counts.len()).enumerate();
    for (read, (index, _)) in indexes {
        let target = target_index(index, shift);
        if merged.is_empty() || target >= merged.end() {
            merged.push(target);
            counts.swap(write, read);
            if let Some(carry) = carry.as_deref_mut() {
                carry.swap(write, read);
            }
            write += 1;
            continue;
        }
        let count = counts[read];
        let last = write - 1;
        if let Some(carry) = carry.as_deref_mut() {
            let lost = carry[read];
            inc(count, &mut counts[last], &mut carry[last]);
            inc(lost, &mut counts[last], &mut carry[last]);
        } else {
            counts[last] += count;
        }
    }
    *spans = merged.finish();
    counts.truncate(write);
    if let Some(carry) = carry {
        carry.truncate(write);
    }
}
