//! Writing and removing files, blocking. An object appears whole or not at all, and stays.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use rutile_model::ErrorKind;

use super::direct::Growth;
use super::{Failure, FilesystemBucket, UNFINISHED, read};
use crate::{Error, MultipartUpload, Operation, PutMode, Result, UnfinishedUpload};

/// Age after which nobody can still be writing an unfinished object.
const ABANDONED_MS: i64 = 24 * 60 * 60 * 1000;

/// Tries to put a file into a folder that a concurrent `remove` may take away each time.
const COMMIT_TRIES: usize = 8;

/// A file that is not an object yet; removed when dropped.
#[derive(Debug)]
pub(super) struct Unfinished {
    path: PathBuf,
    file: File,
    growth: Growth,
    committed: bool,
}

impl Unfinished {
    pub(super) fn new(root: &Path) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let folder = root.join(UNFINISHED);
        fs::create_dir_all(&folder)?;
        loop {
            // Another machine on the same folder may have the same process id: then try the next.
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!("{}-{number}", process::id()));
            match File::create_new(&path) {
                Ok(file) => {
                    return Ok(Self {
                        path,
                        file,
                        growth: Growth::default(),
                        committed: false,
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.growth.append(&self.file, bytes)
    }

    /// Makes the file the object at `target`, and both durable.
    pub(super) fn commit(
        &mut self,
        root: &Path,
        target: &Path,
        mode: PutMode,
    ) -> Result<(), Failure> {
        self.file.sync_all()?;
        let parent = target.parent().unwrap_or(root);
        let mut tries = 0;
        loop {
            let made = make_folders(root, parent)?;
            match self.place(target, mode) {
                Ok(()) => {
                    sync(parent)?;
                    made.iter()
                        .filter_map(|folder| folder.parent())
                        .try_for_each(sync)?;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound && tries < COMMIT_TRIES => {
                    tries += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn place(&mut self, target: &Path, mode: PutMode) -> io::Result<()> {
        match mode {
            PutMode::Overwrite => {
                fs::rename(&self.path, target)?;
                self.committed = true;
                Ok(())
            }
            // Unlike a rename, a link never replaces: of many only one succeeds.
            PutMode::Create => fs::hard_link(&self.path, target),
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.committed {
            fs::remove_file(&self.path).ok();
        }
    }
}

/// Removes an object and the folders that it leaves empty. Absent is fine.
pub(super) fn remove(root: &Path, path: &Path) -> Result<(), Failure> {
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) => match fs::symlink_metadata(path) {
            Ok(metadata) if !metadata.is_dir() => return Err(error.into()),
            _ => return Ok(()),
        },
    }
    let mut parent = path.parent();
    while let Some(folder) = parent {
        if folder == root || fs::remove_dir(folder).is_err() {
            // Deleting in order (BC-6) needs each step to be durable before the next.
            return match sync(folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
                _ => Ok(()),
            };
        }
        parent = folder.parent();
    }
    Ok(())
}

/// Removes what nobody can still be writing.
pub(super) fn remove_abandoned(root: &Path, now_ms: i64) -> Result<(), Failure> {
    let entries = match fs::read_dir(root.join(UNFINISHED)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for entry in entries {
        let path = entry?.path();
        let abandoned = read::attributes(&path)
            .is_ok_and(|attributes| now_ms - attributes.last_modified_ms > ABANDONED_MS);
        if abandoned {
            fs::remove_file(&path).ok();
        }
    }
    Ok(())
}

/// The files that are no objects yet, with the time of their last write.
pub(super) fn unfinished(root: &Path) -> Result<Vec<UnfinishedUpload>, Failure> {
    let entries = match fs::read_dir(root.join(UNFINISHED)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(error.into()),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let attributes = read::attributes(&entry.path());
        // One that is gone by now is finished; a name of another form is none of ours.
        let (Ok(attributes), Ok(id)) = (attributes, entry.file_name().into_string()) else {
            continue;
        };
        found.push(UnfinishedUpload {
            key: None,
            id,
            started_ms: attributes.last_modified_ms,
        });
    }
    found.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(found)
}

/// Removes such a file. Absent is fine.
pub(super) fn abort(root: &Path, id: &str) -> Result<(), Failure> {
    if id.is_empty() || id.contains('/') || id.starts_with('.') {
        let message = format!("{id:?} is no unfinished upload");
        return Err(Failure::Refused(ErrorKind::Invalid, message));
    }
    match fs::remove_file(root.join(UNFINISHED).join(id)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Creates `folder` and what is missing above it, within `root`; gives what was missing.
fn make_folders(root: &Path, folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    if folder.is_dir() {
        return Ok(vec![]);
    }
    let missing: Vec<PathBuf> = folder
        .ancestors()
        .take_while(|ancestor| *ancestor != root && !ancestor.is_dir())
        .map(Path::to_path_buf)
        .collect();
    match fs::create_dir_all(folder) {
        Ok(()) => Ok(missing),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists
            ) =>
        {
            let message = "a part of the key is an object: a file system cannot hold both";
            Err(Failure::Refused(ErrorKind::Invalid, message.to_owned()))
        }
        Err(error) => Err(error.into()),
    }
}

fn sync(folder: impl AsRef<Path>) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A large upload: its parts are appended to one unfinished file.
#[derive(Debug)]
pub(super) struct FileUpload {
    bucket: FilesystemBucket,
    key: String,
    /// Absent once completed, aborted or failed.
    unfinished: Option<Unfinished>,
}

impl FileUpload {
    pub(super) fn new(bucket: FilesystemBucket, key: &str, unfinished: Unfinished) -> Self {
        Self {
            bucket,
            key: key.to_owned(),
            unfinished: Some(unfinished),
        }
    }

    fn take(&mut self, operation: Operation) -> Result<Unfinished> {
        self.unfinished.take().ok_or_else(|| {
            let message = "the upload has ended or a part of it failed";
            Error::new(
                ErrorKind::Invalid,
                operation,
                &self.bucket.name,
                &self.key,
                message,
            )
        })
    }
}

#[async_trait]
impl MultipartUpload for FileUpload {
    async fn put_part(&mut self, part: Bytes) -> Result<()> {
        let mut unfinished = self.take(Operation::PutPart)?;
        let append = move |_: &Path, _: &Path| {
            unfinished.append(&part)?;
            Ok(unfinished)
        };
        self.unfinished = Some(
            self.bucket
                .on_file(Operation::PutPart, &self.key, append)
                .await?,
        );
        Ok(())
    }

    async fn complete(&mut self) -> Result<()> {
        let mut unfinished = self.take(Operation::CompleteMultipart)?;
        let commit =
            move |root: &Path, path: &Path| unfinished.commit(root, path, PutMode::Overwrite);
        self.bucket
            .on_file(Operation::CompleteMultipart, &self.key, commit)
            .await
    }

    async fn abort(&mut self) -> Result<()> {
        self.unfinished = None;
        Ok(())
    }
}
