//! What must be there at a lower resolution before finer samples go (BC-12), and in the end.

use rutile_block::{BlockId, InvariantId, MarkKind, Meta, details, mark_key, resolution};

use super::{Oracle, mark_of, marked_ms};
use crate::cells::{Cells, at_resolution, cells_in, raised};
use crate::objects::Objects;
use crate::scenario::{CONTRACT, HOUR, ITERATION_MS, LAG_MS, LONGEST_DELETE_DELAY_MS};

/// How long blocks are of which something is made, ms.
const FOR_FIVE_MINUTES_MS: i64 = 40 * HOUR;
const FOR_ONE_HOUR_MS: i64 = 240 * HOUR;

impl Oracle {
    /// How long what has this resolution is kept, ms.
    pub(super) fn kept_ms(&self, resolution: i64) -> Option<i64> {
        match resolution {
            resolution::RAW => self.retention.raw,
            resolution::FIVE_MINUTES => self.retention.five_minutes,
            _ => self.retention.one_hour,
        }
    }

    /// Whether what has this resolution and the times of a block is still kept, whosever clock is asked.
    fn is_kept(&self, resolution: i64, meta: &Meta, now_ms: i64) -> bool {
        let kept_ms = self.kept_ms(resolution);
        kept_ms.is_none_or(|ms| now_ms + 2 * CONTRACT.clock_bound_ms < meta.max_time + ms)
    }

    /// Retention takes a block: what is due of it must be there, and stay.
    pub(super) fn promise_aggregates(&mut self, objects: &Objects, id: BlockId, now_ms: i64) {
        let Some(meta) = objects.meta(id).filter(|_| self.retention.downsampling) else {
            return;
        };
        let own = meta.thanos.downsample.resolution;
        let samples = at_resolution(self.held_by(id), own);
        let kept = |resolution| self.is_kept(resolution, &meta, now_ms);
        let hours = meta.duration_ms() >= FOR_ONE_HOUR_MS && kept(resolution::ONE_HOUR);
        let minutes = meta.duration_ms() >= FOR_FIVE_MINUTES_MS && own == resolution::RAW;
        let there = at_resolution(self.covered(objects), resolution::FIVE_MINUTES);
        let promised = match own {
            resolution::RAW if minutes && kept(resolution::FIVE_MINUTES) => {
                resolution::FIVE_MINUTES
            }
            // An hour is made of five minutes: while these are there, they wait for it themselves.
            resolution::RAW if hours && samples & !there != 0 => resolution::ONE_HOUR,
            resolution::FIVE_MINUTES if hours => resolution::ONE_HOUR,
            _ => return,
        };
        // A part that ended earlier may have a block of its own at that resolution, which has outlived its retention.
        let parts = cells_in(samples).filter(|at| {
            let cell = self.cells.get(*at);
            cell.is_some_and(|cell| self.is_kept(promised, &cell.meta, now_ms))
        });
        let kept = parts.fold(0, |all, at| all | 1 << at);
        // What a person gave up, perhaps with the block that had replaced it, is owed in no form; what another block holds at the same
        // resolution waits in that one.
        let staying = self.staying(objects);
        let kept = kept & !at_resolution(self.given_up | staying, own);
        let promised = raised(kept, promised) & !self.held_by_broken();
        let lost = promised & !staying & !self.given_up_lately(objects, now_ms);
        // From now on, also what a person gave up before, and was made again.
        let owed = promised & (staying | lost);
        self.given_up &= !owed;
        self.acknowledged |= owed;
        if let Some(at) = cells_in(lost).next() {
            let lost = self.name(at);
            let what = format!("{id} was marked by retention before {lost} was there");
            self.violate(InvariantId::Bc12, what);
        }
    }

    /// What the blocks held that somebody took an object from: it stands in the way of what could be made again.
    fn held_by_broken(&self) -> Cells {
        { self.broken.iter() }.fold(0, |all, id| all | self.held_by(*id))
    }

