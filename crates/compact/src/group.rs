//! Which blocks may be merged with each other, and which of them must be left alone.
//!
//! A group is the blocks of one resolution and one set of external labels. Of these, a block that
//! must not be an input still holds its place in time: nothing is merged across it, so that no output
//! ever overlaps it (BC-15). The state of a group is computed anew from each look at the bucket.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use foldhash::fast::RandomState;
use rutile_block::{BlockId, GroupKey, INDEX_FILE, MarkKind, Meta, Work, window_start};
use rutile_fetcher::{Selection, View};

use crate::times;

/// The blocks of one resolution and one set of external labels.
#[derive(Debug, Clone)]
pub struct Group {
    /// What they have in common.
    pub key: GroupKey,
    /// By start time, then by ULID.
    pub blocks: Vec<Member>,
    /// A block of it could not be read this time: nothing is planned until it can be (BC-11).
    pub unread: bool,
    /// How many blocks of the group are not in here because they come later: see [`Group::windows`].
    pub later: usize,
}

/// A block of a group.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its metadata.
    pub meta: Arc<Meta>,
    /// From when to when its samples are: what its metadata say, unless it was found that they lie.
    pub times: Range<i64>,
    /// Size of its index, bytes; 0 where it is not known yet.
    pub index_bytes: u64,
    /// Why it is no input of a merge, if so.
    pub held: Option<Hold>,
}

/// Why a block is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// It is marked no-compact.
    NoCompact,
    /// It has a deletion mark, of whatever state (BC-15).
    MarkedForDeletion,
    /// It overlaps that block in time, and there is no vertical compaction, or that block is marked
    /// for deletion.
    Overlaps(BlockId),
    /// It and that block name a common source, though they do not overlap: one of the two lies.
    SharesSource(BlockId),
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCompact => f.write_str("marked no-compact"),
            Self::MarkedForDeletion => f.write_str("marked for deletion"),
            Self::Overlaps(other) => write!(f, "overlaps {other}"),
            Self::SharesSource(other) => write!(f, "has a source in common with {other}"),
        }
    }
}

/// The groups of a look at the bucket.
#[derive(Debug, Clone, Default)]
pub struct Groups {
    /// In order of their names (`<resolution>@<hash>`), as Thanos goes through them.
    pub groups: Vec<Group>,
    /// Blocks of which nothing is known for now: any group may hold them, so none is planned (BC-11).
    pub unplaced: BTreeSet<BlockId>,
}

impl Groups {
    /// Sorts the wanted blocks of a selection into groups. With `vertical` compaction blocks that
    /// overlap are not held for that.
    #[must_use]
    pub fn of(view: &View, selection: &Selection, vertical: bool) -> Self {
        let mut members: BTreeMap<GroupKey, Vec<Member>> = BTreeMap::new();
        for (id, meta) in &selection.wanted {
            let proven = view.blocks.get(id).and_then(times::proven);
            let member = Member {
                meta: Arc::clone(meta),
                times: proven.unwrap_or(meta.min_time..meta.max_time),
                index_bytes: meta.file(INDEX_FILE).map_or(0, |file| file.size_bytes),
                held: hold(*id, view, selection),
            };
            members.entry(meta.group_key()).or_default().push(member);
        }
        let mut groups: Vec<(String, Group)> = members
            .into_iter()
            .map(|(key, blocks)| (key.to_string(), Group::new(key, blocks, vertical)))
            .collect();
        groups.sort_by(|a, b| a.0.cmp(&b.0));
        let mut unread = BTreeSet::new();
        let mut unplaced = BTreeSet::new();
        for id in &selection.unread {
            let known = view.blocks.get(id).map(|info| &info.meta);
            match selection.wanted.get(id).or(known) {
                Some(meta) => unread.insert(meta.group_key()),
                None => unplaced.insert(*id),
            };
        }
        let groups = groups.into_iter().map(|(_, mut group)| {
            group.unread = unread.contains(&group.key);
            group
        });
        Self {
            groups: groups.collect(),
            unplaced,
        }
    }
}

fn hold(id: BlockId, view: &View, selection: &Selection) -> Option<Hold> {
    let marked = |kind| {
        let info = view.blocks.get(&id);
        info.is_some_and(|info| info.marks.get(kind).is_there())
    };
    if marked(MarkKind::Deletion) {
        Some(Hold::MarkedForDeletion)
    } else {
        selection
            .no_compact
            .contains(&id)
            .then_some(Hold::NoCompact)
    }
}

