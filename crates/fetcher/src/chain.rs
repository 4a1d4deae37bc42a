//! Which filters each component applies, in which order, and why in that order.

use std::collections::BTreeSet;
use std::sync::Arc;

use rutile_block::{BlockId, Contract, MarkKind};

use crate::filter::deletion_mark::{self, MarkRule};
use crate::filter::label_shard::LabelShard;
use crate::filter::time_partition::TimePartition;
use crate::filter::{consistency, replica_labels};
use crate::{BlockInfo, Exclusion, Selection, View};

/// Which part of the bucket a process looks after.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Its share of time.
    pub time: TimePartition,
    /// Its share of the label sets.
    pub shard: LabelShard,
}

/// The filters of one component.
///
/// The order is fixed, whatever a component leaves out:
///
/// 1. *Time partition* and *label shard* come first. They say which blocks are this process's
///    business at all; and the deletion marks need to know which blocks are another's.
/// 2. *Consistency delay*: a block too fresh to be relied on must replace nothing yet.
/// 3. *Deletion marks*, before blocks of equal sources are compared: else a marked block could win
///    over the one that replaces it, and then both would go.
/// 4. *Replica labels* come off after the marks, whose rule compares labels as they are in the
///    bucket, and before the comparison, because they decide what belongs to one group.
/// 5. *Deduplicate* last, among what is left.
#[derive(Debug, Clone)]
pub struct FilterChain {
    scope: Scope,
    contract: Contract,
    consistency: bool,
    marks: Option<MarkRule>,
    replica_labels: Vec<String>,
    deduplicate: bool,
}

impl FilterChain {
    /// The store gateway: everything but the replica labels, which its answers must show.
    #[must_use]
    pub fn for_store(scope: Scope, contract: Contract) -> Self {
        Self {
            consistency: true,
            marks: Some(MarkRule::Contract),
            deduplicate: true,
            ..Self::for_inspect(scope, contract)
        }
    }

    /// The compactor: everything. `contract.ignore_delay_ms` is half its delete delay, so that it
    /// stops planning with a block well before it deletes it.
    #[must_use]
    pub fn for_compact(scope: Scope, contract: Contract, replica_labels: Vec<String>) -> Self {
        Self {
            replica_labels,
            ..Self::for_store(scope, contract)
        }
    }

    /// `tools bucket ls`: what is in the scope; without marked blocks, however fresh the mark, if
    /// `exclude_marked`.
    #[must_use]
    pub fn for_tools_ls(scope: Scope, contract: Contract, exclude_marked: bool) -> Self {
        Self {
            marks: exclude_marked.then_some(MarkRule::Any),
            ..Self::for_inspect(scope, contract)
        }
    }

    /// `tools bucket inspect` and whoever wants to see all of the scope.
    #[must_use]
    pub fn for_inspect(scope: Scope, contract: Contract) -> Self {
        Self {
            scope,
            contract,
            consistency: false,
            marks: None,
            replica_labels: Vec::new(),
            deduplicate: false,
        }
    }

    /// The delays that it keeps to.
    #[must_use]
    pub fn contract(&self) -> &Contract {
        &self.contract
    }

    /// Applies the filters. The same view and the same time give the same selection.
    #[must_use]
    pub fn apply(&self, view: &View, now_ms: i64) -> Selection {
        self.apply_relying(view, now_ms, |_| false)
    }

    /// The same for a reader that relies on some blocks already. These are not fresh any more, even
    /// if a clock that jumped back says so: a reader never covers less than before (BC-4, BC-7).
    #[must_use]
    pub fn apply_relying(
        &self,
        view: &View,
        now_ms: i64,
        relied_on: impl Fn(BlockId) -> bool,
    ) -> Selection {
        let mut selection = Selection {
            deduplicates: self.deduplicate,
            ..Selection::default()
        };
        let mut elsewhere = BTreeSet::new();
        for (id, info) in &view.blocks {
            if let Some(exclusion) = self.outside_scope(*id, info, now_ms) {
                elsewhere.insert(*id);
                selection.excluded.insert(*id, exclusion);
            } else if self.consistency
                && !relied_on(*id)
                && let Some(exclusion) = consistency::exclusion(&self.contract, info, now_ms)
            {
                selection.excluded.insert(*id, exclusion);
            }
        }
        if let Some(rule) = self.marks {
            let verdicts = deletion_mark::verdicts(rule, &self.contract, view, &elsewhere, now_ms);
            for (id, exclusion) in verdicts.excluded {
                selection.excluded.entry(id).or_insert(exclusion);
            }
            selection.successors = verdicts.successors;
        }
        for (id, info) in &view.blocks {
            if !selection.excluded.contains_key(id) {
                self.accept(*id, info, &mut selection);
            }
        }
        selection.unread = view
            .bad
            .iter()
            .filter(|(_, bad)| bad.reason.is_passing())
            .map(|(id, _)| *id)
            .collect();
        selection.settle();
        selection
    }

    fn outside_scope(&self, id: BlockId, info: &BlockInfo, now_ms: i64) -> Option<Exclusion> {
        if !self.scope.time.keeps(&info.meta, now_ms) {
            return Some(Exclusion::TimeExcluded);
        }
        (!self.scope.shard.keeps(id, &info.meta)).then_some(Exclusion::LabelExcluded)
    }

    fn accept(&self, id: BlockId, info: &BlockInfo, selection: &mut Selection) {
        let (meta, removed) = if self.replica_labels.is_empty() {
            (Arc::clone(&info.meta), 0)
        } else {
            replica_labels::remove(&self.replica_labels, &info.meta)
        };
        selection.replica_labels_removed += removed;
        selection.candidates.insert(id, meta);
        if [MarkKind::NoCompact, MarkKind::Deletion]
            .iter()
            .any(|kind| info.marks.get(*kind).is_there())
        {
            selection.no_compact.insert(id);
        }
        if info.marks.no_downsample.is_there() {
            selection.no_downsample.insert(id);
        }
    }
}
