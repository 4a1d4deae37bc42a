//! Which blocks to load and to serve.

use std::collections::BTreeSet;

use rutile_block::{Contract, MarkKind, Meta, RawJson, details, mark_key, meta_key};
use rutile_fetcher::filter::label_shard::LabelShard;
use rutile_fetcher::filter::time_partition::TimePartition;
use rutile_fetcher::{Exclusion, FilterChain, ListStrategy, MarkDrop, Scope};
use rutile_model::Labels;
use rutile_model::time::TimeOrDuration;

use crate::world::{HOUR, MINUTE, START, World, block, id, ids};

const NONE: &[u8] = &[];

fn world() -> World {
    World::new(ListStrategy::Recursive)
}

/// What `bucket rewrite` makes of a block of these sources.
fn rewritten(n: u8, of: &[u8]) -> Meta {
    let sources: Vec<String> = of.iter().map(|n| format!("\"{}\"", id(*n))).collect();
    let mut meta = block(n, &[n]);
    let rewrites = format!("[{{\"sources\":[{}]}}]", sources.join(","));
    meta.thanos.rewrites = RawJson::from_text(&rewrites);
    meta
}

#[tokio::test]
async fn p1_an_unreadable_successor_leaves_its_sources_served() {
    let world = world();
    world.add(&block(1, &[1]));
    world.add(&block(2, &[2]));
    let before = world.sync().await;
    assert_eq!(before.serving(&ids(&[1, 2])), ids(&[1, 2]));
    // The compacted block appears. Until it is loaded nothing changes, then all at once.
    world.add(&block(3, &[1, 2]));
    let selection = world.sync().await;
    assert_eq!(
        selection.wanted.keys().copied().collect::<BTreeSet<_>>(),
        ids(&[3])
    );
    assert_eq!(
        selection.superseded,
        [(id(1), id(3)), (id(2), id(3))].into()
    );
    assert_eq!(selection.serving(&ids(&[1, 2])), ids(&[1, 2]));
    assert_eq!(selection.serving(&ids(&[1, 2, 3])), ids(&[3]));
    // A process that starts now and cannot load it falls back to its sources.
    assert_eq!(selection.to_load(&ids(NONE)), ids(&[3]));
    assert_eq!(selection.to_load(&ids(&[3])), ids(&[1, 2]));
    assert_eq!(selection.to_load(&ids(&[3, 1])), ids(&[2]));
    // Marked, and long ago: still served while the successor is not loaded.
    world.mark(id(1), details::COMPACTED);
    world.mark(id(2), details::COMPACTED);
    world.clock.advance(30 * HOUR);
    let selection = world.sync().await;
    assert_eq!(selection.serving(&ids(&[1, 2])), ids(&[1, 2]));
    assert_eq!(selection.serving(&ids(&[1, 2, 3])), ids(&[3]));
    assert_eq!(selection.to_load(&ids(&[3])), ids(&[1, 2]));
}

#[tokio::test]
async fn p1_a_chain_of_successors_falls_back_to_the_best_that_loads() {
    let world = world();
    for n in 1..=4 {
        world.add(&block(n, &[n]));
    }
    world.add(&block(5, &[1, 2]));
    world.add(&block(6, &[1, 2, 3, 4]));
    let selection = world.sync().await;
    assert_eq!(selection.to_load(&ids(NONE)), ids(&[6]));
    assert_eq!(selection.to_load(&ids(&[6])), ids(&[3, 4, 5]));
    assert_eq!(selection.to_load(&ids(&[5, 6])), ids(&[1, 2, 3, 4]));
    assert_eq!(selection.serving(&ids(&[1, 2, 3, 4, 5])), ids(&[3, 4, 5]));
    assert_eq!(selection.serving(&ids(&[1, 2, 3, 4, 5, 6])), ids(&[6]));
}

#[tokio::test]
async fn bc_05_a_marked_block_goes_after_the_ignore_delay() {
    let world = world();
    world.add(&block(1, &[1]));
    world.add(&block(2, &[2]));
    world.add(&block(3, &[3]));
    world.mark(id(1), "block exceeding retention of 720h0m0s");
    world.mark(id(2), "");
    world.clock.advance(24 * HOUR);
    assert_eq!(
        world.sync().await.to_load(&ids(NONE)),
        ids(&[1, 2, 3]),
        "exactly the delay is not past it"
    );
    world.clock.advance(1);
    let selection = world.sync().await;
    assert_eq!(selection.serving(&ids(&[1, 2, 3])), ids(&[3]));
    let expected = Exclusion::MarkedForDeletion {
        age_ms: 24 * HOUR + 1,
        why: MarkDrop::NoSuccessorNeeded,
    };
    assert_eq!(
        selection.excluded,
        [(id(1), expected), (id(2), expected)].into()
    );
    assert!(
        (world.metric("thanos_blocks_meta_synced{state=\"marked-for-deletion\"}") - 2.0).abs()
            < 0.1
    );
    assert_eq!(
        expected.to_string(),
        "marked for deletion 86400 s ago, replaced by nothing"
    );
}

