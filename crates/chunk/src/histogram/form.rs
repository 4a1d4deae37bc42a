//! In what integer and float histograms differ: the code of their numbers, and the flags their
//! appenders set.

use std::borrow::Cow;
use std::fmt::Debug;

use rutile_model::sample::is_stale_nan;
use rutile_model::{CounterResetHint, FloatHistogram, Histogram};

use super::CounterReset;
use super::append::Relation;
use super::field::{DeltaField, Field};
use super::layout::{CUSTOM_BOUNDS_SCHEMA, Layout, bucket_count};
use crate::bits::BitWriter;
use crate::encoding::Encoding;
use crate::error::{Error, Result};
use crate::window::XorField;

/// Marks integer histograms.
#[derive(Debug, Clone, Copy)]
pub struct Int;

/// Marks float histograms.
#[derive(Debug, Clone, Copy)]
pub struct Float;

/// One of the two kinds of native histograms.
pub(crate) trait Form: Debug + Clone + Sized + 'static {
    type Histogram;
    type Count: Debug + Copy + Default + PartialOrd;
    /// A count as the chunk holds it.
    type Bucket: Debug + Copy + Default + PartialOrd;
    type CountField: Field<Self::Count>;
    type BucketField: Field<Self::Bucket>;

    const ENCODING: Encoding;
    /// Fewest bits of a bucket in the first sample.
    const FIRST_BUCKET_BITS: usize;

    fn parts(histogram: &Self::Histogram) -> (CounterResetHint, Parts<'_, Self>);
    fn build(hint: CounterResetHint, parts: Parts<'_, Self>) -> Self::Histogram;

    /// The histogram with float counts, as [`Histogram::into_float`] has it.
    fn into_float(histogram: Self::Histogram) -> FloatHistogram;
    /// The same for a count.
    fn float_count(count: Self::Count) -> f64;
    /// The same for the buckets of a side, which replace those of `out`.
    fn float_buckets(buckets: &[Self::BucketField], out: &mut Vec<f64>) {
        out.resize(buckets.len(), 0.0);
        Self::write_buckets(buckets, out);
    }
    /// The same, where there are as many already.
    fn write_buckets(buckets: &[Self::BucketField], out: &mut [f64]);
    /// Whether a schema has buckets for all numbers, and not only for positive ones.
    fn has_all_buckets(schema: i32) -> bool;

    /// Counts of the buckets, from the numbers that the chunk has for them.
    fn absolute(buckets: &[Self::Bucket]) -> Vec<Self::Bucket>;
    /// The reverse of [`Form::absolute`].
    fn relative(counts: Vec<Self::Bucket>) -> Vec<Self::Bucket>;

    fn add(a: Self::Bucket, b: Self::Bucket) -> Self::Bucket;

    /// Writes count and zero count of a later sample.
    fn write_counts(
        writer: &mut BitWriter,
        count: &mut Self::CountField,
        zero_count: &mut Self::CountField,
        sample: &Parts<'_, Self>,
    );

    /// Flag of a chunk that was cut because of `relation`.
    fn flag_of_cut(relation: &Relation) -> CounterReset;
    /// Flag of a chunk whose first sample has `relation` to the chunk before.
    fn flag_of_successor(relation: &Relation) -> CounterReset;
}

/// A histogram as chunks see it, borrowed where possible.
#[derive(Debug, Clone)]
pub(crate) struct Parts<'a, F: Form> {
    pub(crate) layout: Layout<'a>,
    pub(crate) count: F::Count,
    pub(crate) zero_count: F::Count,
    pub(crate) sum: f64,
    pub(crate) buckets: [Cow<'a, [F::Bucket]>; 2],
}

impl<F: Form> Parts<'_, F> {
    /// A stale sample has nothing but its sum.
    pub(crate) fn stale(sum: f64) -> Self {
        Self {
            layout: Layout::default(),
            count: F::Count::default(),
            zero_count: F::Count::default(),
            sum,
            buckets: [Cow::default(), Cow::default()],
        }
    }

    pub(crate) fn is_stale(&self) -> bool {
        is_stale_nan(self.sum)
    }

    /// What the appender relies on.
    pub(crate) fn validate(&self) -> Result<()> {
        let error = |reason| Err(Error::Histogram { reason });
        if !self.layout.is_known() {
            return error("its schema is none of -9 to 52 and -53");
        }
        for (spans, buckets) in self.layout.spans.iter().zip(&self.buckets) {
            if bucket_count(spans) != buckets.len() {
                return error("its spans name another number of buckets than it has");
            }
            if spans.iter().skip(1).any(|span| span.offset < 0) {
                return error("its spans overlap");
            }
        }
        Ok(())
    }
}

/// The fields of both structs have the same names.
macro_rules! parts {
    ($histogram:ident) => {{
        let h = $histogram;
        if is_stale_nan(h.sum) {
            (h.counter_reset_hint, Parts::stale(h.sum))
        } else {
            let layout = Layout {
                schema: h.schema,
                zero_threshold: h.zero_threshold,
                spans: [(&h.positive_spans).into(), (&h.negative_spans).into()],
                bounds: (&h.custom_values).into(),
            };
            let buckets = [(&h.positive_buckets).into(), (&h.negative_buckets).into()];
            let (count, zero_count, sum) = (h.count, h.zero_count, h.sum);
            (
                h.counter_reset_hint,
                Parts {
                    layout,
                    count,
                    zero_count,
                    sum,
                    buckets,
                },
            )
        }
    }};
}

