//! Series entries by their references.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use rutile_index::{Header, SeriesEntry, series_len_hint};
use rutile_runtime::Reservation;

use crate::{BlockReader, Error, Request, Result, coalesce};

/// More series than this are a scan: they neither come from the cache nor go into it. A scan would
/// push out what is asked for often, to save what one coalesced read brings back.
const CACHED_SERIES: usize = 1024;

/// The entries of some series, in the order they were asked for.
#[derive(Debug)]
pub struct SeriesEntries {
    parts: Vec<Bytes>,
    entries: Vec<Place>,
    _memory: Reservation,
}

/// Where an entry starts.
#[derive(Debug, Clone, Copy)]
struct Place {
    part: u32,
    start: u32,
}

impl SeriesEntries {
    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The bytes from the start of entry `i` on: the whole entry and what was read behind it.
    #[must_use]
    pub fn get(&self, i: usize) -> &[u8] {
        let place = self.entries.get(i);
        let bytes = place.and_then(|place| {
            self.parts
                .get(place.part as usize)?
                .get(place.start as usize..)
        });
        bytes.unwrap_or_default()
    }
}

impl BlockReader {
    /// Reads the entries of the series `refs`, which are in ascending order (as in postings).
    ///
    /// # Errors
    /// What the bucket says; limits; `Corrupt` for a reference outside the index.
    pub async fn series(
        &self,
        header: &Header,
        refs: &[u32],
        request: &Request,
    ) -> Result<SeriesEntries> {
        if refs.len() > CACHED_SERIES {
            let mut read = self.read_series(header, refs, request).await?;
            self.complete(header, refs, &mut read, request).await?;
            return Ok(read);
        }
        let cached = self.cache.series(self.cache_id, refs).await;
        let missing: Vec<u32> = (refs.iter().zip(&cached))
            .filter_map(|(series_ref, entry)| entry.is_none().then_some(*series_ref))
            .collect();
        let mut read = self.read_series(header, &missing, request).await?;
        self.complete(header, &missing, &mut read, request).await?;
        for (i, series_ref) in missing.iter().enumerate() {
            let bytes = read.get(i);
            // What is damaged is not kept: the next read may bring it whole.
            if let Ok((_, len)) = SeriesEntry::parse_checked(bytes) {
                let entry = Bytes::copy_from_slice(bytes.get(..len).unwrap_or_default());
                self.cache.store_series(self.cache_id, *series_ref, entry);
            }
        }
        if missing.len() < refs.len() {
            self.weave(&cached, &mut read, request)?;
        }
        Ok(read)
    }

    /// Puts the entries that came from the cache into their places.
    fn weave(
        &self,
        cached: &[Option<Bytes>],
        read: &mut SeriesEntries,
        request: &Request,
    ) -> Result<()> {
        let mut fetched = std::mem::take(&mut read.entries).into_iter();
        let mut touched = 0;
        for entry in cached {
            let place = match entry {
                None => fetched.next(),
                Some(entry) => {
                    touched += entry.len();
                    read.parts.push(entry.clone());
                    Some(Place {
                        part: (read.parts.len() - 1) as u32,
                        start: 0,
                    })
                }
            };
            read.entries.extend(place);
        }
        request
            .stats
            .series
            .touch(cached.iter().flatten().count(), touched);
        request.limits.bytes.take(touched as u64)
    }

    async fn read_series(
        &self,
        header: &Header,
        refs: &[u32],
        request: &Request,
    ) -> Result<SeriesEntries> {
        let version = header.index_version();
        let end = header.index_toc().series_section().end;
        let estimate = self.series_estimate.bytes();
        let wanted = refs.iter().map(|series_ref| {
            let start = version.series_offset(*series_ref);
            start..(start + estimate).min(end.max(start + 1))
        });
        let parts = coalesce(wanted, self.gap);
        // An entry ends where the next begins, so the estimate only matters at the end of a part.
        let bytes: u64 = parts
            .iter()
            .map(|part| part.range.end - part.range.start)
            .sum();
        let places = (size_of::<Place>() * refs.len()) as u64;
        let memory = request.admit(bytes + places).await?;
        let ranges: Vec<_> = parts.iter().map(|part| part.range.clone()).collect();
        let data = self.index_ranges(&ranges).await?;
        request
            .stats
            .series
            .fetch(refs.len(), bytes as usize, parts.len());
        let mut entries = Vec::with_capacity(refs.len());
        for (i, part) in parts.iter().enumerate() {
            let refs = refs.get(part.elements.clone()).unwrap_or_default();
            entries.extend(refs.iter().map(|series_ref| Place {
                part: i as u32,
                start: (version.series_offset(*series_ref) - part.range.start) as u32,
            }));
        }
        Ok(SeriesEntries {
            parts: data,
            entries,
            _memory: memory,
        })
    }

    /// Reads again, in their full length, the entries that the estimate cut off.
    async fn complete(
        &self,
        header: &Header,
        refs: &[u32],
        read: &mut SeriesEntries,
        request: &Request,
    ) -> Result<()> {
        let version = header.index_version();
        let end = header.index_toc().series_section().end;
        let mut short = Vec::new();
        let mut ranges = Vec::new();
        for (i, series_ref) in refs.iter().enumerate() {
            let bytes = read.get(i);
            let start = version.series_offset(*series_ref);
            // Ten bytes always hold the length; fewer are there only at the end of the index.
            let len = series_len_hint(bytes).filter(|len| start.saturating_add(*len) <= end);
            let len = len.ok_or_else(|| {
                self.corrupt_index(
                    start,
                    "a series entry (the postings point outside of the series)",
                )
            })?;
            if len > bytes.len() as u64 {
                self.series_estimate.learn(len);
                short.push(i);
                ranges.push(start..start + len);
            }
        }
        if short.is_empty() {
            return Ok(());
        }
        let bytes: u64 = ranges.iter().map(|range| range.end - range.start).sum();
        let memory = request.admit(bytes).await?;
        let data = self.index_ranges(&ranges).await?;
        request
            .stats
            .series_refetches
            .fetch_add(1, Ordering::Relaxed);
        request
            .stats
            .series
            .fetch(short.len(), bytes as usize, ranges.len());
        read._memory.merge(memory);
        for ((i, entry), range) in short.into_iter().zip(data).zip(ranges) {
            if (entry.len() as u64) < range.end - range.start {
                return Err(
                    self.corrupt_index(range.start, "a series entry that ends in the index")
                );
            }
            read.parts.push(entry);
            let part = (read.parts.len() - 1) as u32;
            if let Some(place) = read.entries.get_mut(i) {
                *place = Place { part, start: 0 };
            }
        }
        Ok(())
    }

    fn corrupt_index(&self, offset: u64, expected: &'static str) -> Error {
        let source = rutile_index::Error::Corrupt { offset, expected };
        Error::Index {
            block: self.id,
            source,
        }
    }
}
