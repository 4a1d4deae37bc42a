use rutile_block::{Mark, resolution};
use rutile_fetcher::{BlockInfo, MarkState, Marks, PresentMark};
use rutile_model::Labels;
use rutile_objstore::Attributes;

use super::*;

fn id(n: u8) -> BlockId {
    BlockId::from_parts(u64::from(n), [n; 10])
}

fn meta(n: u8, labels: &[(&str, &str)], resolution: i64) -> Meta {
    let mut meta = Meta::new(id(n));
    (meta.min_time, meta.max_time) = (i64::from(n) * 10, i64::from(n) * 10 + 10);
    meta.thanos.labels = labels.iter().copied().collect::<Labels>();
    meta.thanos.downsample.resolution = resolution;
    meta
}

fn world(metas: Vec<Meta>) -> (View, Selection) {
    let (mut view, mut selection) = (View::default(), Selection::default());
    for meta in metas {
        let meta = Arc::new(meta);
        let info = BlockInfo {
            meta: Arc::clone(&meta),
            meta_modified_ms: None,
            meta_size: 0,
            marks: Marks::default(),
        };
        view.blocks.insert(meta.id, info);
        selection.wanted.insert(meta.id, meta);
    }
    (view, selection)
}

fn members(group: &Group) -> Vec<BlockId> {
    group.blocks.iter().map(|member| member.meta.id).collect()
}

#[test]
fn blocks_of_one_resolution_and_one_set_of_labels_are_a_group() {
    let (eu, us) = ([("cluster", "eu1")], [("cluster", "us2")]);
    let metas = vec![
        meta(1, &eu, resolution::RAW),
        meta(2, &us, resolution::RAW),
        meta(3, &eu, resolution::FIVE_MINUTES),
        meta(4, &eu, resolution::RAW),
        meta(5, &[], resolution::RAW),
    ];
    let (view, selection) = world(metas);
    let groups = Groups::of(&view, &selection, false).groups;
    let names: Vec<String> = groups.iter().map(|group| group.key.to_string()).collect();
    assert!(names.is_sorted(), "{names:?}");
    let mut all: Vec<Vec<BlockId>> = groups.iter().map(members).collect();
    all.sort();
    assert_eq!(
        all,
        [vec![id(1), id(4)], vec![id(2)], vec![id(3)], vec![id(5)]]
    );
}

#[test]
fn marks_hold_a_block_whatever_their_state() {
    let (mut view, mut selection) = world((1..=4).map(|n| meta(n, &[("a", "b")], 0)).collect());
    let mark = Mark::new(MarkKind::Deletion, id(1), "", "", 0);
    let attributes = Attributes {
        size: 0,
        last_modified_ms: 0,
    };
    let present = MarkState::Present(Arc::new(PresentMark { mark, attributes }));
    let states = [
        (1, present),
        (2, MarkState::Torn),
        (3, MarkState::UnknownVersion),
    ];
    for (n, state) in states {
        view.blocks.get_mut(&id(n)).unwrap().marks.deletion = state;
        selection.no_compact.insert(id(n));
    }
    view.blocks.get_mut(&id(4)).unwrap().marks.no_compact = MarkState::Torn;
    selection.no_compact.insert(id(4));
    let groups = Groups::of(&view, &selection, false).groups;
    let holds: Vec<Option<Hold>> = groups[0].blocks.iter().map(|member| member.held).collect();
    let marked = Some(Hold::MarkedForDeletion);
    assert_eq!(holds, [marked, marked, marked, Some(Hold::NoCompact)]);
}

#[test]
fn bc_11_a_group_that_may_hold_an_unread_block_waits() {
    let metas = vec![meta(1, &[("a", "b")], 0), meta(2, &[("a", "c")], 0)];
    let (view, mut selection) = world(metas);
    selection.unread.insert(id(1));
    let groups = Groups::of(&view, &selection, false);
    let waits = |n: u8| {
        let mut groups = groups.groups.iter();
        groups
            .find(|group| members(group) == [id(n)])
            .unwrap()
            .unread
    };
    assert!(waits(1) && !waits(2));
    assert!(groups.unplaced.is_empty());
    selection.unread.insert(id(9));
    assert_eq!(
        Groups::of(&view, &selection, false).unplaced,
        BTreeSet::from([id(9)])
    );
}
