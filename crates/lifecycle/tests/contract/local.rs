//! Blocks between bucket and disk.

use std::sync::Arc;

use rutile_block::{Meta, Source, meta_key};
use rutile_disk::{AsyncDisk, Disk, Durability, MemoryDisk};
use rutile_lifecycle::{HashFunc, Result, UploadCopy, read_local_meta, send_dir, upload_dir};
use rutile_model::ErrorKind;
use rutile_objstore::Operation;
use rutile_objstore::fake::{Fault, Rule};
use rutile_runtime::CpuPool;

use crate::world::{World, block, id};

/// A golden block as a local folder.
fn golden(disk: &MemoryDisk) -> String {
    let bucket = rutile_testkit::golden().join("raw");
    let dir = rutile_testkit::block_dirs(&bucket)
        .into_iter()
        .next()
        .unwrap();
    let name = dir.file_name().unwrap().to_str().unwrap();
    for path in ["meta.json", "index", "chunks/000001"] {
        let bytes = std::fs::read(dir.join(path)).unwrap();
        disk.write(&format!("data/{name}/{path}"), &bytes, Durability::Cached)
            .unwrap();
    }
    format!("data/{name}")
}

fn asynchronous(disk: &MemoryDisk) -> AsyncDisk {
    AsyncDisk::new(Arc::new(disk.clone()), CpuPool::inline())
}

#[tokio::test]
async fn a_golden_block_goes_up_and_comes_back_whole() {
    let (world, memory) = (World::new(), MemoryDisk::new());
    let (folder, disk) = (golden(&memory), asynchronous(&memory));
    let mut meta = read_local_meta(&disk, &folder).await.unwrap();
    meta.thanos.source = Source::BucketUpload;
    let up = upload_dir(
        &world.lifecycle,
        &disk,
        &folder,
        meta.clone(),
        HashFunc::Sha256,
        false,
    )
    .await
    .unwrap();
    assert_eq!(up.thanos.segment_files, ["000001"]);
    assert_eq!(up.thanos.files.len(), 3);
    for path in ["index", "chunks/000001"] {
        let local = memory.read(&format!("{folder}/{path}")).unwrap();
        assert_eq!(
            world.memory.body(&format!("{}/{path}", meta.id)).unwrap(),
            local
        );
    }
    // Again: nothing is sent.
    world.bucket.forget_calls();
    assert_eq!(
        upload_dir(
            &world.lifecycle,
            &disk,
            &folder,
            meta.clone(),
            HashFunc::Sha256,
            false
        )
        .await
        .unwrap(),
        up
    );
    assert_eq!(world.bucket.count(Operation::Put), 0);
    comes_back(&world, &memory, &folder, &up).await;
}

