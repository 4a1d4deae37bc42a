//! The YAML of caches that processes share. Keys and defaults are the reference's (`pkg/cacheutil`).

use std::time::Duration;

use rutile_discovery::Address;
use rutile_model::{ByteSize, ErrorKind, GoDuration};
use serde::Deserialize;

use crate::{Error, Result};

/// A memcached, or several of them between which keys are divided.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MemcachedConfig {
    /// Where they are: `host:port`, or a lookup and a name.
    pub addresses: Vec<String>,
    /// For each operation.
    pub timeout: GoDuration,
    /// Connections to each server that are kept open.
    pub max_idle_connections: usize,
    /// Writes under way at a time.
    pub max_async_concurrency: usize,
    /// Writes that may wait; further ones are dropped.
    pub max_async_buffer_size: usize,
    /// Longer values are not cached; 0: any length that the servers take.
    pub max_item_size: ByteSize,
    /// Reads under way at a time; 0: as many as there are.
    pub max_get_multi_concurrency: usize,
    /// Keys of a read; 0: as many as there are.
    pub max_get_multi_batch_size: usize,
    /// How often names are looked up.
    pub dns_provider_update_interval: GoDuration,
    pub(crate) auto_discovery: bool,
    /// When writes are given up for a while.
    pub set_async_circuit_breaker_config: BreakerConfig,
}

/// A Redis.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RedisConfig {
    /// `host:port`.
    pub addr: String,
    /// Put before every key.
    pub prefix: String,
    /// Whom to log in as; empty: the default user.
    pub username: String,
    /// Empty: nobody logs in.
    pub password: String,
    /// Number of the database.
    pub db: i64,
    /// For connecting.
    pub dial_timeout: GoDuration,
    /// For each read.
    pub read_timeout: GoDuration,
    /// For each write.
    pub write_timeout: GoDuration,
    /// Reads under way at a time; 0: as many as there are.
    pub max_get_multi_concurrency: usize,
    /// Keys of a read; 0: as many as there are.
    pub get_multi_batch_size: usize,
    pub(crate) max_set_multi_concurrency: usize,
    pub(crate) set_multi_batch_size: usize,
    pub(crate) tls_enabled: bool,
    pub(crate) tls_config: RedisTls,
    pub(crate) cache_size: ByteSize,
    pub(crate) master_name: String,
    /// Writes that may wait; further ones are dropped.
    pub max_async_buffer_size: usize,
    /// Writes under way at a time.
    pub max_async_concurrency: usize,
    /// When writes are given up for a while.
    pub set_async_circuit_breaker_config: BreakerConfig,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RedisTls {
    ca_file: String,
    cert_file: String,
    key_file: String,
    server_name: String,
    insecure_skip_verify: bool,
    min_version: String,
}

/// When operations are given up for a while, because they fail.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerConfig {
    /// Whether they ever are.
    pub enabled: bool,
    /// Operations that are tried after that while before all are; 0 is 1.
    pub half_open_max_requests: u32,
    /// How long they are given up; 0 is a minute.
    pub open_duration: GoDuration,
    /// Less operations within 10 s say nothing.
    pub min_requests: u32,
    /// Failures in a row that are too many.
    pub consecutive_failures: u32,
    /// Share of failures that is too large.
    pub failure_percent: f64,
}

impl Default for MemcachedConfig {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            timeout: GoDuration::from_ms(500),
            max_idle_connections: 100,
            max_async_concurrency: 20,
            max_async_buffer_size: 10_000,
            max_item_size: ByteSize(1 << 20),
            max_get_multi_concurrency: 100,
            max_get_multi_batch_size: 0,
            dns_provider_update_interval: GoDuration::from_ms(10_000),
            auto_discovery: false,
            set_async_circuit_breaker_config: BreakerConfig::default(),
        }
    }
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            addr: String::new(),
            prefix: String::new(),
            username: String::new(),
            password: String::new(),
            db: 0,
            dial_timeout: GoDuration::from_ms(5_000),
            read_timeout: GoDuration::from_ms(3_000),
            write_timeout: GoDuration::from_ms(3_000),
            max_get_multi_concurrency: 100,
            get_multi_batch_size: 100,
            max_set_multi_concurrency: 100,
            set_multi_batch_size: 100,
            tls_enabled: false,
            tls_config: RedisTls::default(),
            cache_size: ByteSize(0),
            master_name: String::new(),
            max_async_buffer_size: 10_000,
            max_async_concurrency: 20,
            set_async_circuit_breaker_config: BreakerConfig::default(),
        }
    }
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            half_open_max_requests: 10,
            open_duration: GoDuration::from_ms(5_000),
            min_requests: 50,
            consecutive_failures: 5,
            failure_percent: 0.05,
        }
    }
}

