use std::sync::Arc;

use rutile_block::{Contract, Mark};
use rutile_fetcher::{BlockInfo, FilterChain, MarkState, Marks, PresentMark, Scope};
use rutile_model::Labels;
use rutile_objstore::Attributes;

use super::*;

const DAY: i64 = 24 * HOUR;
const NOW: i64 = 1000 * DAY;

fn id(n: u8) -> BlockId {
    BlockId::from_parts(u64::from(n), [n; 10])
}

/// A block whose range, in days before now, is `from` to `to`.
fn block(n: u8, resolution: i64, from: i64, to: i64, sources: &[u8]) -> Meta {
    let mut meta = Meta::new(id(n));
    (meta.min_time, meta.max_time) = (NOW - from * DAY, NOW - to * DAY);
    meta.thanos.labels = Labels::from([("cluster", "eu1")]);
    meta.thanos.downsample.resolution = resolution;
    meta.compaction.sources = sources.iter().map(|n| id(*n)).collect();
    meta
}

fn view(metas: Vec<Meta>) -> View {
    let info = |meta: Meta| BlockInfo {
        meta: Arc::new(meta),
        meta_modified_ms: Some(NOW - 100 * DAY),
        meta_size: 0,
        marks: Marks::default(),
    };
    View {
        blocks: metas
            .into_iter()
            .map(|meta| (meta.id, info(meta)))
            .collect(),
        complete: true,
        fetched_at: rutile_runtime::Moment::at(NOW),
        ..View::default()
    }
}

fn mark(view: &mut View, n: u8, kind: MarkKind, details: &str, age_ms: i64) {
    let mark = Mark::new(kind, id(n), "manual", details, NOW - age_ms);
    let attributes = Attributes {
        size: 0,
        last_modified_ms: NOW - age_ms,
    };
    let state = MarkState::Present(Arc::new(PresentMark { mark, attributes }));
    let marks = &mut view.blocks.get_mut(&id(n)).unwrap().marks;
    match kind {
        MarkKind::Deletion => marks.deletion = state,
        MarkKind::NoCompact => marks.no_compact = state,
        MarkKind::NoDownsample => marks.no_downsample = state,
    }
}

fn select(view: &View) -> Selection {
    FilterChain::for_compact(Scope::default(), Contract::default(), Vec::new()).apply(view, NOW)
}

fn keep(raw: i64, five_minutes: i64, one_hour: i64) -> Retention {
    let days = |n: i64| (n > 0).then_some(n * DAY);
    Retention {
        raw: days(raw),
        five_minutes: days(five_minutes),
        one_hour: days(one_hour),
        downsampling: true,
    }
}

/// Which blocks are marked, and which wait.
fn verdict(retention: Retention, view: &View) -> (Vec<BlockId>, Vec<BlockId>) {
    let verdict = retention.apply(view, &select(view), &BTreeSet::new(), NOW);
    let expired = verdict.expired.into_iter().map(|expired| expired.id);
    (expired.collect(), verdict.waiting.into_iter().collect())
}

fn ids(numbers: &[u8]) -> Vec<BlockId> {
    numbers.iter().map(|n| id(*n)).collect()
}

#[test]
fn each_resolution_has_its_own_retention() {
    let (raw, five, hour) = (
        resolution::RAW,
        resolution::FIVE_MINUTES,
        resolution::ONE_HOUR,
    );
    let metas = vec![
        block(1, raw, 31, 30, &[1]),
        block(2, raw, 31, 29, &[2]),
        block(3, five, 101, 100, &[2]),
        block(4, five, 101, 99, &[4]),
        block(5, hour, 400, 360, &[5]),
        block(6, hour, 400, 370, &[6]),
        block(7, 42, 900, 800, &[7]),
    ];
    let view = view(metas);
    let off = Retention {
        downsampling: false,
        ..keep(30, 100, 365)
    };
    // "Longer than" is meant strictly, as in Thanos.
    assert_eq!(verdict(off, &view).0, ids(&[6]));
    let off = Retention {
        downsampling: false,
        ..keep(29, 99, 359)
    };
    assert_eq!(verdict(off, &view).0, ids(&[1, 3, 5, 6]));
    assert_eq!(verdict(keep(0, 0, 0), &view).0, ids(&[]));
}

#[test]
fn the_mark_tells_the_retention_as_go_writes_it() {
    let view = view(vec![block(1, resolution::RAW, 41, 40, &[1])]);
    let verdict = keep(30, 0, 0).apply(&view, &select(&view), &BTreeSet::new(), NOW);
    assert_eq!(
        verdict.expired[0].details,
        "block exceeding retention of 720h0m0s"
    );
    assert!(!verdict.expired[0].remark);
}

