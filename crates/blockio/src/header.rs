//! The index-header of a block: built by range reads, kept in the local folder, opened when needed.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use rutile_block::BlockId;
use rutile_disk::{Disk, Durability, NewFile};
use rutile_index::{Header, HeaderPlan, HeaderSections, WHOLE_INDEX_LIMIT, build_header};
use rutile_model::ErrorKind;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::{BlockReader, Error, Result};

/// A header up to this length is read into memory: a mapping would cost more.
const MAPPED_FROM: u64 = 64 * 1024;
/// Sections longer than this are fetched in parts: no request runs into a timeout, and no more lies
/// in memory at a time.
const SECTION_PART: u64 = 4 * 1024 * 1024;

/// How much heap all open headers may take that no request holds. Past it a header is opened for
/// each request anew, so that a bucket of many blocks does not stay in memory because one query
/// touched all of them. A mapped header takes little here: its pages are the kernel's to drop.
#[derive(Debug)]
pub struct HeaderBudget {
    limit: u64,
    used: AtomicU64,
}

impl HeaderBudget {
    /// A budget of `limit` bytes.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self {
            limit,
            used: AtomicU64::new(0),
        }
    }

    fn take(&self, bytes: u64) -> bool {
        let after = self
            .used
            .fetch_add(bytes, Ordering::Relaxed)
            .saturating_add(bytes);
        if after > self.limit {
            self.give_back(bytes);
        }
        after <= self.limit
    }

    fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// A header and the heap that it takes.
#[derive(Debug)]
struct Opened {
    header: Header,
    heap: u64,
}

impl Opened {
    fn new(header: Header, len: u64, mapped: bool) -> Self {
        let resident = header.resident_bytes() as u64;
        Self {
            header,
            heap: if mapped { resident } else { resident + len },
        }
    }
}

/// What building a header begins with.
#[derive(Debug)]
enum Fetched {
    /// All of it: the index was short.
    Header(Bytes),
    /// Where in the index to find it.
    Sections(HeaderSections),
}

/// A header that stays open, and its share of the budget.
#[derive(Debug)]
struct Kept {
    header: Arc<Header>,
    heap: u64,
    budget: Arc<HeaderBudget>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.budget.give_back(self.heap);
    }
}

/// The open header of a block, or none.
#[derive(Debug)]
pub(crate) struct HeaderSlot {
    open: ArcSwapOption<Kept>,
    /// Held while the header is loaded, so that a block is loaded once however many ask.
    loading: Mutex<()>,
    /// Whether the checksums of the header in the local folder were looked at by this process.
    verified: AtomicBool,
    born: Instant,
    /// Milliseconds after `born`.
    last_used: AtomicU64,
}

impl HeaderSlot {
    pub(crate) fn new() -> Self {
        Self {
            open: ArcSwapOption::empty(),
            loading: Mutex::new(()),
            verified: AtomicBool::new(false),
            born: Instant::now(),
            last_used: AtomicU64::new(0),
        }
    }

    fn get(&self) -> Option<Arc<Header>> {
        let kept = self.open.load();
        let header = Arc::clone(&kept.as_ref()?.header);
        let now = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_used.store(now, Ordering::Relaxed);
        Some(header)
    }
}

impl BlockReader {
    /// The header, opened if need be.
    ///
    /// # Errors
    /// What the bucket or the local folder say; `Corrupt` for an index that is damaged.
    pub async fn header(&self) -> Result<Arc<Header>> {
        if let Some(header) = self.header.get() {
            return Ok(header);
        }
        let _loading = self.header.loading.lock().await;
        if let Some(header) = self.header.get() {
            return Ok(header);
        }
        let started = Instant::now();
        // Once: it reads all of the file, and a flipped bit of a symbol shows nowhere else. For a
        // block that does not state the length of its index it also asks the bucket for it.
        let verify = !self.header.verified.load(Ordering::Relaxed);
        let Opened { header, heap } = match self.open_local(verify).await {
            Some(opened) => opened,
            None => self.download().await?,
        };
        self.header.verified.store(true, Ordering::Relaxed);
        let header = Arc::new(header);
        let budget = Arc::clone(&self.env.header_budget);
        if budget.take(heap) {
            let kept = Kept {
                header: Arc::clone(&header),
                heap,
                budget,
            };
            self.header.open.store(Some(Arc::new(kept)));
            let _used_now = self.header.get();
        }
        self.env.observer.header_loaded(started.elapsed());
        Ok(header)
    }

