//! Series for the engine: from the stores behind the fan-out.
//!
//! A select is one Series call. Its answer is handed on in small parts, as the engine takes them: what is not taken
//! stays with the stores, but for what the fan-out reads ahead. Chunks are decoded only when the engine asks, on the
//! thread that needs them. Their memory is reserved in the query's account, each series by itself, and given back
//! when the engine drops the series. Dropping the stream cancels the call. Selects that the engine announces are called
//! for before it asks for them.

mod ahead;
mod decode;
mod series;
mod take;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures::{FutureExt, StreamExt, stream};
use parking_lot::Mutex;
use rutile_dedup::{Function, is_counter_function};
use rutile_fanout::Fanout;
use rutile_model::{ErrorKind, Matcher};
use rutile_promql::{Select, Selected, SelectedStream, Source, SourceError};
use rutile_proto::thanos::{
    Aggr, Func, PartialResponseStrategy, QueryHints, Range, SeriesRequest, ShardInfo,
};
use rutile_runtime::{Account, Exhausted, Reservation};
use rutile_storeapi::{Item, ItemStream, RequestContext, Series};
use rutile_telemetry::span;
use rutile_telemetry::spans::{Instrument as _, Span};

use crate::gate::{Gate, Turn};
use crate::matchers::to_wire;
use ahead::{AHEAD_BYTES, Ahead, Open, Place};
use series::{ChunkSeries, Reading};
use take::{Take, max_resolution_ms};

pub(crate) use ahead::Places;

/// Series in a frame of a store's answer, as Thanos asks for.
pub(crate) const BATCH_SIZE: i64 = 64;
/// Series that are handed on at a time, at most.
const PART_SERIES: usize = 64;
/// About the bytes that are handed on at a time: those of the last series may be more.
const PART_BYTES: u64 = 1024 * 1024;

/// What a request says about how series are selected.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Labels that tell replicas apart; empty: no deduplication.
    pub replica_labels: Vec<String>,
    /// Sets of matchers, one of which must match a store (`storeMatch[]`); empty: all stores.
    pub store_matchers: Vec<Vec<Matcher>>,
    /// The coarsest resolution that the answer may have, ms.
    pub max_resolution_ms: i64,
    /// Whether the answer of some stores is better than none.
    pub partial_response: bool,
    /// The part of all series that is wanted.
    pub shard: Option<ShardInfo>,
}

/// The series of all stores, for one query.
#[derive(Debug)]
pub(crate) struct StoreSource {
    pub(crate) fanout: Arc<Fanout>,
    pub(crate) context: RequestContext,
    pub(crate) selection: Selection,
    pub(crate) dedup: Function,
    /// Of this query alone.
    pub(crate) gate: Gate,
    pub(crate) account: Account,
    pub(crate) figures: Arc<Figures>,
    pub(crate) ahead: Mutex<Ahead>,
    /// Of all queries.
    pub(crate) places: Places,
}

/// What was selected so far.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) series: AtomicU64,
    pub(crate) chunks: AtomicU64,
    pub(crate) samples: AtomicU64,
}

impl Figures {
    fn count(&self, series: &Series) {
        let raw_or_count = series
            .chunks
            .iter()
            .filter_map(|chunk| chunk.part(Aggr::Raw).or_else(|| chunk.part(Aggr::Count)));
        let samples = raw_or_count.filter_map(|part| part.data.first_chunk());
        let samples: u64 = samples
            .map(|count| u64::from(u16::from_be_bytes(*count)))
            .sum();
        self.series.fetch_add(1, Ordering::Relaxed);
        self.chunks
            .fetch_add(series.chunks.len() as u64, Ordering::Relaxed);
        self.samples.fetch_add(samples, Ordering::Relaxed);
    }
}

impl StoreSource {
    fn request(&self, select: &Select) -> SeriesRequest {
        let Selection {
            replica_labels,
            store_matchers: _,
            max_resolution_ms: max_ms,
            partial_response,
            shard,
        } = &self.selection;
        SeriesRequest {
            min_time: select.min_time,
            max_time: select.max_time,
            matchers: to_wire(&select.matchers),
            max_resolution_window: max_resolution_ms(*max_ms, select.range_ms, select.function),
            aggregates: Take::of(select.function).aggregates(),
            partial_response_strategy: strategy(*partial_response),
            query_hints: Some(QueryHints {
                step_millis: select.step_ms,
                func: select.function.map(|name| Func {
                    name: name.to_owned(),
                }),
                range: (select.range_ms > 0).then_some(Range {
                    millis: select.range_ms,
                }),
                ..QueryHints::default()
            }),
            shard_info: shard.clone(),
            without_replica_labels: replica_labels.clone(),
            response_batch_size: BATCH_SIZE,
            ..SeriesRequest::default()
        }
    }
}

/// What a failing store means, as the wire has it.
pub(crate) fn strategy(partial_response: bool) -> i32 {
    if partial_response {
        PartialResponseStrategy::Warn.into()
    } else {
        PartialResponseStrategy::Abort.into()
    }
}

