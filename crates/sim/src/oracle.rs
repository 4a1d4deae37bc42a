//! Knows what must be true, and says so as soon as it is not.
//!
//! The oracle sees every effect on the bucket in the moment in which it happens, and every answer of a
//! reader. It knows of each block which source blocks (*cells*) it holds, which of these were
//! acknowledged to their uploaders, and which a person or retention gave up. It never asks the code
//! under test what is right.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use rutile_block::{
    BlockId, DeletionMark, InvariantId, Mark, MarkKind, Meta, Part, chunk_key, index_key, mark_key,
    meta_key, parse_entry, parse_key, resolution,
};
use rutile_compact::Retention;

use leases::Leases;
use notices::Notices;
use replicas::Contents;
use rewrites::Rewrites;

use crate::cell::{Cell, Samples, decode};
use crate::cells::{
    Cells, at_resolution, cells_in, never_made, raised, remakeable, resolution_of, samples_in,
};
use crate::objects::Objects;
use crate::scenario::{CONTRACT, ITERATION_MS, LAG_MS, LONGEST_DELETE_DELAY_MS, MINUTE};
use crate::windows;

mod aggregates;
mod leases;
mod notices;
mod replicas;
mod rewrites;
mod seen;

/// What a process may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Uploader,
    Compactor,
    Reader,
    Person,
    Thanos,
}

/// The person who rewrites blocks.
pub(crate) const ERASER: &str = "eraser";

/// Who copies blocks to another bucket, and back.
pub(crate) const REPLICATOR: &str = "replicator";

/// A rule that was broken.
#[derive(Debug, Clone)]
pub struct Violation {
    /// The clause of the contract.
    pub clause: InvariantId,
    /// What happened, in words.
    pub what: String,
}

/// What is known of the bucket, and what must hold.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    pub(crate) cells: Vec<Cell>,
    by_source: BTreeMap<BlockId, usize>,
    /// Every block that was ever committed: the cells it holds.
    blocks: BTreeMap<BlockId, Cells>,
    /// Who wrote objects of a block.
    makers: BTreeSet<(BlockId, String)>,
    notices: Notices,
    leases: Leases,
    pub(crate) contents: Contents,
    pub(crate) rewrites: Rewrites,
    /// Whether answers are of the moment, and writes take effect when they say so.
    pub(crate) is_orderly: bool,
    /// Whether answers show the bucket as it was a while ago.
    pub(crate) answers_lag: bool,
    /// Whether clocks of processes jump by hours.
    pub(crate) clocks_jump: bool,
    /// When a deletion mark was last seen to go, by block.
    unmarked_ms: BTreeMap<BlockId, i64>,
    /// Cells that must stay: their uploaders were told that they are safe, or retention took what they were made of.
    pub(crate) acknowledged: Cells,
    /// Cells that a person or retention gave up at some time: nothing is promised of them.
    pub(crate) given_up: Cells,
    /// Cells that were given up when no other block held them: they must never return.
    pub(crate) erased: BTreeMap<usize, (i64, BlockId)>,
    pub(crate) retention: Retention,
    /// Blocks that somebody took an object from, or committed without one.
    pub(crate) broken: BTreeSet<BlockId>,
    /// When a person last wrote a mark that says nothing, by block.
    pub(crate) spoilt_ms: BTreeMap<BlockId, i64>,
    /// Scenarios of the catalogue, and how often each was reached.
    pub(crate) reached: BTreeMap<&'static str, u64>,
    /// Blocks that a compactor saw without `meta.json`.
    seen_partial: BTreeSet<BlockId>,
    /// Who deleted objects of a block.
    deleters: BTreeSet<(BlockId, String)>,
    /// Who committed an output of these cells.
    outputs: BTreeMap<Cells, BTreeSet<String>>,
    pub(crate) violation: Option<Violation>,
    pub(crate) checks: u64,
    pub(crate) merges: u64,
}

impl Oracle {
    pub(crate) fn add_cell(&mut self, cell: Cell) -> usize {
        let at = self.cells.len();
        self.by_source.insert(cell.id, at);
        self.cells.push(cell);
        at
    }

    pub(crate) fn violate(&mut self, clause: InvariantId, what: impl Into<String>) {
        let what = what.into();
        self.violation.get_or_insert(Violation { clause, what });
    }

    pub(crate) fn reach(&mut self, number: &'static str) {
        *self.reached.entry(number).or_default() += 1;
    }

