//! The files of the machine.
//!
//! The one place of the workspace that maps files. A mapping is sound as long as nobody shortens
//! the file beneath it: a [`OsDisk`] owns its folder, writes files beside and renames them into
//! place, and never opens an existing file for writing.
#![expect(unsafe_code, reason = "memory mapping, see `OsDisk::map`")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::path::{TEMPORARY, check, check_folder, parent};
use crate::{DirEntry, Disk, Durability, Metadata, NewFile};

/// A folder of the machine. Clones share it.
///
/// Exactly one process may use a folder at a time; what an earlier one left unfinished is removed
/// when it is opened.
#[derive(Debug, Clone)]
pub struct OsDisk {
    root: Arc<PathBuf>,
    next_temporary: Arc<AtomicU64>,
}

#[derive(Debug)]
struct NewOsFile {
    root: Arc<PathBuf>,
    path: String,
    temporary: PathBuf,
    /// `None` once it is finished.
    file: Option<BufWriter<File>>,
}

impl OsDisk {
    /// Opens the folder `root`, making it if it is missing.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        let temporary = root.join(TEMPORARY);
        let failed = |source| Error::io("open the folder", &root.to_string_lossy(), source);
        remove_if_there(&temporary).map_err(failed)?;
        fs::create_dir_all(&temporary).map_err(failed)?;
        Ok(Self {
            root: Arc::new(root),
            next_temporary: Arc::default(),
        })
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Gives what lies at `from` the path `to`, whose folders are made.
    fn place(
        &self,
        operation: &'static str,
        from: &str,
        to: &str,
        place: impl FnOnce(PathBuf, PathBuf) -> io::Result<()>,
    ) -> Result<()> {
        check(from)?;
        check(to)?;
        let placed = fs::create_dir_all(self.root.join(parent(to)))
            .and_then(|()| place(self.root.join(from), self.root.join(to)));
        placed.map_err(|source| Error::io(operation, from, source))
    }

    fn open_file(&self, operation: &'static str, path: &str) -> Result<(File, u64)> {
        check(path)?;
        let open = || {
            let file = File::open(self.root.join(path))?;
            let metadata = file.metadata()?;
            if metadata.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            Ok((file, metadata.len()))
        };
        open().map_err(|source| Error::io(operation, path, source))
    }
}

impl Disk for OsDisk {
    fn read(&self, path: &str) -> Result<Bytes> {
        self.read_range(path, 0..u64::MAX)
    }

    fn read_range(&self, path: &str, range: Range<u64>) -> Result<Bytes> {
        let (mut file, size) = self.open_file("read", path)?;
        let end = range.end.min(size);
        let length = end.saturating_sub(range.start);
        let mut read = || {
            let mut data = Vec::with_capacity(usize::try_from(length).unwrap_or(usize::MAX));
            file.seek(SeekFrom::Start(range.start))?;
            (&mut file).take(length).read_to_end(&mut data)?;
            Ok(data.into())
        };
        if length == 0 {
            Ok(Bytes::new())
        } else {
            read().map_err(|e| Error::io("read", path, e))
        }
    }

    fn map(&self, path: &str) -> Result<Bytes> {
        let (file, size) = self.open_file("map", path)?;
        if size == 0 {
            return Ok(Bytes::new());
        }
        // SAFETY: the folder belongs to this disk alone, and a disk never changes or shortens a
        // file once it is in place: it replaces it by another, and this mapping keeps the old one.
        let mapped = unsafe { memmap2::Mmap::map(&file) };
        mapped
            .map(Bytes::from_owner)
            .map_err(|source| Error::io("map", path, source))
    }

    fn create(&self, path: &str) -> Result<Box<dyn NewFile>> {
        check(path)?;
        let number = self.next_temporary.fetch_add(1, Ordering::Relaxed);
        let temporary = self.root.join(TEMPORARY).join(number.to_string());
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&temporary);
        let file = file.map_err(|source| Error::io("create", path, source))?;
        Ok(Box::new(NewOsFile {
            root: Arc::clone(&self.root),
            path: path.to_owned(),
            temporary,
            file: Some(BufWriter::with_capacity(128 * 1024, file)),
        }))
    }

    fn stat(&self, path: &str) -> Result<Option<Metadata>> {
        check_folder(path)?;
        match fs::metadata(self.root.join(path)) {
            Ok(found) => Ok(Some(metadata(&found))),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(Error::io("look at", path, error)),
        }
    }

    fn list(&self, folder: &str) -> Result<Vec<DirEntry>> {
        check_folder(folder)?;
        let list = || {
            let mut entries = Vec::new();
            for entry in fs::read_dir(self.root.join(folder))? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                if folder.is_empty() && name == TEMPORARY {
                    continue;
                }
                // An entry that was removed meanwhile is no error.
                match entry.metadata() {
                    Ok(found) => {
                        let Metadata { size, is_folder } = metadata(&found);
                        entries.push(DirEntry {
                            name,
                            size,
                            is_folder,
                        });
                    }
                    Err(error) if is_missing(&error) => {}
                    Err(error) => return Err(error),
                }
            }
            entries.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(entries)
        };
        match list() {
            Err(error) if is_missing(&error) => Ok(Vec::new()),
            result => result.map_err(|source| Error::io("list", folder, source)),
        }
    }

    fn create_folder(&self, path: &str) -> Result<()> {
        check(path)?;
        let created = fs::create_dir_all(self.root.join(path));
        created.map_err(|source| Error::io("make the folder", path, source))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.place("rename", from, to, fs::rename)
    }

    fn link(&self, from: &str, to: &str) -> Result<()> {
        self.place("link", from, to, fs::hard_link)
    }

    fn remove_tree(&self, path: &str) -> Result<()> {
        check(path)?;
        let removed = remove_if_there(&self.root.join(path));
        removed.map_err(|source| Error::io("remove", path, source))
    }
}

impl Write for NewOsFile {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.file.as_mut().map_or(Ok(0), |file| file.write(data))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl NewFile for NewOsFile {
    fn finish(mut self: Box<Self>, durability: Durability) -> Result<()> {
        self.put_in_place(durability)
            .map_err(|source| Error::io("write", &self.path, source))
    }
}

impl NewOsFile {
    fn put_in_place(&mut self, durability: Durability) -> io::Result<()> {
        if let Some(mut file) = self.file.take() {
            file.flush()?;
            if durability == Durability::Durable {
                file.get_ref().sync_all()?;
            }
        }
        fs::create_dir_all(self.root.join(parent(&self.path)))?;
        fs::rename(&self.temporary, self.root.join(&self.path))?;
        if durability == Durability::Durable {
            // Folders on the way may be new as well.
            for folder in std::iter::successors(Some(parent(&self.path)), |folder| {
                (!folder.is_empty()).then(|| parent(folder))
            }) {
                File::open(self.root.join(folder))?.sync_all()?;
            }
        }
        Ok(())
    }
}

impl Drop for NewOsFile {
    /// After a finished write there is nothing to remove. What cannot be removed is, at the next
    /// start.
    fn drop(&mut self) {
        fs::remove_file(&self.temporary).ok();
    }
}

fn metadata(found: &fs::Metadata) -> Metadata {
    let is_folder = found.is_dir();
    Metadata {
        size: if is_folder { 0 } else { found.len() },
        is_folder,
    }
}

/// A path through a file is as missing as one through nothing.
fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    let remove = || {
        if fs::symlink_metadata(path)?.is_dir() {
            fs::remove_dir_all(path)
        } else {
            fs::remove_file(path)
        }
    };
    match remove() {
        Err(error) if is_missing(&error) => Ok(()),
        result => result,
    }
}
