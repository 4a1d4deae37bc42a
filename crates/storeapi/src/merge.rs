//! Merges the sorted answers of several stores into one, as a fan-out does.
//!
//! Owns the order of series and of chunks and what counts as the same chunk. Never decides what the
//! failure of one store means: the first error ends the merge.

mod batch;
mod chunks;

use std::{
    cmp::{Ordering, Reverse},
    collections::{BinaryHeap, VecDeque, binary_heap::PeekMut},
    pin::Pin,
    task::{Context, Poll},
};

pub use self::batch::{Batch, BatchStream};
use self::{
    batch::Source,
    chunks::{add_chunks, order_chunks},
};
use crate::{FrameWriter, Result, Series, SeriesStream};
use futures::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};

/// What an answer consists of. Batches are taken apart.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// A series.
    Series(Series),
    /// What the answer lacks, for whoever reads it.
    Warning(String),
    /// What a store tells of how it found the answer.
    Hints(prost_types::Any),
}

/// A decoded answer: series sorted by their labels, warnings and hints in between.
pub type ItemStream = BoxStream<'static, Result<Item>>;

/// Merges answers, each sorted by its series' labels.
///
/// Series with the same labels become one, with their chunks in order and each only once. Warnings
/// and hints pass before the series that follow them. Ends after the first error.
#[must_use]
pub fn merge(answers: Vec<SeriesStream>) -> ItemStream {
    let decode = |answer: SeriesStream| answer.map(|frames| Batch::decode(&frames?)).boxed();
    merge_batches(answers.into_iter().map(decode).collect())
}

/// [`merge`] of answers that are decoded already.
#[must_use]
pub fn merge_batches(answers: Vec<BatchStream>) -> ItemStream {
    Box::pin(Merge {
        awaited: (0..answers.len()).collect(),
        sources: answers.into_iter().map(Source::new).collect(),
        heads: BinaryHeap::new(),
        passing: VecDeque::new(),
        current: None,
        ended: false,
    })
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
                Some(Item::Warning(text)) => writer.warning(text)?,
                Some(Item::Hints(hints)) => writer.hints(hints)?,
                None => return Ok(Some((writer.finish()?, None))),
            }
        }
        Ok(Some((writer.take(), Some((items, writer, left)))))
    })
    .boxed()
}

struct Merge {
    sources: Vec<Source>,
    /// Sources whose next series is not known yet.
    awaited: Vec<usize>,
    /// The next series of each other source, unless it has ended.
    heads: BinaryHeap<Reverse<Head>>,
    /// Warnings and hints that go next.
    passing: VecDeque<Item>,
    /// The series that is being put together.
    current: Option<Series>,
    ended: bool,
}

struct Head {
    series: Series,
    source: usize,
}

impl Merge {
    /// Asks the awaited sources, all at once.
    fn poll_awaited(&mut self, cx: &mut Context<'_>) -> Result<()> {
        let mut i = 0;
        while let Some(&source) = self.awaited.get(i) {
            match self.sources[source].poll_series(cx, &mut self.passing)? {
                Poll::Pending => i += 1,
                Poll::Ready(series) => {
                    self.awaited.swap_remove(i);
                    let head = series.map(|series| Reverse(Head { series, source }));
                    self.heads.extend(head);
                }
            }
        }
        Ok(())
    }

    /// Takes from the heads until a series is complete, or until a source has to be asked.
    fn advance(&mut self) -> Option<Series> {
        while self.awaited.is_empty() {
            let Some(mut top) = self.heads.peek_mut() else {
                return self.current.take();
            };
            if let Some(current) = &self.current
                && current.labels != top.0.series.labels
            {
                return self.current.take();
            }
            // While this source holds the smallest series, its next one stays on top.
            let source = top.0.source;
            let series = match self.sources[source].next_buffered() {
                Some(next) => std::mem::replace(&mut top.0.series, next),
                None => {
                    self.awaited.push(source);
                    PeekMut::pop(top).0.series
                }
            };
            match &mut self.current {
                Some(current) => add_chunks(&mut current.chunks, series.chunks),
                None => self.current = Some(series),
            }
        }
        None
    }

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Item>>> {
        loop {
            if let Some(item) = self.passing.pop_front() {
                return Poll::Ready(Ok(Some(item)));
            }
            self.poll_awaited(cx)?;
            if !self.passing.is_empty() {
                continue;
            }
            if !self.awaited.is_empty() {
                return Poll::Pending;
            }
            if let Some(mut series) = self.advance() {
                order_chunks(&mut series.chunks);
                return Poll::Ready(Ok(Some(Item::Series(series))));
            }
            if self.awaited.is_empty() {
                return Poll::Ready(Ok(None));
            }
        }
    }
}

impl Stream for Merge {
    type Item = Result<Item>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        let item = std::task::ready!(this.poll_item(cx)).transpose();
        this.ended = !matches!(item, Some(Ok(_)));
        Poll::Ready(item)
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.series.labels.cmp(&other.series.labels)).then(self.source.cmp(&other.source))
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

#[cfg(test)]
mod tests;
