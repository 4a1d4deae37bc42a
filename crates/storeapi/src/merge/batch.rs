//! What a source of a merge hands over at once.

use std::{
    any::Any,
    collections::VecDeque,
    fmt,
    task::{Context, Poll},
    vec,
};

use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use rutile_proto::{series::SeriesDecoder, thanos::series_response};

use super::Item;
use crate::{Frames, Result, Series, frames};

/// A decoded answer in batches, sorted by its series' labels.
pub type BatchStream = BoxStream<'static, Result<Batch>>;

/// Decoded series of one store, and the warnings and hints that came before or between them.
#[derive(Default)]
pub struct Batch {
    /// Warnings and hints.
    pub passing: Vec<Item>,
    /// Sorted by their labels; equal label sets may follow each other.
    pub series: Vec<Series>,
    /// Dropped when the last series was taken: the place of the batch in a bounded buffer, or its
    /// memory reservation.
    pub held: Option<Box<dyn Any + Send>>,
}

impl Batch {
    /// Decodes frames. Chunks are slices of their bytes.
    ///
    /// # Errors
    /// `Corrupt` when a message is not a `SeriesResponse`.
    pub fn decode(frames: &Frames) -> Result<Self> {
        let mut batch = Self::default();
        let mut decoder = SeriesDecoder::default();
        for message in frames.messages() {
            if decoder.add_series(&message, &mut batch.series).is_none() {
                batch.add(message)?;
            }
        }
        Ok(batch)
    }

    /// Adds what the protobuf library finds in a message.
    fn add(&mut self, message: Bytes) -> Result<()> {
        match frames::decode(message)?.result {
            Some(series_response::Result::Series(series)) => self.series.push(series.into()),
            Some(series_response::Result::Batch(batch)) => {
                let series = batch.series.into_iter();
                self.series.extend(series.map(Series::from));
            }
            Some(series_response::Result::Warning(text)) => self.passing.push(Item::Warning(text)),
            Some(series_response::Result::Hints(hints)) => self.passing.push(Item::Hints(hints)),
            None => {}
        }
        Ok(())
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("passing", &self.passing)
            .field("series", &self.series.len())
            .finish_non_exhaustive()
    }
}

/// One answer and the batch of it that is being taken apart.
pub(super) struct Source {
    answer: BatchStream,
    series: vec::IntoIter<Series>,
    held: Option<Box<dyn Any + Send>>,
}

impl Source {
    pub(super) fn new(answer: BatchStream) -> Self {
        Self {
            answer,
            series: Vec::new().into_iter(),
            held: None,
        }
    }

    /// The next series of the batch at hand.
    pub(super) fn next_buffered(&mut self) -> Option<Series> {
        self.series.next()
    }

    /// The next series, `None` at the end; warnings and hints before it are added to `passing`.
    pub(super) fn poll_series(
        &mut self,
        cx: &mut Context<'_>,
        passing: &mut VecDeque<Item>,
    ) -> Result<Poll<Option<Series>>> {
        loop {
            if let Some(series) = self.next_buffered() {
                return Ok(Poll::Ready(Some(series)));
            }
            self.held = None;
            match self.answer.poll_next_unpin(cx) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(None) => return Ok(Poll::Ready(None)),
                Poll::Ready(Some(batch)) => {
                    let batch = batch?;
                    passing.extend(batch.passing);
                    self.series = batch.series.into_iter();
                    self.held = batch.held;
                }
            }
        }
    }
}
