//! Damaged objects: an error that names the object and the place, never a panic, never wrong data,
//! and all other blocks are served as before.
//!
//! The first block is damaged at places that a seed decides, the second one is whole.

use std::sync::{Arc, LazyLock};

use rutile_block::{MarkKind, index_key, mark_key, meta_key};
use rutile_disk::{Disk, MemoryDisk};
use rutile_model::ErrorKind;
use rutile_objstore::fake::{Fault, Rule};
use rutile_proto::thanos::SeriesRequest;
use rutile_runtime::{Entropy, SeededEntropy};

use crate::world::{Answer, Chunks, SOURCES, World, answer_of, everything, expected, id, objects};

const DAMAGED: &str = SOURCES[0];
const WHOLE: &str = SOURCES[1];
/// The time of the whole block.
const WHOLE_TIME: (i64, i64) = (1_767_232_800_000, 1_767_239_999_999);

static BOTH: LazyLock<Chunks> = LazyLock::new(|| expected(&[DAMAGED, WHOLE]));
static REST: LazyLock<Chunks> = LazyLock::new(|| expected(&[WHOLE]));

/// Ways to damage an object of `len` bytes.
struct Damages {
    entropy: SeededEntropy,
    body: Vec<u8>,
}

impl Damages {
    fn new(seed: u64, body: Vec<u8>) -> Self {
        let entropy = SeededEntropy::new(seed);
        Self { entropy, body }
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.entropy.next_u64() % bound as u64) as usize
    }

    /// `count` bodies cut off somewhere, the empty one and those that lack little among them.
    fn truncated(&mut self, count: usize) -> Vec<(String, Vec<u8>)> {
        let len = self.body.len();
        let mut lengths = vec![0, 1, 4, 5, len / 2, len - 52, len - 4, len - 1];
        lengths.extend((0..count).map(|_| self.below(len)));
        let cut = |len: usize| (format!("cut to {len} bytes"), self.body[..len].to_vec());
        lengths.into_iter().map(cut).collect()
    }

    /// `count` bodies with a bit flipped.
    fn flipped(&mut self, count: usize) -> Vec<(String, Vec<u8>)> {
        let flip = |_| {
            let (at, bit) = (self.below(self.body.len()), self.below(8));
            let mut body = self.body.clone();
            body[at] ^= 1 << bit;
            (format!("bit {bit} of byte {at} flipped"), body)
        };
        (0..count).map(flip).collect()
    }

    /// `count` bodies with a few bytes overwritten by such as make lengths and offsets huge.
    fn hostile(&mut self, count: usize) -> Vec<(String, Vec<u8>)> {
        let overwrite = |n: usize| {
            let at = self.below(self.body.len() - 10);
            let byte = [0xff, 0x80, 0x7f, 0x00][n % 4];
            let mut body = self.body.clone();
            body[at..at + 10].fill(byte);
            (format!("ten bytes {byte:#x} at {at}"), body)
        };
        let mut bodies: Vec<_> = (0..count).map(overwrite).collect();
        for byte in [0x00, 0xff] {
            let whole = vec![byte; self.body.len()];
            bodies.push((format!("all bytes {byte:#x}"), whole));
        }
        let noise = (0..self.body.len()).map(|_| self.entropy.next_u64() as u8);
        bodies.push(("noise".to_owned(), noise.collect()));
        bodies
    }

    /// All of them.
    fn all(&mut self, count: usize) -> Vec<(String, Vec<u8>)> {
        let parts = [
            self.truncated(count),
            self.flipped(2 * count),
            self.hostile(count),
        ];
        parts.concat()
    }
}

fn body(path: &str) -> Vec<u8> {
    let found = objects(DAMAGED).into_iter();
    let mut found = found.filter(|(other, _)| other == path);
    found.next().unwrap().1
}

/// Asserts that the whole block is answered from, and that nothing panicked.
async fn check_rest(world: &World, context: &str) {
    let request = SeriesRequest {
        min_time: WHOLE_TIME.0,
        max_time: WHOLE_TIME.1,
        ..everything()
    };
    let answer = answer_of(world.fixture.series(request).await.unwrap());
    assert!(answer.chunks == *REST, "{context}: the whole block");
    assert_eq!(world.fixture.tasks.panics(), 0, "{context}: panics");
}

