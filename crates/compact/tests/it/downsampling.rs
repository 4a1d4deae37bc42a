//! Downsampling through the whole compactor: what is made of the recorded blocks, when, and what is left of it after a crash.

use rutile_block::{BlockId, Mark, MarkKind, Meta, details, file_key, mark_key};
use rutile_compact::Retention;
use rutile_model::ErrorKind;
use rutile_objstore::Operation;
use rutile_objstore::fake::{Fault, Rule};
use rutile_testkit::golden;

use crate::world::{DAY, HOUR, NOW_MS, Settings, World, id};

/// Of golden/long: fourteen days of raw samples, and what Thanos made of them.
pub(crate) const FOURTEEN_DAYS: &str = "01M820QC3KWQ0MDSXRHNP83DG8";
const FIVE_MINUTES: &str = "01M820QC5G26K437D3BMSX3G5C";
const ONE_HOUR: &str = "01M820QCC5NSJ7FX1TVNAZ9Z1V";
/// Of golden/raw: two days.
pub(crate) const TWO_DAYS: &str = "01M820Q9SJYFHMNPJJ06KPJ51B";

fn settings() -> Settings {
    Settings {
        retention: Retention {
            downsampling: true,
            ..Retention::default()
        },
        ..Settings::default()
    }
}

fn resolution(meta: &Meta) -> i64 {
    meta.thanos.downsample.resolution
}

/// The blocks of a resolution that are there and not marked.
fn live(world: &World, of: i64) -> Vec<Meta> {
    let metas = world.live().into_iter().map(|id| world.meta(id));
    metas.filter(|meta| resolution(meta) == of).collect()
}

/// Iterates until nothing is left to do.
async fn settle(world: &World) {
    let process = world.start(settings());
    for _ in 0..10 {
        let report = process.compactor.iterate().await;
        assert!(report.errors.is_empty(), "{:?}", report.errors);
        if report.downsampled + report.marked + report.deleted == 0 {
            return;
        }
    }
    panic!("the compactor does not come to rest");
}

/// The files of a block are those of a recorded one.
fn check_files(world: &World, made: BlockId, recorded: &str) {
    let folder = golden().join("long").join(recorded);
    for file in ["index", "chunks/000001"] {
        let body = world.memory.body(&file_key(made, file)).unwrap();
        assert!(
            body == std::fs::read(folder.join(file)).unwrap(),
            "{file} of {recorded}"
        );
    }
}

#[tokio::test]
async fn two_weeks_become_what_thanos_made_of_them() {
    let world = World::with(&[FOURTEEN_DAYS]);
    let process = world.start(settings());
    let report = process.compactor.iterate().await;
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    // Both in one iteration: the second is made of the first.
    assert_eq!((report.downsampled, report.marked), (2, 0));
    for (of, recorded) in [(300_000, FIVE_MINUTES), (3_600_000, ONE_HOUR)] {
        let [made] = live(&world, of).try_into().unwrap();
        check_files(&world, made.id, recorded);
        assert_eq!(made.compaction, world.meta(id(FOURTEEN_DAYS)).compaction);
    }
    let shown = |name: &str, from: &str| {
        process.metric(&format!(
            "thanos_compact_downsample_{name}{{resolution=\"{from}\"}}"
        ))
    };
    for from in ["0", "300000"] {
        assert_eq!(
            (shown("total", from), shown("failures_total", from)),
            (1.0, 0.0)
        );
        assert_eq!(shown("duration_seconds_count", from), 1.0);
    }
    assert_eq!(process.metric("thanos_compact_todo_downsample_blocks"), 0.0);
    let report = process.compactor.iterate().await;
    assert_eq!((report.downsampled, report.marked), (0, 0));
}

