//! The YAML of `--tracing.config`, as in the reference (`pkg/tracing/client`, `pkg/tracing/otlp`).

use std::collections::BTreeMap;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use rutile_model::config::parse_yaml;
use rutile_model::{ErrorKind, GoDuration};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::sampler::Sampling;
use crate::config_flag::ConfigFlag;
use crate::failure::Failure;

/// Kinds of backends that the reference has, and this does not.
const OTHERS: [&str; 5] = [
    "JAEGER",
    "STACKDRIVER",
    "GOOGLE_CLOUD",
    "ELASTIC_APM",
    "LIGHTSTEP",
];
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
const FIRST_RETRY: Duration = Duration::from_secs(5);
const LAST_RETRY: Duration = Duration::from_secs(30);
const RETRY_WITHIN: Duration = Duration::from_secs(60);

/// Names `--tracing.config`.
#[derive(Debug, Clone)]
pub struct TracingConfig;

impl ConfigFlag for TracingConfig {
    const NAME: &'static str = "tracing.config";
    const HELP: &'static str = "where spans go by OTLP, and of which requests";
}

/// What the YAML comes down to.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) protocol: Protocol,
    /// `host:port`.
    pub(super) endpoint: String,
    /// Without TLS.
    pub(super) insecure: bool,
    /// Of HTTP alone, with its slash.
    pub(super) path: String,
    pub(super) gzip: bool,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) tls: Tls,
    /// Of one try.
    pub(super) timeout: Duration,
    pub(super) retry: Option<Retry>,
    pub(super) sampler: Sampling,
    pub(super) resource: Resource,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Grpc,
    Http,
}

/// How long, and how often, a batch is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Retry {
    pub(super) first: Duration,
    pub(super) longest: Duration,
    pub(super) within: Duration,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Tls {
    pub(super) ca_file: String,
    pub(super) cert_file: String,
    pub(super) key_file: String,
    pub(super) server_name: String,
    pub(super) insecure_skip_verify: bool,
}

