//! Reading files and folders, blocking.

use std::fs::{self, DirEntry, File, Metadata};
use std::io;
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::io::{Errno, pread};
use rutile_model::ErrorKind;

use super::{Failure, LIST_BATCH, UNFINISHED};
use crate::{Attributes, Depth, Entry, key};

/// Folders within folders that a listing descends: a bound against loops of symbolic links.
const MAX_DEPTH: usize = 64;

/// The whole file, or its size when that is above `limit`.
pub(super) fn whole(path: &Path, limit: u64) -> Result<Result<Bytes, u64>, Failure> {
    let (file, size) = open(path)?;
    match size {
        size if size > limit => Ok(Err(size)),
        0 => Ok(Ok(Bytes::new())),
        size => Ok(Ok(read_at(&file, &(0..size))?)),
    }
}

pub(super) fn range(path: &Path, range: &Range<u64>) -> Result<Bytes, Failure> {
    let (file, size) = open(path)?;
    read_clamped(&file, range, size)
}

pub(super) fn ranges(path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, Failure> {
    let (file, size) = open(path)?;
    ranges
        .iter()
        .map(|range| read_clamped(&file, range, size))
        .collect()
}

pub(super) fn attributes(path: &Path) -> Result<Attributes, Failure> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::from(io::ErrorKind::NotFound).into());
    }
    Ok(of(&metadata))
}

/// Lists `folder`, whose entries' keys start with `keys`, in batches, until `accept` says no.
pub(super) fn walk(
    root: &Path,
    folder: &Path,
    keys: &str,
    depth: Depth,
    accept: &mut dyn FnMut(Vec<Entry>) -> bool,
) -> Result<(), Failure> {
    if !root.is_dir() {
        let message = format!(
            "the directory {} does not exist: create it, or correct `directory` of objstore.config",
            root.display()
        );
        return Err(Failure::Refused(ErrorKind::Invalid, message));
    }
    let mut batch = Vec::new();
    let mut open = vec![(folder.to_path_buf(), keys.to_owned(), 0)];
    while let Some((folder, keys, level)) = open.pop() {
        for child in children(&folder)? {
            let (name, child) = child?;
            if keys.is_empty() && name == UNFINISHED {
                continue;
            }
            let path = child.path();
            let Some(found) = look(&child, &path, depth)? else {
                continue;
            };
            let key = format!("{keys}{name}");
            match (found, depth) {
                (Found::File(attributes), _) => {
                    batch.push(Entry {
                        key,
                        attributes: Some(attributes),
                    });
                }
                (Found::Folder, Depth::Shallow) => {
                    batch.push(Entry {
                        key: format!("{key}/"),
                        attributes: None,
                    });
                }
                (Found::Folder, Depth::Recursive) if level < MAX_DEPTH => {
                    open.push((path, format!("{key}/"), level + 1));
                }
                (Found::Folder, Depth::Recursive) => {
                    let message = format!("{} is nested too deeply", path.display());
                    return Err(Failure::Refused(ErrorKind::Invalid, message));
                }
            }
            if batch.len() == LIST_BATCH && !accept(std::mem::take(&mut batch)) {
                return Ok(());
            }
        }
    }
    accept(batch);
    Ok(())
}

enum Found {
    File(Attributes),
    Folder,
}

/// What has a UTF-8 name in a folder; nothing if it went away.
fn children(
    folder: &Path,
) -> Result<impl Iterator<Item = Result<(String, DirEntry), Failure>>, Failure> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => Some(entries),
        Err(error) if is_absent(&error) => None,
        Err(error) => return Err(error.into()),
    };
    Ok(entries
        .into_iter()
        .flatten()
        .filter_map(|entry| match entry {
            // What is not UTF-8 cannot be named by a key.
            Ok(entry) => Some(Ok((entry.file_name().into_string().ok()?, entry))),
            Err(error) => Some(Err(error.into())),
        }))
}

/// What a listing shows of an entry. A folder without entries is none: object stores have no empty
/// folders.
fn look(entry: &DirEntry, path: &Path, depth: Depth) -> Result<Option<Found>, Failure> {
    if !entry.file_type()?.is_dir() {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if metadata.is_file() {
            return Ok(Some(Found::File(of(&metadata))));
        }
        if !metadata.is_dir() {
            return Ok(None);
        }
    }
    let shown = depth == Depth::Recursive || children(path)?.next().is_some();
    Ok(shown.then_some(Found::Folder))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn of(metadata: &Metadata) -> Attributes {
    let last_modified_ms = metadata.mtime() * 1000 + metadata.mtime_nsec() / 1_000_000;
    Attributes {
        size: metadata.len(),
        last_modified_ms,
    }
}

fn open(path: &Path) -> Result<(File, u64), Failure> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::from(io::ErrorKind::NotFound).into());
    }
    Ok((file, metadata.len()))
}

fn read_clamped(file: &File, range: &Range<u64>, size: u64) -> Result<Bytes, Failure> {
    let range = key::clamp(range, size).map_err(|why| Failure::Refused(ErrorKind::Invalid, why))?;
    Ok(read_at(file, &range)?)
}

/// Reads a range that lies within the file into a buffer of just its size, without zeroing it.
fn read_at(file: &File, range: &Range<u64>) -> io::Result<Bytes> {
    let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length)?;
    while bytes.len() < length {
        let position = range.start + bytes.len() as u64;
        match pread(file, spare_capacity(&mut bytes), position) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // The allocator may have given more room than asked for, and the file may have grown.
    bytes.truncate(length);
    Ok(bytes.into())
}
