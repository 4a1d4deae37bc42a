//! `/status/…`: about the process.

use rutile_api::{Data, Reply};
use rutile_model::time::format_rfc3339;
use rutile_telemetry::BuildInfo;
use serde::Serialize;
use tokio::runtime::Handle;

use super::Web;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Build {
    version: &'static str,
    revision: &'static str,
    branch: &'static str,
    build_user: &'static str,
    build_date: &'static str,
    go_version: &'static str,
}

#[derive(Serialize)]
struct Runtime {
    #[serde(rename = "startTime")]
    start_time: String,
    #[serde(rename = "CWD")]
    folder: String,
    #[serde(rename = "goroutineCount")]
    tasks: usize,
    #[serde(rename = "GOMAXPROCS")]
    threads: usize,
    #[serde(rename = "GOGC")]
    gc: &'static str,
    #[serde(rename = "GODEBUG")]
    debug: &'static str,
    #[serde(rename = "GOMEMLIMIT")]
    memory_limit: u64,
}

/// `/status/flags`
pub(super) fn flags(web: &Web) -> Reply {
    Reply::new(Data::json(&web.0.config.flags))
}

/// `/status/buildinfo`
pub(super) fn build(_: &Web) -> Reply {
    let BuildInfo {
        version,
        revision,
        branch,
        compiler,
    } = BuildInfo::CURRENT;
    Reply::new(Data::json(&Build {
        version,
        revision,
        branch,
        build_user: "",
        build_date: "",
        go_version: compiler,
    }))
}

/// `/status/runtimeinfo`
pub(super) fn runtime(web: &Web) -> Reply {
    let folder = std::env::current_dir().unwrap_or_default();
    let metrics = Handle::current().metrics();
    Reply::new(Data::json(&Runtime {
        start_time: format_rfc3339(web.0.started_ms),
        folder: folder.to_string_lossy().into_owned(),
        tasks: metrics.num_alive_tasks(),
        threads: metrics.num_workers(),
        gc: "",
        debug: "",
        memory_limit: web.0.querier.ledger.stats().limit_bytes,
    }))
}
