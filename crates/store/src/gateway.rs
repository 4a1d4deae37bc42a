//! The StoreAPI over the blocks that are served.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use futures::{StreamExt, stream};
use prost::Message;
use rutile_block::{BlockId, Contract, Meta};
use rutile_blockio::{Limiter, Limits, Request, Stats};
use rutile_fetcher::View;
use rutile_model::{ErrorKind, Matcher, TimeOrDuration};
use rutile_proto::hintspb;
use rutile_proto::thanos::info::InfoResponse;
use rutile_proto::thanos::{
    LabelMatcher, LabelNamesRequest, LabelNamesResponse, LabelValuesRequest, LabelValuesResponse,
    SeriesRequest,
};
use rutile_runtime::{Clock, CpuPool, Ledger, Moment, Spawner, Task};
use rutile_storeapi::{
    Error, Frames, RequestContext, Result, SeriesStream, StoreApi, compile_matchers_apart,
};
use rutile_telemetry::span;
use rutile_telemetry::spans::{Instrument as _, Span};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::block::{Block, BlockSet, series_matchers};
use crate::gate::{Gate, Turn};
use crate::info;
use crate::labels::{self, Between};
use crate::metrics::Metrics;
use crate::series::{SeriesCall, Target};

/// Frames that wait for the client, in hand-overs of about 128 KiB.
const WAITING_FRAMES: usize = 4;
/// Memory that the frames of a call take: written, waiting and being sent.
const FRAMES_BYTES: u64 = 1024 * 1024;
/// A sample limit is kept by counting chunks, which hold at most this many samples.
const SAMPLES_PER_CHUNK: u64 = 120;

/// The limits of every call; 0 is no limit.
#[derive(Debug, Clone, Copy, Default)]
pub struct CallLimits {
    /// Series of a call, over all blocks.
    pub series: u64,
    /// Samples of a call, counted as chunks of 120.
    pub samples: u64,
    /// Bytes read by a call.
    pub bytes: u64,
}

/// The settings of a [`Gateway`].
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// The limits of every call.
    pub limits: CallLimits,
    /// Series calls that run at a time, and label calls beside them; 0: all.
    pub max_concurrency: usize,
    /// Series that are decoded at a time in each block.
    pub series_batch: usize,
    /// The time that is served, inclusive.
    pub min_time: TimeOrDuration,
    /// The time that is served, inclusive.
    pub max_time: TimeOrDuration,
    /// The delays that readers keep to.
    pub contract: Contract,
}

/// What is served at one moment.
#[derive(Debug, Default)]
pub(crate) struct Serving {
    pub(crate) set: BlockSet,
    /// The view of the bucket that the set was made from; none before the first sync.
    pub(crate) view: Option<Arc<View>>,
    /// Blocks that are not served, and of which answers must say so: what replaces them could not be read yet.
    pub(crate) lacking: BTreeMap<BlockId, Arc<Meta>>,
    /// What answers must say.
    pub(crate) warnings: Vec<String>,
}

/// Answers StoreAPI calls from the blocks that the last sync loaded.
#[derive(Debug)]
pub struct Gateway {
    pub(crate) serving: Arc<ArcSwap<Serving>>,
    config: GatewayConfig,
    gate: Gate,
    label_gate: Gate,
    metrics: Arc<Metrics>,
    ledger: Ledger,
    /// Where matchers are compiled.
    cpu: CpuPool,
    clock: Arc<dyn Clock>,
    tasks: Spawner,
}

impl Gateway {
    pub(crate) fn new(
        serving: Arc<ArcSwap<Serving>>,
        config: GatewayConfig,
        metrics: Arc<Metrics>,
        ledger: Ledger,
        cpu: CpuPool,
        clock: Arc<dyn Clock>,
        tasks: Spawner,
    ) -> Self {
        let gate = Gate::new(config.max_concurrency, Some(Arc::clone(&metrics)));
        let label_gate = Gate::new(config.max_concurrency, None);
        Self {
            serving,
            config,
            gate,
            label_gate,
            metrics,
            ledger,
            cpu,
            clock,
            tasks,
        }
    }