    /// Whether a process that `by` names has a block under way.
    pub(crate) fn is_merging(&self, objects: &Objects, by: impl Fn(&str) -> bool) -> bool {
        let mine = self.makers.iter().filter(|(_, maker)| by(maker));
        let mut under_way = mine.filter(|(id, _)| objects.now(&meta_key(*id)).is_none());
        under_way.any(|(id, _)| objects.now(&chunk_key(*id, 1)).is_some())
    }

    /// An object was read, or was looked for in vain.
    pub(crate) fn on_read(&mut self, objects: &Objects, role: Role, key: &str, found: bool) {
        let Some((id, part)) = parse_key(key) else {
            return;
        };
        if found && objects.now(key).is_none() {
            self.reach("S45");
        }
        let has_meta = objects.now(&meta_key(id)).is_some();
        match (role, part) {
            (Role::Compactor, Part::Meta) if !found && objects.now(&index_key(id)).is_some() => {
                self.seen_partial.insert(id);
            }
            (Role::Reader, Part::Index | Part::Chunks(_))
                if !found && has_meta && objects.now(key).is_some() =>
            {
                self.reach("S8");
            }
            (Role::Reader, Part::Meta | Part::Mark(_))
                if !has_meta && objects.now(&mark_key(id, MarkKind::Deletion)).is_some() =>
            {
                self.reach("S35");
            }
            _ => {}
        }
    }

    /// What a cell is called.
    pub(crate) fn name(&self, at: usize) -> String {
        let (cell, resolution) = resolution_of(at);
        let id = self.cells.get(cell).map(|cell| cell.id).unwrap_or_default();
        match resolution {
            resolution::RAW => id.to_string(),
            resolution::FIVE_MINUTES => format!("{id} at five minutes"),
            _ => format!("{id} at one hour"),
        }
    }

    /// Which cells blocks hold, by their numbers.
    pub(crate) fn describe(&self, blocks: &[BlockId]) -> String {
        let describe = |id: &BlockId| {
            let cells: Vec<usize> = cells_in(self.held_by(*id)).collect();
            format!("{id} {cells:?}")
        };
        blocks.iter().map(describe).collect::<Vec<_>>().join(", ")
    }

    /// The cells that a block holds, by its sources.
    fn cells_of(&self, meta: &Meta) -> Option<Cells> {
        let mut numbers = meta
            .compaction
            .sources
            .iter()
            .map(|id| self.by_source.get(id));
        let cells = numbers.try_fold(0, |all, number| Some(all | 1 << number?))?;
        Some(raised(cells, meta.thanos.downsample.resolution))
    }

    /// The cells of a block that is or was committed.
    pub(crate) fn held_by(&self, id: BlockId) -> Cells {
        self.blocks.get(&id).copied().unwrap_or(0)
    }

    /// The same, of a block that nobody could read yet too.
    pub(crate) fn meant_by(&self, id: BlockId) -> Cells {
        let own = self.by_source.get(&id).map_or(0, |cell| 1 << cell);
        self.held_by(id) | own
    }

    /// Whether a block is there and whole, for so long that every answer shows it, and no mark allows
    /// to drop it before its replacement is served.
    pub(crate) fn is_to_be_served(&self, objects: &Objects, id: BlockId, now_ms: i64) -> bool {
        let Some(since_ms) = objects.now(&meta_key(id)).map(|(_, since_ms)| since_ms) else {
            return false;
        };
        let settled = now_ms - since_ms > CONTRACT.meta_cache_ttl_ms + 2 * LAG_MS;
        let limit_ms = CONTRACT.delete_delay_ms - 2 * CONTRACT.clock_bound_ms;
        let marked = marked_ms(objects, id).is_some_and(|ms| now_ms - ms > limit_ms);
        // What replaces nothing goes without a replacement.
        let marked = marked || mark_of(objects, id).is_some_and(|mark| !mark.needs_successor());
        let whole = objects.meta(id).is_some_and(|meta| objects.is_whole(&meta));
        settled && whole && !marked && !self.broken.contains(&id)
    }

    /// Every block that was ever committed.
    pub(crate) fn ever_committed(&self) -> Vec<BlockId> {
        self.blocks.keys().copied().collect()
    }

    /// The samples that a set of cells of one stream holds, or was made of.
    pub(crate) fn samples(&self, cells: Cells) -> Samples {
        let mut all = Samples::new();
        for cell in samples_in(cells).filter_map(|at| self.cells.get(at)) {
            for (series, samples) in &cell.samples {
                all.entry(series.clone()).or_default().extend(samples);
            }
        }
        all
    }

