//! The HTTP API of the querier.
//!
//! Each handler reads its parameters, asks, and returns a [`Reply`]; what is common (envelope, headers, metrics, tenant)
//! is done here, once.

mod figures;
mod labels;
mod query;
mod reports;
mod series;
mod status;
mod stores;
mod text;

use std::collections::BTreeMap;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request, State};
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use rutile_api::{Data, ErrorType, Failed, Headers, Params, Reply, Result};
use rutile_fanout::{Endpoints, Proxies};
use rutile_model::Matcher;
use rutile_runtime::{Clock, Reservation};
use rutile_server::HttpMetrics;
use rutile_storeapi::RequestContext;
use tokio::time::Instant;

use crate::Querier;
pub use reports::PartialReports;

/// The first and the last time, if a request names none and the settings neither, ms.
const ALL_TIME: (i64, i64) = (
    (i64::MIN / 1000 + 62_135_596_801) * 1000,
    (i64::MAX / 1000 - 62_135_596_801) * 1000 + 999,
);

/// In this time a form must be there: what has come of it is held meanwhile.
const FORM_WITHIN: Duration = Duration::from_mins(1);

/// Settings of the API.
#[derive(Debug, Clone)]
pub struct WebConfig {
    /// Answer scripts of other sites.
    pub cors: bool,
    /// What stands before all paths: empty, or `/prefix`.
    pub prefix: String,
    /// Replica labels of requests that name none.
    pub replica_labels: Vec<String>,
    /// Choose the resolution by the step if a request says nothing.
    pub auto_downsampling: bool,
    /// The resolution of instant queries in that case.
    pub instant_max_resolution: Duration,
    /// The least step of a range query that names none.
    pub default_step: Duration,
    /// Whether answers may be partial if a request does not say.
    pub partial_response: bool,
    /// Likewise of what endpoints report of themselves.
    pub partial_reports: PartialReports,
    /// How far label calls that name no start look back; zero: all time.
    pub metadata_range: Duration,
    /// The flags of the process, for those who look.
    pub flags: BTreeMap<String, String>,
}

/// What handlers work with.
#[derive(Debug, Clone)]
pub struct Web(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    querier: Arc<Querier>,
    proxies: Arc<Proxies>,
    endpoints: Arc<Endpoints>,
    config: WebConfig,
    clock: Arc<dyn Clock>,
    started_ms: i64,
}

/// The variable parts of a path; an error if they are not UTF-8.
type Path = Result<RawPathParams, RawPathParamsRejection>;

/// A request.
#[derive(Debug)]
struct Asked {
    params: Arc<Params>,
    tenant: String,
    request_id: Option<Arc<str>>,
    /// The variable part of the path, if there is one.
    name: String,
    /// Of the parameters.
    _memory: Reservation,
}

impl Web {
    /// An API over `querier`, and over `proxies` for all but series.
    #[must_use]
    pub fn new(
        querier: Arc<Querier>,
        proxies: Arc<Proxies>,
        endpoints: Arc<Endpoints>,
        config: WebConfig,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self(Arc::new(Shared {
            querier,
            proxies,
            endpoints,
            started_ms: clock.now_ms(),
            config,
            clock,
        }))
    }

