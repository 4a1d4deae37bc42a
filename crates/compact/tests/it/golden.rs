//! Compacting the recorded two-hour blocks gives what Thanos made of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::TryStreamExt;
use rutile_block::{BlockId, Contract, MarkKind, Meta, mark_key, meta_key, parse_key};
use rutile_objstore::{Bucket, Depth, OpenContext, PutMode, open};
use rutile_runtime::{Clock, ManualClock};
use rutile_telemetry::Registry;
use rutile_testkit::{golden, servers};

use crate::reader::{Reader, dumped};
use crate::world::{NOW_MS, Settings, TWO_HOURS, objects, start};

/// What Thanos left of its own making in golden/raw: 8 h and 2 d blocks.
fn recorded() -> Vec<Meta> {
    let entries = std::fs::read_dir(golden().join("raw")).unwrap();
    let metas = entries.map(|entry| {
        let path = entry.unwrap().path();
        let id = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
        Meta::parse(id, &std::fs::read(path.join("meta.json")).unwrap()).unwrap()
    });
    let compacted =
        |meta: &Meta| meta.compaction.level > 1 && meta.thanos.downsample.resolution == 0;
    metas.filter(compacted).collect()
}

/// Which blocks Thanos marked.
fn recorded_marks() -> BTreeSet<BlockId> {
    let entries = std::fs::read_dir(golden().join("raw")).unwrap();
    let marked = entries.filter_map(|entry| {
        let path = entry.unwrap().path();
        let mark = path.join(MarkKind::Deletion.file_name());
        let id = path.file_name()?.to_str()?.parse().ok()?;
        mark.is_file().then_some(id)
    });
    marked.collect()
}

/// A block by what it covers, whatever its name.
fn place(meta: &Meta) -> (i64, i64) {
    (meta.min_time, meta.max_time)
}

/// The blocks that were made, by their place, and the blocks that are marked.
async fn look(bucket: &dyn Bucket) -> (BTreeMap<(i64, i64), Meta>, BTreeSet<BlockId>) {
    let keys: Vec<String> = bucket
        .list("", Depth::Recursive)
        .map_ok(|entry| entry.key)
        .try_collect()
        .await
        .unwrap();
    let found: BTreeSet<BlockId> = keys
        .iter()
        .filter_map(|key| parse_key(key).map(|(id, _)| id))
        .collect();
    let mut made = BTreeMap::new();
    let mut marked = BTreeSet::new();
    for id in found {
        let body = bucket.get(&meta_key(id), 1 << 20).await.unwrap();
        let meta = Meta::parse(id, &body).unwrap();
        if bucket
            .exists(&mark_key(id, MarkKind::Deletion))
            .await
            .unwrap()
        {
            marked.insert(id);
        }
        if meta.compaction.level > 1 {
            made.insert(place(&meta), meta);
        }
    }
    (made, marked)
}

async fn check(bucket: Arc<dyn Bucket>) {
    for block in TWO_HOURS {
        let mut objects = objects(block);
        // meta.json comes last, as an uploader has it.
        objects.sort_by_key(|(path, _)| path == "meta.json");
        for (path, body) in objects {
            let key = format!("{block}/{path}");
            bucket
                .put(&key, body.into(), PutMode::Create)
                .await
                .unwrap();
        }
    }
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(NOW_MS));
    let settings = Settings {
        contract: Contract::default(),
        ..Settings::default()
    };
    let process = start(Arc::clone(&bucket), Arc::clone(&clock), settings);
    let report = process.compactor.iterate().await;
    assert!(report.errors.is_empty(), "{:?}", report.errors);

    let (made, marked) = look(&*bucket).await;
    let expected: BTreeMap<_, _> = recorded()
        .into_iter()
        .map(|meta| (place(&meta), meta))
        .collect();
    assert!(made.keys().eq(expected.keys()), "{:?}", made.keys());
    for (place, theirs) in &expected {
        check_block(&made[place], theirs);
        let (ours, theirs) = (made[place].id, theirs.id);
        assert_eq!(
            marked.contains(&ours),
            recorded_marks().contains(&theirs),
            "{place:?}"
        );
    }
    for block in TWO_HOURS {
        let block: BlockId = block.parse().unwrap();
        assert_eq!(
            marked.contains(&block),
            recorded_marks().contains(&block),
            "{block}"
        );
    }
    let reader = Reader::new(Arc::<dyn Bucket>::clone(&bucket), clock);
    let live = [
        "01M820Q9SJYFHMNPJJ06KPJ51B",
        "01M820Q9RQ27VBZF6TJTV2K9HB",
        TWO_HOURS[28],
        TWO_HOURS[29],
    ];
    assert!(reader.everything().await == dumped(live), "chunks");
}

fn check_block(ours: &Meta, theirs: &Meta) {
    let context = format!("{ours}");
    assert_eq!(ours.stats, theirs.stats, "{context}");
    assert_eq!(ours.compaction.level, theirs.compaction.level, "{context}");
    assert_eq!(
        ours.compaction.sources, theirs.compaction.sources,
        "{context}"
    );
    let parents = |meta: &Meta| -> Vec<_> {
        let parents = meta.compaction.parents.iter();
        parents
            .map(|parent| (parent.min_time, parent.max_time))
            .collect()
    };
    assert_eq!(parents(ours), parents(theirs), "{context}");
    assert_eq!(ours.thanos.labels, theirs.thanos.labels, "{context}");
    assert_eq!(ours.thanos.source, theirs.thanos.source, "{context}");
    assert_eq!(
        ours.thanos.index_stats, theirs.thanos.index_stats,
        "{context}"
    );
    let files = |meta: &Meta| -> Vec<_> {
        let files = meta.thanos.files.iter();
        files.map(|file| file.rel_path.clone()).collect()
    };
    assert_eq!(files(ours), files(theirs), "{context}");
}

fn context() -> OpenContext {
    OpenContext {
        clock: Arc::new(ManualClock::new(NOW_MS)),
        registry: Registry::new(),
        component: "compact".to_owned(),
    }
}

#[tokio::test]
async fn golden_compaction_on_a_filesystem() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display();
    let yaml = format!("{{type: FILESYSTEM, config: {{directory: \"{path}\"}}}}");
    check(open(&yaml, &context()).unwrap()).await;
}

#[tokio::test]
async fn golden_compaction_on_s3() {
    let server = servers::s3();
    check(open(&server.objstore_config(), &context()).unwrap()).await;
}
