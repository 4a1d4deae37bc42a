//! `/debug/pprof`: profiles for `go tool pprof` and its kin.

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;

use crate::allocator;

const INDEX: &str = "<html><head><title>/debug/pprof/</title></head><body>\
<h1>/debug/pprof/</h1><ul>\
<li><a href=\"heap\">heap</a>: memory in use, sampled, in pprof format</li>\
<li><a href=\"allocs\">allocs</a>: the same</li>\
<li><a href=\"cmdline\">cmdline</a>: the command line</li>\
</ul><p>CPU: <code>perf record -g -p PID</code> on the machine; the binaries carry their \
symbols.</p></body></html>\n";

pub(super) fn routes() -> Router {
    Router::new()
        .route("/debug/pprof/", get(|| async { Html(INDEX) }))
        .route("/debug/pprof/heap", get(heap))
        .route("/debug/pprof/allocs", get(heap))
        .route("/debug/pprof/cmdline", get(command_line))
        .route("/debug/pprof/{profile}", get(unknown))
        .route("/debug/fgprof", get(|| unknown(Path("fgprof".to_owned()))))
}

async fn heap() -> Response {
    match allocator::heap_profile().await {
        Ok(profile) => ([(CONTENT_TYPE, "application/octet-stream")], profile).into_response(),
        Err(reason) => (
            StatusCode::NOT_IMPLEMENTED,
            format!("no heap profile: {reason}\n"),
        )
            .into_response(),
    }
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
        "profile",
        "symbol",
        "trace",
        "fgprof",
    ];
    if known.contains(&profile.as_str()) {
        let text = format!("profile {profile} is not supported: heap is, and perf for the CPU\n");
        (StatusCode::NOT_IMPLEMENTED, text).into_response()
    } else {
        (StatusCode::NOT_FOUND, "unknown profile\n").into_response()
    }
}
