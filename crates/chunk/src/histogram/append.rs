//! Writing histogram chunks, and deciding where a chunk has to end.
//!
//! A counter chunk ends where a counter reset may lie, so that a reader finds resets between chunks
//! only. Buckets that appear do not end it: the chunk is written anew with room for them.

use std::borrow::Cow;
use std::mem;

use rutile_model::sample::is_stale_nan;
use rutile_model::{CounterResetHint, FloatHistogram, Histogram, Span};

use super::field::Field;
use super::form::{Float, Form, Int, Parts};
use super::iter::same_bounds;
use super::layout::Layout;
use super::{CounterReset, HEADER_LEN, RawReader, spans};
use crate::bits::BitWriter;
use crate::chunk::Chunk;
use crate::error::{Error, Result};
use crate::varbit;
use crate::window::XorField;

/// What became of a sample.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Appended {
    /// It was added to the chunk.
    InPlace,
    /// It has new buckets: the chunk was written anew with room for them, then it was added.
    Recoded,
    /// It must not follow in this chunk: here is the finished one, and the appender has begun the
    /// next with it.
    Cut(Vec<u8>),
}

/// How a sample relates to the chunk before it.
#[derive(Debug)]
pub(crate) enum Relation {
    /// It may be appended.
    Fits(Widening),
    /// A counter reset lies between them.
    Reset,
    /// Not appendable, but no reset.
    NotReset,
    /// Not appendable, and not looked into further.
    Unknown,
}

/// The spans of both sides that the chunk, the sample or both have to be brought to.
#[derive(Debug, Default)]
pub(crate) struct Widening {
    chunk: Option<[Vec<Span>; 2]>,
    sample: Option<[Vec<Span>; 2]>,
}

/// Writes histogram chunks one after the other; their bytes are those of Prometheus's appender.
#[derive(Debug, Clone)]
#[expect(private_bounds, reason = "there are two forms and cannot be more")]
pub struct HistogramAppender<F: Form> {
    writer: BitWriter,
    samples: u16,
    flag: CounterReset,
    layout: Layout<'static>,
    t: i64,
    t_delta: i64,
    count: F::CountField,
    zero_count: F::CountField,
    sum: XorField,
    buckets: [Vec<F::BucketField>; 2],
}

impl HistogramAppender<Int> {
    /// Appends an integer histogram at `t` (ms).
    ///
    /// `after` is the appender of the chunk that went before, if this one is empty and continues
    /// it: then the first sample's flag says whether there was a reset.
    ///
    /// # Errors
    /// A histogram that contradicts itself, or a chunk with 65,535 samples; nothing is changed.
    pub fn append(&mut self, t: i64, h: &Histogram, after: Option<&Self>) -> Result<Appended> {
        self.append_form(t, h, after)
    }
}

impl HistogramAppender<Float> {
    /// Appends a float histogram at `t` (ms); as for integer ones.
    ///
    /// # Errors
    /// A histogram that contradicts itself, or a chunk with 65,535 samples; nothing is changed.
    pub fn append(&mut self, t: i64, h: &FloatHistogram, after: Option<&Self>) -> Result<Appended> {
        self.append_form(t, h, after)
    }
}

impl<F: Form> Default for HistogramAppender<F> {
    fn default() -> Self {
        Self::new()
    }
}

#[expect(private_bounds, reason = "there are two forms and cannot be more")]
impl<F: Form> HistogramAppender<F> {
    /// An empty chunk.
    #[must_use]
    pub fn new() -> Self {
        Self {
            writer: BitWriter::new(&[0; HEADER_LEN]),
            samples: 0,
            flag: CounterReset::Unknown,
            layout: Layout::default(),
            t: 0,
            t_delta: 0,
            count: F::CountField::default(),
            zero_count: F::CountField::default(),
            sum: XorField::default(),
            buckets: [Vec::new(), Vec::new()],
        }
    }

    /// How many samples the present chunk has.
    #[must_use]
    pub fn num_samples(&self) -> u16 {
        self.samples
    }

    /// The flag of the present chunk.
    #[must_use]
    pub fn counter_reset(&self) -> CounterReset {
        self.flag
    }

    /// Overwrites the flag of the present chunk.
    pub fn set_counter_reset(&mut self, flag: CounterReset) {
        self.flag = flag;
        self.write_header();
    }

