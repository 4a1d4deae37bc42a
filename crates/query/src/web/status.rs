//! `/status/…`: about the process, and about the data of its endpoints.

use rutile_api::{Data, Reply};
use rutile_model::time::format_rfc3339;
use rutile_telemetry::BuildInfo;
use serde_json::json;
use tokio::runtime::Handle;

use super::Web;

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
    Reply::new(Data::json(&json!({
        "version": version,
        "revision": revision,
        "branch": branch,
        "buildUser": "",
        "buildDate": "",
        "goVersion": compiler,
    })))
}

/// `/status/runtimeinfo`
pub(super) fn runtime(web: &Web) -> Reply {
    let folder = std::env::current_dir().unwrap_or_default();
    let metrics = Handle::current().metrics();
    Reply::new(Data::json(&json!({
        "startTime": format_rfc3339(web.0.started_ms),
        "CWD": folder.to_string_lossy(),
        "goroutineCount": metrics.num_alive_tasks(),
        "GOMAXPROCS": metrics.num_workers(),
        "GOGC": "",
        "GODEBUG": "",
        "GOMEMLIMIT": 0,
    })))
}