#[test]
fn bc_12_raw_stays_while_its_downsampled_block_is_due() {
    let (raw, five) = (resolution::RAW, resolution::FIVE_MINUTES);
    let planted = |more: Vec<Meta>| {
        // 2 d of raw samples, long past any retention; 1 d, which is never downsampled.
        let mut metas = vec![
            block(1, raw, 42, 40, &[11, 12]),
            block(2, raw, 43, 42, &[13]),
        ];
        metas.extend(more);
        view(metas)
    };
    let retention = keep(30, 0, 0);
    let (expired, waiting) = verdict(retention, &planted(vec![]));
    assert_eq!(
        (expired, waiting),
        (ids(&[2]), ids(&[1])),
        "due and not there"
    );
    let half = block(3, five, 42, 41, &[11]);
    let (expired, waiting) = verdict(retention, &planted(vec![half]));
    assert_eq!(
        (expired, waiting),
        (ids(&[2]), ids(&[1])),
        "half of it is there"
    );
    let whole = block(3, five, 42, 40, &[11, 12]);
    let (expired, waiting) = verdict(retention, &planted(vec![whole.clone()]));
    assert_eq!((expired, waiting), (ids(&[1, 2]), ids(&[])), "committed");
    let coarse = block(3, resolution::ONE_HOUR, 42, 40, &[11, 12]);
    let (expired, waiting) = verdict(retention, &planted(vec![coarse]));
    assert_eq!(
        (expired, waiting),
        (ids(&[2]), ids(&[1])),
        "of another resolution"
    );
    let off = Retention {
        downsampling: false,
        ..retention
    };
    assert_eq!(
        verdict(off, &planted(vec![])).0,
        ids(&[1, 2]),
        "nobody downsamples"
    );

    let mut marked = planted(vec![]);
    mark(&mut marked, 1, MarkKind::NoDownsample, "", 0);
    assert_eq!(
        verdict(retention, &marked).0,
        ids(&[1, 2]),
        "not to be downsampled"
    );
    let moot = keep(30, 35, 0);
    assert_eq!(
        verdict(moot, &planted(vec![])).0,
        ids(&[1, 2]),
        "what would be made would go at once"
    );

    // A downsampled block that is itself gone for readers is none.
    let mut gone = planted(vec![whole]);
    mark(&mut gone, 3, MarkKind::Deletion, "by hand", 3 * DAY);
    assert_eq!(
        verdict(retention, &gone).1,
        ids(&[1]),
        "the downsampled block is going"
    );
}

#[test]
fn bc_12_what_goes_itself_keeps_nothing_from_being_lost() {
    let check = |what: &str, state: Option<MarkState>, waits: bool| {
        let raw = block(1, resolution::RAW, 42, 40, &[11, 12]);
        let five_minutes = block(3, resolution::FIVE_MINUTES, 42, 40, &[11, 12]);
        let mut view = view(vec![raw, five_minutes]);
        if let Some(state) = state {
            view.blocks.get_mut(&id(3)).unwrap().marks.deletion = state;
        }
        let verdict = keep(30, 0, 0).apply(&view, &select(&view), &BTreeSet::new(), NOW);
        assert_eq!(verdict.waiting.contains(&id(1)), waits, "{what}");
        for expired in verdict.expired {
            assert_eq!(expired.replaced_by, BTreeSet::from([id(3)]), "{what}");
        }
    };
    let marked = |details: &str| {
        let mark = Mark::new(MarkKind::Deletion, id(3), "", details, NOW - HOUR);
        let attributes = Attributes {
            size: 0,
            last_modified_ms: NOW - HOUR,
        };
        Some(MarkState::Present(Arc::new(PresentMark {
            mark,
            attributes,
        })))
    };
    check("it is there", None, false);
    check("a person marked it", marked("by hand"), true);
    check("it was tainted", marked(details::TAINTED), true);
    check(
        "it was replaced: what replaced it counts",
        marked(details::COMPACTED),
        true,
    );
    check("its mark cannot be read", Some(MarkState::Torn), true);
    check("nobody touches it", Some(MarkState::UnknownVersion), false);
}