/// Downloads the block, and once more over a spoilt copy.
async fn comes_back(world: &World, memory: &MemoryDisk, folder: &str, up: &Meta) {
    let target = MemoryDisk::new();
    let to = asynchronous(&target);
    assert_eq!(
        world
            .lifecycle
            .download(up.id, &to, "work/x")
            .await
            .unwrap(),
        *up
    );
    for path in ["index", "chunks/000001"] {
        assert_eq!(
            target.read(&format!("work/x/{path}")).unwrap(),
            memory.read(&format!("{folder}/{path}")).unwrap()
        );
    }
    assert_eq!(
        target.read("work/x/meta.json").unwrap(),
        world.memory.body(&meta_key(up.id)).unwrap()
    );
    // What is there with the right hash is not fetched again; what was spoilt is.
    target
        .write("work/x/index", b"spoilt", Durability::Cached)
        .unwrap();
    world.bucket.forget_calls();
    world
        .lifecycle
        .download(up.id, &to, "work/x")
        .await
        .unwrap();
    assert_eq!(world.bucket.count(Operation::GetRange), 1);
    assert_eq!(
        target.read("work/x/index").unwrap(),
        memory.read(&format!("{folder}/index")).unwrap()
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_folder_is_said() {
    let (world, memory) = (World::new(), MemoryDisk::new());
    let (folder, disk) = (golden(&memory), asynchronous(&memory));
    assert_eq!(
        read_local_meta(&disk, "data/notes")
            .await
            .unwrap_err()
            .kind(),
        ErrorKind::Invalid
    );
    let absent = format!("data/{}", id(9));
    assert_eq!(
        read_local_meta(&disk, &absent).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    let mut meta = read_local_meta(&disk, &folder).await.unwrap();
    meta.thanos.labels = rutile_model::Labels::empty();
    let up = |allow| {
        upload_dir(
            &world.lifecycle,
            &disk,
            &folder,
            meta.clone(),
            HashFunc::None,
            allow,
        )
    };
    let error = up(false).await.unwrap_err();
    assert!(
        error.kind() == ErrorKind::Invalid && error.to_string().contains("--label"),
        "{error}"
    );
    assert!(up(true).await.is_ok());
    memory.remove_tree(&format!("{folder}/index")).unwrap();
    world.memory.remove(&meta_key(meta.id));
    assert_eq!(up(true).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(!world.is_block(meta.id));
}

#[tokio::test]
async fn bc_02_half_a_block_is_not_downloaded() {
    let world = World::new();
    world.add(&block(1, &[1])).await;
    world.memory.remove(&format!("{}/index", id(1)));
    let disk = asynchronous(&MemoryDisk::new());
    let error = world
        .lifecycle
        .download(id(1), &disk, "x")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(
        world
            .lifecycle
            .download(id(2), &disk, "x")
            .await
            .unwrap_err()
            .kind(),
        ErrorKind::NotFound
    );
}

#[tokio::test]
async fn a_hostile_object_name_cannot_leave_the_folder() {
    let world = World::new();
    world.add(&block(1, &[1])).await;
    let memory = MemoryDisk::new();
    // Object stores take such keys; the disk does not take such paths.
    world
        .memory
        .insert(format!("{}/chunks/../../../outside", id(1)), "x", 0);
    let outcome = world
        .lifecycle
        .download(id(1), &asynchronous(&memory), "work/x")
        .await;
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Invalid);
    assert!(memory.stat("outside").unwrap().is_none());
}

/// Who has a block on its disk offers it.
async fn offer(world: &World, disk: &AsyncDisk, folder: &str, meta: &Meta) -> Result<Meta> {
    let (lifecycle, meta) = (&world.lifecycle, meta.clone());
    upload_dir(lifecycle, disk, folder, meta, HashFunc::None, false).await
}

/// Its uploader stood still between its last file and its commit, while a cleaner took the files away,
/// and died before it could look: nobody else has what the block names.
#[tokio::test(start_paused = true)]
async fn bc_02_a_committed_block_that_lacks_files_is_uploaded_anew_by_who_has_it() {
    let (world, memory) = (World::new(), MemoryDisk::new());
    let (folder, disk) = (golden(&memory), asynchronous(&memory));
    let meta = read_local_meta(&disk, &folder).await.unwrap();
    let upload = || offer(&world, &disk, &folder, &meta);
    let up = upload().await.unwrap();
    world.memory.remove(&format!("{}/index", meta.id));
    // Not known for certain: it stays.
    let fault = Fault::FailBefore(ErrorKind::Unavailable);
    world.bucket.add(Rule::new(fault).on([Operation::List]));
    upload().await.unwrap_err();
    assert!(world.is_block(meta.id));
    world.bucket.heal();

    let again = upload().await.unwrap();
    assert_eq!(again.thanos.files, up.thanos.files);
    assert_eq!(world.lifecycle.verify(meta.id).await.unwrap(), again);
    assert_eq!(world.events("BC-2"), 1);
    // The same when nobody can read its metadata.
    for torn in ["", "{\"ulid\":"] {
        world.memory.insert(meta_key(meta.id), torn, world.now());
        let again = upload().await.unwrap();
        assert_eq!(world.lifecycle.verify(meta.id).await.unwrap(), again);
    }
}

/// Another uploader may have mended the block meanwhile, and have been told that it is safe.
#[tokio::test(start_paused = true)]
async fn bc_02_a_block_that_others_upload_too_is_never_taken_back() {
    let (world, memory) = (World::new(), MemoryDisk::new());
    let (folder, disk) = (golden(&memory), asynchronous(&memory));
    let meta = read_local_meta(&disk, &folder).await.unwrap();
    let upload = || offer(&world, &disk, &folder, &meta);
    let torn = Rule::new(Fault::Truncate(100)).on([Operation::Get]);
    world.bucket.add(torn.key(meta_key(meta.id)));
    for attempt in ["at its commit", "when it is offered again"] {
        let error = upload().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{attempt}: {error}");
        assert!(world.is_block(meta.id), "{attempt}");
    }
    world.bucket.heal();
    upload().await.unwrap();
}

/// Of two files that go up at a time one fails: the parts of the other one cost money and are not seen.
#[tokio::test]
async fn bc_16_files_that_go_up_beside_one_that_fails_give_their_parts_back() {
    let (world, memory) = (World::new(), MemoryDisk::new());
    let meta = block(1, &[1]);
    let folder = id(1).to_string();
    for path in ["chunks/000001", "index"] {
        let path = format!("{folder}/{path}");
        memory
            .write(&path, &vec![7; 20 << 20], Durability::Cached)
            .unwrap();
    }
    let fault = Fault::FailBefore(ErrorKind::Unavailable);
    let second_part = |fault, path: &str| {
        let parts = Rule::new(fault).on([Operation::PutPart]);
        parts.key(format!("{}/{path}", id(1))).after(1)
    };
    world.bucket.add(second_part(fault, "index"));
    let gate = world
        .bucket
        .pause(|fault| second_part(fault, "chunks/000001"));
    let upload = world.lifecycle.upload_copy(id(1), HashFunc::None).await;
    let UploadCopy::Needed(upload) = upload.unwrap() else {
        panic!("there is none");
    };
    let disk = asynchronous(&memory);
    let aborted = || world.bucket.count(Operation::AbortMultipart);
    let (sent, ()) = tokio::join!(send_dir(upload, &disk, &folder, meta, 2), async {
        gate.reached().await;
        while aborted() == 0 {
            tokio::task::yield_now().await;
        }
        gate.open();
    });
    assert_eq!(sent.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(aborted(), 2);
    assert!(world.keys(id(1)).is_empty());
}
