//! LabelNames and LabelValues calls on one block.

use std::collections::BTreeSet;
use std::sync::Arc;

use foldhash::{HashSet, HashSetExt};
use futures::{StreamExt, TryStreamExt, stream};
use rutile_blockio::{Request, Result};
use rutile_index::{Header, SeriesEntry};
use rutile_model::{ErrorKind, Matcher};
use rutile_runtime::{Reservation, Task};

use crate::block::Block;
use crate::series::undecided::{Undecided, value_of};

/// Series that are looked at at a time.
const BATCH: usize = 8192;
/// Blocks that a call reads at a time.
const CONCURRENCY: usize = 32;
/// What a string takes in a set beside its bytes: its allocation and its place.
const TEXT_OVERHEAD: u64 = 48;

/// The inclusive time range that a series must have chunks in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Between {
    pub(crate) min_time: i64,
    pub(crate) max_time: i64,
}

impl Between {
    fn has_chunks_of(&self, entry: &SeriesEntry<'_>) -> rutile_index::Result<bool> {
        for chunk in entry.chunks() {
            let chunk = chunk?;
            if chunk.min_time > self.max_time {
                return Ok(false);
            }
            if chunk.max_time >= self.min_time {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Label names or values that were found, and the memory that they take.
#[derive(Debug)]
pub(crate) struct Found {
    texts: BTreeSet<String>,
    memory: Reservation,
}

impl Found {
    fn new(request: &Request) -> Self {
        Self {
            texts: BTreeSet::new(),
            memory: request.account.empty(),
        }
    }

    fn insert(&mut self, text: &str) -> Result<()> {
        self.memory.grow(weight(text))?;
        self.texts.insert(text.to_owned());
        Ok(())
    }

    fn append(&mut self, mut other: Self) {
        let is_first = self.texts.is_empty();
        self.texts.append(&mut other.texts);
        self.memory.merge(other.memory);
        if !is_first {
            self.memory
                .shrink(self.texts.iter().map(|text| weight(text)).sum());
        }
    }
}

fn weight(text: &str) -> u64 {
    text.len() as u64 + TEXT_OVERHEAD
}

/// What all blocks found, sorted, at most `limit` of it (0: all).
pub(crate) async fn union(
    reads: impl Iterator<Item = Task<Result<Found>>> + Send,
    request: &Request,
    limit: i64,
) -> rutile_storeapi::Result<Vec<String>> {
    let found = stream::iter(reads.map(|read| async {
        let found = read.await.map_err(|error| {
            let message = format!("a task that read a block ended: {error}");
            rutile_storeapi::Error::new(ErrorKind::Internal, message)
        })?;
        found.map_err(|error| rutile_storeapi::Error::from(crate::Error::from(error)))
    }));
    let all = found
        .buffered(CONCURRENCY)
        .try_fold(Found::new(request), |mut all, found| {
            all.append(found);
            std::future::ready(Ok(all))
        });
    let texts = all.await?.texts;
    let limit = usize::try_from(limit).ok().filter(|limit| *limit > 0);
    Ok(texts
        .into_iter()
        .take(limit.unwrap_or(usize::MAX))
        .collect())
}

/// The label names of the series in `block` that match, those in `drop` aside; of all its series
/// without matchers. If any series matched, external labels are among them.
pub(crate) async fn names(
    block: &Block,
    matchers: &[Matcher],
    drop: &[String],
    between: Between,
    request: &Request,
) -> Result<Found> {
    let header = block.reader.header().await?;
    let mut found = Found::new(request);
    let is_dropped = |name: &str| drop.iter().any(|dropped| dropped == name);
    if matchers.is_empty() {
        // Only external labels are replica labels as long as no series is looked at.
        header
            .label_names()
            .try_for_each(|name| found.insert(name))?;
    } else {
        let mut symbols: Vec<u32> = Vec::new();
        let any = each_match(block, &header, matchers, between, request, |entry| {
            for (i, label) in entry.labels().enumerate() {
                let (name, _) = label?;
                // Series have much the same names in the same order.
                if symbols.get(i) != Some(&name) && !symbols.contains(&name) {
                    symbols.push(name);
                }
            }
            Ok(())
        });
        if !any.await? {
            return Ok(found);
        }
        for symbol in symbols {
            let name = text(block, &header, symbol)?;
            if !is_dropped(name) {
                found.insert(name)?;
            }
        }
    }
    for (name, _) in block.meta.thanos.labels.iter() {
        if !is_dropped(name) {
            found.insert(name)?;
        }
    }
    Ok(found)
}

/// The values of label `name` of the series in `block` that match; of all without matchers.
pub(crate) async fn values(
    block: &Block,
    name: &str,
    matchers: &[Matcher],
    between: Between,
    request: &Request,
) -> Result<Found> {
    let header = block.reader.header().await?;
    let mut found = Found::new(request);
    let external = block.meta.thanos.labels.get(name);
    let external = external.filter(|value| !value.is_empty());
    if matchers.is_empty() {
        header
            .label_values(name)
            .chain(external)
            .try_for_each(|value| found.insert(value))?;
        return Ok(found);
    }
    let symbol = header.lookup_symbol(name);
    let mut symbols: HashSet<u32> = HashSet::new();
    let any = each_match(block, &header, matchers, between, request, |entry| {
        symbols.extend(value_of(entry, symbol)?);
        Ok(())
    });
    let any = any.await?;
    if let Some(external) = external {
        if any {
            found.insert(external)?;
        }
        return Ok(found);
    }
    for symbol in symbols {
        found.insert(text(block, &header, symbol)?)?;
    }
    Ok(found)
}

/// Calls `found` for every series that matches; whether there was any.
async fn each_match(
    block: &Block,
    header: &Arc<Header>,
    matchers: &[Matcher],
    between: Between,
    request: &Request,
    mut found: impl FnMut(&SeriesEntry<'_>) -> rutile_index::Result<()> + Send,
) -> Result<bool> {
    let selected = block.reader.select(header, matchers, request).await?;
    let mut undecided = Undecided::new(Arc::clone(header), &selected.remaining);
    let mut any = false;
    for refs in selected.refs.chunks(BATCH) {
        let entries = block.reader.series(header, refs, request).await?;
        let mut found_here = 0;
        let mut look = |i: usize| -> rutile_index::Result<()> {
            let (entry, _) = SeriesEntry::parse_checked(entries.get(i))?;
            if undecided.accept(&entry)? && between.has_chunks_of(&entry)? {
                found_here += 1;
                found(&entry)?;
            }
            Ok(())
        };
        for (i, series_ref) in refs.iter().enumerate() {
            let start = header.index_version().series_offset(*series_ref);
            look(i).map_err(|source| index_error(block, source.shifted(start)))?;
        }
        any |= found_here > 0;
        if !selected.remaining.is_empty() {
            request.limits.series.take(found_here)?;
        }
    }
    Ok(any)
}

fn text<'a>(block: &Block, header: &'a Header, symbol: u32) -> Result<&'a str> {
    let text = header.symbols().get_str(symbol);
    text.map_err(|source| index_error(block, source))
}

fn index_error(block: &Block, source: rutile_index::Error) -> rutile_blockio::Error {
    rutile_blockio::Error::Index {
        block: block.reader.id(),
        source,
    }
}
