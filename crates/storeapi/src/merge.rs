//! Merges the sorted answers of several stores into one, as a fan-out does.
//!
//! Owns the order of series and of chunks and what counts as the same chunk. Never decides what the
//! failure of one store means: the first error ends the merge.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BinaryHeap, VecDeque},
};

use futures::{
    StreamExt,
    future::join_all,
    stream::{self, BoxStream},
};
use rutile_proto::thanos::{AggrChunk, Chunk, Label, Series, SeriesResponse, series_response};

use crate::{FrameWriter, Frames, Result, SeriesStream};

/// A decoded series, warning or hint. Batches are taken apart.
pub type Item = series_response::Result;

/// A decoded answer: series sorted by their labels, warnings and hints in between.
pub type ItemStream = BoxStream<'static, Result<Item>>;

/// Merges answers, each sorted by its series' labels.
///
/// Series with the same labels become one, with their chunks in order and each only once. Warnings
/// and hints pass before the series that follow them. Ends after the first error.
#[must_use]
pub fn merge(answers: Vec<SeriesStream>) -> ItemStream {
    let sources = answers.into_iter().map(Source::new).collect();
    let merge = Merge {
        sources,
        heads: BinaryHeap::new(),
        passing: VecDeque::new(),
    };
    // The first series of all stores are awaited at once, the others when their turn comes.
    let start = stream::once(merge.start());
    let rest = start.map(|merge| match merge {
        Ok(merge) => stream::try_unfold(merge, Merge::next).boxed(),
        Err(error) => stream::once(async { Err(error) }).boxed(),
    });
    rest.flatten().boxed()
}

/// Encodes a decoded answer: at most `limit` series (0 means all), `batch_size` to a frame.
#[must_use]
pub fn encode_items(items: ItemStream, batch_size: usize, limit: usize) -> SeriesStream {
    let left = if limit == 0 { usize::MAX } else { limit };
    let state = Some((items, FrameWriter::new(batch_size), left));
    stream::try_unfold(state, async |state| {
        let Some((mut items, mut writer, mut left)) = state else {
            return Ok(None);
        };
        while !writer.is_full() {
            let item = if left == 0 {
                None
            } else {
                items.next().await.transpose()?
            };
            match item {
                Some(Item::Series(series)) => {
                    left -= 1;
                    writer.decoded(&series)?;
                }
                Some(other) => writer.message(&SeriesResponse {
                    result: Some(other),
                })?,
                None => return Ok(Some((writer.finish()?, None))),
            }
        }
        Ok(Some((writer.take(), Some((items, writer, left)))))
    })
    .boxed()
}

/// Compares label sets as Prometheus does: label by label, name before value, a prefix first.
#[must_use]
pub fn compare_labels(a: &[Label], b: &[Label]) -> Ordering {
    fn pair(label: &Label) -> (&str, &str) {
        (&label.name, &label.value)
    }
    a.iter().map(pair).cmp(b.iter().map(pair))
}

/// One answer and what was decoded of it beyond the series in the heap.
struct Source {
    answer: SeriesStream,
    series: VecDeque<Series>,
}

struct Merge {
    sources: Vec<Source>,
    /// The next series of each source that has one.
    heads: BinaryHeap<Reverse<Head>>,
    /// Warnings and hints that go next.
    passing: VecDeque<Item>,
}

struct Head {
    series: Series,
    source: usize,
}

impl Source {
    fn new(answer: SeriesStream) -> Self {
        Self {
            answer,
            series: VecDeque::new(),
        }
    }

    /// The next series, and the warnings and hints before it.
    async fn next(&mut self) -> Result<(Option<Series>, Vec<Item>)> {
        let mut passing = Vec::new();
        loop {
            if let Some(series) = self.series.pop_front() {
                return Ok((Some(series), passing));
            }
            let Some(frames) = self.answer.next().await else {
                return Ok((None, passing));
            };
            self.sort_in(&frames?, &mut passing)?;
        }
    }

    fn sort_in(&mut self, frames: &Frames, passing: &mut Vec<Item>) -> Result<()> {
        for item in frames
            .decode()?
            .into_iter()
            .filter_map(|response| response.result)
        {
            match item {
                Item::Series(series) => self.series.push_back(series),
                Item::Batch(batch) => self.series.extend(batch.series),
                Item::Warning(_) | Item::Hints(_) => passing.push(item),
            }
        }
        Ok(())
    }
}

impl Merge {
    async fn start(mut self) -> Result<Self> {
        let firsts = join_all(self.sources.iter_mut().map(Source::next)).await;
        for (source, first) in firsts.into_iter().enumerate() {
            self.take_in(source, first?);
        }
        Ok(self)
    }

    fn take_in(&mut self, source: usize, (series, passing): (Option<Series>, Vec<Item>)) {
        self.passing.extend(passing);
        self.heads
            .extend(series.map(|series| Reverse(Head { series, source })));
    }

    async fn next(mut self) -> Result<Option<(Item, Self)>> {
        if let Some(item) = self.passing.pop_front() {
            return Ok(Some((item, self)));
        }
        let Some(mut merged) = self.pop().await? else {
            return Ok(None);
        };
        while let Some(Reverse(head)) = self.heads.peek()
            && head.series.labels == merged.labels
        {
            merged.chunks.extend(
                self.pop()
                    .await?
                    .into_iter()
                    .flat_map(|series| series.chunks),
            );
        }
        order_chunks(&mut merged.chunks);
        Ok(Some((Item::Series(merged), self)))
    }

    /// Takes the smallest head and asks its source for the next.
    async fn pop(&mut self) -> Result<Option<Series>> {
        let Some(Reverse(Head { series, source })) = self.heads.pop() else {
            return Ok(None);
        };
        let next = self.sources[source].next().await?;
        self.take_in(source, next);
        Ok(Some(series))
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        compare_labels(&self.series.labels, &other.series.labels)
            .then(self.source.cmp(&other.source))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}

/// Sorts chunks and drops those that are there already.
fn order_chunks(chunks: &mut Vec<AggrChunk>) {
    chunks.sort_by(compare_chunks);
    chunks.dedup_by(|a, b| compare_chunks(a, b).is_eq());
}

/// Earlier first. Of the same times: what has an aggregate before what has not, the smaller encoding,
/// the larger data. Hashes do not count, not every store computes them.
fn compare_chunks(a: &AggrChunk, b: &AggrChunk) -> Ordering {
    (a.min_time, a.max_time)
        .cmp(&(b.min_time, b.max_time))
        .then_with(|| compare_parts(a.raw.as_ref(), b.raw.as_ref()))
        .then_with(|| compare_parts(a.count.as_ref(), b.count.as_ref()))
        .then_with(|| compare_parts(a.sum.as_ref(), b.sum.as_ref()))
        .then_with(|| compare_parts(a.min.as_ref(), b.min.as_ref()))
        .then_with(|| compare_parts(a.max.as_ref(), b.max.as_ref()))
        .then_with(|| compare_parts(a.counter.as_ref(), b.counter.as_ref()))
}

fn compare_parts(a: Option<&Chunk>, b: Option<&Chunk>) -> Ordering {
    match (a, b) {
        (None, None) => Ordering::Equal,
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (Some(a), Some(b)) => a.r#type.cmp(&b.r#type).then_with(|| b.data.cmp(&a.data)),
    }
}

#[cfg(test)]
mod tests;
