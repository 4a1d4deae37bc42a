use std::sync::Arc;

use rutile_block::{BlockDesc, Meta, UploadTime, details};
use rutile_fetcher::{
    BadBlock, BadReason, BlockInfo, FilterChain, Marks, PartialBlock, PresentMark, Scope,
};
use rutile_model::Labels;
use rutile_objstore::Attributes;

use super::*;

const HOUR: i64 = 3_600_000;
const NOW: i64 = 1_767_250_000_000;

fn id(n: u8) -> BlockId {
    BlockId::from_parts(u64::from(n), [n; 10])
}

/// Blocks, each made of some sources.
fn view(blocks: &[(u8, &[u8])]) -> View {
    let info = |n: u8, sources: &[u8]| {
        let mut meta = Meta::new(id(n));
        meta.thanos.labels = Labels::from([("cluster", "eu1")]);
        meta.thanos.source = Source::Compactor;
        meta.thanos.upload_time = UploadTime::from_ms(NOW - 10 * HOUR);
        meta.compaction.sources = sources.iter().map(|n| id(*n)).collect();
        let parents = sources.iter().filter(|source| **source != n);
        meta.compaction.parents = parents
            .map(|n| BlockDesc {
                id: id(*n),
                min_time: 0,
                max_time: 0,
            })
            .collect();
        BlockInfo {
            meta: Arc::new(meta),
            meta_modified_ms: None,
            meta_size: 0,
            marks: Marks::default(),
        }
    };
    let blocks = blocks
        .iter()
        .map(|(n, sources)| (id(*n), info(*n, sources)));
    View {
        blocks: blocks.collect(),
        complete: true,
        fetched_at: rutile_runtime::Moment::at(NOW),
        ..View::default()
    }
}

fn mark(view: &mut View, n: u8, details: &str, age_ms: i64) {
    let mark = Mark::new(MarkKind::Deletion, id(n), "", details, NOW - age_ms);
    let attributes = Attributes {
        size: 0,
        last_modified_ms: NOW - age_ms,
    };
    set(
        view,
        n,
        MarkState::Present(Arc::new(PresentMark { mark, attributes })),
    );
}

fn set(view: &mut View, n: u8, state: MarkState) {
    view.blocks.get_mut(&id(n)).unwrap().marks.deletion = state;
}

fn select(view: &View) -> Selection {
    FilterChain::for_compact(Scope::default(), Contract::default(), Vec::new()).apply(view, NOW)
}

fn outdated_ids(view: &View) -> Vec<BlockId> {
    let selection = select(view);
    let found = outdated(view, &selection, &tainted(view, &selection)).into_iter();
    found.map(|outdated| outdated.id).collect()
}

fn ids(numbers: &[u8]) -> Vec<BlockId> {
    numbers.iter().map(|n| id(*n)).collect()
}

#[test]
fn what_another_block_holds_is_marked() {
    let mut view = view(&[(1, &[1]), (2, &[2]), (3, &[3]), (8, &[1, 2]), (9, &[1, 2])]);
    // Of equals the older one wins.
    assert_eq!(outdated_ids(&view), ids(&[1, 2, 9]));
    mark(&mut view, 1, details::COMPACTED, HOUR);
    set(&mut view, 2, MarkState::Torn);
    set(&mut view, 9, MarkState::UnknownVersion);
    assert_eq!(
        outdated_ids(&view),
        ids(&[2]),
        "torn marks are written again, unknown ones left"
    );
}

#[test]
fn nothing_is_superseded_by_what_goes_itself_or_is_unread() {
    let mut going = view(&[(1, &[1]), (8, &[1, 2])]);
    assert_eq!(outdated_ids(&going), ids(&[1]));
    mark(&mut going, 8, "by hand", HOUR);
    assert_eq!(outdated_ids(&going), ids(&[]));
    let unread = view(&[(1, &[1]), (8, &[1, 2])]);
    let mut selection = select(&unread);
    selection.unread.insert(id(8));
    assert_eq!(outdated(&unread, &selection, &[]), []);
}

