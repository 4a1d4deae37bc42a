//! A bad block is left out with a reason that its mark and a metric show; everything else goes on.

use rutile_block::{Mark, MarkKind, Meta, index_key, meta_key};
use rutile_objstore::fake::{Fault, Rule};

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
    let bad = EIGHT_HOURS[1];
    let world = World::with(&EIGHT_HOURS);
    change(&world, &index_key(id(bad)), |index| {
        begin_before_the_end(index);
    });
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

/// Lets the second chunk of the first series begin when the first one ends, instead of later.
fn begin_before_the_end(index: &mut [u8]) {
    let toc = &index[index.len() - 52..];
    let series = u64::from_be_bytes(toc[8..16].try_into().unwrap()) as usize;
    let start = series.next_multiple_of(16);
    // Length; labels, each two references; number of chunks; the first one: time, length, place.
    let (content_len, content) = uvarint(index, start);
    let (labels, mut at) = uvarint(index, content);
    for _ in 0..2 * labels {
        at = uvarint(index, at).1;
    }
    let (chunks, mut at) = uvarint(index, at);
    assert!(chunks > 1);
    for _ in 0..3 {
        at = uvarint(index, at).1;
    }
    // A gap of 0, in as many bytes as the one that was there.
    let end = uvarint(index, at).1;
    index[at..end].fill(0x80);
    index[end - 1] = 0;
    let end = content + content_len;
    let crc = crc_fast::crc32_iscsi(&index[content..end]);
    index[end..end + 4].copy_from_slice(&crc.to_be_bytes());
}

/// The number at `at`, and where it ends.
fn uvarint(bytes: &[u8], at: usize) -> (usize, usize) {
    let len = bytes[at..].iter().position(|byte| *byte < 0x80).unwrap() + 1;
    let digits = bytes[at..at + len].iter().rev();
    let value = digits.fold(0, |value, byte| value << 7 | usize::from(byte & 0x7f));
    (value, at + len)
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