    /// What is served now, unless it is too old to be relied on (BC-17).
    fn pin(&self) -> Result<Arc<Serving>> {
        let serving = self.serving.load_full();
        let now = Moment::now(&*self.clock);
        match &serving.view {
            None => Err(Error::new(
                ErrorKind::Unavailable,
                "the first sync of the bucket is not done",
            )),
            Some(view) if !view.is_usable(&self.config.contract, now) => {
                let age = view.fetched_at.age_ms(now) / 1000;
                let most = self.config.contract.max_view_age_ms() / 1000;
                let message = format!(
                    "the bucket was last seen {age} s ago: after {most} s its blocks may be \
                     deleted and are not served; see the log for why the sync fails"
                );
                Err(Error::new(ErrorKind::Unavailable, message))
            }
            Some(_) => Ok(serving),
        }
    }

    fn clamp(&self, min_time: i64, max_time: i64) -> (i64, i64) {
        let now = self.clock.now_ms();
        let (from, to) = (
            self.config.min_time.resolve(now),
            self.config.max_time.resolve(now),
        );
        (min_time.max(from), max_time.min(to))
    }

    fn request(&self, call: &'static str, tenant: &str) -> Arc<Request> {
        let limits = &self.config.limits;
        let limiter = |name: &'static str, allowed| {
            let dropped = self
                .metrics
                .queries_dropped
                .with_label_values(&[name, tenant]);
            Limiter::new(name, allowed, dropped)
        };
        let chunks = limits.samples.div_ceil(SAMPLES_PER_CHUNK);
        Arc::new(Request {
            limits: Limits {
                series: limiter("series", limits.series),
                chunks: limiter("chunks", chunks),
                bytes: limiter("bytes", limits.bytes),
            },
            stats: Stats::default(),
            account: self.ledger.account(call),
        })
    }

    /// The blocks that a Series call reads, in the order in which they are merged.
    async fn targets(&self, serving: &Serving, wire: &SeriesRequest) -> Result<Vec<Target>> {
        let matchers = compile_matchers_apart(&self.cpu, &wire.matchers).await?;
        let hints = match hints::<hintspb::SeriesRequestHints>(wire.hints.as_ref())? {
            Some(hints) => compile_matchers_apart(&self.cpu, &hints.block_matchers).await?,
            None => Vec::new(),
        };
        let mut targets = Vec::new();
        let mut all_decided = false;
        for set in &serving.set.label_sets {
            let Some(left) = series_matchers(&set.labels, &matchers) else {
                continue;
            };
            if left.is_empty() {
                all_decided = true;
                continue;
            }
            let left: Arc<[Matcher]> = left.into();
            let resolution = wire.max_resolution_window;
            let blocks = set.covering(wire.min_time, wire.max_time, resolution, &hints);
            targets.extend(blocks.into_iter().map(|block| (block, Arc::clone(&left))));
        }
        if all_decided && targets.is_empty() {
            let message = "no matchers specified (excluding external labels)";
            return Err(Error::invalid(message));
        }
        Ok(targets)
    }

    /// Begins a label call: waits for its turn, and picks the blocks that it reads.
    async fn label_call(
        &self,
        call: &'static str,
        ctx: &RequestContext,
        matchers: &[LabelMatcher],
        block_matchers: Option<Vec<LabelMatcher>>,
        between: Between,
    ) -> Result<LabelCall> {
        let turn = self.label_gate.turn().instrument(waiting()).await?;
        let serving = self.pin()?;
        let matchers = compile_matchers_apart(&self.cpu, matchers).await?;
        let hints = compile_matchers_apart(&self.cpu, &block_matchers.unwrap_or_default()).await?;
        let blocks = serving.set.blocks.values();
        let wanted = blocks.filter(|block| {
            block.overlaps(between.min_time, between.max_time) && block.matches_hints(&hints)
        });
        let targets: Vec<_> = wanted
            .filter_map(|block| {
                let left = series_matchers(&block.meta.thanos.labels, &matchers)?;
                Some((Arc::clone(block), left))
            })
            .collect();
        Ok(LabelCall {
            queried: block_hints(targets.iter().map(|(block, _)| block)),
            targets,
            request: self.request(call, &ctx.tenant),
            warnings: serving.warnings.clone(),
            _turn: turn,
        })
    }
}

