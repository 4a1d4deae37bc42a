//! What is no longer needed: which blocks another one replaces, which marked ones may be deleted,
//! which folders hold no block.
//!
//! These are decisions of one look at the bucket; `lifecycle` looks again before it acts on them.

use std::collections::{BTreeMap, BTreeSet};

use rutile_block::{BlockId, Contract, DeletionMark, Mark, MarkKind, Meta, Source, details};
use rutile_fetcher::filter::deletion_mark::{may_replace, outranks};
use rutile_fetcher::{Exclusion, MarkState, PresentMark, Selection, View};

/// A block that another one replaces and that is not marked yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outdated {
    /// The block.
    pub id: BlockId,
    /// The block that holds all its sources.
    pub winner: BlockId,
}

/// A block that is marked as replaced, and whose replacements are all marked to go without any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bereaved {
    /// The block.
    pub id: BlockId,
    /// Why it goes too; none when it is to count again, since its replacement was a mistake.
    pub details: Option<String>,
    /// Its replacements: they stay until this is settled.
    pub replacements: Vec<BlockId>,
}

/// A marked block whose delete delay has passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// The block.
    pub id: BlockId,
    /// Whether something must hold its sources before it goes.
    pub needs_successor: bool,
    /// What may, unmarked ones first.
    pub successors: Vec<BlockId>,
}

/// The blocks that garbage collection marks, in order of their ULIDs. One that is replaced by a block
/// that is marked, or is to be since it is [`tainted`], stays: that one goes away itself, and this one
/// counts again.
#[must_use]
pub fn outdated(view: &View, selection: &Selection, tainted: &[BlockId]) -> Vec<Outdated> {
    let pairs = selection.superseded.iter();
    let tainted: BTreeSet<BlockId> = tainted.iter().copied().collect();
    let unmarked = |id: &BlockId| !is_marked(view, *id) && !tainted.contains(id);
    pairs
        .filter(|(id, winner)| is_writable(view, **id) && unmarked(winner))
        .filter(|(id, winner)| !selection.unread.contains(id) && !selection.unread.contains(winner))
        .map(|(id, winner)| Outdated {
            id: *id,
            winner: *winner,
        })
        .collect()
}

/// Outputs of compactions that hold a block which was marked before they were committed: by a person
/// or by retention, while the merge ran, and the compactor ended before it could look again. What was
/// to go must not live on in them (BC-15). Not those of which a source was marked as replaced since:
/// these were looked at.
///
/// *Otherwise:* an output stands for ever that replaces nothing any more. A compactor stands still right
/// before a commit; its equal is made by another one, and erased by a person with all that it was made of;
/// the files of the first one are cleaned up; its compactor wakes, commits, and dies.
#[must_use]
pub fn tainted(view: &View, selection: &Selection) -> Vec<BlockId> {
    let (wanted, replacing) = (selection.wanted.keys(), selection.superseded.values());
    let counting: BTreeSet<BlockId> = wanted.chain(replacing).copied().collect();
    let tainted = counting.into_iter().filter(|id| {
        let Some(info) = view.blocks.get(id).filter(|_| is_writable(view, *id)) else {
            return false;
        };
        let Some(committed_ms) = info.meta.thanos.upload_time.ms() else {
            return false;
        };
        let is_early = |present: &PresentMark, mark: &DeletionMark| {
            // Whichever clock says so: those of the marker and of the compactor may differ, and the
            // bucket's own times are those of a copy where it was copied. Too early costs a merge.
            let marked_ms = present.attributes.last_modified_ms;
            let by_bucket = info.meta_modified_ms.is_some_and(|ms| marked_ms <= ms);
            by_bucket || mark.time_ms() <= committed_ms
        };
        if let Some(made_of) = made_of(view, &info.meta) {
            let mut marks = made_of.iter().map(|id| given_up(view, *id));
            return !made_of.is_empty()
                && marks.all(|mark| mark.is_some_and(|(present, mark)| is_early(present, mark)));
        }
        let mut early = false;
        for parent in &info.meta.compaction.parents {
            if !view.blocks.contains_key(&parent.id) {
                // It was deleted for this block's sake: nothing else may hold its samples.
                return false;
            }
            let Some(present) = deletion_mark(view, parent.id).and_then(MarkState::present) else {
                continue;
            };
            let Mark::Deletion(mark) = &present.mark else {
                continue;
            };
            if mark.needs_successor() {
                let marked_ms = present.attributes.last_modified_ms;
                // Unless another block replaced it, and the commit of this one took effect only then.
                match info.meta_modified_ms {
                    Some(committed_ms) if marked_ms < committed_ms => continue,
                    _ => return false,
                }
            }
            early |= is_early(present, mark);
        }
        early && info.meta.thanos.source == Source::Compactor
    });
    tainted.collect()
}

/// What a block was downsampled from, as far as it is there still; none of a block that was merged. Both name the same
/// parents, which are what the finer block was made of.
fn made_of(view: &View, meta: &Meta) -> Option<Vec<BlockId>> {
    let own = meta.thanos.downsample.resolution;
    let finer = |other: &Meta| other.thanos.downsample.resolution < own;
    let parents = &meta.compaction.parents;
    let of_finer = |id: &BlockId| view.blocks.get(id).is_some_and(|info| finer(&info.meta));
    let equal = view
        .blocks
        .values()
        .map(|info| &*info.meta)
        .filter(|other| {
            finer(other)
                && other.thanos.labels == meta.thanos.labels
                && other.compaction == meta.compaction
        });
    let equal: Vec<BlockId> = equal.map(|other| other.id).collect();
    let downsampled = !equal.is_empty() || parents.iter().any(|parent| of_finer(&parent.id));
    downsampled.then_some(equal)
}

