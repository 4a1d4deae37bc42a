//! Which blocks are old enough to go, and which must stay for a downsampled block that is yet to be
//! made of them (BC-12).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rutile_block::{BlockId, GroupKey, MarkKind, Meta, details, resolution};
use rutile_fetcher::{MarkState, Selection, View};
use rutile_model::GoDuration;

const HOUR: i64 = 3_600_000;
/// Raw blocks of at least this length are downsampled to five minutes.
pub const DOWNSAMPLE_RAW_MS: i64 = 40 * HOUR;
/// Blocks of five minutes of at least this length are downsampled to one hour.
pub const DOWNSAMPLE_FIVE_MINUTES_MS: i64 = 10 * 24 * HOUR;

/// How long samples are kept, ms, by resolution; none: for ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// `--retention.resolution-raw`.
    pub raw: Option<i64>,
    /// `--retention.resolution-5m`.
    pub five_minutes: Option<i64>,
    /// `--retention.resolution-1h`.
    pub one_hour: Option<i64>,
    /// Whether blocks are downsampled, by whomever: then what is due must be there first.
    pub downsampling: bool,
}

/// A block that retention marks for deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expired {
    /// The block.
    pub id: BlockId,
    /// For its deletion mark.
    pub details: String,
    /// It is marked already as replaced, and nothing is left that replaces it: that mark would never
    /// come due, and is to be replaced by one of retention.
    pub remark: bool,
    /// The downsampled blocks that hold what is still kept of it, in order of their ULIDs: it goes only if they can be read.
    pub replaced_by: BTreeSet<BlockId>,
}

/// What retention made of a look at the bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Blocks to mark for deletion, in order of their ULIDs.
    pub expired: Vec<Expired>,
    /// Blocks that would be among them, but of which a downsampled block is due and not committed.
    pub waiting: BTreeSet<BlockId>,
}

impl Retention {
    fn of(&self, resolution: i64) -> Option<i64> {
        match resolution {
            resolution::RAW => self.raw,
            resolution::FIVE_MINUTES => self.five_minutes,
            resolution::ONE_HOUR => self.one_hour,
            _ => None,
        }
    }

    /// The retention, ms, that a block of this resolution which ends then has outlived.
    fn outlived(&self, resolution: i64, max_time: i64, now_ms: i64) -> Option<i64> {
        let kept_ms = self.of(resolution)?;
        (now_ms > max_time.saturating_add(kept_ms)).then_some(kept_ms)
    }

    /// Which blocks to mark. Blocks of the groups in `unsettled`, whose merges could not be done,
    /// stay: they may yet grow into something that is to be downsampled.
    #[must_use]
    pub fn apply(
        &self,
        view: &View,
        selection: &Selection,
        unsettled: &BTreeSet<GroupKey>,
        now_ms: i64,
    ) -> Verdict {
        let (due, holders) = match self.downsampling {
            true => {
                let holders = staying(view, selection);
                (self.awaited(selection, &holders, now_ms), holders)
            }
            false => Default::default(),
        };
        let mut verdict = Verdict::default();
        for (id, meta) in &selection.wanted {
            let resolution = meta.thanos.downsample.resolution;
            let Some(kept) = self.outlived(resolution, meta.max_time, now_ms) else {
                continue;
            };
            let unfinished = self.downsampling
                && resolution != resolution::ONE_HOUR
                && unsettled.contains(&meta.group_key());
            if due.contains(id) || unfinished {
                verdict.waiting.insert(*id);
                continue;
            }
            let marked = view
                .blocks
                .get(id)
                .is_some_and(|info| info.marks.get(MarkKind::Deletion).present().is_some());
            if !marked {
                let replaced_by = self.replaced_by(&holders, meta, now_ms);
                let expired = Expired::new(*id, kept, false);
                verdict.expired.push(Expired {
                    replaced_by,
                    ..expired
                });
            }
        }
        self.add_orphans(view, selection, now_ms, &mut verdict);
        verdict
    }

    /// The blocks of which something is to be made that is still kept: what is made of them next, or
    /// of that in turn.
    fn awaited(&self, selection: &Selection, holders: &Holders, now_ms: i64) -> BTreeSet<BlockId> {
        let hours = holders.get(&resolution::ONE_HOUR);
        let is_there = |source| hours.is_some_and(|hours| hours.contains_key(source));
        let kept = |resolution, meta: &Meta| {
            let outlived = self.outlived(resolution, meta.max_time, now_ms);
            outlived.is_none()
        };
        let awaited = due_beside(selection, holders).into_iter();
        let awaited = awaited.filter(|(_, target, meta)| {
            kept(*target, meta)
                || meta.duration_ms() >= DOWNSAMPLE_FIVE_MINUTES_MS
                    && kept(resolution::ONE_HOUR, meta)
                    && !meta.compaction.sources.iter().all(is_there)
        });
        awaited.map(|(id, _, _)| id).collect()
    }

