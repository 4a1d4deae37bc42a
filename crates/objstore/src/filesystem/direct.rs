//! Long reads and writes past the page cache (`O_DIRECT`, open(2)).
//!
//! A compactor reads and writes more than anybody will read again soon. The page cache would copy all of it, take fresh memory
//! for it, which a virtual machine may have to be given first, and give up for it what others read. What it writes it
//! also reads back: that then comes from the disk, not from memory.

use std::fs::File;
use std::io::{self, Write as _};
use std::num::NonZeroU64;

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::fs::{Advice, AtFlags, OFlags, StatxFlags, fadvise, fcntl_getfl, fcntl_setfl, statx};
use rustix::io::{Errno, pread};

use super::cached;

/// Less than this is written through the page cache: to wait for the disk takes longer than to copy so little, bytes.
const LEAST: usize = 1024 * 1024;
/// So much at most waits in the page cache to be written to the disk, bytes: the sync at the end then has little left.
const MOST_UNWRITTEN: usize = 32 * 1024 * 1024;
/// What offsets, lengths and addresses are multiples of at least, bytes: file systems handle parts of it one by one.
const BLOCK: usize = 4096;
/// And at most: so much may a buffer be longer for it.
const LONGEST_BLOCK: usize = 64 * 1024;
/// What the page cache holds or lacks: a part of a page, where pages are longer.
const PAGE: u64 = 4096;

/// How a file is written that only grows.
#[derive(Debug, Default)]
pub(super) struct Growth {
    length: usize,
    /// Bytes in the page cache that nobody has asked the disk to write.
    unwritten: usize,
}

impl Growth {
    /// Appends to the file that has grown so far.
    pub(super) fn append(&mut self, mut file: &File, bytes: &[u8]) -> io::Result<()> {
        let rest = self.past_the_cache(file, bytes)?;
        file.write_all(rest)?;
        self.length += bytes.len();
        self.unwritten += rest.len();
        if self.unwritten >= MOST_UNWRITTEN {
            file.sync_data()?;
            self.unwritten = 0;
        }
        Ok(())
    }

    /// Writes what can be written so; gives what is left.
    fn past_the_cache<'a>(&self, mut file: &File, bytes: &'a [u8]) -> io::Result<&'a [u8]> {
        if bytes.len() < LEAST {
            return Ok(bytes);
        }
        let is_whole = |block: &usize| {
            self.length.is_multiple_of(*block) && bytes.as_ptr().addr().is_multiple_of(*block)
        };
        let Some(block) = block(file).filter(is_whole) else {
            return Ok(bytes);
        };
        let whole = bytes.len() - bytes.len() % block;
        let mut written = 0;
        without_cache(file, || {
            // What follows a short write may begin within a block.
            while written < whole && written.is_multiple_of(block) {
                match file.write(bytes.get(written..whole).unwrap_or_default()) {
                    Ok(0) => break,
                    Ok(more) => written += more,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        })?;
        Ok(bytes.get(written..).unwrap_or_default())
    }
}

/// Reads `length` bytes from `start` on, all of which the file has. `None` where the page cache should be asked: it has
/// them, or nothing else will do.
pub(super) fn read(file: &File, start: u64, length: usize) -> io::Result<Option<Bytes>> {
    let Some(block) = block(file) else {
        return Ok(None);
    };
    // The first byte alone says little: the system reads ahead.
    let last = start + (length as u64).saturating_sub(1);
    let pages = [start, last].map(|at| at - at % PAGE);
    // To be asked for a page makes the system read it: no more than that.
    fadvise(file, 0, None, Advice::Random).ok();
    let missed: Vec<u64> = { pages.into_iter() }
        .filter(|page| !is_cached(file, *page))
        .collect();
    let mut read = Ok(None);
    if !missed.is_empty() {
        read = read_directly(file, start, length, block);
        // *Otherwise:* the next pass would find both, and read all that is between them into the page cache.
        drop_pages(file, &missed);
    }
    fadvise(file, 0, None, Advice::Normal).ok();
    read
}

