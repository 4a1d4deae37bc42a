//! The service `thanos.Query`: what queriers ask each other, and a ruler asks them.
//!
//! Source: Thanos 0.43, `pkg/api/query/grpc.go`.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{future::RouteFuture, post};
use futures::{StreamExt, stream};
use rutile_api::{ErrorType, Failed};
use rutile_model::{ErrorKind, Matcher};
use rutile_proto::prometheus_copy::TimeSeries;
use rutile_proto::thanos::query_range_response::Result as Message;
use rutile_proto::thanos::{
    LabelMatcher, QueryRangeRequest, QueryRangeResponse, QueryRequest, QueryStats, ShardInfo,
    StoreMatchers, TimeSeriesBatch,
};
use rutile_runtime::Clock;
use rutile_storeapi::grpc::handle;
use rutile_storeapi::{
    Error, FrameWriter, Frames, RequestContext, Result, SeriesStream, compile_matchers_apart,
};
use tonic::server::NamedService;
use tower::Service;

use super::samples::series_of;
use crate::{Evaluated, Querier, Question, Selection, Times};

/// The service, answered by a querier.
#[derive(Debug, Clone)]
pub struct QueryServer(Router);

/// What requests that leave it open are answered with.
#[derive(Debug)]
struct Shared {
    querier: Arc<Querier>,
    clock: Arc<dyn Clock>,
    replica_labels: Vec<String>,
    max_resolution: Duration,
}

/// Both kinds of requests in one form.
struct Asked {
    query: String,
    times: Times,
    timeout_s: i64,
    max_resolution_s: i64,
    replica_labels: Vec<String>,
    store_matchers: Vec<StoreMatchers>,
    dedup: bool,
    partial_response: bool,
    shard: Option<ShardInfo>,
    lookback_s: i64,
    batch_size: i64,
    /// Whether the failure of a query is a warning if its answer may be partial.
    may_warn: bool,
}

impl QueryServer {
    /// Answers from `querier`; `replica_labels` and `max_resolution` are those of requests that name none.
    #[must_use]
    pub fn new(
        querier: Arc<Querier>,
        clock: Arc<dyn Clock>,
        replica_labels: Vec<String>,
        max_resolution: Duration,
    ) -> Self {
        let shared = Shared {
            querier,
            clock,
            replica_labels,
            max_resolution,
        };
        let router = Router::new()
            .route("/thanos.Query/Query", post(instant))
            .route("/thanos.Query/QueryRange", post(range));
        Self(router.with_state(Arc::new(shared)))
    }
}

impl NamedService for QueryServer {
    const NAME: &'static str = "thanos.Query";
}

impl Service<http::Request<tonic::body::Body>> for QueryServer {
    type Response = Response;
    type Error = Infallible;
    type Future = RouteFuture<Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        self.0.call(request.map(Body::new))
    }
}

async fn instant(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let answer = async |context, request: QueryRequest| {
        let time_ms = match request.time_seconds {
            0 => shared.clock.now_ms(),
            seconds => seconds.saturating_mul(1000),
        };
        let asked = Asked {
            query: request.query,
            times: Times::At(time_ms),
            timeout_s: request.timeout_seconds,
            max_resolution_s: request.max_resolution_seconds,
            replica_labels: request.replica_labels,
            store_matchers: request.store_matchers,
            dedup: request.enable_dedup,
            partial_response: request.enable_partial_response,
            shard: request.shard_info,
            lookback_s: request.lookback_delta_seconds,
            batch_size: request.response_batch_size,
            may_warn: true,
        };
        shared.answer(context, asked).await
    };
    handle(request, answer).await
}

async fn range(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let answer = async |context, request: QueryRangeRequest| {
        let ms = |seconds: i64| seconds.saturating_mul(1000);
        let times = Times::Range {
            start: ms(request.start_time_seconds),
            end: ms(request.end_time_seconds),
            step: ms(request.interval_seconds),
        };
        let asked = Asked {
            query: request.query,
            times,
            timeout_s: request.timeout_seconds,
            max_resolution_s: request.max_resolution_seconds,
            replica_labels: request.replica_labels,
            store_matchers: request.store_matchers,
            dedup: request.enable_dedup,
            partial_response: request.enable_partial_response,
            shard: request.shard_info,
            lookback_s: request.lookback_delta_seconds,
            batch_size: request.response_batch_size,
            may_warn: false,
        };
        shared.answer(context, asked).await
    };
    handle(request, answer).await
}