#[tokio::test]
async fn only_what_is_due_is_downsampled() {
    let check = async |change: &dyn Fn(&World), settings: Settings, expected: usize| {
        let world = World::with(&[TWO_DAYS]);
        change(&world);
        let report = world.start(settings).compactor.iterate().await;
        assert_eq!(report.downsampled, expected, "{:?}", report.errors);
        assert_eq!(live(&world, 300_000).len(), expected);
    };
    check(&|_| {}, settings(), 1).await;
    check(&|_| {}, Settings::default(), 0).await;
    let shorter = |world: &World| {
        world.add_changed(TWO_DAYS, |meta| {
            meta.max_time = meta.min_time + 40 * HOUR - 1;
        });
    };
    check(&shorter, settings(), 0).await;
    let excluded = |world: &World| {
        let mark = Mark::new(MarkKind::NoDownsample, id(TWO_DAYS), "manual", "", NOW_MS);
        let key = mark_key(id(TWO_DAYS), MarkKind::NoDownsample);
        world.memory.insert(key, mark.to_json(), NOW_MS);
    };
    check(&excluded, settings(), 0).await;
    // BC-15: what is to be deleted lives on in nothing.
    check(&|world| world.mark(TWO_DAYS, "by hand"), settings(), 0).await;
}

/// BC-11: the block that cannot be read may be just the one that is missing.
#[tokio::test]
async fn bc_11_nothing_is_downsampled_while_a_block_cannot_be_read() {
    let world = World::with(&[TWO_DAYS]);
    settle(&world).await;
    let [made] = live(&world, 300_000).try_into().unwrap();
    let rule = Rule::new(Fault::FailBefore(ErrorKind::Unavailable)).on([Operation::Get]);
    world.bucket.add(rule.key(file_key(made.id, "meta.json")));
    let report = world.start(settings()).compactor.iterate().await;
    assert_eq!(report.downsampled, 0);
    world.bucket.heal();
    settle(&world).await;
    assert_eq!(live(&world, 300_000), [made]);
}

/// BC-12: raw samples stay until what is due of them is committed, and go then.
#[tokio::test]
async fn bc_12_raw_samples_outlive_their_retention_until_they_are_downsampled() {
    let expired = || Settings {
        retention: Retention {
            raw: Some(2 * DAY),
            ..settings().retention
        },
        ..settings()
    };
    let world = World::with(&[TWO_DAYS]);
    let uploads = Rule::new(Fault::FailBefore(ErrorKind::Unavailable));
    let uploads = uploads.on([Operation::StartMultipart, Operation::Put]);
    world.bucket.add(uploads);
    let process = world.start(expired());
    let report = process.compactor.iterate().await;
    assert!(!report.errors.is_empty() && report.downsampled == 0);
    assert_eq!(
        process.metric("rutile_compact_retention_waiting_blocks"),
        1.0
    );
    assert_eq!(live(&world, 0).len(), 1);
    world.bucket.heal();
    let report = process.compactor.iterate().await;
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    assert_eq!((report.downsampled, report.marked), (1, 1));
    assert_eq!((live(&world, 0).len(), live(&world, 300_000).len()), (0, 1));
}

/// BC-12: what is kept of them must not only be there, but be readable.
#[tokio::test]
async fn bc_12_raw_samples_stay_while_what_was_made_of_them_cannot_be_read() {
    let world = World::with(&[TWO_DAYS]);
    settle(&world).await;
    let [made] = live(&world, 300_000).try_into().unwrap();
    let key = file_key(made.id, "index");
    let whole = world.memory.body(&key).unwrap();
    let mut spoilt = whole.to_vec();
    let last = spoilt.len() - 1;
    spoilt[last] ^= 0x55;
    world.memory.insert(&key, spoilt, NOW_MS);
    let expired = || Settings {
        retention: Retention {
            raw: Some(2 * DAY),
            ..settings().retention
        },
        ..settings()
    };
    let report = world.start(expired()).compactor.iterate().await;
    let [error] = report.errors.as_slice() else {
        panic!("{:?}", report.errors);
    };
    let text = error.to_string();
    assert!(text.contains(&made.id.to_string()), "{text}");
    assert_eq!((report.marked, live(&world, 0).len()), (0, 1));
    world.memory.insert(&key, whole, NOW_MS);
    let report = world.start(expired()).compactor.iterate().await;
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    assert_eq!((report.marked, live(&world, 0).len()), (1, 0));
}

