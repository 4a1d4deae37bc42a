//! Which series of a block match.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use rutile_index::{
    Header, Postings, PostingsList, PostingsRange, decode_cached, encode_cached, intersect, union,
    without,
};
use rutile_model::Matcher;
use rutile_runtime::Reservation;

use crate::plan::{self, Group};
use crate::{BlockReader, Request, Result, coalesce};

/// A group of lists shorter than this is always read.
const SMALL_GROUP: u64 = 64 * 1024;
/// What looking at a series entry costs, in bytes of postings: about the bytes of the entry.
const SERIES_COST: u64 = 96;
/// Index files longer than this are planned on the CPU pool: matchers may run over many values.
const LONG_INDEX: u64 = 4 * 1024 * 1024;
/// More references than this are merged on the CPU pool.
const MANY_REFS: u64 = 200_000;
/// What a list takes beside its references: its places in the index, in the reads and in memory.
const LIST_BYTES: u64 = 160;

/// The series of a block that match.
#[derive(Debug)]
pub struct Selected {
    /// References in ascending order.
    pub refs: Vec<u32>,
    /// Matchers that the postings did not decide: they are to be applied to the series, and only
    /// then the series count against the limit.
    pub remaining: Vec<Matcher>,
    memory: Reservation,
}

impl Selected {
    fn none(request: &Request) -> Self {
        Self {
            refs: Vec::new(),
            remaining: Vec::new(),
            memory: request.account.empty(),
        }
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.memory.bytes()
    }
}

impl BlockReader {
    /// The series that match all of `matchers`. Without matchers: none, as there.
    ///
    /// # Errors
    /// What the bucket says; limits; `Corrupt` for a damaged index.
    pub async fn select(
        &self,
        header: &Arc<Header>,
        matchers: &[Matcher],
        request: &Request,
    ) -> Result<Selected> {
        if matchers.is_empty() {
            return Ok(Selected::none(request));
        }
        let cache_key = cache_key(matchers);
        if let Some(found) = self.cached_selection(header, &cache_key, request).await? {
            return Ok(found);
        }
        let Some(groups) = self.groups(header, matchers).await? else {
            request.stats.empty_postings.fetch_add(1, Ordering::Relaxed);
            self.store_selection(&cache_key, &[]);
            return Ok(Selected::none(request));
        };
        let (mut groups, remaining) = defer_large(groups, request);
        if !groups.iter().any(|group| group.keep) {
            match self.all_series(header)? {
                Some(all) => groups.insert(0, all),
                None => return Ok(Selected::none(request)),
            }
        }
        let (refs, memory) = self.evaluate(&groups, request).await?;
        if refs.is_empty() {
            request.stats.empty_postings.fetch_add(1, Ordering::Relaxed);
        }
        if remaining.is_empty() {
            self.store_selection(&cache_key, &refs);
        }
        if remaining.is_empty() {
            request.limits.series.take(refs.len() as u64)?;
        }
        Ok(Selected {
            refs,
            remaining,
            memory,
        })
    }

    async fn groups(
        &self,
        header: &Arc<Header>,
        matchers: &[Matcher],
    ) -> Result<Option<Vec<Group>>> {
        let planned = if header.index_len() < LONG_INDEX {
            plan::groups(header, matchers)
        } else {
            let (header, matchers) = (Arc::clone(header), matchers.to_vec());
            self.env
                .cpu
                .run(move || plan::groups(&header, &matchers))
                .await
        };
        planned.map_err(|source| self.index_error(source))
    }

    fn all_series(&self, header: &Header) -> Result<Option<Group>> {
        let range = header
            .all_postings_range()
            .map_err(|source| self.index_error(source))?;
        Ok(range.map(|range| Group {
            name: "".into(),
            keep: true,
            ranges: vec![range],
            values: Some(vec!["".into()]),
            matchers: Vec::new(),
        }))
    }

    /// Reads the lists of all groups at once, and combines them.
    async fn evaluate(
        &self,
        groups: &[Group],
        request: &Request,
    ) -> Result<(Vec<u32>, Reservation)> {
        let series: u64 = groups.iter().map(Group::series).sum();
        // The lists as they are, their union by group, and the result, are held at a time.
        let decoded = 4 * (series + groups.iter().map(Group::series).max().unwrap_or(0));
        let lists: u64 = groups.iter().map(|group| group.ranges.len() as u64).sum();
        let mut memory = request
            .account
            .reserve(decoded + lists * LIST_BYTES)
            .await?;
        let mut lists = Vec::with_capacity(groups.len());
        for group in groups {
            lists.push(self.lists(group, request, &mut memory).await?);
        }
        let keep: Vec<bool> = groups.iter().map(|group| group.keep).collect();
        let refs = if series > MANY_REFS {
            self.env.cpu.run(move || combine(&lists, &keep)).await
        } else {
            combine(&lists, &keep)
        };
        memory.shrink(4 * refs.len() as u64);
        Ok((refs, memory))
    }

    async fn lists(
        &self,
        group: &Group,
        request: &Request,
        memory: &mut Reservation,
    ) -> Result<Vec<PostingsList>> {
        let Some(values) = &group.values else {
            return self.fetch_lists(&group.ranges, request, memory).await;
        };
        let keys: Vec<(&str, &str)> = values
            .iter()
            .map(|value| (&*group.name, &**value))
            .collect();
        let cached = self.cache.postings(self.cache_id, &keys).await;
        // A damaged list is as good as none.
        let parse = |bytes: Bytes| Some((bytes.len(), PostingsList::parse(&bytes).ok()?));
        let cached: Vec<_> = cached
            .into_iter()
            .map(|list| list.and_then(parse))
            .collect();
        let missing: Vec<PostingsRange> = (group.ranges.iter().zip(&cached))
            .filter_map(|(range, list)| list.is_none().then_some(*range))
            .collect();
        let mut fetched = self
            .fetch_lists(&missing, request, memory)
            .await?
            .into_iter();
        let mut lists = Vec::with_capacity(cached.len());
        for (key, list) in keys.iter().zip(cached) {
            let list = match list {
                Some((len, list)) => {
                    request.stats.postings.touch(1, len);
                    request.limits.bytes.take(len as u64)?;
                    list
                }
                None => {
                    let Some(list) = fetched.next() else { break };
                    self.store_list(*key, &list);
                    list
                }
            };
            lists.push(list);
        }
        Ok(lists)
    }

