//! The flags that components share, to be flattened into their own.
//!
//! Names, defaults and meaning are those of the reference.

use std::sync::Arc;

use clap::Args;
use rutile_model::{ByteSize, ErrorKind, GoDuration, PromDuration};
use rutile_runtime::{Clock, MemoryLimit, SystemClock};
use rutile_telemetry::{LogConfig, LogError, LogFormat, LogLevel};

use crate::component::Context;
use crate::config_flag::PathOrContent;
use crate::failure::Failure;
use crate::spans::TracingConfig;
use crate::tls::{Choice, Clients, Pem, Policy, TlsSettings, Version};
use crate::web_config::WebConfig;

/// The share of the memory that the ledger hands out when nothing else is said.
const DEFAULT_MEMORY_SHARE: f64 = 0.8;
/// Less than this is too little to begin a query with.
const LEAST_MEMORY_BYTES: u64 = 16 << 20;
/// What gRPC is spoken over.
const GRPC_PROTOCOLS: &[&[u8]] = &[b"h2"];

/// Where and how HTTP is served.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "HTTP")]
pub struct HttpArgs {
    /// Listen host:port for HTTP endpoints
    #[arg(long, default_value = "0.0.0.0:10902", value_name = "ADDRESS")]
    pub http_address: String,
    /// Time to wait for open requests after an interrupt
    #[arg(long, default_value = "2m", value_name = "DURATION")]
    pub http_grace_period: PromDuration,
    /// Path of a file that turns on TLS, authentication or headers; it is read again when it changes
    #[arg(long = "http.config", default_value = "", value_name = "PATH")]
    pub http_config: String,
}

/// Where and how gRPC is served.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "gRPC")]
pub struct GrpcArgs {
    /// Listen host:port for gRPC endpoints (StoreAPI); other components must be able to reach it
    #[arg(long, default_value = "0.0.0.0:10901", value_name = "ADDRESS")]
    pub grpc_address: String,
    /// TLS certificate of the server; read again when it changes, as key and CA are
    #[arg(long, default_value = "", value_name = "PATH")]
    pub grpc_server_tls_cert: String,
    /// TLS key of the server
    #[arg(long, default_value = "", value_name = "PATH")]
    pub grpc_server_tls_key: String,
    /// TLS CA to verify clients against; if set, clients must have a certificate
    #[arg(long, default_value = "", value_name = "PATH")]
    pub grpc_server_tls_client_ca: String,
    /// Lowest TLS version (1.2 also stands for older ones)
    #[arg(long, default_value = "1.3", value_parser = ["1.0", "1.1", "1.2", "1.3"])]
    pub grpc_server_tls_min_version: String,
    /// TLS 1.2 cipher suites by Go's names, repeatable [default: all that are safe]
    #[arg(long, value_name = "NAME")]
    pub grpc_server_tls_ciphers: Vec<String>,
    /// TLS curves by Go's names, repeatable [default: all that are safe]
    #[arg(long, value_name = "NAME")]
    pub grpc_server_tls_curves: Vec<String>,
    /// Age at which connections are closed, so that clients balance anew; 0 is never
    #[arg(long, default_value = "60m", value_name = "DURATION")]
    pub grpc_server_max_connection_age: GoDuration,
    /// Time to wait for open calls after an interrupt
    #[arg(long, default_value = "2m", value_name = "DURATION")]
    pub grpc_grace_period: GoDuration,
}

/// How the process logs.
#[derive(Debug, Clone, Args)]
pub struct LogArgs {
    /// Least important level to log
    #[arg(long = "log.level", default_value = "info", value_parser = ["error", "warn", "info", "debug"])]
    pub log_level: String,
    /// Format of log lines; journald is systemd's journal instead of standard error
    #[arg(long = "log.format", default_value = "logfmt", value_parser = ["logfmt", "json", "journald"])]
    pub log_format: String,
    /// Name to show on every log line
    #[arg(
        long = "debug.name",
        default_value = "",
        hide = true,
        value_name = "NAME"
    )]
    pub debug_name: String,
}

/// The flags of every process.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Process")]
pub struct CommonArgs {
    /// Log settings.
    #[command(flatten)]
    pub log: LogArgs,
    /// Tracing settings.
    #[command(flatten)]
    pub tracing: PathOrContent<TracingConfig>,
    /// Memory that requests and caches may reserve, such as 2GB [default: 80% of what this process
    /// may use]
    #[arg(long = "memory.limit", value_name = "BYTES")]
    pub memory_limit: Option<ByteSize>,
    /// Take --auto-gomemlimit.ratio of the memory this process may use as --memory.limit
    #[arg(long)]
    pub enable_auto_gomemlimit: bool,
    /// Share of memory for --enable-auto-gomemlimit, more than 0 and at most 1
    #[arg(
        long = "auto-gomemlimit.ratio",
        default_value = "0.9",
        value_name = "RATIO"
    )]
    pub auto_gomemlimit_ratio: f64,
}

impl HttpArgs {
    /// The web configuration, if there is one.
    ///
    /// # Errors
    /// A failure that names the file.
    pub(crate) async fn web_config(&self, context: &Context) -> Result<Option<WebConfig>, Failure> {
        if self.http_config.is_empty() {
            return Ok(None);
        }
        let config = WebConfig::open(&self.http_config, &*context.entropy).await;
        config.map(Some)
    }
}

