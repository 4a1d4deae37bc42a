//! The second pass: series in the order of the output, with their new labels.

use std::ops::Range;
use std::sync::Arc;

use super::mend;
use super::table::{Row, Table};
use crate::batch::{Entries, Series};
use crate::digest;
use crate::entries::Decoder;
use crate::error::{Reason, Result};
use crate::input::Input;
use crate::source::{self, Settings, Source};
use crate::symbols::{Symbol, SymbolMap};

/// Series entries that are read at a time, bytes.
const WINDOW: u64 = 256 << 10;
/// Entries in between that are read though nobody wants them, bytes: cheaper than another request.
const MAX_GAP: u64 = 64 << 10;

/// A lane of a table as a source of batches.
pub(crate) fn start(
    input: &Arc<Input>,
    map: &Arc<SymbolMap>,
    table: &Arc<Table>,
    lane: usize,
    settings: &Settings,
) -> Source {
    let (sender, decoded) = source::queue();
    let name = format!("decode {}", input.id);
    let lane = Lane {
        input: Arc::clone(input),
        map: Arc::clone(map),
        table: Arc::clone(table),
        lane,
        target: settings.batch,
    };
    let (pool, progress, count) = (
        settings.pool.clone(),
        Arc::clone(&settings.progress),
        settings.count,
    );
    let decode = async move {
        let mut at = 0;
        while let Some(run) = lane.run_at(at) {
            at = run.rows.end;
            let read = lane.input.index_range(run.bytes.clone()).await;
            let counted = read.inspect(|bytes| count(&progress, bytes.len() as u64));
            let lane = lane.clone();
            let batches = match counted {
                Ok(bytes) => pool.run(move || lane.decode(&run, &bytes)).await,
                Err(error) => Err(error),
            };
            let batches = match batches {
                Ok(batches) => batches.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            };
            for entries in batches {
                let failed = entries.is_err();
                if sender.send(entries).await.is_err() || failed {
                    return;
                }
            }
        }
    };
    let decoding = settings.spawner.spawn(name, decode).abort_on_drop();
    Source::of_entries(Arc::clone(input), decoding, decoded, settings)
}

#[derive(Debug, Clone)]
struct Lane {
    input: Arc<Input>,
    map: Arc<SymbolMap>,
    table: Arc<Table>,
    lane: usize,
    /// Bytes of the chunks of a batch.
    target: u64,
}

/// Rows whose entries lie in the index in this order, not far from each other.
#[derive(Debug, Clone)]
struct Run {
    rows: Range<usize>,
    bytes: Range<u64>,
}

impl Lane {
    fn rows(&self) -> &[Row] {
        self.table.lanes.get(self.lane).map_or(&[], Vec::as_slice)
    }

    /// The longest run from a row on.
    fn run_at(&self, at: usize) -> Option<Run> {
        let rows = self.rows();
        let mut bytes = self.bytes_of(rows.get(at)?);
        let mut end = at + 1;
        while let Some(next) = rows.get(end).map(|row| self.bytes_of(row))
            && (bytes.end..=bytes.end + MAX_GAP).contains(&next.start)
            && next.end - bytes.start <= WINDOW
        {
            bytes.end = next.end;
            end += 1;
        }
        let rows = at..end;
        Some(Run { rows, bytes })
    }

    fn bytes_of(&self, row: &Row) -> Range<u64> {
        let align = self.input.version.series_align();
        let end = (u64::from(row.next) * align).min(self.input.toc.series_section().end);
        u64::from(row.reference) * align..end
    }

    fn decode(&self, run: &Run, bytes: &[u8]) -> Result<Vec<Entries>> {
        let (input, map) = (Arc::clone(&self.input), Arc::clone(&self.map));
        let mut decoder = Decoder::new(input, map, self.target, false, run.bytes.clone());
        let mut batches = decoder.feed(bytes)?;
        batches.push(decoder.finish()?);
        let mut rows = self.rows().get(run.rows.clone()).unwrap_or_default();
        let batches: Vec<Entries> = batches
            .into_iter()
            .map(|entries| self.relabelled(entries, &mut rows))
            .filter(|entries| !entries.series.is_empty())
            .collect();
        match rows {
            [] => Ok(batches),
            _ => {
                let message = "its series are not where they were a moment ago";
                Err(self.input.fault(Reason::IndexCorrupt, message))
            }
        }
    }

    /// Of these series those that are the next `rows`, with their new labels.
    fn relabelled(&self, entries: Entries, rows: &mut &[Row]) -> Entries {
        let mut out = Entries {
            next_ref: entries.next_ref,
            ..Entries::default()
        };
        let mut start = 0;
        for series in &entries.series {
            let places = start..series.chunks_end as usize;
            start = places.end;
            let Some((row, rest)) = rows.split_first() else {
                break;
            };
            if row.reference != series.reference {
                continue;
            }
            *rows = rest;
            let labels = self.table.labels_of(row);
            out.labels.extend_from_slice(labels);
            let places = entries.places.get(places).unwrap_or_default();
            if self.input.mends {
                let layers = mend::layers(places, &self.input.times());
                out.places
                    .extend(layers.get(row.layer as usize).into_iter().flatten());
            } else {
                out.places.extend_from_slice(places);
            }
            let symbol = |reference: u32| self.symbol(reference);
            let fold = |state, &(name, value)| digest::label(state, symbol(name), symbol(value));
            out.series.push(Series {
                labels_end: u32::try_from(out.labels.len()).unwrap_or(u32::MAX),
                chunks_end: u32::try_from(out.places.len()).unwrap_or(u32::MAX),
                reference: series.reference,
                labels_digest: labels.iter().fold(0, fold),
            });
        }
        out
    }

    fn symbol(&self, reference: u32) -> Symbol {
        let symbol = self.table.symbols.get(reference as usize);
        symbol.copied().unwrap_or_default()
    }
}