#[tokio::test]
async fn bc_05_without_a_successor_it_stays_until_the_delete_delay_and_then_goes_loudly() {
    let world = world();
    world.add(&block(1, &[1]));
    world.mark(id(1), details::COMPACTED);
    world.clock.advance(48 * HOUR);
    let selection = world.sync().await;
    assert_eq!(selection.serving(&ids(&[1])), ids(&[1]));
    assert!(selection.uncovered(&ids(&[1])).is_empty());
    assert!(world.events("BC-5") < 0.1);
    world.clock.advance(1);
    let selection = world.sync().await;
    assert!(selection.serving(&ids(&[1])).is_empty());
    assert_eq!(selection.uncovered(&ids(NONE)), ids(&[1]));
    assert!((world.events("BC-5") - 1.0).abs() < 0.1);
}

#[tokio::test]
async fn bc_05_a_successor_that_never_loads_is_no_reason_to_serve_deleted_objects() {
    let world = world();
    world.add(&block(1, &[1]));
    world.add(&block(2, &[1, 3]));
    world.mark(id(1), details::COMPACTED);
    world.clock.advance(48 * HOUR + 1);
    let selection = world.sync().await;
    assert!(selection.serving(&ids(&[1])).is_empty());
    assert_eq!(selection.uncovered(&ids(NONE)), ids(&[1]));
    assert!(selection.uncovered(&ids(&[2])).is_empty());
    // A cleaner that is late is no reason for an alarm while the successor may still load.
    assert!(world.events("BC-5") < 0.1);
}

#[tokio::test]
async fn bc_05_a_compaction_that_removed_replica_labels_is_a_successor() {
    for (labels, replaces) in [
        (Labels::from([("cluster", "eu1")]), true),
        (
            Labels::from([("cluster", "eu1"), ("replica", "deduped")]),
            true,
        ),
        (Labels::from([("cluster", "eu1"), ("replica", "b")]), false),
        (Labels::from([("cluster", "eu1"), ("shard", "1")]), false),
    ] {
        let world = world();
        world.add(&block(1, &[1]));
        let mut merged = block(2, &[1, 9]);
        merged.thanos.labels = labels.clone();
        world.add(&merged);
        world.mark(id(1), details::COMPACTED);
        world.clock.advance(25 * HOUR);
        let selection = world.sync().await;
        assert_eq!(
            selection.serving(&ids(&[1])),
            ids(&[1]),
            "not while it is not loaded"
        );
        let both = if replaces { ids(&[2]) } else { ids(&[1, 2]) };
        assert_eq!(selection.serving(&ids(&[1, 2])), both, "{labels}");
        assert_eq!(selection.to_load(&ids(NONE)), both);
    }
}

#[tokio::test]
async fn bc_05_a_successor_in_another_shard_is_enough() {
    let world = world();
    world.add(&block(1, &[1]));
    world.add(&block(2, &[1, 3]));
    world.mark(id(1), details::COMPACTED);
    world.clock.advance(25 * HOUR);
    let not_two = format!(
        "- {{action: drop, source_labels: [__block_id], regex: {}}}",
        id(2)
    );
    let shard = LabelShard::from_yaml(&not_two, vec![]).unwrap();
    let chain = FilterChain::for_store(
        Scope {
            shard,
            ..Scope::default()
        },
        Contract::default(),
    );
    let selection = chain.apply(&*world.view().await, world.now());
    assert_eq!(selection.excluded[&id(2)], Exclusion::LabelExcluded);
    let why = MarkDrop::SuccessorElsewhere(id(2));
    assert_eq!(
        selection.excluded[&id(1)],
        Exclusion::MarkedForDeletion {
            age_ms: 25 * HOUR,
            why
        }
    );
    assert!(selection.serving(&ids(&[1])).is_empty());
}

#[tokio::test]
async fn bc_05_a_downsampled_block_is_no_successor() {
    let world = world();
    world.add(&block(1, &[1]));
    let mut downsampled = block(2, &[1]);
    downsampled.thanos.downsample.resolution = 300_000;
    world.add(&downsampled);
    world.mark(id(1), details::COMPACTED);
    world.clock.advance(25 * HOUR);
    assert_eq!(world.sync().await.serving(&ids(&[1, 2])), ids(&[1, 2]));
}

