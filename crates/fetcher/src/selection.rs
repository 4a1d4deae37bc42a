//! The outcome of a filter chain: which blocks count, which do not and why, and which of the loaded
//! ones to serve.
//!
//! A block that another one replaces must stay served until the other is really loaded, and must go
//! in the same moment (BC-7, BC-8). So replacement is decided twice by the same rules: once as if
//! everything could be loaded, which gives `wanted`, and once among what is loaded, which gives
//! what is served.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use rutile_block::{BlockId, Meta};

use crate::filter::deduplicate::deduplicate;

/// What a filter chain made of a view.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// The blocks to load.
    pub wanted: BTreeMap<BlockId, Arc<Meta>>,
    /// Blocks that are replaced by a wanted one, and by which. One that is loaded stays served until
    /// its successor is.
    pub superseded: BTreeMap<BlockId, BlockId>,
    /// Blocks that do not count, and why.
    pub excluded: BTreeMap<BlockId, Exclusion>,
    /// Blocks that must not be inputs of a compaction: marked so, or with any deletion mark (BC-15).
    pub no_compact: BTreeSet<BlockId>,
    /// Blocks that must not be downsampled.
    pub no_downsample: BTreeSet<BlockId>,
    /// Blocks of which nothing is known for now: nothing is planned that might concern them.
    pub unread: BTreeSet<BlockId>,
    /// How many replica labels were taken off.
    pub replica_labels_removed: usize,
    /// All blocks that passed the filters before the replacement of blocks was looked at.
    pub(crate) candidates: BTreeMap<BlockId, Arc<Meta>>,
    /// For candidates, and blocks dropped at the delete delay, whose mark is due: which blocks replace them.
    pub(crate) successors: BTreeMap<BlockId, Vec<BlockId>>,
    /// Whether blocks whose sources another one holds are left out.
    pub(crate) deduplicates: bool,
}

/// Why a block does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exclusion {
    /// It lies outside the time partition.
    TimeExcluded,
    /// Relabelling leaves none of its labels: another shard has it.
    LabelExcluded,
    /// It is younger than the consistency delay.
    TooFresh {
        /// How old it is, ms.
        age_ms: i64,
        /// The consistency delay, ms.
        delay_ms: i64,
    },
    /// It is marked for deletion.
    MarkedForDeletion {
        /// How old the mark is, ms.
        age_ms: i64,
        /// What allows to drop it.
        why: MarkDrop,
    },
}

/// What allows to drop a marked block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkDrop {
    /// All marked blocks are left out.
    AnyMark,
    /// The mark is older than the ignore delay and replaces nothing: retention, or by hand.
    NoSuccessorNeeded,
    /// The mark is older than the ignore delay, and this block, which replaces it, belongs to
    /// another shard or time partition, or is itself retired.
    SuccessorElsewhere(BlockId),
    /// The mark is older than the delete delay, so its objects may go at any moment.
    DeleteDelayPassed,
}

impl Exclusion {
    /// The value of the label `state` in `thanos_blocks_meta_synced`.
    #[must_use]
    pub fn state(&self) -> &'static str {
        match self {
            Self::TimeExcluded => "time-excluded",
            Self::LabelExcluded => "label-excluded",
            Self::TooFresh { .. } => "too-fresh",
            Self::MarkedForDeletion { .. } => "marked-for-deletion",
        }
    }
}

impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimeExcluded => f.write_str("outside the time partition"),
            Self::LabelExcluded => f.write_str("in another shard"),
            Self::TooFresh { age_ms, delay_ms } => {
                write!(
                    f,
                    "too fresh: {} s old, relied on after {} s",
                    age_ms / 1000,
                    delay_ms / 1000
                )
            }
            Self::MarkedForDeletion { age_ms, why } => {
                write!(f, "marked for deletion {} s ago", age_ms / 1000)?;
                match why {
                    MarkDrop::AnyMark => Ok(()),
                    MarkDrop::NoSuccessorNeeded => f.write_str(", replaced by nothing"),
                    MarkDrop::SuccessorElsewhere(id) => write!(f, ", replaced by {id} elsewhere"),
                    MarkDrop::DeleteDelayPassed => f.write_str(", longer than the delete delay"),
                }
            }
        }
    }
}