/// The mark of a block that is to live on in nothing. Retention marks what was downsampled, or need not be (BC-12).
fn given_up(view: &View, id: BlockId) -> Option<(&PresentMark, &DeletionMark)> {
    let present = deletion_mark(view, id)?.present()?;
    let Mark::Deletion(mark) = &present.mark else {
        return None;
    };
    (!mark.needs_successor() && !mark.is_by_retention()).then_some((present, mark))
}

/// Blocks that were marked as replaced by what now goes itself: with it, if a person or retention gave
/// it up; not at all, if it was tainted. Otherwise they would stay for ever, and be read by nobody.
#[must_use]
pub fn bereaved(view: &View) -> Vec<Bereaved> {
    let marks: BTreeMap<BlockId, &DeletionMark> = view
        .blocks
        .iter()
        .filter_map(|(id, info)| Some((*id, info.marks.deletion_mark()?)))
        .collect();
    let going: Vec<(&Meta, &DeletionMark)> = marks
        .iter()
        .filter(|(_, mark)| !mark.needs_successor())
        .filter_map(|(id, mark)| Some((&*view.blocks.get(id)?.meta, *mark)))
        .collect();
    let replaced = marks.iter().filter(|(_, mark)| mark.needs_successor());
    let bereaved = replaced.filter_map(|(id, _)| {
        let meta = &*view.blocks.get(id)?.meta;
        let gone = going.iter().filter(|(new, _)| may_replace(new, meta));
        let gone: Vec<_> = gone.collect();
        if gone.is_empty() {
            return None;
        }
        let left = view.blocks.values().any(|info| {
            let mark = marks.get(&info.meta.id);
            let stays = match mark {
                Some(mark) => mark.needs_successor() && outranks(&info.meta, meta),
                None => true,
            };
            stays && may_replace(&info.meta, meta)
        });
        if left {
            return None;
        }
        let given_up = gone
            .iter()
            .find(|(_, mark)| mark.details != details::TAINTED);
        Some(Bereaved {
            id: *id,
            details: given_up.map(|(_, mark)| mark.details.clone()),
            replacements: gone.iter().map(|(new, _)| new.id).collect(),
        })
    });
    bereaved.collect()
}

/// The marked blocks of this process's share that may be deleted now, in order of their ULIDs.
#[must_use]
pub fn deletions(
    view: &View,
    selection: &Selection,
    contract: &Contract,
    now_ms: i64,
) -> Vec<Deletion> {
    let bereaved = bereaved(view);
    let needed: BTreeSet<BlockId> = bereaved
        .iter()
        .flat_map(|bereaved| bereaved.replacements.iter().copied())
        .collect();
    let is_due = |present: &PresentMark, mark: &DeletionMark| {
        let modified_ms = Some(present.attributes.last_modified_ms);
        contract.may_delete(Contract::mark_age_ms(mark, modified_ms, now_ms))
    };
    let due = view.blocks.iter().filter_map(|(id, info)| {
        if needed.contains(id) {
            return None;
        }
        let elsewhere = matches!(
            selection.excluded.get(id),
            Some(Exclusion::TimeExcluded | Exclusion::LabelExcluded)
        );
        let present = info.marks.deletion.present().filter(|_| !elsewhere)?;
        let Mark::Deletion(mark) = &present.mark else {
            return None;
        };
        let mut successors = selection.successors(*id).to_vec();
        successors.sort_by_key(|id| (is_marked(view, *id), *id));
        is_due(present, mark).then(|| Deletion {
            id: *id,
            needs_successor: mark.needs_successor(),
            successors,
        })
    });
    // What nobody can read was not replaced by anything; a person may want it gone.
    let unreadable = view.bad.iter().filter_map(|(id, bad)| {
        let present = bad.deletion.present()?;
        let Mark::Deletion(mark) = &present.mark else {
            return None;
        };
        let due = !mark.needs_successor() && is_due(present, mark);
        let known = view.blocks.contains_key(id) || bad.reason.is_passing();
        (due && !known).then(|| Deletion {
            id: *id,
            needs_successor: false,
            successors: Vec::new(),
        })
    });
    let mut due: Vec<Deletion> = due.chain(unreadable).collect();
    due.sort_by_key(|deletion| deletion.id);
    due
}

/// The folders without `meta.json` that may be old enough to go, in order of their ULIDs.
#[must_use]
pub fn partials(view: &View, contract: &Contract, now_ms: i64) -> Vec<BlockId> {
    let candidates = view.partial.iter().filter(|(_, partial)| {
        // Where the listing did not tell, whoever removes it looks.
        let newest = partial.newest_object_ms;
        partial.marked || newest.is_none() || contract.partial_due(newest, now_ms)
    });
    candidates.map(|(id, _)| *id).collect()
}

fn deletion_mark(view: &View, id: BlockId) -> Option<&MarkState> {
    Some(view.blocks.get(&id)?.marks.get(MarkKind::Deletion))
}

/// Whether a deletion mark may be written: there is none, or a torn one, which is written again.
fn is_writable(view: &View, id: BlockId) -> bool {
    match deletion_mark(view, id) {
        Some(MarkState::Absent | MarkState::Torn) => true,
        Some(MarkState::Present(_) | MarkState::UnknownVersion) | None => false,
    }
}

fn is_marked(view: &View, id: BlockId) -> bool {
    deletion_mark(view, id).is_none_or(MarkState::is_there)
}

#[cfg(test)]
mod tests;
