//! `/status/…`: about the process, and about the data of its endpoints.

use rutile_api::{Data, Reply, Result};
use rutile_model::time::format_rfc3339;
use rutile_telemetry::BuildInfo;
use serde::Serialize;
use tokio::runtime::Handle;

use super::{Asked, Web};

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

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct Tsdb {
    head_stats: Head,
    series_count_by_metric_name: [(); 0],
    label_value_count_by_label_name: [(); 0],
    memory_in_bytes_by_label_name: [(); 0],
    series_count_by_label_value_pair: [(); 0],
}

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct Head {
    num_series: u64,
    num_label_pairs: u64,
    chunk_count: u64,
    min_time: i64,
    max_time: i64,
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

/// `/status/tsdb`: no endpoint is asked for its statistics yet, and the answer says so.
pub(super) fn tsdb(_: &Web, asked: &Asked) -> Result<Reply> {
    asked.params.limit("limit")?;
    asked.params.selectors("match[]")?;
    Ok(Reply {
        data: Data::json(&Tsdb::default()),
        warnings: vec!["statistics of endpoints are not collected yet".to_owned()],
    })
}
