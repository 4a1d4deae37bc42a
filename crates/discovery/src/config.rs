//! The endpoint configuration file (`--endpoint.sd-config`).

use std::path::PathBuf;

use rutile_model::config::parse_yaml;
use serde::Deserialize;

use crate::{Address, ClientConfig, Compression, Error, Result, TlsConfig};

/// An endpoint, or a group of them, as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it is, or how to find out.
    pub address: Address,
    /// Always asked, even if it does not answer Info. Such an address is not looked up.
    pub strict: bool,
    /// All that the lookup finds counts as one endpoint, and one of them is asked at a time.
    pub group: bool,
    /// How to connect.
    pub client: ClientConfig,
}

/// A read configuration file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndpointsFile {
    /// In the order of the file.
    pub entries: Vec<Entry>,
    /// How to connect to endpoints for which the file does not say it, those of flags among them.
    pub default_client: ClientConfig,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    default_client_config: Client,
    endpoints: Vec<Endpoint>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Endpoint {
    address: String,
    strict: bool,
    group: bool,
    service_config: String,
    client_config: Client,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Client {
    tls_config: Tls,
    server_name: String,
    compression: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Tls {
    enabled: Option<bool>,
    insecure_skip_verify: Option<bool>,
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    min_version: Option<String>,
}

impl Entry {
    /// An endpoint of a flag.
    ///
    /// # Errors
    /// `Invalid`: not an address, or a strict one that would have to be looked up.
    pub fn new(address: &str, strict: bool, group: bool, client: ClientConfig) -> Result<Self> {
        let address = Address::parse(address)?;
        if strict && address.lookup().is_some() {
            return Err(Error::invalid(format!(
                "endpoint {address} is strict, so it must be host:port and not be looked up"
            )));
        }
        Ok(Self {
            address,
            strict,
            group,
            client,
        })
    }
}

impl EndpointsFile {
    /// Reads the text of a file. `flags` is how to connect where the file does not say it.
    ///
    /// # Errors
    /// `Invalid`: unknown keys, addresses that are none, values that contradict each other.
    pub fn parse(text: &str, flags: &ClientConfig) -> Result<Self> {
        let file: File = parse_yaml(text).map_err(|error| Error::invalid(error.to_string()))?;
        let default_client = file
            .default_client_config
            .over(flags)
            .map_err(|error| Error::invalid(format!("default_client_config: {error}")))?;
        let entries = file.endpoints.iter().enumerate().map(|(i, endpoint)| {
            endpoint
                .entry(&default_client)
                .map_err(|error| Error::invalid(format!("endpoints[{i}]: {error}")))
        });
        Ok(Self {
            entries: entries.collect::<Result<_>>()?,
            default_client,
        })
    }
}

impl Endpoint {
    fn entry(&self, default: &ClientConfig) -> Result<Entry> {
        if !self.service_config.is_empty() {
            if !self.group {
                return Err(Error::invalid(format!(
                    "{:?} is no group: only a group has a service_config",
                    self.address
                )));
            }
            tracing::warn!(
                endpoint = %self.address,
                "service_config is not followed: members are asked in turn, each call three times at most"
            );
        }
        let client = self.client_config.over(default)?;
        Entry::new(&self.address, self.strict, self.group, client)
    }
}

impl Client {
    /// What is set here, and `default` for the rest. Once TLS is said to be on or off here, none of
    /// its settings come from there.
    fn over(&self, default: &ClientConfig) -> Result<ClientConfig> {
        let compression = match self.compression.as_deref() {
            None | Some("") => default.compression,
            Some("none") => Compression::None,
            Some("snappy") => Compression::Snappy,
            Some(other) => {
                let message = format!("compression {other:?} is unknown: use none or snappy");
                return Err(Error::invalid(message));
            }
        };
        let on = self.tls_config.enabled;
        let base = default.tls.clone().filter(|_| on.is_none());
        let is_on = on.unwrap_or_else(|| base.is_some() || self.tls_config.turns_on());
        let tls = Some(self.tls(base.unwrap_or_default())?).filter(|_| is_on);
        Ok(ClientConfig { tls, compression })
    }

    fn tls(&self, default: TlsConfig) -> Result<TlsConfig> {
        let tls = &self.tls_config;
        let file = |own: &Option<PathBuf>, other: Option<PathBuf>| match own {
            Some(path) if path.as_os_str().is_empty() => None,
            Some(path) => Some(path.clone()),
            None => other,
        };
        let config = TlsConfig {
            insecure_skip_verify: tls
                .insecure_skip_verify
                .unwrap_or(default.insecure_skip_verify),
            cert_file: file(&tls.cert_file, default.cert_file),
            key_file: file(&tls.key_file, default.key_file),
            ca_file: file(&tls.ca_file, default.ca_file),
            server_name: if self.server_name.is_empty() {
                default.server_name
            } else {
                Some(self.server_name.clone())
            },
            allow_tls12: match tls.min_version.as_deref() {
                None | Some("") => default.allow_tls12,
                Some("1.3") => false,
                Some("1.0" | "1.1" | "1.2") => true,
                Some(other) => {
                    let message = format!("min_version {other:?} is unknown: use 1.2 or 1.3");
                    return Err(Error::invalid(message));
                }
            },
        };
        if config.cert_file.is_some() != config.key_file.is_some() {
            return Err(Error::invalid(
                "cert_file and key_file go together: set both or none",
            ));
        }
        Ok(config)
    }
}

impl Tls {
    /// Whether a key is set that makes sense only with TLS.
    fn turns_on(&self) -> bool {
        self.insecure_skip_verify.is_some()
            || self.cert_file.is_some()
            || self.key_file.is_some()
            || self.ca_file.is_some()
    }
}

#[cfg(test)]
mod tests;
