//! The order of series. The index sorts `{a="1"}` before `{a="1", b="2"}`; with the external label
//! `c="3"` it is the other way around. Labels that are replaced or left out shuffle even more. The
//! answer is sorted and complete however small the batches are in which a block is decoded.

use std::collections::BTreeSet;

use proptest::prelude::*;
use rutile_block::BlockId;
use rutile_model::Labels;
use rutile_proto::thanos::{SeriesRequest, ShardInfo, series_response};

use crate::blocks::write_block;
use crate::support::{Settings, matcher};
use crate::world::{World, everything};

const TIME_MS: i64 = 1_767_225_600_000;

/// The blocks of a bucket, and how they are asked for.
#[derive(Debug, Clone)]
struct Case {
    /// External labels and series of each.
    blocks: Vec<(Labels, Vec<Labels>)>,
    drop: Vec<String>,
    batch: usize,
    skip_chunks: bool,
    /// Into how many shards the call is split: most batches of a shard add nothing.
    shards: i64,
}

/// Few names and values, so that label sets are often the start of others.
fn labels(names: &'static [&'static str], most: usize) -> impl Strategy<Value = Labels> {
    let pair = (
        prop::sample::select(names),
        prop::sample::select(&["", "1", "2", "20"][..]),
    );
    prop::collection::btree_map(pair.0, pair.1, 0..=most).prop_map(|pairs| {
        let pairs = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        pairs.collect()
    })
}

fn series() -> impl Strategy<Value = Vec<Labels>> {
    let own = labels(&["A", "a", "aa", "b", "c", "d"], 4);
    let named = own.prop_map(|labels| labels.extended_with(&Labels::from([("__name__", "up")])));
    prop::collection::vec(named, 1..30)
}

fn case() -> impl Strategy<Value = Case> {
    let external = labels(&["B", "a", "ab", "bb", "c", "e"], 3);
    let external = external.prop_map(|labels| labels.extended_with(&Labels::from([("x", "1")])));
    let drop = prop::sample::subsequence(vec!["a", "ab", "b", "c", "x"], 0..3);
    (
        prop::collection::vec((external, series()), 1..8),
        drop,
        1..4_usize,
        any::<bool>(),
        1..4_i64,
    )
        .prop_map(|(blocks, drop, batch, skip_chunks, shards)| Case {
            blocks,
            drop: drop.into_iter().map(str::to_owned).collect(),
            batch,
            skip_chunks,
            shards,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn answers_are_sorted_and_complete_in_batches_of_any_size(case in case()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check(case));
    }
}

/// The example of the documentation, in batches of one.
#[tokio::test]
async fn a_label_set_waits_for_those_that_it_is_the_start_of() {
    let name = ("__name__", "up");
    let all = vec![
        Labels::from([name, ("a", "1")]),
        Labels::from([name, ("a", "1"), ("b", "2")]),
        Labels::from([name, ("a", "1"), ("b", "2"), ("bb", "3")]),
        Labels::from([name, ("a", "1"), ("d", "4")]),
        Labels::from([name, ("a", "2")]),
    ];
    for batch in 1..4 {
        let external = Labels::from([("c", "3")]);
        check(Case {
            blocks: vec![(external, all.clone())],
            drop: Vec::new(),
            batch,
            skip_chunks: false,
            shards: 1,
        })
        .await;
    }
}

async fn check(case: Case) {
    let world = World::with(Settings {
        series_batch: case.batch,
        ..Settings::default()
    });
    let mut expected = BTreeSet::new();
    let mut samples = 0;
    for (n, (external, series)) in case.blocks.iter().enumerate() {
        let id = BlockId::from_parts(1_700_000_000_000 + n as u64, [n as u8; 10]);
        write_block(&world.memory, id, external, series, TIME_MS + n as i64);
        samples += series.iter().collect::<BTreeSet<_>>().len();
        let out = |labels: &Labels| labels.extended_with(external).without(&case.drop);
        expected.extend(series.iter().map(out));
    }
    let synced = world.sync().await;
    assert_eq!(synced.served, case.blocks.len());
    let mut found = Vec::new();
    let mut chunks = 0;
    for shard in 0..case.shards {
        let (labels, shard_chunks) = answer(&world, &case, shard).await;
        assert!(labels.is_sorted(), "sorted: {labels:?} of {case:?}");
        found.extend(labels);
        chunks += shard_chunks;
    }
    found.sort();
    found.dedup();
    let expected: Vec<_> = expected.into_iter().collect();
    assert_eq!(found, expected, "complete: {case:?}");
    // No two samples are alike, so all of them are there.
    if !case.skip_chunks {
        assert_eq!(chunks, samples, "samples: {case:?}");
    }
}

/// The label sets in the answer for one shard, and how many chunks they have.
async fn answer(world: &World, case: &Case, shard: i64) -> (Vec<Labels>, usize) {
    let request = SeriesRequest {
        matchers: vec![matcher("__name__", "=", "up")],
        without_replica_labels: case.drop.clone(),
        skip_chunks: case.skip_chunks,
        shard_info: Some(ShardInfo {
            shard_index: shard,
            total_shards: case.shards,
            ..ShardInfo::default()
        }),
        ..everything()
    };
    let mut found = Vec::new();
    let mut chunks = 0;
    for message in world.fixture.series(request).await.unwrap() {
        let Some(series_response::Result::Series(series)) = message.result else {
            panic!("not a series: {message:?}");
        };
        chunks += series.chunks.len();
        let labels = series.labels.iter();
        found.push(labels.map(|label| (&label.name, &label.value)).collect());
    }
    (found, chunks)
}
