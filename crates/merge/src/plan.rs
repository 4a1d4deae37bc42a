//! What can be merged into one block, and the metadata of the result.

use std::collections::BTreeSet;

use rutile_block::{BlockDesc, BlockId, Compaction, Downsample, IndexStats, Meta, RawJson, Source};
use rutile_model::ErrorKind;

use crate::MergePlan;
use crate::digest::Tally;
use crate::error::{Error, Result};
use crate::output::segment_name;

/// The inputs by the start of their ranges, if they can be merged: if they overlap in time, only by a
/// function that takes overlaps.
pub(crate) fn by_time<'a>(plan: &MergePlan<'a>) -> Result<Vec<&'a Meta>> {
    let refused = |message: String| Err(Error::passing(plan.output, ErrorKind::Invalid, message));
    let mut sorted: Vec<&Meta> = plan.inputs.iter().collect();
    sorted.sort_by_key(|meta| (meta.min_time, meta.max_time, meta.id));
    let Some(first) = sorted.first() else {
        return refused("there is nothing to merge".to_owned());
    };
    let resolution = first.thanos.downsample.resolution;
    if let Some(to) = plan.downsample_to
        && (sorted.len() > 1 || to <= resolution)
    {
        return refused(format!(
            "{} is downsampled alone, and to more than {resolution} ms",
            first.id
        ));
    }
    let overlaps = plan.function.takes_overlaps();
    let group = first.group_key();
    for pair in sorted.windows(2) {
        if let [before, after] = pair {
            if after.group_key() != group {
                return refused(format!(
                    "{} and {} are not of one group",
                    before.id, after.id
                ));
            }
            if !overlaps && before.max_time > after.min_time {
                return refused(format!("{} and {} overlap in time", before.id, after.id));
            }
        }
    }
    Ok(sorted)
}

/// The metadata of the output at a resolution, ms, as the reference's compactor writes it.
pub(crate) fn output_meta(
    inputs: &[&Meta],
    output: BlockId,
    resolution: i64,
    tally: &Tally,
    segments: u32,
    index_stats: IndexStats,
    extensions: Option<RawJson>,
) -> Meta {
    let downsampled = match inputs {
        [input] if input.thanos.downsample.resolution != resolution => Some(input),
        _ => None,
    };
    let mut meta = Meta::new(output);
    // The same data once more descends from whatever the input does, and replaces nothing.
    meta.compaction = match downsampled {
        Some(input) => input.compaction.clone(),
        None => merged(inputs),
    };
    meta.min_time = inputs.iter().map(|m| m.min_time).min().unwrap_or_default();
    meta.max_time = inputs.iter().map(|m| m.max_time).max().unwrap_or_default();
    meta.stats = tally.stats();
    if let Some(input) = downsampled {
        // What an aggregate chunk holds is neither: these stay those of the raw samples, as in the reference.
        meta.stats.num_float_samples = input.stats.num_float_samples;
        meta.stats.num_histogram_samples = input.stats.num_histogram_samples;
    }
    if let Some(first) = inputs.first() {
        meta.thanos.labels = first.thanos.labels.clone();
    }
    meta.thanos.downsample = Downsample { resolution };
    meta.thanos.source = Source::Compactor;
    meta.thanos.segment_files = (0..segments).map(segment_name).collect();
    meta.thanos.index_stats = index_stats;
    meta.thanos.extensions = extensions;
    // The reference forgets them. *Otherwise:* what an original lost comes back with a copy of it, which nothing tells from new data.
    meta.thanos.rewrites = Meta::united_rewrites(inputs);
    meta
}

/// What inputs that become one block have behind them.
fn merged(inputs: &[&Meta]) -> Compaction {
    let sources: BTreeSet<BlockId> = inputs
        .iter()
        .flat_map(|m| m.sources().iter().copied())
        .collect();
    let level = inputs.iter().map(|m| m.compaction.level).max();
    Compaction {
        level: level.unwrap_or_default() + 1,
        sources: sources.into_iter().collect(),
        parents: inputs.iter().map(|m| parent(m)).collect(),
        ..Compaction::default()
    }
}

fn parent(meta: &Meta) -> BlockDesc {
    BlockDesc {
        id: meta.id,
        min_time: meta.min_time,
        max_time: meta.max_time,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_names_the_inputs_that_name_no_sources() {
        let id = |at: u64| BlockId::from_parts(at, [0; 10]);
        let (bare, mut other) = (Meta::new(id(3)), Meta::new(id(4)));
        other.compaction.sources = vec![id(2), id(1)];
        let made = merged(&[&bare, &other]);
        assert_eq!(made.sources, [id(1), id(2), id(3)]);
    }
}
