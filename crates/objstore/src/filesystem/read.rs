//! Reading files and folders, blocking.

use std::fs::{self, DirEntry, File, Metadata};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::io::{Errno, pread};
use rutile_model::ErrorKind;

use super::buffers::{self, Buffers};
use super::{Failure, LIST_BATCH, UNFINISHED, direct};
use crate::{Attributes, Depth, Entry, key};

/// What a long read leaves in the page cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trace {
    /// All it read: it will be read again.
    Stays,
    /// What was there before, where the system can do so.
    Goes,
}

/// Folders within folders that a listing descends: a bound against loops of symbolic links.
const MAX_DEPTH: usize = 64;

/// The whole file, or its size when that is above `limit`.
pub(super) fn whole(path: &Path, limit: u64) -> Result<Result<Bytes, u64>, Failure> {
    let (file, size) = open(path)?;
    match size {
        size if size > limit => Ok(Err(size)),
        0 => Ok(Ok(Bytes::new())),
        size => Ok(Ok(read_at(&file, &(0..size), Trace::Stays)?)),
    }
}

/// Several ranges. What fits one buffer is read into one: an allocation for each of a thousand small
/// ranges costs a tenth of what reading them does.
pub(super) fn ranges(
    path: &Path,
    ranges: &[Range<u64>],
    buffers: &Arc<Buffers>,
    trace: Trace,
) -> Result<Vec<Bytes>, Failure> {
    let (file, size) = open(path)?;
    let ranges = clamp_all(ranges, size)?;
    let mut parts = Vec::with_capacity(ranges.len());
    for group in groups(&ranges) {
        match group {
            [range] => parts.push(read_at(&file, range, trace)?),
            group => together(
                group,
                buffers,
                |room, at| file.read_exact_at(room, at),
                &mut parts,
            )?,
        }
    }
    Ok(parts)
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

/// The ranges, cut at the end of the file.
pub(super) fn clamp_all(ranges: &[Range<u64>], size: u64) -> Result<Vec<Range<u64>>, Failure> {
    let clamp =
        |range| key::clamp(range, size).map_err(|why| Failure::Refused(ErrorKind::Invalid, why));
    ranges.iter().map(clamp).collect()
}

/// The ranges in groups that fit one buffer, or are one range.
pub(super) fn groups(ranges: &[Range<u64>]) -> impl Iterator<Item = &[Range<u64>]> {
    let mut rest = ranges;
    std::iter::from_fn(move || {
        let (group, others) = rest.split_at_checked(how_many_together(rest))?;
        rest = others;
        Some(group)
    })
}

/// How many of the first ranges fit one buffer; at least one.
fn how_many_together(ranges: &[Range<u64>]) -> usize {
    let mut bytes = 0_u64;
    let fit = ranges.iter().take_while(|range| {
        bytes = bytes.saturating_add(range.end - range.start);
        bytes <= buffers::LENGTH as u64
    });
    fit.count().max(1)
}

/// Reads ranges that fit one buffer into one, by `read`, which fills its room from an offset on, and appends a slice for each.
pub(super) fn together<E>(
    ranges: &[Range<u64>],
    buffers: &Arc<Buffers>,
    read: impl Fn(&mut [u8], u64) -> Result<(), E>,
    parts: &mut Vec<Bytes>,
) -> Result<(), E> {
    let lengths = || {
        ranges
            .iter()
            .map(|range| (range.end - range.start) as usize)
    };
    let fill = |mut room: &mut [u8]| {
        for range in ranges {
            let (part, others) = room.split_at_mut((range.end - range.start) as usize);
            read(part, range.start)?;
            room = others;
        }
        Ok(())
    };
    let length = lengths().sum();
    // A slice that is kept for long must not hold much more than itself.
    let mut filled = if length < buffers::LENGTH / 2 {
        let mut buffer = vec![0; length];
        fill(&mut buffer)?;
        Bytes::from(buffer)
    } else {
        let mut buffer = buffers.lend();
        fill(buffer.bytes_mut())?;
        buffer.freeze()
    };
    parts.extend(lengths().map(|length| filled.split_to(length)));
    Ok(())
}

/// Reads a range that lies within the file into a buffer of just its size, without zeroing it.
fn read_at(file: &File, range: &Range<u64>, trace: Trace) -> io::Result<Bytes> {
    let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
    if trace == Trace::Goes
        && length > buffers::LENGTH
        && let Some(bytes) = direct::read(file, range.start, length)?
    {
        return Ok(bytes);
    }
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