impl Group {
    /// A group of these blocks, in any order; holds back what must not be merged with the others.
    /// With `vertical` compaction that is what overlaps a block that is marked for deletion: an
    /// output would hold its place in time, too (BC-15).
    #[must_use]
    pub fn new(key: GroupKey, mut blocks: Vec<Member>, vertical: bool) -> Self {
        blocks.sort_by_key(|member| (member.times.start, member.meta.id));
        if vertical {
            hold_beside_marked(&mut blocks);
        } else {
            hold_overlapping(&mut blocks);
            hold_entangled(&mut blocks);
        }
        Self {
            key,
            blocks,
            unread: false,
            later: 0,
        }
    }

    /// The group cut into windows of time that no merge reaches across, in order: each is planned as it is as a part of the
    /// whole, and can be worked on beside the others. A window that a block reaches out of is one with the next.
    #[must_use]
    pub fn windows(self) -> Vec<Self> {
        let mut windows: Vec<Self> = Vec::new();
        let mut reach = i64::MIN;
        let mut left = self.blocks.len();
        for member in self.blocks {
            let times = member.times.clone();
            match windows.last_mut() {
                Some(window) if reach > window_start(times.start) => window.blocks.push(member),
                before => {
                    if let Some(before) = before {
                        before.later = left;
                    }
                    windows.push(Self {
                        key: self.key.clone(),
                        blocks: vec![member],
                        unread: self.unread,
                        later: 0,
                    });
                }
            }
            reach = reach.max(times.end);
            left -= 1;
        }
        windows
    }

    /// What to claim before anything is done to it.
    #[must_use]
    pub fn work(&self) -> Work {
        let first = self.blocks.first().map_or(0, |member| member.times.start);
        Work::new(&self.key, first)
    }

    /// Blocks that are left alone because of another block, without those that only wait for a
    /// marked one to go.
    pub fn conflicts(&self) -> impl Iterator<Item = (&Member, Hold)> {
        let marked: BTreeSet<BlockId> = self
            .blocks
            .iter()
            .filter(|member| member.held == Some(Hold::MarkedForDeletion))
            .map(|member| member.meta.id)
            .collect();
        self.blocks.iter().filter_map(move |member| {
            let hold = member.held?;
            let (Hold::Overlaps(other) | Hold::SharesSource(other)) = hold else {
                return None;
            };
            (!marked.contains(&other)).then_some((member, hold))
        })
    }
}

/// Holds every block that shares time with another one, whatever else is said of that one.
fn hold_overlapping(blocks: &mut [Member]) {
    // The block that reaches furthest so far: what begins before its end overlaps it.
    let mut furthest: Option<usize> = None;
    for at in 0..blocks.len() {
        let Some(before) = furthest else {
            furthest = Some(at);
            continue;
        };
        let ids = (blocks[before].meta.id, blocks[at].meta.id);
        let reach = blocks[before].times.end;
        if blocks[at].times.start < reach {
            blocks[at].held.get_or_insert(Hold::Overlaps(ids.0));
            blocks[before].held.get_or_insert(Hold::Overlaps(ids.1));
        }
        if blocks[at].times.end > reach {
            furthest = Some(at);
        }
    }
}

/// Holds the blocks that share time with one that is marked for deletion.
fn hold_beside_marked(blocks: &mut [Member]) {
    let marked = |member: &&mut Member| member.held == Some(Hold::MarkedForDeletion);
    // The marked block that reaches furthest so far, then, backwards, the one that starts first.
    let mut furthest: Option<(i64, BlockId)> = None;
    for member in blocks.iter_mut() {
        let end = member.times.end;
        match furthest {
            _ if marked(&member) => {
                furthest = furthest.max(Some((end, member.meta.id)));
            }
            Some((reach, id)) if member.times.start < reach => {
                member.held.get_or_insert(Hold::Overlaps(id));
            }
            _ => {}
        }
    }
    let mut next: Option<(i64, BlockId)> = None;
    for member in blocks.iter_mut().rev() {
        match next {
            _ if marked(&member) => next = Some((member.times.start, member.meta.id)),
            Some((start, id)) if start < member.times.end => {
                member.held.get_or_insert(Hold::Overlaps(id));
            }
            _ => {}
        }
    }
}

/// Holds the blocks that name a common source: merged with others they would hold its samples twice.
fn hold_entangled(blocks: &mut [Member]) {
    let mut holder: HashMap<BlockId, usize, RandomState> = HashMap::default();
    let mut pairs = Vec::new();
    for (at, member) in blocks.iter().enumerate() {
        for source in member.meta.sources() {
            let first = *holder.entry(*source).or_insert(at);
            if first != at {
                pairs.push((first, at));
            }
        }
    }
    for (first, second) in pairs {
        let ids = (blocks[first].meta.id, blocks[second].meta.id);
        blocks[first].held.get_or_insert(Hold::SharesSource(ids.1));
        blocks[second].held.get_or_insert(Hold::SharesSource(ids.0));
    }
}

#[cfg(test)]
mod tests;
