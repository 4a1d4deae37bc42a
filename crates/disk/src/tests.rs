use std::sync::Arc;

use rutile_model::ErrorKind;
use rutile_runtime::{CpuPool, SeededEntropy};

use super::Durability::{Cached, Durable};
use super::*;

/// What every disk does.
fn conformance(disk: &dyn Disk) {
    reads_what_was_written(disk);
    shows_folders(disk);
    links(disk);
    moves_and_removes(disk);
    refuses_bad_paths(disk);
    assert_eq!(disk.list("").unwrap(), []);
}

fn kind<T: fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

fn names(disk: &dyn Disk, folder: &str) -> Vec<String> {
    disk.list(folder)
        .unwrap()
        .into_iter()
        .map(|entry| entry.name)
        .collect()
}

fn reads_what_was_written(disk: &dyn Disk) {
    assert_eq!(kind(disk.read("a/b")), ErrorKind::NotFound);
    assert_eq!(kind(disk.map("a/b")), ErrorKind::NotFound);
    assert_eq!(disk.stat("a/b").unwrap(), None);
    disk.write("a/b", b"first", Cached).unwrap();
    let mapped = disk.map("a/b").unwrap();
    disk.write("a/b", b"second one", Durable).unwrap();
    assert_eq!(mapped, "first", "a mapping outlives the file");
    assert_eq!(disk.read("a/b").unwrap(), "second one");
    for (range, want) in [
        (0..6, "second"),
        (7..99, "one"),
        (10..12, ""),
        (99..100, ""),
    ] {
        assert_eq!(disk.read_range("a/b", range).unwrap(), want);
    }
    disk.write("a/empty", b"", Cached).unwrap();
    assert_eq!(disk.map("a/empty").unwrap(), "");
    let error = disk.read("a/missing").unwrap_err();
    assert!(
        error.to_string().starts_with("cannot read a/missing: "),
        "{error}"
    );
}

fn shows_folders(disk: &dyn Disk) {
    assert_eq!(kind(disk.read("a")), ErrorKind::Invalid);
    assert_eq!(
        disk.stat("a/b").unwrap(),
        Some(Metadata {
            size: 10,
            is_folder: false
        })
    );
    assert_eq!(
        disk.stat("a").unwrap(),
        Some(Metadata {
            size: 0,
            is_folder: true
        })
    );
    disk.create_folder("a/c/d").unwrap();
    assert_eq!(names(disk, "a"), ["b", "c", "empty"]);
    assert_eq!(names(disk, ""), ["a"]);
    assert_eq!(names(disk, "missing"), [""; 0]);

    let mut unfinished = disk.create("a/unfinished").unwrap();
    unfinished.write_all(b"x").unwrap();
    drop(unfinished);
    assert_eq!(names(disk, "a"), ["b", "c", "empty"]);
    disk.write("a/c", b"a folder is there", Cached).unwrap_err();
    disk.write("a/b/below-a-file", b"x", Cached).unwrap_err();
}

fn links(disk: &dyn Disk) {
    assert_eq!(kind(disk.link("a/missing", "l/x")), ErrorKind::NotFound);
    disk.write("a/linked", b"kept", Cached).unwrap();
    disk.link("a/linked", "l/deep/x").unwrap();
    assert_eq!(
        kind(disk.link("a/linked", "l/deep/x")),
        ErrorKind::AlreadyExists
    );
    disk.remove_tree("a/linked").unwrap();
    assert_eq!(disk.read("l/deep/x").unwrap(), "kept");
    disk.remove_tree("l").unwrap();
    disk.link("a/c", "l").unwrap_err();
}

fn moves_and_removes(disk: &dyn Disk) {
    disk.rename("a", "new/place").unwrap();
    assert_eq!(disk.read("new/place/b").unwrap(), "second one");
    assert_eq!(kind(disk.rename("a", "b")), ErrorKind::NotFound);
    disk.remove_tree("new/place/b").unwrap();
    assert_eq!(names(disk, "new/place"), ["c", "empty"]);
    disk.remove_tree("new").unwrap();
    disk.remove_tree("new").unwrap();
}

