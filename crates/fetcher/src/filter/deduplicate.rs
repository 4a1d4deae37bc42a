//! Leaves out a block whose sources another block of its group holds all (BC-8).
//!
//! The winner is the block with more sources, among equals the one with the older ULID: a rule that
//! depends on nothing but the blocks themselves, so every reader picks the same. Groups are blocks
//! of one resolution and one set of labels. A block that names no sources is its own source.
//!
//! Marks have no say among equals: readers see a mark at different times, and would pick differently
//! meanwhile. Nothing is lost by a winner that is marked, since its equal holds the same: as a
//! duplicate the other one is never marked for the sake of a marked winner, and it takes the winner's
//! place in the moment in which the mark is due. Only compactions of what comes behind wait so long.
//!
//! Blocks are taken in the winners' order, and each asks the blocks already kept that hold its
//! rarest source. Real histories keep one or two blocks to a source, so the work is linear in the
//! sources; a comparison of every pair is never made.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use rutile_block::{BlockId, Meta};
use rutile_model::Labels;
use smallvec::SmallVec;

/// The blocks to leave out, each with the one that holds all its sources, in order of their ULIDs.
#[must_use]
pub fn deduplicate<M: AsRef<Meta>>(blocks: &[M]) -> Vec<(BlockId, BlockId)> {
    let mut groups: HashMap<(i64, &Labels), Vec<&Meta>, RandomState> = HashMap::default();
    for meta in blocks.iter().map(AsRef::as_ref) {
        let key = (meta.thanos.downsample.resolution, &meta.thanos.labels);
        groups.entry(key).or_default().push(meta);
    }
    let mut duplicates = Vec::new();
    for mut group in groups.into_values().filter(|group| group.len() > 1) {
        group.sort_unstable_by_key(|meta| (std::cmp::Reverse(meta.sources().len()), meta.id));
        deduplicate_group(&group, &mut duplicates);
    }
    duplicates.sort_unstable();
    duplicates
}

/// Adds the duplicates of one group, which is in the winners' order. Gives how many kept blocks
/// were looked at, which is what would grow if this were quadratic.
fn deduplicate_group(group: &[&Meta], duplicates: &mut Vec<(BlockId, BlockId)>) -> usize {
    // Which of the kept blocks hold a source, in the order in which they were kept.
    let mut holders: HashMap<BlockId, SmallVec<[usize; 2]>, RandomState> = HashMap::default();
    let mut looked_at = 0;
    for (at, meta) in group.iter().enumerate() {
        let own = meta.sources();
        let of = |source: &BlockId| holders.get(source).map_or(&[][..], SmallVec::as_slice);
        let holds_all = |holder: &usize| own.iter().all(|s| of(s).binary_search(holder).is_ok());
        let rarest = own
            .iter()
            .map(of)
            .min_by_key(|holders| holders.len())
            .unwrap_or_default();
        let winner = rarest
            .iter()
            .inspect(|_| looked_at += 1)
            .find(|holder| holds_all(holder));
        if let Some(winner) = winner.and_then(|at| group.get(*at)) {
            duplicates.push((meta.id, winner.id));
            continue;
        }
        for source in own {
            let list = holders.entry(*source).or_default();
            if list.last() != Some(&at) {
                list.push(at);
            }
        }
    }
    looked_at
}

#[cfg(test)]
mod tests;
