//! The series of all blocks, merged and written out.

use std::sync::Arc;
use std::time::Duration;

use rutile_model::ErrorKind;
use rutile_runtime::Spawner;
use rutile_storeapi::{FrameWriter, Frames};
use tokio::sync::mpsc;

use super::cursor::Cursor;
use super::label_numbers::{LabelNumbers, common_start};
use super::label_writer::LabelWriter;
use super::loser_tree::LoserTree;
use super::source::Batch;
use super::spec::SeriesSpec;
use super::write::write_series;

/// How long a client may read nothing before its call ends: it holds a turn and memory.
const STALLED: Duration = Duration::from_secs(600);
/// Up to this many blocks are read ahead.
const READ_AHEAD: usize = 32;

/// What came out of a merge.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Merged {
    pub(crate) series: u64,
    pub(crate) chunks: u64,
    pub(crate) chunk_bytes: u64,
}

/// Where the frames go. It answers whether anybody still wants them.
pub(crate) type Sink = mpsc::Sender<rutile_storeapi::Result<Frames>>;

/// Merges the series of `cursors` (in the order in which equal chunks are preferred), and sends
/// them to `sink` until `limit` series were sent (0: all) or nobody listens.
pub(crate) struct Merge<'a> {
    pub(crate) spec: &'a SeriesSpec,
    pub(crate) numbers: &'a Arc<LabelNumbers>,
    pub(crate) limit: u64,
    pub(crate) tasks: &'a Spawner,
    pub(crate) sink: &'a Sink,
    pub(crate) series_done: &'a (dyn Fn(u64) + Sync),
}

impl Merge<'_> {
    /// Runs to the end. Frames that are not full stay in `writer`.
    pub(crate) async fn run(
        &self,
        mut cursors: Vec<Cursor>,
        writer: &mut FrameWriter,
    ) -> crate::Result<Merged> {
        let read_ahead = cursors.len() <= READ_AHEAD;
        if read_ahead {
            cursors
                .iter_mut()
                .for_each(|cursor| cursor.read_ahead(self.tasks));
        }
        let mut merged = Merged::default();
        let mut heads = Heads::new(self.numbers, cursors.len());
        let mut tree = LoserTree::new(cursors.len(), |a, b| heads.before(&cursors, a, b));
        let mut labels_out = LabelWriter::new(Arc::clone(self.numbers));
        // Without chunks the labels are all that is wanted of a series.
        let with_chunks = !self.spec.skip_chunks;
        let mut equal: Vec<(Arc<Batch>, usize)> = Vec::new();
        let mut row: Vec<u32> = Vec::new();
        while let Some(labels) = cursors.get(tree.winner()).and_then(Cursor::labels) {
            row.clear();
            row.extend_from_slice(labels);
            equal.clear();
            loop {
                let winner = tree.winner();
                let Some(cursor) = cursors.get_mut(winner) else {
                    break;
                };
                if with_chunks {
                    equal.extend(cursor.current());
                }
                if !cursor.step() {
                    cursor.next_batch(self.tasks, read_ahead).await?;
                }
                heads.came(winner, cursor.labels(), &row);
                tree.replay(|a, b| heads.before(&cursors, a, b));
                if !heads.is_last_again(tree.winner(), &cursors, &row) {
                    break;
                }
            }
            let written = write_series(self.spec, &row, &equal, &mut labels_out, writer)?;
            (self.series_done)(written.chunk_bytes);
            merged.series += 1;
            merged.chunks += written.chunks;
            merged.chunk_bytes += written.chunk_bytes;
            if writer.is_full() && !send(self.sink, writer.take()).await? {
                break;
            }
            if merged.series == self.limit {
                break;
            }
        }
        Ok(merged)
    }
}

/// Compares the heads of the cursors in a [`LoserTree`].
///
/// Of each it is known how many labels it has in common with the head that it lost to, or, if it has just come, with the
/// one that it comes after: the last winner's, for all that a new head meets on its way. Of two that follow the same row the one
/// that has more in common with it comes first, and most matches are decided by that alone (offset-value coding: Graefe, *Implementing
/// sorting in database systems*, 2006).
struct Heads<'a> {
    numbers: &'a LabelNumbers,
    alike: Vec<usize>,
}

impl<'a> Heads<'a> {
    fn new(numbers: &'a LabelNumbers, cursors: usize) -> Self {
        Self {
            numbers,
            alike: vec![0; cursors],
        }
    }

    /// A cursor's head is another one, which comes after `row`.
    #[inline]
    fn came(&mut self, cursor: usize, labels: Option<&[u32]>, row: &[u32]) {
        self.alike[cursor] = labels.map_or(0, |labels| common_start(labels, row));
    }

    /// Whether the head of the new winner is `row`, that of the last one, again: it lost to that, or comes after it.
    #[inline]
    fn is_last_again(&self, winner: usize, cursors: &[Cursor], row: &[u32]) -> bool {
        let labels = cursors.get(winner).and_then(Cursor::labels);
        labels.is_some_and(|labels| labels.len() == row.len() && self.alike[winner] == row.len())
    }

    /// Whether the head of `a` comes before that of `b`. Equal ones keep the order of the cursors.
    #[inline]
    fn before(&mut self, cursors: &[Cursor], a: usize, b: usize) -> bool {
        let (Some(x), Some(y)) = (cursors[a].labels(), cursors[b].labels()) else {
            return cursors[a].labels().is_some();
        };
        let alike = self.alike[a];
        if alike != self.alike[b] {
            return alike > self.alike[b];
        }
        let (rest_x, rest_y) = (x.get(alike..), y.get(alike..));
        let alike = alike + common_start(rest_x.unwrap_or_default(), rest_y.unwrap_or_default());
        let is_before = self.numbers.compare_at(alike, x, y).then(a.cmp(&b)).is_lt();
        self.alike[if is_before { b } else { a }] = alike;
        is_before
    }
}

/// Whether somebody took the frames.
///
/// # Errors
/// When the client reads nothing for so long that others should have its place.
pub(crate) async fn send(sink: &Sink, frames: Frames) -> crate::Result<bool> {
    if frames.is_empty() {
        return Ok(true);
    }
    match tokio::time::timeout(STALLED, sink.send(Ok(frames))).await {
        Ok(sent) => Ok(sent.is_ok()),
        Err(_) => {
            let message = format!("the client read nothing for {} s", STALLED.as_secs());
            Err(rutile_storeapi::Error::new(ErrorKind::Canceled, message).into())
        }
    }
}
