//! What a compactor would do next with each block, and why.

use std::collections::BTreeMap;
use std::ops::Range;

use rutile_block::{BlockId, Contract, Mark, Meta};
use rutile_fetcher::{BlockInfo, MarkState, Selection, View};

use super::{Compaction, age};
use crate::group::{Group, Groups};
use crate::plan::overlap;
use crate::{Plan, Planner, downsampling, sweep};

/// What a compactor would do with a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Merge it with others into a new block.
    Merge,
    /// Mark it for deletion.
    Mark,
    /// Mark it no-compact: it would make an index too large, or is downsampled and overlaps others.
    Exclude,
    /// Delete it.
    Delete,
    /// Remove what is left of it.
    Remove,
    /// Delete it later.
    Wait,
    /// Leave it alone, although it might be merged.
    Hold,
    /// Make a block of a lower resolution of it.
    Downsample,
}

/// An action and its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    /// What is to be done.
    pub action: Action,
    /// Why.
    pub reason: String,
    /// Blocks with the same number go into one merge.
    pub merge: Option<usize>,
}

impl Action {
    /// One word for tables and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Merge => "merge",
            Self::Mark => "mark",
            Self::Exclude => "exclude",
            Self::Delete => "delete",
            Self::Remove => "remove",
            Self::Wait => "wait",
            Self::Hold => "hold",
            Self::Downsample => "downsample",
        }
    }
}

/// What is next for each block; those for which nothing is to be done are left out.
pub(super) fn next_steps(view: &View, compaction: Compaction<'_>) -> BTreeMap<BlockId, Next> {
    let Compaction {
        selection,
        contract,
        planner,
        retention,
    } = compaction;
    let now_ms = view.fetched_at_ms();
    let mut steps = Steps::default();
    // What is said first of a block stays: the order is that of an iteration, backwards.
    steps.add_removals(view, selection, &contract, now_ms);
    let tainted = sweep::tainted(view, selection);
    for &block in &tainted {
        let reason = "a source of it was marked before it was committed";
        steps.add(block, Action::Mark, reason);
    }
    for outdated in sweep::outdated(view, selection, &tainted) {
        let reason = format!("its data is in {}", outdated.winner);
        steps.add(outdated.id, Action::Mark, reason);
    }
    let Groups { groups, unplaced } = Groups::of(view, selection, planner.is_vertical());
    let unsettled = groups
        .iter()
        .filter(|_| !unplaced.is_empty())
        .map(|group| group.key.clone());
    let verdict = retention.apply(view, selection, &unsettled.collect(), now_ms);
    for expired in verdict.expired {
        steps.add(expired.id, Action::Mark, expired.details);
    }
    let due: BTreeMap<BlockId, String> = match retention.downsampling {
        true => downsampling::due(view, selection),
        false => Vec::new(),
    }
    .into_iter()
    .map(|due| {
        (
            due.meta.id,
            format!("a block of {} is due", age(due.target)),
        )
    })
    .collect();
    for id in verdict.waiting {
        match due.get(&id) {
            Some(due) => {
                let reason = format!("outlived its retention, but {due}");
                steps.add(id, Action::Downsample, reason);
            }
            None => {
                let reason = "outlived its retention, but is to be downsampled first";
                steps.add(id, Action::Hold, reason);
            }
        }
    }
    for group in &groups {
        if !unplaced.is_empty() || group.unread {
            let reason = "a block that may belong to its group could not be read";
            for member in &group.blocks {
                steps.add(member.meta.id, Action::Hold, reason);
            }
        } else {
            steps.add_group(group, planner, view);
        }
    }
    for (id, reason) in due {
        steps.add(id, Action::Downsample, reason);
    }
    steps.of
}

#[derive(Default)]
struct Steps {
    of: BTreeMap<BlockId, Next>,
    /// How many merges there are so far.
    merges: usize,
}

impl Steps {
    fn add(&mut self, id: BlockId, action: Action, reason: impl Into<String>) {
        let next = Next {
            action,
            reason: reason.into(),
            merge: None,
        };
        self.of.entry(id).or_insert(next);
    }

