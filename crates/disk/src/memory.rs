//! A disk in memory, for tests and simulation.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::path::{check, check_folder, parent};
use crate::{DirEntry, Disk, Durability, Metadata, NewFile};

/// Files in memory. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct MemoryDisk {
    nodes: Arc<Mutex<Nodes>>,
}

/// Files by path; a folder is `None`.
type Nodes = BTreeMap<String, Option<Bytes>>;

#[derive(Debug)]
struct NewMemoryFile {
    disk: MemoryDisk,
    path: String,
    data: Vec<u8>,
}

impl MemoryDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn file(&self, operation: &'static str, path: &str) -> Result<Bytes> {
        check(path)?;
        match self.nodes.lock().get(path) {
            Some(Some(data)) => Ok(data.clone()),
            Some(None) => Err(Error::io(
                operation,
                path,
                io::ErrorKind::IsADirectory.into(),
            )),
            None => Err(Error::not_found(operation, path)),
        }
    }
}

impl Disk for MemoryDisk {
    fn read(&self, path: &str) -> Result<Bytes> {
        self.file("read", path)
    }

    fn read_range(&self, path: &str, range: Range<u64>) -> Result<Bytes> {
        let data = self.file("read", path)?;
        let clamp = |offset: u64| usize::try_from(offset).map_or(data.len(), |o| o.min(data.len()));
        let (start, end) = (clamp(range.start), clamp(range.end));
        Ok(data.slice(start..end.max(start)))
    }

    fn map(&self, path: &str) -> Result<Bytes> {
        self.file("map", path)
    }

    fn create(&self, path: &str) -> Result<Box<dyn NewFile>> {
        check(path)?;
        let (disk, path) = (self.clone(), path.to_owned());
        Ok(Box::new(NewMemoryFile {
            disk,
            path,
            data: Vec::new(),
        }))
    }

    fn stat(&self, path: &str) -> Result<Option<Metadata>> {
        check_folder(path)?;
        if path.is_empty() {
            return Ok(Some(metadata(None)));
        }
        Ok(self
            .nodes
            .lock()
            .get(path)
            .map(|node| metadata(node.as_ref())))
    }

    fn list(&self, folder: &str) -> Result<Vec<DirEntry>> {
        check_folder(folder)?;
        let nodes = self.nodes.lock();
        let entries = nodes.iter().filter(|(path, _)| parent(path) == folder);
        Ok(entries
            .map(|(path, node)| {
                let name = path.rsplit('/').next().unwrap_or(path).to_owned();
                let Metadata { size, is_folder } = metadata(node.as_ref());
                DirEntry {
                    name,
                    size,
                    is_folder,
                }
            })
            .collect())
    }

    fn create_folder(&self, path: &str) -> Result<()> {
        check(path)?;
        make_folders(&mut self.nodes.lock(), path, "make the folder")
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        check(from)?;
        check(to)?;
        let mut nodes = self.nodes.lock();
        let Some(moved) = nodes.get(from) else {
            return Err(Error::not_found("rename", from));
        };
        let refuse = |kind: io::ErrorKind| Err(Error::io("rename", from, kind.into()));
        match (moved, nodes.get(to)) {
            (Some(_), Some(None)) => return refuse(io::ErrorKind::IsADirectory),
            (None, Some(Some(_))) => return refuse(io::ErrorKind::NotADirectory),
            (None, Some(None)) if nodes.keys().any(|path| is_below(path, to)) => {
                return refuse(io::ErrorKind::DirectoryNotEmpty);
            }
            _ => {}
        }
        make_folders(&mut nodes, parent(to), "rename")?;
        let taken: Vec<_> = nodes
            .extract_if(.., |path, _| path == from || is_below(path, from))
            .collect();
        for (path, node) in taken {
            let rest = path.strip_prefix(from).unwrap_or_default();
            nodes.insert(format!("{to}{rest}"), node);
        }
        Ok(())
    }

    fn link(&self, from: &str, to: &str) -> Result<()> {
        check(to)?;
        let data = self.file("link", from)?;
        let mut nodes = self.nodes.lock();
        if nodes.contains_key(to) {
            let taken = io::ErrorKind::AlreadyExists.into();
            return Err(Error::io("link", from, taken));
        }
        make_folders(&mut nodes, parent(to), "link")?;
        nodes.insert(to.to_owned(), Some(data));
        Ok(())
    }

    fn remove_tree(&self, path: &str) -> Result<()> {
        check(path)?;
        self.nodes
            .lock()
            .retain(|node, _| node != path && !is_below(node, path));
        Ok(())
    }
}

impl Write for NewMemoryFile {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.data.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl NewFile for NewMemoryFile {
    fn finish(self: Box<Self>, _: Durability) -> Result<()> {
        let mut nodes = self.disk.nodes.lock();
        if nodes.get(&self.path) == Some(&None) {
            return Err(Error::io(
                "write",
                &self.path,
                io::ErrorKind::IsADirectory.into(),
            ));
        }
        make_folders(&mut nodes, parent(&self.path), "write")?;
        nodes.insert(self.path, Some(self.data.into()));
        Ok(())
    }
}

fn make_folders(nodes: &mut Nodes, folder: &str, operation: &'static str) -> Result<()> {
    let ancestry = std::iter::successors(Some(folder), |folder| Some(parent(folder)));
    for folder in ancestry.take_while(|folder| !folder.is_empty()) {
        if matches!(nodes.get(folder), Some(Some(_))) {
            return Err(Error::io(
                operation,
                folder,
                io::ErrorKind::NotADirectory.into(),
            ));
        }
        nodes.insert(folder.to_owned(), None);
    }
    Ok(())
}

fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.starts_with('/'))
}

fn metadata(node: Option<&Bytes>) -> Metadata {
    Metadata {
        size: node.map_or(0, |data| data.len() as u64),
        is_folder: node.is_none(),
    }
}
