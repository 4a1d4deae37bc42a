use proptest::prelude::*;
use rutile_block::{GroupKey, INDEX_FILE, resolution};
use rutile_model::Labels;

use super::*;
use crate::group::Hold;

/// Name, blocks, which of them are held, which are planned.
type Held<'a> = (&'a str, &'a str, &'a [usize], &'a [u64]);
/// Name, blocks, which of them overlap, which are planned.
type Overlapping<'a> = (&'a str, &'a str, &'a [u64], &'a [u64]);
/// Name, sizes of the indexes, which are left out, which are planned.
type TooLarge<'a> = (&'a str, [u64; 5], &'a [u64], &'a [u64]);

/// A block from hour `from` to hour `to`.
fn block(n: u8, from: i64, to: i64) -> Member {
    let id = BlockId::from_parts(u64::from(n), [n; 10]);
    let mut meta = Meta::new(id);
    (meta.min_time, meta.max_time) = (from * HOUR, to * HOUR);
    meta.thanos.labels = Labels::from([("cluster", "eu1")]);
    Member {
        times: meta.min_time..meta.max_time,
        meta: Arc::new(meta),
        index_bytes: 1,
        held: None,
    }
}

fn change(member: &mut Member, change: impl FnOnce(&mut Meta)) {
    let mut meta = Meta::clone(&member.meta);
    change(&mut meta);
    member.meta = Arc::new(meta);
}

fn group(blocks: Vec<Member>) -> Group {
    let key = GroupKey {
        resolution: resolution::RAW,
        labels: Labels::from([("cluster", "eu1")]),
    };
    Group::new(key, blocks, false)
}

/// Blocks from one hour to another, as `0..2 2..4`.
fn of(ranges: &str) -> Vec<Member> {
    let numbered = (1..).zip(ranges.split_whitespace());
    let blocks = numbered.map(|(n, range)| {
        let (from, to) = range.split_once("..").unwrap();
        block(n, from.parse().unwrap(), to.parse().unwrap())
    });
    blocks.collect()
}

fn vertical(blocks: Vec<Member>) -> Plan {
    let key = group(Vec::new()).key;
    planner()
        .with_vertical(true)
        .plan(&Group::new(key, blocks, true))
}

fn planner() -> Planner {
    Planner::new(Planner::MAX_LEVEL, 64 << 30)
}

/// Which of the blocks, counted from 1, are planned.
fn planned(blocks: Vec<Member>) -> Vec<u64> {
    numbers(&planner().plan(&group(blocks)).merge)
}

fn numbers(merge: &[Arc<Meta>]) -> Vec<u64> {
    let ids = merge.iter().map(|meta| meta.id.time_ms().unsigned_abs());
    ids.collect()
}

