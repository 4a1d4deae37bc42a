//! A Prometheus with golden blocks, the sidecar in this process, and the sidecar as a process.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use rutile_model::TimeOrDuration;
use rutile_promclient::{Client, HttpConfig};
use rutile_proto::thanos::{
    LabelMatcher, Series, SeriesRequest, label_matcher::Type, series_response,
};
use rutile_runtime::{CpuPool, Ledger, SystemClock};
use rutile_sidecar::{Peer, PeerConfig, PrometheusStore};
use rutile_storeapi::{CallLimits, RequestContext, Result, StoreApi};
use rutile_telemetry::Registry;
use rutile_testkit::process::Process;
use rutile_testkit::servers::{Prometheus, Server};
use rutile_testkit::{block_dirs, copy_bucket, golden};
use tempfile::TempDir;
use tokio::time::Instant;

/// The external labels of the golden blocks.
pub(crate) const CONFIG: &str =
    "global: {scrape_interval: 1h, external_labels: {cluster: eu1, replica: a}}\n";
/// The time of the golden blocks, ms.
pub(crate) const START: i64 = 1_767_225_600_000;
pub(crate) const END: i64 = 1_767_441_600_000;

/// Longest wait for something that is sure to come.
const COMES_WITHIN: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The two-hour blocks of the golden bucket.
pub(crate) fn golden_blocks() -> Vec<PathBuf> {
    let mut blocks = block_dirs(&golden().join("raw"));
    blocks.retain(|block| {
        let meta = std::fs::read_to_string(block.join("meta.json")).unwrap();
        let meta: String = meta.split_whitespace().collect();
        meta.contains("\"level\":1,")
    });
    blocks
}

/// Copies a block into the database of the Prometheus in `folder`.
pub(crate) fn add_block(folder: &Path, block: &Path) {
    let data = folder.join("data").join(block.file_name().unwrap());
    copy_bucket(block, &data);
    // What uploads put there, and Prometheus does not.
    std::fs::remove_file(data.join("deletion-mark.json")).ok();
}

/// A Prometheus in `folder` that neither compacts nor removes its blocks.
pub(crate) fn keeping(folder: &Path) -> Prometheus {
    Prometheus::new()
        .folder(folder)
        .flag("--storage.tsdb.retention.time=100y")
        .flag("--storage.tsdb.min-block-duration=2h")
        .flag("--storage.tsdb.max-block-duration=2h")
        .flag("--enable-feature=native-histograms")
        .flag("--web.enable-lifecycle")
}

pub(crate) fn client(server: &Server) -> Client {
    let url = format!("http://{}", server.address());
    Client::new(&url, &HttpConfig::default(), "test").unwrap()
}

/// What is known of a Prometheus, once it answers.
pub(crate) async fn peer(server: &Server, registry: &Registry) -> Arc<Peer> {
    let config = PeerConfig {
        interval: Duration::from_millis(100),
        timeout: Duration::from_secs(30),
        min_time: "0000-01-01T00:00:00Z".parse::<TimeOrDuration>().unwrap(),
    };
    let clock = Arc::new(SystemClock);
    let peer = Arc::new(Peer::new(client(server), config, clock, registry));
    until("Prometheus answers", async || peer.beat().await.is_ok()).await;
    peer
}

/// The sidecar's store beside the golden blocks.
pub(crate) struct Fixture {
    pub(crate) store: PrometheusStore,
    pub(crate) registry: Registry,
    _server: Server,
    _folder: TempDir,
}

impl Fixture {
    /// With all golden blocks.
    pub(crate) async fn new(limits: CallLimits, memory: u64) -> Self {
        Self::with(&golden_blocks(), limits, memory).await
    }

    pub(crate) async fn with(blocks: &[PathBuf], limits: CallLimits, memory: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for block in blocks {
            add_block(folder.path(), block);
        }
        let server = keeping(folder.path()).config(CONFIG).start();
        let registry = Registry::new();
        let peer = peer(&server, &registry).await;
        let ledger = Ledger::new(memory);
        let cpu = CpuPool::new(1);
        Self {
            store: PrometheusStore::new(peer, cpu, ledger, limits, &registry),
            registry,
            _server: server,
            _folder: folder,
        }
    }
}

/// Asks, and takes batches apart.
pub(crate) async fn series(store: &dyn StoreApi, request: SeriesRequest) -> Result<Vec<Series>> {
    let mut frames = store.series(RequestContext::default(), request).await?;
    let mut all = Vec::new();
    while let Some(frame) = frames.next().await {
        for message in frame?.decode()? {
            match message.result {
                Some(series_response::Result::Series(series)) => all.push(series),
                Some(series_response::Result::Batch(batch)) => all.extend(batch.series),
                other => panic!("neither series nor batch: {other:?}"),
            }
        }
    }
    Ok(all)
}

pub(crate) fn matcher(name: &str, op: &str, value: &str) -> LabelMatcher {
    let kind = match op {
        "=" => Type::Eq,
        "!=" => Type::Neq,
        "=~" => Type::Re,
        "!~" => Type::Nre,
        other => panic!("unknown operator {other}"),
    };
    LabelMatcher {
        r#type: kind.into(),
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

/// All series of the golden blocks.
pub(crate) fn everything() -> SeriesRequest {
    SeriesRequest {
        min_time: START,
        max_time: END,
        matchers: vec![matcher("__name__", "=~", ".+")],
        ..SeriesRequest::default()
    }
}

/// Waits for what is sure to come, and looks at it again and again.
pub(crate) async fn until(what: &str, mut there: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + COMES_WITHIN;
    while !there().await {
        assert!(
            Instant::now() < deadline,
            "{what}: not within {COMES_WITHIN:?}"
        );
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rutile-sidecar"));
    command
        .args(["--http-address=127.0.0.1:0", "--grpc-address=127.0.0.1:0"])
        .args(args);
    command
}

pub(crate) fn filesystem(folder: &Path) -> String {
    let config = "--objstore.config={type: FILESYSTEM, config: {directory: ";
    format!("{config}\"{}\"}}}}", folder.display())
}

pub(crate) fn beside(server: &Server) -> String {
    format!("--prometheus.url=http://{}", server.address())
}

pub(crate) fn data(folder: &Path) -> String {
    format!("--tsdb.path={}", folder.join("data").display())
}

/// Starts it and waits until it is ready.
pub(crate) fn start(args: &[&str]) -> Process {
    Process::start(command(args))
}
