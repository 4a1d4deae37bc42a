//! Long reads and writes past the page cache (`O_DIRECT`, open(2)).
//!
//! A compactor reads and writes more than anybody will read again soon. The page cache would copy all of it, take fresh memory
//! for it, which a virtual machine may have to be given first, and give up for it what others read. What it writes it
//! also reads back: that then comes from the disk, not from memory.

use std::fs::File;
use std::io::{self, IoSliceMut, Write as _};

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::fs::{AtFlags, OFlags, StatxFlags, fcntl_getfl, fcntl_setfl, statx};
use rustix::io::{Errno, ReadWriteFlags, pread, preadv2};

/// Less than this is written through the page cache: to wait for the disk takes longer than to copy so little, bytes.
const LEAST: usize = 1024 * 1024;
/// What offsets, lengths and addresses are multiples of, at least: file systems handle parts of their blocks one by one.
const BLOCK: usize = 4096;

/// What a file that only grows needs to know for that.
#[derive(Debug)]
pub(super) struct Direct {
    /// Bytes of which offset, length and address must be multiples; `None` where only the page cache will do.
    block: Option<usize>,
    length: usize,
}

impl Direct {
    /// Of an empty file.
    pub(super) fn new(file: &File) -> Self {
        let block = block(file);
        Self { block, length: 0 }
    }

    /// Appends to the file that this was made of.
    pub(super) fn append(&mut self, mut file: &File, mut bytes: &[u8]) -> io::Result<()> {
        let total = bytes.len();
        if let Some(block) = self.block
            && total >= LEAST
            && self.length.is_multiple_of(block)
            && bytes.as_ptr().addr().is_multiple_of(block)
        {
            bytes = self.past_the_cache(file, bytes, block)?;
        }
        file.write_all(bytes)?;
        self.length += total;
        Ok(())
    }

    /// Writes what fills blocks; gives what is left.
    fn past_the_cache<'a>(
        &mut self,
        mut file: &File,
        bytes: &'a [u8],
        block: usize,
    ) -> io::Result<&'a [u8]> {
        let Some(flags) = begin(file)? else {
            self.block = None;
            return Ok(bytes);
        };
        let (mut whole, rest) = bytes.split_at(bytes.len() - bytes.len() % block);
        let written = loop {
            // What follows a short write may begin within a block.
            if whole.is_empty() || !whole.len().is_multiple_of(block) {
                break Ok(());
            }
            match file.write(whole) {
                Ok(0) => break Ok(()),
                Ok(written) => whole = whole.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The file system promised too much.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    self.block = None;
                    break Ok(());
                }
                Err(error) => break Err(error),
            }
        };
        fcntl_setfl(file, flags)?;
        written?;
        Ok(bytes
            .get(bytes.len() - whole.len() - rest.len()..)
            .unwrap_or_default())
    }
}

/// Reads `length` bytes from `start` on, all of which the file has. `None` where the page cache should be asked: it has
/// them, or nothing else will do.
pub(super) fn read(file: &File, start: u64, length: usize) -> io::Result<Option<Bytes>> {
    // The first alone may be there because the system read ahead.
    let last = start + (length as u64).saturating_sub(1);
    let are_cached = || is_cached(file, start) && is_cached(file, last);
    let Some(block) = block(file).filter(|_| !are_cached()) else {
        return Ok(None);
    };
    let before = usize::try_from(start % block as u64).map_err(io::Error::other)?;
    let wanted = before.saturating_add(length);
    let mut buffer: Vec<u8> = Vec::new();
    buffer.try_reserve_exact(wanted.next_multiple_of(block))?;
    if !buffer.as_ptr().addr().is_multiple_of(block) || !buffer.capacity().is_multiple_of(block) {
        return Ok(None);
    }
    let Some(flags) = begin(file)? else {
        return Ok(None);
    };
    let read = loop {
        // What a short read leaves begins within a block, except at the end of the file.
        if buffer.len() >= wanted || !buffer.len().is_multiple_of(block) {
            break Ok(());
        }
        let at = start - before as u64 + buffer.len() as u64;
        match pread(file, spare_capacity(&mut buffer), at) {
            Ok(0) | Err(Errno::INVAL) => break Ok(()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => break Err(error),
        }
    };
    fcntl_setfl(file, flags)?;
    read?;
    if buffer.len() < wanted {
        return Ok(None);
    }
    buffer.truncate(wanted);
    Ok(Some(Bytes::from(buffer).slice(before..)))
}

/// What offsets, lengths and addresses are multiples of, bytes. Linux tells since 6.1 of which files.
fn block(file: &File) -> Option<usize> {
    let told = statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN).ok()?;
    let (memory, offset) = (told.stx_dio_mem_align, told.stx_dio_offset_align);
    let is_told = memory > 0 && offset > 0;
    is_told.then(|| BLOCK.max(memory.max(offset) as usize))
}