    /// The cells that whole blocks hold now.
    pub(crate) fn covered(&self, objects: &Objects) -> Cells {
        let there = self.blocks.iter().filter(|(id, _)| {
            let meta = objects.meta(**id);
            meta.is_some_and(|meta| objects.is_whole(&meta))
        });
        there.fold(0, |all, (_, cells)| all | cells)
    }

    /// An uploader that does not look again believes that its block is safe; if it is not whole, that is
    /// its own loss (P5).
    pub(crate) fn believe(&mut self, cell: usize, objects: &Objects) {
        let Some(id) = self.cells.get(cell).map(|cell| cell.id) else {
            return;
        };
        let meta = objects.meta(id);
        if meta.is_some_and(|meta| objects.is_whole(&meta)) {
            self.acknowledge(cell, objects);
        } else {
            self.given_up |= 1 << cell;
            self.broken.insert(id);
        }
    }

    /// An uploader was told that its block is safe.
    pub(crate) fn acknowledge(&mut self, cell: usize, objects: &Objects) {
        self.acknowledged |= 1 << cell;
        self.check_durable(objects, "it was acknowledged");
    }

    fn check_durable(&mut self, objects: &Objects, when: &str) {
        self.checks += 1;
        let owed = self.acknowledged & !self.given_up;
        let lost = owed & !self.covered(objects);
        if let Some(lost) = cells_in(lost).next() {
            let lost = self.name(lost);
            let what = format!("durability: no whole block holds {lost} any more after {when}");
            self.violate(InvariantId::Bc2, what);
        }
    }

    /// An object is written: what it was before, and what it is now.
    pub(crate) fn on_put(
        &mut self,
        objects: &Objects,
        by: (Role, &str),
        key: &str,
        before: Option<Bytes>,
        now_ms: i64,
    ) {
        let Some((body, _)) = objects.now(key) else {
            return;
        };
        let Some((id, part)) = parse_key(key) else {
            self.notices.on_put(key, body, now_ms);
            if self.leases.on_put(objects, by.1, key, now_ms) {
                self.reach("S21");
            }
            return;
        };
        match part {
            Part::Mark(MarkKind::Deletion) => {
                if before.is_some_and(|before| by.0 == Role::Person || was_due(id, &before, now_ms))
                {
                    // The mark that was there is no more, and its deletion may be under way.
                    self.unmarked_ms.insert(id, now_ms);
                }
                self.saw_mark(objects, by.0, id, now_ms);
                self.on_mark(objects, by, id, now_ms);
            }
            Part::Mark(_) => {}
            Part::Meta => {
                // What nobody can read may be replaced: its writer found out.
                let read = before.filter(|before| Meta::parse(id, before).is_ok());
                let replaced = read.is_some_and(|before| !same_block(id, &before, body));
                if replaced && by.0 != Role::Thanos {
                    self.violate(
                        InvariantId::Bc1,
                        format!("{key} was replaced by another one"),
                    );
                }
                if by.1 == REPLICATOR {
                    let cells = self.meant_by(id);
                    self.on_restored(objects, cells);
                }
                self.saw_commit(objects, by, id, now_ms);
                self.on_commit(objects, by.1, id, now_ms);
            }
            Part::Index | Part::Chunks(_) | Part::Other(_) => {
                self.saw_maker(by, id);
                self.notices.on_upload(by.0, id);
                self.makers.insert((id, by.1.to_owned()));
                let changed = before.is_none_or(|before| before != *body);
                // What somebody took away may come back.
                let ours = by.0 != Role::Thanos && !self.broken.contains(&id);
                let mended = objects.was_written_before(key) && self.is_true(id, &part, body);
                if changed && !mended && objects.now(&meta_key(id)).is_some() && ours {
                    let what = format!("{key} was changed after its block was committed");
                    self.violate(InvariantId::Bc1, what);
                }
            }
        }
    }

    /// Whether an object is what the block of an uploader has: it may put it again where it is damaged.
    fn is_true(&self, id: BlockId, part: &Part<'_>, body: &Bytes) -> bool {
        let Some(cell) = self.by_source.get(&id).and_then(|at| self.cells.get(*at)) else {
            return false;
        };
        match part {
            Part::Index => cell.index == *body,
            Part::Chunks(_) => cell.chunks == *body,
            Part::Meta | Part::Mark(_) | Part::Other(_) => false,
        }
    }