/// BC-12: what a person gave up after the look at the bucket keeps nothing, nor does what goes with it.
#[tokio::test]
async fn bc_12_raw_samples_stay_when_what_was_made_of_them_was_just_marked() {
    let world = World::with(&[TWO_DAYS]);
    settle(&world).await;
    let [made] = live(&world, 300_000).try_into().unwrap();
    let gate = world.bucket.pause(|fault| {
        let clock = Rule::new(fault).on([Operation::Put]);
        clock.key("rutile/clock").times(1)
    });
    let process = world.start(Settings {
        retention: Retention {
            raw: Some(2 * DAY),
            ..settings().retention
        },
        ..settings()
    });
    let (report, ()) = tokio::join!(process.compactor.iterate(), async {
        gate.reached().await;
        world.mark(&made.id.to_string(), "by hand");
        gate.open();
    });
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    assert_eq!((report.marked, live(&world, 0).len()), (0, 1));
}

/// Two compactors: one sees what the other one has committed, and takes the raw samples before that one looks again. What
/// it made is all that is left then; only what a person gave up must not live on in it.
#[tokio::test]
async fn bc_12_what_retention_waited_for_stays_when_retention_was_faster() {
    let retention = format!("{}48h0m0s", details::RETENTION_PREFIX);
    for (reason, stays) in [(retention.as_str(), true), ("by hand", false)] {
        let world = World::with(&[TWO_DAYS]);
        let gate = world.bucket.pause(|fault| {
            let commit = Rule::new(fault).on([Operation::Put]);
            commit.key_suffix("/meta.json").times(1)
        });
        let process = world.start(settings());
        let (report, ()) = tokio::join!(process.compactor.iterate(), async {
            gate.reached().await;
            world.mark(TWO_DAYS, reason);
            gate.open();
        });
        let (made, errors) = (live(&world, 300_000).len(), report.errors.len());
        assert_eq!(
            (made, errors),
            if stays { (1, 0) } else { (0, 1) },
            "{reason}"
        );
    }
}

#[tokio::test]
async fn a_damaged_block_fails_alone_and_stays() {
    let world = World::with(&[FOURTEEN_DAYS, TWO_DAYS]);
    let key = file_key(id(FOURTEEN_DAYS), "chunks/000001");
    let mut body = world.memory.body(&key).unwrap().to_vec();
    let middle = body.len() / 2;
    body[middle] ^= 0x55;
    world.memory.insert(key, body, NOW_MS - HOUR);
    let process = world.start(settings());
    let report = process.compactor.iterate().await;
    let [error] = report.errors.as_slice() else {
        panic!("{:?}", report.errors);
    };
    assert!(error.to_string().contains(FOURTEEN_DAYS), "{error}");
    assert_eq!((report.downsampled, report.marked), (1, 0));
    assert_eq!(live(&world, 0).len(), 2);
    let failed = "thanos_compact_downsample_failures_total{resolution=\"0\"}";
    assert_eq!(process.metric(failed), 1.0);
}

/// Kills a compactor when it makes its `n`-th request, before that takes effect. Whether there was one.
async fn run_until_request(world: &World, n: u64) -> bool {
    let gate = world.bucket.pause(|fault| Rule::new(fault).after(n));
    let process = world.start(settings());
    let killed = tokio::select! {
        biased;
        () = gate.reached() => true,
        report = process.compactor.iterate() => {
            assert!(report.errors.is_empty(), "{:?}", report.errors);
            false
        }
    };
    drop(process);
    world.bucket.heal();
    killed
}

#[tokio::test]
async fn bc_10_killed_at_every_request_of_a_downsampling_it_goes_on_where_it_was() {
    let mut n = 0;
    loop {
        let world = World::with(&[TWO_DAYS]);
        let killed = run_until_request(&world, n).await;
        settle(&world).await;
        let context = format!("killed at request {n}");
        assert_eq!(live(&world, 0).len(), 1, "{context}");
        assert_eq!(live(&world, 300_000).len(), 1, "{context}");
        world.check_readable(&[TWO_DAYS], &context).await;
        // Once the delays are over, nothing but these two is left.
        for later in [100, 200] {
            world.clock.set(NOW_MS + later * HOUR);
            settle(&world).await;
        }
        let live = world.live();
        assert_eq!(live.len(), 2, "{context}");
        for key in world.memory.keys() {
            let of_live = live.iter().any(|id| key.starts_with(&id.to_string()));
            assert!(of_live || key == "rutile/clock", "{context}: {key} is left");
        }
        if !killed {
            break;
        }
        n += 1;
    }
    assert!(n > 25, "only {n} requests were seen");
}
