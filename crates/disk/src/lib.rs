//! Local files: the folder in which a component keeps its caches and its scratch data.
//!
//! A [`Disk`] is rooted in one folder that belongs to it alone. Files appear whole or not at all:
//! they are written beside and renamed into place, and are never changed or shortened afterwards,
//! which is what makes [`Disk::map`] sound. Everything blocks; async code goes through
//! [`AsyncDisk`], or uses a disk from within work that runs on a `CpuPool`.
//!
//! [`MemoryDisk`] and [`FaultyDisk`] are the twins for tests and simulation.

mod blocking;
mod error;
mod faulty;
mod lock;
mod memory;
mod os;
mod path;

use std::fmt;
use std::io::Write;
use std::ops::Range;

use bytes::Bytes;

pub use crate::blocking::AsyncDisk;
pub use crate::error::{Error, Result};
pub use crate::faulty::{Fault, FaultRates, FaultyDisk};
pub use crate::lock::FolderLock;
pub use crate::memory::MemoryDisk;
pub use crate::os::OsDisk;

/// The files below one folder.
///
/// Paths are relative, with `/` between their parts: `meta-syncer/01ABC/meta.json`. A path that is
/// absolute, or has an empty part, `.` or `..`, is `ErrorKind::Invalid`. The name `.tmp` at the
/// root is taken.
pub trait Disk: Send + Sync + fmt::Debug {
    /// The whole file, copied into memory.
    ///
    /// # Errors
    /// `NotFound`, or what the system says.
    fn read(&self, path: &str) -> Result<Bytes>;

    /// The bytes of `range`, cut at the end of the file.
    ///
    /// # Errors
    /// `NotFound`, or what the system says.
    fn read_range(&self, path: &str, range: Range<u64>) -> Result<Bytes>;

    /// The whole file, mapped: pages are read when they are touched, and the kernel may drop them.
    /// The bytes stay valid after the file was replaced or removed.
    ///
    /// # Errors
    /// `NotFound`, or what the system says.
    fn map(&self, path: &str) -> Result<Bytes>;

    /// Begins a file. It appears under `path`, in place of what may be there, when it is finished.
    ///
    /// # Errors
    /// What the system says.
    fn create(&self, path: &str) -> Result<Box<dyn NewFile>>;

    /// What is at `path`, or `None`.
    ///
    /// # Errors
    /// What the system says, missing files aside.
    fn stat(&self, path: &str) -> Result<Option<Metadata>>;

    /// What is in a folder (`""` is the root), sorted by name. A missing folder is empty.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self, folder: &str) -> Result<Vec<DirEntry>>;

    /// Makes a folder and those above it.
    ///
    /// # Errors
    /// What the system says.
    fn create_folder(&self, path: &str) -> Result<()>;

    /// Moves a file or folder to where nothing, or a file, or an empty folder is.
    ///
    /// # Errors
    /// `NotFound`, or what the system says.
    fn rename(&self, from: &str, to: &str) -> Result<()>;

    /// Gives a file a second path, where nothing may be yet, and makes the folders above it. Either path
    /// may be removed without the other, and the bytes are on disk once.
    ///
    /// # Errors
    /// `NotFound`, `AlreadyExists`, or what the system says: some file systems cannot.
    fn link(&self, from: &str, to: &str) -> Result<()>;

    /// Removes a file, or a folder with all that is in it. Nothing there is fine.
    ///
    /// # Errors
    /// What the system says; part of a folder may be gone then.
    fn remove_tree(&self, path: &str) -> Result<()>;

    /// Writes a whole file at once; see [`Disk::create`].
    ///
    /// # Errors
    /// What the system says; what was at `path` is unchanged then.
    fn write(&self, path: &str, data: &[u8], durability: Durability) -> Result<()> {
        let mut file = self.create(path)?;
        file.write_all(data)
            .map_err(|source| Error::io("write", path, source))?;
        file.finish(durability)
    }
}

/// A file that is being written. Dropping it unfinished leaves no trace.
pub trait NewFile: Write + Send + fmt::Debug {
    /// Puts the file in its place.
    ///
    /// # Errors
    /// What the system says; the file is not there then.
    fn finish(self: Box<Self>, durability: Durability) -> Result<()>;
}

/// What a finished write promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The file is there for all readers; after a crash of the machine it may be there in part.
    /// For what can be checked and made again, such as caches.
    Cached,
    /// File and folder are synced: it survives a crash of the machine, whole.
    Durable,
}

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metadata {
    /// Length in bytes; 0 for a folder.
    pub size: u64,
    /// Whether it is a folder.
    pub is_folder: bool,
}

/// One entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// The last part of its path.
    pub name: String,
    /// Length in bytes; 0 for a folder.
    pub size: u64,
    /// Whether it is a folder.
    pub is_folder: bool,
}

#[cfg(test)]
mod tests;
