//! Uploading a block that lies in a local folder.

use std::sync::atomic::{AtomicBool, Ordering};

use futures::{FutureExt, StreamExt, stream};
use rutile_block::{BlockId, CHUNKS_DIR, INDEX_FILE, MAX_META_BYTES, META_FILE, Meta};
use rutile_disk::AsyncDisk;
use rutile_model::ErrorKind;

use crate::error::Step;
use crate::{FileWriter, HashFunc, Lifecycle, Result, Upload, UploadCopy};

/// Read at a time.
const READ_BYTES: u64 = 8 << 20;

/// Reads the `meta.json` of the block folder `folder` of `disk`, whose name must be the block's.
///
/// # Errors
/// `Invalid` when the folder is not named like a block, `NotFound` without the file, and what
/// [`Meta::parse`] says.
pub async fn read_local_meta(disk: &AsyncDisk, folder: &str) -> Result<Meta> {
    let name = folder.rsplit('/').next().unwrap_or(folder);
    let id = BlockId::parse_dir_name(name);
    let step = Step {
        operation: "read local",
        block: id.unwrap_or_default(),
    };
    if id.is_none() {
        return Err(step.error(
            ErrorKind::Invalid,
            format!("folder {folder:?} is not named like a block"),
        ));
    }
    let path = format!("{folder}/{META_FILE}");
    let range = 0..MAX_META_BYTES + 1;
    let bytes = disk
        .read_range(&path, range)
        .await
        .map_err(|e| step.disk(e))?;
    Meta::parse(step.block, &bytes).map_err(|e| step.metadata(e))
}

/// Uploads the block folder `folder` of `disk` with `meta` as its metadata: as it was read, with
/// the external labels and the source that the caller put in. Sets `segment_files`, `files` and
/// `upload_time`; returns the metadata as it is in the bucket. A block that is there already, whole,
/// is left as it is; one that is damaged is uploaded again, in place.
///
/// # Errors
/// `Invalid` when there are no external labels: no reader could tell whose block it is, unless
/// `allow_no_labels`; what the disk and [`crate::Upload`] say.
pub async fn upload_dir(
    lifecycle: &Lifecycle,
    disk: &AsyncDisk,
    folder: &str,
    meta: Meta,
    hash: HashFunc,
    allow_no_labels: bool,
) -> Result<Meta> {
    let step = Step {
        operation: "upload",
        block: meta.id,
    };
    if meta.thanos.labels.is_empty() && !allow_no_labels {
        let message = "it has no external labels: give it some with --label";
        return Err(step.error(ErrorKind::Invalid, message));
    }
    let upload = match lifecycle.upload_copy(meta.id, hash).await? {
        UploadCopy::There(there) => return Ok(*there),
        UploadCopy::Needed(upload) => upload,
    };
    send_dir(upload, disk, folder, meta, 1).await
}

/// Sends the files of a block folder through `upload`, `concurrency` at a time (at least one), and commits
/// them with `meta`; for whom to upload and what is changed in `meta` see [`upload_dir`]. Holds at most two
/// pieces of 8 MiB for each file under way.
///
/// # Errors
/// What the disk and [`Upload`] say.
pub async fn send_dir(
    mut upload: Upload,
    disk: &AsyncDisk,
    folder: &str,
    mut meta: Meta,
    concurrency: usize,
) -> Result<Meta> {
    let step = Step {
        operation: "upload",
        block: upload.id(),
    };
    let segments = disk
        .list(&format!("{folder}/{CHUNKS_DIR}"))
        .await
        .map_err(|e| step.disk(e))?;
    let segments: Vec<_> = segments
        .into_iter()
        .filter(|entry| !entry.is_folder)
        .collect();
    let index = format!("{folder}/{INDEX_FILE}");
    let index = disk.stat(&index).await.map_err(|e| step.disk(e))?;
    let Some(index) = index else {
        return Err(step.error(
            ErrorKind::NotFound,
            format!("folder {folder:?} has no index"),
        ));
    };
    let mut files: Vec<(String, u64)> = segments
        .iter()
        .map(|entry| (format!("{CHUNKS_DIR}/{}", entry.name), entry.size))
        .collect();
    files.push((INDEX_FILE.to_owned(), index.size));
    let sending = Sending {
        upload: &upload,
        step,
        disk,
        folder,
        failed: AtomicBool::new(false),
    };
    let files = files
        .into_iter()
        .map(|(path, size)| sending.file(path, size).boxed());
    let sent: Vec<Result<()>> = stream::iter(files)
        .buffer_unordered(concurrency.max(1))
        .collect()
        .await;
    sent.into_iter().collect::<Result<()>>()?;
    meta.thanos.segment_files = segments.into_iter().map(|entry| entry.name).collect();
    upload.commit(meta).await
}

/// The files of a block on their way.
struct Sending<'a> {
    upload: &'a Upload,
    step: Step,
    disk: &'a AsyncDisk,
    folder: &'a str,
    /// Whether one of them failed: the others are then given up, and their parts given back.
    failed: AtomicBool,
}

impl Sending<'_> {
    async fn file(&self, path: String, size: u64) -> Result<()> {
        if self.failed.load(Ordering::Relaxed) {
            return Ok(());
        }
        let sent = self.send(&path, size).await;
        if sent.is_err() {
            self.failed.store(true, Ordering::Relaxed);
        }
        sent
    }

    async fn send(&self, path: &str, size: u64) -> Result<()> {
        let mut writer = self.upload.file(path)?;
        let copied = self.copy(&mut writer, path, size).await;
        if copied.is_ok() && !self.failed.load(Ordering::Relaxed) {
            return writer.finish().await;
        }
        writer.abandon().await;
        copied
    }

    async fn copy(&self, writer: &mut FileWriter, path: &str, size: u64) -> Result<()> {
        let local = format!("{}/{path}", self.folder);
        let mut at = 0;
        while at < size && !self.failed.load(Ordering::Relaxed) {
            let range = at..size.min(at + READ_BYTES);
            let read = self.disk.read_range(&local, range).await;
            let bytes = read.map_err(|e| self.step.disk(e))?;
            if bytes.is_empty() {
                let message = format!("file {local} became shorter while it was read");
                return Err(self.step.error(ErrorKind::Corrupt, message));
            }
            writer.write(&bytes).await?;
            at += bytes.len() as u64;
        }
        Ok(())
    }
}
