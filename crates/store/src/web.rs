//! The HTTP side of the store gateway: which blocks are served, and what was asked for.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use rutile_block::Meta;
use rutile_fetcher::View;
use rutile_model::time::format_rfc3339;
use rutile_runtime::{Clock, Moment};
use rutile_server::Context;
use rutile_telemetry::BuildInfo;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::Store;
use crate::args::WebArgs;
use crate::gateway::Serving;

/// The routes and what they show.
#[derive(Debug, Clone)]
pub(crate) struct Web {
    serving: Arc<ArcSwap<Serving>>,
    clock: Arc<dyn Clock>,
    label: String,
    external_prefix: String,
    prefix_header: String,
    cors: bool,
    started_ms: i64,
}

/// The envelope of every answer, as in Prometheus.
#[derive(Serialize)]
struct Success<T> {
    status: &'static str,
    data: T,
}

#[derive(Serialize)]
struct Failed<'a> {
    status: &'static str,
    #[serde(rename = "errorType")]
    kind: &'static str,
    error: &'a str,
}

#[derive(Deserialize)]
struct BlocksQuery {
    #[serde(default)]
    view: String,
}

/// Some blocks, as the reference's block viewer reads them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Blocks<'a> {
    label: &'a str,
    blocks: Vec<Box<RawValue>>,
    refreshed_at: String,
    err: Option<String>,
}

impl Web {
    pub(crate) fn new(args: &WebArgs, store: &Store, context: &Context) -> Self {
        Self {
            serving: Arc::clone(&store.gateway.serving),
            clock: Arc::clone(&context.clock),
            label: args.bucket_web_label.clone(),
            external_prefix: args.external_prefix.clone(),
            prefix_header: args.prefix_header.clone(),
            cors: !args.disable_cors,
            started_ms: context.clock.now_ms(),
        }
    }

    pub(crate) fn routes(self) -> Router {
        let cors = self.cors;
        let api = Router::new()
            .route("/api/v1/blocks", get(blocks).options(nothing))
            .route("/api/v1/blocks/mark", post(mark).options(nothing))
            .route("/api/v1/status/buildinfo", get(build_info).options(nothing))
            .route(
                "/api/v1/status/runtimeinfo",
                get(runtime_info).options(nothing),
            )
            .layer(axum::middleware::map_response(move |response| async move {
                with_cors(cors, response)
            }));
        Router::new()
            .route("/", get(start))
            .route("/loaded", get(page))
            .route("/blocks", get(page))
            .merge(api)
            .with_state(self)
    }
}

