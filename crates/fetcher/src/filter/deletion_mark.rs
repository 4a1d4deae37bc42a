//! Leaves out blocks that are marked for deletion (BC-5).
//!
//! A block that was replaced goes when its mark is older than the ignore delay and a block that
//! replaces it is loaded, which only [`crate::Selection::serving`] knows, or is another reader's to
//! load. Failing that it goes when the delete delay has passed, since its objects may then go too.
//! What retention or a person marked goes at the ignore delay.
//!
//! The replacement of a block holds all its sources, or was rewritten from a block that did; it has its resolution, and no
//! label that the block has not: a compaction may take replica labels off. Two marked blocks may each hold the other's
//! sources; so that not both go, a marked one replaces only what it outranks, and what it was rewritten from, unless it
//! was marked for good.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use foldhash::fast::RandomState;
use rutile_block::{BlockId, Contract, DeletionMark, Meta, details};

use super::replica_labels::DEDUPED;
use crate::{BlockInfo, Exclusion, MarkDrop, View};

/// Which marked blocks to leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkRule {
    /// All of them, at once: what a person asks for who lists or verifies blocks.
    Any,
    /// As the contract says (BC-5).
    Contract,
}

/// What the marks of a view mean.
#[derive(Debug, Default)]
pub struct Verdicts {
    /// Blocks that do not count.
    pub excluded: BTreeMap<BlockId, Exclusion>,
    /// Blocks whose mark is due and that wait for one of these to be loaded, or, when they are also
    /// excluded, that nobody waited for any longer.
    pub successors: BTreeMap<BlockId, Vec<BlockId>>,
}

/// Looks at the marks of all blocks of a view. `elsewhere` are the blocks that earlier filters left
/// to other shards or time partitions.
#[must_use]
pub fn verdicts(
    rule: MarkRule,
    contract: &Contract,
    view: &View,
    elsewhere: &BTreeSet<BlockId>,
    now_ms: i64,
) -> Verdicts {
    let mut verdicts = Verdicts::default();
    let mut waiting = Vec::new();
    for (id, info) in &view.blocks {
        let Some((mark, age_ms)) = mark_and_age(info, now_ms) else {
            continue;
        };
        let why = match rule {
            MarkRule::Any => MarkDrop::AnyMark,
            MarkRule::Contract if !contract.may_ignore(age_ms) => continue,
            MarkRule::Contract if mark.needs_successor() => {
                waiting.push((*id, info, age_ms));
                continue;
            }
            MarkRule::Contract => MarkDrop::NoSuccessorNeeded,
        };
        verdicts
            .excluded
            .insert(*id, Exclusion::MarkedForDeletion { age_ms, why });
    }
    if waiting.is_empty() {
        return verdicts;
    }
    let holders = Holders::of(view, &waiting);
    let gone = |id: &BlockId| elsewhere.contains(id) || verdicts.excluded.contains_key(id);
    let mut found = Vec::with_capacity(waiting.len());
    for (id, info, age_ms) in waiting {
        let successors = holders.successors(info);
        let why = match successors.iter().find(|id| gone(id)) {
            Some(retired) => Some(MarkDrop::SuccessorElsewhere(*retired)),
            None => contract
                .may_delete(age_ms)
                .then_some(MarkDrop::DeleteDelayPassed),
        };
        found.push((
            id,
            successors,
            why.map(|why| Exclusion::MarkedForDeletion { age_ms, why }),
        ));
    }
    for (id, successors, exclusion) in found {
        if let Some(exclusion) = exclusion {
            verdicts.excluded.insert(id, exclusion);
        }
        verdicts.successors.insert(id, successors);
    }
    verdicts
}

/// The readable deletion mark of a block and its age.
#[must_use]
pub fn mark_and_age(info: &BlockInfo, now_ms: i64) -> Option<(&DeletionMark, i64)> {
    let mark = info.marks.deletion_mark()?;
    let present = info.marks.deletion.present()?;
    let modified_ms = Some(present.attributes.last_modified_ms);
    Some((mark, Contract::mark_age_ms(mark, modified_ms, now_ms)))
}

