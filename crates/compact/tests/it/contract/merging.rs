//! What a merge promises: order, inputs, output, workers.

use std::collections::BTreeSet;

use rutile_block::{BlockId, MarkKind, Part, details, meta_key, parse_key};
use rutile_compact::Error;
use rutile_objstore::fake::{Fault, Rule};
use rutile_objstore::{Operation, fake::Call};

use crate::reader::dumped;
use crate::world::{DAY, FIRST_EIGHT_HOURS, HOUR, NOW_MS, Settings, TWO_HOURS, World, id};

fn five() -> &'static [&'static str] {
    TWO_HOURS.get(..5).unwrap()
}

fn writes(calls: &[Call]) -> impl Iterator<Item = &Call> {
    let writing = [
        Operation::Put,
        Operation::CompleteMultipart,
        Operation::Delete,
    ];
    calls
        .iter()
        .filter(move |call| writing.contains(&call.operation))
}

#[tokio::test]
async fn bc_01_no_object_of_a_block_is_written_twice() {
    let world = World::with(&TWO_HOURS);
    let before: BTreeSet<String> = world.memory.keys().into_iter().collect();
    world.iterate().await;
    world.iterate().await;
    let mut written = BTreeSet::new();
    let calls = world.bucket.calls();
    for call in writes(&calls) {
        let key = call.key.clone();
        assert!(!before.contains(&key), "{key} is overwritten");
        assert!(written.insert(key), "{} is written twice", call.key);
    }
    assert_eq!(world.outputs().len(), 2);
}

#[tokio::test]
async fn bc_02_meta_json_comes_last_between_two_listings_and_marks_after_it() {
    let world = World::with(five());
    world.iterate().await;
    let output = world.outputs()[0].id;
    let calls = world.bucket.calls();
    let commit = calls
        .iter()
        .position(|call| call.operation == Operation::Put && call.key == meta_key(output))
        .unwrap();
    let (before, after) = calls.split_at(commit);
    let lists = |calls: &[Call]| {
        let lists = |call: &Call| call.operation == Operation::List;
        calls
            .iter()
            .any(|call| lists(call) && call.key.starts_with(&output.to_string()))
    };
    assert!(lists(before) && lists(after));
    let later: Vec<_> = writes(&after[1..])
        .map(|call| parse_key(&call.key).unwrap().1)
        .collect();
    assert_eq!(
        later,
        [Part::Mark(MarkKind::Deletion); 4],
        "only marks come later"
    );
}

#[tokio::test]
async fn bc_05_sources_are_marked_and_stay() {
    let world = World::with(five());
    let report = world.iterate().await;
    assert_eq!((report.merged, report.marked, report.deleted), (1, 4, 0));
    for block in &five()[..4] {
        let mark = world.marked(id(block), MarkKind::Deletion).unwrap();
        assert_eq!(mark.details(), details::COMPACTED);
        assert!(world.blocks().contains(&id(block)), "{block} is there");
    }
}

/// The first eight hours as another worker made them at the same time, under a younger name.
fn add_younger(world: &World) -> BlockId {
    let younger = "01M820Q9H47EQ2X5VQJFSM8WRQ";
    world.add(FIRST_EIGHT_HOURS);
    for key in world.memory.keys() {
        if let Some(path) = key.strip_prefix(FIRST_EIGHT_HOURS) {
            let body = world.memory.body(&key).unwrap();
            let key = format!("{younger}{path}");
            world.memory.insert(key, body, NOW_MS);
        }
    }
    let mut meta = world.meta(id(FIRST_EIGHT_HOURS));
    meta.id = id(younger);
    let key = meta_key(meta.id);
    world.memory.insert(key, meta.to_json(), NOW_MS);
    meta.id
}

#[tokio::test]
async fn bc_08_of_two_outputs_of_the_same_sources_all_choose_the_older_one() {
    let world = World::with(five());
    world.add(FIRST_EIGHT_HOURS);
    let report = world.iterate().await;
    assert_eq!(
        (report.merged, report.marked),
        (0, 4),
        "the sources of what is there"
    );
    let younger = add_younger(&world);
    world.iterate().await;
    let mark = world.marked(younger, MarkKind::Deletion).unwrap();
    assert_eq!(mark.details(), details::OUTDATED);
    assert!(
        world
            .marked(id(FIRST_EIGHT_HOURS), MarkKind::Deletion)
            .is_none()
    );
    world.check_readable(five(), "afterwards").await;
}