#[async_trait]
impl Source for StoreSource {
    async fn select(&self, select: &Select) -> Result<SelectedStream, SourceError> {
        let opened = self.ahead.lock().take(select);
        let opened = match opened {
            Some(opened) => opened,
            None => self.open(select).await.map_err(|error| failed(&error))?,
        };
        self.open_ahead();
        let is_dedup = !self.selection.replica_labels.is_empty();
        let reading = Reading {
            take: Take::of(select.function),
            dedup: is_dedup.then_some(self.dedup),
            counter: select.function.is_some_and(is_counter_function),
            min_time: select.min_time,
            max_time: select.max_time,
        };
        let parts = Parts {
            items: opened.items.fuse(),
            reading: Arc::new(reading),
            account: self.account.clone(),
            figures: Arc::clone(&self.figures),
            _room: opened.place.map(Place::into_room),
            span: opened.span,
            _turn: opened.turn,
        };
        Ok(stream::try_unfold(parts, Parts::next_in_span).boxed())
    }

    fn announce(&self, selects: Vec<Select>) {
        self.ahead.lock().announce(selects);
        self.open_ahead();
    }
}

impl StoreSource {
    /// Opens what is asked for now.
    async fn open(&self, select: &Select) -> rutile_storeapi::Result<Open> {
        let turn = self.gate.turn().await?;
        let span = span_of(select);
        let open = || {
            self.fanout.matching_series(
                &self.context,
                self.request(select),
                select.matchers.clone(),
                &self.selection.store_matchers,
            )
        };
        Ok(Open {
            items: span.in_scope(open)?,
            turn,
            place: None,
            span,
        })
    }

    /// Opens what will be asked for, as far as there is room. What cannot be opened fails when it is asked for.
    fn open_ahead(&self) {
        self.ahead.lock().go_on(|select| {
            let place = self.places.take(&self.account)?;
            let turn = self.gate.try_turn()?;
            let span = span_of(select);
            let open = || {
                self.fanout.series_ahead(
                    &self.context,
                    self.request(select),
                    select.matchers.clone(),
                    &self.selection.store_matchers,
                    AHEAD_BYTES,
                )
            };
            Some(Open {
                items: span.in_scope(open).ok()?,
                turn,
                place: Some(place),
                span,
            })
        });
    }
}

/// The rest of an answer.
struct Parts {
    items: stream::Fuse<ItemStream>,
    reading: Arc<Reading>,
    account: Account,
    figures: Arc<Figures>,
    /// Of what is read ahead.
    _room: Option<Reservation>,
    span: Span,
    _turn: Turn,
}

/// What goes into a part.
#[derive(Default)]
struct Gathered {
    series: Vec<(Series, u64)>,
    bytes: u64,
    warnings: Vec<String>,
}

impl Gathered {
    fn is_full(&self) -> bool {
        self.series.len() >= PART_SERIES || self.bytes >= PART_BYTES
    }

    fn take(&mut self, item: Item) {
        match item {
            Item::Series(series) => self.add(series),
            Item::Warning(warning) => self.warnings.push(warning),
            Item::Hints(_) => {}
        }
    }

    fn add(&mut self, series: Series) {
        let bytes = series.bytes() as u64;
        self.bytes += bytes;
        self.series.push((series, bytes));
    }
}

impl Parts {
    async fn next_in_span(self) -> Result<Option<(Selected, Self)>, SourceError> {
        let span = self.span.clone();
        self.next().instrument(span).await
    }

    async fn next(mut self) -> Result<Option<(Selected, Self)>, SourceError> {
        let mut next = self.items.next().await;
        if next.is_none() {
            return Ok(None);
        }
        let mut gathered = Gathered::default();
        while let Some(item) = next {
            gathered.take(item.map_err(|error| failed(&error))?);
            if gathered.is_full() {
                break;
            }
            // What is there already; nothing waits for more.
            next = self.items.next().now_or_never().flatten();
        }
        let memory = self.account.reserve(gathered.bytes).await;
        let memory = memory.map_err(|error| exhausted(&error))?;
        Ok(Some((self.selected(gathered, memory), self)))
    }

    fn selected(&self, gathered: Gathered, mut memory: Reservation) -> Selected {
        let series = gathered.series.into_iter().map(|(series, bytes)| {
            self.figures.count(&series);
            let reading = Arc::clone(&self.reading);
            Arc::new(ChunkSeries::new(series, reading, memory.split(bytes))) as _
        });
        Selected {
            series: series.collect(),
            warnings: gathered.warnings,
        }
    }
}

/// The span of a select, until its series are read.
fn span_of(select: &Select) -> Span {
    let matchers = || {
        let each = select.matchers.iter().map(Matcher::to_string);
        each.collect::<Vec<_>>().join(",")
    };
    span!(
        "querier_select",
        matchers = matchers(),
        min_time = select.min_time,
        max_time = select.max_time,
    )
}

fn failed(error: &rutile_storeapi::Error) -> SourceError {
    SourceError {
        kind: error.kind(),
        message: format!("expanding series: {error}"),
    }
}

fn exhausted(error: &Exhausted) -> SourceError {
    SourceError {
        kind: ErrorKind::Exhausted,
        message: format!("expanding series: {error}"),
    }
}
