//! One endpoint: its connections, and what is known of it.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use rutile_discovery::{ClientConfig, EndpointSpec};
use rutile_proto::thanos::{
    LabelNamesRequest, LabelNamesResponse, LabelValuesRequest, LabelValuesResponse, SeriesRequest,
    info::InfoResponse,
};
use rutile_runtime::Clock;
use rutile_storeapi::{
    RequestContext, Result, SeriesStream, StoreApi,
    grpc::{self, Client, MessageStream},
};
use tokio::{sync::watch, time::Instant};

use super::{EndpointStatus, connect, group::Group};
use crate::{ClientMetrics, Metadata, Method, chain, stores::missing};

/// Why an endpoint that has just been found cannot be asked.
const NOT_YET: &str = "it has not answered Info yet";
/// Why one cannot that answered under other settings.
const CHANGED: &str = "its settings have changed, and it has not answered since";

/// An endpoint of the set, or a group of them that counts as one. Asked as a [`StoreApi`], and
/// for the methods of other services by [`Endpoint::stream`].
pub struct Endpoint {
    name: String,
    strict: bool,
    client: ClientConfig,
    group: Group,
    calls: ClientMetrics,
    state: watch::Sender<State>,
}

/// What the checks found.
#[derive(Debug, Clone, Default)]
struct State {
    metadata: Option<Arc<Metadata>>,
    last_success_ms: Option<i64>,
    /// `None` before the first check and after one that succeeded.
    last_error: Option<String>,
    checked: bool,
}

/// Whether an endpoint can be asked.
#[derive(Debug)]
pub(super) enum Standing {
    /// It can; what it said of itself at last, of a strict one that said nothing that it is a store of
    /// all times.
    Queryable(Arc<Metadata>),
    /// It cannot.
    Absent {
        /// What it said of itself when it could; `None` if it never could.
        served: Option<Arc<Metadata>>,
        error: String,
    },
}

impl Endpoint {
    pub(super) fn new(spec: &EndpointSpec, calls: ClientMetrics) -> Self {
        Self {
            name: spec.name.clone(),
            strict: spec.strict,
            client: spec.client.clone(),
            group: Group::new(&spec.targets, &spec.client, spec.group),
            calls,
            state: watch::Sender::default(),
        }
    }

    /// What it last said of itself.
    pub(crate) fn served(&self) -> Option<Arc<Metadata>> {
        self.state.borrow().metadata.clone()
    }

    /// The same, which is known to have served this.
    pub(super) fn having_served(self, metadata: Option<Arc<Metadata>>) -> Self {
        self.state.send_modify(|state| state.metadata = metadata);
        self
    }

    /// Changes to what is discovered now; false when that needs a new endpoint.
    pub(super) fn adopt(&self, spec: &EndpointSpec) -> bool {
        let same = self.strict == spec.strict
            && self.client == spec.client
            && self.group.retries() == spec.group;
        if same {
            self.group.replace(&spec.targets, &spec.client);
        }
        same
    }

    /// Its address; of a group `thanos:///` and the address as configured.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is asked even if it does not answer Info.
    #[must_use]
    pub fn is_strict(&self) -> bool {
        self.strict
    }

    /// Calls a method of one of the services beside the StoreAPI.
    ///
    /// # Errors
    /// What is known before the first message; later errors are items of the stream.
    pub async fn stream<M: grpc::Method>(
        &self,
        ctx: &RequestContext,
        request: &M::Request,
    ) -> Result<MessageStream<M::Response>> {
        let call = |client: Client| async move { client.stream::<M>(ctx, request).await };
        let counted = self.calls.start(Method::of::<M>());
        counted.follow(self.group.call(call).await)
    }

    /// Whether it can be asked: the last check succeeded, or it is strict.
    #[must_use]
    pub fn is_queryable(&self) -> bool {
        let state = self.state.borrow();
        self.strict || (state.checked && state.last_error.is_none())
    }

    /// Whether it can be asked, and what it said of itself at last: both of the same moment.
    pub(super) fn standing(&self) -> Standing {
        let state = self.state.borrow();
        let served = state.metadata.clone();
        if self.strict {
            return Standing::Queryable(served.unwrap_or_else(Metadata::unknown));
        }
        let error = match (&served, &state.last_error) {
            (Some(metadata), None) if state.checked => {
                return Standing::Queryable(Arc::clone(metadata));
            }
            (Some(_), None) => CHANGED.to_owned(),
            (Some(_), Some(error)) => format!("its last Info failed: {error}"),
            (None, None) => NOT_YET.to_owned(),
            (None, Some(error)) => format!("it never answered Info: {error}"),
        };
        Standing::Absent { served, error }
    }

