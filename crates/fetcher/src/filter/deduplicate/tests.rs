use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;

fn id(n: u64) -> BlockId {
    BlockId::from_parts(n, [0; 10])
}

fn block(n: u64, sources: impl IntoIterator<Item = u64>) -> Arc<Meta> {
    let mut meta = Meta::new(id(n));
    meta.compaction.sources = sources.into_iter().map(id).collect();
    Arc::new(meta)
}

/// The rule, spelled out: compare every pair.
fn spelled_out(blocks: &[Arc<Meta>]) -> BTreeSet<BlockId> {
    let set = |m: &Meta| m.sources().iter().copied().collect::<BTreeSet<_>>();
    let mut order: Vec<&Arc<Meta>> = blocks.iter().collect();
    order.sort_by_key(|m| (std::cmp::Reverse(m.sources().len()), m.id));
    let mut kept: Vec<&Arc<Meta>> = Vec::new();
    let mut duplicates = BTreeSet::new();
    for meta in order {
        let group = |m: &Meta| (m.thanos.labels.clone(), m.thanos.downsample.resolution);
        if kept
            .iter()
            .any(|k| group(k) == group(meta) && set(meta).is_subset(&set(k)))
        {
            duplicates.insert(meta.id);
        } else {
            kept.push(meta);
        }
    }
    duplicates
}

proptest! {
    #[test]
    fn bc_08_as_spelled_out_whatever_the_order(
        all in proptest::collection::vec((proptest::collection::btree_set(0_u64..8, 0..5), 0_i64..2), 0..24),
        seed in any::<u64>(),
    ) {
        let mut blocks: Vec<Arc<Meta>> = all
            .into_iter()
            .enumerate()
            .map(|(n, (sources, resolution))| {
                let mut meta = Meta::clone(&block(100 + n as u64, sources));
                meta.thanos.downsample.resolution = resolution;
                Arc::new(meta)
            })
            .collect();
        let expected = spelled_out(&blocks);
        let found = deduplicate(&blocks);
        prop_assert_eq!(found.iter().map(|(id, _)| *id).collect::<BTreeSet<_>>(), expected);
        blocks.sort_by_key(|m| m.id.as_bytes()[5].wrapping_mul(seed as u8 | 1));
        prop_assert_eq!(deduplicate(&blocks), found);
    }
}

#[test]
fn a_block_without_sources_is_its_own() {
    let blocks = [block(1, []), block(2, []), block(3, [1, 4])];
    assert_eq!(deduplicate(&blocks), [(id(1), id(3))]);
}

/// A hundred thousand blocks of one group: the work is counted, not timed.
#[test]
fn p17_work_is_linear_in_the_sources() {
    const MANY: u64 = 100_000;
    let cases: [(&str, Vec<Arc<Meta>>, u64); 4] = [
        (
            "single sources",
            (0..MANY).map(|n| block(n, [n])).collect(),
            0,
        ),
        (
            "one of each twice",
            (0..MANY).map(|n| block(n, [n / 2])).collect(),
            MANY / 2,
        ),
        (
            "a compacted one over each ten",
            (0..MANY)
                .map(|n| {
                    if n % 11 == 10 {
                        block(n, n - 10..n)
                    } else {
                        block(n, [n])
                    }
                })
                .collect(),
            MANY / 11 * 10,
        ),
        // All share a source, so that only the other one tells them apart.
        (
            "a common source",
            (0..MANY).map(|n| block(n, [MANY, n])).collect(),
            0,
        ),
    ];
    for (name, blocks, duplicates) in cases {
        let total: usize = blocks.iter().map(|m| m.sources().len()).sum();
        let mut group: Vec<&Meta> = blocks.iter().map(AsRef::as_ref).collect();
        group.sort_unstable_by_key(|meta| (std::cmp::Reverse(meta.sources().len()), meta.id));
        let mut found = Vec::new();
        let checks = deduplicate_group(&group, &mut found);
        assert_eq!(found.len() as u64, duplicates, "{name}");
        assert!(
            checks <= total,
            "{name}: {checks} checks for {total} sources"
        );
    }
}