fn with_cors(cors: bool, mut response: Response) -> Response {
    if cors {
        let headers = response.headers_mut();
        let pairs = [
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
            (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, OPTIONS"),
            (
                header::ACCESS_CONTROL_ALLOW_HEADERS,
                "Accept, Accept-Encoding, Authorization, Content-Type, Origin",
            ),
            (header::ACCESS_CONTROL_EXPOSE_HEADERS, "Date"),
        ];
        for (name, value) in pairs {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    response
}

async fn nothing() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// The blocks that are served (`view=loaded`, the default) or all that the bucket holds (`global`).
async fn blocks(State(web): State<Web>, Query(query): Query<BlocksQuery>) -> Response {
    let serving = web.serving.load();
    let metas: Vec<Arc<Meta>> = match query.view.as_str() {
        "" | "loaded" => loaded(&serving),
        "global" => serving.view.iter().flat_map(|view| all(view)).collect(),
        other => {
            let error = format!("unknown view {other:?}: use loaded or global");
            return failed(StatusCode::BAD_REQUEST, "bad_data", &error);
        }
    };
    let as_json =
        |meta: &Arc<Meta>| RawValue::from_string(String::from_utf8(meta.to_json()).ok()?).ok();
    let refreshed = serving.view.as_ref().map_or(0, |view| view.fetched_at_ms());
    let incomplete = serving.view.as_ref().is_some_and(|view| !view.complete);
    success(Blocks {
        label: &web.label,
        blocks: metas.iter().filter_map(as_json).collect(),
        refreshed_at: format_rfc3339(refreshed),
        err: incomplete.then(|| "incomplete view: some blocks could not be read".to_owned()),
    })
}

fn loaded(serving: &Serving) -> Vec<Arc<Meta>> {
    serving
        .set
        .blocks
        .values()
        .map(|block| Arc::clone(&block.meta))
        .collect()
}

fn all(view: &View) -> Vec<Arc<Meta>> {
    view.blocks
        .values()
        .map(|info| Arc::clone(&info.meta))
        .collect()
}

async fn mark() -> Response {
    let error = "the store gateway cannot write to the bucket: mark blocks through the compactor's \
                 POST /api/v1/blocks/mark or with rutile-tools bucket mark";
    failed(StatusCode::METHOD_NOT_ALLOWED, "not_allowed", error)
}

async fn build_info() -> Response {
    let BuildInfo {
        version,
        revision,
        branch,
        compiler,
    } = BuildInfo::CURRENT;
    success(serde_json::json!({
        "version": version,
        "revision": revision,
        "branch": branch,
        "buildUser": "",
        "buildDate": "",
        "goVersion": compiler,
    }))
}

async fn runtime_info(State(web): State<Web>) -> Response {
    let folder = std::env::current_dir().unwrap_or_default();
    success(serde_json::json!({
        "startTime": format_rfc3339(web.started_ms),
        "CWD": folder.to_string_lossy(),
        "goroutineCount": tokio::runtime::Handle::current().metrics().num_alive_tasks(),
        "GOMAXPROCS": tokio::runtime::Handle::current().metrics().num_workers(),
        "GOGC": "",
        "GODEBUG": "",
        "GOMEMLIMIT": 0,
    }))
}

fn success(data: impl Serialize) -> Response {
    Json(Success {
        status: "success",
        data,
    })
    .into_response()
}

fn failed(status: StatusCode, kind: &'static str, error: &str) -> Response {
    (
        status,
        Json(Failed {
            status: "error",
            kind,
            error,
        }),
    )
        .into_response()
}

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:78rem;\
padding:0 1rem;color:#1c1f23;background:#fff}h1{font-size:1.4rem;margin:0}p{color:#5a6068}\
table{border-collapse:collapse;width:100%;margin-top:1rem}th{text-align:left;font-weight:600;\
border-bottom:2px solid #d9dde2}td{border-bottom:1px solid #eceff2}td,th{padding:.35rem .6rem;\
vertical-align:top}td.n{text-align:right;font-variant-numeric:tabular-nums}code{font-size:.92em}\
@media(prefers-color-scheme:dark){body{color:#e6e8eb;background:#16181b}p{color:#9aa2ab}\
th{border-color:#3a3f46}td{border-color:#282c31}}";

impl Web {
    /// What stands before every link: the flag, or else the request's header, as a path.
    fn prefix(&self, headers: &HeaderMap) -> String {
        let named = || headers.get(self.prefix_header.as_str())?.to_str().ok();
        let prefix = match self.external_prefix.as_str() {
            "" if !self.prefix_header.is_empty() => named().unwrap_or_default(),
            fixed => fixed,
        };
        match prefix.trim_matches('/') {
            "" => String::new(),
            path => escape(&format!("/{path}")),
        }
    }
}

async fn start(State(web): State<Web>, headers: HeaderMap) -> Redirect {
    Redirect::temporary(&format!("{}/loaded", web.prefix(&headers)))
}

/// A page that lists the blocks that are served.
async fn page(State(web): State<Web>, headers: HeaderMap) -> Html<String> {
    let prefix = web.prefix(&headers);
    let serving = web.serving.load();
    let mut metas = loaded(&serving);
    metas.sort_by_key(|meta| (meta.thanos.labels.clone(), std::cmp::Reverse(meta.min_time)));
    let rows: String = metas.iter().map(|meta| row(meta)).collect();
    let seen = serving.view.as_ref().map_or_else(
        || "The bucket was not looked at yet.".to_owned(),
        |view| {
            let age = view.fetched_at.age_ms(Moment::now(&*web.clock)) / 1000;
            format!("The bucket was last looked at {age} s ago.")
        },
    );
    Html(format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport \
         content=\"width=device-width\"><title>Rutile store: blocks</title><style>{STYLE}</style>\
         <h1>{} blocks are served</h1><p>{seen} As JSON: <a href=\"{prefix}/api/v1/blocks?view=loaded\">\
         loaded</a>, <a href=\"{prefix}/api/v1/blocks?view=global\">all of the bucket</a>. \
         <a href=\"{prefix}/metrics\">Metrics</a>.</p><table><tr><th>Block<th>From<th>Until<th>Level\
         <th>Resolution<th>Series<th>Samples<th>Labels<th>Source{rows}</table>",
        metas.len()
    ))
}

fn row(meta: &Meta) -> String {
    let resolution = match meta.thanos.downsample.resolution {
        0 => "raw".to_owned(),
        ms => format!("{} s", ms / 1000),
    };
    format!(
        "<tr><td><code>{}</code><td>{}<td>{}<td class=n>{}<td class=n>{resolution}<td class=n>{}\
         <td class=n>{}<td><code>{}</code><td>{}",
        meta.id,
        format_rfc3339(meta.min_time),
        format_rfc3339(meta.max_time),
        meta.compaction.level,
        meta.stats.num_series,
        meta.stats.num_samples,
        escape(&meta.thanos.labels.to_string()),
        escape(&format!("{:?}", meta.thanos.source)),
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
