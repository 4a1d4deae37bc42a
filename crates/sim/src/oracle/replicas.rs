//! What is made of replicas (BC-13): what each block holds, and whether an output stands for its inputs.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use rutile_block::{BlockId, Meta, chunk_key, index_key};
use rutile_dedup::Function;
use rutile_model::Labels;

use super::Oracle;
use crate::cell::{Cell, Samples, decode, stream_of};
use crate::cells::Cells;
use crate::objects::Objects;
use crate::replicas::{REPLICA, SCRAPE_MS};

/// How long a replica waits before it takes the place of another one, at first, ms; and how far apart their scrapes are.
const TOLERANCE_MS: i64 = 5_000;

/// What blocks hold where replicas are merged: not always all that their sources held.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// How replicas are merged, if there are any.
    pub(crate) function: Option<Function>,
    known: BTreeMap<BlockId, Content>,
}

/// What a block holds.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    labels: Labels,
    times: Range<i64>,
    pub(crate) samples: Samples,
}

impl Contents {
    /// Remembers what a block holds, by the cell that it is.
    pub(super) fn remember_cell(&mut self, cell: &Cell) {
        let content = content_of(&cell.meta, cell.samples.clone());
        self.known.insert(cell.id, content);
    }
}

impl Content {
    /// What tells its series from those of others in answers.
    pub(crate) fn stream(&self) -> String {
        stream_of(|name| self.labels.get(name))
    }
}

/// The values of a series, by their times: replicas do not always agree.
type Values = BTreeMap<i64, BTreeSet<u64>>;

impl Oracle {
    /// Whether replicas are merged in this run.
    pub(crate) fn has_replicas(&self) -> bool {
        self.contents.function.is_some()
    }

    /// Remembers what a block held when it was committed.
    pub(super) fn remember(&mut self, objects: &Objects, id: BlockId) {
        if self.may_overlap()
            && let Some(content) = self.content(objects, id)
        {
            self.contents.known.insert(id, content);
        }
    }

    /// What a block holds, or held.
    pub(crate) fn content(&self, objects: &Objects, id: BlockId) -> Option<Content> {
        if let Some(content) = self.contents.known.get(&id) {
            return Some(content.clone());
        }
        if let Some(cell) = self.by_source.get(&id).and_then(|at| self.cells.get(*at)) {
            return Some(content_of(&cell.meta, cell.samples.clone()));
        }
        let body = |key: &str| objects.now(key).map(|(body, _)| body);
        let (index, chunks) = (body(&index_key(id))?, body(&chunk_key(id, 1))?);
        Some(content_of(&objects.meta(id)?, decode(index, chunks).ok()?))
    }

    /// Whether blocks have the same external labels, as far as they are known.
    pub(crate) fn is_one_stream(&self, objects: &Objects, a: BlockId, b: BlockId) -> bool {
        let labels = |id| self.content(objects, id).map(|content| content.labels);
        labels(a) == labels(b)
    }

    /// Holds the merge of what may be replicas against its inputs.
    pub(super) fn check_merge(
        &mut self,
        objects: &Objects,
        meta: &Meta,
        (cells, found): (Cells, &Samples),
    ) -> Result<(), String> {
        let parents = meta.compaction.parents.iter().map(|parent| parent.id);
        let of_parents = parents.clone().fold(0, |all, id| all | self.held_by(id));
        if of_parents != cells {
            return Err("its sources are not those of its inputs".to_owned());
        }
        let contents = parents.map(|id| {
            let content = self.content(objects, id);
            content.ok_or_else(|| format!("its input {id} is not known"))
        });
        let contents: Vec<Content> = contents.collect::<Result<_, _>>()?;
        check_labels(&meta.thanos.labels, &contents)?;
        let union = union_of(&contents);
        let mut values = union.values().flat_map(BTreeMap::values);
        if values.any(|values| values.len() > 1) {
            self.reach("S29");
        }
        let function = match self.contents.function {
            Some(function) if overlap(&contents) => function,
            _ => Function::Chain,
        };
        check_samples(function, &union, found)
    }