/// What is there, and which of it is planned.
const PLANNED: [(&str, &str, &[u64]); 21] = [
    ("nothing", "", &[]),
    ("one block", "0..2", &[]),
    ("the newest block is left out", "0..2 2..4", &[]),
    (
        "8 h are not full, and nothing newer than them is there",
        "0..2 2..4 4..6",
        &[],
    ),
    (
        "three of four, the fourth is the newest",
        "0..2 2..4 4..6 6..8",
        &[],
    ),
    ("8 h are full", "0..2 2..4 4..6 6..8 8..10", &[1, 2, 3, 4]),
    (
        "a gap at the end of the 8 h: not full until something newer came than the newest",
        "0..2 2..4 4..6 8..10",
        &[],
    ),
    (
        "something newer came",
        "0..2 2..4 4..6 8..10 10..12",
        &[1, 2, 3],
    ),
    (
        "a gap in the middle is no hindrance",
        "0..2 2..4 6..8 8..10",
        &[1, 2, 3],
    ),
    (
        "a gap at the start neither, once something newer came",
        "2..4 4..6 6..8 8..10 10..12",
        &[1, 2, 3],
    ),
    (
        "hours into 2 h first",
        "0..1 1..2 2..4 4..6 6..8 8..10",
        &[1, 2],
    ),
    (
        "the earlier of two full ranges",
        "0..2 2..4 4..6 6..8 8..10 10..12 12..14 14..16 16..18",
        &[1, 2, 3, 4],
    ),
    (
        "a smaller range before a larger one that is older",
        "0..8 8..16 16..24 24..32 32..40 40..48 48..50 50..52 52..54 54..56 56..58",
        &[7, 8, 9, 10],
    ),
    (
        "2 d of 8 h",
        "0..8 8..16 16..24 24..32 32..40 40..48 48..50",
        &[1, 2, 3, 4, 5, 6],
    ),
    (
        "blocks of several sizes fill a range",
        "0..8 8..32 32..40 40..48 48..50",
        &[1, 2, 3, 4],
    ),
    (
        "14 d of 2 d",
        "0..48 48..96 96..144 144..192 192..240 240..288 288..336 336..338",
        &[1, 2, 3, 4, 5, 6, 7],
    ),
    ("nothing above 14 d", "0..336 336..672 672..1008", &[]),
    (
        "ranges are aligned to the epoch, not to the first block",
        "4..6 6..8 8..10 10..12 12..14",
        &[1, 2],
    ),
    (
        "a block across a border belongs to no range",
        "6..10 10..12 12..14 14..16 16..18 18..20",
        &[2, 3, 4],
    ),
    (
        "before the epoch",
        "-8..-6 -6..-4 -4..-2 -2..0 0..2",
        &[1, 2, 3, 4],
    ),
    (
        "across the epoch there are two ranges",
        "-4..-2 -2..0 0..2 2..4 4..6 6..8",
        &[1, 2],
    ),
];

#[test]
fn ranges_are_filled_the_smallest_first_and_the_newest_block_waits() {
    for (name, ranges, expected) in PLANNED {
        assert_eq!(planned(of(ranges)), expected, "{name}");
        let mut reversed = of(ranges);
        reversed.reverse();
        assert_eq!(planned(reversed), expected, "{name}, in another order");
    }
}

#[test]
fn the_largest_range_can_be_limited() {
    let level =
        |max, ranges: &str| numbers(&Planner::new(max, 64 << 30).plan(&group(of(ranges))).merge);
    let two_hours = "0..2 2..4 4..6 6..8 8..10";
    let two_days = "0..8 8..16 16..24 24..32 32..40 40..48 48..50";
    assert_eq!(level(4, two_hours), [1, 2, 3, 4]);
    assert_eq!(level(2, two_hours), [1, 2, 3, 4]);
    assert_eq!(level(1, two_hours), [0; 0]);
    assert_eq!(level(0, two_hours), [0; 0]);
    assert_eq!(level(3, two_days), [1, 2, 3, 4, 5, 6]);
    assert_eq!(level(2, two_days), [0; 0]);
}

#[test]
fn held_blocks_keep_their_place() {
    let five = "0..2 2..4 4..6 6..8 8..10";
    let nine = "0..2 2..4 4..6 6..8 8..10 10..12 12..14 14..16 16..18";
    let cases: [Held<'_>; 8] = [
        ("the first one", five, &[0], &[2, 3, 4]),
        ("the last one of the range", five, &[3], &[1, 2, 3]),
        ("between: nothing is merged across it", five, &[1], &[3, 4]),
        ("runs of one are left", five, &[1, 3], &[]),
        (
            "the first run that is long enough",
            nine,
            &[1, 2],
            &[5, 6, 7, 8],
        ),
        ("all of the first range", nine, &[0, 1, 2, 3], &[5, 6, 7, 8]),
        (
            "the newest one still is the newest",
            five,
            &[4],
            &[1, 2, 3, 4],
        ),
        ("all", five, &[0, 1, 2, 3, 4], &[]),
    ];
    for hold in [Hold::NoCompact, Hold::MarkedForDeletion] {
        for (name, ranges, held, expected) in cases {
            let mut blocks = of(ranges);
            held.iter().for_each(|at| blocks[*at].held = Some(hold));
            assert_eq!(planned(blocks), expected, "{name}, {hold}");
        }
    }
}