    /// What is deleted or removed, now or later.
    fn add_removals(
        &mut self,
        view: &View,
        selection: &Selection,
        contract: &Contract,
        now_ms: i64,
    ) {
        for id in sweep::partials(view, contract, now_ms) {
            let partial = view.partial.get(&id);
            if partial.is_some_and(|partial| !partial.marked && partial.newest_object_ms.is_none())
            {
                let age = age(contract.partial_age_ms);
                let reason = format!("removed when its newest object is {age} old");
                self.add(id, Action::Wait, reason);
            } else {
                let reason = "nobody can be uploading or deleting it any more";
                self.add(id, Action::Remove, reason);
            }
        }
        for deletion in sweep::deletions(view, selection, contract, now_ms) {
            if deletion.needs_successor && deletion.successors.is_empty() {
                let reason = "marked as replaced, but nothing holds its data";
                self.add(deletion.id, Action::Hold, reason);
            } else {
                let reason = "its mark is older than the delete delay";
                self.add(deletion.id, Action::Delete, reason);
            }
        }
        for (id, info) in &view.blocks {
            if let Some(reason) = deleted_later(info, contract, now_ms) {
                self.add(*id, Action::Wait, reason);
            }
        }
    }

    fn add_group(&mut self, group: &Group, planner: &Planner, view: &View) {
        for (before, plan) in planner.plans(group).into_iter().enumerate() {
            self.add_plan(&plan, before);
        }
        for member in &group.blocks {
            if let Some(hold) = member.held {
                let why = view.blocks.get(&member.meta.id).and_then(no_compact_reason);
                let reason = match why {
                    Some(why) => format!("{hold}: {why}"),
                    None => hold.to_string(),
                };
                self.add(member.meta.id, Action::Hold, reason);
            }
        }
    }
}

impl Steps {
    /// What a plan says, so many merges of its group before it.
    fn add_plan(&mut self, plan: &Plan, before: usize) {
        for id in &plan.too_large {
            let reason = "with it the index of the merged block would become too large";
            self.add(*id, Action::Exclude, reason);
        }
        for id in &plan.downsampled {
            let reason = "it is downsampled, and overlaps others of its group";
            self.add(*id, Action::Exclude, reason);
        }
        let metas: Vec<&Meta> = plan.merge.iter().map(|meta| &**meta).collect();
        let [first, _, ..] = metas.as_slice() else {
            return;
        };
        let end = metas.iter().map(|meta| meta.max_time).max();
        let span = age(end.unwrap_or_default().saturating_sub(first.min_time));
        let times: Vec<Range<i64>> = metas.iter().map(|m| m.min_time..m.max_time).collect();
        let what = match overlap(&times) {
            true => "overlapping blocks",
            false => "blocks",
        };
        let mut reason = format!("{} {what} into one of {span}", metas.len());
        match before {
            0 => {}
            1 => reason += ", after another merge",
            _ => reason += &format!(", after {before} other merges"),
        }
        for meta in &metas {
            let next = Next {
                action: Action::Merge,
                reason: reason.clone(),
                merge: Some(self.merges),
            };
            self.of.entry(meta.id).or_insert(next);
        }
        self.merges += 1;
    }
}

/// In how long a marked block is deleted.
fn deleted_later(info: &BlockInfo, contract: &Contract, now_ms: i64) -> Option<String> {
    let present = info.marks.deletion.present()?;
    let Mark::Deletion(mark) = &present.mark else {
        return None;
    };
    let modified_ms = Some(present.attributes.last_modified_ms);
    let age_ms = Contract::mark_age_ms(mark, modified_ms, now_ms);
    let left = contract.delete_delay_ms.saturating_sub(age_ms).max(0);
    Some(format!("deleted in {}", age(left)))
}

/// What the block's no-compact mark says.
fn no_compact_reason(info: &BlockInfo) -> Option<String> {
    match &info.marks.no_compact {
        MarkState::Present(present) => match &present.mark {
            Mark::NoCompact(mark) if mark.details.is_empty() => Some(mark.reason.clone()),
            Mark::NoCompact(mark) => Some(format!("{}, {}", mark.reason, mark.details)),
            Mark::Deletion(_) | Mark::NoDownsample(_) => None,
        },
        MarkState::Absent | MarkState::Torn | MarkState::UnknownVersion => None,
    }
}