/// The wait for a turn.
fn waiting() -> Span {
    span!("store_query_gate_ismyturn")
}

/// A label call that has its turn.
struct LabelCall {
    /// The blocks to read, and what is left of the matchers for their series.
    targets: Vec<(Arc<Block>, Vec<Matcher>)>,
    request: Arc<Request>,
    /// The blocks, as the answer names them.
    queried: Vec<hintspb::Block>,
    warnings: Vec<String>,
    _turn: Turn,
}

#[async_trait]
impl StoreApi for Gateway {
    async fn series(&self, ctx: RequestContext, mut wire: SeriesRequest) -> Result<SeriesStream> {
        let turn = self.gate.turn().instrument(waiting()).await?;
        let serving = self.pin()?;
        (wire.min_time, wire.max_time) = self.clamp(wire.min_time, wire.max_time);
        let targets = self.targets(&serving, &wire).await?;
        let call = SeriesCall {
            targets,
            request: self.request("series", &ctx.tenant),
            batch_series: self.config.series_batch,
            warnings: serving.warnings.clone(),
            wire,
        };
        let (sink, frames) = mpsc::channel(WAITING_FRAMES);
        let run = Run {
            call,
            tenant: ctx.tenant,
            metrics: Arc::clone(&self.metrics),
            tasks: self.tasks.clone(),
            _turn: turn,
        };
        let task = self.tasks.spawn("series", run.run(sink)).abort_on_drop();
        Ok(stream_of(frames, task))
    }

    async fn label_names(
        &self,
        ctx: RequestContext,
        wire: LabelNamesRequest,
    ) -> Result<LabelNamesResponse> {
        let hints = hints::<hintspb::LabelNamesRequestHints>(wire.hints.as_ref())?;
        let blocks = hints.map(|hints| hints.block_matchers);
        let between = Between {
            min_time: wire.start,
            max_time: wire.end,
        };
        let call = self
            .label_call("label-names", &ctx, &wire.matchers, blocks, between)
            .await?;
        let reads = call.targets.into_iter().map(|(block, left)| {
            let (request, drop) = (
                Arc::clone(&call.request),
                wire.without_replica_labels.clone(),
            );
            let read = self.tasks.spawn("label-names", async move {
                labels::names(&block, &left, &drop, between, &request).await
            });
            read.abort_on_drop()
        });
        Ok(LabelNamesResponse {
            names: labels::union(reads, &call.request, wire.limit).await?,
            warnings: call.warnings,
            hints: Some(any(
                "LabelNamesResponseHints",
                &hintspb::LabelNamesResponseHints {
                    queried_blocks: call.queried,
                },
            )),
        })
    }

    async fn label_values(
        &self,
        ctx: RequestContext,
        wire: LabelValuesRequest,
    ) -> Result<LabelValuesResponse> {
        if wire.label.is_empty() {
            return Err(Error::invalid("label name parameter cannot be empty"));
        }
        if wire.without_replica_labels.contains(&wire.label) {
            return Ok(LabelValuesResponse::default());
        }
        let hints = hints::<hintspb::LabelValuesRequestHints>(wire.hints.as_ref())?;
        let blocks = hints.map(|hints| hints.block_matchers);
        let between = Between {
            min_time: wire.start,
            max_time: wire.end,
        };
        let call = self
            .label_call("label-values", &ctx, &wire.matchers, blocks, between)
            .await?;
        let reads = call.targets.into_iter().map(|(block, left)| {
            let (request, label) = (Arc::clone(&call.request), wire.label.clone());
            let read = self.tasks.spawn("label-values", async move {
                labels::values(&block, &label, &left, between, &request).await
            });
            read.abort_on_drop()
        });
        Ok(LabelValuesResponse {
            values: labels::union(reads, &call.request, wire.limit).await?,
            warnings: call.warnings,
            hints: Some(any(
                "LabelValuesResponseHints",
                &hintspb::LabelValuesResponseHints {
                    queried_blocks: call.queried,
                },
            )),
        })
    }