    /// Compactors start with other replica labels. Whether a part of the blocks has been compacted with those that they had.
    pub(crate) fn saw_turn(&mut self, objects: &Objects) {
        let blocks = objects.committed().into_iter();
        let levels = blocks.filter_map(|id| Some(objects.meta(id)?.compaction.level));
        let levels: BTreeSet<u32> = levels.map(|level| level as u32).collect();
        if levels.contains(&1) && levels.len() > 1 {
            self.reach("S27");
        }
    }
}

fn content_of(meta: &Meta, samples: Samples) -> Content {
    Content {
        labels: meta.thanos.labels.clone(),
        times: meta.min_time..meta.max_time,
        samples,
    }
}

/// An output has the labels of its inputs, or, if these are of several replicas, those that they share.
fn check_labels(labels: &Labels, inputs: &[Content]) -> Result<(), String> {
    let without = |labels: &Labels| labels.without(&[REPLICA.to_owned()]);
    let alike = inputs.iter().all(|input| input.labels == *labels);
    let merged = inputs.iter().all(|input| without(&input.labels) == *labels);
    match alike || merged {
        true => Ok(()),
        false => Err(format!("its labels {labels} are not those of its inputs")),
    }
}

fn union_of(inputs: &[Content]) -> BTreeMap<&str, Values> {
    let mut union: BTreeMap<&str, Values> = BTreeMap::new();
    for (series, samples) in inputs.iter().flat_map(|input| &input.samples) {
        let values = union.entry(series).or_default();
        for (t, value) in samples {
            values.entry(*t).or_default().insert(*value);
        }
    }
    union
}

/// Whether two of these blocks share time.
fn overlap(blocks: &[Content]) -> bool {
    let mut times: Vec<&Range<i64>> = blocks.iter().map(|block| &block.times).collect();
    times.sort_by_key(|times| times.start);
    !times.is_sorted_by(|a, b| a.end <= b.start)
}

fn check_samples(
    function: Function,
    union: &BTreeMap<&str, Values>,
    found: &Samples,
) -> Result<(), String> {
    for (series, samples) in found {
        let values = union.get(series.as_str());
        let known = |t, value| values.and_then(|values| values.get(t)?.get(value));
        if let Some((t, _)) = samples.iter().find(|(t, value)| known(t, value).is_none()) {
            return Err(format!("no input holds its sample of {series} at {t}"));
        }
    }
    for (series, values) in union {
        let Some(samples) = found.get(*series) else {
            return Err(format!("it lacks the series {series}"));
        };
        if let Some(t) = uncovered(function, values, samples) {
            return Err(format!("it lacks {series} at {t}, by {function}"));
        }
    }
    Ok(())
}

/// A time at which an input has a sample, and of which the output tells nothing that the function stands for.
fn uncovered(function: Function, values: &Values, found: &BTreeMap<i64, u64>) -> Option<i64> {
    let mut missing = values.keys().copied().filter(|t| !found.contains_key(t));
    match function {
        Function::Chain => missing.next(),
        // A replica goes on for one and a half intervals before another one takes its place.
        Function::Replica => missing.find(|t| {
            let near = t - SCRAPE_MS * 3 / 2..=t + TOLERANCE_MS;
            found.range(near).next().is_none()
        }),
        Function::Penalty => missing.find(|t| *t > waits_until(found, *t)),
    }
}

/// Up to when one replica or the other has to wait by the samples before a time: for twice the step to each.
fn waits_until(found: &BTreeMap<i64, u64>, t: i64) -> i64 {
    let mut last = None;
    let mut until = i64::MIN;
    for (at, _) in found.range(..t) {
        let step = last.map_or(0, |last| at - last);
        until = until.max(at + (2 * step).max(TOLERANCE_MS));
        last = Some(*at);
    }
    until
}
