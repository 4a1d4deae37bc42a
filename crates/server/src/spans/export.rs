//! The way of spans to their collector.

use std::collections::HashMap;
use std::str::FromStr as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry_otlp::{
    Compression, RetryPolicy, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
    WithTonicConfig as _,
};
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use rutile_model::ErrorKind;
use rutile_runtime::{CancellationToken, TaskGroup};
use rutile_telemetry::{IntCounter, Registry};
use tokio::sync::mpsc;
use tonic::metadata::MetadataMap;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use super::Traces;
use super::config::{Protocol, Retry, Settings, Tls};
use super::queue::Waiting;
use crate::failure::Failure;
use crate::tls::Pem;

/// Spans of one message at most, and how long the first of them waits for others: as in OpenTelemetry's own queue.
const BATCH: usize = 512;
const DELAY: Duration = Duration::from_secs(5);
/// How long the end of the process waits for the last spans to be sent.
const LAST_WITHIN: Duration = Duration::from_secs(5);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// The time of a batch is what bounds its retries.
const MANY: usize = 1000;

/// What became of spans.
#[derive(Debug, Clone)]
pub(crate) struct SpanMetrics {
    exported: IntCounter,
    lost: IntCounter,
    failures: IntCounter,
}

/// The sending of spans, until it is finished.
#[derive(Debug)]
pub(crate) struct Exporting {
    tasks: TaskGroup,
}

impl SpanMetrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        Self {
            exported: registry.int_counter(
                "rutile_trace_spans_exported_total",
                "Spans that a collector has taken.",
            ),
            lost: registry.int_counter(
                "rutile_trace_spans_lost_total",
                "Spans that no collector has taken: it was away, or too slow.",
            ),
            failures: registry.int_counter(
                "rutile_trace_export_failures_total",
                "Batches of spans that could not be sent.",
            ),
        }
    }
}

impl Traces {
    /// Begins to send.
    ///
    /// # Errors
    /// A failure that names the flag and the key: files that cannot be used, headers that cannot be sent.
    pub(crate) async fn export(self, metrics: SpanMetrics) -> Result<Exporting, Failure> {
        let exporter = exporter(&self.settings).await;
        let mut exporter = exporter.map_err(|failure| failure.context("--tracing.config"))?;
        exporter.set_resource(&self.settings.resource);
        let Settings {
            timeout,
            retry,
            endpoint,
            ..
        } = self.settings;
        let sender = Sender {
            exporter,
            endpoint: endpoint.clone(),
            // A try whose answer is lost in the network ends with its own time.
            within: retry.map_or(timeout, |retry| retry.within) + CONNECT_WITHIN,
            metrics,
        };
        tracing::info!(endpoint, "sending spans");
        let tasks = TaskGroup::new("spans");
        let stop = tasks.token();
        drop(tasks.spawn("send spans", sender.run(self.waiting, stop)));
        Ok(Exporting { tasks })
    }
}

impl Exporting {
    /// Sends what has ended, if the collector takes it soon.
    pub(crate) async fn finish(self) {
        self.tasks.shutdown(2 * LAST_WITHIN).await;
    }
}

struct Sender {
    exporter: SpanExporter,
    endpoint: String,
    /// The time of a batch, with all tries.
    within: Duration,
    metrics: SpanMetrics,
}

impl Sender {
    async fn run(self, waiting: Waiting, stop: CancellationToken) {
        let Waiting { mut spans, dropped } = waiting;
        loop {
            let batch = collect(&mut spans, &stop).await;
            let is_last = stop.is_cancelled() && batch.is_empty();
            if !batch.is_empty() && !self.send(batch, &stop).await && stop.is_cancelled() {
                // What is left would fare no better, and nobody waits for it.
                self.lose(spans.len() as u64, "the process ends");
                return;
            }
            let dropped = dropped.swap(0, Ordering::Relaxed);
            if dropped > 0 {
                self.lose(dropped, "they end faster than the collector takes them");
            }
            if is_last {
                return;
            }
        }
    }

    /// Whether the collector has taken them. The end of the process bounds the time.
    async fn send(&self, batch: Vec<SpanData>, stop: &CancellationToken) -> bool {
        let count = batch.len() as u64;
        let patience = async {
            tokio::select! {
                () = tokio::time::sleep(self.within) => {}
                () = stop.cancelled() => tokio::time::sleep(LAST_WITHIN).await,
            }
        };
        let error = tokio::select! {
            sent = self.exporter.export(batch) => match sent {
                Ok(()) => {
                    self.metrics.exported.inc_by(count);
                    return true;
                }
                Err(error) => error.to_string(),
            },
            () = patience => "it does not take them in time".to_owned(),
        };
        self.metrics.failures.inc();
        self.lose(count, &error);
        false
    }

    fn lose(&self, spans: u64, why: &str) {
        self.metrics.lost.inc_by(spans);
        let endpoint = &self.endpoint;
        tracing::warn!(spans, endpoint, err = why, "spans are lost");
    }
}

