//! Series calls: from the matchers to the frames that leave.
//!
//! For each block a [`source`] selects series by postings, decodes their entries in batches (labels
//! as rows of numbers, see [`label_numbers`]) and reads their chunks by coalesced ranges; [`merge`] runs a
//! tournament over all blocks and writes each series once. Memory is bounded by the batches: of each
//! block one is being sent and at most one is read ahead.

mod cursor;
mod decode;
mod label_numbers;
mod label_writer;
mod loser_tree;
mod merge;
mod rows;
mod source;
mod spec;
pub(crate) mod undecided;
mod write;

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use rutile_blockio::Request;
use rutile_model::Matcher;
use rutile_proto::thanos::SeriesRequest;
use rutile_runtime::Spawner;
use rutile_storeapi::FrameWriter;
use rutile_telemetry::span;
use rutile_telemetry::spans::Instrument as _;

use self::cursor::Cursor;
use self::label_numbers::LabelNumbers;
use self::merge::Merge;
pub(crate) use self::merge::{Merged, Sink};
use self::source::Source;
use self::spec::SeriesSpec;
use crate::Result;
use crate::block::Block;

/// Blocks that are opened at a time for one request.
const OPEN_CONCURRENCY: usize = 32;

/// A block, and what is left of the matchers for its series.
pub(crate) type Target = (Arc<Block>, Arc<[Matcher]>);

/// One Series call, ready to run.
#[derive(Debug)]
pub(crate) struct SeriesCall {
    pub(crate) wire: SeriesRequest,
    pub(crate) targets: Vec<Target>,
    pub(crate) request: Arc<Request>,
    pub(crate) batch_series: usize,
    pub(crate) warnings: Vec<String>,
}

impl SeriesCall {
    /// Sends all series to `sink`, in order. Returns early when nobody listens.
    pub(crate) async fn run(
        &self,
        tasks: &Spawner,
        sink: &Sink,
        on_open: &(dyn Fn() + Sync),
        on_series: &(dyn Fn(u64) + Sync),
    ) -> Result<Merged> {
        let spec = SeriesSpec::new(&self.wire, self.batch_series).for_blocks(self.targets.len());
        let spec = Arc::new(spec);
        let batch_size = usize::try_from(self.wire.response_batch_size).unwrap_or(0);
        let mut writer = FrameWriter::new(batch_size);
        for warning in &self.warnings {
            writer.warning(warning)?;
        }
        let numbers = Arc::new(LabelNumbers::new(&self.request.account));
        let opening = span!("bucket_store_preload_all", blocks = self.targets.len());
        let cursors = self.open(tasks, &spec, &numbers);
        let cursors = cursors.instrument(opening).await?;
        on_open();
        let limit = u64::try_from(self.wire.limit).unwrap_or(0);
        let merge = Merge {
            spec: &spec,
            numbers: &numbers,
            limit,
            tasks,
            sink,
            series_done: on_series,
        };
        let merging = span!("bucket_store_merge_all");
        let merged = merge.run(cursors, &mut writer).instrument(merging).await?;
        merge::send(sink, writer.finish()?).await?;
        Ok(merged)
    }

    /// Reads the first series of every block.
    async fn open(
        &self,
        tasks: &Spawner,
        spec: &Arc<SeriesSpec>,
        numbers: &Arc<LabelNumbers>,
    ) -> Result<Vec<Cursor>> {
        let opening = self.targets.clone().into_iter().map(|(block, matchers)| {
            let (request, spec) = (Arc::clone(&self.request), Arc::clone(spec));
            let numbers = Arc::clone(numbers);
            let span = span!("bucket_store_block_series", block.id = %block.meta.id);
            let open = async move {
                Cursor::open(Source::open(block, &matchers, request, spec, numbers).await?).await
            };
            let opened = tasks.spawn("series-open", open.instrument(span));
            let opened = opened.abort_on_drop();
            async move {
                opened
                    .await
                    .map_err(task_failed)?
                    .map_err(crate::Error::from)
            }
        });
        stream::iter(opening)
            .buffered(OPEN_CONCURRENCY)
            .try_filter_map(|cursor| std::future::ready(Ok(cursor)))
            .try_collect()
            .await
    }
}

fn task_failed(error: rutile_runtime::TaskError) -> crate::Error {
    rutile_storeapi::Error::new(
        rutile_model::ErrorKind::Internal,
        format!("a task that read a block ended: {error}"),
    )
    .into()
}