/// Which blocks hold a source, for the sources of the blocks in question only.
struct Holders<'a> {
    by_source: HashMap<BlockId, Vec<&'a BlockInfo>, RandomState>,
    /// Whether all blocks could be read.
    complete: bool,
}

impl<'a> Holders<'a> {
    fn of(view: &'a View, waiting: &[(BlockId, &BlockInfo, i64)]) -> Self {
        // One source of each is enough to find the blocks that may hold all of them.
        let mut holders: HashMap<BlockId, Vec<&'a BlockInfo>, RandomState> = waiting
            .iter()
            .filter_map(|(_, info, _)| info.meta.sources().first())
            .map(|source| (*source, Vec::new()))
            .collect();
        for info in view.blocks.values() {
            let rewritten = info.meta.rewritten_sources();
            for source in info.meta.sources().iter().chain(&rewritten) {
                if let Some(list) = holders.get_mut(source) {
                    list.push(info);
                }
            }
        }
        Self {
            by_source: holders,
            complete: view.complete,
        }
    }

    /// The blocks that replace `info`, in order of their ULIDs.
    fn successors(&self, info: &BlockInfo) -> Vec<BlockId> {
        let candidates =
            { info.meta.sources().first() }.and_then(|source| self.by_source.get(source));
        let replacing = candidates.into_iter().flatten();
        let replacing: Vec<&BlockInfo> = replacing
            .filter(|other| replaces(other, info))
            .copied()
            .collect();
        // A block that was rewritten from one that stays, or may be among what could not be read, does not take its place.
        // *Otherwise:* it is loaded, the other one is not yet, and what it lacks is in no answer.
        let holds_itself = |other: &&BlockInfo| other.meta.holds_sources_of(&info.meta);
        let stays = |other: &&BlockInfo| holds_itself(other) && !other.marks.deletion.is_there();
        let only_these = !self.complete || replacing.iter().any(stays);
        let mut successors: Vec<BlockId> = replacing
            .iter()
            .filter(|other| !only_these || holds_itself(other))
            .map(|other| other.meta.id)
            .collect();
        successors.sort_unstable();
        successors.dedup();
        successors
    }
}

fn replaces(other: &BlockInfo, info: &BlockInfo) -> bool {
    let (new, old) = (&other.meta, &info.meta);
    // What was rewritten has fewer sources than what it was made of, and is younger.
    let is_later = || new.is_rewritten_from(old) && !old.is_rewritten_from(new);
    (!other.marks.deletion.is_there() || outranks(new, old) || (is_later() && !is_given_up(other)))
        && !is_tainted(other)
        && may_replace(new, old)
}

/// Whether a block was marked for good: by retention or by hand.
#[must_use]
pub fn is_given_up(info: &BlockInfo) -> bool {
    let mark = info.marks.deletion_mark();
    mark.is_some_and(|mark| !mark.needs_successor())
}

/// Whether `new` holds what `old` is made of, or was rewritten from it, whatever their marks say: of the same resolution,
/// with no label that the other has not. A compaction may take replica labels off.
#[must_use]
pub fn may_replace(new: &Meta, old: &Meta) -> bool {
    new.id != old.id
        && new.thanos.downsample == old.thanos.downsample
        && new
            .thanos
            .labels
            .iter()
            .all(|(name, value)| match old.thanos.labels.get(name) {
                Some(old_value) => old_value == value || value == DEDUPED,
                None => false,
            })
        && (new.holds_sources_of(old) || new.is_rewritten_from(old))
}

/// Whether `new` wins over `old` where both are marked: with more sources, or else the older one.
#[must_use]
pub fn outranks(new: &Meta, old: &Meta) -> bool {
    let rank = |meta: &Meta| (std::cmp::Reverse(meta.sources().len()), meta.id);
    rank(new) < rank(old)
}

/// Whether a block goes because it should never have been made: it replaces nothing.
fn is_tainted(info: &BlockInfo) -> bool {
    let mark = info.marks.deletion_mark();
    mark.is_some_and(|mark| mark.details == details::TAINTED)
}
