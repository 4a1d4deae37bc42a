//! LabelNames and LabelValues calls on one block.

use std::collections::BTreeSet;
use std::sync::Arc;

use foldhash::{HashSet, HashSetExt};
use rutile_blockio::{Request, Result};
use rutile_index::{Header, SeriesEntry};
use rutile_model::Matcher;

use crate::block::Block;
use crate::series::undecided::{Undecided, value_of};

/// Series that are looked at at a time.
const BATCH: usize = 8192;

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

/// The label names of the series in `block` that match; of all its series without matchers.
/// External labels are not among them; whether any series matched is told.
pub(crate) async fn names(
    block: &Block,
    matchers: &[Matcher],
    between: Between,
    request: &Request,
) -> Result<(BTreeSet<String>, bool)> {
    let header = block.reader.header().await?;
    if matchers.is_empty() {
        return Ok((header.label_names().map(str::to_owned).collect(), true));
    }
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
    let any = any.await?;
    let texts = symbols.into_iter().map(|symbol| text(&header, symbol));
    let names: rutile_index::Result<_> = texts.collect();
    Ok((names.map_err(|source| index_error(block, source))?, any))
}

/// The values of label `name` of the series in `block` that match; of all without matchers.
pub(crate) async fn values(
    block: &Block,
    name: &str,
    matchers: &[Matcher],
    between: Between,
    request: &Request,
) -> Result<BTreeSet<String>> {
    let header = block.reader.header().await?;
    let external = block
        .meta
        .thanos
        .labels
        .get(name)
        .filter(|value| !value.is_empty());
    if matchers.is_empty() {
        let own = header.label_values(name).map(str::to_owned);
        return Ok(own.chain(external.map(str::to_owned)).collect());
    }
    let symbol = header.lookup_symbol(name);
    let mut symbols: HashSet<u32> = HashSet::new();
    let any = each_match(block, &header, matchers, between, request, |entry| {
        symbols.extend(value_of(entry, symbol)?);
        Ok(())
    });
    let any = any.await?;
    if let Some(external) = external {
        return Ok(any.then(|| external.to_owned()).into_iter().collect());
    }
    let texts = symbols.into_iter().map(|symbol| text(&header, symbol));
    let values: rutile_index::Result<_> = texts.collect();
    values.map_err(|source| index_error(block, source))
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

fn text(header: &Header, symbol: u32) -> rutile_index::Result<String> {
    header.symbols().get_str(symbol).map(str::to_owned)
}

fn index_error(block: &Block, source: rutile_index::Error) -> rutile_blockio::Error {
    rutile_blockio::Error::Index {
        block: block.reader.id(),
        source,
    }
}
