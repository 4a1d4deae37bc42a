//! Whether a block's `meta.json` tells the truth about its times.
//!
//! A block that claims more time than it has looks as if it overlapped its neighbours, which would be
//! left alone for its sake for ever. But a claim that is wider than the samples is no lie by itself:
//! a head cuts its blocks at windows of fixed length, whether there were samples at their ends or
//! not, and a gap may be filled by somebody else's block. So a block is convicted by what no honest
//! writer can make of its samples, and only of what would settle an overlap:
//!
//! - A merged block claims time of which none of the blocks that it was made of, whose times
//!   `meta.json` names too, had any.
//! - A head's block claims time outside of the two-hour windows of its first and its last sample,
//!   in a group whose other heads' blocks show that two hours is how long their windows are.
//!
//! Suspicion needs the metadata only; then the index, which says where the samples are, is read once.

use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use parking_lot::Mutex;
use rutile_block::{BlockId, Mark, Meta};
use rutile_fetcher::BlockInfo;
use rutile_merge::Fault;

use crate::group::{Group, Hold, Member};
use crate::{Compactor, Error, Result};

/// The reason of the no-compact mark of a block whose times are wrong.
pub(crate) const WRONG_TIMES: &str = "wrong-times";
/// How long the windows of a head are by default, and as Thanos wants them.
const WINDOW: i64 = 2 * 3_600_000;

/// Blocks whose index was read and that tell the truth, as far as can be told.
#[derive(Debug, Default)]
pub(crate) struct Acquitted(Mutex<BTreeSet<BlockId>>);

/// A block that may claim more time than it has.
#[derive(Debug)]
struct Suspect {
    meta: Arc<Meta>,
    /// The times of all the blocks that it was made of; none for a head's block.
    parents: Option<Range<i64>>,
}

impl Compactor {
    /// Whether a block of a group may lie about its times, as far as nobody has looked yet.
    pub(crate) fn is_suspicious(&self, group: &Group) -> bool {
        let acquitted = self.acquitted.0.lock();
        let mut suspects = suspects(group).into_iter();
        suspects.any(|suspect| !acquitted.contains(&suspect.meta.id))
    }

    /// Marks the blocks of a group that overlap others only because they lie about their times. How
    /// many they were.
    pub(crate) async fn expose(&self, group: &Group) -> Result<usize> {
        let mut exposed = 0;
        for suspect in suspects(group) {
            let meta = &*suspect.meta;
            if self.acquitted.0.lock().contains(&meta.id) {
                continue;
            }
            match self.times_of(meta).await {
                Ok(Some(samples)) if suspect.is_guilty(&samples) => {
                    let details = details(meta, &samples);
                    tracing::error!(block = %meta.id, details, "the block is left out of compactions from now on: restore its meta.json, then remove its mark with `rutile-tools bucket mark --marker no-compact-mark.json --remove`");
                    self.exclude(meta.id, WRONG_TIMES, &details).await?;
                    exposed += 1;
                }
                Ok(_) => {
                    self.acquitted.0.lock().insert(meta.id);
                }
                Err((error, Some(fault))) => {
                    self.quarantine(fault, &error).await?;
                    exposed += 1;
                }
                Err((error, None)) => return Err(error),
            }
        }
        Ok(exposed)
    }

    /// Where the samples are. What a bad line damaged is well when it is read again.
    async fn times_of(
        &self,
        meta: &Meta,
    ) -> Result<Option<RangeInclusive<i64>>, (Error, Option<Fault>)> {
        let times = match self.merger.times(meta).await {
            Err(first) if first.fault().is_some() => {
                let again = self.merger.times(meta).await;
                again.map_err(|error| {
                    let same = error.fault() == first.fault();
                    let fault = error.fault().filter(|_| same);
                    (error, fault)
                })
            }
            times => times.map_err(|error| (error, None)),
        };
        times.map_err(|(error, fault)| (error.into(), fault))
    }
}

impl Acquitted {
    /// Forgets blocks that are gone.
    pub(crate) fn retain(&self, there: impl Fn(&BlockId) -> bool) {
        self.0.lock().retain(|id| there(id));
    }
}

