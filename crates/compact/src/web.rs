//! The block API of a compactor that waits: which blocks there are, and marking them by hand.
//!
//! Answers come from the last looks at the bucket, no request causes one. Whether anybody may ask is
//! for a proxy in front to decide; `--disable-admin-operations` turns marking off. A page of another
//! origin can mark nothing: its reader's browser might reach what its owner cannot.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use parking_lot::Mutex;
use rutile_block::{BlockId, Contract, MarkKind, Meta, reason};
use rutile_fetcher::{Selection, View};
use rutile_lifecycle::Marked;
use rutile_model::time::format_rfc3339;
use rutile_server::is_cross_origin;
use rutile_server::status::http_status;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::args::WebArgs;
use crate::outlook::Compaction;
use crate::{Compactor, Outlook};

/// What the last looks at the bucket showed.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    loaded: Mutex<Picture>,
    global: Mutex<Picture>,
    view: Mutex<Option<Arc<View>>>,
    /// What was made of a view, for as long as it is the last one.
    plan: Mutex<Option<(Arc<View>, Arc<Value>)>>,
}

#[derive(Debug, Clone, Default)]
struct Picture {
    metas: Vec<Arc<Meta>>,
    refreshed_ms: i64,
    error: Option<String>,
}

impl Seen {
    /// What this compactor works with.
    pub(crate) fn set_loaded(&self, view: &View, selection: &Selection) {
        *self.loaded.lock() = Picture::of(view, selection.wanted.values());
    }

    /// All that the bucket holds.
    pub(crate) fn set_global(&self, view: &Arc<View>) {
        *self.view.lock() = Some(Arc::clone(view));
        *self.global.lock() = Picture::of(view, view.blocks.values().map(|info| &info.meta));
    }

    /// A look failed: what was seen before stays.
    fn set_failed(&self, error: String) {
        self.global.lock().error = Some(error);
    }
}

impl Picture {
    fn of<'a>(view: &View, metas: impl Iterator<Item = &'a Arc<Meta>>) -> Self {
        let incomplete = "incomplete view: some blocks could not be read";
        Self {
            metas: metas.map(Arc::clone).collect(),
            refreshed_ms: view.fetched_at_ms(),
            error: (!view.complete).then(|| incomplete.to_owned()),
        }
    }
}

impl Compactor {
    /// Looks at the bucket again and again, for the sake of who asks what it holds.
    pub(crate) async fn keep_seen(&self, interval: Duration, timeout: Duration) {
        loop {
            match tokio::time::timeout(timeout, self.fetcher.fetch()).await {
                Ok(Ok(view)) => self.seen.set_global(&view),
                Ok(Err(error)) => self.seen.set_failed(error.to_string()),
                Err(_) => {
                    let flag = "--block-viewer.global.sync-block-timeout";
                    let error = format!("a look took longer than {flag} {timeout:?}");
                    self.seen.set_failed(error);
                }
            }
            tokio::time::sleep(interval).await;
        }
    }
}

impl Compactor {
    /// What is made of each block of the last look, for the page; nothing before the first one. It is made once for
    /// each look, when somebody asks.
    fn plan_seen(&self) -> Arc<Value> {
        let Some(view) = self.seen.view.lock().clone() else {
            return Arc::new(json!({ "refreshedAt": format_rfc3339(0), "blocks": [] }));
        };
        let mut plan = self.seen.plan.lock();
        if let Some((of, plan)) = &*plan
            && Arc::ptr_eq(of, &view)
        {
            return Arc::clone(plan);
        }
        let refreshed_ms = view.fetched_at_ms();
        let compaction = Compaction {
            selection: &self.chain.apply(&view, refreshed_ms),
            contract: self.contract,
            planner: &self.planner,
            retention: &self.retention,
        };
        // The flags of store gateways are theirs, so these have the defaults.
        let outlook = Outlook::new(&view, Contract::default(), &BTreeMap::new(), compaction);
        let made = Arc::new(json!({
            "refreshedAt": format_rfc3339(refreshed_ms),
            "blocks": outlook.plan(&view),
        }));
        *plan = Some((view, Arc::clone(&made)));
        made
    }
}

/// The routes and what they answer from.
#[derive(Debug, Clone)]
pub(crate) struct Web {
    compactor: Arc<Compactor>,
    label: Arc<str>,
    may_mark: bool,
}

#[derive(Debug, Deserialize)]
struct BlocksQuery {
    #[serde(default)]
    view: String,
}