impl Shared {
    async fn answer(&self, context: RequestContext, asked: Asked) -> Result<SeriesStream> {
        let times = asked.times;
        let is_warning_enough = asked.may_warn && asked.partial_response;
        let batch_size = usize::try_from(asked.batch_size).unwrap_or(0).max(1);
        let question = self.question(&context, asked).await?;
        match self.querier.evaluate(question, times).await {
            Ok(evaluated) => Ok(messages(evaluated, batch_size)),
            Err(failed) if is_warning_enough && failed.kind != ErrorType::BadData => {
                let frames = Frames::encode(&message(Message::Warnings(failed.message)));
                Ok(stream::once(std::future::ready(frames)).boxed())
            }
            Err(failed) => Err(error(failed)),
        }
    }

    /// Compiled beside the async threads, all of them within the bounds of one request.
    async fn store_matchers(&self, sets: Vec<StoreMatchers>) -> Result<Vec<Vec<Matcher>>> {
        let sizes: Vec<usize> = sets.iter().map(|set| set.label_matchers.len()).collect();
        let all = sets.into_iter().flat_map(|set| set.label_matchers);
        let all: Vec<LabelMatcher> = all.collect();
        let compiled = compile_matchers_apart(&self.querier.cpu, &all).await?;
        let mut compiled = compiled.into_iter();
        let set = |size| compiled.by_ref().take(size).collect();
        Ok(sizes.into_iter().map(set).collect())
    }

    async fn question(&self, context: &RequestContext, asked: Asked) -> Result<Question> {
        let store_matchers = self.store_matchers(asked.store_matchers).await?;
        let named = if asked.replica_labels.is_empty() {
            self.replica_labels.clone()
        } else {
            asked.replica_labels
        };
        let max_resolution_ms = match asked.max_resolution_s {
            0 => i64::try_from(self.max_resolution.as_millis()).unwrap_or(i64::MAX),
            seconds => seconds.saturating_mul(1000),
        };
        let positive = |seconds: i64| (seconds > 0).then_some(seconds);
        Ok(Question {
            query: asked.query,
            tenant: context.tenant.to_string(),
            request_id: context.request_id.clone(),
            selection: Selection {
                replica_labels: if asked.dedup { named } else { Vec::new() },
                store_matchers,
                max_resolution_ms,
                partial_response: asked.partial_response,
                shard: asked.shard,
            },
            lookback_ms: positive(asked.lookback_s).map(|seconds| seconds.saturating_mul(1000)),
            timeout: positive(asked.timeout_s)
                .map(|seconds| Duration::from_secs(seconds.unsigned_abs())),
            analyze: false,
        })
    }
}

/// Both kinds of answers are the same on the wire.
fn message(result: Message) -> QueryRangeResponse {
    QueryRangeResponse {
        result: Some(result),
    }
}

/// Warnings, series, and at last the statistics.
fn messages(evaluated: Evaluated, batch_size: usize) -> SeriesStream {
    let Evaluated {
        answer,
        warnings,
        took: _,
    } = evaluated;
    let count = |samples: u64| i64::try_from(samples).unwrap_or(i64::MAX);
    let stats = Message::Stats(QueryStats {
        samples_total: count(answer.stats.samples),
        peak_samples: count(answer.stats.peak_samples),
    });
    let warnings = (!warnings.is_empty()).then(|| Message::Warnings(warnings.join(", ")));
    let (mut series, memory) = (series_of(answer.value), answer.memory);
    let batches = std::iter::from_fn(move || next_batch(&mut series, batch_size));
    let mut all = warnings
        .into_iter()
        .chain(batches)
        .chain(std::iter::once(stats))
        .peekable();
    let frames = std::iter::from_fn(move || {
        // Until all is sent, or nobody is left to send it to.
        let _held = &memory;
        all.peek()?;
        Some(next_frames(&mut all))
    });
    stream::iter(frames).boxed()
}

fn next_batch(series: &mut impl Iterator<Item = TimeSeries>, size: usize) -> Option<Message> {
    if size == 1 {
        return series.next().map(Message::Timeseries);
    }
    let series: Vec<TimeSeries> = series.take(size).collect();
    (!series.is_empty()).then_some(Message::TimeseriesBatch(TimeSeriesBatch { series }))
}

/// As many messages as make a good piece.
fn next_frames(messages: &mut impl Iterator<Item = Message>) -> Result<Frames> {
    let mut writer = FrameWriter::new(1);
    while !writer.is_full()
        && let Some(result) = messages.next()
    {
        writer.message(&message(result))?;
    }
    writer.finish()
}

fn error(failed: Failed) -> Error {
    let kind = match failed.kind {
        ErrorType::BadData | ErrorType::Unsupported => ErrorKind::Invalid,
        ErrorType::Canceled | ErrorType::Timeout => ErrorKind::Canceled,
        ErrorType::NotFound => ErrorKind::NotFound,
        ErrorType::Execution | ErrorType::Internal => ErrorKind::Internal,
    };
    Error::new(kind, failed.message)
}
