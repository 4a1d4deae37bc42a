//! What must hold of each answer.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use rutile_block::{BlockId, InvariantId, resolution};

use super::answer::{Answer, Held, Question};
use super::{Last, Share, border_ms};
use crate::actor::Process;
use crate::cell::Samples;
use crate::cells::{Cells, at_resolution, cells_in, readable};
use crate::objects::Objects;
use crate::oracle::Oracle;
use crate::scenario::{CONTRACT, MINUTE, Split};
use crate::world::Shared;

/// What a reader last answered with in full, by the coarsest resolution that it was asked for.
#[derive(Debug, Default)]
pub(super) struct Served {
    cells: [Cells; resolution::ALL.len()],
    /// Whether it ever read a downsampled block.
    knows_downsampled: bool,
}

/// Samples by stream, series and cell: how many, and their sum.
type Counts = BTreeMap<(String, String, usize), (f64, f64)>;

/// What was seen so long ago that others may have deleted it must not be answered from.
pub(super) fn check_age(process: &Process, age_ms: i64) {
    if age_ms > CONTRACT.max_view_age_ms() + MINUTE {
        let (name, minutes) = (&process.actor.name, age_ms / MINUTE);
        let what = format!("{name} answers from what it saw {minutes} minutes ago");
        process.world.violate(InvariantId::Bc17, &what);
    }
}

/// What is not served any more, and whole in the bucket, must be replaced: a warning is no excuse.
pub(super) fn check_in_place(
    process: &Process,
    share: &Share,
    before: &[BlockId],
    now: &[BlockId],
) {
    let world = &process.world;
    let now_ms = world.now_ms();
    world.change(|shared| {
        let (objects, oracle) = (&shared.objects, &mut shared.oracle);
        let covered = now.iter().fold(0, |all, id| all | oracle.held_by(*id));
        let covered = covered | share.elsewhere(oracle, objects);
        for id in before.iter().filter(|id| !now.contains(id)) {
            let lost = oracle.held_by(*id) & !covered & !oracle.given_up;
            if lost != 0 && oracle.is_to_be_served(objects, *id, now_ms) {
                let name = &process.actor.name;
                let what = format!("{name} drops {id}, which is whole, and serves nothing instead");
                oracle.violate(InvariantId::Bc7, what);
            }
        }
    });
}

/// Holds a full answer against what the blocks hold, and against what the reader had before.
pub(super) fn check_answer(
    process: &Process,
    share: &Share,
    question: &Question,
    answer: &Answer,
    (served, last): (&mut Served, &Mutex<Last>),
) {
    let world = &process.world;
    let at_ms = world.elapsed_ms();
    world.change(|shared| {
        shared.counts.answers += 1;
        let Shared {
            objects, oracle, ..
        } = shared;
        check_doubles(process, (oracle, objects), answer);
        let held = answer.blocks.iter().map(|id| oracle.held_by(*id));
        let all = held.fold(0, |all, cells| all | cells);
        let content = match oracle.may_overlap() {
            true => check_replicas(oracle, objects, answer),
            false => check_content(oracle, question, answer, all),
        };
        if let Err(error) = content {
            let what = format!("{} {error}", process.actor.name);
            oracle.violate(InvariantId::Bc17, what);
        }
        let at = resolution::ALL.iter().position(|r| *r == question.max_resolution);
        let had = &mut served.cells[at.unwrap_or(0)];
        let gone = match question.max_resolution {
            // Who never read one cannot know that there is any.
            1.. if !served.knows_downsampled => 0,
            _ => lost(oracle, question, *had, all),
        };
        let elsewhere = question.others | share.elsewhere(oracle, objects);
        let elsewhere = readable(elsewhere, question.max_resolution);
        let spans = |id: &BlockId| {
            let border_ms = border_ms(&world.scenario);
            let meta = objects.meta(*id);
            meta.is_some_and(|meta| meta.min_time < border_ms && meta.max_time > border_ms)
        };
        match world.scenario.split {
            Some(Split::Shards) if gone & elsewhere != 0 => oracle.reach("S57"),
            Some(Split::Times) if answer.blocks.iter().any(spans) => oracle.reach("S58"),
            _ => {}
        }
        if let Some(at) = cells_in(gone & !elsewhere).next() {
            let (name, id) = (&process.actor.name, oracle.name(at));
            let (asked, blocks) = (question.max_resolution, oracle.describe(&answer.blocks));
            let what = format!(
                "monotonic coverage: {name}, asked for {asked} ms, does not say that it lacks {id}, which it had: {blocks}"
            );
            oracle.violate(InvariantId::Bc7, what);
        }
        if !question.slow {
            check_erased(process, oracle, all);
        }
        *had = all;
        served.knows_downsampled |= readable(all, resolution::ONE_HOUR) != at_resolution(all, resolution::RAW);
        *last.lock() = Last { cells: all, at_ms };
    });
}