    fn on_commit(&mut self, objects: &Objects, by: &str, id: BlockId, now_ms: i64) {
        let Some(meta) = objects.meta(id) else {
            return;
        };
        if meta.compaction.sources == [id] && !self.by_source.contains_key(&id) {
            self.on_rewritten(objects, &meta);
            let held = self.meant_by(id);
            self.blocks.insert(id, held);
            return;
        }
        let Some(cells) = self.cells_of(&meta) else {
            self.violate(
                InvariantId::Bc13,
                format!("{id} names sources that never were"),
            );
            return;
        };
        self.blocks.insert(id, cells);
        if meta.compaction.sources == [id] && cells & self.rewritten() == cells {
            return;
        }
        if by != REPLICATOR && is_of_uploader(&meta) {
            // Its uploader still had it: nothing in the bucket could tell that it was erased.
            self.erased
                .retain(|at, _| cells >> resolution_of(*at).0 & 1 == 0);
        }
        if is_of_uploader(&meta) {
            return;
        }
        if !objects.is_whole(&meta) {
            return;
        }
        self.merges += 1;
        self.check_made_once(objects, by, (id, cells), now_ms);
        if let Err(error) = self.check_output(objects, &meta, cells) {
            self.violate(InvariantId::Bc13, format!("output {id}: {error}"));
        }
        self.remember(objects, id);
    }

    /// Holds an output against what its sources hold.
    fn check_output(&mut self, objects: &Objects, meta: &Meta, cells: Cells) -> Result<(), String> {
        let object = |key: &str| objects.now(key).map(|(body, _)| body.clone());
        let keys = (index_key(meta.id), chunk_key(meta.id, 1));
        let (Some(index), Some(chunks)) = (object(&keys.0), object(&keys.1)) else {
            return Err("it lacks its first segment".to_owned());
        };
        if self.has_replicas() {
            return self.check_merge(objects, meta, (cells, &decode(&index, &chunks)?));
        }
        let samples = self.samples(cells);
        let same = match meta.thanos.downsample.resolution {
            resolution::RAW => decode(&index, &chunks)? == samples,
            resolution => {
                windows::decode(&index, &chunks, resolution)? == windows::of(&samples, resolution)
            }
        };
        match same {
            true => Ok(()),
            false => Err("it does not hold what its sources hold".to_owned()),
        }
    }

    fn on_mark(&mut self, objects: &Objects, by: (Role, &str), id: BlockId, now_ms: i64) {
        let Some(mark) = mark_of(objects, id) else {
            return;
        };
        let by_retention = mark.is_by_retention();
        if by_retention {
            self.check_retention(objects, id, now_ms);
            self.promise_aggregates(objects, id, now_ms);
        }
        if by.0 != Role::Person && !by_retention {
            return;
        }
        let cells = self.meant_by(id);
        self.given_up |= cells;
        if self.clocks_jump && !by_retention {
            // By a clock that was ahead, what was downsampled of it before looks as if it had been made after the mark.
            let raw = at_resolution(cells, resolution::RAW);
            let made = raised(raw, resolution::FIVE_MINUTES) | raised(raw, resolution::ONE_HOUR);
            self.given_up |= made;
        }
        if by.1 == ERASER {
            self.on_mark_by_eraser(objects, id);
        }
        let others = objects.committed().into_iter().filter(|other| *other != id);
        let elsewhere = others.fold(0, |all, other| all | self.held_by(other));
        let gone = cells & !elsewhere & !remakeable(elsewhere);
        let made = if by_retention {
            0
        } else {
            never_made(gone, elsewhere)
        };
        for cell in cells_in(gone | made) {
            let (since_ms, block) = self.erased.entry(cell).or_insert((now_ms, id));
            if *block == id {
                // Marked again, perhaps by a clock that is ahead: its delay begins anew.
                *since_ms = now_ms.max(mark.time_ms());
            }
        }
    }

    fn check_retention(&mut self, objects: &Objects, id: BlockId, now_ms: i64) {
        let Some(meta) = objects.meta(id) else {
            return;
        };
        let kept_ms = self.kept_ms(meta.thanos.downsample.resolution);
        let kept_ms = kept_ms.unwrap_or(i64::MAX / 2);
        if now_ms + 2 * CONTRACT.clock_bound_ms <= meta.max_time + kept_ms {
            let what = format!("{id} was marked by retention before its time");
            self.violate(InvariantId::Bc12, what);
        }
    }

