//! Blocks and what compactions make of them: the one or the others are served, never both, never
//! neither.

use rutile_block::{BlockId, index_key, meta_key};
use rutile_model::ErrorKind;
use rutile_objstore::Operation;
use rutile_objstore::fake::{Fault, Rule};
use rutile_runtime::{Entropy, SeededEntropy};
use rutile_storeapi::StoreApi;

use crate::world::{
    COMPACTED, HOUR, MORE_COMPACTED, MORE_SOURCES, SOURCES, World, answer, answer_of, check_chunks,
    everything, id,
};

/// How the index of a block can be out of reach.
#[derive(Debug, Clone, Copy)]
enum Damage {
    Missing,
    Hidden,
    Unavailable,
    Flipped,
    Truncated,
}

impl Damage {
    const ALL: [Self; 5] = [
        Self::Missing,
        Self::Hidden,
        Self::Unavailable,
        Self::Flipped,
        Self::Truncated,
    ];

    fn afflict(self, world: &World, block: &str) {
        let key = index_key(id(block));
        let mut index = world.memory.body(&key).unwrap().to_vec();
        match self {
            Self::Missing => {
                world.memory.remove(&key);
                return;
            }
            Self::Hidden => return world.bucket.add(Rule::new(Fault::NotFound).key(key)),
            Self::Unavailable => {
                let fault = Fault::FailBefore(ErrorKind::Unavailable);
                return world.bucket.add(Rule::new(fault).key(key));
            }
            Self::Flipped => index[100] ^= 1,
            Self::Truncated => index.truncate(index.len() / 2),
        }
        world.memory.insert(key, index, world.now());
    }

    fn heal(world: &World, block: &str) {
        world.bucket.heal();
        world.add(block);
    }
}

#[tokio::test]
async fn p1_sources_stay_served_until_their_successor_can_be_read() {
    for damage in Damage::ALL {
        let world = World::new();
        world.add_all(&SOURCES);
        assert_eq!(world.sync().await.served, 4);
        world.check(&SOURCES, "before").await;

        world.add(COMPACTED);
        damage.afflict(&world, COMPACTED);
        world.mark_compacted(&SOURCES);
        for hours in [0, 1, 23, 1, 1] {
            world.fixture.clock.advance(hours * HOUR);
            let synced = world.sync().await;
            let counts = (synced.served, synced.failed, synced.dropped);
            assert_eq!(counts, (4, 1, 0), "{damage:?}");
            world.check(&SOURCES, &format!("{damage:?}")).await;
        }

        Damage::heal(&world, COMPACTED);
        let synced = world.sync().await;
        let counts = (synced.served, synced.failed, synced.dropped);
        assert_eq!(counts, (1, 0, 4), "{damage:?}");
        world.check(&[COMPACTED], "after").await;
        assert_eq!(world.sync().await.served, 1, "and it stays so");
    }
}