/// Whether the page cache has the byte at `at`.
fn is_cached(file: &File, at: u64) -> bool {
    let mut byte = [0];
    let read = preadv2(
        file,
        &mut [IoSliceMut::new(&mut byte)],
        at,
        ReadWriteFlags::NOWAIT,
    );
    read.is_ok()
}

/// Turns the page cache off; gives the flags that turn it on again, `None` where it cannot be turned off.
fn begin(file: &File) -> io::Result<Option<OFlags>> {
    let flags = fcntl_getfl(file)?;
    Ok(fcntl_setfl(file, flags | OFlags::DIRECT)
        .is_ok()
        .then_some(flags))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    /// Bytes whose address is a multiple of [`BLOCK`], after `askew` others.
    fn bytes(length: usize, askew: usize) -> (Vec<u8>, usize) {
        let mut bytes = vec![0; length + 2 * BLOCK];
        let begin = bytes.as_ptr().align_offset(BLOCK) + askew;
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = (i % 251) as u8;
        }
        (bytes, begin)
    }

    #[test]
    fn a_file_holds_what_was_appended_whichever_way_it_went() {
        let folder = tempfile::tempdir_in(".").unwrap();
        let path = folder.path().join("segment");
        let file = File::create_new(&path).unwrap();
        let mut direct = Direct::new(&file);
        let mut expected = Vec::new();
        let pieces = [
            (LEAST, 0),
            (2 * LEAST + 3 * BLOCK, 0),
            // Too short, where a block begins and where none does.
            (BLOCK, 0),
            (77, 0),
            // Long, but within a block.
            (LEAST, 0),
            (BLOCK - 77, 0),
            // At an address that will not do.
            (LEAST, 64),
            // What is left fills no block; nothing after it does.
            (LEAST + 99, 0),
            (LEAST, 0),
        ];
        for (length, askew) in pieces {
            let (bytes, begin) = bytes(length, askew);
            let piece = &bytes[begin..begin + length];
            direct.append(&file, piece).unwrap();
            expected.extend_from_slice(piece);
            assert_eq!(direct.length, expected.len());
        }
        let mut found = Vec::new();
        File::open(&path).unwrap().read_to_end(&mut found).unwrap();
        assert!(found == expected, "{} of {}", found.len(), expected.len());
        let flags = fcntl_getfl(&file).unwrap();
        assert!(!flags.contains(OFlags::DIRECT), "the next may be short");
    }

    #[test]
    fn long_writes_and_reads_leave_the_page_cache_as_it_was_where_the_file_system_can() {
        let folder = tempfile::tempdir_in(".").unwrap();
        let path = folder.path().join("segment");
        let mut direct = Direct::new(&File::create_new(&path).unwrap());
        let is_able = direct.block.is_some();
        let (bytes, begin) = bytes(LEAST + 77, 0);
        let bytes = &bytes[begin..begin + LEAST + 77];
        direct
            .append(&File::options().append(true).open(&path).unwrap(), bytes)
            .unwrap();
        let file = File::open(&path).unwrap();
        assert_eq!(is_cached(&file, 0), !is_able);
        let end = LEAST as u64;
        assert!(is_cached(&file, end), "what fills no block");

        for (start, length) in [
            (0, LEAST),
            (5, 2 * BLOCK),
            (BLOCK as u64 + 1, LEAST - BLOCK + 76),
        ] {
            let expected = &bytes[start as usize..start as usize + length];
            // The allocator of tests may give it no address that will do.
            if let Some(found) = read(&file, start, length).unwrap() {
                assert!(found == expected, "{length} from {start}");
            }
            assert_eq!(is_cached(&file, 0), !is_able);
        }
        let flags = fcntl_getfl(&file).unwrap();
        assert!(!flags.contains(OFlags::DIRECT), "the next may be short");
        assert_eq!(read(&file, end, 77).unwrap(), None, "the page cache has it");
        let beyond = read(&file, 0, 2 * LEAST).unwrap();
        assert_eq!(
            beyond, None,
            "a file that was cut is read again, and said to be so"
        );
    }
}