    /// An object is about to be removed.
    pub(crate) fn before_delete(
        &mut self,
        objects: &Objects,
        by: (Role, &str),
        key: &str,
        now_ms: i64,
    ) {
        let (Some((id, part)), Some(_)) = (parse_key(key), objects.now(key)) else {
            return;
        };
        if part == Part::Mark(MarkKind::Deletion) {
            self.unmarked_ms.insert(id, now_ms);
            if by.0 == Role::Person {
                // Also of an output that was to go because it holds what was erased.
                let held = self.held_by(id);
                self.erased
                    .retain(|cell, (_, block)| *block != id && held >> cell & 1 == 0);
            }
            return;
        }
        if by.0 != Role::Compactor || matches!(part, Part::Mark(_)) {
            return;
        }
        self.saw_delete(by.1, id);
        if self.makers.contains(&(id, by.1.to_owned())) {
            return;
        }
        if let Some(why) = self.too_early(objects, id, now_ms) {
            let clause = match objects.now(&meta_key(id)) {
                Some(_) => InvariantId::Bc6,
                None => InvariantId::Bc3,
            };
            self.violate(clause, format!("{key} was deleted {why}"));
        }
    }

    /// Why an object of this block may not be deleted by a cleaner, if so.
    fn too_early(&self, objects: &Objects, id: BlockId, now_ms: i64) -> Option<String> {
        let grace = CONTRACT.clock_bound_ms + 2 * LAG_MS;
        let marked = objects.now(&mark_key(id, MarkKind::Deletion));
        let gone = self.unmarked_ms.get(&id).copied();
        let spoilt = self.spoilt_ms.get(&id).copied();
        let committed = objects.now(&meta_key(id)).is_some();
        if committed && marked.is_some() && mark_of(objects, id).is_none() {
            let lately = spoilt.is_some_and(|ms| now_ms - ms < 5 * MINUTE + 2 * LAG_MS);
            return (!lately).then(|| "although its mark cannot be read".to_owned());
        }
        // Somebody removed or replaced the mark while the deletion was under way.
        if gone.is_some_and(|gone| now_ms - gone < 5 * MINUTE + 2 * LAG_MS) {
            return None;
        }
        if let Some((_, since_ms)) = marked {
            let age = now_ms - since_ms;
            return (age + grace < CONTRACT.delete_delay_ms)
                .then(|| format!("{} min after it was marked", age / MINUTE));
        }
        if objects.now(&meta_key(id)).is_some() {
            return Some("although its block is not marked".to_owned());
        }
        let prefix = format!("{id}/");
        let of_block = objects.keys().filter(|key| key.starts_with(&prefix));
        let written = of_block.filter_map(|key| Some(objects.now(key)?.1));
        let newest = written.filter(|ms| !self.notices.cover(id, *ms)).max()?;
        let age = now_ms - newest;
        (age + grace < CONTRACT.partial_age_ms).then(|| {
            format!(
                "{} min after the newest object of a partial block",
                age / MINUTE
            )
        })
    }

    /// An object was removed.
    pub(crate) fn after_delete(&mut self, objects: &Objects, by: &str, key: &str) {
        let Some((id, part)) = parse_key(key) else {
            self.notices.on_delete(key);
            self.leases.on_delete(by, key);
            return;
        };
        if !matches!(part, Part::Mark(_)) && self.blocks.contains_key(&id) {
            self.check_durable(objects, &format!("{key} was deleted"));
        }
    }

    /// Whether another committed block, which is not to go, holds all that this one holds.
    fn is_replaced(&self, objects: &Objects, id: BlockId) -> bool {
        let cells = self.held_by(id);
        let mut others = objects.committed().into_iter().filter(|other| *other != id);
        others.any(|other| cells & !self.held_by(other) == 0 && marked_ms(objects, other).is_none())
    }

    /// Whether a block that somebody took an object from held what this one holds.
    fn needs_broken(&self, id: BlockId) -> bool {
        let mut broken = self.broken.iter();
        broken.any(|other| self.stands_for(*other) & self.held_by(id) != 0) || self.needs_spoilt(id)
    }

