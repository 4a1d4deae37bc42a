//! The proxy: many stores as one.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::stream;
use rutile_model::{ErrorKind, Labels, Matcher, RelabelConfig};
use rutile_proto::thanos::{
    LabelMatcher, LabelNamesRequest, LabelNamesResponse, LabelValuesRequest, LabelValuesResponse,
    PartialResponseStrategy, SeriesRequest, info::InfoResponse,
};
use rutile_runtime::{Ledger, Spawner};
use rutile_storeapi::{
    Error, ItemStream, RequestContext, Result, SeriesStream, StoreApi, compile_matchers,
    encode_items, without_external,
};
use rutile_telemetry::Registry;

use crate::{
    Known, Stores, chain,
    labels::{self, Kind, LabelCall},
    metrics::FanoutMetrics,
    patience::Patience,
    select::{Chosen, Question, missing, select},
    series,
};

/// Settings of the proxy.
#[derive(Debug, Clone, Default)]
pub struct FanoutConfig {
    /// What the proxy says of all its data, and what a request must match (`--selector-label`). The
    /// labels are not added to series.
    pub selector_labels: Labels,
    /// Keeps or drops stores by their label sets (`--selector.relabel-config`).
    pub relabel: Vec<RelabelConfig>,
    /// Longest silence of a store (`--store.response-timeout`); `None` is any.
    pub response_timeout: Option<Duration>,
    /// How far stores are read ahead (`--grpc.proxy-strategy`).
    pub retrieval: Retrieval,
}

/// How far a store is read ahead of what is taken from the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Retrieval {
    /// As far as a bounded buffer holds.
    #[default]
    Eager,
    /// As few frames as this (`--query.lazy-retrieval-max-buffered-responses`).
    Lazy {
        /// Frames to a store; 0 counts as 1.
        max_frames: usize,
    },
}

/// All stores of a [`Stores`] as one.
pub struct Fanout {
    config: FanoutConfig,
    stores: Arc<dyn Stores>,
    tasks: Spawner,
    ledger: Ledger,
    metrics: FanoutMetrics,
}

/// A request as it goes on: whom to ask, with which matchers, and what failures mean.
pub(crate) struct Plan {
    pub(crate) chosen: Vec<Chosen>,
    /// What is to be said of those that cannot be asked.
    pub(crate) missing: Vec<String>,
    /// Without the selector labels.
    matchers: Vec<LabelMatcher>,
    pub(crate) partial: bool,
    pub(crate) patience: Patience,
}

/// What all requests have in common.
struct Asked<'a> {
    min_time: i64,
    max_time: i64,
    matchers: &'a [LabelMatcher],
    store_matchers: &'a [Vec<Matcher>],
    partial: bool,
}

impl Fanout {
    /// A proxy. Its tasks run in the group of `tasks`; what has to be sorted here is reserved in
    /// `ledger`.
    #[must_use]
    pub fn new(
        config: FanoutConfig,
        stores: Arc<dyn Stores>,
        tasks: Spawner,
        ledger: Ledger,
        registry: &Registry,
    ) -> Self {
        Self {
            config,
            stores,
            tasks,
            ledger,
            metrics: FanoutMetrics::new(registry),
        }
    }

    /// The series of all stores that match, decoded: sorted by their labels, each label set once,
    /// its chunks in order and each of them once, at most `limit` series.
    ///
    /// `store_matchers` restricts the stores: one of the sets must match a store's external labels
    /// and, as `__address__`, its name. None is no restriction.
    ///
    /// Under partial response a store that fails is a warning that names it; what it sent before
    /// stays. A tenth of the time until the deadline of `ctx`, at most 1 s, is kept back: a store that
    /// is silent when it begins, or not done when half of it is over, is given up. Without partial
    /// response the first failure, or warning of a store, is an error.
    ///
    /// A store that would be asked if it were not [`crate::Absent`] counts as one that fails.
    ///
    /// # Errors
    /// `Invalid` for a wrong request; without partial response `Unavailable` if there is no store at
    /// all, or one is absent. Later errors are items of the stream.
    pub fn series_items(
        &self,
        ctx: &RequestContext,
        request: SeriesRequest,
        store_matchers: &[Vec<Matcher>],
    ) -> Result<ItemStream> {
        let compiled = compile_matchers(&request.matchers)?;
        self.matching_series(ctx, request, compiled, store_matchers)
    }