impl Selection {
    /// The blocks to have loaded when those in `failed` cannot be: the wanted ones, and in place of
    /// a failed one what it would have replaced (P1).
    #[must_use]
    pub fn to_load(&self, failed: &BTreeSet<BlockId>) -> BTreeSet<BlockId> {
        if failed.is_empty() {
            return self.wanted.keys().copied().collect();
        }
        self.resolve(|id| !failed.contains(&id)).0
    }

    /// Which of the loaded blocks to serve now. Together they cover all that the loaded blocks
    /// cover, and none holds what another one holds whole.
    #[must_use]
    pub fn serving(&self, loaded: &BTreeSet<BlockId>) -> BTreeSet<BlockId> {
        self.resolve(|id| loaded.contains(&id)).0
    }

    /// The blocks that replace this one, if its mark is older than the ignore delay and it was
    /// replaced: in order of their ULIDs, whatever became of them.
    #[must_use]
    pub fn successors(&self, id: BlockId) -> &[BlockId] {
        self.successors.get(&id).map_or(&[], Vec::as_slice)
    }

    /// Blocks that were dropped because their delete delay passed although nothing that replaces
    /// them is loaded: answers must say that they may be incomplete (BC-5, BC-7).
    #[must_use]
    pub fn uncovered(&self, loaded: &BTreeSet<BlockId>) -> BTreeSet<BlockId> {
        self.uncovered_by(|id| loaded.contains(&id)).collect()
    }

    /// The same, if what is `there` counts as loaded.
    pub(crate) fn uncovered_by(
        &self,
        there: impl Fn(BlockId) -> bool,
    ) -> impl Iterator<Item = BlockId> {
        let late = MarkDrop::DeleteDelayPassed;
        let dropped_late = move |exclusion: &Exclusion| matches!(exclusion, Exclusion::MarkedForDeletion { why, .. } if *why == late);
        self.successors
            .iter()
            .filter(move |(id, _)| self.excluded.get(id).is_some_and(dropped_late))
            .filter(move |(_, successors)| !successors.iter().any(|id| there(*id)))
            .map(|(id, _)| *id)
    }

    /// The candidates that are `there` and that no other one there replaces; and the replaced ones,
    /// each with what replaces it.
    fn resolve(
        &self,
        there: impl Fn(BlockId) -> bool,
    ) -> (BTreeSet<BlockId>, BTreeMap<BlockId, BlockId>) {
        let mut winners = BTreeSet::new();
        let mut losers = BTreeMap::new();
        let mut rest = Vec::new();
        let present = |id: &BlockId| self.candidates.contains_key(id) && there(*id);
        for (id, meta) in self.candidates.iter().filter(|(id, _)| there(**id)) {
            let successors = self.successors.get(id).map_or(&[][..], Vec::as_slice);
            match successors.iter().find(|id| present(id)) {
                Some(successor) => {
                    losers.insert(*id, *successor);
                }
                None => {
                    winners.insert(*id);
                    rest.push(meta);
                }
            }
        }
        if self.deduplicates {
            for (duplicate, winner) in deduplicate(&rest) {
                winners.remove(&duplicate);
                losers.insert(duplicate, winner);
            }
        }
        (winners, losers)
    }

    /// Settles `wanted` and `superseded` once the candidates are known.
    pub(crate) fn settle(&mut self) {
        let (winners, losers) = self.resolve(|_| true);
        let all = self.candidates.iter();
        self.wanted = all
            .filter(|(id, _)| winners.contains(id))
            .map(|(id, meta)| (*id, Arc::clone(meta)))
            .collect();
        self.superseded = losers;
    }
}
