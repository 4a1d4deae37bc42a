//! Reads of what the page cache holds, at once and where the caller is.
//!
//! To hand a read to another thread and to be woken by it costs more than to copy what a store gateway
//! reads at a time. So the kernel is asked first to fail where it would have to wait, as io_uring
//! does before it takes a worker (`io_openat2` and `io_read` of its sources): `openat2` with `RESOLVE_CACHED`,
//! `preadv2` with `RWF_NOWAIT`. What fails for whatever reason, the blocking pool does again, and says why.

use std::fs::File;
use std::io::IoSliceMut;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, StatxFlags, fstatfs, openat, openat2, statx,
};
use rustix::io::{Errno, ReadWriteFlags, preadv2};

use super::buffers::{self, Buffers};
use super::read;

/// More than this is copied for so long that other tasks of the thread should not wait for it, bytes.
const MOST: u64 = 2 * 1024 * 1024;
/// So many ranges, each a system call, take as long as that.
const MOST_RANGES: usize = 2048;
/// What a unit of a task's budget pays for, bytes and ranges.
const UNIT: u64 = 64 * 1024;
const UNIT_RANGES: u64 = 64;

/// File systems of local disks that can say whether a read would wait, by their number in `statfs`: ext2 to ext4, xfs, btrfs.
/// On others, such as NFS and FUSE, even to open a file asks somebody who may not answer.
const LOCAL: [u64; 3] = [0xef53, 0x5846_5342, 0x9123_683e];

/// The folder of a bucket, for reads of what the page cache holds.
#[derive(Debug, Default)]
pub(super) struct Cached {
    /// Set when the folder was looked at; `None` if it does not lie on such a file system.
    root: OnceLock<Option<OwnedFd>>,
    /// The system does not know these calls, or forbids them.
    is_refused: AtomicBool,
}

impl Cached {
    /// Looks where `folder` lies, once it is there. May wait for the disk.
    pub(super) fn look(&self, folder: &Path) {
        if self.root.get().is_some() {
            return;
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let found = openat(CWD, folder, flags, Mode::empty());
        let found = found.and_then(|root| Ok((fstatfs(&root)?.f_type, root)));
        if let Ok((kind, root)) = found {
            let is_local = u64::try_from(kind).is_ok_and(|kind| LOCAL.contains(&kind));
            self.root.get_or_init(|| is_local.then_some(root));
        }
    }

    /// Several ranges of the object `key`, if they are not too long and can be had without waiting.
    pub(super) async fn ranges(
        &self,
        key: &str,
        ranges: &[Range<u64>],
        buffers: &Arc<Buffers>,
    ) -> Option<Vec<Bytes>> {
        let root = self.root.get()?.as_ref()?;
        if self.is_refused.load(Ordering::Relaxed) {
            return None;
        }
        let lengths = { ranges.iter() }.map(|range| range.end.saturating_sub(range.start));
        let bytes = lengths.clone().fold(0, u64::saturating_add);
        let is_long = bytes > MOST || lengths.max()? > buffers::LENGTH as u64;
        if is_long || ranges.len() > MOST_RANGES {
            return None;
        }
        // *Otherwise:* a task that finds all it reads here never lets others run, nor can it be stopped.
        for _ in 0..=bytes / UNIT + ranges.len() as u64 / UNIT_RANGES {
            tokio::task::consume_budget().await;
        }
        let read = read_ranges(root, key, ranges, buffers);
        if let Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::PERM) = read {
            self.is_refused.store(true, Ordering::Relaxed);
        }
        read.ok()
    }
}

fn read_ranges(
    root: &OwnedFd,
    key: &str,
    ranges: &[Range<u64>],
    buffers: &Arc<Buffers>,
) -> Result<Vec<Bytes>, Errno> {
    let (file, size) = open(root, key)?;
    // What is wrong with a range, the pool tells.
    let ranges = read::clamp_all(ranges, size).map_err(|_| Errno::AGAIN)?;
    let mut parts = Vec::with_capacity(ranges.len());
    for group in read::groups(&ranges) {
        let read = |room: &mut [u8], at| read_exact(&file, room, at);
        read::together(group, buffers, read, &mut parts)?;
    }
    Ok(parts)
}

/// Not by a link or a mount into another file system, which may be one that waits.
fn open(root: &OwnedFd, key: &str) -> Result<(File, u64), Errno> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let within = ResolveFlags::CACHED | ResolveFlags::NO_XDEV;
    let file = openat2(root, key, flags, Mode::empty(), within)?;
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let found = statx(&file, c"", flags, StatxFlags::TYPE | StatxFlags::SIZE)?;
    if FileType::from_raw_mode(found.stx_mode.into()) != FileType::RegularFile {
        return Err(Errno::NOENT);
    }
    Ok((file.into(), found.stx_size))
}

/// Fills `room` from the page cache.
pub(super) fn read_exact(file: &File, mut room: &mut [u8], mut at: u64) -> Result<(), Errno> {
    while !room.is_empty() {
        match preadv2(
            file,
            &mut [IoSliceMut::new(room)],
            at,
            ReadWriteFlags::NOWAIT,
        ) {
            // The file was cut.
            Ok(0) => return Err(Errno::AGAIN),
            Ok(read) => {
                room = room.get_mut(read..).unwrap_or_default();
                at += read as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::read::Trace;
    use super::*;

    #[tokio::test]
    async fn what_was_just_written_is_read_at_once_and_all_else_is_left_to_the_pool() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        let bytes: Vec<u8> = (0..600_000_u32).map(|i| (i % 251) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let buffers = Arc::default();
        let cached = Cached::default();
        // The last of these reaches beyond the end.
        let wanted = [0..5, 7..200_007, 300_000..420_000, 599_990..600_100];
        let found = cached.ranges("index", &wanted, &buffers).await;
        assert_eq!(found, None, "before the folder was looked at");
        cached.look(&folder.path().join("none"));
        assert!(cached.root.get().is_none(), "a folder may still come");
        cached.look(folder.path());
        let expected = read::ranges(&path, &wanted, &buffers, Trace::Stays).unwrap();
        let found = cached.ranges("index", &wanted, &buffers).await;
        // Not every file system can, wherever temporary files lie.
        let is_refused = cached.is_refused.load(Ordering::Relaxed);
        let is_able = cached.root.get().unwrap().is_some() && !is_refused;
        assert_eq!(found, is_able.then_some(expected));

        let few = [7..9, 9..10];
        let found = cached.ranges("index", &few, &buffers).await;
        assert_eq!(found.is_some(), is_able);
        let long = [0..1, 0..300_000];
        let much = vec![0..200_000; 11];
        let many = vec![0..1; MOST_RANGES + 1];
        let beyond = [0..1, 600_001..600_002];
        for left in [&long[..], &much, &many, &beyond, &[]] {
            assert_eq!(cached.ranges("index", left, &buffers).await, None);
        }
        // Another file system, by a link that the system has just followed.
        let abroad = tempfile::NamedTempFile::new_in("/dev/shm").unwrap();
        std::fs::write(abroad.path(), &bytes).unwrap();
        let link = folder.path().join("abroad");
        std::os::unix::fs::symlink(abroad.path(), &link).unwrap();
        assert_eq!(
            read::ranges(&link, &few, &buffers, Trace::Stays)
                .unwrap()
                .len(),
            2
        );
        for key in ["none", "index/none", ".", "abroad"] {
            assert_eq!(cached.ranges(key, &few, &buffers).await, None, "{key}");
        }
        let is_refused_now = cached.is_refused.load(Ordering::Relaxed);
        assert_eq!(is_refused_now, is_refused, "none of that was a refusal");
    }
}
