//! Real blocks of Prometheus in a real folder.

use std::sync::Arc;

use rutile_block::{BlockId, Meta};
use rutile_disk::{AsyncDisk, OsDisk};
use rutile_runtime::CpuPool;
use rutile_shipper::Shipper;

use crate::world::World;

#[tokio::test]
async fn golden_blocks_go_up_as_they_are() {
    let golden = rutile_testkit::golden().join("raw");
    let data = tempfile::tempdir().unwrap();
    // As Prometheus has them: without Thanos's section. The first of them were never compacted.
    let mut metas = Vec::new();
    for dir in rutile_testkit::block_dirs(&golden).into_iter().take(3) {
        let name = dir.file_name().unwrap().to_str().unwrap();
        let id: BlockId = name.parse().unwrap();
        let local = data.path().join(name);
        rutile_testkit::copy_bucket(&dir, &local);
        let meta = Meta::parse(id, &std::fs::read(dir.join("meta.json")).unwrap()).unwrap();
        std::fs::write(local.join("meta.json"), meta.to_prometheus_json()).unwrap();
        assert_eq!(meta.compaction.level, 1);
        metas.push(meta);
    }
    metas.sort_by_key(|meta| (meta.min_time, meta.id));

    let world = World::new(&[]);
    let disk = Arc::new(OsDisk::open(data.path()).unwrap());
    let parts = rutile_shipper::Parts {
        disk: AsyncDisk::new(disk, CpuPool::new(1)),
        ..world.parts()
    };
    let mut config = world.config.clone();
    config.upload_concurrency = 4;
    let mut shipper = Shipper::new(parts, config, &world.registry);
    let synced = shipper.sync().await.unwrap();
    assert!(synced.failed.is_empty(), "{:?}", synced.failed);
    assert!(synced.uploaded.iter().eq(metas.iter().map(|meta| &meta.id)));

    for meta in &metas {
        let up = world.lifecycle().verify(meta.id).await.unwrap();
        assert_eq!((up.stats, &up.compaction), (meta.stats, &meta.compaction));
        for file in up.thanos.files.iter().filter(|f| f.rel_path != "meta.json") {
            let key = format!("{}/{}", meta.id, file.rel_path);
            let original = std::fs::read(golden.join(&key)).unwrap();
            assert!(world.memory.body(&key).unwrap() == original, "{key}");
        }
        // What Thanos leaves at home: marks, tombstones.
        let objects = world.memory.keys().into_iter();
        let objects = objects.filter(|key| key.starts_with(&meta.id.to_string()));
        assert_eq!(objects.count(), up.thanos.files.len());
    }
    let ids: Vec<_> = metas
        .iter()
        .map(|meta| format!("\t\t\"{}\"", meta.id))
        .collect();
    let list = format!(
        "{{\n\t\"version\": 1,\n\t\"uploaded\": [\n{}\n\t]\n}}\n",
        ids.join(",\n")
    );
    let path = data.path().join(crate::world::LIST);
    assert_eq!(std::fs::read_to_string(path).unwrap(), list);
    let links = data.path().join("thanos/upload");
    assert_eq!(std::fs::read_dir(links).unwrap().count(), 0);
}