/// The next spans: many, or those of some seconds; when all is to end, those that are there.
async fn collect(spans: &mut mpsc::Receiver<SpanData>, stop: &CancellationToken) -> Vec<SpanData> {
    let mut batch = Vec::new();
    let more = async {
        while batch.len() < BATCH {
            let room = BATCH - batch.len();
            if spans.recv_many(&mut batch, room).await == 0 {
                // Nobody can send any more.
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = tokio::time::sleep(DELAY) => return batch,
        () = more => return batch,
    }
    while batch.len() < BATCH
        && let Ok(span) = spans.try_recv()
    {
        batch.push(span);
    }
    batch
}

async fn exporter(settings: &Settings) -> Result<SpanExporter, Failure> {
    let retry = settings.retry.map_or_else(RetryPolicy::disabled, policy);
    // To the library this is the time of all tries together; a single one is bounded by the connection.
    let within = settings
        .retry
        .map_or(settings.timeout, |retry| retry.within);
    let built = match settings.protocol {
        Protocol::Grpc => {
            let mut builder = SpanExporter::builder()
                .with_tonic()
                .with_channel(channel(settings).await?)
                .with_timeout(within)
                .with_metadata(MetadataMap::from_headers(headers(settings)?))
                .with_retry_policy(retry);
            if settings.gzip {
                builder = builder.with_compression(Compression::Gzip);
            }
            builder.build()
        }
        Protocol::Http => {
            headers(settings)?;
            let named = settings.headers.iter();
            let named: HashMap<_, _> = named.map(|(k, v)| (k.clone(), v.clone())).collect();
            let scheme = scheme(settings);
            let url = format!("{scheme}://{}{}", settings.endpoint, settings.path);
            let mut builder = SpanExporter::builder()
                .with_http()
                .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
                .with_http_client(client(settings).await?)
                .with_endpoint(url)
                .with_timeout(within)
                .with_headers(named)
                .with_retry_policy(retry);
            if settings.gzip {
                builder = builder.with_compression(Compression::Gzip);
            }
            builder.build()
        }
    };
    built.map_err(|error| wrong(error.to_string()))
}

fn policy(retry: Retry) -> RetryPolicy {
    RetryPolicy::recommended()
        .with_max_retries(MANY)
        .with_initial_delay(retry.first)
        .with_max_delay(retry.longest)
}

fn scheme(settings: &Settings) -> &'static str {
    if settings.insecure { "http" } else { "https" }
}

fn headers(settings: &Settings) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    for (name, value) in &settings.headers {
        let parsed = (HeaderName::from_str(name), HeaderValue::from_str(value));
        let (Ok(key), Ok(value)) = parsed else {
            return Err(wrong(format!(
                "`config.headers.{name}` cannot be sent as a header"
            )));
        };
        headers.insert(key, value);
    }
    Ok(headers)
}

/// The connection of gRPC. It is made when it is needed, and again when it was lost.
async fn channel(settings: &Settings) -> Result<Channel, Failure> {
    let uri = format!("{}://{}", scheme(settings), settings.endpoint);
    let unusable = |error: tonic::transport::Error| wrong(format!("`config.endpoint`: {error}"));
    let mut endpoint = Endpoint::from_shared(uri).map_err(unusable)?;
    if !settings.insecure {
        let tls = client_tls(&settings.tls).await?;
        endpoint = endpoint.tls_config(tls).map_err(unusable)?;
    }
    let endpoint = endpoint.connect_timeout(CONNECT_WITHIN);
    Ok(endpoint.timeout(settings.timeout).connect_lazy())
}

async fn client_tls(tls: &Tls) -> Result<ClientTlsConfig, Failure> {
    let mut config = ClientTlsConfig::new();
    config = match read_given("config.tls_config.ca_file", &tls.ca_file).await? {
        Some(text) => config.ca_certificate(Certificate::from_pem(text)),
        None => config.with_native_roots(),
    };
    let certificate = read_given("config.tls_config.cert_file", &tls.cert_file).await?;
    let key = read_given("config.tls_config.key_file", &tls.key_file).await?;
    if let (Some(certificate), Some(key)) = (certificate, key) {
        config = config.identity(Identity::from_pem(certificate, key));
    }
    if !tls.server_name.is_empty() {
        config = config.domain_name(tls.server_name.clone());
    }
    Ok(config)
}

/// The client of HTTP.
async fn client(settings: &Settings) -> Result<reqwest::Client, Failure> {
    // reqwest panics without one. An error says that there is one already: then that serves.
    let provider = tokio_rustls::rustls::crypto::ring::default_provider();
    provider.install_default().ok();
    let tls = &settings.tls;
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .connect_timeout(CONNECT_WITHIN)
        .timeout(settings.timeout)
        .tls_danger_accept_invalid_certs(tls.insecure_skip_verify);
    let unusable = |key: &str, error: &dyn std::fmt::Display| wrong(format!("`{key}`: {error}"));
    let key = "config.tls_config.ca_file";
    if let Some(text) = read_given(key, &tls.ca_file).await? {
        let authorities = reqwest::Certificate::from_pem_bundle(&text);
        builder = builder.tls_certs_only(authorities.map_err(|error| unusable(key, &error))?);
    }
    let key = "config.tls_config.cert_file";
    let certificate = read_given(key, &tls.cert_file).await?;
    let private = read_given("config.tls_config.key_file", &tls.key_file).await?;
    if let (Some(mut pem), Some(private)) = (certificate, private) {
        pem.push(b'\n');
        pem.extend(private);
        let identity = reqwest::Identity::from_pem(&pem);
        builder = builder.identity(identity.map_err(|error| unusable(key, &error))?);
    }
    builder.build().map_err(|error| wrong(error.to_string()))
}

/// The text of a file, if one is named.
async fn read_given(key: &'static str, path: &str) -> Result<Option<Vec<u8>>, Failure> {
    if path.is_empty() {
        return Ok(None);
    }
    Pem::file(key, path).read().await.map(Some)
}

fn wrong(message: String) -> Failure {
    Failure::message(ErrorKind::Invalid, message)
}

#[cfg(test)]
mod tests;