/// The blocks of a group that overlap others, and of which that may be a lie.
fn suspects(group: &Group) -> Vec<Suspect> {
    let overlapping = |member: &&Member| matches!(member.held, Some(Hold::Overlaps(_)));
    let suspects = group.blocks.iter().filter(overlapping);
    let suspects = suspects.filter_map(|member| {
        let meta = Arc::clone(&member.meta);
        let parents = parents(&meta);
        let suspicious = match &parents {
            Some(parents) => meta.min_time < parents.start || meta.max_time > parents.end,
            None => length(&span(&meta)) > WINDOW && is_head(&meta) && cuts_windows(group, meta.id),
        };
        suspicious.then_some(Suspect { meta, parents })
    });
    suspects.collect()
}

impl Suspect {
    fn is_guilty(&self, samples: &RangeInclusive<i64>) -> bool {
        let (first, last) = (*samples.start(), *samples.end());
        let possible = match &self.parents {
            Some(parents) => parents.clone(),
            None => window(first).start..window(last).end,
        };
        let claimed = span(&self.meta);
        // Samples that no parent had: then it is the parents of which nothing is known.
        let consistent = possible.start <= first && last <= possible.end;
        consistent && (claimed.start < possible.start || claimed.end > possible.end)
    }
}

/// Whether the other heads' blocks of a group show windows of two hours: none is longer, one is just
/// such a window. Then no head can have made a longer one.
fn cuts_windows(group: &Group, but: BlockId) -> bool {
    let others = group.blocks.iter().filter(|member| member.meta.id != but);
    let heads = others.flat_map(|member| {
        let meta = &*member.meta;
        let merged = meta.compaction.level == 2;
        let parents = meta.compaction.parents.iter().filter(move |_| merged);
        let parents = parents.map(|parent| parent.min_time..parent.max_time);
        is_head(meta).then(|| span(meta)).into_iter().chain(parents)
    });
    let mut shown = false;
    for head in heads {
        if length(&head) > WINDOW {
            return false;
        }
        shown |= head == window(head.start);
    }
    shown
}

/// The times of all blocks that a merged block was made of.
fn parents(meta: &Meta) -> Option<Range<i64>> {
    let parents = &meta.compaction.parents;
    let start = parents.iter().map(|parent| parent.min_time).min()?;
    let end = parents.iter().map(|parent| parent.max_time).max()?;
    // The parent that a block of level 1 names is a head, and its times mean nothing.
    (!is_head(meta)).then_some(start..end)
}

fn is_head(meta: &Meta) -> bool {
    meta.compaction.level <= 1
}

fn span(meta: &Meta) -> Range<i64> {
    meta.min_time..meta.max_time
}

fn length(range: &Range<i64>) -> i64 {
    range.end.saturating_sub(range.start)
}

/// The window that holds a time.
fn window(time: i64) -> Range<i64> {
    let start = time.saturating_sub(time.rem_euclid(WINDOW));
    start..start.saturating_add(WINDOW)
}

/// What the mark says; the last word is for [`proven`].
fn details(meta: &Meta, samples: &RangeInclusive<i64>) -> String {
    let Meta {
        id,
        min_time,
        max_time,
        ..
    } = meta;
    let (first, last) = samples.clone().into_inner();
    format!(
        "rutile-compact: meta.json of block {id} claims the times {min_time}..{max_time}, its samples lie in {first}..{last}"
    )
}

/// Where the samples of a block are, if its mark tells that its metadata lie about it.
pub(crate) fn proven(info: &BlockInfo) -> Option<Range<i64>> {
    let Mark::NoCompact(mark) = &info.marks.no_compact.present()?.mark else {
        return None;
    };
    if mark.reason != WRONG_TIMES {
        return None;
    }
    let (_, samples) = mark.details.rsplit_once(' ')?;
    let (first, last) = samples.split_once("..")?;
    let (first, last): (i64, i64) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then(|| first..last.saturating_add(1))
}

#[cfg(test)]
mod tests;