#[tokio::test]
async fn bc_05_a_repaired_or_rewritten_block_takes_over_when_it_is_loaded() {
    let world = world();
    // Repaired: the same sources, so that the older one wins until its mark is due.
    world.add(&block(1, &[1]));
    world.add(&block(2, &[1]));
    // Rewritten: sources of its own; it says whose it has.
    world.add(&block(3, &[3]));
    world.add(&rewritten(4, &[3]));
    world.mark(id(1), details::REPAIRED);
    world.mark(id(3), details::REWRITTEN);
    assert_eq!(world.sync().await.to_load(&ids(NONE)), ids(&[1, 3, 4]));
    world.clock.advance(25 * HOUR);
    let selection = world.sync().await;
    assert_eq!(selection.to_load(&ids(NONE)), ids(&[2, 4]));
    assert_eq!(selection.serving(&ids(&[1, 3])), ids(&[1, 3]));
    assert_eq!(selection.serving(&ids(&[1, 2, 3, 4])), ids(&[2, 4]));
}

/// What was rewritten stands beside its original until that is deleted, and lacks what the original still has (BC-7).
#[tokio::test]
async fn bc_05_bc_07_a_rewritten_block_takes_no_place_that_its_original_has() {
    let world = world();
    world.add(&block(1, &[1]));
    world.add(&block(2, &[1, 5]));
    world.add(&rewritten(3, &[1, 5]));
    world.mark(id(1), details::COMPACTED);
    world.clock.advance(25 * HOUR);
    let selection = world.sync().await;
    assert_eq!(selection.serving(&ids(&[1, 3])), ids(&[1, 3]));
    assert_eq!(selection.serving(&ids(&[1, 2, 3])), ids(&[2, 3]));
    // The original goes, and the block that it had replaced is asked for no more.
    world.mark(
        id(2),
        "rewritten into another one: what that lacks is to go",
    );
    assert_eq!(world.sync().await.serving(&ids(&[1, 3])), ids(&[3]));
}

/// Whatever the mark of a rewritten block is: what it was made of is older than it, and takes its place no more.
#[tokio::test]
async fn bc_05_bc_07_a_rewritten_block_with_a_torn_mark_takes_the_place_of_what_it_was_made_of() {
    let world = world();
    world.add(&block(1, &[1]));
    world.add(&block(5, &[5]));
    world.add(&rewritten(3, &[1, 5]));
    world.mark(id(1), details::COMPACTED);
    world.mark(id(5), details::COMPACTED);
    let torn = mark_key(id(3), MarkKind::Deletion);
    world.memory.insert(torn, "{torn", START);
    for hours in [25, 24] {
        world.clock.advance(hours * HOUR);
        let selection = world.sync().await;
        assert_eq!(selection.serving(&ids(&[1, 3, 5])), ids(&[3]), "{hours}");
        assert!(selection.uncovered(&ids(&[3])).is_empty(), "{hours}");
    }
}

/// It was rewritten twice, since the first result was wrong, which a person marked then; the second cannot be read.
#[tokio::test]
async fn bc_05_bc_07_a_rewritten_block_that_was_given_up_takes_no_place() {
    let world = world();
    world.add(&block(1, &[1]));
    world.add(&rewritten(2, &[1]));
    world.add(&rewritten(3, &[1]));
    world.mark(id(1), details::REWRITTEN);
    world.mark(id(2), "by hand");
    world.clock.advance(25 * HOUR);
    let selection = world.sync().await;
    assert_eq!(selection.to_load(&ids(&[3])), ids(&[1]));
    assert_eq!(selection.serving(&ids(&[1])), ids(&[1]));
    assert_eq!(selection.serving(&ids(&[1, 3])), ids(&[3]));
}

#[tokio::test]
async fn bc_05_two_marked_blocks_do_not_replace_each_other() {
    let world = world();
    world.add(&block(1, &[1]));
    world.add(&block(2, &[1]));
    world.mark(id(1), details::OUTDATED);
    world.mark(id(2), details::OUTDATED);
    world.clock.advance(25 * HOUR);
    assert_eq!(world.sync().await.serving(&ids(&[1, 2])), ids(&[1]));
}

#[tokio::test]
async fn bc_05_what_retention_took_waits_for_nobody() {
    let world = world();
    world.add(&block(1, &[1]));
    world.add(&block(2, &[1, 3]));
    world.mark(id(1), details::COMPACTED);
    world.mark(id(2), "block exceeding retention of 1h0m0s");
    world.clock.advance(25 * HOUR);
    let selection = world.sync().await;
    assert!(selection.serving(&ids(&[1, 2])).is_empty());
    let why = MarkDrop::SuccessorElsewhere(id(2));
    assert_eq!(
        selection.excluded[&id(1)],
        Exclusion::MarkedForDeletion {
            age_ms: 25 * HOUR,
            why
        }
    );
}

