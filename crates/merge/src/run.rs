//! One merge from its plan to its commit.

use std::sync::Arc;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use rutile_block::{BlockId, IndexStats, Meta};
use rutile_chunk::segment;
use rutile_index::IndexWriter;
use rutile_lifecycle::{PART_BYTES, Standing, Upload};
use rutile_model::ErrorKind;
use rutile_objstore::PARTS_IN_FLIGHT;
use rutile_runtime::{Reservation, TaskGroup};
use tokio::sync::mpsc;

use crate::combine::Stage;
use crate::digest::Tally;
use crate::downsample::Downsample;
use crate::error::{Error, Result};
use crate::input::Input;
use crate::progress::Progress;
use crate::source::{IN_FLIGHT, Settings, Source};
use crate::spill::Scratch;
use crate::symbols::{SymbolMap, unite};
use crate::{MergeFunction, MergePlan, Merged, Merger, output, plan, verify};

/// Inputs that are opened at a time.
const OPENING: usize = 8;
/// Bytes of the buffers of all sources together.
const SOURCES: u64 = 64 << 20;
/// Bytes of a batch's chunks: no range read is longer, and none shorter for its own sake.
const BATCH: std::ops::RangeInclusive<u64> = 128 << 10..=1 << 20;
/// Batches that are downsampled at a time for each thread: while one takes long, such as one of histograms, the others go on.
const DOWNSAMPLING_PER_THREAD: usize = 3;
/// Bytes of compressed postings that stay in memory.
pub(crate) const POSTINGS: usize = 64 << 20;
/// Full parts that wait to be uploaded.
const PARTS: usize = 2;
/// Threads for what is short and in order: decoding series, finding equal ones, laying out chunks, indexing.
const LANE: usize = 2;
/// Batches of series that wait to be indexed.
const ROWS: usize = 2;

/// See [`Merger::merge`].
pub(crate) async fn merge(
    merger: &Merger,
    plan: MergePlan<'_>,
    progress: &Arc<Progress>,
) -> Result<Merged> {
    // Tasks of the merge end with it, whichever way it ends.
    let group = merger.spawner.child(format!("merge {}", plan.output));
    let metas = plan::by_time(&plan)?;
    let inputs = open(merger, &group, &metas, &plan).await?;
    let bytes = inputs.iter().map(|input| input.bytes()).sum();
    let series = metas.iter().map(|meta| meta.stats.num_series).sum();
    progress.expect(bytes, series);
    let mut settings = settings(merger, &group, inputs.len(), progress);
    let resolution = metas.first().map_or(0, |m| m.thanos.downsample.resolution);
    if let Some(to) = plan.downsample_to {
        settings.downsample = Some(Arc::new(Downsample::new(resolution, to)));
        settings.in_flight = merger.pool.threads() * DOWNSAMPLING_PER_THREAD;
    }
    let account = merger.ledger.account(format!("merge {}", plan.output));
    let reserved = account.reserve(buffers(&settings, inputs.len())).await;
    let mut memory = reserved.map_err(|e| Error::exhausted(plan.output, e))?;

    let spill = Scratch::new(Arc::clone(merger.scratch.disk()), plan.output);
    let (writer, maps) = unite(
        &inputs,
        IndexWriter::with_spill(POSTINGS, Box::new(spill)),
        &merger.pool,
        &mut memory,
        Progress::read,
        progress,
    )
    .await?;
    let upload = merger.lifecycle.upload(plan.output, merger.hash).await;
    let upload = upload.map_err(|e| Error::lifecycle(plan.output, e))?;
    let start =
        |(input, map): (&Arc<Input>, SymbolMap)| Source::start(Arc::clone(input), map, &settings);
    let sources: Vec<Source> = inputs.iter().zip(maps).map(start).collect();
    let job = Job {
        merger,
        output: plan.output,
        function: Arc::clone(&plan.function),
        inputs,
        settings,
        upload: &upload,
    };
    let describe = |tally: &Tally, segments, stats| {
        let resolution = plan.downsample_to.unwrap_or(resolution);
        let extensions = plan.extensions.clone();
        let output = plan.output;
        plan::output_meta(
            &metas, output, resolution, tally, segments, stats, extensions,
        )
    };
    let made = job.run(writer, sources, &mut memory, describe).await;
    let ids: Vec<BlockId> = plan.inputs.iter().map(|input| input.id).collect();
    conclude(merger, upload, &ids, made).await
}

/// Commits what was made, unless an input was given up meanwhile; a failure leaves nothing behind.
pub(crate) async fn conclude(
    merger: &Merger,
    upload: Upload,
    inputs: &[BlockId],
    made: Result<Option<Meta>>,
) -> Result<Merged> {
    let made = match made {
        Ok(None) => return Ok(Merged::Empty),
        Ok(Some(meta)) => unmarked(merger, upload.id(), inputs).await.map(|()| meta),
        Err(error) => Err(error),
    };
    match made {
        Ok(meta) => commit(upload, meta).await,
        Err(error) => {
            abandon(upload).await;
            Err(error)
        }
    }
}

