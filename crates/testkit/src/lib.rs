//! What the tests of every crate share: the golden data and the parsers of its text files, servers, and components as processes.
//!
//! Golden data are real blocks and recorded answers of the reference; `golden/README.md` says what is where. They are
//! read only: a test that lets a component write takes a copy with [`copy_bucket`]. Missing or malformed data panics
//! with a message that names the file, because a test must never pass by skipping.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

pub mod certificates;
pub mod chunks;
pub mod dumps;
pub mod metrics;
pub mod process;
pub mod prometheus;
pub mod servers;
pub mod storeapi;

/// The folder with the golden data.
///
/// # Panics
/// When it is missing, which means an incomplete clone.
#[must_use]
pub fn golden() -> PathBuf {
    data_dir("golden")
}

/// The folder with `genblocks`, a Go program that writes blocks of any size with Prometheus's own storage library.
///
/// # Panics
/// When it is missing, which means an incomplete clone.
#[must_use]
pub fn genblocks() -> PathBuf {
    data_dir("genblocks")
}

fn data_dir(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    assert!(
        dir.is_dir(),
        "test data {} is missing: the clone is incomplete, run `git checkout -- crates/testkit`",
        dir.display()
    );
    dir
}

/// Copies a bucket folder, or any other folder, to `to`, which is created; files there are replaced.
///
/// # Panics
/// When a file cannot be read or written.
pub fn copy_bucket(from: &Path, to: &Path) {
    check(fs::create_dir_all(to), "create", to);
    for path in entries(from) {
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_bucket(&path, &target);
        } else {
            // Not `fs::copy`: that carries the permissions over, and golden data may be read only.
            let content = check(fs::read(&path), "read", &path);
            check(fs::write(&target, content), "write", &target);
        }
    }
}

/// The folders of the blocks in a bucket folder: those that hold a `meta.json`, in order of their names.
///
/// # Panics
/// When the bucket folder cannot be listed.
#[must_use]
pub fn block_dirs(bucket: &Path) -> Vec<PathBuf> {
    entries(bucket)
        .into_iter()
        .filter(|dir| dir.join("meta.json").is_file())
        .collect()
}

/// The digest that dumps and recorded answers give of a chunk's payload: the first 8 bytes of its SHA-256, in hex.
#[must_use]
pub fn digest(payload: &[u8]) -> String {
    Sha256::digest(payload)
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Labels as dumps and recorded answers write them: `{a="b", c="d"}`.
#[must_use]
pub fn label_text<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let quoted: Vec<_> = labels
        .into_iter()
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    format!("{{{}}}", quoted.join(", "))
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = check(fs::read_dir(dir), "list", dir)
        .map(|entry| check(entry, "list", dir).path())
        .collect();
    paths.sort();
    paths
}

fn check<T>(result: std::io::Result<T>, action: &str, path: &Path) -> T {
    result.unwrap_or_else(|error| panic!("cannot {action} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copied_bucket_holds_the_same_blocks() {
        let to = tempfile::tempdir().unwrap();
        let from = golden().join("long");
        copy_bucket(&from, to.path());
        assert_eq!(block_dirs(&from).len(), 8);
        for (original, copy) in block_dirs(&from).iter().zip(block_dirs(to.path())) {
            assert_eq!(original.file_name(), copy.file_name());
            assert_eq!(
                fs::read(original.join("index")).unwrap(),
                fs::read(copy.join("index")).unwrap()
            );
        }
    }

    #[test]
    fn digests_and_labels_are_written_as_in_the_dumps() {
        assert_eq!(digest(b""), "e3b0c44298fc1c14");
        assert_eq!(
            label_text([("a", "b"), ("c", "\"d\"")]),
            r#"{a="b", c="\"d\""}"#
        );
        assert_eq!(label_text([]), "{}");
    }
}
