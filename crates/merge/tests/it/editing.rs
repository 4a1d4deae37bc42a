//! One block, with series deleted and relabelled.

use std::ops::RangeInclusive;
use std::sync::Arc;

use rutile_block::{BlockId, Meta, RawJson, Source};
use rutile_chunk::{Chunk, Encoding, XorIter};
use rutile_merge::{Change, Deletion, Effect, Error, Merged, Rules};
use rutile_model::config::parse_yaml;
use rutile_model::{ErrorKind, Matcher};
use rutile_objstore::BucketReader as _;
use rutile_objstore::fake::{Fault, Rule};
use rutile_testkit::chunks::name_the_first_chunk_twice;

use crate::naive::{Block, add, labels, read};
use crate::world::{World, id};

/// Eight hours of raw samples.
const EIGHT_HOURS: &str = "01M820Q9H47EQ2X5VQJFSM8WRP";
/// Five minutes, downsampled from 48 h.
const FIVE_MINUTES: &str = "01M820Q9TTYVEY9S7VQHAQVG39";

fn delete(selector: &str, intervals: &[RangeInclusive<i64>]) -> Deletion {
    Deletion {
        matchers: Matcher::parse_selector(selector).unwrap(),
        intervals: intervals.to_vec(),
    }
}

fn deletions(deletions: Vec<Deletion>) -> Rules {
    Rules {
        deletions,
        ..Rules::default()
    }
}

fn relabel(yaml: &str) -> Rules {
    Rules {
        relabel: parse_yaml(yaml).unwrap(),
        ..Rules::default()
    }
}

/// Rewrites a block as `output`: what it became, what was told of it, and the list of changes.
async fn rewrite(
    world: &World,
    meta: &Meta,
    rules: Rules,
    output: BlockId,
) -> Result<(Merged, Effect, Vec<Change>), Error> {
    let mut changes = Vec::new();
    let mut log = |change: &Change| {
        changes.push(change.clone());
        Ok(())
    };
    let reader = Arc::new(world.bucket.clone());
    let merger = &world.merger;
    let rules = Arc::new(rules);
    let survey = merger.survey(reader, meta, &rules, &mut log);
    let survey = survey.await?;
    let effect = survey.effect();
    let rewrites = RawJson::from_text("[{}]").unwrap();
    let made = merger.rewrite(survey, output, rewrites, &world.progress);
    Ok((made.await?, effect, changes))
}

async fn rewritten(world: &World, meta: &Meta, rules: Rules) -> (Meta, Effect, Vec<Change>) {
    match rewrite(world, meta, rules, id(9)).await.unwrap() {
        (Merged::Block(made), effect, changes) => (*made, effect, changes),
        (Merged::Empty, ..) => panic!("nothing was left"),
    }
}

/// Forty series with chunks from 0 to 10 and from 20 to 30.
fn forty(world: &World) -> Meta {
    let mut block = Block::new(1, 0, 100);
    for n in 0..40 {
        block.series(labels(n), &[(0, 10), (20, 30)]);
    }
    let mut meta = add(world, &block);
    meta.compaction.sources = vec![meta.id];
    meta
}

fn times(data: &[u8]) -> Vec<i64> {
    let encoding = Encoding::Xor;
    let samples = Chunk { encoding, data }.num_samples().unwrap();
    let times: Vec<i64> = XorIter::new(data)
        .unwrap()
        .map(|sample| sample.unwrap().0)
        .collect();
    assert_eq!(times.len(), usize::from(samples));
    times
}

#[tokio::test]
async fn series_and_times_go() {
    let world = World::new();
    let meta = forty(&world);
    let rules = deletions(vec![
        delete("metric_3", &[]),
        delete("{pod=\"pod-1\"}", &[10..=25]),
        delete("{pod=\"pod-2\"}", &[-9..=15]),
        delete("{pod=\"absent\"}", &[]),
    ]);
    let (made, effect, changes) = rewritten(&world, &meta, rules).await;
    let expected = Effect {
        series: 40,
        deleted: 6,
        cut: 2,
        relabelled: 0,
        joined: 0,
        mended: 0,
    };
    assert_eq!(effect, expected);
    let cut = changes.iter().find_map(|change| match change {
        Change::Deleted { labels, intervals } if labels.value("pod") == "pod-1" => Some(intervals),
        _ => None,
    });
    assert_eq!(cut, Some(&vec![10..=10, 20..=25]));
    assert_eq!(changes.len(), 8);

    let mut expected = read(&world, &meta).await;
    expected.retain(|labels, _| labels[0].1 != "metric_3");
    let mut found = read(&world, &made).await;
    let cut = found
        .insert(labels(1), expected[&labels(1)].clone())
        .unwrap();
    let kept: Vec<_> = cut
        .iter()
        .map(|(from, to, data)| (*from, *to, times(data)))
        .collect();
    assert_eq!(kept, [(0, 0, vec![0]), (30, 30, vec![30])]);
    expected.get_mut(&labels(2)).unwrap().remove(0);
    assert_eq!(found, expected);
    assert_eq!(made.stats.num_samples, 34 * 4 - 4);
}

