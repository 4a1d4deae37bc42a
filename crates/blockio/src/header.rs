//! The index-header of a block: built by range reads, kept in the local folder, opened when needed.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use rutile_disk::Durability;
use rutile_index::{Header, HeaderPlan, HeaderSections, WHOLE_INDEX_LIMIT, build_header};
use rutile_model::ErrorKind;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::{BlockReader, Error, Result};

/// A header up to this length is read into memory: a mapping would cost more.
const MAPPED_FROM: u64 = 64 * 1024;
/// Sections longer than this are fetched in parts, so that no request runs into a timeout.
const SECTION_PART: u64 = 16 * 1024 * 1024;

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
        let bytes = self.fetch_header().await?;
        let len = bytes.len() as u64;
        let (disk, path, sampling) = (self.env.disk.clone(), self.header_path(), self.env.sampling);
        let id = self.id;
        let opened = self.env.cpu.run(move || {
            let damaged = |source| Error::Index { block: id, source };
            let header = Header::open_sampled(bytes.clone(), sampling).map_err(damaged)?;
            header.verify().map_err(damaged)?;
            if let Some(disk) = disk {
                let written = disk.write(&path, &bytes, Durability::Cached);
                if let Err(error) = written {
                    // The header is at hand; only the next start will miss the file.
                    tracing::warn!(block = %id, %error, "the index-header cannot be kept in the local folder");
                }
            }
            Ok::<_, Error>(Opened::new(header, len, false))
        });
        let opened = opened.await?;
        self.env.observer.header_downloaded(started.elapsed());
        if len > MAPPED_FROM
            && let Some(mapped) = self.open_local(false).await
        {
            return Ok(mapped);
        }
        Ok(opened)
    }

    async fn fetch_header(&self) -> Result<Bytes> {
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
            return Err(self.index_error(rutile_index::Error::Corrupt {
                offset: 0,
                expected: "the first and the last bytes of the index",
            }));
        };
        let sections = plan
            .sections(first, last)
            .map_err(|source| self.index_error(source))?;
        self.fetch_sections(&key, &sections).await
    }

    fn header_of(&self, index: &[u8]) -> Result<Bytes> {
        build_header(index)
            .map(Bytes::from)
            .map_err(|source| self.index_error(source))
    }

    async fn fetch_sections(&self, key: &str, sections: &HeaderSections) -> Result<Bytes> {
        let symbols = self.fetch_section(key, sections.symbols()).await?;
        let tail = self.fetch_section(key, sections.tail()).await?;
        let header = sections
            .assemble(&symbols, &tail)
            .map_err(|e| self.index_error(e))?;
        Ok(header.into())
    }

    async fn fetch_section(&self, key: &str, range: Range<u64>) -> Result<Vec<u8>> {
        let parts: Vec<_> = (range.start..range.end)
            .step_by(SECTION_PART as usize)
            .map(|start| start..range.end.min(start + SECTION_PART))
            .collect();
        Ok(self.bucket_ranges(key, &parts).await?.concat())
    }

    async fn one_range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        let read = self.env.bucket.get_range(key, range).await;
        read.map_err(|source| self.bucket_error(source))
    }

    fn header_path(&self) -> String {
        format!("{}/index-header", self.id)
    }
}