    /// What an answer says that lacks it; `None` if it can be asked.
    pub(crate) fn missing(&self) -> Option<String> {
        match self.standing() {
            Standing::Queryable(_) => None,
            Standing::Absent { error, .. } => Some(missing(&self.name, &error)),
        }
    }

    pub(super) fn status(&self) -> EndpointStatus {
        let state = self.state.borrow().clone();
        let not_yet = || (!state.checked).then(|| NOT_YET.to_owned());
        let last_error = state.last_error.or_else(not_yet);
        let metadata = state.metadata.unwrap_or_else(Metadata::unknown);
        let (min_time, max_time) = metadata.time_range();
        EndpointStatus {
            name: self.name.clone(),
            component: metadata.component().to_owned(),
            last_check_ms: state.last_success_ms,
            last_error,
            label_sets: metadata.label_sets.clone(),
            min_time,
            max_time,
        }
    }

    /// Asks for Info, at most for `timeout`, and remembers what came of it.
    pub(super) async fn check(&self, timeout: Duration, clock: &dyn Clock) {
        let ctx = RequestContext {
            deadline: Some(Instant::now() + timeout),
            ..RequestContext::default()
        };
        let counted = self.calls.start(Method::INFO);
        let result = counted.end(self.group.check(&ctx).await);
        let now_ms = clock.now_ms();
        self.state.send_modify(|state| {
            state.checked = true;
            match result {
                Ok(info) => {
                    if let Some(error) = state.last_error.take() {
                        tracing::info!(endpoint = %self.name, %error, "an endpoint has recovered");
                    }
                    state.metadata = Some(Arc::new(Metadata::new(info)));
                    state.last_success_ms = Some(now_ms);
                }
                Err(error) => {
                    let mut error = chain::with_causes(&error);
                    // One that has answered before is no matter of settings.
                    if state.metadata.is_none()
                        && let Some(advice) = connect::advice(&error, &self.client)
                    {
                        error = format!("{error} ({advice})");
                    }
                    if state.last_error.is_none() {
                        tracing::warn!(endpoint = %self.name, %error, "an endpoint does not answer");
                    }
                    state.last_error = Some(error);
                }
            }
        });
    }

    pub(super) async fn checked_once(&self) {
        let mut state = self.state.subscribe();
        // Fails only when the sender is gone, and that is ours.
        state.wait_for(|state| state.checked).await.ok();
    }
}

#[async_trait]
impl StoreApi for Endpoint {
    async fn series(&self, ctx: RequestContext, request: SeriesRequest) -> Result<SeriesStream> {
        let call = |client: Client| {
            let (ctx, request) = (ctx.clone(), request.clone());
            async move { client.series(ctx, request).await }
        };
        let counted = self.calls.start(Method::SERIES);
        counted.follow(self.group.call(call).await)
    }

    async fn label_names(
        &self,
        ctx: RequestContext,
        request: LabelNamesRequest,
    ) -> Result<LabelNamesResponse> {
        let call = |client: Client| {
            let (ctx, request) = (ctx.clone(), request.clone());
            async move { client.label_names(ctx, request).await }
        };
        let counted = self.calls.start(Method::LABEL_NAMES);
        counted.end(self.group.call(call).await)
    }

    async fn label_values(
        &self,
        ctx: RequestContext,
        request: LabelValuesRequest,
    ) -> Result<LabelValuesResponse> {
        let call = |client: Client| {
            let (ctx, request) = (ctx.clone(), request.clone());
            async move { client.label_values(ctx, request).await }
        };
        let counted = self.calls.start(Method::LABEL_VALUES);
        counted.end(self.group.call(call).await)
    }

    async fn info(&self, ctx: RequestContext) -> Result<InfoResponse> {
        let call = |client: Client| {
            let ctx = ctx.clone();
            async move { client.info(ctx).await }
        };
        let counted = self.calls.start(Method::INFO);
        counted.end(self.group.call(call).await)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("name", &self.name)
            .field("strict", &self.strict)
            .field("state", &*self.state.borrow())
            .finish_non_exhaustive()
    }
}
