//! Whether a histogram is one.
//!
//! Source: Prometheus 3.14, `model/histogram/float_histogram.go` (`Validate`) and `generic.go`
//! (`checkHistogramSpans`, `checkHistogramBuckets`, `checkHistogramCustomBounds`).

use super::{HistogramError, is_exponential_schema};
use crate::sample::{FloatHistogram, Span};

impl FloatHistogram {
    /// Checks that spans and buckets fit together, that no count is negative, and that nothing is
    /// there that the schema does not use. Whether the counts add up is not checked: they are floats.
    pub fn validate(&self) -> Result<(), HistogramError> {
        if self.uses_custom_buckets() {
            self.validate_custom()?;
        } else if is_exponential_schema(self.schema) {
            self.validate_exponential()?;
        } else {
            return Err(HistogramError::UnsupportedSchema(self.schema));
        }
        if self.count < 0.0 {
            return Err(HistogramError::NegativeCount(self.count));
        }
        check_counts(&self.positive_buckets)
    }

    fn validate_custom(&self) -> Result<(), HistogramError> {
        check_bounds(&self.custom_values)?;
        let needed = check_spans(&self.positive_spans, self.positive_buckets.len(), 0)?;
        let bounds = self.custom_values.len();
        if (bounds as u64).saturating_add(1) < needed {
            return Err(HistogramError::TooFewBounds { bounds, needed });
        }
        if self.zero_count != 0.0 || self.zero_threshold != 0.0 {
            return Err(HistogramError::UnexpectedZeroBucket);
        }
        if !self.negative_spans.is_empty() || !self.negative_buckets.is_empty() {
            return Err(HistogramError::UnexpectedNegativeBuckets);
        }
        Ok(())
    }

    fn validate_exponential(&self) -> Result<(), HistogramError> {
        check_spans(&self.positive_spans, self.positive_buckets.len(), 1)?;
        check_spans(&self.negative_spans, self.negative_buckets.len(), 1)?;
        check_counts(&self.negative_buckets)?;
        if self.zero_count < 0.0 {
            return Err(HistogramError::NegativeBucket {
                bucket: 0,
                count: self.zero_count,
            });
        }
        if !self.custom_values.is_empty() {
            return Err(HistogramError::UnexpectedBounds);
        }
        Ok(())
    }
}

/// Checks the spans, of which the first `free` ones may have a negative offset; returns how many
/// buckets they reach over, gaps included.
fn check_spans(spans: &[Span], buckets: usize, free: usize) -> Result<u64, HistogramError> {
    let (mut needed, mut reach) = (0_u64, 0_u64);
    for (number, span) in spans.iter().enumerate() {
        if number >= free && span.offset < 0 {
            return Err(HistogramError::NegativeOffset {
                span: number + 1,
                offset: span.offset,
            });
        }
        needed = needed.saturating_add(u64::from(span.length));
        reach = reach.saturating_add(u64::from(span.offset.max(0).unsigned_abs()));
    }
    if needed != buckets as u64 {
        return Err(HistogramError::BucketMismatch {
            needed,
            found: buckets,
        });
    }
    Ok(needed.saturating_add(reach))
}

fn check_counts(counts: &[f64]) -> Result<(), HistogramError> {
    match (1..).zip(counts).find(|(_, count)| **count < 0.0) {
        Some((bucket, &count)) => Err(HistogramError::NegativeBucket { bucket, count }),
        None => Ok(()),
    }
}

fn check_bounds(bounds: &[f64]) -> Result<(), HistogramError> {
    if bounds.iter().any(|bound| bound.is_nan()) {
        return Err(HistogramError::BoundNotANumber);
    }
    for pair in bounds.windows(2) {
        if let &[previous, bound] = pair
            && bound <= previous
        {
            return Err(HistogramError::BoundsNotIncreasing { previous, bound });
        }
    }
    if bounds.last() == Some(&f64::INFINITY) {
        return Err(HistogramError::InfiniteBound);
    }
    Ok(())
}
