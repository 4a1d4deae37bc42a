//! Reading histogram chunks.

use std::borrow::Cow;
use std::sync::Arc;

use rutile_model::histogram::HistogramRows;
use rutile_model::sample::is_stale_nan;
use rutile_model::{CounterResetHint, FloatHistogram, Samples, Span, WindowEnds};

use super::field::Field;
use super::form::{Float, Form, Int, Parts};
use super::layout::{CUSTOM_BOUNDS_SCHEMA, Layout, bucket_count};
use super::reduce::{MAX_SCHEMA, reduce};
use super::{CounterReset, HEADER_LEN};
use crate::bits::BitReader;
use crate::chunk::{Chunk, Countdown, read_header};
use crate::encoding::Encoding;
use crate::error::Result;
use crate::start_time::StartTimes;
use crate::varbit;
use crate::window::XorField;

/// Reads a histogram chunk sample by sample, in order.
///
/// A stale sample is an otherwise empty histogram whose sum is the stale marker, with the hint
/// `Unknown`. Others have the hint `Gauge` in a gauge chunk; else the first has `Unknown`, whatever
/// the header says, and the rest `NotReset`. Schemas above 8 are reduced to 8.
#[derive(Debug, Clone)]
#[expect(private_bounds, reason = "there are two forms and cannot be more")]
pub struct HistogramIter<'a, F: Form> {
    raw: RawReader<'a, F>,
}

#[expect(private_bounds, reason = "there are two forms and cannot be more")]
impl<'a, F: Form> HistogramIter<'a, F> {
    /// Starts before the first sample of a chunk with or without start timestamps.
    pub(crate) fn new(chunk: Chunk<'a>) -> Result<Self> {
        Ok(Self {
            raw: RawReader::new(chunk)?,
        })
    }

    /// Start timestamp (ms) of the sample that was read last; 0 if it has none.
    #[must_use]
    pub fn start_time(&self) -> i64 {
        self.raw.starts.map_or(0, |starts| starts.current())
    }

    /// Appends the samples that are left to columns, with float counts.
    pub(crate) fn append_to(mut self, out: &mut Samples) -> Result<()> {
        while let Some(t) = self.raw.read() {
            let t = t?;
            if self.raw.is_plain() {
                let hint = self.hint();
                out.push_histogram_with(t, |histogram| self.raw.write_float(hint, histogram));
            } else {
                out.push_histogram(t, Arc::new(F::into_float(self.build()?)));
            }
        }
        Ok(())
    }

    /// As [`Self::append_to`], but a histogram that is at no end of a window may be the one before it. False if that
    /// cannot be told: then what was appended is of no use.
    pub(crate) fn append_ends(mut self, mut ends: WindowEnds, out: &mut Samples) -> Result<bool> {
        let mut before = i64::MIN;
        while let Some(t) = self.raw.read() {
            let t = t?;
            if t <= before || !self.raw.is_plain() {
                return Ok(false);
            }
            let hint = self.hint();
            // Resets are looked for where the hint does not tell: there, and right before it, all counts are needed.
            let same = || {
                out.histograms
                    .last()?
                    .as_ref()
                    .filter(|h| h.counter_reset_hint == hint)
            };
            if hint == CounterResetHint::NotReset
                && let Some(behind) = self.raw.next_time()
                && ends.is_between(before, t, behind)
                && let Some(same) = same().map(Arc::clone)
            {
                out.push_histogram(t, same);
            } else {
                out.push_histogram_with(t, |histogram| self.raw.write_float(hint, histogram));
            }
            before = t;
        }
        Ok(true)
    }

    /// Whether rows can take what the chunk holds, as far as its layout is concerned.
    pub(crate) fn fits_rows(mut self, out: &mut HistogramRows) -> Result<bool> {
        if self.raw.samples.left() == 0 {
            return Ok(true);
        }
        self.raw.layout = Layout::read(&mut self.raw.reader, F::FIRST_BUCKET_BITS)?;
        Ok(self.raw.expect_rows(out))
    }

    /// As [`Self::append_ends`], to rows, without stale markers. False also if they have other buckets than what is there.
    pub(crate) fn append_rows(
        mut self,
        mut ends: WindowEnds,
        out: &mut HistogramRows,
    ) -> Result<bool> {
        let mut before = i64::MIN;
        // The numbers of the sample before, if it has no row.
        let mut left_out = None;
        while let Some(t) = self.raw.read() {
            let t = t?;
            let is_first = self.raw.index == 0;
            let fits = !is_first || self.raw.expect_rows(out);
            if !fits || out.last_ms().is_some_and(|last| t <= last) {
                return Ok(false);
            }
            if is_stale_nan(self.raw.sum.value()) {
                // It goes, and what comes before it may be the last one of a window that ends behind it.
                if let Some(scalars) = left_out.take() {
                    out.complete_last(|row| self.raw.write_row(scalars, row));
                }
                out.skip(t);
                continue;
            }
            let scalars = self.raw.scalars();
            // What hints tell is as for `append_ends`: only the first histogram may follow a reset.
            let is_between = !is_first
                && (self.raw.next_time()).is_some_and(|behind| ends.is_between(before, t, behind));
            if is_between {
                out.push_between(t);
            } else {
                out.push(t, is_first, |row| self.raw.write_row(scalars, row));
            }
            left_out = is_between.then_some(scalars);
            before = t;
        }
        Ok(true)
    }