fn refuses_bad_paths(disk: &dyn Disk) {
    for bad in [
        "",
        "/etc/passwd",
        "a/../b",
        "..",
        "a//b",
        "a/",
        "./a",
        ".tmp/0",
        "a\0b",
    ] {
        assert_eq!(kind(disk.read(bad)), ErrorKind::Invalid, "{bad:?}");
        assert_eq!(kind(disk.remove_tree(bad)), ErrorKind::Invalid, "{bad:?}");
        assert_eq!(
            kind(disk.write(bad, b"", Cached)),
            ErrorKind::Invalid,
            "{bad:?}"
        );
    }
}

fn faulty(rates: FaultRates) -> FaultyDisk {
    FaultyDisk::new(
        Arc::new(MemoryDisk::new()),
        Arc::new(SeededEntropy::new(1)),
        rates,
    )
}

#[test]
fn all_disks_conform() {
    let folder = tempfile::tempdir().unwrap();
    conformance(&OsDisk::open(folder.path().join("new")).unwrap());
    conformance(&MemoryDisk::new());
    conformance(&faulty(FaultRates::default()));
}

#[test]
fn opening_removes_what_was_left_unfinished() {
    let folder = tempfile::tempdir().unwrap();
    let disk = OsDisk::open(folder.path()).unwrap();
    let mut crashed = disk.create("x").unwrap();
    crashed.write_all(b"half").unwrap();
    crashed.flush().unwrap();
    assert_eq!(folder.path().join(".tmp").read_dir().unwrap().count(), 1);
    let again = OsDisk::open(folder.path()).unwrap();
    assert_eq!(folder.path().join(".tmp").read_dir().unwrap().count(), 0);
    assert_eq!(again.list("").unwrap(), []);
}

#[test]
fn a_root_that_is_a_file_is_an_error_that_names_it() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = OsDisk::open(file.path()).unwrap_err();
    assert!(
        error.to_string().starts_with("cannot open the folder /"),
        "{error}"
    );
}

#[test]
fn faults_come_as_planned() {
    let disk = faulty(FaultRates::default());
    disk.write("x", b"old", Durable).unwrap();
    disk.next([
        Some(Fault::NoSpace),
        Some(Fault::Error),
        Some(Fault::Torn),
        Some(Fault::Torn),
    ]);
    let write = |durability| disk.write("x", b"new data", durability);
    assert_eq!(write(Cached).unwrap_err().kind(), ErrorKind::Exhausted);
    assert_eq!(write(Cached).unwrap_err().kind(), ErrorKind::Unavailable);
    write(Durable).unwrap_err();
    write(Cached).unwrap();
    let torn = disk.read("x").unwrap();
    assert!(torn.len() < 8 && b"new data".starts_with(&torn), "{torn:?}");
    disk.next([None, Some(Fault::Error)]);
    disk.read("x").unwrap();
    disk.read("x").unwrap_err();
}

#[test]
fn faults_come_by_chance() {
    let disk = faulty(FaultRates {
        error: 300,
        ..FaultRates::default()
    });
    let failed = (0..1000).filter(|_| disk.list("").is_err()).count();
    assert!((200..400).contains(&failed), "{failed}");
    disk.set_rates(FaultRates::default());
    disk.list("").unwrap();
}

#[tokio::test]
async fn async_disk_runs_on_the_pool() {
    let disk = AsyncDisk::new(Arc::new(MemoryDisk::new()), CpuPool::new(1));
    disk.write("x", Bytes::from_static(b"data"), Cached)
        .await
        .unwrap();
    assert_eq!(disk.read("x").await.unwrap(), "data");
    assert_eq!(disk.read_range("x", 1..3).await.unwrap(), "at");
    assert_eq!(disk.map("x").await.unwrap(), "data");
    assert_eq!(disk.list("").await.unwrap().len(), 1);
    disk.remove_tree("x").await.unwrap();
    assert_eq!(disk.stat("x").await.unwrap(), None);
}