impl GrpcArgs {
    /// Refuses flags that do not go together, whatever the files that they name hold.
    ///
    /// # Errors
    /// A failure that names the flag.
    pub fn validate(&self) -> Result<(), Failure> {
        let is_set = |path: &String| !path.is_empty();
        let (cert, key) = (&self.grpc_server_tls_cert, &self.grpc_server_tls_key);
        if is_set(cert) != is_set(key) {
            return Err(Failure::usage(
                "--grpc-server-tls-cert and --grpc-server-tls-key go together: set both or none",
            ));
        }
        if is_set(&self.grpc_server_tls_client_ca) && !is_set(cert) {
            return Err(Failure::usage(
                "--grpc-server-tls-client-ca needs TLS: set --grpc-server-tls-cert and --grpc-server-tls-key",
            ));
        }
        self.tls_choice().check().map_err(|failure| {
            let message = format!("--grpc-server-tls-ciphers, --grpc-server-tls-curves: {failure}");
            Failure::usage(message)
        })
    }

    /// The flags of TLS that say the same, for a component in the same process.
    #[must_use]
    pub fn tls_flags(&self) -> Vec<String> {
        let one = |name: &str, value: &String| {
            let is_set = !value.is_empty();
            is_set.then(|| format!("--grpc-server-tls-{name}={value}"))
        };
        let each = |name: &str, values: &[String]| {
            let flags = values.iter().filter_map(|value| one(name, value));
            flags.collect::<Vec<_>>()
        };
        let single = [
            one("cert", &self.grpc_server_tls_cert),
            one("key", &self.grpc_server_tls_key),
            one("client-ca", &self.grpc_server_tls_client_ca),
            one("min-version", &self.grpc_server_tls_min_version),
        ];
        let mut flags: Vec<_> = single.into_iter().flatten().collect();
        flags.extend(each("ciphers", &self.grpc_server_tls_ciphers));
        flags.extend(each("curves", &self.grpc_server_tls_curves));
        flags
    }

    /// How connections are encrypted; `None` if they are not.
    pub(crate) fn tls_settings(&self) -> Option<TlsSettings> {
        if self.grpc_server_tls_cert.is_empty() {
            return None;
        }
        let authority = &self.grpc_server_tls_client_ca;
        let clients = if authority.is_empty() {
            Clients::ANYBODY
        } else {
            Clients {
                policy: Policy::RequireAndVerify,
                authorities: Some(Pem::file("--grpc-server-tls-client-ca", authority)),
                names: None,
            }
        };
        Some(TlsSettings {
            certificate: Pem::file("--grpc-server-tls-cert", &self.grpc_server_tls_cert),
            key: Pem::file("--grpc-server-tls-key", &self.grpc_server_tls_key),
            clients,
            choice: self.tls_choice(),
            protocols: GRPC_PROTOCOLS,
        })
    }

    fn tls_choice(&self) -> Choice {
        let least = match self.grpc_server_tls_min_version.as_str() {
            "1.3" => Version::Tls13,
            _ => Version::Tls12,
        };
        Choice {
            least,
            most: Version::Tls13,
            ciphers: self.grpc_server_tls_ciphers.clone(),
            curves: self.grpc_server_tls_curves.clone(),
        }
    }
}

impl LogArgs {
    /// The settings of the log, on the clock of the machine.
    ///
    /// # Errors
    /// A failure that names the flag.
    pub fn config(&self) -> Result<LogConfig, Failure> {
        let wrong = |error: LogError| Failure::usage(error.to_string());
        let level: LogLevel = self.log_level.parse().map_err(wrong)?;
        let format: LogFormat = self.log_format.parse().map_err(wrong)?;
        let now_ms = Arc::new(|| SystemClock.now_ms());
        Ok(LogConfig {
            level,
            format,
            name: self.debug_name.clone(),
            now_ms,
        })
    }
}

impl CommonArgs {
    /// Refuses what is out of range.
    ///
    /// # Errors
    /// A failure that names the flag.
    pub fn validate(&self) -> Result<(), Failure> {
        let ratio = self.auto_gomemlimit_ratio;
        if !(ratio > 0.0 && ratio <= 1.0) {
            return Err(Failure::usage(format!(
                "--auto-gomemlimit.ratio is {ratio}: it must be more than 0 and at most 1"
            )));
        }
        if let Some(ByteSize(bytes)) = self.memory_limit
            && bytes < LEAST_MEMORY_BYTES
        {
            return Err(Failure::usage(format!(
                "--memory.limit is {bytes} bytes, and a component needs at least {} MiB: leave it out to get a share of \
                 the machine's memory",
                LEAST_MEMORY_BYTES >> 20
            )));
        }
        Ok(())
    }

    /// The limit of the ledger, in bytes, given what the machine offers.
    ///
    /// # Errors
    /// A failure if the limit is not said and cannot be found out.
    pub fn memory_limit_bytes(&self, machine: Option<MemoryLimit>) -> Result<u64, Failure> {
        if let Some(ByteSize(bytes)) = self.memory_limit {
            return Ok(bytes);
        }
        let share = if self.enable_auto_gomemlimit {
            self.auto_gomemlimit_ratio
        } else {
            DEFAULT_MEMORY_SHARE
        };
        let limit = machine.map(|limit| limit.fraction(share));
        limit.ok_or_else(|| {
            Failure::message(
                ErrorKind::Invalid,
                "cannot find out how much memory there is: set --memory.limit",
            )
        })
    }
}