    /// What holds what is kept of a block, at lower resolutions.
    fn replaced_by(&self, holders: &Holders, meta: &Meta, now_ms: i64) -> BTreeSet<BlockId> {
        let coarser = (meta.thanos.downsample.resolution + 1)..;
        let kept = holders.range(coarser).filter(|(resolution, _)| {
            let outlived = self.outlived(**resolution, meta.max_time, now_ms);
            outlived.is_none()
        });
        let sources = &meta.compaction.sources;
        kept.flat_map(|(_, of)| sources.iter().filter_map(|source| of.get(source)))
            .copied()
            .collect()
    }

    /// Blocks that were marked as replaced, whose replacement is gone too.
    fn add_orphans(&self, view: &View, selection: &Selection, now_ms: i64, verdict: &mut Verdict) {
        let there = selection.wanted.keys().copied().collect();
        for id in selection.uncovered(&there) {
            let Some(info) = view.blocks.get(&id) else {
                continue;
            };
            let resolution = info.meta.thanos.downsample.resolution;
            if let Some(kept) = self.outlived(resolution, info.meta.max_time, now_ms) {
                verdict.expired.push(Expired::new(id, kept, true));
            }
        }
        verdict.expired.sort_by_key(|expired| expired.id);
    }
}

impl Expired {
    fn new(id: BlockId, kept_ms: i64, remark: bool) -> Self {
        let kept = GoDuration::from_ms(kept_ms);
        Self {
            id,
            details: format!("{}{kept}", details::RETENTION_PREFIX),
            remark,
            replaced_by: BTreeSet::new(),
        }
    }
}

/// The wanted blocks that are to be downsampled, each with the resolution of the block that is to be
/// made of it: long enough, not marked no-downsample, and no block of that resolution holds all their
/// sources. A block that names no sources is never downsampled, as in Thanos.
#[must_use]
pub fn due_downsamples(selection: &Selection) -> Vec<(BlockId, i64, &Meta)> {
    let all = selection.wanted.iter();
    due_beside(selection, &holders_among(all))
}

fn due_beside<'a>(selection: &'a Selection, holders: &Holders) -> Vec<(BlockId, i64, &'a Meta)> {
    let due = selection.wanted.iter().filter_map(|(id, meta)| {
        let (target, length) = match meta.thanos.downsample.resolution {
            resolution::RAW => (resolution::FIVE_MINUTES, DOWNSAMPLE_RAW_MS),
            resolution::FIVE_MINUTES => (resolution::ONE_HOUR, DOWNSAMPLE_FIVE_MINUTES_MS),
            _ => return None,
        };
        let held = |source| {
            holders
                .get(&target)
                .is_some_and(|all| all.contains_key(source))
        };
        let missing = !meta.compaction.sources.iter().all(held);
        let wanted = meta.duration_ms() >= length && !selection.no_downsample.contains(id);
        (missing && wanted).then_some((*id, target, &**meta))
    });
    due.collect()
}

/// Of each resolution the sources that blocks of it hold, each with one of these blocks.
type Holders = BTreeMap<i64, BTreeMap<BlockId, BlockId>>;

fn holders_among<'a>(blocks: impl Iterator<Item = (&'a BlockId, &'a Arc<Meta>)>) -> Holders {
    let mut holders = Holders::new();
    for (id, meta) in blocks {
        let of = holders
            .entry(meta.thanos.downsample.resolution)
            .or_default();
        of.extend(meta.compaction.sources.iter().map(|source| (*source, *id)));
    }
    holders
}

/// The holders that stay: a block that carries a deletion mark keeps nothing from being lost, although it is served for a while.
/// Where another one replaced it, that one counts, unless it goes too: then the mark may soon say so of both.
fn staying(view: &View, selection: &Selection) -> Holders {
    let stays = |id: &BlockId| {
        let info = view.blocks.get(id);
        // Nobody acts on a mark of a later version.
        info.is_some_and(|info| {
            let mark = info.marks.get(MarkKind::Deletion);
            matches!(mark, MarkState::Absent | MarkState::UnknownVersion)
        })
    };
    // What replaces nothing yet, because an older block that goes is served beside it.
    let waiting = selection.superseded.keys();
    let waiting = waiting.filter_map(|id| Some((id, &view.blocks.get(id)?.meta)));
    let all = selection.wanted.iter().chain(waiting);
    holders_among(all.filter(|(id, _)| stays(id)))
}

#[cfg(test)]
mod tests;