/// The winner of two equal blocks is marked and still served: the other one stays.
#[test]
fn bc_12_the_equal_of_a_block_that_goes_is_enough() {
    let five_minutes = |n| block(n, resolution::FIVE_MINUTES, 42, 40, &[11, 12]);
    let raw = block(1, resolution::RAW, 42, 40, &[11, 12]);
    let mut view = view(vec![raw, five_minutes(3), five_minutes(4)]);
    mark(&mut view, 3, MarkKind::Deletion, "by hand", HOUR);
    let verdict = keep(30, 0, 0).apply(&view, &select(&view), &BTreeSet::new(), NOW);
    let [expired] = verdict.expired.as_slice() else {
        panic!("{verdict:?}");
    };
    assert_eq!(expired.replaced_by, BTreeSet::from([id(4)]));
}

/// Downsampling stood still for so long that what it makes first would go at once. What is made of
/// that is kept for ever.
#[test]
fn bc_12_raw_stays_for_the_hours_that_are_made_of_its_five_minutes() {
    let raw = || block(1, resolution::RAW, 60, 46, &[11, 12]);
    let retention = keep(30, 40, 0);
    let (expired, waiting) = verdict(retention, &view(vec![raw()]));
    assert_eq!((expired, waiting), (ids(&[]), ids(&[1])));
    let hours = block(2, resolution::ONE_HOUR, 60, 46, &[11, 12]);
    let (expired, waiting) = verdict(retention, &view(vec![raw(), hours]));
    assert_eq!((expired, waiting), (ids(&[1]), ids(&[])), "they are there");
    let (expired, waiting) = verdict(keep(30, 40, 45), &view(vec![raw()]));
    assert_eq!((expired, waiting), (ids(&[1]), ids(&[])), "these go, too");
}

#[test]
fn bc_12_five_minutes_stay_for_one_hour() {
    let five = resolution::FIVE_MINUTES;
    let long = block(1, five, 60, 50, &[1, 2]);
    let short = block(2, five, 50, 41, &[3]);
    let retention = keep(0, 40, 0);
    let (expired, waiting) = verdict(retention, &view(vec![long.clone(), short.clone()]));
    assert_eq!((expired, waiting), (ids(&[2]), ids(&[1])));
    let hour = block(3, resolution::ONE_HOUR, 60, 50, &[1, 2]);
    let (expired, waiting) = verdict(retention, &view(vec![long, short, hour]));
    assert_eq!((expired, waiting), (ids(&[1, 2]), ids(&[])));
}

#[test]
fn bc_12_blocks_of_a_group_that_is_not_merged_yet_stay() {
    // Two-hour blocks are never downsampled; the block that they are to become is.
    let view = view(vec![block(1, resolution::RAW, 42, 41, &[1])]);
    let selection = select(&view);
    let group = view.blocks[&id(1)].meta.group_key();
    let unsettled = BTreeSet::from([group]);
    let verdict = keep(30, 0, 0).apply(&view, &selection, &unsettled, NOW);
    assert_eq!(verdict.expired, vec![]);
    assert_eq!(verdict.waiting, BTreeSet::from([id(1)]));
}

#[test]
fn a_block_without_sources_is_never_downsampled() {
    let view = view(vec![block(1, resolution::RAW, 42, 40, &[])]);
    assert!(due_downsamples(&select(&view)).is_empty());
}

#[test]
fn marked_blocks_are_not_marked_again_unless_their_replacement_is_gone() {
    let mut view = view(vec![
        block(1, resolution::RAW, 42, 41, &[1]),
        block(2, resolution::RAW, 41, 40, &[2]),
        block(3, resolution::RAW, 40, 39, &[3]),
        block(4, resolution::RAW, 3, 2, &[4]),
    ]);
    mark(&mut view, 1, MarkKind::Deletion, "by hand", HOUR);
    mark(
        &mut view,
        2,
        MarkKind::Deletion,
        details::COMPACTED,
        3 * DAY,
    );
    mark(
        &mut view,
        3,
        MarkKind::Deletion,
        details::COMPACTED,
        3 * DAY,
    );
    mark(
        &mut view,
        4,
        MarkKind::Deletion,
        details::COMPACTED,
        3 * DAY,
    );
    let successor = block(5, resolution::RAW, 40, 1, &[3, 9]);
    let info = BlockInfo {
        meta: Arc::new(successor),
        ..view.blocks[&id(3)].clone()
    };
    view.blocks.insert(id(5), info);
    view.blocks.get_mut(&id(5)).unwrap().marks = Marks::default();
    let retention = Retention {
        downsampling: false,
        ..keep(30, 0, 0)
    };
    let verdict = retention.apply(&view, &select(&view), &BTreeSet::new(), NOW);
    let expired: Vec<_> = verdict.expired.iter().map(|e| (e.id, e.remark)).collect();
    assert_eq!(expired, [(id(2), true)]);
}