/// Asks for everything: all of it, or without the damaged block if that was not loaded, or an error
/// that names what is damaged. Returns the error.
async fn check_all(world: &World, loaded: usize, context: &str) -> Option<String> {
    let answer: Answer = match world.fixture.series(everything()).await {
        Ok(messages) => answer_of(messages),
        Err(error) => {
            let text = error.to_string();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{context}: {text}");
            assert!(text.contains(DAMAGED), "{context}: {text}");
            let places = ["at byte ", "at offset ", "the range "];
            let placed = places.iter().any(|place| text.contains(place));
            assert!(placed, "{context}: {text}");
            return Some(text);
        }
    };
    let expected = if loaded == 2 { &*BOTH } else { &*REST };
    assert!(
        answer.chunks == *expected,
        "{context}: {loaded} blocks, wrong data"
    );
    None
}

/// Damages the object at `path` in all ways. Returns how often a block was not loaded, and the
/// errors of calls.
async fn damage(path: &str, seed: u64, count: usize) -> (usize, Vec<String>) {
    let mut world = World::new();
    world.add_all(&[DAMAGED, WHOLE]);
    let (mut unloaded, mut errors) = (0, Vec::new());
    for (damage, body) in Damages::new(seed, body(path)).all(count) {
        let key = format!("{DAMAGED}/{path}");
        world.memory.insert(key, body, world.now());
        world.disk = Arc::new(MemoryDisk::new());
        world.restart();
        let synced = world.sync().await;
        assert_eq!(synced.served + synced.failed, 2, "{path}: {damage}");
        let context = format!("{path}: {damage}");
        check_rest(&world, &context).await;
        errors.extend(check_all(&world, synced.served, &context).await);
        unloaded += synced.failed;
    }
    (unloaded, errors)
}

#[tokio::test]
async fn a_damaged_index_is_an_error_of_its_block() {
    let (unloaded, errors) = damage("index", 1, 25).await;
    assert!(unloaded > 20, "{unloaded} damages found when loading");
    assert!(errors.len() > 10, "{} found when reading", errors.len());
}

#[tokio::test]
async fn a_damaged_segment_is_an_error_of_its_block() {
    let (unloaded, errors) = damage("chunks/000001", 2, 25).await;
    assert_eq!(unloaded, 0, "segments are not read when loading");
    assert!(errors.len() > 90, "{} damages found", errors.len());
    for error in errors {
        assert!(error.contains("chunks/000001"), "{error}");
    }
}

#[tokio::test]
async fn damaged_metadata_and_marks_leave_other_blocks_alone() {
    let mark = World::new();
    mark.mark(DAMAGED, "by hand");
    let mark_key = mark_key(id(DAMAGED), MarkKind::Deletion);
    let mark = mark.memory.body(&mark_key).unwrap().to_vec();
    let mut world = World::new();
    for (key, body, seed) in [
        (meta_key(id(DAMAGED)), body("meta.json"), 3),
        (mark_key, mark, 4),
    ] {
        world.add_all(&[DAMAGED, WHOLE]);
        for (damage, body) in Damages::new(seed, body).all(60) {
            world.memory.insert(key.clone(), body, world.now());
            world.disk = Arc::new(MemoryDisk::new());
            world.restart();
            let synced = world.sync().await;
            assert!(synced.served >= 1, "{key}: {damage}");
            check_rest(&world, &format!("{key}: {damage}")).await;
        }
    }
}

/// Nothing that a file in the local folder holds is worth more than what is in the bucket.
#[tokio::test]
async fn a_damaged_local_index_header_is_rebuilt() {
    let mut world = World::new();
    world.add_all(&[DAMAGED, WHOLE]);
    world.sync().await;
    let path = format!("{DAMAGED}/index-header");
    let header = world.disk.read(&path).unwrap().to_vec();
    for (damage, body) in Damages::new(5, header.clone()).all(25) {
        world
            .disk
            .write(&path, &body, rutile_disk::Durability::Cached)
            .unwrap();
        world.restart();
        let synced = world.sync().await;
        assert_eq!((synced.served, synced.failed), (2, 0), "{damage}");
        let error = check_all(&world, 2, &damage).await;
        assert_eq!(error, None, "{damage}");
        assert!(
            world.disk.read(&path).unwrap() == header,
            "{damage}: rebuilt"
        );
        check_rest(&world, &damage).await;
    }
}

