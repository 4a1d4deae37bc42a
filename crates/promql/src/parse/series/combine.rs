//! Adding a histogram to another, as far as the notation of test series needs it.

use std::collections::BTreeMap;

use rutile_model::{CounterResetHint, FloatHistogram, sample::Span};

use crate::ast::Sign;

/// `base + step` or `base - step`, in the resolution of `base`.
///
/// # Errors
///
/// The two do not fit together: the message.
pub(super) fn combine(
    base: &FloatHistogram,
    step: &FloatHistogram,
    sign: Sign,
) -> Result<FloatHistogram, String> {
    if base.schema > step.schema {
        return Err(format!(
            "error combining histograms: cannot merge from schema {} to {}",
            step.schema, base.schema
        ));
    }
    if base.uses_custom_buckets() != step.uses_custom_buckets() {
        return Err(
            "cannot apply this operation on histograms with a mix of exponential and \
                    custom bucket schemas"
                .to_owned(),
        );
    }
    // The reference would reconcile these; in a series they are a slip of the pen.
    if base.custom_values != step.custom_values {
        return Err("cannot combine histograms of different custom values in a series".to_owned());
    }
    if base.zero_threshold.to_bits() != step.zero_threshold.to_bits() {
        return Err(
            "cannot combine histograms of different zero thresholds in a series".to_owned(),
        );
    }
    let shift = step.schema.saturating_sub(base.schema);
    let add = |a: f64, b: f64| a + sign.apply(b);
    let sides = |base_side: (&[Span], &[f64]), step_side: (&[Span], &[f64])| {
        let mut buckets = BTreeMap::new();
        for (index, count) in indexed(base_side) {
            *buckets.entry(index).or_insert(0.0) += count;
        }
        for (index, count) in indexed(step_side) {
            let bucket = buckets.entry(coarser(index, shift)).or_insert(0.0);
            *bucket = add(*bucket, count);
        }
        packed(&buckets)
    };
    let (positive_spans, positive_buckets) = sides(
        (&base.positive_spans, &base.positive_buckets),
        (&step.positive_spans, &step.positive_buckets),
    );
    let (negative_spans, negative_buckets) = sides(
        (&base.negative_spans, &base.negative_buckets),
        (&step.negative_spans, &step.negative_buckets),
    );
    Ok(FloatHistogram {
        counter_reset_hint: hint(base.counter_reset_hint, step.counter_reset_hint),
        schema: base.schema,
        zero_threshold: base.zero_threshold,
        zero_count: add(base.zero_count, step.zero_count),
        count: add(base.count, step.count),
        sum: add(base.sum, step.sum),
        positive_spans,
        negative_spans,
        positive_buckets,
        negative_buckets,
        custom_values: base.custom_values.clone(),
    })
}

fn hint(base: CounterResetHint, step: CounterResetHint) -> CounterResetHint {
    if base == step {
        base
    } else if base == CounterResetHint::Gauge || step == CounterResetHint::Gauge {
        CounterResetHint::Gauge
    } else {
        CounterResetHint::Unknown
    }
}

/// The index of the bucket that holds bucket `index` when the schema is `shift` lower.
fn coarser(index: i64, shift: i32) -> i64 {
    ((index - 1) >> shift.clamp(0, 62)) + 1
}

/// Each bucket with its index.
fn indexed((spans, counts): (&[Span], &[f64])) -> impl Iterator<Item = (i64, f64)> {
    let mut next = 0_i64;
    let indices = spans.iter().flat_map(move |span| {
        let start = next + i64::from(span.offset);
        next = start + i64::from(span.length);
        start..next
    });
    indices.zip(counts.iter().copied())
}

/// The buckets with as few spans as they need.
fn packed(buckets: &BTreeMap<i64, f64>) -> (Vec<Span>, Vec<f64>) {
    let mut spans: Vec<Span> = Vec::new();
    let mut next = 0_i64;
    for index in buckets.keys() {
        let offset = index - next;
        match spans.last_mut() {
            Some(span) if offset == 0 => span.length += 1,
            // Indices come from spans, of which each has one of 32 bits.
            _ => spans.push(Span {
                offset: i32::try_from(offset).unwrap_or(i32::MAX),
                length: 1,
            }),
        }
        next = index + 1;
    }
    (spans, buckets.values().copied().collect())
}