macro_rules! build {
    ($histogram:ident, $hint:ident, $parts:ident) => {{
        let Parts {
            layout,
            count,
            zero_count,
            sum,
            buckets,
        } = $parts;
        let [positive_spans, negative_spans] = layout.spans.map(Cow::into_owned);
        let [positive_buckets, negative_buckets] = buckets.map(Cow::into_owned);
        $histogram {
            counter_reset_hint: $hint,
            schema: layout.schema,
            zero_threshold: layout.zero_threshold,
            zero_count,
            count,
            sum,
            positive_spans,
            negative_spans,
            positive_buckets,
            negative_buckets,
            custom_values: layout.bounds.into_owned(),
        }
    }};
}

impl Form for Int {
    type Histogram = Histogram;
    type Count = u64;
    type Bucket = i64;
    type CountField = DeltaField;
    type BucketField = DeltaField;

    const ENCODING: Encoding = Encoding::Histogram;
    const FIRST_BUCKET_BITS: usize = 1;

    fn parts(histogram: &Histogram) -> (CounterResetHint, Parts<'_, Self>) {
        parts!(histogram)
    }

    fn build(hint: CounterResetHint, parts: Parts<'_, Self>) -> Histogram {
        build!(Histogram, hint, parts)
    }

    fn into_float(histogram: Histogram) -> FloatHistogram {
        histogram.into_float()
    }

    #[expect(clippy::cast_precision_loss, reason = "as the reference")]
    fn float_count(count: u64) -> f64 {
        count as f64
    }

    #[expect(clippy::cast_precision_loss, reason = "as the reference")]
    fn write_buckets(buckets: &[DeltaField], out: &mut [f64]) {
        let mut sum = 0.0;
        for (count, field) in out.iter_mut().zip(buckets) {
            sum += Field::<i64>::value(field) as f64;
            *count = sum;
        }
    }

    fn has_all_buckets(schema: i32) -> bool {
        schema != CUSTOM_BOUNDS_SCHEMA
    }

    fn absolute(buckets: &[i64]) -> Vec<i64> {
        let add = |sum: &mut i64, delta: &i64| {
            *sum = sum.wrapping_add(*delta);
            Some(*sum)
        };
        buckets.iter().scan(0, add).collect()
    }

    fn relative(mut counts: Vec<i64>) -> Vec<i64> {
        let mut before = 0;
        for count in &mut counts {
            let delta = count.wrapping_sub(before);
            before = std::mem::replace(count, delta);
        }
        counts
    }

    fn add(a: i64, b: i64) -> i64 {
        a.wrapping_add(b)
    }

    fn write_counts(
        writer: &mut BitWriter,
        count: &mut DeltaField,
        zero_count: &mut DeltaField,
        sample: &Parts<'_, Self>,
    ) {
        if sample.is_stale() {
            // "As before": only stale samples follow, so the counts are of no use any more.
            writer.write_bits(0, 2);
            return;
        }
        Field::<u64>::write(count, writer, sample.count);
        Field::<u64>::write(zero_count, writer, sample.zero_count);
    }

    fn flag_of_cut(relation: &Relation) -> CounterReset {
        match relation {
            Relation::Reset => CounterReset::Reset,
            Relation::Unknown => CounterReset::Unknown,
            Relation::NotReset | Relation::Fits(_) => CounterReset::NotReset,
        }
    }

    fn flag_of_successor(relation: &Relation) -> CounterReset {
        Self::flag_of_cut(relation)
    }
}

impl Form for Float {
    type Histogram = FloatHistogram;
    type Count = f64;
    type Bucket = f64;
    type CountField = XorField;
    type BucketField = XorField;

    const ENCODING: Encoding = Encoding::FloatHistogram;
    const FIRST_BUCKET_BITS: usize = 64;

    fn parts(histogram: &FloatHistogram) -> (CounterResetHint, Parts<'_, Self>) {
        parts!(histogram)
    }

    fn build(hint: CounterResetHint, parts: Parts<'_, Self>) -> FloatHistogram {
        build!(FloatHistogram, hint, parts)
    }

    fn into_float(histogram: FloatHistogram) -> FloatHistogram {
        histogram
    }

    fn float_count(count: f64) -> f64 {
        count
    }

    fn write_buckets(buckets: &[XorField], out: &mut [f64]) {
        for (count, field) in out.iter_mut().zip(buckets) {
            *count = field.value();
        }
    }

    fn has_all_buckets(_: i32) -> bool {
        true
    }

    fn absolute(buckets: &[f64]) -> Vec<f64> {
        buckets.to_vec()
    }

    fn relative(counts: Vec<f64>) -> Vec<f64> {
        counts
    }

    fn add(a: f64, b: f64) -> f64 {
        a + b
    }

    fn write_counts(
        writer: &mut BitWriter,
        count: &mut XorField,
        zero_count: &mut XorField,
        sample: &Parts<'_, Self>,
    ) {
        count.write(writer, sample.count);
        zero_count.write(writer, sample.zero_count);
    }

    fn flag_of_cut(relation: &Relation) -> CounterReset {
        match relation {
            Relation::Reset => CounterReset::Reset,
            Relation::Unknown | Relation::NotReset | Relation::Fits(_) => CounterReset::Unknown,
        }
    }

    fn flag_of_successor(relation: &Relation) -> CounterReset {
        match relation {
            Relation::Reset => CounterReset::Reset,
            Relation::Unknown | Relation::NotReset | Relation::Fits(_) => CounterReset::NotReset,
        }
    }
}