#[test]
fn bc_15_an_output_that_holds_what_was_marked_before_goes() {
    let check = |what: &str, marks: &[(u8, &str, i64)], expected: &[u8]| {
        let mut view = view(&[(1, &[1]), (2, &[2]), (8, &[1, 2])]);
        for (n, details, age_ms) in marks {
            mark(&mut view, *n, details, *age_ms);
        }
        assert_eq!(tainted(&view, &select(&view)), ids(expected), "{what}");
    };
    check("nothing is marked", &[], &[]);
    check(
        "marked while the merge ran",
        &[(1, "by hand", 11 * HOUR)],
        &[8],
    );
    check("marked after the commit", &[(1, "by hand", 9 * HOUR)], &[]);
    let replaced = (2, details::COMPACTED, 9 * HOUR);
    check(
        "its maker has looked",
        &[(1, "by hand", 11 * HOUR), replaced],
        &[],
    );
    check(
        "it is going already",
        &[(1, "by hand", 11 * HOUR), (8, "by hand", HOUR)],
        &[],
    );
}

#[test]
fn bc_15_a_mark_from_before_the_commit_by_the_bucket_s_clock_is_one() {
    let mut view = view(&[(1, &[1]), (2, &[2]), (8, &[1, 2])]);
    // By its own time after the upload: the marker's clock is ahead, or the compactor's behind.
    mark(&mut view, 1, "by hand", 9 * HOUR);
    for (committed_ms, expected) in [(NOW - 10 * HOUR, &[][..]), (NOW - 8 * HOUR, &[8])] {
        view.blocks.get_mut(&id(8)).unwrap().meta_modified_ms = Some(committed_ms);
        assert_eq!(tainted(&view, &select(&view)), ids(expected));
    }
    view.blocks.get_mut(&id(8)).unwrap().meta_modified_ms = Some(NOW - 8 * HOUR);
    set(&mut view, 8, MarkState::Torn);
    assert_eq!(
        tainted(&view, &select(&view)),
        ids(&[8]),
        "its mark is written again"
    );
}

/// A downsampled block names the parents of what it was made of, and the compactor ended before it looked again.
#[test]
fn bc_15_what_was_downsampled_of_an_erased_block_goes() {
    let check = |what: &str, marks: &[(u8, &str, i64)], expected: &[u8]| {
        let mut view = view(&[(1, &[1]), (2, &[2]), (8, &[1, 2]), (9, &[1, 2])]);
        let meta = &mut view.blocks.get_mut(&id(9)).unwrap().meta;
        Arc::make_mut(meta).thanos.downsample.resolution = 300_000;
        for n in [1, 2] {
            mark(&mut view, n, details::COMPACTED, 20 * HOUR);
        }
        for (n, details, age_ms) in marks {
            mark(&mut view, *n, details, *age_ms);
        }
        assert_eq!(tainted(&view, &select(&view)), ids(expected), "{what}");
    };
    check("nothing is erased", &[], &[]);
    check(
        "marked while it was made",
        &[(8, "by hand", 11 * HOUR)],
        &[9],
    );
    check("marked after its commit", &[(8, "by hand", 9 * HOUR)], &[]);
    check(
        "a part of what was merged before",
        &[(1, "by hand", 11 * HOUR)],
        &[],
    );
    let retention = format!("{}960h0m0s", details::RETENTION_PREFIX);
    check("by retention", &[(8, &retention, 11 * HOUR)], &[]);
}

/// Its commit was reported as failed, and took effect when the rest had been merged without what was
/// marked meanwhile.
#[test]
fn bc_15_a_commit_that_lands_late_brings_nothing_back() {
    let mut view = view(&[
        (1, &[1]),
        (2, &[2]),
        (3, &[3]),
        (7, &[2, 3]),
        (8, &[1, 2, 3]),
    ]);
    mark(&mut view, 1, "by retention", 9 * HOUR);
    mark(&mut view, 2, details::COMPACTED, 8 * HOUR);
    mark(&mut view, 3, details::COMPACTED, 8 * HOUR);
    for (committed_ms, expected) in [(NOW - 7 * HOUR, &[8][..]), (NOW - 10 * HOUR, &[])] {
        view.blocks.get_mut(&id(8)).unwrap().meta_modified_ms = Some(committed_ms);
        assert_eq!(tainted(&view, &select(&view)), ids(expected));
    }
}