#[test]
fn a_range_with_a_block_whose_compaction_failed_is_skipped() {
    let ranges = "0..2 2..4 4..6 6..8 8..10 10..12 12..14 14..16 16..18";
    let mut blocks = of(ranges);
    change(&mut blocks[2], |meta| meta.compaction.failed = true);
    assert_eq!(planned(blocks), [5, 6, 7, 8]);
}

#[test]
fn tombstones_are_no_reason_to_write_a_block_again() {
    let mut blocks = of("0..48 48..96 96..98");
    change(&mut blocks[0], |meta| {
        meta.stats.num_series = 10;
        meta.stats.num_tombstones = 10;
    });
    assert_eq!(planned(blocks), [0; 0]);
}

#[test]
fn blocks_that_overlap_are_left_alone_and_the_others_go_on() {
    let cases: [Overlapping<'_>; 6] = [
        (
            "two of the same time",
            "0..2 0..2 2..4 4..6 6..8 8..10",
            &[1, 2],
            &[3, 4, 5],
        ),
        (
            "one across two",
            "0..2 2..4 3..5 4..6 6..8 8..10",
            &[2, 3, 4],
            &[],
        ),
        (
            "a large one over several small ones",
            "0..8 2..4 6..8 8..10 10..12 12..14 14..16 16..18",
            &[1, 2, 3],
            &[4, 5, 6, 7],
        ),
        (
            "a large one that reaches over what a smaller one hides",
            "0..20 2..4 18..20 24..26 26..28 28..30 30..32 32..34",
            &[1, 2, 3],
            &[4, 5, 6, 7],
        ),
        (
            "the newest",
            "0..2 2..4 4..6 6..8 8..10 9..11",
            &[5, 6],
            &[1, 2, 3, 4],
        ),
        (
            "borders do not overlap",
            "0..2 2..4 4..6 6..8 8..10",
            &[],
            &[1, 2, 3, 4],
        ),
    ];
    for (name, ranges, overlapping, expected) in cases {
        let group = group(of(ranges));
        let mut found: Vec<u64> = group
            .conflicts()
            .map(|(member, _)| member.meta.id.time_ms().unsigned_abs())
            .collect();
        found.sort_unstable();
        assert_eq!(found, overlapping, "{name}: overlapping");
        assert_eq!(
            numbers(&planner().plan(&group).merge),
            expected,
            "{name}: planned"
        );
    }
}

#[test]
fn blocks_with_a_common_source_are_left_alone() {
    let mut blocks = of("0..2 2..4 4..6 6..8 8..10");
    let source = blocks[0].meta.id;
    change(&mut blocks[1], |meta| meta.compaction.sources.push(source));
    let group = group(blocks);
    assert_eq!(group.conflicts().count(), 2);
    assert_eq!(numbers(&planner().plan(&group).merge), [3, 4]);
}

#[test]
fn an_overlap_with_a_marked_block_is_waited_for_and_not_reported() {
    let mut blocks = of("0..2 0..2 2..4 4..6 6..8 8..10");
    blocks[0].held = Some(Hold::MarkedForDeletion);
    let group = group(blocks);
    assert_eq!(group.conflicts().count(), 0);
    assert_eq!(numbers(&planner().plan(&group).merge), [3, 4, 5]);
}