impl Web {
    pub(crate) fn routes(args: &WebArgs, compactor: &Arc<Compactor>) -> Router {
        let cors = !args.disable_cors;
        let web = Self {
            compactor: Arc::clone(compactor),
            label: args.bucket_web_label.as_str().into(),
            may_mark: !args.disable_admin_operations,
        };
        Router::new()
            .route("/api/v1/blocks", get(blocks).options(nothing))
            .route("/api/v1/blocks/plan", get(plan).options(nothing))
            .route("/api/v1/blocks/mark", post(mark).options(nothing))
            .layer(axum::middleware::map_response(move |answer| async move {
                with_cors(cors, answer)
            }))
            .with_state(web)
    }
}

fn with_cors(cors: bool, mut answer: Response) -> Response {
    let pairs = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (
            header::ACCESS_CONTROL_ALLOW_METHODS,
            "GET, POST, DELETE, OPTIONS",
        ),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "Accept, Accept-Encoding, Authorization, Content-Type, Origin",
        ),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, "Date"),
    ];
    for (name, value) in pairs.into_iter().filter(|_| cors) {
        let value = HeaderValue::from_static(value);
        answer.headers_mut().insert(name, value);
    }
    answer
}

async fn nothing() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// As the reference: what is not `loaded` is `global`.
async fn blocks(State(web): State<Web>, Query(query): Query<BlocksQuery>) -> Response {
    let seen = &web.compactor.seen;
    let picture = match query.view.as_str() {
        "loaded" => seen.loaded.lock().clone(),
        _ => seen.global.lock().clone(),
    };
    let as_json =
        |meta: &Arc<Meta>| RawValue::from_string(String::from_utf8(meta.to_json()).ok()?).ok();
    let blocks: Vec<Box<RawValue>> = picture.metas.iter().filter_map(as_json).collect();
    let data = json!({
        "label": &*web.label,
        "blocks": blocks,
        "refreshedAt": format_rfc3339(picture.refreshed_ms),
        "err": picture.error,
    });
    Json(json!({ "status": "success", "data": data })).into_response()
}

/// What becomes of each block. Not in the reference.
async fn plan(State(web): State<Web>) -> Response {
    let plan = web.compactor.plan_seen();
    Json(json!({ "status": "success", "data": *plan })).into_response()
}

/// Marks a block as `rutile-tools bucket mark` does. The parameters may stand in the body or in the
/// query, as in Go's forms.
async fn mark(
    State(web): State<Web>,
    uri: Uri,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    body: String,
) -> Response {
    if !web.may_mark {
        return refused("Admin operations are disabled");
    }
    if is_cross_origin(&uri, &headers) {
        let message = "a page of another origin may not mark blocks: its Origin is not this host";
        return failed(StatusCode::FORBIDDEN, message);
    }
    let given = match form(&body, &query.unwrap_or_default()) {
        Ok(given) => given,
        Err(message) => return refused(&message),
    };
    let of = |name: &str| {
        let found = given.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value.as_str())
    };
    let (id, action, detail) = (of("id"), of("action"), of("detail"));
    let block = match id.parse::<BlockId>() {
        Ok(block) => block,
        Err(_) if id.is_empty() => return refused("ID cannot be empty"),
        Err(error) => return refused(&format!("ULID {id:?} is not valid: {error}")),
    };
    let Compactor {
        lifecycle, metrics, ..
    } = &*web.compactor;
    let (kind, why, marked) = match action {
        "DELETION" => {
            let marked = lifecycle.mark_deletion(block, detail).await;
            (MarkKind::Deletion, "", marked)
        }
        "NO_COMPACTION" => {
            let why = reason::MANUAL;
            let marked = lifecycle.mark_no_compact(block, why, detail).await;
            (MarkKind::NoCompact, why, marked)
        }
        "" => return refused("Action cannot be empty"),
        other => {
            let message = format!("not supported marker {other}: use DELETION or NO_COMPACTION");
            return refused(&message);
        }
    };
    match marked {
        Ok(marked) => {
            tracing::info!(%block, mark = %kind, detail, ?marked, "asked for by HTTP");
            if marked != Marked::Already {
                metrics.count_mark(kind, why);
            }
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => failed(http_status(error.kind()), &error.to_string()),
    }
}

/// The fields of a form, those of the body first.
fn form(body: &str, query: &str) -> Result<Vec<(String, String)>, String> {
    let uri: Uri = format!("/?{body}&{query}")
        .parse()
        .map_err(|error| format!("the parameters cannot be read: {error}"))?;
    match Query::try_from_uri(&uri) {
        Ok(Query(fields)) => Ok(fields),
        Err(error) => Err(error.to_string()),
    }
}

fn refused(message: &str) -> Response {
    failed(StatusCode::BAD_REQUEST, message)
}

fn failed(status: StatusCode, message: &str) -> Response {
    let kind = match status.is_client_error() {
        true => "bad_data",
        false => "internal",
    };
    let error: Value = json!({ "status": "error", "errorType": kind, "error": message });
    (status, Json(error)).into_response()
}
