//! Blocks that are rewritten without some of their samples (BC-15): what stays of each, and since when it is owed.

use std::collections::{BTreeMap, BTreeSet};

use rutile_block::{BlockId, InvariantId, META_FILE, Meta, chunk_key, index_key, parse_entry};

use super::{Oracle, mark_of, marked_ms};
use crate::cell::{Cell, decode};
use crate::cells::{Cells, cells_in};
use crate::erasure::Erasure;
use crate::objects::Objects;

/// What is rewritten in a run.
#[derive(Debug, Default)]
pub(crate) struct Rewrites {
    /// What is to go, if anything.
    pub(crate) erasure: Option<Erasure>,
    /// The blocks that were begun with, each with the block that would be left of it.
    begun: BTreeMap<BlockId, Cell>,
    /// What was written of each.
    made: BTreeMap<BlockId, Vec<BlockId>>,
    /// All that was written.
    cells: Cells,
    /// What each cell that was written was made of.
    origins: BTreeMap<usize, Cells>,
    /// Blocks that were marked because what is to stay of them was written.
    replaced: BTreeSet<BlockId>,
}

impl Oracle {
    /// Whether blocks may hold the same samples, without one replacing the other.
    pub(crate) fn may_overlap(&self) -> bool {
        self.has_replicas() || self.rewrites.erasure.is_some()
    }

    /// The cells that were not uploaded by who cut them, but rewritten.
    pub(super) fn rewritten(&self) -> Cells {
        self.rewrites.cells
    }

    /// The cells that a block holds, and those that what it holds was rewritten from: those that it may replace.
    pub(super) fn stands_for(&self, id: BlockId) -> Cells {
        let mut all = self.held_by(id);
        // What was written later was made of what was written before.
        for (at, origin) in self.rewrites.origins.iter().rev() {
            if all >> at & 1 == 1 {
                all |= origin;
            }
        }
        all
    }

    /// Whether a block that carries a mark that says nothing was rewritten from what this one holds.
    pub(super) fn needs_spoilt(&self, id: BlockId) -> bool {
        let mut spoilt = self.spoilt_ms.keys();
        spoilt.any(|other| self.stands_for(*other) & !self.held_by(*other) & self.held_by(id) != 0)
    }

    /// Somebody is about to rewrite a block.
    pub(crate) fn begins_to_rewrite(&mut self, objects: &Objects, block: BlockId) {
        let found = { objects.meta(block) }.zip(self.content(objects, block));
        let Some(((meta, content), erasure)) = found.zip(self.rewrites.erasure.as_ref()) else {
            return;
        };
        let left = erasure.left_of(&content.samples);
        if left == content.samples {
            // It stays as it is.
            return;
        }
        let (labels, times) = (meta.thanos.labels, meta.min_time..meta.max_time);
        if !left.is_empty() {
            let mut left = Cell::written(block, labels, times, left);
            left.meta.compaction.sources = meta.compaction.sources;
            self.rewrites.begun.insert(block, left);
        }
    }

    /// Who rewrites blocks is told that one stays as it is.
    pub(crate) fn told_of_no_change(&mut self, block: BlockId) {
        if self.rewrites.begun.contains_key(&block) {
            let what = format!("{block} is said to hold nothing that is to go");
            self.violate(InvariantId::Bc15, what);
        }
    }

    /// Holds a block that was rewritten against the one that it was made of.
    pub(super) fn on_rewritten(&mut self, objects: &Objects, meta: &Meta) {
        let body = |key: &str| objects.now(key).map(|(body, _)| body);
        let files = body(&index_key(meta.id)).zip(body(&chunk_key(meta.id, 1)));
        let whole = files.filter(|_| objects.is_whole(meta));
        let found = whole.and_then(|(index, chunks)| decode(index, chunks).ok());
        let named = meta.rewritten_sources();
        let of_it = |cell: &Cell| {
            let times = (cell.meta.min_time, cell.meta.max_time);
            let holds = found.as_ref().is_none_or(|found| *found == cell.samples);
            times == (meta.min_time, meta.max_time)
                && cell.meta.thanos.labels == meta.thanos.labels
                && named.ends_with(&cell.meta.compaction.sources)
                && holds
        };
        // What went into a block that was begun with later may look like it.
        let begun = self.rewrites.begun.iter().filter(|(_, left)| of_it(left));
        let begun = begun.max_by_key(|(_, left)| left.meta.compaction.sources.len());
        let Some((original, left)) = begun else {
            let what = format!("{} does not hold what is to stay of any block", meta.id);
            return self.violate(InvariantId::Bc13, what);
        };
        let (original, mut cell) = (*original, left.clone());
        (cell.id, cell.meta) = (meta.id, meta.clone());
        self.contents.remember_cell(&cell);
        let at = self.add_cell(cell);
        self.rewrites.cells |= 1 << at;
        let origin = self.held_by(original);
        self.rewrites.origins.insert(at, origin);
        let made = self.rewrites.made.entry(original);
        made.or_default().push(meta.id);
    }