    /// The same, where the matchers of the request are compiled already: to do that takes time.
    ///
    /// # Errors
    /// As of [`Fanout::series_items`].
    pub fn matching_series(
        &self,
        ctx: &RequestContext,
        request: SeriesRequest,
        compiled: Vec<Matcher>,
        store_matchers: &[Vec<Matcher>],
    ) -> Result<ItemStream> {
        self.series_with(ctx, request, compiled, store_matchers, None)
    }

    /// The same, for an answer that is taken later: all stores are asked at once, in tasks, and read as far as so many
    /// bytes hold.
    ///
    /// # Errors
    /// As of [`Fanout::series_items`].
    pub fn series_ahead(
        &self,
        ctx: &RequestContext,
        request: SeriesRequest,
        compiled: Vec<Matcher>,
        store_matchers: &[Vec<Matcher>],
        bytes: usize,
    ) -> Result<ItemStream> {
        self.series_with(ctx, request, compiled, store_matchers, Some(bytes))
    }

    fn series_with(
        &self,
        ctx: &RequestContext,
        request: SeriesRequest,
        compiled: Vec<Matcher>,
        store_matchers: &[Vec<Matcher>],
        ahead_bytes: Option<usize>,
    ) -> Result<ItemStream> {
        let asked = Asked {
            min_time: request.min_time,
            max_time: request.max_time,
            matchers: &request.matchers,
            store_matchers,
            partial: is_partial(
                request.partial_response_disabled,
                request.partial_response_strategy,
            ),
        };
        let Some(remaining) = without_external(compiled, &self.config.selector_labels) else {
            return Ok(Box::pin(stream::empty()));
        };
        if remaining.is_empty() {
            return Err(Error::invalid(
                "no matchers specified (excluding selector labels)",
            ));
        }
        let known = self.stores.known();
        if !asked.partial && known.is_empty() {
            return Err(Error::new(ErrorKind::Unavailable, "No StoreAPIs available"));
        }
        let plan = self.plan(known, ctx, &asked, &remaining)?;
        let reading = series::Reading {
            retrieval: self.config.retrieval,
            ahead_bytes,
            tasks: &self.tasks,
            ledger: &self.ledger,
            metrics: &self.metrics,
        };
        Ok(series::items(plan, ctx, request, &reading))
    }

    /// The names of the labels of all series that match, sorted, at most `limit`; `compiled` are the matchers of the
    /// request.
    ///
    /// Stores are chosen, and failures treated, as in [`Fanout::series_items`].
    ///
    /// # Errors
    /// `Invalid` for a wrong request; without partial response what the first failing store returns.
    pub async fn matching_names(
        &self,
        ctx: &RequestContext,
        request: LabelNamesRequest,
        compiled: Vec<Matcher>,
        store_matchers: &[Vec<Matcher>],
    ) -> Result<LabelNamesResponse> {
        let found = self
            .label_call(ctx, LabelCall::from(request), compiled, store_matchers)
            .await?;
        Ok(LabelNamesResponse {
            names: found.texts,
            warnings: found.warnings,
            hints: None,
        })
    }

    /// The values of one label of all series that match, sorted, at most `limit`; `compiled` are the matchers of the
    /// request.
    ///
    /// Stores are chosen, and failures treated, as in [`Fanout::series_items`].
    ///
    /// # Errors
    /// `Invalid` for a wrong request, an empty name among them; without partial response what the
    /// first failing store returns.
    pub async fn matching_values(
        &self,
        ctx: &RequestContext,
        request: LabelValuesRequest,
        compiled: Vec<Matcher>,
        store_matchers: &[Vec<Matcher>],
    ) -> Result<LabelValuesResponse> {
        let found = self
            .label_call(ctx, LabelCall::from(request), compiled, store_matchers)
            .await?;
        Ok(LabelValuesResponse {
            values: found.texts,
            warnings: found.warnings,
            hints: None,
        })
    }