    /// What must hold when faults have stopped and everything had time to come to rest.
    pub(crate) fn at_rest(&mut self, objects: &Objects, now_ms: i64) {
        // What was marked a moment ago has its delay before it.
        let due_ms = now_ms - LONGEST_DELETE_DELAY_MS - 3 * ITERATION_MS;
        self.check_durable(objects, "all came to rest");
        self.check_downsampled(objects, now_ms);
        let all: Cells = (0..self.cells.len()).fold(0, |all, at| all | 1 << at);
        let spoilt = |at: &usize| self.spoilt_ms.contains_key(&self.cells[*at].id);
        let mut left = cells_in(all & !self.acknowledged & !self.given_up & !self.rewritten());
        // Nobody may touch what carries a mark of a later version.
        if let Some(at) = left.find(|at| !spoilt(at)) {
            let id = self.cells[at].id;
            self.violate(
                InvariantId::Bc16,
                format!("liveness: {id} was never uploaded"),
            );
        }
        for (cell, (since_ms, marked)) in self.erased.clone() {
            if since_ms > due_ms {
                continue;
            }
            let holder = objects.committed().into_iter();
            let waits = |id: &BlockId| marked_ms(objects, *id).is_some_and(|ms| ms > due_ms);
            let mut holder = holder.filter(|id| self.held_by(*id) >> cell & 1 == 1 && !waits(id));
            if let Some(holder) = holder.next() {
                let name = self.name(cell);
                let what =
                    format!("no return: {holder} holds {name}, which was erased with {marked}");
                self.violate(InvariantId::Bc15, what);
            }
        }
        let odd = objects.keys().find(|key| {
            let Some(id) = parse_entry(key) else {
                return !key.starts_with("rutile");
            };
            // What cannot be read stays, and so does what only a broken block could replace.
            if self.spoilt_ms.contains_key(&id) || self.needs_broken(id) {
                return false;
            }
            let marked_ms = marked_ms(objects, id);
            let marked = marked_ms.is_some_and(|ms| ms <= due_ms);
            // Its deletion may have begun a moment ago.
            let is_going = marked_ms.is_some_and(|ms| ms > due_ms);
            // A mark that cannot be read, of which the reason is gone, is told of and stays.
            let idle = mark_of(objects, id).is_none() && !self.is_replaced(objects, id);
            (objects.now(&meta_key(id)).is_none() && !is_going) || (marked && !idle)
        });
        if let Some(odd) = odd {
            self.violate(InvariantId::Bc16, format!("garbage: {odd} is left"));
        }
        if let Some(upload) = objects.uploads.values().next() {
            let key = upload.key.clone().unwrap_or_default();
            self.violate(
                InvariantId::Bc16,
                format!("garbage: an upload to {key} dangles"),
            );
        }
    }
}

/// Whether a block was written by an uploader.
fn is_of_uploader(meta: &Meta) -> bool {
    meta.compaction.level <= 1 && meta.thanos.downsample.resolution == resolution::RAW
}

/// Whether a deletion mark was old enough for its block to go.
fn was_due(id: BlockId, mark: &[u8], now_ms: i64) -> bool {
    match Mark::parse(MarkKind::Deletion, id, mark) {
        Ok(Mark::Deletion(mark)) => {
            now_ms - mark.time_ms() > CONTRACT.delete_delay_ms - CONTRACT.clock_bound_ms
        }
        _ => false,
    }
}

/// Whether two `meta.json` are of one upload of the same files.
fn same_block(id: BlockId, a: &[u8], b: &[u8]) -> bool {
    match (Meta::parse(id, a), Meta::parse(id, b)) {
        (Ok(mut a), Ok(b)) => {
            a.thanos.upload_time = b.thanos.upload_time;
            a == b
        }
        _ => false,
    }
}

/// When a block was marked, from the later of the mark's time and its object's (BC-18).
fn marked_ms(objects: &Objects, id: BlockId) -> Option<i64> {
    let (body, since_ms) = objects.now(&mark_key(id, MarkKind::Deletion))?;
    Some(match Mark::parse(MarkKind::Deletion, id, body) {
        Ok(Mark::Deletion(mark)) => mark.time_ms().max(since_ms),
        _ => since_ms,
    })
}

/// The deletion mark of a block, if it can be read.
fn mark_of(objects: &Objects, id: BlockId) -> Option<DeletionMark> {
    let (body, _) = objects.now(&mark_key(id, MarkKind::Deletion))?;
    match Mark::parse(MarkKind::Deletion, id, body).ok()? {
        Mark::Deletion(mark) => Some(mark),
        Mark::NoCompact(_) | Mark::NoDownsample(_) => None,
    }
}
