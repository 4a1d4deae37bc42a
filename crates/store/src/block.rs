//! The blocks that are served, as one immutable set that a request pins.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use rutile_block::{BlockId, Meta};
use rutile_blockio::BlockReader;
use rutile_fetcher::filter::label_shard::BLOCK_ID_LABEL;
use rutile_model::{Labels, Matcher};

/// A block that is loaded.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) meta: Arc<Meta>,
    pub(crate) reader: BlockReader,
}

impl Block {
    /// The labels that `block_matchers` of a request's hints see.
    pub(crate) fn matches_hints(&self, matchers: &[Matcher]) -> bool {
        matchers.iter().all(|matcher| {
            if matcher.name() == BLOCK_ID_LABEL {
                return matcher.matches(&self.reader.id().to_string());
            }
            matcher.matches(self.meta.thanos.labels.value(matcher.name()))
        })
    }

    /// Whether the block, `[min, max)`, has part in the inclusive range.
    pub(crate) fn overlaps(&self, min_time: i64, max_time: i64) -> bool {
        self.meta.min_time <= max_time && min_time < self.meta.max_time
    }
}

/// The blocks of one external label set, by resolution.
#[derive(Debug)]
pub(crate) struct LabelSet {
    pub(crate) labels: Labels,
    /// Coarsest first; in each the blocks by start.
    resolutions: Vec<(i64, Vec<Arc<Block>>)>,
    /// By each of the resolutions: the finer blocks with something that no block holds which is coarser than they are and
    /// not coarser than this resolution.
    unheld: BTreeMap<i64, Vec<Arc<Block>>>,
}

/// All blocks that are served at one moment.
#[derive(Debug, Default)]
pub(crate) struct BlockSet {
    pub(crate) blocks: BTreeMap<BlockId, Arc<Block>>,
    pub(crate) label_sets: Vec<LabelSet>,
}

impl BlockSet {
    pub(crate) fn new(blocks: BTreeMap<BlockId, Arc<Block>>) -> Self {
        let mut sets: BTreeMap<Labels, BTreeMap<i64, Vec<Arc<Block>>>> = BTreeMap::new();
        for block in blocks.values() {
            let thanos = &block.meta.thanos;
            let resolutions = sets.entry(thanos.labels.clone()).or_default();
            resolutions
                .entry(thanos.downsample.resolution)
                .or_default()
                .push(Arc::clone(block));
        }
        let label_sets = sets.into_iter().map(|(labels, resolutions)| {
            let mut resolutions: Vec<_> = resolutions.into_iter().rev().collect();
            for (_, blocks) in &mut resolutions {
                blocks.sort_by_key(|block| (block.meta.min_time, block.meta.max_time));
            }
            LabelSet {
                unheld: unheld(&resolutions),
                labels,
                resolutions,
            }
        });
        Self {
            label_sets: label_sets.collect(),
            blocks,
        }
    }
}

impl LabelSet {
    /// The blocks that cover the inclusive range: of each moment the coarsest that is not coarser
    /// than `max_resolution`, gaps filled by finer ones. A gap is also what a coarser block has the time of and does
    /// not hold: it was merged before its late part was downsampled.
    pub(crate) fn covering(
        &self,
        min_time: i64,
        max_time: i64,
        max_resolution: i64,
        hints: &[Matcher],
    ) -> Vec<Arc<Block>> {
        let first = self
            .resolutions
            .partition_point(|(resolution, _)| *resolution > max_resolution);
        let mut found = Vec::new();
        cover(
            &self.resolutions[first..],
            min_time,
            max_time,
            hints,
            &mut found,
        );
        let coarsest = self
            .resolutions
            .get(first)
            .map(|(resolution, _)| resolution);
        let unheld = coarsest.and_then(|resolution| self.unheld.get(resolution));
        let unheld = unheld.into_iter().flatten();
        let unheld = unheld.filter(|block| block.overlaps(min_time, max_time));
        found.extend(unheld.filter(|block| block.matches_hints(hints)).cloned());
        // A finer block may fill two gaps.
        let mut seen = BTreeSet::new();
        found.retain(|block| seen.insert(block.reader.id()));
        found
    }
}

/// Of each resolution the finer blocks that coarser ones, up to that resolution, do not hold.
fn unheld(resolutions: &[(i64, Vec<Arc<Block>>)]) -> BTreeMap<i64, Vec<Arc<Block>>> {
    let mut all = BTreeMap::new();
    for (at, (resolution, _)) in resolutions.iter().enumerate() {
        let mut held = HashSet::new();
        let mut left = Vec::new();
        for (_, blocks) in resolutions.iter().skip(at) {
            let missing = |block: &&Arc<Block>| !holds_all(&held, &block.meta);
            if !held.is_empty() {
                left.extend(blocks.iter().filter(missing).cloned());
            }
            held.extend(blocks.iter().flat_map(|block| block.meta.sources()));
        }
        all.insert(*resolution, left);
    }
    all
}

fn holds_all(held: &HashSet<&BlockId>, meta: &Meta) -> bool {
    meta.sources().iter().all(|source| held.contains(source))
}

fn cover(
    resolutions: &[(i64, Vec<Arc<Block>>)],
    min_time: i64,
    max_time: i64,
    hints: &[Matcher],
    found: &mut Vec<Arc<Block>>,
) {
    let Some(((_, blocks), finer)) = resolutions.split_first() else {
        return;
    };
    if min_time > max_time {
        return;
    }
    let mut start = min_time;
    for block in blocks.iter().filter(|block| block.meta.max_time > min_time) {
        if block.meta.min_time > max_time {
            break;
        }
        cover(
            finer,
            start,
            block.meta.min_time.saturating_sub(1),
            hints,
            found,
        );
        if block.matches_hints(hints) {
            found.push(Arc::clone(block));
        }
        // Blocks may overlap, so a later start need not mean a later end.
        start = start.max(block.meta.max_time);
    }
    cover(finer, start, max_time, hints, found);
}

/// Takes out the matchers that `external` decides; `None` if one of them does not match.
pub(crate) fn series_matchers(external: &Labels, matchers: &[Matcher]) -> Option<Vec<Matcher>> {
    let mut left = Vec::with_capacity(matchers.len());
    for matcher in matchers {
        match external
            .get(matcher.name())
            .filter(|value| !value.is_empty())
        {
            None => left.push(matcher.clone()),
            Some(value) if matcher.matches(value) => {}
            Some(_) => return None,
        }
    }
    Some(left)
}