async fn open(
    merger: &Merger,
    group: &TaskGroup,
    metas: &[&Meta],
    plan: &MergePlan<'_>,
) -> Result<Vec<Arc<Input>>> {
    let spawner = &group.spawner();
    let open = metas.iter().map(|meta| async {
        let bucket = Arc::clone(&merger.bucket);
        Input::open(bucket, spawner, meta, plan.output)
            .await
            .map(Arc::new)
    });
    let open: Vec<_> = open.collect();
    stream::iter(open).buffered(OPENING).try_collect().await
}

/// How the sources of so many inputs work.
pub(crate) fn settings(
    merger: &Merger,
    group: &TaskGroup,
    inputs: usize,
    progress: &Arc<Progress>,
) -> Settings {
    let mut settings = Settings {
        pool: merger.pool.clone(),
        lane: merger.pool.beside(LANE),
        spawner: group.spawner(),
        progress: Arc::clone(progress),
        batch: *BATCH.end(),
        in_flight: IN_FLIGHT,
        count: Progress::read,
        sum_postings: false,
        downsample: None,
    };
    while settings.memory() * inputs as u64 > SOURCES && settings.batch > *BATCH.start() {
        settings.batch /= 2;
    }
    settings
}

/// Bytes of the buffers of so many sources and of the output.
pub(crate) fn buffers(settings: &Settings, sources: usize) -> u64 {
    // Of a segment and of the index: parts that are sent, and those before and behind the queue.
    let parts = PARTS + 2 * (PARTS_IN_FLIGHT + 1);
    settings.memory() * sources as u64 + (parts * PART_BYTES) as u64
}

/// Merging took time: what was marked or went away meanwhile must not live on in the output (BC-14,
/// BC-15).
async fn unmarked(merger: &Merger, output: BlockId, inputs: &[BlockId]) -> Result<()> {
    for input in inputs {
        let standing = merger.lifecycle.standing(*input).await;
        let standing = standing.map_err(|e| Error::lifecycle(output, e))?;
        if standing != Standing::Unmarked {
            let message = format!("input {input} was marked or removed meanwhile");
            return Err(Error::passing(output, ErrorKind::Unavailable, message));
        }
    }
    Ok(())
}

/// A commit that fails leaves the objects where they are: `meta.json` may still arrive.
async fn commit(mut upload: Upload, meta: Meta) -> Result<Merged> {
    let id = upload.id();
    let committed = upload.commit(meta).await;
    let meta = committed.map_err(|e| Error::lifecycle(id, e))?;
    Ok(Merged::Block(Box::new(meta)))
}

async fn abandon(upload: Upload) {
    let id = upload.id();
    if let Err(error) = upload.abandon().await {
        tracing::warn!(block = %id, %error, "what was uploaded of a failed merge is left behind");
    }
}

/// One output from its sources to its verified files.
pub(crate) struct Job<'a> {
    pub(crate) merger: &'a Merger,
    pub(crate) output: BlockId,
    pub(crate) function: Arc<dyn MergeFunction>,
    /// One for each source.
    pub(crate) inputs: Vec<Arc<Input>>,
    pub(crate) settings: Settings,
    pub(crate) upload: &'a Upload,
}

impl Job<'_> {
    /// Writes and verifies the files of the output; gives its metadata, as `describe` states them by
    /// what is in it, the number of segments and the sizes in the index, or none if it is empty.
    pub(crate) async fn run(
        self,
        writer: IndexWriter,
        sources: Vec<Source>,
        memory: &mut Reservation,
        describe: impl FnOnce(&Tally, u32, IndexStats) -> Meta + Send,
    ) -> Result<Option<Meta>> {
        let (tally, segments, stats) = self.write(writer, sources).await?;
        if tally.series == 0 {
            return Ok(None);
        }
        let meta = describe(&tally, segments, stats);
        let settings = Settings {
            batch: *BATCH.end(),
            count: Progress::verified,
            sum_postings: true,
            downsample: None,
            in_flight: IN_FLIGHT,
            ..self.settings
        };
        verify::verify(self.merger, &meta, &tally, &settings, memory).await?;
        Ok(Some(meta))
    }

    async fn write(
        &self,
        writer: IndexWriter,
        sources: Vec<Source>,
    ) -> Result<(Tally, u32, IndexStats)> {
        let Settings {
            pool,
            lane,
            progress,
            spawner,
            ..
        } = &self.settings;
        let (parts, parts_to_write) = mpsc::channel(PARTS);
        let (index, rows_to_write) = mpsc::channel(ROWS);
        let stage = Stage {
            output: self.output,
            inputs: self.inputs.clone(),
            function: Arc::clone(&self.function),
            segment_size: segment::DEFAULT_SEGMENT_SIZE,
            pool: pool.clone(),
            lane: lane.clone(),
            progress: Arc::clone(progress),
            parts,
            index,
        };
        let largest = self.inputs.iter().max_by_key(|input| input.index_len);
        let Some(largest) = largest else {
            let message = "there is nothing to merge";
            return Err(Error::passing(self.output, ErrorKind::Invalid, message));
        };
        let (tally, segments, stats) = futures::join!(
            stage.run(sources),
            output::segments(self.upload, spawner, progress, parts_to_write),
            output::index(writer, largest, self.upload, lane, progress, rows_to_write),
        );
        // A stage that fails ends the one before it; its error is the one that tells.
        let (segments, stats) = (segments?, stats?);
        Ok((tally?, segments, stats))
    }
}