fn read_directly(
    file: &File,
    start: u64,
    length: usize,
    block: usize,
) -> io::Result<Option<Bytes>> {
    let before = usize::try_from(start % block as u64).map_err(io::Error::other)?;
    let wanted = before.saturating_add(length);
    let mut buffer: Vec<u8> = Vec::new();
    buffer.try_reserve_exact(wanted.next_multiple_of(block))?;
    if !buffer.as_ptr().addr().is_multiple_of(block) || !buffer.capacity().is_multiple_of(block) {
        return Ok(None);
    }
    without_cache(file, || {
        // What a short read leaves begins within a block, except at the end of the file.
        while buffer.len() < wanted && buffer.len().is_multiple_of(block) {
            let at = start - before as u64 + buffer.len() as u64;
            match pread(file, spare_capacity(&mut buffer), at) {
                Ok(0) => break,
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    })?;
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
    let block = BLOCK.max(memory.max(offset) as usize);
    (memory > 0 && offset > 0 && block <= LONGEST_BLOCK).then_some(block)
}

/// Does `work` on the file with its page cache turned off. Does nothing where that cannot be, or ends early where the file
/// system promised too much.
fn without_cache(file: &File, work: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let flags = fcntl_getfl(file)?;
    if fcntl_setfl(file, flags | OFlags::DIRECT).is_err() {
        return Ok(());
    }
    let done = work();
    fcntl_setfl(file, flags)?;
    match done {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        done => done,
    }
}

/// Whether the page cache has a page. If not, it is on its way to it then: a disk that answers at once looks like a cache.
fn is_cached(file: &File, page: u64) -> bool {
    cached::read_exact(file, &mut [0], page).is_ok()
}

/// Takes pages out of the page cache, once they have come. Nothing is wrong if they stay.
fn drop_pages(file: &File, pages: &[u64]) {
    for page in pages {
        pread(file, &mut [0], *page).ok();
        fadvise(file, *page, NonZeroU64::new(PAGE), Advice::DontNeed).ok();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::ops::Range;
    use std::path::Path;

    use super::*;

    /// That of the programs: its long allocations begin with a page.
    #[global_allocator]
    static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

    #[allow(
        non_upper_case_globals,
        unsafe_code,
        reason = "jemalloc reads this symbol"
    )]
    #[unsafe(export_name = "malloc_conf")]
    static malloc_conf: &[u8] = b"cache_oblivious:false\0";

    fn bytes(length: usize) -> Vec<u8> {
        (0..length).map(|i| (i % 251) as u8).collect()
    }

    #[test]
    fn a_file_holds_what_was_appended_whichever_way_it_went() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("segment");
        let file = File::create_new(&path).unwrap();
        let mut growth = Growth::default();
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
            // More than may wait in the page cache.
            (MOST_UNWRITTEN, 1),
            // What is left fills no block; nothing after it does.
            (LEAST + 99, 0),
            (LEAST, 0),
        ];
        for (length, askew) in pieces {
            let bytes = bytes(askew + length);
            growth.append(&file, &bytes[askew..]).unwrap();
            expected.extend_from_slice(&bytes[askew..]);
            assert_eq!(growth.length, expected.len());
            assert!(growth.unwritten < MOST_UNWRITTEN);
        }
        let mut found = Vec::new();
        File::open(&path).unwrap().read_to_end(&mut found).unwrap();
        assert!(found == expected, "{} of {}", found.len(), expected.len());
        let flags = fcntl_getfl(&file).unwrap();
        assert!(!flags.contains(OFlags::DIRECT), "the next may be short");
    }

    /// Writes a file of `bytes` and reads it twice; whether all that was read the second time came past the page cache.
    fn passes_by_twice(path: &Path, bytes: &[u8]) -> bool {
        let mut growth = Growth::default();
        growth
            .append(&File::create_new(path).unwrap(), bytes)
            .unwrap();
        let file = File::open(path).unwrap();
        let waits = if block(&file).is_some() {
            77
        } else {
            bytes.len()
        };
        assert_eq!(growth.unwritten, waits);
        // They meet within a page.
        let ranges = [0..LEAST - 5, LEAST - 5..2 * LEAST - 9, 1..2 * LEAST + 50];
        let pass = || {
            let read = |range: Range<usize>| {
                let found = read(&file, range.start as u64, range.len()).unwrap();
                found.map(|found| assert!(found == bytes[range]))
            };
            ranges.clone().map(read).iter().all(Option::is_some)
        };
        pass();
        let passed = pass();
        let flags = fcntl_getfl(&file).unwrap();
        assert!(!flags.contains(OFlags::DIRECT), "the next may be short");
        let end = 2 * LEAST as u64;
        if is_cached(&file, end) {
            assert_eq!(read(&file, end, 77).unwrap(), None);
        }
        let beyond = read(&file, 0, 3 * LEAST).unwrap();
        assert_eq!(
            beyond, None,
            "a file that was cut is read again, and said to be so"
        );
        passed
    }

    #[test]
    fn long_writes_and_reads_leave_the_page_cache_as_it_was_where_the_file_system_can() {
        let folder = tempfile::tempdir().unwrap();
        // On others, such as tmpfs, all goes through the page cache.
        let is_able = block(&File::create_new(folder.path().join("file")).unwrap()).is_some();
        let bytes = bytes(2 * LEAST + 77);
        // A busy machine may find a page there that was not there when it asked; not each time.
        let passed = (0..20).any(|i| passes_by_twice(&folder.path().join(i.to_string()), &bytes));
        assert_eq!(passed, is_able);
    }
}