/// The cells, by their raw samples, that a reader had and lacks now, although they are to stay.
fn lost(oracle: &Oracle, question: &Question, served: Cells, all: Cells) -> Cells {
    let max_resolution = question.max_resolution;
    let missing = readable(served, max_resolution) & !readable(all, max_resolution);
    let kept = match max_resolution {
        // Whoever was told of them: what was served was committed.
        resolution::RAW => served & !oracle.given_up,
        _ => question.owed & !oracle.given_up,
    };
    missing & readable(kept, max_resolution)
}

/// No block is read beside one that holds all that it holds, and no sample is there twice.
fn check_doubles(process: &Process, (oracle, objects): (&mut Oracle, &Objects), answer: &Answer) {
    let name = &process.actor.name;
    let held: Vec<Cells> = { answer.blocks.iter() }
        .map(|id| oracle.held_by(*id))
        .collect();
    for (at, cells) in held.iter().enumerate() {
        let twice = held.iter().enumerate();
        let twice = twice.filter(|(other, more)| *other != at && cells & !*more == 0);
        // Until they go, replicas stand beside what was made of them: their labels keep them apart.
        let mut twice = twice.filter(|(other, _)| {
            let (a, b) = (answer.blocks[at], answer.blocks[*other]);
            !oracle.may_overlap() || oracle.is_one_stream(objects, a, b)
        });
        if let Some((other, _)) = twice.next() {
            let (a, b) = (answer.blocks[at], answer.blocks[other]);
            let what = format!("no double counting: {name} reads {a} and {b}, which holds it");
            oracle.violate(InvariantId::Bc8, what);
        }
    }
    if oracle.may_overlap() {
        // What blocks that overlap hold may be there as often: `check_replicas` counts.
        return;
    }
    if let Some(error) = &answer.twice {
        let what = format!("no double counting: {name}: {error}");
        oracle.violate(InvariantId::Bc8, what);
    }
}

/// Whether an answer is what the blocks that were served hold at the resolution that was asked for.
fn check_content(
    oracle: &Oracle,
    question: &Question,
    answer: &Answer,
    all: Cells,
) -> Result<(), String> {
    if question.max_resolution == resolution::RAW {
        let mut expected: BTreeMap<String, Samples> = BTreeMap::new();
        for cell in cells_in(at_resolution(all, resolution::RAW)) {
            let cell = &oracle.cells[cell];
            let of_stream = expected.entry(cell.stream()).or_default();
            for (series, samples) in &cell.samples {
                of_stream.entry(series.clone()).or_default().extend(samples);
            }
        }
        return match expected == answer.samples {
            true => Ok(()),
            false => Err("does not answer with what the blocks that it reads hold".to_owned()),
        };
    }
    let expected = expected_counts(oracle, readable(all, question.max_resolution));
    let found = found_counts(oracle, answer)?;
    for ((stream, series, cell), (count, sum)) in &expected {
        let key = (stream.clone(), series.clone(), *cell);
        let found = found.get(&key).copied().unwrap_or_default();
        // Blocks of different resolutions overlap where they do not end together, and those of one where one was made of
        // more than another. A querier takes what comes first.
        let cells = answer.blocks.iter().map(|id| oracle.held_by(*id));
        let held = cells.filter(|cells| readable(*cells, question.max_resolution) >> cell & 1 == 1);
        let held = held.count();
        let whole = (1..=held).any(|n| found == (n as f64 * count, n as f64 * sum));
        if !whole {
            let (id, asked) = (oracle.name(*cell), question.max_resolution);
            return Err(format!(
                "answers with {found:?} samples and their sum of {id}, which has {count} and {sum} in {held} blocks, \
                 asked for {asked} ms, from {}",
                oracle.describe(&answer.blocks)
            ));
        }
    }
    match found.len() == expected.len() {
        true => Ok(()),
        false => Err("answers with more than the blocks that it reads hold".to_owned()),
    }
}

