use rutile_block::{BlockDesc, GroupKey, MarkKind, resolution};
use rutile_fetcher::{MarkState, Marks, PresentMark};
use rutile_model::Labels;
use rutile_objstore::Attributes;

use super::*;

const HOUR: i64 = 3_600_000;

/// Blocks from one hour to another, of level 1 or of the level behind the colon.
fn group(blocks: &str, parents: &[(u8, &str)]) -> Group {
    let numbered = (1_u8..).zip(blocks.split_whitespace());
    let members = numbered.map(|(n, text)| {
        let (times, level) = text.split_once(':').unwrap_or((text, "1"));
        let mut meta = Meta::new(id(n));
        Range {
            start: meta.min_time,
            end: meta.max_time,
        } = hours(times);
        meta.compaction.level = level.parse().unwrap();
        let own = parents.iter().filter(|(of, _)| *of == n);
        let own = own.flat_map(|(_, texts)| texts.split_whitespace().map(hours));
        meta.compaction.parents = own
            .map(|times| BlockDesc {
                id: BlockId::default(),
                min_time: times.start,
                max_time: times.end,
            })
            .collect();
        Member {
            times: span(&meta),
            meta: Arc::new(meta),
            index_bytes: 1,
            held: None,
        }
    });
    let key = GroupKey {
        resolution: resolution::RAW,
        labels: Labels::default(),
    };
    Group::new(key, members.collect(), false)
}

fn id(n: u8) -> BlockId {
    BlockId::from_parts(u64::from(n), [n; 10])
}

fn hours(text: &str) -> Range<i64> {
    let (from, to) = text.split_once("..").unwrap();
    let ms = |hours: &str| (hours.parse::<f64>().unwrap() * HOUR as f64) as i64;
    ms(from)..ms(to)
}

/// Which blocks are suspects, and which of them are guilty when their samples lie in these hours.
fn judged(blocks: &str, parents: &[(u8, &str)], samples: &str) -> (Vec<u64>, Vec<u64>) {
    let samples = hours(samples);
    let samples = samples.start..=samples.end - 1;
    let suspects = suspects(&group(blocks, parents));
    let number = |suspect: &Suspect| suspect.meta.id.time_ms().unsigned_abs();
    let guilty = suspects.iter().filter(|s| s.is_guilty(&samples));
    (
        suspects.iter().map(number).collect(),
        guilty.map(number).collect(),
    )
}

/// Name, blocks, the parents of some, samples of the suspects, suspects, guilty.
type Case<'a> = (
    &'a str,
    &'a str,
    &'a [(u8, &'a str)],
    &'a str,
    &'a [u64],
    &'a [u64],
);

const HEADS: [Case<'_>; 11] = [
    ("nothing overlaps", "0..2 2..4", &[], "2..3", &[], &[]),
    (
        "the end is too late",
        "0..2 2..7 4..6",
        &[],
        "2..4",
        &[2],
        &[2],
    ),
    (
        "the start is too early",
        "0..2 0..4 4..6",
        &[],
        "2..4",
        &[2],
        &[2],
    ),
    ("both", "0..2 0..6 4..6", &[], "2.5..3", &[2], &[2]),
    (
        "the samples are there",
        "0..2 2..6 4..6",
        &[],
        "2..5",
        &[2],
        &[],
    ),
    (
        "within its window: an outage, and somebody filled the gap",
        "0..2 2..4 3..4",
        &[],
        "2..3",
        &[],
        &[],
    ),
    (
        "a head with windows of six hours",
        "0..6 6..12 10..12",
        &[],
        "6..9",
        &[],
        &[],
    ),
    (
        "what was imported shows no window",
        "0..6 4.1..5.9",
        &[],
        "0..4",
        &[],
        &[],
    ),
    (
        "windows that a merged block tells of",
        "0..4:2 4..9 6..7",
        &[(1, "0..2 2..4")],
        "4..6",
        &[2],
        &[2],
    ),
    (
        "longer ones that a merged block tells of",
        "0..12:2 12..18 14..16",
        &[(1, "0..6 6..12")],
        "12..14",
        &[],
        &[],
    ),
    (
        "what a block of level 1 names as parent is none",
        "0..2 2..7 4..6",
        &[(2, "0..0")],
        "2..4",
        &[2],
        &[2],
    ),
];

const MERGED: [Case<'_>; 6] = [
    (
        "nothing of it is known",
        "0..10:2 8..16:2",
        &[],
        "0..8",
        &[],
        &[],
    ),
    (
        "an honest one, whose samples a person deleted",
        "0..8:2 6..8",
        &[(1, "0..2 2..8")],
        "0..2",
        &[],
        &[],
    ),
    (
        "the end is too late",
        "0..10:2 8..16:2",
        &[(1, "0..2 2..8"), (2, "8..16")],
        "0..8",
        &[1],
        &[1],
    ),
    (
        "the start is too early",
        "0..8:2 6..16:2",
        &[(1, "0..8"), (2, "8..16")],
        "8..16",
        &[2],
        &[2],
    ),
    (
        "it is the parents that are wrong",
        "0..10:2 8..16:2",
        &[(1, "0..2 2..8"), (2, "8..16")],
        "0..10",
        &[1],
        &[],
    ),
    (
        "it overlaps nothing",
        "0..10:2 10..16:2",
        &[(1, "0..2 2..8")],
        "0..8",
        &[],
        &[],
    ),
];

#[test]
fn a_head_s_block_is_convicted_by_the_windows_of_its_group() {
    check(&HEADS);
}

#[test]
fn a_merged_block_is_convicted_by_what_it_was_made_of() {
    check(&MERGED);
}

fn check(cases: &[Case<'_>]) {
    for (name, blocks, parents, samples, suspects, guilty) in cases {
        let (found, convicted) = judged(blocks, parents, samples);
        assert_eq!(found, *suspects, "{name}: suspects");
        assert_eq!(convicted, *guilty, "{name}: guilty");
    }
}

#[test]
fn the_mark_says_where_the_samples_are() {
    let mut meta = Meta::new(id(1));
    (meta.min_time, meta.max_time) = (-7, 50);
    let marked = |reason: &str, details: &str| {
        let mark = Mark::new(MarkKind::NoCompact, id(1), reason, details, 0);
        let attributes = Attributes {
            size: 0,
            last_modified_ms: 0,
        };
        let present = MarkState::Present(Arc::new(PresentMark { mark, attributes }));
        proven(&BlockInfo {
            meta: Arc::new(meta.clone()),
            meta_modified_ms: None,
            meta_size: 0,
            marks: Marks {
                no_compact: present,
                ..Marks::default()
            },
        })
    };
    let details = details(&meta, &(-7..=20));
    assert_eq!(marked(WRONG_TIMES, &details), Some(-7..21), "{details}");
    assert_eq!(marked("manual", &details), None);
    for other in ["", "why not", "in 20..-7", "in 1..", "in 1..2s"] {
        assert_eq!(marked(WRONG_TIMES, other), None, "{other}");
    }
}
