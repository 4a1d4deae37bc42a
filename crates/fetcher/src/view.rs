//! What the bucket held when it was looked at.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use rutile_block::{BlockId, Contract, DeletionMark, Mark, MarkKind, Meta};
use rutile_objstore::Attributes;
use rutile_runtime::Moment;

/// The blocks of a bucket at one moment. Never changes.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Every block whose metadata is known. A block that could not be read this time, but was
    /// before, is here as it was, and also in `bad`.
    pub blocks: BTreeMap<BlockId, BlockInfo>,
    /// Folders named like a block that have no `meta.json`: uploads or deletions under way, or what
    /// is left of them.
    pub partial: BTreeMap<BlockId, PartialBlock>,
    /// Blocks that could not be read, and why.
    pub bad: BTreeMap<BlockId, BadBlock>,
    /// Blocks without a deletion mark that the last view had and that are gone from the bucket.
    pub vanished: Vec<BlockId>,
    /// Whether everything was read: no block of `bad` is there for a passing reason.
    pub complete: bool,
    /// When the look at the bucket began.
    pub fetched_at: Moment,
}

/// A block whose metadata is known.
#[derive(Debug, Clone)]
pub struct BlockInfo {
    /// Its `meta.json`; label sets are shared between blocks.
    pub meta: Arc<Meta>,
    /// When that object was written, by the bucket's clock; none where the provider does not tell.
    pub meta_modified_ms: Option<i64>,
    /// Size of that object, bytes. With the time it tells when it was replaced (P16).
    pub meta_size: u64,
    /// Its marks, of the kinds that the fetcher was told to look for.
    pub marks: Marks,
}

/// The marks of a block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    /// `deletion-mark.json`.
    pub deletion: MarkState,
    /// `no-compact-mark.json`.
    pub no_compact: MarkState,
    /// `no-downsample-mark.json`.
    pub no_downsample: MarkState,
}

impl Marks {
    /// The deletion mark, if there is one that can be read.
    #[must_use]
    pub fn deletion_mark(&self) -> Option<&DeletionMark> {
        match &self.deletion.present()?.mark {
            Mark::Deletion(mark) => Some(mark),
            Mark::NoCompact(_) | Mark::NoDownsample(_) => None,
        }
    }

    /// The mark of this kind.
    #[must_use]
    pub fn get(&self, kind: MarkKind) -> &MarkState {
        match kind {
            MarkKind::Deletion => &self.deletion,
            MarkKind::NoCompact => &self.no_compact,
            MarkKind::NoDownsample => &self.no_downsample,
        }
    }

    pub(crate) fn set(&mut self, kind: MarkKind, state: MarkState) {
        match kind {
            MarkKind::Deletion => self.deletion = state,
            MarkKind::NoCompact => self.no_compact = state,
            MarkKind::NoDownsample => self.no_downsample = state,
        }
    }
}

/// One mark of a block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum MarkState {
    /// There is none.
    #[default]
    Absent,
    /// There is one.
    Present(Arc<PresentMark>),
    /// There is an object that is not a whole mark: its writer is to write it again. The block is
    /// served, is no input of a compaction, and is not deleted (BC-11).
    Torn,
    /// There is one of a version that is not known: left alone, otherwise like a torn one.
    UnknownVersion,
}

/// A mark and its object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentMark {
    /// The mark.
    pub mark: Mark,
    /// Size and modification time of its object.
    pub attributes: Attributes,
}

impl MarkState {
    /// The mark, if there is a readable one.
    #[must_use]
    pub fn present(&self) -> Option<&PresentMark> {
        match self {
            Self::Present(mark) => Some(mark),
            Self::Absent | Self::Torn | Self::UnknownVersion => None,
        }
    }

    /// Whether there is a mark object, readable or not.
    #[must_use]
    pub fn is_there(&self) -> bool {
        *self != Self::Absent
    }
}

/// A folder named like a block, without `meta.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartialBlock {
    /// Modification time of its newest object, where the listing told. Whoever wants to remove the
    /// block looks again (BC-3).
    pub newest_object_ms: Option<i64>,
    /// Whether a deletion mark lies in it: then its deletion was interrupted.
    pub marked: bool,
}

/// A block that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadBlock {
    /// What kind of bad.
    pub reason: BadReason,
    /// Which object, where in it, what.
    pub message: String,
    /// Its deletion mark, if its `meta.json` is what is bad: who marks such a block wants it gone.
    pub deletion: MarkState,
}

/// Why a block could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BadReason {
    /// `meta.json` is damaged.
    CorruptMeta,
    /// `meta.json` has a version that is not known.
    UnknownVersion,
    /// `meta.json` is larger than any sane one.
    TooLarge,
    /// The bucket did not answer, or not now: nothing is known of the block's state.
    Unreadable,
}

impl BadReason {
    /// Whether another look may find the block well.
    #[must_use]
    pub fn is_passing(self) -> bool {
        self == Self::Unreadable
    }
}

impl fmt::Display for BadReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CorruptMeta => "corrupt meta.json",
            Self::UnknownVersion => "meta.json of unknown version",
            Self::TooLarge => "meta.json too large",
            Self::Unreadable => "unreadable for now",
        })
    }
}

impl View {
    /// Whether the view is young enough to be served (BC-17): later, objects of blocks that it
    /// shows may be deleted by others who keep to the contract.
    #[must_use]
    pub fn is_usable(&self, contract: &Contract, now: Moment) -> bool {
        self.fetched_at.age_ms(now) <= contract.max_view_age_ms()
    }

    /// When the look at the bucket began, ms since the Unix epoch, by the own clock.
    #[must_use]
    pub fn fetched_at_ms(&self) -> i64 {
        self.fetched_at.wall_ms()
    }

    /// The marks that are torn or of an unknown version, in order of the blocks.
    pub fn odd_marks(&self) -> impl Iterator<Item = (BlockId, MarkKind, &MarkState)> {
        self.blocks.iter().flat_map(|(id, info)| {
            MarkKind::ALL
                .into_iter()
                .map(|kind| (*id, kind, info.marks.get(kind)))
                .filter(|(_, _, state)| state.is_there() && state.present().is_none())
        })
    }
}
