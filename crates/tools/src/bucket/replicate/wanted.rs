//! Which blocks are to be copied.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use rutile_block::{BlockId, MarkKind, Meta};
use rutile_fetcher::View;
use rutile_fetcher::filter::time_partition::TimePartition;
use rutile_model::Matcher;

/// Which blocks are to be copied.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Of these resolutions, ms.
    pub resolutions: BTreeSet<i64>,
    /// Of these compaction levels, instead of the range, if there are any.
    pub levels: BTreeSet<i64>,
    /// Of these compaction levels.
    pub level_range: RangeInclusive<i64>,
    /// Whose external labels match.
    pub matchers: Vec<Matcher>,
    /// Of this time.
    pub time: TimePartition,
    /// These, whatever else is set, if there are any.
    pub ids: Vec<BlockId>,
    /// Not those that are marked for deletion.
    pub leave_marked: bool,
}

impl Wanted {
    /// The blocks to copy, oldest first; of those that begin together the one that holds most, so that what it holds need not follow.
    pub(super) fn of(&self, view: &View, now_ms: i64) -> Vec<Arc<Meta>> {
        let infos = view.blocks.values().filter(|info| {
            let marked = info.marks.get(MarkKind::Deletion).is_there();
            !(marked && self.leave_marked) && self.is_wanted(&info.meta, now_ms)
        });
        let mut metas: Vec<Arc<Meta>> = infos.map(|info| Arc::clone(&info.meta)).collect();
        metas.sort_by_key(|meta| {
            let held = std::cmp::Reverse(meta.sources().len());
            (
                meta.min_time,
                held,
                meta.thanos.downsample.resolution,
                meta.id,
            )
        });
        metas
    }

    fn is_wanted(&self, meta: &Meta, now_ms: i64) -> bool {
        if meta.thanos.labels.is_empty() {
            tracing::warn!(block = %meta.id, "it has no external labels, and is not copied");
            return false;
        }
        if !self.ids.is_empty() {
            return self.ids.contains(&meta.id);
        }
        let (labels, level) = (&meta.thanos.labels, meta.compaction.level);
        let of_level = match self.levels.is_empty() {
            true => self.level_range.contains(&level),
            false => self.levels.contains(&level),
        };
        self.resolutions
            .contains(&meta.thanos.downsample.resolution)
            && of_level
            && self.time.keeps(meta, now_ms)
            && self
                .matchers
                .iter()
                .all(|m| m.matches(labels.value(m.name())))
    }
}
