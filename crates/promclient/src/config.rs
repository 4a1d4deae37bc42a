//! How connections are made: the YAML of `--prometheus.http-client`.
//!
//! Keys and units are Thanos's (`pkg/clientconfig/http.go`): durations are integers, nanoseconds.

use std::fmt;
use std::fs;
use std::time::Duration;

use reqwest::tls::{Certificate, Identity};
use reqwest::{ClientBuilder, RequestBuilder};
use rutile_model::ErrorKind;
use rutile_model::config::parse_yaml;
use serde::Deserialize;

use crate::error::root;
use crate::{Error, Result};

/// Longest time to connect, where nothing else is set.
const CONNECT_WITHIN: Duration = Duration::from_secs(15);
/// Longest silence of a server that owes an answer, where nothing else is set.
const SILENCE: Duration = Duration::from_secs(120);
/// How long an idle connection is kept, where nothing else is set.
const IDLE: Duration = Duration::from_secs(90);

/// Credentials, certificates and limits of connections. Never shown: it may hold secrets.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    basic_auth: BasicAuth,
    bearer_token: String,
    bearer_token_file: String,
    proxy_url: String,
    tls_config: TlsConfig,
    transport_config: TransportConfig,
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct BasicAuth {
    username: String,
    password: String,
    password_file: String,
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TlsConfig {
    ca_file: String,
    cert_file: String,
    key_file: String,
    server_name: String,
    insecure_skip_verify: bool,
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TransportConfig {
    max_idle_conns: Option<usize>,
    max_idle_conns_per_host: Option<usize>,
    idle_conn_timeout: Option<u64>,
    response_header_timeout: Option<u64>,
    /// Of no effect: requests are small and are sent at once.
    #[serde(rename = "expect_continue_timeout")]
    _expect_continue_timeout: Option<u64>,
    /// Of no effect: callers bound what they ask at a time.
    #[serde(rename = "max_conns_per_host")]
    _max_conns_per_host: Option<usize>,
    /// Of no effect: compression is never asked for.
    #[serde(rename = "disable_compression")]
    _disable_compression: Option<bool>,
    tls_handshake_timeout: Option<u64>,
    dialer_timeout: Option<u64>,
}

/// What goes with every request. Files are read again for each, so that they may change.
#[derive(Clone)]
pub(crate) enum Credentials {
    None,
    Basic { username: String, password: Secret },
    Bearer(Secret),
}

#[derive(Clone)]
pub(crate) enum Secret {
    Text(String),
    File(String),
}

impl HttpConfig {
    /// Reads the YAML; an empty text is the default.
    ///
    /// # Errors
    /// `Invalid`: the message names line, key and what is wrong.
    pub fn parse(yaml: &str) -> Result<Self> {
        parse_yaml(yaml).map_err(|error| Error::invalid(error.to_string()))
    }

    pub(crate) fn credentials(&self) -> Result<Credentials> {
        let BasicAuth {
            username,
            password,
            password_file,
        } = &self.basic_auth;
        let password = secret("basic_auth.password", password, password_file)?;
        let bearer = secret("bearer_token", &self.bearer_token, &self.bearer_token_file)?;
        let is_basic = !username.is_empty() || password.is_some();
        match (is_basic, bearer) {
            (true, Some(_)) => Err(Error::invalid(
                "`basic_auth` and `bearer_token` are both set: use one of them",
            )),
            (true, None) => Ok(Credentials::Basic {
                username: username.clone(),
                password: password.unwrap_or(Secret::Text(String::new())),
            }),
            (false, Some(token)) => Ok(Credentials::Bearer(token)),
            (false, None) => Ok(Credentials::None),
        }
    }

    /// Makes the client; reads the certificates.
    pub(crate) fn client(&self, user_agent: &str) -> Result<reqwest::Client> {
        // reqwest panics without one. An error says that there is one already: then that serves.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let transport = &self.transport_config;
        let connect = match (transport.dialer_timeout, transport.tls_handshake_timeout) {
            (None, None) => CONNECT_WITHIN,
            (dial, tls) => Duration::from_nanos(dial.unwrap_or(0).saturating_add(tls.unwrap_or(0))),
        };
        let mut builder = reqwest::Client::builder()
            .user_agent(user_agent)
            .http1_only()
            .tcp_keepalive(Duration::from_secs(30))
            .pool_idle_timeout(limit(transport.idle_conn_timeout, IDLE))
            .no_proxy();
        if let Some(silence) = limit(transport.response_header_timeout, SILENCE) {
            builder = builder.read_timeout(silence);
        }
        if !connect.is_zero() {
            builder = builder.connect_timeout(connect);
        }
        let idle = transport
            .max_idle_conns_per_host
            .or(transport.max_idle_conns);
        if let Some(idle) = idle.filter(|idle| *idle > 0) {
            builder = builder.pool_max_idle_per_host(idle);
        }
        if !self.proxy_url.is_empty() {
            let proxy = reqwest::Proxy::all(&self.proxy_url)
                .map_err(|error| Error::invalid(format!("`proxy_url`: {}", root(&error))))?;
            builder = builder.proxy(proxy);
        }
        let built = self.tls_config.apply(builder)?.build();
        built.map_err(|error| Error::invalid(format!("cannot make a client: {}", root(&error))))
    }
}

impl TlsConfig {
    fn apply(&self, mut builder: ClientBuilder) -> Result<ClientBuilder> {
        if !self.server_name.is_empty() {
            return Err(Error::invalid(
                "`tls_config.server_name` is not supported: remove it and use the name in the \
                 certificate as host of the URL",
            ));
        }
        if !self.ca_file.is_empty() {
            let certificates = Certificate::from_pem_bundle(&read("ca_file", &self.ca_file)?)
                .map_err(|error| unusable("ca_file", &self.ca_file, &error))?;
            if certificates.is_empty() {
                return Err(unusable(
                    "ca_file",
                    &self.ca_file,
                    &"it holds no certificate",
                ));
            }
            builder = builder.tls_certs_only(certificates);
        }
        if self.insecure_skip_verify {
            builder = builder.tls_danger_accept_invalid_certs(true);
        }
        match (self.cert_file.as_str(), self.key_file.as_str()) {
            ("", "") => Ok(builder),
            ("", _) | (_, "") => Err(Error::invalid(
                "`tls_config` needs both `cert_file` and `key_file`, or none",
            )),
            (cert, key) => {
                let mut pem = read("cert_file", cert)?;
                pem.push(b'\n');
                pem.extend(read("key_file", key)?);
                let identity = Identity::from_pem(&pem)
                    .map_err(|error| unusable("cert_file", cert, &root(&error)))?;
                Ok(builder.identity(identity))
            }
        }
    }
}

impl Credentials {
    /// Puts them on a request.
    pub(crate) async fn apply(&self, request: RequestBuilder) -> Result<RequestBuilder> {
        Ok(match self {
            Self::None => request,
            Self::Basic { username, password } => {
                request.basic_auth(username, Some(password.text().await?))
            }
            Self::Bearer(token) => request.bearer_auth(token.text().await?),
        })
    }
}

impl Secret {
    async fn text(&self) -> Result<String> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::File(path) => match tokio::fs::read_to_string(path).await {
                Ok(text) => Ok(text.trim().to_owned()),
                Err(error) => Err(Error::new(
                    ErrorKind::Denied,
                    format!("cannot read the credentials in {path}: {error}"),
                )),
            },
        }
    }
}