    /// The bytes so far: a whole chunk at any time.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.writer.bytes()
    }

    /// The finished chunk.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.writer.into_bytes()
    }

    fn append_form(
        &mut self,
        t: i64,
        histogram: &F::Histogram,
        after: Option<&Self>,
    ) -> Result<Appended> {
        let (hint, mut sample) = F::parts(histogram);
        sample.validate()?;
        if self.samples == 0 {
            let flag = match (hint, after) {
                (CounterResetHint::Gauge, _) => CounterReset::Gauge,
                (CounterResetHint::Reset, _) => CounterReset::Reset,
                (_, Some(after)) => F::flag_of_successor(&after.relation(hint, &sample)?),
                (_, None) => CounterReset::Unknown,
            };
            self.write(t, &sample);
            self.set_counter_reset(flag);
            return Ok(Appended::InPlace);
        }
        let gauge = hint == CounterResetHint::Gauge;
        let relation = match gauge {
            true => self.gauge_relation(&sample)?,
            false => self.relation(hint, &sample)?,
        };
        let Relation::Fits(widening) = relation else {
            let finished = mem::take(self);
            self.write(t, &sample);
            let flag = if gauge {
                CounterReset::Gauge
            } else {
                F::flag_of_cut(&relation)
            };
            self.set_counter_reset(flag);
            return Ok(Appended::Cut(finished.into_bytes()));
        };
        if self.samples == u16::MAX {
            return Err(Error::Full {
                what: F::ENCODING.name(),
                limit: u16::MAX.into(),
            });
        }
        if let Some(spans) = &widening.sample {
            widen_parts(&mut sample, spans);
        }
        let Some(spans) = &widening.chunk else {
            self.write(t, &sample);
            return Ok(Appended::InPlace);
        };
        self.recode(spans)?;
        self.write(t, &sample);
        Ok(Appended::Recoded)
    }

    /// How a counter sample relates to this chunk. The order of the tests decides the flag.
    fn relation(&self, hint: CounterResetHint, sample: &Parts<'_, F>) -> Result<Relation> {
        if self.samples > 0 && self.flag == CounterReset::Gauge {
            return Ok(Relation::NotReset);
        }
        if hint == CounterResetHint::Reset {
            return Ok(Relation::Reset);
        }
        if sample.is_stale() {
            return Ok(Relation::Fits(Widening::default()));
        }
        if is_stale_nan(self.sum.value()) {
            return Ok(Relation::Unknown);
        }
        if sample.count < self.count.value() {
            return Ok(Relation::Reset);
        }
        if !self.same_zero_bucket(sample) {
            return Ok(Relation::Unknown);
        }
        if !same_bounds(&sample.layout, &self.layout)
            || sample.zero_count < self.zero_count.value()
            || self.has_bucket_reset(sample)
        {
            return Ok(Relation::Reset);
        }
        Ok(Relation::Fits(self.widening(sample, false)?))
    }

    /// How a gauge sample relates to this chunk.
    fn gauge_relation(&self, sample: &Parts<'_, F>) -> Result<Relation> {
        if self.samples > 0 && self.flag != CounterReset::Gauge {
            return Ok(Relation::Unknown);
        }
        if sample.is_stale() {
            return Ok(Relation::Fits(Widening::default()));
        }
        if is_stale_nan(self.sum.value())
            || !self.same_zero_bucket(sample)
            || !same_bounds(&sample.layout, &self.layout)
        {
            return Ok(Relation::Unknown);
        }
        Ok(Relation::Fits(self.widening(sample, true)?))
    }

    #[expect(clippy::float_cmp, reason = "the same threshold, not a near one")]
    fn same_zero_bucket(&self, sample: &Parts<'_, F>) -> bool {
        sample.layout.schema == self.layout.schema
            && sample.layout.zero_threshold == self.layout.zero_threshold
    }

    /// Whether a bucket went down, or one that was not empty is missing.
    fn has_bucket_reset(&self, sample: &Parts<'_, F>) -> bool {
        (0..2).any(|side| {
            let mine = self.side(side);
            let (Some(spans), Some(buckets)) =
                (sample.layout.spans.get(side), sample.buckets.get(side))
            else {
                return false;
            };
            let mut theirs = spans::indices(spans).zip(F::absolute(buckets)).peekable();
            spans::indices(mine.0)
                .zip(F::absolute(&mine.1))
                .any(|(index, count)| {
                    while theirs.next_if(|(i, _)| *i < index).is_some() {}
                    match theirs.next_if(|(i, _)| *i == index) {
                        Some((_, their_count)) => count > their_count,
                        None => count != F::Bucket::default(),
                    }
                })
        })
    }

    /// The spans and the last buckets of one side.
    fn side(&self, side: usize) -> (&[Span], Vec<F::Bucket>) {
        let spans = self
            .layout
            .spans
            .get(side)
            .map(|spans| &**spans)
            .unwrap_or_default();
        let fields = self
            .buckets
            .get(side)
            .map(Vec::as_slice)
            .unwrap_or_default();
        (spans, fields.iter().map(F::BucketField::value).collect())
    }

    /// What has to be widened for `sample` to follow. The choice of spans is the reference's: as
    /// the sample has them if it has all, as the chunk has them if that has all, else the union.
    fn widening(&self, sample: &Parts<'_, F>, gauge: bool) -> Result<Widening> {
        let theirs = sample.layout.spans.each_ref().map(|spans| &**spans);
        let mine = self.layout.spans.each_ref().map(|spans| &**spans);
        let pairs = || mine.iter().zip(theirs);
        let chunk_lacks = pairs().any(|(mine, theirs)| !spans::covers(mine, theirs));
        let sample_lacks = pairs().any(|(mine, theirs)| !spans::covers(theirs, mine));
        let owned = |spans: [&[Span]; 2]| spans.map(<[Span]>::to_vec);
        Ok(match (chunk_lacks, sample_lacks) {
            (false, false) => Widening::default(),
            (false, true) => Widening {
                chunk: None,
                sample: Some(owned(mine)),
            },
            (true, false) => Widening {
                chunk: Some(owned(theirs)),
                sample: None,
            },
            (true, true) => {
                let mut merged = owned(theirs);
                for (merged, mine) in merged.iter_mut().zip(mine) {
                    // A counter sample keeps the spans of a side that lacks nothing.
                    if gauge || !spans::covers(merged, mine) {
                        *merged = spans::union(merged, mine).ok_or(Error::Histogram {
                            reason: "its buckets are too far apart",
                        })?;
                    }
                }
                Widening {
                    chunk: Some(merged.clone()),
                    sample: Some(merged),
                }
            }
        })
    }

    /// Writes the chunk anew with wider spans.
    fn recode(&mut self, spans: &[Vec<Span>; 2]) -> Result<()> {
        let mut wider = Self::new();
        let chunk = Chunk {
            encoding: F::ENCODING,
            data: self.writer.bytes(),
        };
        let mut raw = RawReader::<F>::new(chunk)?;
        while let Some(t) = raw.read() {
            let mut sample = raw.parts();
            widen_parts(&mut sample, spans);
            wider.write(t?, &sample);
        }
        wider.set_counter_reset(self.flag);
        *self = wider;
        Ok(())
    }

    /// Writes a sample whose buckets are those of the layout, or anything as the first.
    pub(crate) fn write(&mut self, t: i64, sample: &Parts<'_, F>) {
        let writer = &mut self.writer;
        if self.samples == 0 {
            sample.layout.write(writer);
            varbit::write_int(writer, t);
            self.count = F::CountField::write_first(writer, sample.count);
            self.zero_count = F::CountField::write_first(writer, sample.zero_count);
            writer.write_f64(sample.sum);
            self.sum = XorField::new(sample.sum);
            let first = |buckets: &Cow<'_, [F::Bucket]>| {
                buckets
                    .iter()
                    .map(|&b| F::BucketField::write_first(writer, b))
                    .collect()
            };
            self.buckets = sample.buckets.each_ref().map(first);
            self.layout = sample.layout.clone().into_owned();
        } else {
            let t_delta = t.wrapping_sub(self.t);
            varbit::write_int(writer, t_delta.wrapping_sub(self.t_delta));
            self.t_delta = t_delta;
            F::write_counts(writer, &mut self.count, &mut self.zero_count, sample);
            self.sum.write(writer, sample.sum);
            for (fields, buckets) in self.buckets.iter_mut().zip(&sample.buckets) {
                for (field, &bucket) in fields.iter_mut().zip(buckets.iter()) {
                    field.write(writer, bucket);
                }
            }
        }
        self.t = t;
        self.samples += 1;
        self.write_header();
    }

    fn write_header(&mut self) {
        let [high, low] = self.samples.to_be_bytes();
        if let Some(header) = self.writer.header_mut::<HEADER_LEN>() {
            *header = [high, low, self.flag.to_bits()];
        }
    }
}

/// Brings a sample to wider spans.
fn widen_parts<F: Form>(sample: &mut Parts<'_, F>, wider: &[Vec<Span>; 2]) {
    for ((spans, buckets), wider) in sample
        .layout
        .spans
        .iter_mut()
        .zip(&mut sample.buckets)
        .zip(wider)
    {
        let counts = spans::widen(spans, &F::absolute(buckets), wider);
        *buckets = Cow::Owned(F::relative(counts));
        *spans = Cow::Owned(wider.clone());
    }
}