#[tokio::test]
async fn the_new_block_has_sources_of_its_own() {
    let world = World::new();
    let meta = forty(&world);
    let (made, ..) = rewritten(&world, &meta, deletions(vec![delete("metric_3", &[])])).await;
    assert_eq!(made.compaction.sources, [made.id]);
    assert_eq!(made.compaction.level, meta.compaction.level);
    assert_eq!(
        (made.min_time, made.max_time),
        (meta.min_time, meta.max_time)
    );
    assert_eq!(made.thanos.source, Source::BucketRewrite);
    assert_eq!(made.thanos.labels, meta.thanos.labels);
    assert_eq!(
        world
            .merger
            .check(&made, &world.progress)
            .await
            .unwrap()
            .series,
        34
    );
}

#[tokio::test]
async fn relabelled_series_come_in_a_new_order() {
    let world = World::new();
    let meta = forty(&world);
    let rules = relabel(
        "[{source_labels: [__name__], regex: metric_0, target_label: __name__, replacement: zz}, {source_labels: [pod], target_label: aa}]",
    );
    let (made, effect, changes) = rewritten(&world, &meta, rules).await;
    assert_eq!(
        (effect.relabelled, effect.joined, changes.len()),
        (40, 0, 40)
    );
    let expected = read(&world, &meta)
        .await
        .into_iter()
        .map(|(mut labels, chunks)| {
            if labels[0].1 == "metric_0" {
                labels[0].1 = "zz".to_owned();
            }
            let pod = labels[1].1.clone();
            labels.insert(1, ("aa".to_owned(), pod));
            (labels, chunks)
        });
    assert_eq!(read(&world, &made).await, expected.collect());
}

#[tokio::test]
async fn series_that_become_equal_become_one() {
    let world = World::new();
    let mut block = Block::new(1, 0, 100);
    for (n, chunks) in [
        (0, [(0, 10)]),
        (7, [(5, 15)]),
        (14, [(20, 30)]),
        (1, [(0, 1)]),
    ] {
        block.series(labels(n), &chunks);
    }
    let meta = add(&world, &block);
    let rules = relabel("[{action: labeldrop, regex: pod}]");
    let (made, effect, _) = rewritten(&world, &meta, rules).await;
    assert_eq!((effect.relabelled, effect.joined), (4, 2));
    let found = read(&world, &made).await;
    assert_eq!(found.len(), 2);
    let name = |name: &str| vec![("__name__".to_owned(), name.to_owned())];
    let all = found[&name("metric_0")].iter();
    let all: Vec<i64> = all.flat_map(|(_, _, data)| times(data)).collect();
    assert_eq!(all, [0, 5, 10, 15, 20, 30]);
}

#[tokio::test]
async fn too_many_series_that_become_equal_are_refused() {
    let world = World::new();
    let mut block = Block::new(1, 0, 100);
    for n in 0..700 {
        block.series(labels(n), &[(0, 10)]);
    }
    let meta = add(&world, &block);
    let rules = relabel("[{action: labeldrop, regex: pod}]");
    let error = rewrite(&world, &meta, rules, id(9)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("would become one"), "{error}");
}

#[tokio::test]
async fn aggregates_go_as_whole_chunks_only() {
    let dir = rutile_testkit::golden().join("raw").join(FIVE_MINUTES);
    let world = World::new();
    let meta = world.add_dir(&dir);
    let all = "{__name__=~\".+\"}";
    let cut = deletions(vec![delete(
        all,
        &[meta.min_time..=meta.min_time + 900_000],
    )]);
    let error = rewrite(&world, &meta, cut, id(9)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("only whole chunks"), "{error}");

    let (made, effect, _) = rewritten(
        &world,
        &meta,
        deletions(vec![delete("{__name__=~\"[a-m].*\"}", &[])]),
    )
    .await;
    assert!(
        effect.deleted > 0 && effect.deleted < effect.series,
        "{effect:?}"
    );
    assert_eq!(made.stats.num_series, effect.series - effect.deleted);
    assert_eq!(made.thanos.downsample, meta.thanos.downsample);
    world.merger.check(&made, &world.progress).await.unwrap();
}

