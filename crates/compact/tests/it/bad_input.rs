//! A bad block is left out with a reason that its mark and a metric show; everything else goes on.

use rutile_block::{BlockId, Mark, MarkKind, Meta, index_key, meta_key};
use rutile_compact::Planner;
use rutile_objstore::fake::{Fault, Rule};

use rutile_testkit::chunks::{change_first_series, name_the_first_chunk_twice, padded, uvarint};

use crate::world::{HOUR, NOW_MS, Settings, TWO_HOURS, World, id};

/// The block that is damaged: the second of the first 8 h.
const BAD: &str = TWO_HOURS[1];

fn chunks() -> String {
    format!("{BAD}/chunks/000001")
}

fn change(world: &World, key: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut body = world.memory.body(key).unwrap().to_vec();
    change(&mut body);
    world.memory.insert(key, body, NOW_MS - HOUR);
}

fn change_meta(world: &World, change: impl FnOnce(&mut Meta)) {
    let mut meta = world.meta(id(BAD));
    change(&mut meta);
    world
        .memory
        .insert(meta_key(id(BAD)), meta.to_json(), NOW_MS - HOUR);
}

/// The block is damaged; it must be left out for this reason, and everything else be compacted.
async fn check(reason: &str, damage: impl FnOnce(&World)) {
    let world = World::with(&TWO_HOURS[..9]);
    damage(&world);
    let process = world.start(Settings::default());
    let report = process.compactor.iterate().await;
    assert!(report.errors.is_empty(), "{reason}: {:?}", report.errors);
    assert_eq!(report.quarantined, 1, "{reason}");
    let mark = world.marked(id(BAD), MarkKind::NoCompact);
    let Some(Mark::NoCompact(mark)) = mark else {
        panic!("{reason}: {mark:?}");
    };
    assert_eq!(mark.reason, reason);
    assert!(mark.details.contains(BAD), "{reason}: {}", mark.details);
    // The second 8 h, and what is left of the first.
    assert_eq!(report.merged, 2, "{reason}");
    let bad = id(BAD);
    let outputs = world.outputs();
    assert!(
        outputs
            .iter()
            .all(|meta| !meta.compaction.sources.contains(&bad)),
        "{reason}"
    );
    assert!(world.live().contains(&bad), "{reason}: it is not touched");
    let next = process.compactor.iterate().await;
    assert_eq!(
        (next.merged, next.quarantined, next.errors.len()),
        (0, 0, 0),
        "{reason}"
    );
    let series = format!("rutile_compact_quarantined_blocks{{reason=\"{reason}\"}}");
    assert_eq!(process.metric(&series), 1.0);
    let marked = format!(
        "thanos_compact_blocks_marked_total{{marker=\"no-compact-mark.json\",reason=\"{reason}\"}}"
    );
    assert_eq!(process.metric(&marked), 1.0);
    assert_eq!(process.metric("thanos_compact_halted"), 0.0);
}

#[tokio::test]
async fn a_missing_index() {
    check("index-missing", |world| {
        world.memory.remove(&index_key(id(BAD)));
    })
    .await;
}

#[tokio::test]
async fn a_damaged_index() {
    check("index-corrupt", |world| {
        // In the table of symbols.
        change(world, &index_key(id(BAD)), |index| index[100] ^= 1);
    })
    .await;
}

#[tokio::test]
async fn an_index_of_another_version() {
    check("unsupported-version", |world| {
        change(world, &index_key(id(BAD)), |index| index[4] = 9);
    })
    .await;
}

#[tokio::test]
async fn a_missing_segment() {
    check("chunk-missing", |world| {
        world.memory.remove(&chunks());
    })
    .await;
}

#[tokio::test]
async fn a_truncated_segment() {
    check("chunk-truncated", |world| {
        change(world, &chunks(), |segment| {
            segment.truncate(segment.len() / 2);
        });
    })
    .await;
}

#[tokio::test]
async fn a_wrong_checksum() {
    check("chunk-checksum", |world| {
        change(world, &chunks(), |segment| segment[100] ^= 1);
    })
    .await;
}

#[tokio::test]
async fn metadata_that_lie_about_the_times() {
    check("outside-times", |world| {
        change_meta(world, |meta| meta.max_time -= HOUR);
    })
    .await;
}

#[tokio::test]
async fn metadata_that_claim_the_time_of_the_blocks_behind() {
    check("wrong-times", |world| {
        change_meta(world, |meta| meta.max_time += 3 * HOUR);
    })
    .await;
}

#[tokio::test]
async fn metadata_that_claim_the_time_of_the_block_before() {
    check("wrong-times", |world| {
        change_meta(world, |meta| meta.min_time -= 2 * HOUR);
    })
    .await;
}

/// The 8 h blocks that Thanos made of the two-hour blocks, and the second of them.
const EIGHT_HOURS: [&str; 7] = [
    "01M820Q9H47EQ2X5VQJFSM8WRP",
    "01M820Q9J6N3Q7FDGYG9AHCPFW",
    "01M820Q9K759G4K995NGSE1VFS",
    "01M820Q9MQYTM1VTJV55RMEEF9",
    "01M820Q9PCTXBJ7H4HMJ0C4AQC",
    "01M820Q9QHFYJ4Y7KXPBD9YGAX",
    "01M820Q9RQ27VBZF6TJTV2K9HB",
];