/// The winner of the tie goes again, because an input was marked before it was committed; its equal
/// was in time.
#[tokio::test]
async fn bc_08_a_marked_winner_leaves_its_place_to_its_equal() {
    let world = World::with(five());
    let younger = add_younger(&world);
    world.mark_compacted(&five()[..4]);
    world.mark(FIRST_EIGHT_HOURS, details::TAINTED);
    for hours in [0, 23, 25, 49, 51] {
        world.clock.set(NOW_MS + hours * HOUR);
        world
            .check_readable(five(), &format!("before, {hours} h"))
            .await;
        world.iterate().await;
        world
            .check_readable(five(), &format!("after, {hours} h"))
            .await;
        assert!(world.live().contains(&younger), "{hours} h");
    }
    assert_eq!(world.blocks(), BTreeSet::from([younger, id(five()[4])]));
}

#[tokio::test]
async fn bc_13_the_output_holds_exactly_its_inputs_and_is_read_back_first() {
    let world = World::with(five());
    world.iterate().await;
    let output = world.outputs()[0].id.to_string();
    let calls = world.bucket.calls();
    let commit = calls.iter().position(|call| {
        call.key == format!("{output}/meta.json") && call.operation == Operation::Put
    });
    let read_back = |part: &str| {
        let reads = [Operation::Get, Operation::GetRange, Operation::GetRanges];
        calls[..commit.unwrap()]
            .iter()
            .any(|call| reads.contains(&call.operation) && call.key == format!("{output}/{part}"))
    };
    assert!(read_back("index") && read_back("chunks/000001"));
    for block in &five()[..4] {
        for key in world
            .memory
            .keys()
            .into_iter()
            .filter(|key| key.starts_with(block))
        {
            world.memory.remove(&key);
        }
    }
    assert!(world.read().await == dumped(five().iter().copied()));
}

#[tokio::test]
async fn bc_13_an_output_that_reads_back_otherwise_supersedes_nothing() {
    let world = World::with(five());
    // What comes back of the output's chunks is not what was sent. Its name begins with the time.
    let now = BlockId::from_parts(NOW_MS.unsigned_abs(), [0; 10]).to_string();
    let rule = Rule::new(Fault::Truncate(10))
        .on([Operation::GetRange, Operation::GetRanges, Operation::Get])
        .key_prefix(now.get(..10).unwrap())
        .key_suffix("/chunks/000001");
    world.bucket.add(rule);
    let report = world.start(Settings::default()).compactor.iterate().await;
    assert!(!report.errors.is_empty());
    assert_eq!(
        (report.merged, report.marked, report.quarantined),
        (0, 0, 0),
        "{report:?}"
    );
    assert_eq!(world.live().len(), 5);
    world.bucket.heal();
    assert_eq!(
        world.iterate().await.merged,
        1,
        "a passing fault leaves no trace"
    );
}

#[tokio::test]
async fn bc_14_an_input_that_is_marked_during_the_merge_takes_the_output_with_it() {
    let world = World::with(five());
    let gate = world.bucket.pause(|fault| {
        Rule::new(fault)
            .on([Operation::Put])
            .key_suffix("/meta.json")
            .times(1)
    });
    let process = world.start(Settings::default());
    let mark_meanwhile = async {
        gate.reached().await;
        world.mark(five()[1], "erase this");
        gate.open();
    };
    let (report, ()) = tokio::join!(process.compactor.iterate(), mark_meanwhile);
    let gone = |error: &Error| matches!(error, Error::InputGone(input) if *input == id(five()[1]));
    assert!(report.errors.iter().any(gone), "{:?}", report.errors);
    assert_eq!(world.outputs(), vec![], "the output is marked");
    let unmarked: BTreeSet<_> = [0, 2, 3, 4].map(|at| id(five()[at])).into();
    assert_eq!(world.live(), unmarked, "the inputs are not");
    world
        .check_readable(five(), "for as long as the mark is young")
        .await;

    // When the marks are older than readers look at them, the rest is compacted without that block.
    world.clock.advance(2 * DAY + HOUR);
    world.iterate().await;
    world.iterate().await;
    let rest = [five()[0], five()[2], five()[3], five()[4]];
    world.check_readable(&rest, "in the end").await;
    assert!(!world.blocks().contains(&id(five()[1])), "it is gone");
}

#[tokio::test]
async fn bc_14_an_input_that_is_marked_before_the_commit_keeps_it_from_being_made() {
    let world = World::with(five());
    let gate = world.bucket.pause(|fault| {
        Rule::new(fault)
            .on([Operation::Put])
            .key_suffix("/chunks/000001")
            .times(1)
    });
    let process = world.start(Settings::default());
    let mark_meanwhile = async {
        gate.reached().await;
        world.mark(five()[1], "erase this");
        gate.open();
    };
    let (report, ()) = tokio::join!(process.compactor.iterate(), mark_meanwhile);
    assert_eq!((report.merged, report.errors.len()), (0, 1), "{report:?}");
    assert_eq!(world.blocks().len(), 5, "nothing was committed");
    world.check_readable(five(), "as before").await;
}