#[tokio::test]
async fn what_is_short_of_memory_is_refused() {
    let world = World::with_memory(1 << 10);
    let meta = forty(&world);
    let error = rewrite(
        &world,
        &meta,
        deletions(vec![delete("metric_3", &[])]),
        id(9),
    )
    .await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Exhausted);
}

#[tokio::test]
async fn any_request_may_fail_before_or_after_its_effect() {
    let rules = || deletions(vec![delete("metric_3", &[])]);
    let world = World::new();
    let meta = forty(&world);
    rewritten(&world, &meta, rules()).await;
    let requests = world.bucket.calls().len() as u64;
    assert!(requests > 10, "only {requests} requests were seen");
    let kind = ErrorKind::Unavailable;
    for fault in [Fault::FailBefore(kind), Fault::FailAfter(kind)] {
        for n in 0..requests {
            let context = format!("{fault:?} at request {n}");
            let world = World::new();
            let meta = forty(&world);
            world.bucket.add(Rule::new(fault.clone()).after(n).times(1));
            let first = rewrite(&world, &meta, rules(), id(8)).await;
            world.bucket.heal();
            let committed = world
                .memory
                .get(&format!("{}/meta.json", id(8)), u64::MAX)
                .await;
            match committed {
                // Whatever was reported: what is committed is whole.
                Ok(json) => {
                    let made = Meta::parse(id(8), &json).unwrap();
                    assert_eq!(read(&world, &made).await.len(), 34, "{context}");
                }
                Err(_) => assert!(first.is_err(), "{context}"),
            }
            let (made, ..) = rewritten(&world, &meta, rules()).await;
            assert_eq!(read(&world, &made).await.len(), 34, "{context}");
        }
    }
}

/// The references of strings that relabelling adds say nothing of their order.
#[tokio::test]
async fn new_strings_come_in_their_order_wherever_they_stood() {
    let world = World::new();
    let meta = forty(&world);
    let rules = relabel(
        "[{source_labels: [__name__], regex: metric_5, target_label: __name__, replacement: a}, {source_labels: [__name__], regex: metric_1, target_label: __name__, replacement: n}]",
    );
    let (made, ..) = rewritten(&world, &meta, rules).await;
    let expected = read(&world, &meta)
        .await
        .into_iter()
        .map(|(mut labels, chunks)| {
            match labels[0].1.as_str() {
                "metric_5" => labels[0].1 = "a".to_owned(),
                "metric_1" => labels[0].1 = "n".to_owned(),
                _ => {}
            }
            (labels, chunks)
        });
    assert_eq!(read(&world, &made).await, expected.collect());
    world.merger.check(&made, &world.progress).await.unwrap();
}

/// A chunk that is named twice: each sample stays, once.
#[tokio::test]
async fn chunks_are_mended() {
    let world = World::new();
    let meta = world.add_dir(&rutile_testkit::golden().join("raw").join(EIGHT_HOURS));
    let mut expected = read(&world, &meta).await;
    let mut index = world.object(meta.id, "index").await.to_vec();
    name_the_first_chunk_twice(&mut index);
    world.put(meta.id, "index", index);
    let error = world
        .merger
        .check(&meta, &world.progress)
        .await
        .unwrap_err();
    assert!(error.fault().is_some(), "{error}");

    let rules = Arc::new(Rules {
        mend: true,
        ..Rules::default()
    });
    let reader = Arc::new(world.bucket.clone());
    let mut log = |_: &Change| Ok(());
    let survey = world.merger.survey(reader, &meta, &rules, &mut log);
    let survey = survey.await.unwrap();
    let effect = survey.effect();
    assert_eq!((effect.series, effect.mended, effect.joined), (200, 1, 0));
    let made = world.merger.mend(survey, id(9), &world.progress).await;
    let Ok(Merged::Block(made)) = made else {
        panic!("{made:?}");
    };
    assert_eq!(made.compaction, meta.compaction, "it replaces the block");
    assert_eq!(made.thanos.source, Source::BucketRepair);
    // The index names them no more.
    let first = expected.values_mut().next().unwrap();
    first.truncate(first.len() - 2);
    assert_eq!(read(&world, &made).await, expected);
    assert!(world.merger.check(&made, &world.progress).await.is_ok());
}
