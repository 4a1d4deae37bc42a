//! What is looked at before anything is served or uploaded. Pure, but for a try to write.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use rutile_disk::{AsyncDisk, Durability, OsDisk};
use rutile_model::{ErrorKind, Labels, PromDuration};
use rutile_promclient::Flags;
use rutile_runtime::CpuPool;
use rutile_server::Failure;

/// The length of a block of Prometheus, ms.
const BLOCK_MS: i64 = 2 * 3_600_000;
/// Written and removed to find out whether the data folder can be written to. Below the shipper's folder,
/// which Prometheus takes no notice of.
const PROBE: &str = "thanos/rutile-probe";

/// What uploads ask of Prometheus.
#[derive(Debug, Clone)]
pub(crate) struct Uploads {
    /// The list of uploaded blocks.
    pub(crate) list: PathBuf,
    /// `--shipper.ignore-unequal-block-size`.
    pub(crate) ignore_unequal_block_size: bool,
}

impl Uploads {
    /// Whether a Prometheus with these flags leaves its blocks alone until they are uploaded.
    ///
    /// # Errors
    /// A failure that says which flag of Prometheus to change.
    pub(crate) fn check(&self, flags: &Flags, address: &str) -> Result<(), Failure> {
        let (min, max) = (flags.min_block_duration, flags.max_block_duration);
        if let Some(path) = &flags.delay_compact_file {
            self.check_delay(path, address)?;
        } else if min != max {
            self.check_compaction(min, max, address)?;
        }
        if min.is_some_and(|min| min.as_ms() != BLOCK_MS) {
            let length = shown(min);
            tracing::warn!(
                length,
                "Prometheus's blocks are not of 2h, which is what is recommended"
            );
        }
        Ok(())
    }

    fn check_compaction(
        &self,
        min: Option<PromDuration>,
        max: Option<PromDuration>,
        address: &str,
    ) -> Result<(), Failure> {
        let (min, max) = (shown(min), shown(max));
        if self.ignore_unequal_block_size {
            tracing::warn!(
                min,
                max,
                "Prometheus compacts its blocks: one that it compacts before it went up is missing in the bucket"
            );
            return Ok(());
        }
        Err(Failure::message(
            ErrorKind::Invalid,
            format!(
                "the Prometheus at {address} compacts its blocks (min-block-duration {min}, \
                 max-block-duration {max}), some of them before they are uploaded: start it with \
                 --storage.tsdb.min-block-duration=2h and --storage.tsdb.max-block-duration=2h, or with \
                 --storage.tsdb.delay-compact-file.path={}",
                self.list.display()
            ),
        ))
    }

    /// Prometheus waits with its compactions for what a list says: it must be this one.
    fn check_delay(&self, path: &str, address: &str) -> Result<(), Failure> {
        if clean(Path::new(path)) == clean(&self.list) {
            return Ok(());
        }
        let list = self.list.display();
        Err(Failure::message(
            ErrorKind::Invalid,
            format!(
                "the Prometheus at {address} waits with its compactions for the list {path}, and uploads are \
                 listed in {list}: start it with --storage.tsdb.delay-compact-file.path={list}, or set \
                 --tsdb.path and --shipper.meta-file-name so that both are the same"
            ),
        ))
    }
}

/// Whether there are labels that tell this Prometheus from all others.
///
/// # Errors
/// A failure that says where to set them.
pub(crate) fn external_labels(labels: &Labels, address: &str) -> Result<(), Failure> {
    if !labels.is_empty() {
        return Ok(());
    }
    Err(Failure::message(
        ErrorKind::Invalid,
        format!(
            "the Prometheus at {address} has no external labels: set global.external_labels in its \
             configuration to labels that no other Prometheus has, such as cluster and replica"
        ),
    ))
}

/// Opens the data folder of Prometheus, in which blocks are linked and uploads listed.
///
/// # Errors
/// A failure that says what to change.
pub(crate) async fn data_folder(path: &Path, files: &CpuPool) -> Result<AsyncDisk, Failure> {
    let flag = format!("--tsdb.path={}", path.display());
    let found = tokio::fs::metadata(path).await;
    if !found.is_ok_and(|found| found.is_dir()) {
        let message =
            format!("{flag} is no folder: give the data folder of Prometheus, which both must see");
        return Err(Failure::message(ErrorKind::Invalid, message));
    }
    let wrong = |error: rutile_disk::Error| {
        let failure = Failure::new(error.kind(), &error);
        failure.context(&format!(
            "{flag}: the sidecar links blocks and lists uploads there, so let it write: run it as the user \
             of Prometheus, and do not mount the volume read-only"
        ))
    };
    let root = path.to_owned();
    let opened = files.run(move || OsDisk::open(root)).await.map_err(wrong)?;
    let disk = AsyncDisk::new(Arc::new(opened), files.clone());
    let probe = disk.write(PROBE, Bytes::new(), Durability::Cached);
    probe.await.map_err(wrong)?;
    disk.remove_tree(PROBE).await.map_err(wrong)?;
    if !matches!(disk.stat("wal").await, Ok(Some(_))) {
        let path = path.display();
        tracing::warn!(%path, "--tsdb.path has no folder wal: is it the data folder of this Prometheus?");
    }
    Ok(disk)
}

/// A path without `.` and `..`, as far as its text tells.
fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if cleaned.file_name().is_some() => {
                cleaned.pop();
            }
            other => cleaned.push(other),
        }
    }
    cleaned
}

fn shown(duration: Option<PromDuration>) -> String {
    duration.map_or_else(|| "unknown".to_owned(), |duration| duration.to_string())
}

#[cfg(test)]
mod tests;
