//! Writing what a survey found.

use std::sync::Arc;

use rutile_block::{BlockId, IndexStats, Meta, RawJson, Source as Origin};
use rutile_dedup::Function;
use rutile_index::IndexWriter;

use super::lane;
use super::survey::Survey;
use crate::digest::Tally;
use crate::error::{Error, Reason, Result};
use crate::output::segment_name;
use crate::overlap::Overlapping;
use crate::run::{Job, POSTINGS, buffers, conclude, settings};
use crate::spill::Scratch;
use crate::{Merged, Merger, Progress};

/// See [`Merger::rewrite`] and, without a history of rewrites, [`Merger::mend`].
pub(crate) async fn write(
    merger: &Merger,
    survey: Survey,
    output: BlockId,
    rewrites: Option<RawJson>,
    progress: &Arc<Progress>,
) -> Result<Merged> {
    let Survey {
        meta,
        input,
        map,
        symbols,
        mut table,
        mut memory,
        group,
        ..
    } = survey;
    progress.expect(input.bytes(), meta.stats.num_series);
    let lanes = table.lanes.len();
    let settings = settings(merger, &group, lanes, progress);
    let grown = memory.grow(buffers(&settings, lanes));
    grown.map_err(|e| Error::exhausted(output, e))?;

    let spill = Scratch::new(Arc::clone(merger.scratch.disk()), output);
    let mut writer = IndexWriter::with_spill(POSTINGS, Box::new(spill));
    let written = merger.pool.run(move || {
        let written = symbols.finish(&mut table, &mut writer);
        (written, table, writer)
    });
    let (written, table, writer) = written.await;
    written.map_err(|e| input.fault(Reason::IndexTooLarge, e.to_string()))?;
    let table = Arc::new(table);

    let upload = merger.lifecycle.upload(output, merger.hash).await;
    let upload = upload.map_err(|e| Error::lifecycle(output, e))?;
    let start = |lane| lane::start(&input, &map, &table, lane, &settings);
    let sources = (0..lanes).map(start).collect();
    let job = Job {
        merger,
        output,
        function: Arc::new(Overlapping::new(Function::Chain)),
        inputs: vec![Arc::clone(&input); lanes],
        settings: settings.clone(),
        upload: &upload,
    };
    let id = meta.id;
    let describe = |tally: &Tally, segments, stats| {
        output_meta(meta, output, tally, segments, stats, rewrites)
    };
    let made = job.run(writer, sources, &mut memory, describe).await;
    conclude(merger, upload, &[id], made).await
}

/// As the reference writes it (`cmd/thanos/tools_bucket.go`): sources of its own, so that nobody takes
/// the original for the same data.
fn output_meta(
    original: Meta,
    output: BlockId,
    tally: &Tally,
    segments: u32,
    index_stats: IndexStats,
    rewrites: Option<RawJson>,
) -> Meta {
    let mut meta = original;
    meta.id = output;
    meta.stats = tally.stats();
    meta.thanos.source = Origin::BucketRepair;
    meta.thanos.segment_files = (0..segments).map(segment_name).collect();
    meta.thanos.index_stats = index_stats;
    if rewrites.is_some() {
        meta.compaction.sources = vec![output];
        meta.thanos.source = Origin::BucketRewrite;
        meta.thanos.rewrites = rewrites;
    }
    meta
}