    async fn info(&self, _: RequestContext) -> Result<InfoResponse> {
        let serving = self.pin()?;
        let (min_time, max_time) = self.clamp(i64::MIN, i64::MAX);
        Ok(info::response(&serving.set, min_time, max_time))
    }
}

/// A Series call under way.
struct Run {
    call: SeriesCall,
    tenant: Arc<str>,
    metrics: Arc<Metrics>,
    tasks: Spawner,
    _turn: Turn,
}

impl Run {
    async fn run(self, sink: mpsc::Sender<Result<Frames>>) {
        if let Err(error) = self.answer(&sink).await {
            // Whoever went away does not miss the error.
            let _gone = sink.send(Err(error)).await.is_err();
        }
    }

    async fn answer(&self, sink: &mpsc::Sender<Result<Frames>>) -> Result<()> {
        let account = &self.call.request.account;
        let _frames = account.reserve(FRAMES_BYTES).await.map_err(|error| {
            Error::new(ErrorKind::Exhausted, error.to_string()).with_source(error)
        })?;
        let tenant = &[&*self.tenant];
        let (m, started) = (&self.metrics, Instant::now());
        let sent = m.sent_chunk_bytes.with_label_values(tenant);
        let skip_chunks = self.call.wire.skip_chunks;
        let opened = || {
            m.get_all_duration
                .with_label_values(tenant)
                .observe(started.elapsed().as_secs_f64());
        };
        let on_series = |bytes: u64| {
            if !skip_chunks {
                sent.observe(bytes as f64);
            }
        };
        m.blocks_queried
            .with_label_values(tenant)
            .observe(self.call.targets.len() as f64);
        let merged = self
            .call
            .run(&self.tasks, sink, &opened, &on_series)
            .await?;
        m.merge_duration
            .with_label_values(tenant)
            .observe(started.elapsed().as_secs_f64());
        m.result_series
            .with_label_values(tenant)
            .observe(merged.series as f64);
        Ok(())
    }
}

impl Drop for Run {
    /// Also what a call did that its client gave up counts.
    fn drop(&mut self) {
        self.metrics.observe(&self.tenant, &self.call.request.stats);
    }
}

/// The frames of a call. Dropping the stream ends the call.
fn stream_of(frames: mpsc::Receiver<Result<Frames>>, task: Task<()>) -> SeriesStream {
    stream::unfold((frames, Some(task)), |(mut frames, mut task)| async move {
        if let Some(item) = frames.recv().await {
            return Some((item, (frames, task)));
        }
        // The task closes the channel only at its end; one that died says so.
        match task.take()?.await {
            Ok(()) => None,
            Err(error) => {
                let message = format!("the call ended before its answer did: {error}");
                Some((
                    Err(Error::new(ErrorKind::Internal, message)),
                    (frames, None),
                ))
            }
        }
    })
    .boxed()
}

/// The hints of a request, if there are any.
fn hints<T: Message + Default>(hints: Option<&prost_types::Any>) -> Result<Option<T>> {
    hints
        .map(|hints| {
            T::decode(hints.value.as_slice())
                .map_err(|error| Error::invalid("unmarshal request hints").with_source(error))
        })
        .transpose()
}

fn any(name: &str, message: &impl Message) -> prost_types::Any {
    let type_url = format!("type.googleapis.com/hintspb.{name}");
    prost_types::Any {
        type_url,
        value: message.encode_to_vec(),
    }
}

fn block_hints<'a>(blocks: impl Iterator<Item = &'a Arc<Block>>) -> Vec<hintspb::Block> {
    blocks
        .map(|block| hintspb::Block {
            id: block.reader.id().to_string(),
        })
        .collect()
}