    async fn label_call(
        &self,
        ctx: &RequestContext,
        call: LabelCall,
        compiled: Vec<Matcher>,
        store_matchers: &[Vec<Matcher>],
    ) -> Result<labels::Found> {
        if let Kind::Values(label) = &call.kind {
            if label.is_empty() {
                return Err(Error::invalid("label name parameter cannot be empty"));
            }
            if call.without_replica_labels.contains(label) {
                return Ok(labels::Found::default());
            }
        }
        let asked = Asked {
            min_time: call.start,
            max_time: call.end,
            matchers: &call.matchers,
            store_matchers,
            partial: call.partial,
        };
        let Some(remaining) = without_external(compiled, &self.config.selector_labels) else {
            return Ok(labels::Found::default());
        };
        let plan = self.plan(self.stores.known(), ctx, &asked, &remaining)?;
        labels::ask(plan, ctx, &call).await
    }

    fn plan(
        &self,
        known: Known,
        ctx: &RequestContext,
        asked: &Asked<'_>,
        remaining: &[Matcher],
    ) -> Result<Plan> {
        let question = Question {
            min_time: asked.min_time,
            max_time: asked.max_time,
            matchers: remaining,
            store_matchers: asked.store_matchers,
        };
        let (selector, relabel) = (&self.config.selector_labels, &self.config.relabel);
        let passed_on = asked
            .matchers
            .iter()
            .filter(|matcher| selector.get(&matcher.name).is_none());
        let mut missing = missing(&known.absent, &question, relabel);
        if !asked.partial && !missing.is_empty() {
            return Err(chain::missing(&missing));
        }
        if !known.is_empty() && !question.names_any(&known) {
            missing.push("storeMatch[] matches no store: see /api/v1/stores".to_owned());
        }
        Ok(Plan {
            chosen: select(known.stores, &question, relabel),
            missing,
            matchers: passed_on.cloned().collect(),
            partial: asked.partial,
            patience: Patience::new(self.config.response_timeout, ctx.deadline, asked.partial),
        })
    }
}

impl Plan {
    /// The matchers for one store.
    pub(crate) fn matchers(&self, chosen: &Chosen) -> Vec<LabelMatcher> {
        self.matchers.iter().chain(&chosen.extra).cloned().collect()
    }
}

#[async_trait]
impl StoreApi for Fanout {
    async fn series(&self, ctx: RequestContext, request: SeriesRequest) -> Result<SeriesStream> {
        let batch_size = usize::try_from(request.response_batch_size).unwrap_or(0);
        let items = self.series_items(&ctx, request, &[])?;
        Ok(encode_items(items, batch_size, 0))
    }

    async fn label_names(
        &self,
        ctx: RequestContext,
        request: LabelNamesRequest,
    ) -> Result<LabelNamesResponse> {
        let compiled = compile_matchers(&request.matchers)?;
        self.matching_names(&ctx, request, compiled, &[]).await
    }

    async fn label_values(
        &self,
        ctx: RequestContext,
        request: LabelValuesRequest,
    ) -> Result<LabelValuesResponse> {
        let compiled = compile_matchers(&request.matchers)?;
        self.matching_values(&ctx, request, compiled, &[]).await
    }

    async fn info(&self, _: RequestContext) -> Result<InfoResponse> {
        Ok(crate::metadata::of_all(
            &self.stores.known(),
            &self.config.selector_labels,
            &self.config.relabel,
        ))
    }
}

impl std::fmt::Debug for Fanout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fanout")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// Whether a failing store is only a warning.
pub(crate) fn is_partial(disabled: bool, strategy: i32) -> bool {
    !disabled && strategy != i32::from(PartialResponseStrategy::Abort)
}
