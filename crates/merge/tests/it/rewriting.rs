//! Chunks that are written anew.

use rutile_chunk::{Chunk, Encoding, XorIter};
use rutile_index::{IndexReader, Tombstone, write_tombstones};
use rutile_merge::Merged;

use crate::naive::{Block, add, labels, read};
use crate::world::{World, id};

#[tokio::test]
async fn tombstones_are_applied() {
    let world = World::new();
    let mut block = Block::new(1, 0, 100);
    for n in 0..3 {
        block.series(labels(n), &[(0, 10), (20, 30), (40, 50)]);
    }
    let meta = add(&world, &block);
    let index = IndexReader::open(world.object(meta.id, "index").await).unwrap();
    let references: Vec<u64> = index.series().map(|s| u64::from(s.unwrap().0)).collect();
    let deleted = |series: usize, min_time, max_time| Tombstone {
        series: references[series],
        min_time,
        max_time,
    };
    // The first series loses the end of a chunk and a whole one, the second all that it has.
    let tombstones = [deleted(0, 10, 19), deleted(0, 20, 30), deleted(1, -5, 1000)];
    world.put(meta.id, "tombstones", write_tombstones(&tombstones));
    let merged = world.merge_block(&[meta], id(9)).await;

    let series = read(&world, &merged).await;
    let kept: Vec<_> = series
        .values()
        .map(|chunks| {
            let times = chunks.iter().map(|(min_time, max_time, data)| {
                let encoding = Encoding::Xor;
                let samples = Chunk { encoding, data }.num_samples().unwrap();
                assert_eq!(XorIter::new(data).unwrap().count(), usize::from(samples));
                (*min_time, *max_time, samples)
            });
            times.collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(
        kept,
        [
            vec![(0, 0, 1), (40, 50, 2)],
            vec![(0, 10, 2), (20, 30, 2), (40, 50, 2)]
        ]
    );
    assert_eq!((merged.stats.num_series, merged.stats.num_samples), (2, 9));
}

#[tokio::test]
async fn what_is_deleted_altogether_gives_no_block() {
    let world = World::new();
    let mut block = Block::new(1, 0, 100);
    block.series(labels(0), &[(0, 10)]);
    let meta = add(&world, &block);
    let index = IndexReader::open(world.object(meta.id, "index").await).unwrap();
    let (reference, _) = index.series().next().unwrap().unwrap();
    let all = Tombstone {
        series: reference.into(),
        min_time: i64::MIN,
        max_time: i64::MAX,
    };
    world.put(meta.id, "tombstones", write_tombstones(&[all]));
    assert_eq!(world.merge(&[meta], id(9)).await.unwrap(), Merged::Empty);
}