#[test]
fn an_index_that_would_become_too_large_is_left_out() {
    let five = "0..2 2..4 4..6 6..8 8..10";
    // 85 % of 100.
    let cases: [TooLarge<'_>; 6] = [
        ("small enough", [21, 21, 21, 21, 99], &[], &[1, 2, 3, 4]),
        (
            "the limit itself is too much",
            [22, 21, 21, 21, 1],
            &[1],
            &[2, 3, 4],
        ),
        ("the largest goes", [20, 50, 20, 20, 1], &[2], &[3, 4]),
        ("of equals the first", [30, 30, 30, 30, 1], &[1, 2], &[3, 4]),
        (
            "the largest so far, not of all",
            [80, 10, 90, 1, 1],
            &[1, 3],
            &[],
        ),
        (
            "one that is too large alone",
            [1, 1, 100, 1, 1],
            &[3],
            &[1, 2],
        ),
    ];
    for (name, sizes, too_large, expected) in cases {
        let mut blocks = of(five);
        blocks
            .iter_mut()
            .zip(sizes)
            .for_each(|(block, size)| block.index_bytes = size);
        let plan = Planner::new(4, 100).plan(&group(blocks));
        let left_out: Vec<u64> = plan
            .too_large
            .iter()
            .map(|id| id.time_ms().unsigned_abs())
            .collect();
        assert_eq!(left_out, too_large, "{name}: left out");
        assert_eq!(numbers(&plan.merge), expected, "{name}: planned");
    }
}

#[test]
fn index_sizes_come_from_the_metadata() {
    let mut meta = Meta::new(BlockId::default());
    meta.thanos.files.push(rutile_block::FileStat {
        rel_path: INDEX_FILE.to_owned(),
        size_bytes: 77,
        hash: None,
    });
    let view = rutile_fetcher::View::default();
    let mut selection = rutile_fetcher::Selection::default();
    selection.wanted.insert(meta.id, Arc::new(meta));
    let groups = crate::Groups::of(&view, &selection, false).groups;
    assert_eq!(groups[0].blocks[0].index_bytes, 77);
}

#[test]
fn what_is_outstanding_counts_merges_of_merges() {
    // 2 d and 8 h of 2 h blocks, and one that is the newest.
    let ranges: Vec<String> = (0..29)
        .map(|n| format!("{}..{}", 2 * n, 2 * n + 2))
        .collect();
    let ranges = &ranges.join(" ");
    let outstanding = planner().outstanding(&group(of(ranges)));
    let (eight_hours, two_days) = (7, 1);
    assert_eq!(outstanding.compactions, eight_hours + two_days);
    assert_eq!(outstanding.blocks, 7 * 4 + 6);
    assert_eq!(
        planner().outstanding(&group(of("0..2"))),
        Outstanding::default()
    );
    let limited = Planner::new(4, 4).outstanding(&group(of(ranges)));
    assert!(limited.compactions > 0, "{limited:?}");
}

#[test]
fn metadata_that_lies_about_times_does_no_harm() {
    let extremes = [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX];
    for min_time in extremes {
        for max_time in extremes {
            let mut blocks = of("0..2 2..4 4..6 6..8 8..10");
            change(&mut blocks[2], |meta| {
                (meta.min_time, meta.max_time) = (min_time, max_time);
            });
            let group = group(blocks);
            let plan = planner().plan(&group);
            assert!(plan.merge.len() != 1);
            assert!(planner().outstanding(&group).blocks < 10);
        }
    }
}

#[test]
fn blocks_that_overlap_come_first_with_vertical_compaction() {
    let cases: [(&str, &str, &[u64]); 7] = [
        ("two of the same time", "0..2 0..2 2..4", &[1, 2]),
        ("the newest", "0..2 2..4 2..4", &[2, 3]),
        ("the first run only", "0..2 0..2 2..4 2..4 4..6", &[1, 2]),
        (
            "one across two",
            "0..2 2..4 3..5 4..6 6..8 8..10",
            &[2, 3, 4],
        ),
        (
            "a late one beside a large one",
            "0..8 2..4 8..10 10..12",
            &[1, 2],
        ),
        (
            "what a small one hides",
            "0..20 2..4 18..22 24..26",
            &[1, 2, 3],
        ),
        (
            "none: as without",
            "0..2 2..4 4..6 6..8 8..10",
            &[1, 2, 3, 4],
        ),
    ];
    for (name, ranges, expected) in cases {
        assert_eq!(numbers(&vertical(of(ranges)).merge), expected, "{name}");
    }
}

