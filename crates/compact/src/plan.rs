//! What to merge next: the planner of Prometheus's TSDB, as Thanos applies it to a group.
//!
//! Levels are ranges of time aligned to the epoch. Blocks that together fill such a range are merged
//! into one, the smallest ranges first; the newest block of a group waits, so that a late neighbour
//! still finds its place. With vertical compaction blocks that overlap come first, the newest one
//! included. Pure: the same group gives the same plan.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use rutile_block::{BlockId, Meta};

use crate::group::{Group, Member};

const HOUR: i64 = 3_600_000;
/// The ranges of the levels in ms. The first one is that of what heads write, and no target.
const RANGES: [i64; 5] = [HOUR, 2 * HOUR, 8 * HOUR, 48 * HOUR, 336 * HOUR];

/// Percent of the largest index that the inputs' indexes may have together: merged, symbols and
/// postings may take more room than they did apart.
const INDEX_PERCENT: u128 = 85;

/// Decides what to merge.
#[derive(Debug, Clone)]
pub struct Planner {
    ranges: Vec<i64>,
    max_index_bytes: u64,
    vertical: bool,
}

/// What to do with a group.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// Blocks to merge into one, by start time; none when the group is as it should be.
    pub merge: Vec<Arc<Meta>>,
    /// Blocks to mark no-compact first: with them the index of the output would become too large.
    pub too_large: Vec<BlockId>,
    /// Blocks to mark no-compact first: they are downsampled, and overlap others.
    pub downsampled: Vec<BlockId>,
}

/// What is still to be done, summed up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outstanding {
    /// Merges, those of blocks included that earlier ones will make.
    pub compactions: usize,
    /// Inputs of these.
    pub blocks: usize,
}

impl Planner {
    /// A planner for levels up to `max_level` (4 is all of them), whose outputs have no index larger
    /// than `max_index_bytes`.
    #[must_use]
    pub fn new(max_level: usize, max_index_bytes: u64) -> Self {
        Self {
            ranges: RANGES.iter().take(max_level + 1).copied().collect(),
            max_index_bytes,
            vertical: false,
        }
    }

    /// The same that also plans merges of blocks that overlap, if `vertical`.
    #[must_use]
    pub fn with_vertical(self, vertical: bool) -> Self {
        Self { vertical, ..self }
    }

    /// Whether blocks that overlap are merged.
    #[must_use]
    pub fn is_vertical(&self) -> bool {
        self.vertical
    }

    /// The highest level there is.
    pub const MAX_LEVEL: usize = RANGES.len() - 1;

    /// The largest index that an output may have, bytes.
    #[must_use]
    pub fn max_index_bytes(&self) -> u64 {
        self.max_index_bytes
    }

    /// The next merge of a group.
    #[must_use]
    pub fn plan(&self, group: &Group) -> Plan {
        let mut held: BTreeSet<BlockId> = group
            .blocks
            .iter()
            .filter(|member| member.held.is_some())
            .map(|member| member.meta.id)
            .collect();
        let mut plan = Plan::default();
        loop {
            let merge = self.select(group, &held);
            if let Some(block) = self.over_limit(&merge) {
                plan.too_large.push(block);
                held.insert(block);
                continue;
            }
            let downsampled = unmergeable(&merge);
            if downsampled.is_empty() {
                plan.merge = merge.iter().map(|m| Arc::clone(&m.meta)).collect();
                return plan;
            }
            held.extend(&downsampled);
            plan.downsampled.extend(downsampled);
        }
    }

    /// All merges that a group needs, summed up.
    #[must_use]
    pub fn outstanding(&self, group: &Group) -> Outstanding {
        let mut all = Outstanding::default();
        for plan in self.plans(group) {
            if !plan.merge.is_empty() {
                all.compactions += 1;
                all.blocks += plan.merge.len();
            }
        }
        all
    }

    /// The plans of a group one after the other, were each one carried out at once. The block that a
    /// merge would make stands under the name of its first input.
    #[must_use]
    pub fn plans(&self, group: &Group) -> Vec<Plan> {
        let mut group = group.clone();
        let mut plans = Vec::new();
        loop {
            let plan = self.plan(&group);
            for member in &mut group.blocks {
                if plan.excluded().any(|id| id == member.meta.id) {
                    member.held = Some(crate::Hold::NoCompact);
                }
            }
            let output = merged(&group.blocks, &plan.merge);
            let inputs: BTreeSet<BlockId> = plan.merge.iter().map(|meta| meta.id).collect();
            plans.push(plan);
            let Some(output) = output else {
                return plans;
            };
            let place = group
                .blocks
                .iter()
                .position(|m| inputs.contains(&m.meta.id));
            group
                .blocks
                .retain(|member| !inputs.contains(&member.meta.id));
            group.blocks.insert(place.unwrap_or(0), output);
        }
    }