#[tokio::test]
async fn chunks_out_of_order() {
    check_chunks(begin_before_the_end).await;
}

/// The reference halts at these as at chunks that overlap. `bucket verify --repair` takes them out.
#[tokio::test]
async fn a_chunk_that_is_there_twice() {
    check_chunks(name_the_first_chunk_twice).await;
}

async fn check_chunks(damage: impl FnOnce(&mut [u8])) {
    let bad = EIGHT_HOURS[1];
    let world = World::with(&EIGHT_HOURS);
    change(&world, &index_key(id(bad)), |index| damage(index));
    let report = world.start(Settings::default()).compactor.iterate().await;
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    // What comes behind it is merged all the same.
    assert_eq!((report.quarantined, report.merged), (1, 1));
    match world.marked(id(bad), MarkKind::NoCompact) {
        Some(Mark::NoCompact(mark)) => {
            assert_eq!(mark.reason, "block-index-out-of-order-chunk");
            assert!(mark.details.contains(bad), "{}", mark.details);
        }
        mark => panic!("{mark:?}"),
    }
}

/// Blocks that would grow beyond the largest index are left out one by one, the largest first.
#[tokio::test]
async fn an_index_that_would_be_too_large() {
    let world = World::with(&TWO_HOURS[..9]);
    let index_bytes = |block: BlockId| world.memory.body(&index_key(block)).unwrap().len() as u64;
    let limit = TWO_HOURS[..4]
        .iter()
        .map(|block| index_bytes(id(block)))
        .sum();
    let process = world.start(Settings {
        planner: Planner::new(Planner::MAX_LEVEL, limit),
        ..Settings::default()
    });
    let report = process.compactor.iterate().await;
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    assert_eq!(report.merged, 2);
    let marks = TWO_HOURS
        .iter()
        .filter_map(|block| world.marked(id(block), MarkKind::NoCompact));
    let reasons = marks.map(|mark| match mark {
        Mark::NoCompact(mark) => mark.reason,
        mark => panic!("{mark:?}"),
    });
    assert_eq!(reasons.collect::<Vec<_>>(), ["index-size-exceeding"; 2]);
    let outputs = world.outputs();
    let sources: Vec<usize> = outputs
        .iter()
        .map(|meta| meta.compaction.sources.len())
        .collect();
    assert_eq!(sources, [3, 3]);
    assert!(outputs.iter().all(|meta| index_bytes(meta.id) < limit));
    let series = "rutile_compact_quarantined_blocks{reason=\"index-size-exceeding\"}";
    assert_eq!(process.metric(series), 2.0);
}

/// Lets the second chunk of the first series begin when the first one ends, instead of later.
fn begin_before_the_end(index: &mut [u8]) {
    change_first_series(index, |chunks| {
        let second = &mut chunks[1];
        // A gap of 0, in as many bytes as the one that was there.
        let gap = uvarint(second, 0).1;
        second[..gap].copy_from_slice(&padded(0, gap));
    });
}

#[tokio::test]
async fn a_merged_block_that_claims_more_than_it_was_made_of() {
    let bad = id(EIGHT_HOURS[1]);
    let world = World::with(&EIGHT_HOURS);
    world.add_changed(EIGHT_HOURS[1], |meta| meta.max_time += 8 * HOUR);
    let report = world.iterate().await;
    // What comes behind it is merged all the same, and nothing across it.
    assert_eq!((report.quarantined, report.merged), (1, 1));
    let output = world.outputs().into_iter().max_by_key(|meta| meta.id);
    let output = output.unwrap();
    assert_eq!(output.min_time, world.meta(bad).max_time - 8 * HOUR);
    match world.marked(bad, MarkKind::NoCompact) {
        Some(Mark::NoCompact(mark)) => assert_eq!(mark.reason, "wrong-times"),
        mark => panic!("{mark:?}"),
    }
}

/// What overlaps for other reasons is nobody's lie, and its index is not even read.
#[tokio::test]
async fn blocks_that_overlap_honestly_are_left_as_they_are() {
    let world = World::with(&TWO_HOURS[..5]);
    // Of windows that are as long as the others', but begin elsewhere.
    change_meta(&world, |meta| {
        meta.min_time += 30 * 60_000;
        meta.max_time += 30 * 60_000;
    });
    let process = world.start(Settings::default());
    let report = process.compactor.iterate().await;
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    assert_eq!(report.quarantined, 0);
    assert!(world.marked(id(BAD), MarkKind::NoCompact).is_none());
    assert_eq!(process.metric("rutile_compact_overlapping_blocks"), 2.0);
    let index = index_key(id(BAD));
    assert!(world.bucket.calls().iter().all(|call| call.key != index));
}

#[tokio::test]
async fn what_a_bad_line_damages_is_read_again() {
    let world = World::with(&TWO_HOURS[..5]);
    let torn = Rule::new(Fault::Truncate(100)).key(chunks()).times(1);
    world.bucket.add(torn);
    let report = world.iterate().await;
    assert_eq!((report.merged, report.quarantined), (1, 0));
    assert!(world.marked(id(BAD), MarkKind::NoCompact).is_none());
}