    fn read(&mut self) -> Option<Result<(i64, F::Histogram)>> {
        let t = match self.raw.read()? {
            Ok(t) => t,
            Err(error) => return Some(Err(error)),
        };
        Some(self.build().map(|histogram| (t, histogram)))
    }

    /// The sample that was read last.
    fn build(&self) -> Result<F::Histogram> {
        let mut parts = self.raw.parts();
        if parts.layout.schema > MAX_SCHEMA {
            parts = reduce(parts)
                .ok_or_else(|| self.raw.reader.corrupt("spans that do not overlap"))?;
        }
        Ok(F::build(self.hint(), parts))
    }

    fn hint(&self) -> CounterResetHint {
        match self.raw.flag {
            _ if is_stale_nan(self.raw.sum.value()) => CounterResetHint::Unknown,
            CounterReset::Gauge => CounterResetHint::Gauge,
            _ if self.raw.index > 0 => CounterResetHint::NotReset,
            _ => CounterResetHint::Unknown,
        }
    }
}

impl Iterator for HistogramIter<'_, Int> {
    type Item = Result<(i64, rutile_model::Histogram)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read()
    }
}

impl Iterator for HistogramIter<'_, Float> {
    type Item = Result<(i64, FloatHistogram)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read()
    }
}

/// Reads the numbers of a chunk as they were written.
#[derive(Debug, Clone)]
pub(crate) struct RawReader<'a, F: Form> {
    reader: BitReader<'a>,
    samples: Countdown,
    /// Of encodings 5 and 6.
    starts: Option<StartTimes>,
    pub(crate) flag: CounterReset,
    /// Of the sample that was read last.
    index: u16,
    layout: Layout<'static>,
    t: i64,
    t_delta: i64,
    count: F::CountField,
    zero_count: F::CountField,
    sum: XorField,
    buckets: [Vec<F::BucketField>; 2],
}

impl<'a, F: Form> RawReader<'a, F> {
    pub(crate) fn new(chunk: Chunk<'a>) -> Result<Self> {
        let what = chunk.encoding.name();
        let [first, _, third] = read_header::<HEADER_LEN>(chunk.data, what)?;
        let has_starts = matches!(
            chunk.encoding,
            Encoding::HistogramSt | Encoding::FloatHistogramSt
        );
        Ok(Self {
            reader: BitReader::new(chunk.data, HEADER_LEN, what),
            samples: Countdown::new(chunk.num_samples()?),
            starts: has_starts.then(|| StartTimes::new(third)),
            flag: CounterReset::from_bits(if has_starts { first } else { third }),
            index: 0,
            layout: Layout::default(),
            t: 0,
            t_delta: 0,
            count: F::CountField::default(),
            zero_count: F::CountField::default(),
            sum: XorField::default(),
            buckets: [Vec::new(), Vec::new()],
        })
    }

    /// Reads the next sample; its timestamp.
    pub(crate) fn read(&mut self) -> Option<Result<i64>> {
        self.index = self.samples.next()?;
        let previous_t = self.t;
        let read = if self.index == 0 {
            self.read_first()
        } else {
            self.read_later()
        };
        let read = read.and_then(|()| match &mut self.starts {
            Some(starts) => starts.read(&mut self.reader, self.index, self.t, previous_t),
            None => Ok(()),
        });
        if let Err(error) = read {
            self.samples.stop();
            return Some(Err(error));
        }
        Some(Ok(self.t))
    }

    /// The timestamp of the next sample, if there is one.
    #[inline]
    fn next_time(&self) -> Option<i64> {
        if self.samples.left() == 0 {
            return None;
        }
        let mut reader = self.reader.clone();
        let t_delta = self
            .t_delta
            .wrapping_add(varbit::read_int(&mut reader).ok()?);
        Some(self.t.wrapping_add(t_delta))
    }