/// Whether an answer is what the blocks that were served hold, where they may overlap: all of it, and no sample more often
/// than there are blocks with it.
fn check_replicas(oracle: &Oracle, objects: &Objects, answer: &Answer) -> Result<(), String> {
    let mut expected = Held::new();
    for id in &answer.blocks {
        let Some(content) = oracle.content(objects, *id) else {
            return Err(format!("reads {id}, which nobody knows"));
        };
        for (series, samples) in &content.samples {
            let held = expected.entry((content.stream(), series.clone()));
            let held = held.or_default();
            for (t, value) in samples {
                *held.entry((*t, *value)).or_default() += 1;
            }
        }
    }
    let found = &answer.held;
    let series = expected.keys().chain(found.keys());
    let none = BTreeMap::new();
    for series in series {
        let expected = expected.get(series).unwrap_or(&none);
        let found = found.get(series).unwrap_or(&none);
        let same = expected.keys().eq(found.keys());
        let mut both = expected.values().zip(found.values());
        if !same || both.any(|(there, found)| found > there) {
            let blocks = oracle.describe(&answer.blocks);
            return Err(format!(
                "does not answer with what the blocks that it reads hold of {series:?}: {blocks}"
            ));
        }
    }
    Ok(())
}

fn expected_counts(oracle: &Oracle, cells: Cells) -> Counts {
    let mut all = Counts::new();
    for at in cells_in(cells) {
        let cell = &oracle.cells[at];
        for (series, samples) in &cell.samples {
            let sum = samples.values().map(|value| f64::from_bits(*value)).sum();
            let key = (cell.stream(), series.clone(), at);
            all.insert(key, (samples.len() as f64, sum));
        }
    }
    all
}

fn found_counts(oracle: &Oracle, answer: &Answer) -> Result<Counts, String> {
    let mut all = Counts::new();
    for ((stream, series), counted) in &answer.counted {
        for (t, (count, sum)) in counted {
            let mut cells = oracle.cells.iter();
            let at = cells.position(|cell| {
                let times = cell.meta.min_time..cell.meta.max_time;
                times.contains(t) && cell.stream() == *stream
            });
            let at = at.ok_or_else(|| format!("answers with a window at {t} that is nobody's"))?;
            let key = (stream.clone(), series.clone(), at);
            let (counts, sums) = all.entry(key).or_default();
            *counts += count;
            *sums += sum;
        }
    }
    Ok(all)
}

/// What was erased long ago does not come back.
fn check_erased(process: &Process, oracle: &mut Oracle, all: Cells) {
    let now_ms = process.world.now_ms();
    let bound = 2 * CONTRACT.delete_delay_ms + CONTRACT.ignore_delay_ms + 60 * MINUTE;
    let returned = cells_in(all).find(|cell| {
        let erased = oracle.erased.get(cell);
        erased.is_some_and(|(since_ms, _)| now_ms - since_ms > bound)
    });
    if let Some(at) = returned {
        let (name, id) = (&process.actor.name, oracle.name(at));
        let what = format!("no return: {name} answers with {id}, which was erased long ago");
        oracle.violate(InvariantId::Bc15, what);
    }
}