/// Its equal was erased with all that both were made of; those marks are due, so it replaces nothing.
#[test]
fn bc_15_a_commit_that_lands_after_all_was_erased_brings_nothing_back() {
    let mut view = view(&[(1, &[1]), (2, &[2]), (8, &[1, 2])]);
    for n in [1, 2] {
        mark(&mut view, n, "by hand", 40 * HOUR);
    }
    assert_eq!(tainted(&view, &select(&view)), ids(&[8]));
    mark(&mut view, 8, details::TAINTED, HOUR);
    assert_eq!(tainted(&view, &select(&view)), [], "it is going already");
}

#[test]
fn marked_blocks_are_deleted_after_the_delay_with_what_replaces_them() {
    let mut view = view(&[
        (1, &[1]),
        (2, &[2]),
        (3, &[3]),
        (4, &[4]),
        (7, &[1, 5]),
        (8, &[1, 5, 6]),
    ]);
    mark(&mut view, 1, details::COMPACTED, 49 * HOUR);
    mark(&mut view, 2, "by hand", 49 * HOUR);
    mark(&mut view, 3, "by hand", 47 * HOUR);
    mark(&mut view, 4, details::COMPACTED, 49 * HOUR);
    mark(&mut view, 7, details::COMPACTED, 49 * HOUR);
    let due = deletions(&view, &select(&view), &Contract::default(), NOW);
    let due: Vec<_> = due
        .into_iter()
        .map(|deletion| (deletion.id, deletion.needs_successor, deletion.successors))
        .collect();
    assert_eq!(
        due,
        [
            (id(1), true, ids(&[8, 7])),
            (id(2), false, vec![]),
            (id(4), true, vec![]),
            (id(7), true, ids(&[8])),
        ],
        "unmarked ones first"
    );
}

#[test]
fn what_nobody_can_read_goes_when_a_person_marked_it() {
    let mut view = view(&[(1, &[1])]);
    for (n, details) in [(2, "by hand"), (3, details::COMPACTED), (4, "by hand")] {
        mark(&mut view, 1, details, 49 * HOUR);
        let reason = match n {
            4 => BadReason::Unreadable,
            _ => BadReason::CorruptMeta,
        };
        let bad = BadBlock {
            reason,
            message: "cut short".to_owned(),
            deletion: view.blocks[&id(1)].marks.deletion.clone(),
        };
        view.bad.insert(id(n), bad);
    }
    view.blocks.clear();
    let due = deletions(&view, &select(&view), &Contract::default(), NOW);
    let due: Vec<BlockId> = due.iter().map(|deletion| deletion.id).collect();
    assert_eq!(due, ids(&[2]));
}

#[test]
fn blocks_of_other_shards_are_theirs_to_delete() {
    let mut view = view(&[(1, &[1])]);
    mark(&mut view, 1, "by hand", 49 * HOUR);
    let mut selection = select(&view);
    selection.excluded.insert(id(1), Exclusion::LabelExcluded);
    assert_eq!(deletions(&view, &selection, &Contract::default(), NOW), []);
}

#[test]
fn partial_blocks_are_looked_at_when_they_may_be_due() {
    let mut view = View::default();
    let folder = |age_hours: Option<i64>, marked| PartialBlock {
        newest_object_ms: age_hours.map(|hours| NOW - hours * HOUR),
        marked,
    };
    view.partial.insert(id(1), folder(Some(47), false));
    view.partial.insert(id(2), folder(Some(49), false));
    view.partial.insert(id(3), folder(None, false));
    view.partial.insert(id(4), folder(Some(1), true));
    assert_eq!(partials(&view, &Contract::default(), NOW), ids(&[2, 3, 4]));
}