    /// Who rewrites blocks marks one: an original, of which from now on what was written is owed, or what was written of one that
    /// has been compacted.
    pub(super) fn on_mark_by_eraser(&mut self, objects: &Objects, id: BlockId) {
        let mut made = self.rewrites.made.iter();
        let original = made.find(|(_, made)| made.contains(&id));
        if let Some((original, made)) = original {
            let others = made.iter().filter(|other| **other != id);
            let kept = others.fold(0, |all, other| all | self.held_by(*other))
                & self.acknowledged
                & !self.given_up;
            let is_replaced = self.rewrites.replaced.contains(original);
            let goes = mark_of(objects, *original).is_some_and(|mark| !mark.needs_successor());
            if is_replaced && goes && kept == 0 {
                let what = format!(
                    "{id} was given up, and nothing else holds what is to stay of {original}"
                );
                self.violate(InvariantId::Bc15, what);
            }
            return;
        }
        if !self.rewrites.begun.contains_key(&id) {
            // Nothing of it is to stay.
            return;
        }
        let made = { self.rewrites.made.get(&id) }.cloned().unwrap_or_default();
        let is_broken = self.broken.contains(&id) || made.iter().any(|id| self.broken.contains(id));
        let made = made.into_iter().fold(0, |all, id| all | self.held_by(id));
        // What was written may have been compacted meanwhile.
        let stays = objects.committed().into_iter().filter(|id| {
            let meta = objects.meta(*id);
            meta.is_some_and(|meta| objects.is_whole(&meta)) && marked_ms(objects, *id).is_none()
        });
        let owed = made & stays.fold(0, |all, id| all | self.held_by(id));
        let is_wanted = made == 0 || made & !self.given_up != 0;
        if owed == 0 && is_wanted && !is_broken {
            let what = format!("{id} was marked, and nothing holds what is to stay of it");
            self.violate(InvariantId::Bc15, what);
        }
        self.acknowledged |= owed;
        self.rewrites.replaced.insert(id);
    }

    /// Blocks are about to come back from another bucket.
    pub(crate) fn saw_restore(&mut self) {
        if !self.rewrites.replaced.is_empty() {
            self.reach("S53");
        }
    }

    /// A block comes back from another bucket, and with it what was erased here; not what is known to have been erased by
    /// rewriting, as long as what was written then, or anything that was made of it, is there.
    pub(super) fn on_restored(&mut self, objects: &Objects, cells: Cells) {
        let there = objects.committed().into_iter();
        let there = there.fold(0, |all, id| all | self.held_by(id));
        let is_known = |original: &BlockId| {
            let made = self.rewrites.made.get(original);
            let mut made = made
                .filter(|_| self.rewrites.replaced.contains(original))
                .into_iter()
                .flatten();
            made.any(|id| self.held_by(*id) & there != 0)
        };
        let is_new = |at: &usize, original: &BlockId| cells >> *at & 1 == 1 && !is_known(original);
        let back = { self.erased.iter() }.filter(|(at, (_, original))| is_new(at, original));
        let back: Vec<usize> = back.map(|(at, _)| *at).collect();
        for at in back {
            self.erased.remove(&at);
        }
    }

    /// Holds the keys of a bucket to which all is copied against what is to stay.
    pub(crate) fn check_replica(&mut self, keys: &[String]) {
        let metas = keys.iter().filter(|key| key.ends_with(META_FILE));
        let copied = metas.filter_map(|key| parse_entry(key));
        let copied = copied.fold(0, |all, id| all | self.held_by(id));
        let lost = self.acknowledged & !self.given_up & !copied;
        if self.broken.is_empty()
            && let Some(at) = cells_in(lost).next()
        {
            let what = format!(
                "durability: the second bucket lacks {} in the end",
                self.name(at)
            );
            self.violate(InvariantId::Bc7, what);
        }
    }

    /// Whether another block that stays holds what a block holds.
    fn is_held(&self, objects: &Objects, id: BlockId) -> bool {
        let cells = self.held_by(id);
        let others = objects.committed().into_iter().filter(|other| *other != id);
        let unmarked = others.filter(|other| marked_ms(objects, *other).is_none());
        unmarked.fold(0, |all, other| all | self.held_by(other)) & cells == cells
    }

    /// Who rewrites blocks is told that one was rewritten, and goes: where answers are of the moment, nothing else holds it.
    pub(crate) fn told_of_rewrite(&mut self, objects: &Objects, original: BlockId) {
        self.reach("S52");
        if self.is_orderly
            && marked_ms(objects, original).is_some()
            && self.is_held(objects, original)
        {
            let what =
                format!("{original} was rewritten, and another block holds all that it held");
            self.violate(InvariantId::Bc15, what);
        }
    }
}