impl fmt::Debug for HttpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpConfig").finish_non_exhaustive()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Basic { .. } => "Basic",
            Self::Bearer(_) => "Bearer",
        })
    }
}

fn secret(key: &str, text: &str, file: &str) -> Result<Option<Secret>> {
    match (text, file) {
        ("", "") => Ok(None),
        (text, "") => Ok(Some(Secret::Text(text.to_owned()))),
        ("", file) => Ok(Some(Secret::File(file.to_owned()))),
        _ => Err(Error::invalid(format!(
            "`{key}` and `{key}_file` are both set: use one of them"
        ))),
    }
}

/// Zero is none, as in the reference.
fn limit(nanoseconds: Option<u64>, default: Duration) -> Option<Duration> {
    let limit = nanoseconds.map_or(default, Duration::from_nanos);
    (!limit.is_zero()).then_some(limit)
}

fn read(key: &str, path: &str) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| unusable(key, path, &error))
}

fn unusable(key: &str, path: &str, why: &dyn fmt::Display) -> Error {
    Error::invalid(format!("`tls_config.{key}: {path}`: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(yaml: &str) -> Result<Credentials, String> {
        let config = HttpConfig::parse(yaml).map_err(|error| error.to_string())?;
        config.credentials().map_err(|error| error.to_string())
    }

    #[test]
    fn credentials_are_of_one_kind() {
        assert!(matches!(credentials(""), Ok(Credentials::None)));
        let basic = credentials("basic_auth: {username: a, password: b}").unwrap();
        assert!(matches!(basic, Credentials::Basic { username, .. } if username == "a"));
        assert!(matches!(
            credentials("bearer_token_file: /x").unwrap(),
            Credentials::Bearer(Secret::File(path)) if path == "/x"
        ));
        let refused = |yaml: &str, why: &str| {
            let error = credentials(yaml).unwrap_err();
            assert!(error.contains(why), "{yaml}: {error}");
        };
        refused("bearer_token: a\nbasic_auth: {username: a}", "both set");
        refused("bearer_token: a\nbearer_token_file: b", "bearer_token_file");
        refused("bearer_tokn: a", "bearer_tokn");
    }

    #[test]
    fn wrong_certificates_name_their_key() {
        let client = |yaml: &str| {
            let made = HttpConfig::parse(yaml).unwrap().client("test");
            made.map(drop).map_err(|error| error.to_string())
        };
        client("").unwrap();
        client("transport_config: {response_header_timeout: 1000000000}").unwrap();
        for (yaml, why) in [
            ("tls_config: {ca_file: /nowhere}", "ca_file: /nowhere"),
            ("tls_config: {cert_file: a}", "key_file"),
            ("tls_config: {server_name: a}", "server_name"),
            ("proxy_url: 'http://['", "proxy_url"),
        ] {
            let error = client(yaml).unwrap_err();
            assert!(error.contains(why), "{yaml}: {error}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let config = HttpConfig::parse("bearer_token: hidden").unwrap();
        let shown = format!("{config:?} {:?}", config.credentials().unwrap());
        assert!(!shown.contains("hidden"), "{shown}");
    }
}
