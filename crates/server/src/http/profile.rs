//! `/debug/pprof`: profiles for `go tool pprof` and its kin.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;

use crate::component::Context;
use crate::cpu_profile::CannotSample;
use crate::{allocator, cpu_profile};

/// How long a CPU profile takes when it is not said, as in Go, and at most.
const DEFAULT_SECONDS: u64 = 30;
const MAX_SECONDS: u64 = 300;

const INDEX: &str = "<html><head><title>/debug/pprof/</title></head><body>\
<h1>/debug/pprof/</h1><ul>\
<li><a href=\"profile\">profile</a>: CPU time, sampled for 30 seconds or ?seconds=1 to 300, in pprof \
format</li>\
<li><a href=\"heap\">heap</a>: memory in use, sampled, in pprof format</li>\
<li><a href=\"allocs\">allocs</a>: the same</li>\
<li><a href=\"cmdline\">cmdline</a>: the command line</li>\
</ul><p>Read them by <code>go tool pprof URL</code>. The number of tasks is go_goroutines in \
<a href=\"/metrics\">/metrics</a>.</p></body></html>\n";

pub(super) fn routes(context: &Context) -> Router {
    Router::new()
        .route("/debug/pprof/", get(|| async { Html(INDEX) }))
        .route("/debug/pprof/profile", get(cpu))
        .route("/debug/pprof/heap", get(heap))
        .route("/debug/pprof/allocs", get(heap))
        .route("/debug/pprof/cmdline", get(command_line))
        .route("/debug/pprof/{profile}", get(unknown))
        .route("/debug/fgprof", get(|| unknown(Path("fgprof".to_owned()))))
        .with_state(context.clone())
}

async fn cpu(
    State(context): State<Context>,
    Query(parameters): Query<BTreeMap<String, String>>,
) -> Response {
    let given = parameters.get("seconds").map(|given| given.parse());
    let seconds = match given {
        None => DEFAULT_SECONDS,
        Some(Ok(seconds)) if (1..=MAX_SECONDS).contains(&seconds) => seconds,
        Some(_) => {
            let text = format!("seconds must be a whole number from 1 to {MAX_SECONDS}\n");
            return (StatusCode::BAD_REQUEST, text).into_response();
        }
    };
    let duration = Duration::from_secs(seconds);
    match cpu_profile::record(duration, &*context.clock, &context.files).await {
        Ok(profile) => download("profile", profile),
        Err(error) => {
            let status = match error {
                CannotSample::Busy => StatusCode::CONFLICT,
                CannotSample::Unsupported => StatusCode::NOT_IMPLEMENTED,
                CannotSample::Refused(_) => StatusCode::INTERNAL_SERVER_ERROR,
            };
            (status, format!("no CPU profile: {error}\n")).into_response()
        }
    }
}

async fn heap() -> Response {
    match allocator::heap_profile().await {
        Ok(profile) => download("heap", profile),
        Err(reason) => {
            let text = format!("no heap profile: {reason}\n");
            (StatusCode::NOT_IMPLEMENTED, text).into_response()
        }
    }
}

/// The file is offered under the name `name`, as by Go.
fn download(name: &str, profile: Vec<u8>) -> Response {
    let headers = [
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (
            CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}\""),
        ),
    ];
    (headers, profile).into_response()
}

/// Arguments are separated by zero bytes, as in Go.
async fn command_line() -> String {
    std::env::args().collect::<Vec<_>>().join("\0")
}

async fn unknown(Path(profile): Path<String>) -> Response {
    let known = [
        "goroutine",
        "threadcreate",
        "block",
        "mutex",
        "symbol",
        "trace",
        "fgprof",
    ];
    if known.contains(&profile.as_str()) {
        let text = format!("profile {profile} is not supported: profile (CPU) and heap are\n");
        (StatusCode::NOT_IMPLEMENTED, text).into_response()
    } else {
        (StatusCode::NOT_FOUND, "unknown profile\n").into_response()
    }
}