/// What is read first, so that another kind is not refused for its keys.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kind {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, rename = "config")]
    _config: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(rename = "type")]
    _kind: String,
    #[serde(default)]
    config: Otlp,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Otlp {
    client_type: String,
    service_name: String,
    resource_attributes: BTreeMap<String, String>,
    /// Of no effect: a connection that was lost is made again when it is needed.
    #[serde(rename = "reconnection_period")]
    _reconnection_period: Option<GoDuration>,
    compression: String,
    insecure: bool,
    endpoint: String,
    url_path: String,
    timeout: Option<GoDuration>,
    retry_config: Option<RetryConfig>,
    headers: BTreeMap<String, String>,
    tls_config: Tls,
    sampler_type: String,
    sampler_param: Param,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RetryConfig {
    retry_enabled: Option<bool>,
    retry_initial_interval: Option<GoDuration>,
    retry_max_interval: Option<GoDuration>,
    retry_max_elapsed_time: Option<GoDuration>,
}

/// A number, or the text of one.
#[derive(Deserialize)]
#[serde(untagged)]
enum Param {
    Number(f64),
    Text(String),
}

impl Default for Param {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl Settings {
    /// Reads the YAML; `program` is the name of the service where it names none.
    ///
    /// # Errors
    /// A failure of kind `Invalid`: an unknown key, with its place; a value that cannot be, with what can.
    pub(super) fn from_yaml(yaml: &str, program: &str) -> Result<Self, Failure> {
        let Kind { kind, .. } = parse(yaml)?;
        let upper = kind.to_ascii_uppercase();
        if OTHERS.contains(&upper.as_str()) {
            return Err(wrong(format!(
                "`type: {kind}` is not supported: use OTLP, which all of these backends take, or a collector in front of them"
            )));
        }
        if upper != "OTLP" {
            return Err(wrong(format!("`type: {kind}` is unknown: use OTLP")));
        }
        let Document { config, .. } = parse(yaml)?;
        let protocol = match config.client_type.as_str() {
            "grpc" => Protocol::Grpc,
            "http" => Protocol::Http,
            "" => {
                return Err(wrong(
                    "`config.client_type` is missing: set it to grpc or http",
                ));
            }
            other => {
                return Err(wrong(format!(
                    "`config.client_type: {other}` is unknown: use grpc or http"
                )));
            }
        };
        let gzip = match config.compression.as_str() {
            "" | "none" => false,
            "gzip" => true,
            other => {
                return Err(wrong(format!(
                    "`config.compression: {other}` is unknown: use gzip, or leave it out"
                )));
            }
        };
        let settings = Self {
            protocol,
            endpoint: endpoint(protocol, &config)?,
            insecure: config.insecure,
            path: path(&config.url_path),
            gzip,
            timeout: or(config.timeout, DEFAULT_TIMEOUT),
            retry: retry(config.retry_config.as_ref()),
            sampler: sampler(&config)?,
            resource: resource(&config, program),
            headers: config.headers,
            tls: config.tls_config,
        };
        settings.tls.check(protocol)?;
        Ok(settings)
    }
}

impl Tls {
    fn check(&self, protocol: Protocol) -> Result<(), Failure> {
        if self.cert_file.is_empty() != self.key_file.is_empty() {
            return Err(wrong(
                "`config.tls_config` needs both `cert_file` and `key_file`, or none",
            ));
        }
        if protocol == Protocol::Grpc && self.insecure_skip_verify {
            return Err(wrong(
                "`config.tls_config.insecure_skip_verify` is not supported with `client_type: grpc`: \
                 set `ca_file` to the authority of the collector, or use `client_type: http`",
            ));
        }
        if protocol == Protocol::Http && !self.server_name.is_empty() {
            return Err(wrong(
                "`config.tls_config.server_name` is not supported with `client_type: http`: \
                 use the name in the certificate as `endpoint`",
            ));
        }
        Ok(())
    }
}

fn parse<T: serde::de::DeserializeOwned>(yaml: &str) -> Result<T, Failure> {
    parse_yaml(yaml).map_err(|error| Failure::new(error.kind(), &error))
}

fn wrong(message: impl Into<String>) -> Failure {
    Failure::message(ErrorKind::Invalid, message.into())
}

/// Zero stands for what is left out, as in the reference.
fn or(duration: Option<GoDuration>, default: Duration) -> Duration {
    let given = duration.map(GoDuration::to_std);
    given.filter(|given| !given.is_zero()).unwrap_or(default)
}

fn endpoint(protocol: Protocol, config: &Otlp) -> Result<String, Failure> {
    let default = match protocol {
        Protocol::Grpc => "localhost:4317",
        Protocol::Http => "localhost:4318",
    };
    let endpoint = match config.endpoint.as_str() {
        "" => default,
        given => given,
    };
    let is_authority = endpoint.parse::<http::uri::Authority>().is_ok();
    if !is_authority {
        return Err(wrong(format!(
            "`config.endpoint: {endpoint}` is not host:port: leave out the scheme, which `insecure` decides, and the \
             path, which is `url_path`"
        )));
    }
    Ok(endpoint.to_owned())
}

fn path(given: &str) -> String {
    match given.trim_start_matches('/') {
        "" => "/v1/traces".to_owned(),
        path => format!("/{path}"),
    }
}

fn retry(config: Option<&RetryConfig>) -> Option<Retry> {
    let default = RetryConfig::default();
    let config = config.unwrap_or(&default);
    config.retry_enabled.unwrap_or(true).then(|| Retry {
        first: or(config.retry_initial_interval, FIRST_RETRY),
        longest: or(config.retry_max_interval, LAST_RETRY),
        within: or(config.retry_max_elapsed_time, RETRY_WITHIN),
    })
}

fn sampler(config: &Otlp) -> Result<Sampling, Failure> {
    let ratio = || {
        let (ratio, text) = match &config.sampler_param {
            Param::Number(ratio) => (Some(*ratio), ratio.to_string()),
            Param::Text(text) => (text.parse().ok(), text.clone()),
        };
        let ratio = ratio.filter(|ratio| (0.0..=1.0).contains(ratio));
        ratio.ok_or_else(|| {
            wrong(format!(
                "`config.sampler_param: {text:?}` is not a share of all traces between 0 and 1, which `sampler_type: {}` needs",
                config.sampler_type
            ))
        })
    };
    let kind = config.sampler_type.to_ascii_lowercase();
    Ok(match kind.as_str() {
        "alwayssample" => Sampling::all(),
        "neversample" => Sampling::none(),
        "traceidratiobased" => Sampling::share(ratio()?),
        "" | "parentbasedalwayssample" => Sampling::all().by_parent(),
        "parentbasedneversample" => Sampling::none().by_parent(),
        "parentbasedtraceidratiobased" => Sampling::share(ratio()?).by_parent(),
        _ => {
            return Err(wrong(format!(
                "`config.sampler_type: {}` is unknown: use alwayssample, neversample or traceidratiobased, or one of \
                 these after parentbased",
                config.sampler_type
            )));
        }
    })
}

fn resource(config: &Otlp, program: &str) -> Resource {
    let service = match config.service_name.as_str() {
        "" => program,
        name => name,
    };
    let attributes = config.resource_attributes.iter();
    let attributes = attributes.map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
    Resource::builder_empty()
        .with_service_name(service.to_owned())
        .with_attributes(attributes)
        .build()
}

#[cfg(test)]
mod tests;