    /// All routes.
    pub fn routes(self, metrics: &HttpMetrics) -> Router {
        let forms: [(&str, &'static str, MethodRouter<Self>); 6] = [
            ("/query", "query", both(query::instant)),
            ("/query_range", "query_range", both(query::range)),
            ("/query_explain", "query", both(query::explain)),
            ("/query_range_explain", "query", both(query::explain)),
            ("/series", "series", both(series::series)),
            ("/labels", "label_names", both(labels::names)),
        ];
        let plain: [(&str, &'static str, MethodRouter<Self>); 7] = [
            (
                "/label/{name}/values",
                "label_values",
                only_get(labels::values),
            ),
            ("/stores", "stores", only_get(always(stores::stores))),
            (
                "/status/flags",
                "status_flags",
                only_get(always(status::flags)),
            ),
            (
                "/status/runtimeinfo",
                "status_runtime",
                only_get(always(status::runtime)),
            ),
            (
                "/status/buildinfo",
                "status_build",
                only_get(always(status::build)),
            ),
            ("/format_query", "format_query", both(text::format)),
            ("/parse_query", "parse_query", both(text::parse)),
        ];
        let mut api = Router::new();
        let all = forms.into_iter().chain(plain).chain(reports::routes());
        for (path, handler, route) in all {
            let route = Router::new().route(path, route);
            api = api.merge(metrics.instrument(handler, route));
        }
        let prefix = self.0.config.prefix.clone();
        Router::new()
            .nest(&format!("{prefix}/api/v1"), api)
            .with_state(self)
    }

    async fn answer<F, A>(self, path: Path, request: Request, handler: F) -> Response
    where
        F: FnOnce(Self, Asked) -> A,
        A: Future<Output = Result<Reply>>,
    {
        let headers = Headers::new(request.headers(), self.0.config.cors);
        let cpu = self.0.querier.cpu.clone();
        let result = match self.read(&path, request).await {
            Ok(asked) => handler(self, asked).await,
            Err(failed) => Err(failed),
        };
        headers.respond(result, &cpu)
    }

    async fn read(&self, path: &Path, request: Request) -> Result<Asked> {
        let headers = request.headers();
        let tenant = self.0.querier.config.tenancy.tenant(headers)?;
        let request_id = headers
            .get("x-request-id")
            .and_then(|id| id.to_str().ok())
            .map(Arc::from);
        let name = match path {
            Ok(path) => path.iter().next().map(|(_, value)| value.to_owned()),
            Err(_) => return Err(text::invalid_label(request.uri())),
        };
        let mut memory = self.0.querier.ledger.account("form").empty();
        let params = tokio::time::timeout(FORM_WITHIN, Params::read(request, &mut memory))
            .await
            .map_err(|_| {
                let problem = format!("the form did not come within {} s", FORM_WITHIN.as_secs());
                Failed::new(ErrorType::Timeout, problem)
            })??;
        Ok(Asked {
            params: Arc::new(params),
            tenant,
            request_id,
            name: name.unwrap_or_default(),
            _memory: memory,
        })
    }

    fn now_ms(&self) -> i64 {
        self.0.clock.now_ms()
    }

    /// Whom to ask on whose behalf, and until when.
    fn context(&self, asked: &Asked) -> RequestContext {
        RequestContext {
            tenant: asked.tenant.as_str().into(),
            request_id: asked.request_id.clone(),
            deadline: Instant::now().checked_add(self.0.querier.config.timeout),
        }
    }

    /// The time that a call about labels is about, ms, inclusive.
    fn metadata_times(&self, params: &Params) -> Result<(i64, i64)> {
        let range_ms = i64::try_from(self.0.config.metadata_range.as_millis()).unwrap_or(i64::MAX);
        let (first, last) = match range_ms {
            0 => ALL_TIME,
            range_ms => (self.now_ms().saturating_sub(range_ms), self.now_ms()),
        };
        let start = params.time("start")?.unwrap_or(first);
        let end = params.time("end")?.unwrap_or(last);
        if end < start {
            return Err(Failed::parameter(
                "end",
                "end timestamp must not be before start time",
            ));
        }
        Ok((start, end))
    }

    /// The selectors of a parameter. They are read beside the async threads, for their regular expressions are compiled
    /// meanwhile.
    async fn read_selectors(
        &self,
        params: &Arc<Params>,
        name: &'static str,
    ) -> Result<Vec<Vec<Matcher>>> {
        if params.all(name).next().is_none() {
            return Ok(Vec::new());
        }
        let params = Arc::clone(params);
        let read = move || params.selectors(name);
        self.0.querier.cpu.run(read).await
    }

    /// The selectors of a request, as far as its tenant may see.
    async fn selectors(&self, asked: &Asked) -> Result<Vec<Vec<Matcher>>> {
        let sets = self.read_selectors(&asked.params, "match[]").await?;
        Ok(self
            .0
            .querier
            .config
            .tenancy
            .restrict_selectors(sets, &asked.tenant))
    }

    fn partial_response(&self, params: &Params) -> Result<bool> {
        Ok(params
            .switch("partial_response")?
            .unwrap_or(self.0.config.partial_response))
    }

    /// Labels that tell replicas apart; none without deduplication.
    fn replica_labels(&self, params: &Params) -> Result<Vec<String>> {
        if !params.switch("dedup")?.unwrap_or(true) {
            return Ok(Vec::new());
        }
        let named: Vec<String> = params.all("replicaLabels[]").map(str::to_owned).collect();
        Ok(if named.is_empty() {
            self.0.config.replica_labels.clone()
        } else {
            named
        })
    }
}

/// A route for GET and POST.
fn both<F, A>(handler: F) -> MethodRouter<Web>
where
    F: Fn(Web, Asked) -> A + Copy + Send + Sync + 'static,
    A: Future<Output = Result<Reply>> + Send + 'static,
{
    let post = move |State(web): State<Web>, path: Path, request: Request| {
        web.answer(path, request, handler)
    };
    only_get(handler).post(post)
}

/// A route for GET.
fn only_get<F, A>(handler: F) -> MethodRouter<Web>
where
    F: Fn(Web, Asked) -> A + Copy + Send + Sync + 'static,
    A: Future<Output = Result<Reply>> + Send + 'static,
{
    let get_it = move |State(web): State<Web>, path: Path, request: Request| {
        web.answer(path, request, handler)
    };
    get(get_it).options(options)
}

/// A handler that need not wait, has no parameters and cannot fail.
fn always(
    handler: fn(&Web) -> Reply,
) -> impl Fn(Web, Asked) -> Ready<Result<Reply>> + Copy + Send + Sync + 'static {
    move |web, _| ready(Ok(handler(&web)))
}

/// What a browser asks before it asks.
async fn options(State(web): State<Web>, request: Request) -> Response {
    let headers = Headers::new(request.headers(), web.0.config.cors);
    headers.respond(Ok(Reply::new(Data::Nothing)), &web.0.querier.cpu)
}