    /// The cells of whole blocks that nobody wants to go without a replacement, nor gave up with what replaced them.
    fn staying(&self, objects: &Objects) -> Cells {
        let blocks = objects.committed();
        let marks = |id| mark_of(objects, id);
        let holds = |other: BlockId, id: BlockId| {
            other != id && self.held_by(id) & !self.held_by(other) == 0
        };
        let by_hand = |id| {
            marks(id)
                .is_some_and(|mark| !mark.needs_successor() && mark.details != details::TAINTED)
        };
        let is_given_up = |id: BlockId| {
            let mut replacing = blocks.iter().filter(|other| holds(**other, id)).peekable();
            replacing.peek().is_some() && replacing.all(|other| by_hand(*other))
        };
        let staying = blocks.iter().copied().filter(|id| {
            let whole = objects
                .meta(*id)
                .is_some_and(|meta| objects.is_whole(&meta));
            let stays = match marks(*id) {
                None => true,
                Some(mark) => mark.needs_successor() && !is_given_up(*id),
            };
            whole && stays
        });
        staying.fold(0, |all, id| all | self.held_by(id))
    }

    /// The cells of blocks that were marked so lately that an answer that lags need not show it.
    fn given_up_lately(&self, objects: &Objects, now_ms: i64) -> Cells {
        if !self.answers_lag {
            return 0;
        }
        let lately = objects.committed().into_iter().filter(|id| {
            let marked = objects.now(&mark_key(*id, MarkKind::Deletion));
            marked.is_some_and(|(_, since_ms)| now_ms - since_ms <= LAG_MS)
        });
        lately.fold(0, |all, id| all | self.held_by(id))
    }

    /// In the end all that is due is there.
    pub(super) fn check_downsampled(&mut self, objects: &Objects, now_ms: i64) {
        if !self.retention.downsampling {
            return;
        }
        let settled_ms = now_ms - LONGEST_DELETE_DELAY_MS - 3 * ITERATION_MS;
        let there = self.covered(objects);
        for id in objects.committed() {
            let Some(meta) = objects.meta(id).filter(|meta| objects.is_whole(meta)) else {
                continue;
            };
            let own = meta.thanos.downsample.resolution;
            let (length_ms, target) = match own {
                resolution::RAW => (FOR_FIVE_MINUTES_MS, resolution::FIVE_MINUTES),
                resolution::FIVE_MINUTES => (FOR_ONE_HOUR_MS, resolution::ONE_HOUR),
                _ => continue,
            };
            let uploaded_ms = meta.thanos.upload_time.ms();
            let settled = uploaded_ms.is_some_and(|ms| ms < settled_ms);
            let due = settled
                && meta.duration_ms() >= length_ms
                && self.is_kept(target, &meta, now_ms)
                && marked_ms(objects, id).is_none();
            let samples = at_resolution(self.held_by(id), own);
            let bad = cells_in(samples).any(|at| self.cells.get(at).is_some_and(|cell| cell.bad));
            let bad =
                bad || (raised(samples, target) | self.held_by(id)) & self.held_by_broken() != 0;
            if due && !bad && samples & !at_resolution(there, target) != 0 {
                let what = format!("liveness: {id} was not downsampled to {target} ms");
                self.violate(InvariantId::Bc16, what);
                return;
            }
        }
    }

    /// Whether a block waits for an hour to be made of its five minutes.
    pub(crate) fn is_between_resolutions(&self, objects: &Objects) -> bool {
        let hours = at_resolution(self.covered(objects), resolution::ONE_HOUR);
        let mut metas = { objects.committed().into_iter() }.filter_map(|id| objects.meta(id));
        metas.any(|meta| {
            let five = meta.thanos.downsample.resolution == resolution::FIVE_MINUTES;
            let held = at_resolution(self.held_by(meta.id), resolution::FIVE_MINUTES);
            five && meta.duration_ms() >= FOR_ONE_HOUR_MS && held & !hours != 0
        })
    }

    /// Whether the samples that a downsampled block was made of are in no whole raw block any more.
    pub(crate) fn is_all_that_is_left(&self, objects: &Objects, id: BlockId) -> bool {
        let held = self.held_by(id);
        let raw = at_resolution(self.covered(objects), resolution::RAW);
        let made = [resolution::FIVE_MINUTES, resolution::ONE_HOUR];
        made.into_iter()
            .any(|of| at_resolution(held, of) & !raw != 0)
    }
}