    async fn fetch_lists(
        &self,
        ranges: &[PostingsRange],
        request: &Request,
        memory: &mut Reservation,
    ) -> Result<Vec<PostingsList>> {
        let mut order: Vec<usize> = (0..ranges.len()).collect();
        order.sort_unstable_by_key(|i| ranges.get(*i).map(|range| range.start));
        let sorted: Vec<PostingsRange> = order
            .iter()
            .filter_map(|i| ranges.get(*i))
            .copied()
            .collect();
        // Four bytes more hold the checksum of the list.
        let wanted = sorted
            .iter()
            .map(|range| range.start..range.end.saturating_add(4));
        let parts = coalesce(wanted, self.gap);
        let bytes: u64 = parts
            .iter()
            .map(|part| part.range.end - part.range.start)
            .sum();
        memory.merge(request.admit(bytes).await?);
        let wanted: Vec<_> = parts.iter().map(|part| part.range.clone()).collect();
        let data = self.index_ranges(&wanted).await?;
        request
            .stats
            .postings
            .fetch(ranges.len(), bytes as usize, parts.len());
        let mut lists = vec![PostingsList::default(); ranges.len()];
        for (part, data) in parts.iter().zip(&data) {
            for i in part.elements.clone() {
                let (Some(range), Some(slot)) = (sorted.get(i), order.get(i)) else {
                    continue;
                };
                let start = (range.start - part.range.start) as usize;
                let bytes = data.slice(start.min(data.len())..);
                let list = PostingsList::parse_checked(&bytes)
                    .map_err(|source| self.index_error(source.shifted(range.start)))?;
                if let Some(slot) = lists.get_mut(*slot) {
                    *slot = list;
                }
            }
        }
        Ok(lists)
    }

    fn store_list(&self, key: (&str, &str), list: &PostingsList) {
        let mut bytes = Vec::with_capacity(4 + list.byte_len());
        bytes.extend((list.len() as u32).to_be_bytes());
        for series_ref in list {
            bytes.extend(series_ref.to_be_bytes());
        }
        self.cache.store_postings(self.cache_id, key, bytes.into());
    }

    async fn cached_selection(
        &self,
        header: &Header,
        key: &str,
        request: &Request,
    ) -> Result<Option<Selected>> {
        let Some(bytes) = self.cache.expanded_postings(self.cache_id, key).await else {
            return Ok(None);
        };
        // There is no series outside of the section of series.
        let toc = header.index_toc();
        let most = (toc.postings.saturating_sub(toc.series) / 16) as usize + 1;
        let Ok(refs) = decode_cached(&bytes, most) else {
            return Ok(None); // Somebody else's entry, or damaged: as good as absent.
        };
        request.stats.postings.touch(1, bytes.len());
        let memory = request.admit(4 * refs.len() as u64).await?;
        request.limits.series.take(refs.len() as u64)?;
        Ok(Some(Selected {
            refs,
            remaining: Vec::new(),
            memory,
        }))
    }

    fn store_selection(&self, key: &str, refs: &[u32]) {
        if let Ok(bytes) = encode_cached(refs) {
            self.cache
                .store_expanded_postings(self.cache_id, key, Bytes::from(bytes));
        }
    }
}

/// The matchers of the reference's cache key: sorted by name, value and operator.
fn cache_key(matchers: &[Matcher]) -> String {
    let mut texts: Vec<String> = matchers.iter().map(Matcher::to_string).collect();
    texts.sort_unstable();
    texts.join(";")
}

/// Takes out the groups whose lists cost more to read than the series that they would rule out.
fn defer_large(mut groups: Vec<Group>, request: &Request) -> (Vec<Group>, Vec<Matcher>) {
    let wanted = groups.iter().filter(|group| group.keep);
    let Some(series) = wanted.map(Group::series).min() else {
        return (groups, Vec::new());
    };
    let worth = SMALL_GROUP.max(series.saturating_mul(SERIES_COST));
    let mut remaining = Vec::new();
    groups.retain(|group| {
        let smallest = group.keep && group.series() == series;
        let read = smallest || group.bytes() <= worth;
        if !read {
            remaining.extend(group.matchers.iter().cloned());
            request.stats.lazy_matchers.fetch_add(1, Ordering::Relaxed);
        }
        read
    });
    (groups, remaining)
}

/// What is in all groups that are wanted, and in none of the others.
fn combine(lists: &[Vec<PostingsList>], keep: &[bool]) -> Vec<u32> {
    let (mut wanted, mut unwanted) = (Vec::new(), Vec::new());
    for (lists, keep) in lists.iter().zip(keep) {
        if !keep {
            unwanted.extend(lists);
        } else if let [list] = lists.as_slice() {
            wanted.push(Postings::Raw(list.clone()));
        } else {
            wanted.push(Postings::Decoded(union(lists)));
        }
    }
    let base = match wanted.len() {
        1 => wanted.pop().map(Postings::into_vec).unwrap_or_default(),
        _ => intersect(&wanted),
    };
    if unwanted.is_empty() {
        base
    } else {
        without(&base, &unwanted)
    }
}
