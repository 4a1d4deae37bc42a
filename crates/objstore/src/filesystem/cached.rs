//! Reads of what the page cache holds, at once and where the caller is.
//!
//! To hand a read to another thread and to be woken by it costs more than to copy what a store gateway
//! reads at a time. So the kernel is asked first to fail where it would have to wait, as io_uring
//! does before it takes a worker (`io_openat2` and `io_read` of its sources): `openat2` with `RESOLVE_CACHED`,
//! `preadv2` with `RWF_NOWAIT`. What fails for whatever reason, the blocking pool does again, and says why.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, StatxFlags, openat2, statfs, statx,
};
use rustix::io::{Errno, ReadWriteFlags, preadv2};

use super::buffers::{self, Buffers};
use super::read;

/// More than this is copied for so long that other tasks of the thread should not wait for it, bytes.
const MOST: u64 = 2 * 1024 * 1024;

/// File systems of a local disk or of memory, by their number in `statfs`. On others, such as NFS and FUSE, even
/// to open a file asks somebody who may not answer.
const LOCAL: [u64; 5] = [
    0xef53,      // ext2, ext3, ext4
    0x5846_5342, // xfs
    0x9123_683e, // btrfs
    0x0102_1994, // tmpfs
    0x794c_7630, // overlayfs
];

/// Whether files in `folder` lie on this machine. May wait for the disk.
pub(super) fn is_local(folder: &Path) -> bool {
    statfs(folder).is_ok_and(|found| LOCAL.contains(&u64::try_from(found.f_type).unwrap_or(0)))
}

/// Several ranges of a file, if they are not too long and can be had without waiting.
pub(super) fn ranges(
    path: &Path,
    ranges: &[Range<u64>],
    buffers: &Arc<Buffers>,
) -> Option<Vec<Bytes>> {
    let lengths = ranges
        .iter()
        .map(|range| range.end.saturating_sub(range.start));
    let all = lengths.clone().fold(0, u64::saturating_add);
    if all > MOST || lengths.max()? > buffers::LENGTH as u64 {
        return None;
    }
    let (file, size) = open(path)?;
    let ranges = read::clamp_all(ranges, size).ok()?;
    let mut parts = Vec::with_capacity(ranges.len());
    for together in read::groups(&ranges) {
        let read = |room: &mut [u8], at| read_exact(&file, room, at);
        read::together(together, buffers, read, &mut parts).ok()?;
    }
    Some(parts)
}

fn open(path: &Path) -> Option<(File, u64)> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file: OwnedFd = openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED).ok()?;
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let found = statx(&file, c"", flags, StatxFlags::TYPE | StatxFlags::SIZE).ok()?;
    let is_file = FileType::from_raw_mode(found.stx_mode.into()) == FileType::RegularFile;
    is_file.then(|| (file.into(), found.stx_size))
}

/// Fills `room` from the page cache.
fn read_exact(file: &File, mut room: &mut [u8], mut at: u64) -> io::Result<()> {
    while !room.is_empty() {
        let read = match preadv2(
            file,
            &mut [IoSliceMut::new(room)],
            at,
            ReadWriteFlags::NOWAIT,
        ) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(Errno::INTR) => continue,
            read => read?,
        };
        room = room.get_mut(read..).unwrap_or_default();
        at += read as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_just_written_is_read_at_once_and_all_else_is_left_to_the_pool() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        let bytes: Vec<u8> = (0..600_000_u32).map(|i| (i % 251) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let buffers = Arc::default();
        let read = |wanted: &[Range<u64>]| ranges(&path, wanted, &buffers);
        let expected = |wanted: &[Range<u64>]| read::ranges(&path, wanted, &buffers).unwrap();
        assert!(
            is_local(folder.path()),
            "set TMPDIR to a folder of a local disk"
        );
        // The last of these reaches beyond the end.
        let wanted = [0..5, 7..200_007, 300_000..420_000, 599_990..600_100];
        assert_eq!(read(&wanted), Some(expected(&wanted)));
        assert_eq!(read(&[7..9, 9..10]).unwrap(), ["\u{7}\u{8}", "\t"]);
        // Too long to be copied here.
        assert_eq!(read(&[0..1, 0..300_000]), None);
        let many = vec![0..200_000; 11];
        assert_eq!(read(&many), None);
        // The pool tells what is wrong.
        let one = [0..1, 1..2];
        assert_eq!(read(&[0..1, 600_001..600_002]), None);
        assert_eq!(ranges(folder.path(), &one, &buffers), None);
        assert_eq!(ranges(&folder.path().join("none"), &one, &buffers), None);
    }
}
