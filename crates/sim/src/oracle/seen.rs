//! Which scenarios of the catalogue an effect on the bucket amounts to.

use rutile_block::{BlockId, meta_key, resolution};

use super::{Oracle, Role, is_of_uploader, mark_of, marked_ms};
use crate::objects::Objects;
use crate::scenario::CONTRACT;

impl Oracle {
    pub(super) fn saw_maker(&mut self, by: (Role, &str), id: BlockId) {
        let other = |(block, name): &(BlockId, String)| *block == id && name != by.1;
        if by.0 == Role::Uploader && self.makers.iter().any(other) {
            self.reach("S4");
        }
    }

    pub(super) fn saw_commit(
        &mut self,
        objects: &Objects,
        by: (Role, &str),
        id: BlockId,
        now_ms: i64,
    ) {
        let Some(meta) = objects.meta(id) else {
            return;
        };
        if self.seen_partial.contains(&id) && by.0 == Role::Uploader {
            self.reach("S40");
        }
        if !objects.is_whole(&meta) && by.0 == Role::Uploader {
            self.reach("S5");
        }
        if is_of_uploader(&meta) {
            if now_ms - id.time_ms() > CONTRACT.partial_age_ms {
                self.reach("S6");
            }
            let mut others = objects
                .committed()
                .into_iter()
                .filter_map(|id| objects.meta(id));
            let later = others.any(|other| {
                other.compaction.level > 1
                    && other.thanos.labels == meta.thanos.labels
                    && other.max_time > meta.min_time
            });
            if later {
                self.reach("S18");
            }
            return;
        }
        if by.0 == Role::Uploader {
            // A copy from another bucket.
            return;
        }
        let resolution = meta.thanos.downsample.resolution;
        if resolution == resolution::FIVE_MINUTES
            && self
                .retention
                .raw
                .is_some_and(|ms| now_ms > meta.max_time + ms)
        {
            self.reach("S48");
        }
        let marked = |source: &BlockId| marked_ms(objects, *source).is_some();
        if meta.compaction.sources.iter().any(marked) {
            self.reach("S24");
        }
        let Some(cells) = self.cells_of(&meta) else {
            return;
        };
        let makers = self.outputs.entry(cells).or_default();
        let (known, other) = (!makers.is_empty(), makers.iter().any(|name| name != by.1));
        makers.insert(by.1.to_owned());
        if known {
            self.reach("S23");
        }
        if other {
            self.reach("S19");
        }
    }

    pub(super) fn saw_mark(&mut self, objects: &Objects, role: Role, id: BlockId, now_ms: i64) {
        if objects.now(&meta_key(id)).is_none() {
            self.reach("S36");
        }
        let Some(mark) = mark_of(objects, id) else {
            if role == Role::Person {
                self.spoilt_ms.insert(id, now_ms);
                // Nobody can tell any more that it was to go.
                self.erased.retain(|_, (_, block)| *block != id);
            }
            return;
        };
        self.spoilt_ms.remove(&id);
        let by_compactor = |name: &str| name.starts_with("compactor");
        if role == Role::Person && self.is_merging(objects, by_compactor) {
            self.reach("S25");
        }
        let is_output = |id| { objects.meta(id) }.is_some_and(|meta| meta.compaction.level > 1);
        if mark.is_by_retention() && is_output(id) {
            self.reach("S51");
        }
    }

    pub(super) fn saw_delete(&mut self, name: &str, id: BlockId) {
        let other = |(block, by): &(BlockId, String)| *block == id && by != name;
        if self.deleters.iter().any(other) {
            self.reach("S39");
        }
        self.deleters.insert((id, name.to_owned()));
    }
}