    /// Makes sure that the header is in the local folder, without keeping it open.
    ///
    /// # Errors
    /// As [`BlockReader::header`].
    pub async fn prepare_header(&self) -> Result<()> {
        if self.env.disk.is_none() {
            return self.header().await.map(drop);
        }
        if self.header.get().is_some() || self.open_local(false).await.is_some() {
            return Ok(());
        }
        self.download().await.map(drop)
    }

    /// Closes the header if nobody asked for it for `idle`. Requests that hold it keep it.
    pub fn close_idle_header(&self, idle: std::time::Duration) -> bool {
        let used = self.header.last_used.load(Ordering::Relaxed);
        let now = u64::try_from(self.header.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        let is_idle = u128::from(now.saturating_sub(used)) >= idle.as_millis();
        is_idle && self.header.open.swap(None).is_some()
    }

    /// Opens the header in the local folder. One that is damaged, or that belongs to another index
    /// (the block was replaced under its name), counts as absent and is written again.
    async fn open_local(&self, verify: bool) -> Option<Opened> {
        let disk = Arc::clone(self.env.disk.as_ref()?);
        let (path, sampling) = (self.header_path(), self.env.sampling);
        let opened = self.env.cpu.run(move || {
            let len = disk.stat(&path).ok()??.size;
            let mapped = len > MAPPED_FROM;
            let bytes = if mapped {
                disk.map(&path)
            } else {
                disk.read(&path)
            };
            let header = Header::open_sampled(bytes.ok()?, sampling).ok()?;
            (!verify || header.verify().is_ok()).then(|| Opened::new(header, len, mapped))
        });
        let opened = opened.await?;
        let index_len = match self.index_len {
            // Not told by the metadata: asked for once. Without an answer nothing is certain.
            None if verify => Some(self.bucket_size(&self.index_key()).await.ok()?),
            stated => stated,
        };
        match index_len {
            Some(len) if opened.header.index_len() != len => None,
            _ => Some(opened),
        }
    }

    async fn download(&self) -> Result<Opened> {
        let started = Instant::now();
        let opened = match self.fetch_header().await? {
            Fetched::Header(bytes) => self.keep_header(bytes).await?,
            Fetched::Sections(sections) => self.download_sections(&sections).await?,
        };
        self.env.observer.header_downloaded(started.elapsed());
        Ok(opened)
    }

    /// Puts a header that is at hand into the local folder, and opens it.
    async fn keep_header(&self, bytes: Bytes) -> Result<Opened> {
        let len = bytes.len() as u64;
        let (disk, path, sampling) = (self.env.disk.clone(), self.header_path(), self.env.sampling);
        let id = self.id;
        let opened = self.env.cpu.run(move || {
            let damaged = |source| Error::Index { block: id, source };
            let header = Header::open_sampled(bytes.clone(), sampling).map_err(damaged)?;
            header.verify().map_err(damaged)?;
            if let Some(disk) = disk
                && let Err(error) = disk.write(&path, &bytes, Durability::Cached)
            {
                warn_not_kept(id, &error);
            }
            Ok::<_, Error>(Opened::new(header, len, false))
        });
        let opened = opened.await?;
        if len > MAPPED_FROM
            && let Some(mapped) = self.open_local(false).await
        {
            return Ok(mapped);
        }
        Ok(opened)
    }

    /// Gets the header's sections. A long one goes to the local folder part by part: many large
    /// blocks may be opened at a time, and none of their headers is to lie in memory as a whole.
    async fn download_sections(&self, sections: &HeaderSections) -> Result<Opened> {
        if sections.header_len() > MAPPED_FROM
            && let Some(disk) = self.env.disk.clone()
        {
            match self.stream_sections(&disk, sections).await? {
                Ok(()) => return self.open_streamed(disk).await,
                Err(error) => warn_not_kept(self.id, &error),
            }
        }
        let key = self.index_key();
        let mut header = sections.prefix().to_vec();
        for range in section_parts(sections) {
            header.extend_from_slice(&self.section_part(&key, range).await?);
        }
        header.extend(sections.suffix());
        self.keep_header(header.into()).await
    }

    /// Writes the sections to the local folder. The outer error is the bucket's, the inner one the
    /// folder's.
    async fn stream_sections(
        &self,
        disk: &Arc<dyn Disk>,
        sections: &HeaderSections,
    ) -> Result<rutile_disk::Result<()>> {
        let (key, path, cpu) = (self.index_key(), self.header_path(), &self.env.cpu);
        let mut file = {
            let (disk, path) = (Arc::clone(disk), path.clone());
            let prefix = sections.prefix();
            let created = cpu.run(move || append(disk.create(&path)?, &path, &prefix));
            match created.await {
                Ok(file) => file,
                Err(error) => return Ok(Err(error)),
            }
        };
        for range in section_parts(sections) {
            let part = self.section_part(&key, range).await?;
            let path = path.clone();
            file = match cpu.run(move || append(file, &path, &part)).await {
                Ok(file) => file,
                Err(error) => return Ok(Err(error)),
            };
        }
        let suffix = sections.suffix();
        let finished = cpu.run(move || append(file, &path, &suffix)?.finish(Durability::Cached));
        Ok(finished.await)
    }

    /// Opens what was just written; what is damaged came damaged, and goes again.
    async fn open_streamed(&self, disk: Arc<dyn Disk>) -> Result<Opened> {
        let (id, path, sampling) = (self.id, self.header_path(), self.env.sampling);
        let opened = self.env.cpu.run(move || {
            let bytes = disk.map(&path).map_err(|source| Error::Disk {
                block: id,
                source: Box::new(source),
            })?;
            let len = bytes.len() as u64;
            let header = Header::open_sampled(bytes, sampling)
                .and_then(|header| header.verify().map(|()| header));
            let header = header.map_err(|source| {
                if let Err(error) = disk.remove_tree(&path) {
                    tracing::debug!(block = %id, %error, "a damaged index-header stays in the local folder");
                }
                Error::Index { block: id, source }
            })?;
            Ok(Opened::new(header, len, true))
        });
        opened.await
    }

    async fn fetch_header(&self) -> Result<Fetched> {
        let key = self.index_key();
        let len = match self.index_len {
            Some(len) => len,
            // Most indexes of unknown length are small: reading one costs what asking would.
            None => match self.env.bucket.get(&key, WHOLE_INDEX_LIMIT).await {
                Ok(index) => return self.header_of(&index),
                Err(error) if error.kind() == ErrorKind::Exhausted => {
                    self.bucket_size(&key).await?
                }
                Err(error) => return Err(self.bucket_error(error)),
            },
        };
        let plan = HeaderPlan::new(len).map_err(|source| self.index_error(source))?;
        if plan.is_whole() {
            return self.header_of(&self.one_range(&key, 0..len).await?);
        }
        let probe = plan.probe();
        let probed = self.bucket_ranges(&key, &probe).await?;
        let [first, last] = probed.as_slice() else {
            return Err(self.short_section(0));
        };
        let sections = plan.sections(first, last);
        let sections = sections.map_err(|source| self.index_error(source))?;
        Ok(Fetched::Sections(sections))
    }

    fn header_of(&self, index: &[u8]) -> Result<Fetched> {
        build_header(index)
            .map(|header| Fetched::Header(header.into()))
            .map_err(|source| self.index_error(source))
    }

    /// A part of a section, which the bucket must give as long as was asked for.
    async fn section_part(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        let part = self.one_range(key, range.clone()).await?;
        let end = range.start + part.len() as u64;
        if end == range.end {
            return Ok(part);
        }
        Err(self.short_section(end))
    }

    fn short_section(&self, offset: u64) -> Error {
        let expected = "a section of the index as long as was asked for";
        self.index_error(rutile_index::Error::Corrupt { offset, expected })
    }

    async fn one_range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        let read = self.env.bucket.get_range(key, range).await;
        read.map_err(|source| self.bucket_error(source))
    }

    fn header_path(&self) -> String {
        format!("{}/index-header", self.id)
    }
}

/// The ranges of the index that make up the header, in order, none of them long.
fn section_parts(sections: &HeaderSections) -> impl Iterator<Item = Range<u64>> {
    let cut = |section: Range<u64>| {
        let starts = (section.start..section.end).step_by(SECTION_PART as usize);
        starts.map(move |start| start..section.end.min(start + SECTION_PART))
    };
    cut(sections.symbols()).chain(cut(sections.tail()))
}

fn append(
    mut file: Box<dyn NewFile>,
    path: &str,
    bytes: &[u8],
) -> rutile_disk::Result<Box<dyn NewFile>> {
    file.write_all(bytes)
        .map_err(|source| rutile_disk::Error::io("write", path, source))?;
    Ok(file)
}

/// The header can be used all the same; only the next start misses the file.
fn warn_not_kept(block: BlockId, error: &rutile_disk::Error) {
    tracing::warn!(%block, %error, "the index-header cannot be kept in the local folder");
}