/// The header of another block, whole but wrong, is not believed when the metadata tell.
#[tokio::test]
async fn the_local_index_header_of_another_index_is_rebuilt() {
    let compacted = crate::world::COMPACTED;
    let mut world = World::new();
    world.add_all(&[WHOLE, compacted]);
    world.add(crate::world::MORE_COMPACTED);
    world.sync().await;
    let other = world.disk.read(&format!("{WHOLE}/index-header"));
    let path = format!("{compacted}/index-header");
    // Whole is a source of the compacted block, so it has a header only if it was loaded alone.
    assert!(other.is_err());
    world.remove(compacted);
    world.sync().await;
    let other = world.disk.read(&format!("{WHOLE}/index-header")).unwrap();
    world.add(compacted);
    world
        .disk
        .write(&path, &other, rutile_disk::Durability::Cached)
        .unwrap();
    world.restart();
    world.sync().await;
    let both = [compacted, crate::world::MORE_COMPACTED];
    world.check(&both, "rebuilt").await;
}

#[tokio::test]
async fn an_index_that_is_damaged_while_it_is_served_is_an_error_until_it_is_whole() {
    let world = World::new();
    world.add_all(&[DAMAGED, WHOLE]);
    world.sync().await;
    let key = index_key(id(DAMAGED));
    let whole = body("index");
    for (damage, body) in Damages::new(6, whole.clone()).all(10) {
        world.memory.insert(key.clone(), body, world.now());
        check_rest(&world, &damage).await;
        check_all(&world, 2, &damage).await;
        world.memory.insert(key.clone(), whole.clone(), world.now());
        let error = check_all(&world, 2, "whole again").await;
        assert_eq!(error, None, "{damage}");
    }
}

/// A body that ends early, as when a connection breaks: an error of this call, and of no other.
#[tokio::test]
async fn a_read_that_is_cut_short_is_an_error_of_its_call() {
    let world = World::new();
    world.add_all(&[DAMAGED, WHOLE]);
    world.sync().await;
    let mut errors = 0;
    for path in ["index", "chunks/000001"] {
        for bytes in [0, 1, 3, 10, 100, 1000, 10_000] {
            let context = format!("{path} cut to {bytes} bytes");
            let key = format!("{DAMAGED}/{path}");
            world.bucket.add(Rule::new(Fault::Truncate(bytes)).key(key));
            check_rest(&world, &context).await;
            errors += usize::from(check_all(&world, 2, &context).await.is_some());
            world.bucket.heal();
            assert_eq!(check_all(&world, 2, "whole again").await, None, "{context}");
        }
    }
    assert!(errors > 10, "{errors} errors");
}

/// The place in the message is the one in the object, near the flipped bit.
#[tokio::test]
async fn a_damaged_series_entry_is_named_by_its_place_in_the_index() {
    let world = World::new();
    world.add(DAMAGED);
    world.sync().await;
    let whole = body("index");
    let toc = *rutile_index::IndexReader::open(whole.clone().into())
        .unwrap()
        .toc();
    let (start, end) = (toc.series as usize + 16, toc.label_indices as usize);
    let mut damages = Damages::new(7, whole.clone());
    let mut named = 0;
    for _ in 0..30 {
        let at = start + damages.below(end - start);
        let mut body = whole.clone();
        body[at] ^= 1;
        world
            .memory
            .insert(index_key(id(DAMAGED)), body, world.now());
        // Padding between entries may be anything.
        let Err(error) = world.fixture.series(everything()).await else {
            continue;
        };
        let text = error.to_string();
        let place = text
            .split("at byte ")
            .nth(1)
            .and_then(|rest| rest.split(':').next());
        let place: usize = place.unwrap().parse().unwrap();
        assert!(place.abs_diff(at) < 256, "{at}: {text}");
        named += 1;
    }
    assert!(named > 20, "{named} of 30 damages found");
}