    /// Blocks to merge; fewer than two: none.
    fn select<'a>(&self, group: &'a Group, held: &BTreeSet<BlockId>) -> Vec<&'a Member> {
        if self.vertical {
            let overlapping = first_overlapping(&group.blocks, held);
            if !overlapping.is_empty() {
                return overlapping;
            }
        }
        self.select_range(group, held).iter().collect()
    }

    /// Consecutive blocks to merge; fewer than two: none.
    fn select_range<'a>(&self, group: &'a Group, held: &BTreeSet<BlockId>) -> &'a [Member] {
        // The newest block is left out: the next one may still come.
        let blocks = match (group.later, group.blocks.split_last()) {
            (0, Some((_, older))) => older,
            _ => &group.blocks,
        };
        let Some(newest) = blocks.last() else {
            return &[];
        };
        let high_time = match group.later {
            0 | 1 => newest.times.start,
            _ => i64::MAX,
        };
        for range in self.ranges.iter().skip(1) {
            for part in split_by_range(blocks, *range) {
                let [first, .., last] = part else {
                    continue;
                };
                let span = last.times.end.checked_sub(first.times.start);
                let full = span == Some(*range);
                let failed = part.iter().any(|member| member.meta.compaction.failed);
                if failed || !(full || last.times.end <= high_time) {
                    continue;
                }
                let runs = part.split(|member| held.contains(&member.meta.id));
                if let Some(run) = { runs }.find(|run| run.len() > 1) {
                    return run;
                }
            }
        }
        &[]
    }

    /// The block with the largest index among the first ones that together exceed the limit.
    fn over_limit(&self, merge: &[&Member]) -> Option<BlockId> {
        let limit = u128::from(self.max_index_bytes) * INDEX_PERCENT / 100;
        let mut total = 0;
        let mut largest: Option<&Member> = None;
        for member in merge {
            if largest.is_none_or(|largest| member.index_bytes > largest.index_bytes) {
                largest = Some(member);
            }
            total += u128::from(member.index_bytes);
            if total >= limit {
                return largest.map(|member| member.meta.id);
            }
        }
        None
    }
}

impl Plan {
    /// Blocks to mark no-compact first.
    pub(crate) fn excluded(&self) -> impl Iterator<Item = BlockId> {
        self.too_large.iter().chain(&self.downsampled).copied()
    }
}

/// The first blocks each of which overlaps one before it, with that one.
///
/// Source: Thanos 0.43, `pkg/compact/planner.go`, `selectOverlappingMetas`.
fn first_overlapping<'a>(blocks: &'a [Member], held: &BTreeSet<BlockId>) -> Vec<&'a Member> {
    let mut run: Vec<&Member> = Vec::new();
    let mut reach = i64::MIN;
    let free = |member: &&Member| !held.contains(&member.meta.id);
    for member in blocks.iter().filter(free) {
        if member.times.start >= reach {
            if run.len() > 1 {
                return run;
            }
            run.clear();
        }
        run.push(member);
        reach = reach.max(member.times.end);
    }
    if run.len() > 1 { run } else { Vec::new() }
}

/// Whether any of these, which come in order of time, overlap.
pub(crate) fn overlap<'a>(times: impl IntoIterator<Item = &'a Range<i64>>) -> bool {
    let mut reach = i64::MIN;
    times.into_iter().any(|times| {
        let overlaps = times.start < reach;
        reach = reach.max(times.end);
        overlaps
    })
}

/// Downsampled blocks that are to be merged with some that they overlap: windows of replicas cannot
/// be told apart any more.
fn unmergeable(merge: &[&Member]) -> Vec<BlockId> {
    if !overlap(merge.iter().map(|member| &member.times)) {
        return Vec::new();
    }
    let downsampled = |member: &&&Member| member.meta.thanos.downsample.resolution != 0;
    let merge = merge.iter().filter(downsampled);
    merge.map(|member| member.meta.id).collect()
}

/// Cuts blocks into those of one aligned range each. A block that reaches beyond its range belongs
/// to none.
fn split_by_range(blocks: &[Member], range: i64) -> Vec<&[Member]> {
    let mut parts = Vec::new();
    let mut rest = blocks;
    while let Some(first) = rest.first() {
        let start = first.times.start;
        let end = start
            .saturating_sub(start.rem_euclid(range))
            .saturating_add(range);
        let fitting = rest.iter().take_while(|member| member.times.end <= end);
        let (part, others) = rest.split_at(fitting.count());
        if part.is_empty() {
            rest = rest.get(1..).unwrap_or_default();
        } else {
            parts.push(part);
            rest = others;
        }
    }
    parts
}

/// The block that a merge would make, as far as planning minds; none of no blocks.
fn merged(blocks: &[Member], inputs: &[Arc<Meta>]) -> Option<Member> {
    let mut meta = Meta::clone(inputs.first()?);
    meta.max_time = inputs.iter().map(|input| input.max_time).max()?;
    let chosen = |member: &&Member| inputs.iter().any(|input| input.id == member.meta.id);
    Some(Member {
        times: meta.min_time..meta.max_time,
        index_bytes: blocks.iter().filter(chosen).map(|m| m.index_bytes).sum(),
        meta: Arc::new(meta),
        held: None,
    })
}

#[cfg(test)]
mod tests;