impl MemcachedConfig {
    pub(super) fn check(&self, flag: &'static str) -> Result<()> {
        if self.addresses.is_empty() {
            return Err(invalid(flag, "config.addresses is empty: name a memcached"));
        }
        self.parsed_addresses(flag)?;
        positive(flag, "config.timeout", self.timeout)?;
        let interval = self.dns_provider_update_interval;
        positive(flag, "config.dns_provider_update_interval", interval)?;
        if self.max_async_concurrency == 0 {
            return Err(invalid(
                flag,
                "config.max_async_concurrency is 0: set it to 1 or more",
            ));
        }
        if self.auto_discovery {
            return Err(unsupported(flag, "config.auto_discovery"));
        }
        self.set_async_circuit_breaker_config.check(flag)
    }

    /// The addresses in their forms.
    pub(crate) fn parsed_addresses(&self, flag: &'static str) -> Result<Vec<Address>> {
        let parse = |text: &String| {
            Address::parse(text)
                .map_err(|error| invalid(flag, &format!("config.addresses: {error}")))
        };
        self.addresses.iter().map(parse).collect()
    }
}

impl RedisConfig {
    pub(super) fn check(&self, flag: &'static str) -> Result<()> {
        if self.addr.is_empty() {
            return Err(invalid(flag, "config.addr is empty: name a Redis"));
        }
        if self.addr.contains(',') {
            return Err(unsupported(flag, "config.addr with several addresses"));
        }
        Address::parse(&self.addr)
            .ok()
            .filter(|address| address.lookup().is_none())
            .ok_or_else(|| {
                let message = format!("config.addr is {:?}: write host:port", self.addr);
                invalid(flag, &message)
            })?;
        for (key, value) in [
            ("config.dial_timeout", self.dial_timeout),
            ("config.read_timeout", self.read_timeout),
            ("config.write_timeout", self.write_timeout),
        ] {
            positive(flag, key, value)?;
        }
        if self.max_async_concurrency == 0 {
            return Err(invalid(
                flag,
                "config.max_async_concurrency is 0: set it to 1 or more",
            ));
        }
        for (key, is_set) in [
            ("config.tls_enabled", self.tls_enabled),
            ("config.master_name", !self.master_name.is_empty()),
            ("config.cache_size", self.cache_size.bytes() > 0),
        ] {
            if is_set {
                return Err(unsupported(flag, key));
            }
        }
        self.set_async_circuit_breaker_config.check(flag)
    }
}

impl BreakerConfig {
    fn check(&self, flag: &'static str) -> Result<()> {
        if !self.enabled {
            return Ok(());
        }
        let place = "config.set_async_circuit_breaker_config";
        if self.consecutive_failures == 0 {
            let message = format!("{place}.consecutive_failures is 0: set it to 1 or more");
            return Err(invalid(flag, &message));
        }
        if !(self.failure_percent > 0.0 && self.failure_percent <= 1.0) {
            let message = format!(
                "{place}.failure_percent is {}: it must be more than 0 and at most 1",
                self.failure_percent
            );
            return Err(invalid(flag, &message));
        }
        Ok(())
    }

    /// How long operations are given up.
    pub(crate) fn pause(&self) -> Duration {
        let pause = self.open_duration.to_std();
        if pause.is_zero() {
            Duration::from_mins(1)
        } else {
            pause
        }
    }
}

impl std::fmt::Debug for RedisConfig {
    /// Leaves the password out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisConfig")
            .field("addr", &self.addr)
            .field("db", &self.db)
            .finish_non_exhaustive()
    }
}

fn positive(flag: &'static str, key: &str, value: GoDuration) -> Result<()> {
    if value.to_std().is_zero() {
        return Err(invalid(
            flag,
            &format!("{key} is {value}: it must be longer than 0s"),
        ));
    }
    Ok(())
}

fn invalid(flag: &'static str, message: &str) -> Error {
    Error::new(ErrorKind::Invalid, flag, message)
}

fn unsupported(flag: &'static str, what: &str) -> Error {
    let message = format!("{what} is not supported yet: leave it out");
    Error::new(ErrorKind::Unsupported, flag, message)
}