#[tokio::test]
async fn bc_08_every_reader_picks_the_same_winner() {
    let world = world();
    // Compacted twice: the older one wins. Blocks of another group are left alone.
    world.add(&block(1, &[1, 2]));
    world.add(&block(5, &[1, 2]));
    let mut other_group = block(6, &[1, 2]);
    other_group.thanos.labels = Labels::from([("cluster", "us1")]);
    world.add(&other_group);
    let mut downsampled = block(7, &[1, 2]);
    downsampled.thanos.downsample.resolution = 300_000;
    world.add(&downsampled);
    let selection = world.sync().await;
    assert_eq!(selection.to_load(&ids(NONE)), ids(&[1, 6, 7]));
    assert_eq!(selection.superseded, [(id(5), id(1))].into());
    assert_eq!(selection.serving(&ids(&[5, 6])), ids(&[5, 6]));
}

#[tokio::test]
async fn bc_04_a_fresh_block_is_neither_loaded_nor_a_successor() {
    let world = world();
    let contract = Contract {
        consistency_delay_ms: 30 * MINUTE,
        ..Contract::default()
    };
    world.add(&block(1, &[1]));
    let mut fresh = block(2, &[1]);
    fresh.thanos.upload_time = rutile_block::UploadTime::from_ms(START - 10 * MINUTE);
    world.add(&fresh);
    world.mark(id(1), details::REPAIRED);
    let chain = FilterChain::for_store(Scope::default(), contract);
    let selection = chain.apply(&*world.view().await, START);
    assert_eq!(selection.to_load(&ids(NONE)), ids(&[1]));
    let expected = Exclusion::TooFresh {
        age_ms: 10 * MINUTE,
        delay_ms: 30 * MINUTE,
    };
    assert_eq!(selection.excluded, [(id(2), expected)].into());
    assert_eq!(
        expected.to_string(),
        "too fresh: 600 s old, relied on after 1800 s"
    );
}

#[tokio::test]
async fn p15_a_block_of_an_uploader_whose_clock_is_ahead_is_served_at_once() {
    let world = world();
    let mut ahead = block(1, &[1]);
    ahead.thanos.upload_time = rutile_block::UploadTime::from_ms(START + 3 * HOUR);
    world.add(&ahead);
    assert_eq!(world.sync().await.to_load(&ids(NONE)), ids(&[1]));
}

#[tokio::test]
async fn time_partition_is_inclusive_and_moves_with_the_clock() {
    let world = world();
    let mut old = block(1, &[1]);
    (old.min_time, old.max_time) = (START - 4 * HOUR, START - 2 * HOUR);
    world.add(&old);
    let scope = |min: &str, max: &str| Scope {
        time: TimePartition {
            min_time: min.parse().unwrap(),
            max_time: max.parse().unwrap(),
        },
        ..Scope::default()
    };
    let view = world.view().await;
    for (min, max, keeps) in [
        ("-2h", "0h", true),
        ("-119m", "0h", false),
        ("-9h", "-4h", true),
        ("-9h", "-241m", false),
    ] {
        let chain = FilterChain::for_store(scope(min, max), Contract::default());
        assert_eq!(
            chain.apply(&view, START).wanted.len(),
            usize::from(keeps),
            "{min} {max}"
        );
    }
    let chain = FilterChain::for_store(scope("-2h", "0h"), Contract::default());
    assert_eq!(
        chain.apply(&view, START + 1).excluded[&id(1)],
        Exclusion::TimeExcluded
    );
    let all = TimePartition::default();
    assert_eq!(all.min_time, TimeOrDuration::Time(i64::MIN));
}

#[tokio::test]
async fn ls_leaves_out_marked_blocks_only_when_asked() {
    let world = world();
    world.add(&block(1, &[1]));
    world.add(&block(2, &[1]));
    world.mark(id(1), details::COMPACTED);
    let view = world.view().await;
    let apply = |exclude| {
        FilterChain::for_tools_ls(Scope::default(), Contract::default(), exclude)
            .apply(&view, START)
    };
    assert_eq!(apply(false).to_load(&ids(NONE)), ids(&[1, 2]));
    assert_eq!(apply(true).to_load(&ids(NONE)), ids(&[2]));
    let inspect =
        FilterChain::for_inspect(Scope::default(), Contract::default()).apply(&view, START);
    assert_eq!(inspect.to_load(&ids(NONE)), ids(&[1, 2]));
}

#[tokio::test]
async fn bc_07_a_block_that_is_gone_is_not_served() {
    let world = world();
    world.add(&block(1, &[1]));
    world.sync().await;
    world.memory.remove(&meta_key(id(1)));
    assert!(world.sync().await.serving(&ids(&[1])).is_empty());
}