    /// The sample that was read last, as the chunk has it.
    pub(crate) fn parts(&self) -> Parts<'_, F> {
        if is_stale_nan(self.sum.value()) {
            return Parts::stale(self.sum.value());
        }
        let values = |side: &Vec<F::BucketField>| {
            Cow::Owned(side.iter().map(F::BucketField::value).collect::<Vec<_>>())
        };
        Parts {
            layout: self.layout.borrow(),
            count: self.count.value(),
            zero_count: self.zero_count.value(),
            sum: self.sum.value(),
            buckets: self.buckets.each_ref().map(values),
        }
    }

    /// Whether [`Self::write_float`] can write the sample that was read last.
    fn is_plain(&self) -> bool {
        self.layout.schema <= MAX_SCHEMA && !is_stale_nan(self.sum.value())
    }

    /// Makes the sample that was read last of another histogram, whose lists it reuses.
    fn write_float(&self, hint: CounterResetHint, out: &mut FloatHistogram) {
        let FloatHistogram {
            counter_reset_hint,
            schema,
            zero_threshold,
            zero_count,
            count,
            sum,
            positive_spans,
            negative_spans,
            positive_buckets,
            negative_buckets,
            custom_values,
        } = out;
        let layout = &self.layout;
        let ([positive, negative], [positive_at, negative_at]) = (&self.buckets, &layout.spans);
        *counter_reset_hint = hint;
        *schema = layout.schema;
        *count = F::float_count(self.count.value());
        *sum = self.sum.value();
        replace_spans(positive_spans, positive_at);
        F::float_buckets(positive, positive_buckets);
        custom_values.clear();
        custom_values.extend_from_slice(&layout.bounds);
        if F::has_all_buckets(layout.schema) {
            *zero_threshold = layout.zero_threshold;
            *zero_count = F::float_count(self.zero_count.value());
            replace_spans(negative_spans, negative_at);
            F::float_buckets(negative, negative_buckets);
        } else {
            (*zero_threshold, *zero_count) = (0.0, 0.0);
            negative_spans.clear();
            negative_buckets.clear();
        }
    }

    fn expect_rows(&self, out: &mut HistogramRows) -> bool {
        let Layout {
            schema,
            zero_threshold,
            spans,
            bounds: _,
        } = &self.layout;
        let buckets = spans.each_ref().map(|spans| bucket_count(spans));
        let spans = spans.each_ref().map(|spans| &**spans);
        self.flag != CounterReset::Gauge && out.expect(*schema, *zero_threshold, spans, buckets)
    }

    /// Count, zero count and sum of the sample that was read last.
    fn scalars(&self) -> (F::Count, F::Count, f64) {
        let (count, zero_count) = (self.count.value(), self.zero_count.value());
        (count, zero_count, self.sum.value())
    }

    /// Makes a row ([`HistogramRows`]) of these and of the buckets that were read last, which markers do not have.
    fn write_row(&self, scalars: (F::Count, F::Count, f64), row: &mut [f64]) {
        let Some((start, mut rest)) = row.split_first_chunk_mut::<3>() else {
            return;
        };
        let (count, zero_count, sum) = scalars;
        *start = [F::float_count(count), F::float_count(zero_count), sum];
        for side in &self.buckets {
            let Some((buckets, others)) = rest.split_at_mut_checked(side.len()) else {
                return;
            };
            F::write_buckets(side, buckets);
            rest = others;
        }
    }

    fn read_first(&mut self) -> Result<()> {
        let reader = &mut self.reader;
        self.layout = Layout::read(reader, F::FIRST_BUCKET_BITS)?;
        self.t = varbit::read_int(reader)?;
        self.count = F::CountField::read_first(reader)?;
        self.zero_count = F::CountField::read_first(reader)?;
        self.sum = XorField::new(reader.read_f64()?);
        for (side, spans) in self.buckets.iter_mut().zip(&self.layout.spans) {
            *side = (0..bucket_count(spans))
                .map(|_| F::BucketField::read_first(reader))
                .collect::<Result<_>>()?;
        }
        Ok(())
    }

    fn read_later(&mut self) -> Result<()> {
        let mut reader = self.reader.clone();
        self.t_delta = self.t_delta.wrapping_add(varbit::read_int(&mut reader)?);
        self.t = self.t.wrapping_add(self.t_delta);
        self.count.read(&mut reader)?;
        self.zero_count.read(&mut reader)?;
        self.sum.read(&mut reader)?;
        if !is_stale_nan(self.sum.value()) {
            for side in &mut self.buckets {
                F::BucketField::read_all(side, &mut reader)?;
            }
        }
        self.reader = reader;
        Ok(())
    }
}

/// Mostly they are the same: what is written over is of the same series.
fn replace_spans(list: &mut Vec<Span>, by: &[Span]) {
    if list.as_slice() != by {
        list.clear();
        list.extend_from_slice(by);
    }
}

/// Whether both have the same buckets, but for the spans.
pub(crate) fn same_bounds(a: &Layout<'_>, b: &Layout<'_>) -> bool {
    a.schema != CUSTOM_BOUNDS_SCHEMA || a.bounds == b.bounds
}
