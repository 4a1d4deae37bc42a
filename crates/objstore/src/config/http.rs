//! `http_config`: how connections are made. One client with these settings serves a bucket.

use std::fs;
use std::time::Duration;

use object_store::client::{HttpClient, HttpConnector};
use object_store::{BackoffConfig, ClientConfigKey, ClientOptions, RetryConfig};
use reqwest::tls::{Certificate, Identity};
use rutile_model::PromDuration;
use serde::Deserialize;

use super::given;

/// Requests at a time, where `max_conns_per_host` does not say.
const DEFAULT_CONCURRENCY: usize = 256;

/// Tries of one request, where `max_retries` does not say: a second or three in all.
const DEFAULT_RETRIES: usize = 5;

/// Seconds during which a request may be tried again: below the life of a signature.
const RETRY_TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Deserialize, Default, Clone)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HttpConfig {
    idle_conn_timeout: Option<PromDuration>,
    response_header_timeout: Option<PromDuration>,
    insecure_skip_verify: Option<bool>,
    tls_handshake_timeout: Option<PromDuration>,
    expect_continue_timeout: Option<PromDuration>,
    max_idle_conns: Option<usize>,
    max_idle_conns_per_host: Option<usize>,
    max_conns_per_host: Option<usize>,
    tls_config: Option<TlsConfig>,
    disable_compression: Option<bool>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(deny_unknown_fields, default)]
struct TlsConfig {
    ca_file: Option<String>,
    cert_file: Option<String>,
    key_file: Option<String>,
    server_name: Option<String>,
    insecure_skip_verify: Option<bool>,
}

/// The client that a bucket sends its requests with.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    client: reqwest::Client,
    /// Requests at a time.
    pub(crate) concurrency: usize,
}

impl HttpConfig {
    /// Makes the client; reads the certificates.
    pub(crate) fn client(&self, component: &str) -> Result<Client, String> {
        self.warn();
        // reqwest panics without one. An error says that there is one already: then that serves.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let idle = self.max_idle_conns_per_host.unwrap_or(100);
        let total = self
            .max_idle_conns
            .filter(|total| *total > 0)
            .unwrap_or(usize::MAX);
        let mut builder = reqwest::Client::builder()
            .user_agent(format!("rutile-{component}/{}", env!("CARGO_PKG_VERSION")))
            .http1_only()
            .tcp_keepalive(Duration::from_secs(30))
            .pool_max_idle_per_host(idle.min(total));
        // A whole request has no limit here: the bucket's own deadline depends on the operation.
        if let Some(limit) = timeout(self.response_header_timeout, 120) {
            builder = builder.read_timeout(limit);
        }
        if let Some(limit) = timeout(self.tls_handshake_timeout, 10) {
            builder = builder.connect_timeout(limit);
        }
        builder = builder.pool_idle_timeout(timeout(self.idle_conn_timeout, 90));
        let tls = self.tls_config.clone().unwrap_or_default();
        builder = tls.apply(builder)?;
        if self.insecure_skip_verify.or(tls.insecure_skip_verify) == Some(true) {
            builder = builder.tls_danger_accept_invalid_certs(true);
        }
        let client = builder
            .build()
            .map_err(|error| format!("`http_config`: {}", root(&error)))?;
        let concurrency = self.max_conns_per_host.filter(|conns| *conns > 0);
        Ok(Client {
            client,
            concurrency: concurrency.unwrap_or(DEFAULT_CONCURRENCY),
        })
    }

    /// What has no effect here is said, unless it is the reference's default.
    fn warn(&self) {
        let expects = self.expect_continue_timeout;
        if expects.is_some_and(|timeout| timeout != PromDuration::from_ms(1000)) {
            tracing::warn!("http_config.expect_continue_timeout has no effect: uploads never wait");
        }
        if self.disable_compression == Some(true) {
            tracing::warn!("http_config.disable_compression has no effect: it is never asked for");
        }
    }
}

impl TlsConfig {
    fn apply(&self, mut builder: reqwest::ClientBuilder) -> Result<reqwest::ClientBuilder, String> {
        if given(&self.server_name).is_some() {
            return Err("`http_config.tls_config.server_name` is not supported: \
                        remove it and use the name in the certificate as `endpoint`"
                .to_owned());
        }
        if let Some(path) = given(&self.ca_file) {
            let certificates = Certificate::from_pem_bundle(&read("ca_file", path)?)
                .map_err(|error| unusable("ca_file", path, &error))?;
            if certificates.is_empty() {
                return Err(unusable("ca_file", path, &"it holds no certificate"));
            }
            builder = builder.tls_certs_only(certificates);
        }
        match (given(&self.cert_file), given(&self.key_file)) {
            (None, None) => Ok(builder),
            (Some(cert), Some(key)) => {
                let mut pem = read("cert_file", cert)?;
                pem.push(b'\n');
                pem.extend(read("key_file", key)?);
                let identity = Identity::from_pem(&pem)
                    .map_err(|error| unusable("cert_file", cert, &root(&error)))?;
                Ok(builder.identity(identity))
            }
            _ => Err(
                "`http_config.tls_config` needs both `cert_file` and `key_file`, or none"
                    .to_owned(),
            ),
        }
    }
}

impl Client {
    /// How often, and how long, one request is tried.
    pub(crate) fn retries(max_retries: Option<usize>) -> RetryConfig {
        RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(100),
                max_backoff: Duration::from_secs(5),
                base: 2.0,
            },
            max_retries: max_retries
                .filter(|tries| *tries > 0)
                .unwrap_or(DEFAULT_RETRIES),
            retry_timeout: RETRY_TIMEOUT,
        }
    }

    pub(crate) fn options() -> ClientOptions {
        // Only tells our connector what a request is for: plain HTTP is decided by the endpoint.
        ClientOptions::new()
            .with_allow_http(true)
            .with_connect_timeout_disabled()
    }
}

impl HttpConnector for Client {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        // Set by the library only for the metadata service of a cloud machine, which is plain
        // HTTP, near or not there at all.
        if options
            .get_config_value(&ClientConfigKey::ConnectTimeout)
            .is_some()
        {
            return object_store::client::ReqwestConnector::default().connect(options);
        }
        Ok(HttpClient::new(self.client.clone()))
    }
}

/// Zero is none, as in the reference.
fn timeout(value: Option<PromDuration>, default_seconds: u64) -> Option<Duration> {
    let limit = value.map_or(Duration::from_secs(default_seconds), |value| {
        Duration::from_millis(value.as_ms().unsigned_abs())
    });
    (!limit.is_zero()).then_some(limit)
}

fn read(key: &str, path: &str) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| unusable(key, path, &error))
}

fn unusable(key: &str, path: &str, why: &dyn std::fmt::Display) -> String {
    format!("`http_config.tls_config.{key}: {path}`: {why}")
}

/// The first cause, which says more than the layers above it.
fn root(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
