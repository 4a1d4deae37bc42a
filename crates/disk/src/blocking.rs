//! A disk for async code.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use rutile_runtime::CpuPool;

use crate::error::Result;
use crate::{DirEntry, Disk, Durability, Metadata};

/// Runs every operation of a [`Disk`] on a pool, so that no async thread blocks. Each method is
/// that of [`Disk`].
#[derive(Debug, Clone)]
pub struct AsyncDisk {
    disk: Arc<dyn Disk>,
    pool: CpuPool,
}

impl AsyncDisk {
    /// `disk`, used from `pool`.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, pool: CpuPool) -> Self {
        Self { disk, pool }
    }

    /// The disk itself, for use within work on a pool.
    #[must_use]
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Runs several operations in one go.
    pub async fn run<T, F>(&self, work: F) -> T
    where
        F: FnOnce(&dyn Disk) -> T + Send + 'static,
        T: Send + 'static,
    {
        let disk = Arc::clone(&self.disk);
        self.pool.run(move || work(&*disk)).await
    }

    /// See [`Disk::read`].
    ///
    /// # Errors
    /// As there.
    pub async fn read(&self, path: &str) -> Result<Bytes> {
        let path = path.to_owned();
        self.run(move |disk| disk.read(&path)).await
    }

    /// See [`Disk::read_range`].
    ///
    /// # Errors
    /// As there.
    pub async fn read_range(&self, path: &str, range: Range<u64>) -> Result<Bytes> {
        let path = path.to_owned();
        self.run(move |disk| disk.read_range(&path, range)).await
    }

    /// See [`Disk::map`]. Touching the pages later blocks the thread that touches them.
    ///
    /// # Errors
    /// As there.
    pub async fn map(&self, path: &str) -> Result<Bytes> {
        let path = path.to_owned();
        self.run(move |disk| disk.map(&path)).await
    }

    /// See [`Disk::write`].
    ///
    /// # Errors
    /// As there.
    pub async fn write(&self, path: &str, data: Bytes, durability: Durability) -> Result<()> {
        let path = path.to_owned();
        self.run(move |disk| disk.write(&path, &data, durability))
            .await
    }

    /// See [`Disk::stat`].
    ///
    /// # Errors
    /// As there.
    pub async fn stat(&self, path: &str) -> Result<Option<Metadata>> {
        let path = path.to_owned();
        self.run(move |disk| disk.stat(&path)).await
    }

    /// See [`Disk::list`].
    ///
    /// # Errors
    /// As there.
    pub async fn list(&self, folder: &str) -> Result<Vec<DirEntry>> {
        let folder = folder.to_owned();
        self.run(move |disk| disk.list(&folder)).await
    }

    /// See [`Disk::remove_tree`].
    ///
    /// # Errors
    /// As there.
    pub async fn remove_tree(&self, path: &str) -> Result<()> {
        let path = path.to_owned();
        self.run(move |disk| disk.remove_tree(&path)).await
    }
}