#[tokio::test]
async fn p1_a_fresh_process_serves_the_sources_of_an_unreadable_block() {
    for damage in Damage::ALL {
        let mut world = World::new();
        world.add_all(&SOURCES);
        world.add(COMPACTED);
        damage.afflict(&world, COMPACTED);
        assert_eq!(world.sync().await.served, 4, "{damage:?}");
        world.check(&SOURCES, &format!("{damage:?}")).await;
        Damage::heal(&world, COMPACTED);
        world.restart();
        assert_eq!(world.sync().await.served, 1, "{damage:?}");
        world.check(&[COMPACTED], &format!("{damage:?}")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p1_the_swap_is_one_step_for_those_who_ask_meanwhile() {
    let world = World::new();
    world.add_all(&SOURCES);
    world.sync().await;
    world.add(COMPACTED);
    // The sync waits where it reads the new block's index.
    let key = index_key(id(COMPACTED));
    let gate = world.bucket.pause(|fault| Rule::new(fault).key(key));
    let store = &*world.fixture.store.gateway;
    let ((), synced) = tokio::join!(
        async {
            gate.reached().await;
            let pinned = store.series(Default::default(), everything());
            let pinned = pinned.await.unwrap();
            world.check(&SOURCES, "during").await;
            gate.open();
            for _ in 0..5 {
                let now = answer(store).await.unwrap();
                check_chunks(&now.chunks, &SOURCES, "while it is swapped in");
            }
            // A call that began before the swap ends with what it began with.
            let frames: Vec<_> = futures::TryStreamExt::try_collect(pinned).await.unwrap();
            let frames: Vec<rutile_storeapi::Frames> = frames;
            let messages = frames.iter().flat_map(|frames| frames.decode().unwrap());
            let old = answer_of(messages.collect());
            check_chunks(&old.chunks, &SOURCES, "a call over the swap");
        },
        world.sync()
    );
    assert_eq!((synced.served, synced.dropped), (1, 4));
    world.check(&[COMPACTED], "after").await;
}

#[tokio::test]
async fn p1_bc_07_the_sources_are_wanted_back_when_the_successor_goes_away() {
    let world = World::new();
    world.add_all(&SOURCES);
    world.add(COMPACTED);
    assert_eq!(world.sync().await.served, 1);
    // Somebody removes the compacted block; its sources are still there.
    world.remove(COMPACTED);
    assert_eq!(world.sync().await.served, 4);
    world.check(&SOURCES, "the sources again").await;
}

#[tokio::test]
async fn bc_08_a_block_and_its_successor_are_never_served_together() {
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
        let world = World::new();
        world.add(COMPACTED);
        // Some sources come late, as after an outage of their uploader.
        for source in order {
            world.add(SOURCES[source]);
            assert_eq!(world.sync().await.served, 1);
            world.check(&[COMPACTED], "the compacted block only").await;
        }
    }
}

/// Anything may happen between two syncs that the contract allows: the answer is always complete,
/// and no sample is in it twice.
#[tokio::test]
async fn bc_07_bc_08_every_sync_of_a_busy_bucket_leaves_the_answer_complete() {
    for seed in 0..6 {
        let mut run = Run::new(seed);
        run.world.sync().await;
        for step in 0..14 {
            let event = run.event();
            run.sync().await;
            let answer = run.world.answer().await;
            let context = format!("seed {seed}, step {step}: {event}");
            assert_eq!(answer.warnings, Vec::<String>::new(), "{context}");
            // A compaction passes chunks on as they are.
            check_chunks(&answer.chunks, &[COMPACTED, MORE_COMPACTED], &context);
        }
    }
}

/// Two groups of blocks on their way from sources to a compacted block.
struct Run {
    world: World,
    entropy: SeededEntropy,
    groups: [Group; 2],
}

struct Group {
    sources: [&'static str; 4],
    compacted: &'static str,
    /// When the sources were marked.
    marked_at: Option<i64>,
    added: bool,
    readable: bool,
}

impl Run {
    fn new(seed: u64) -> Self {
        let group = |sources, compacted| Group {
            sources,
            compacted,
            marked_at: None,
            added: false,
            readable: false,
        };
        let world = World::new();
        world.add_all(&SOURCES);
        world.add_all(&MORE_SOURCES);
        Self {
            world,
            entropy: SeededEntropy::new(seed),
            groups: [
                group(SOURCES, COMPACTED),
                group(MORE_SOURCES, MORE_COMPACTED),
            ],
        }
    }

    /// Makes something happen, and says what.
    fn event(&mut self) -> String {
        let hours = (self.entropy.next_u64() % 9) as i64;
        self.world.fixture.clock.advance(hours * HOUR);
        let chance = self.entropy.next_u64();
        let (world, now) = (&self.world, self.world.now());
        let group = &mut self.groups[(chance % 2) as usize];
        let marked_for = group.marked_at.map(|at| now - at);
        match (chance >> 8) % 3 {
            _ if marked_for.is_some_and(|age| age > 40 * HOUR && !group.readable) => {
                group.readable = true;
                world.bucket.heal();
                "a successor can be read at last".to_owned()
            }
            _ if marked_for.is_some_and(|age| age > 49 * HOUR) => {
                group.sources.iter().for_each(|source| world.remove(source));
                "sources are deleted".to_owned()
            }
            0 if !group.added => {
                group.added = true;
                let key = index_key(id(group.compacted));
                let fault = Fault::FailBefore(ErrorKind::Unavailable);
                world.bucket.add(Rule::new(fault).key(key));
                world.add(group.compacted);
                "a successor comes that cannot be read".to_owned()
            }
            1 if group.added && group.marked_at.is_none() => {
                group.marked_at = Some(now);
                world.mark_compacted(&group.sources);
                "sources are marked".to_owned()
            }
            _ if group.added => {
                group.readable = true;
                world.bucket.heal();
                "the bucket is well".to_owned()
            }
            _ => format!("{hours} hours pass"),
        }
    }

    /// A sync, every third time after one that cannot list the bucket, or reads no metadata.
    async fn sync(&mut self) {
        let chance = self.entropy.next_u64() % 6;
        if chance == 0 {
            let fault = Fault::FailBefore(ErrorKind::Unavailable);
            let rule = Rule::new(fault).on([Operation::List]).key("").times(1);
            self.world.bucket.add(rule);
            let failed = self.world.fixture.store.syncer.sync().await;
            assert_eq!(failed.unwrap_err().kind(), ErrorKind::Unavailable);
        } else if chance == 1 {
            let fault = Fault::FailBefore(ErrorKind::Unavailable);
            let meta = meta_key(id(self.groups[0].sources[0]));
            self.world.bucket.add(Rule::new(fault).key(meta).times(1));
        }
        self.world.sync().await;
    }
}

/// A compaction of downsampled blocks may lie about a gap: its part came late, or could not be downsampled.
#[tokio::test]
async fn bc_07_what_a_coarser_block_has_the_time_of_and_does_not_hold_is_read_from_a_finer_one() {
    let late = MORE_SOURCES[0];
    let check = async |more: &[BlockId], expected: &[&str]| {
        let world = World::new();
        world.add_all(&[COMPACTED, late]);
        world.change(COMPACTED, |meta| {
            meta.thanos.downsample.resolution = 300_000;
            meta.max_time += 2 * HOUR;
            meta.compaction.sources.extend(more);
        });
        world.sync().await;
        let mut request = everything();
        request.max_resolution_window = 300_000;
        let answer = answer_of(world.fixture.series(request).await.unwrap());
        check_chunks(&answer.chunks, expected, &format!("{more:?}"));
    };
    check(&[], &[COMPACTED, late]).await;
    check(&[id(late)], &[COMPACTED]).await;
}