#[tokio::test]
async fn bc_14_a_crash_before_the_second_look_keeps_nothing_that_was_marked() {
    let world = World::with(five());
    let gate = world.bucket.pause(|fault| {
        Rule::new(fault)
            .on([Operation::Put])
            .key_suffix("/meta.json")
            .times(1)
    });
    let process = world.start(Settings::default());
    let killed = async {
        gate.reached().await;
        world.mark(five()[1], "erase this");
        let marks = Rule::new(Fault::FailBefore(rutile_model::ErrorKind::Unavailable))
            .on([Operation::Put, Operation::Attributes]);
        world.bucket.add(marks.after(1));
        gate.open();
    };
    tokio::join!(process.compactor.iterate(), killed);
    drop(process);
    world.bucket.heal();
    assert_eq!(world.outputs().len(), 1, "committed, and nobody looked");
    world.iterate().await;
    assert_eq!(world.outputs(), vec![]);
    world.check_readable(five(), "for now").await;
}

#[tokio::test]
async fn bc_14_two_compactors_at_once_lose_nothing() {
    let world = World::with(&TWO_HOURS);
    let (one, other) = (
        world.start(Settings::default()),
        world.start(Settings::default()),
    );
    tokio::join!(one.compactor.iterate(), other.compactor.iterate());
    world.check_readable(&TWO_HOURS, "after both").await;
    for _ in 0..3 {
        one.compactor.iterate().await;
    }
    world.check_readable(&TWO_HOURS, "after one more").await;
    world.clock.advance(100 * HOUR);
    for _ in 0..3 {
        one.compactor.iterate().await;
        world.check_readable(&TWO_HOURS, "later").await;
    }
    assert_eq!(world.outputs().len(), 2, "an 8 h and a 2 d block");
}

#[tokio::test]
async fn bc_15_p12_a_block_marked_by_a_person_is_no_input_and_holds_its_place() {
    for details in ["erase this", ""] {
        let world = World::with(&TWO_HOURS[..9]);
        world.mark(TWO_HOURS[1], details);
        let report = world.iterate().await;
        assert_eq!(
            report.merged, 2,
            "2 to 4 of the first 8 h, and the second 8 h"
        );
        let outputs = world.outputs();
        let source = id(TWO_HOURS[1]);
        assert!(
            outputs
                .iter()
                .all(|meta| !meta.compaction.sources.contains(&source))
        );
        let starts: Vec<i64> = outputs.iter().map(|meta| meta.min_time).collect();
        let start = |at: usize| world.meta(id(TWO_HOURS[at])).min_time;
        assert_eq!(
            BTreeSet::from_iter(starts),
            BTreeSet::from([start(2), start(4)])
        );
        world.clock.advance(2 * DAY + HOUR);
        world.iterate().await;
        world.iterate().await;
        let mut rest = TWO_HOURS[..9].to_vec();
        rest.remove(1);
        world.check_readable(&rest, "it is erased").await;
    }
}

#[tokio::test]
async fn bc_19_neighbours_find_nothing_that_they_do_not_know() {
    let world = World::with(&TWO_HOURS);
    world.iterate().await;
    for key in world.memory.keys() {
        let known = match parse_key(&key) {
            Some((_, Part::Other(path))) => path == "tombstones",
            Some(_) => true,
            None => key.starts_with("rutile/"),
        };
        assert!(known, "{key}");
    }
}

#[tokio::test]
async fn blocks_that_overlap_are_left_alone_reported_and_read_as_before() {
    let world = World::with(five());
    // The second block once more, as another sidecar with the same labels would upload it.
    let twin = "01M820PD9CZWF1R857D2JDBVZW";
    for key in world.memory.keys() {
        if let Some(path) = key.strip_prefix(five()[1]) {
            let body = world.memory.body(&key).unwrap();
            world
                .memory
                .insert(format!("{twin}{path}"), body, NOW_MS - HOUR);
        }
    }
    let mut meta = world.meta(id(five()[1]));
    (meta.id, meta.compaction.sources) = (id(twin), vec![id(twin)]);
    world
        .memory
        .insert(meta_key(id(twin)), meta.to_json(), NOW_MS - HOUR);
    let process = world.start(Settings::default());
    let report = process.compactor.iterate().await;
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    assert_eq!(report.merged, 1, "the third and the fourth");
    assert_eq!(process.metric("rutile_compact_overlapping_blocks"), 2.0);
    world.check_readable(five(), "afterwards").await;
}