#[test]
fn held_blocks_are_left_out_of_vertical_compaction() {
    let ranges = "0..2 0..2 0..2 2..4 2..4 4..6";
    let mut blocks = of(ranges);
    blocks[1].held = Some(Hold::NoCompact);
    assert_eq!(numbers(&vertical(blocks).merge), [1, 3]);
    // Whatever overlaps a block that is going to be deleted waits for that.
    let mut blocks = of(ranges);
    blocks[1].held = Some(Hold::MarkedForDeletion);
    assert_eq!(numbers(&vertical(blocks).merge), [4, 5]);
    let mut blocks = of("0..4 1..3 3..6 7..8");
    blocks[1].held = Some(Hold::MarkedForDeletion);
    assert_eq!(numbers(&vertical(blocks).merge), [0; 0]);
}

#[test]
fn downsampled_blocks_that_overlap_are_left_out() {
    let mut blocks = of("0..8 0..8 8..10 10..12");
    blocks[..2].iter_mut().for_each(|block| {
        change(block, |meta| meta.thanos.downsample.resolution = 300_000);
    });
    let plan = vertical(blocks);
    let ids = plan.downsampled.iter().map(|id| id.time_ms());
    assert_eq!(ids.collect::<Vec<_>>(), [1, 2]);
    assert_eq!(numbers(&plan.merge), [0; 0]);
}

#[test]
fn a_common_source_is_no_obstacle_with_vertical_compaction() {
    let mut blocks = of("0..2 2..4 4..6 6..8 8..10");
    let source = blocks[0].meta.id;
    change(&mut blocks[1], |meta| meta.compaction.sources.push(source));
    assert_eq!(numbers(&vertical(blocks).merge), [1, 2, 3, 4]);
}

/// What is planned one after the other, until nothing is.
fn carried_out(plans: impl Iterator<Item = Plan>) -> BTreeSet<Vec<u64>> {
    plans
        .map(|plan| numbers(&plan.merge))
        .filter(|merge| !merge.is_empty())
        .collect()
}

#[test]
fn windows_begin_where_no_block_reaches_across() {
    let window = 14 * 24;
    let starts = |ranges: &str| -> Vec<usize> {
        let windows = group(of(ranges)).windows();
        assert!(windows.iter().all(|window| !window.blocks.is_empty()));
        windows.iter().map(|window| window.blocks.len()).collect()
    };
    assert_eq!(starts(""), [0; 0]);
    assert_eq!(starts("0..2 2..4 330..336 336..338 700..702"), [3, 1, 1]);
    // The third one reaches across: two windows are one.
    assert_eq!(starts("0..2 2..4 334..338 338..340 672..674"), [4, 1]);
    let windows = group(of("0..2 336..338 672..674")).windows();
    let later: Vec<usize> = windows.iter().map(|window| window.later).collect();
    assert_eq!(later, [2, 1, 0]);
    let work = |at: usize| windows[at].work().to_string();
    assert!(work(0).ends_with("/0") && work(1).ends_with(&format!("/{}", window * 3_600_000)));
    assert_ne!(work(0), work(1));
}

proptest! {
    /// A group cut into windows comes to what the whole group comes to.
    #[test]
    fn windows_are_planned_like_the_whole(
        gaps in prop::collection::vec(0..60_i64, 1..60),
        held in prop::collection::vec(prop::bool::weighted(0.1), 60),
    ) {
        let mut from = 0;
        let mut blocks = Vec::new();
        for (number, (gap, held)) in (1..).zip(gaps.iter().zip(&held)) {
            // Mostly one behind the other, two hours each; some far apart.
            from += 2 * (gap - 50).max(0) * 12;
            let mut member = block(number, from, from + 2);
            member.held = held.then_some(Hold::NoCompact);
            blocks.push(member);
            from += 2;
        }
        let whole = group(blocks);
        let planner = planner();
        let of_whole = carried_out(planner.plans(&whole).into_iter());
        let of_windows = whole.windows();
        let of_windows = of_windows.iter().flat_map(|window| planner.plans(window));
        prop_assert_eq!(carried_out(of_windows), of_whole);
    }
}
