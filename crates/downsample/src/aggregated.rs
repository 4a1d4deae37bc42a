//! From aggregates to coarser ones.

use rutile_chunk::{AggrChunk, Aggregate, Encoding, Error, Value, XorAppender};
use rutile_model::sample::CUSTOM_BUCKETS_SCHEMA;

use crate::floats::{self, Ends, FloatChunk, Window};
use crate::histograms::{self, Windows};
use crate::raw::{self, Buffers, Kind};
use crate::resets::Growing;
use crate::windows::chunk_count;
use crate::{Aggregated, FIVE_MINUTES_MS, Piece, Result};

/// From one resolution, ms, to a lower one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) from_ms: i64,
    pub(crate) to_ms: i64,
}

/// An aggregate chunk of the input, taken apart.
#[derive(Debug, Clone, Copy)]
struct Input<'a> {
    min_time: i64,
    max_time: i64,
    kind: Kind,
    parts: AggrChunk<'a>,
}

impl Step {
    /// Downsamples the chunks of a series. Only whole chunks are put together: the first and last raw values of a counter stand at
    /// their ends.
    pub(crate) fn downsample(
        self,
        chunks: &[Piece<'_>],
        buffers: &mut Buffers,
        out: &mut Vec<Aggregated>,
    ) -> Result<()> {
        let converted = converted(chunks, buffers)?;
        let mut inputs = Vec::with_capacity(chunks.len());
        for (at, piece) in chunks.iter().enumerate() {
            if piece.chunk.encoding == Encoding::Aggregate {
                inputs.push(Input::new(
                    piece.min_time,
                    piece.max_time,
                    piece.chunk.data,
                )?);
            }
            for made in converted.get(at).into_iter().flatten() {
                inputs.push(Input::new(made.min_time, made.max_time, &made.data)?);
            }
        }
        for alike in inputs.chunk_by(|a, b| a.kind == b.kind) {
            self.alike(alike, buffers, out)?;
        }
        Ok(())
    }

    /// Consecutive chunks of one kind.
    fn alike(
        self,
        inputs: &[Input<'_>],
        buffers: &mut Buffers,
        out: &mut Vec<Aggregated>,
    ) -> Result<()> {
        let (Some(first), Some(last)) = (inputs.first(), inputs.last()) else {
            return Ok(());
        };
        let mut samples = 0;
        for input in inputs {
            samples += usize::from(input.parts.num_samples()?);
        }
        let times = (first.min_time, last.max_time);
        let chunks = chunk_count(times, self.from_ms, self.to_ms, samples);
        for batch in inputs.chunks((inputs.len() / chunks).max(1)) {
            match first.kind {
                Kind::Floats => out.extend(self.floats(batch, buffers)?),
                Kind::Exponential | Kind::Custom => self.histograms(batch, buffers, out)?,
            }
        }
        Ok(())
    }

    fn floats(self, batch: &[Input<'_>], buffers: &mut Buffers) -> Result<Option<Aggregated>> {
        let mut chunk = FloatChunk::default();
        let times = &mut chunk.times;
        let mut aggregate = |of, part: &mut XorAppender, pick: fn(&Window) -> f64| {
            buffers.read_all(batch, of)?;
            self.windows(buffers, times, |end, window| {
                Ok(part.append(end, pick(window))?)
            })
        };
        // The number of samples is the sum of what the windows had.
        aggregate(Aggregate::Count, &mut chunk.count, |window| window.sum)?;
        aggregate(Aggregate::Sum, &mut chunk.sum, |window| window.sum)?;
        aggregate(Aggregate::Min, &mut chunk.min, |window| window.min)?;
        aggregate(Aggregate::Max, &mut chunk.max, |window| window.max)?;
        buffers.read_all(batch, Aggregate::Counter)?;
        let mut growing = Growing::default();
        let last = buffers.grow(&mut growing);
        let ends = { buffers.times.first().copied() }.zip(buffers.floats.first().copied());
        if let (Some((first_time, first)), Some(last)) = (ends, last) {
            let counter = &mut chunk.counter;
            counter.append(first_time, first)?;
            let mut last_end = first_time;
            self.windows(buffers, &mut chunk.times, |end, window| {
                last_end = end;
                Ok(counter.append(end, window.counter)?)
            })?;
            counter.append(last_end, last)?;
        }
        Ok(chunk.finish())
    }

    /// The windows of the floats that were read.
    fn windows(
        self,
        buffers: &Buffers,
        times: &mut Ends,
        mut each: impl FnMut(i64, &Window) -> Result<()>,
    ) -> Result<()> {
        floats::windows(
            &buffers.times,
            &buffers.floats,
            self.to_ms,
            |end, window| {
                times.see(end);
                each(end, window)
            },
        )
    }

    fn histograms(
        self,
        batch: &[Input<'_>],
        buffers: &mut Buffers,
        out: &mut Vec<Aggregated>,
    ) -> Result<()> {
        let mut all = Windows::default();
        buffers.read_all(batch, Aggregate::Counter)?;
        histograms::windows(&buffers.histograms(), self.to_ms, |end, _, counter| {
            all.counter.push((end, counter.clone()));
        })?;
        buffers.read_all(batch, Aggregate::Sum)?;
        histograms::windows(&buffers.histograms(), self.to_ms, |end, window, _| {
            all.sum.extend(window.sum.take().map(|sum| (end, sum)));
        })?;
        buffers.read_all(batch, Aggregate::Count)?;
        self.windows(buffers, &mut Ends::default(), |end, window| {
            all.count.push((end, window.sum));
            Ok(())
        })?;
        all.write(out)
    }
}

impl<'a> Input<'a> {
    fn new(min_time: i64, max_time: i64, data: &'a [u8]) -> Result<Self> {
        let parts = AggrChunk::parse(data)?;
        // Without a counter it is one of floats, as in the reference.
        let first = match parts.get(Aggregate::Counter) {
            Some(counter) => counter.iter()?.next().transpose()?,
            None => None,
        };
        let kind = match first.map(|sample| sample.value) {
            Some(Value::FloatHistogram(h)) if h.uses_custom_buckets() => Kind::Custom,
            Some(Value::Histogram(h)) if h.schema == CUSTOM_BUCKETS_SCHEMA => Kind::Custom,
            Some(Value::FloatHistogram(_) | Value::Histogram(_)) => Kind::Exponential,
            Some(Value::Float(_)) | None => Kind::Floats,
        };
        Ok(Self {
            min_time,
            max_time,
            kind,
            parts,
        })
    }
}

/// Raw chunks, which old compactors left in downsampled blocks, as aggregates; nothing for each of the others.
fn converted(chunks: &[Piece<'_>], buffers: &mut Buffers) -> Result<Vec<Vec<Aggregated>>> {
    if chunks
        .iter()
        .all(|piece| piece.chunk.encoding == Encoding::Aggregate)
    {
        return Ok(Vec::new());
    }
    let mut all = Vec::with_capacity(chunks.len());
    for piece in chunks {
        let mut made = Vec::new();
        if piece.chunk.encoding != Encoding::Aggregate && piece.chunk.num_samples()? > 0 {
            let chunk = std::iter::once(piece.chunk);
            raw::downsample(chunk, FIVE_MINUTES_MS, buffers, &mut made)?;
        }
        all.push(made);
    }
    Ok(all)
}

impl Buffers {
    /// Reads one aggregate of all chunks that have it: of histograms the number of samples is a float.
    fn read_all(&mut self, batch: &[Input<'_>], aggregate: Aggregate) -> Result<()> {
        self.clear();
        for input in batch {
            let Some(part) = input.parts.get(aggregate) else {
                continue;
            };
            let wanted = match aggregate {
                Aggregate::Count => Kind::Floats,
                _ => input.kind,
            };
            match self.open(part)? {
                Some(kind) if kind == wanted => self.read(part)?,
                None => {}
                Some(_) => {
                    return Err(Error::Corrupt {
                        what: Encoding::Aggregate.name(),
                        offset: 0,
                        expected: "aggregates of one kind: all floats, or all histograms",
                    }
                    .into());
                }
            }
        }
        Ok(())
    }

    fn histograms(&self) -> Vec<histograms::Sample<'_>> {
        let histograms = self.histograms.iter().map(|histogram| &**histogram);
        self.times.iter().copied().zip(histograms).collect()
    }

    /// Takes resets out of the counters that were read; gives the last raw value.
    fn grow(&mut self, growing: &mut Growing) -> Option<f64> {
        let mut kept = 0;
        for at in 0..self.times.len() {
            let (Some(t), Some(value)) = (self.times.get(at), self.floats.get(at)) else {
                break;
            };
            let Some(grown) = growing.push(*t, *value) else {
                continue;
            };
            if let (Some(t), Some(value)) = (self.times.get_mut(kept), self.floats.get_mut(kept)) {
                (*t, *value) = grown;
            }
            kept += 1;
        }
        self.times.truncate(kept);
        self.floats.truncate(kept);
        growing.last_value()
    }
}
