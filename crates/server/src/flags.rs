//! The flags that components share, to be flattened into their own.
//!
//! Names, defaults and meaning are those of the reference.

use std::sync::Arc;

use clap::Args;
use rutile_model::{ByteSize, ErrorKind, GoDuration, PromDuration};
use rutile_runtime::{Clock, MemoryLimit, SystemClock};
use rutile_telemetry::{LogConfig, LogError, LogFormat, LogLevel};

use crate::config_flag::{ConfigFlag, PathOrContent};
use crate::failure::Failure;

/// The share of the memory that the ledger hands out when nothing else is said.
const DEFAULT_MEMORY_SHARE: f64 = 0.8;

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
    /// Path of a file that turns on TLS or authentication (not supported yet)
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
    /// TLS certificate of the server (not supported yet)
    #[arg(long, default_value = "", value_name = "PATH")]
    pub grpc_server_tls_cert: String,
    /// TLS key of the server (not supported yet)
    #[arg(long, default_value = "", value_name = "PATH")]
    pub grpc_server_tls_key: String,
    /// TLS CA to verify clients against (not supported yet)
    #[arg(long, default_value = "", value_name = "PATH")]
    pub grpc_server_tls_client_ca: String,
    /// Lowest TLS version (of no effect without TLS)
    #[arg(long, default_value = "1.3", value_parser = ["1.0", "1.1", "1.2", "1.3"])]
    pub grpc_server_tls_min_version: String,
    /// TLS cipher suites, repeatable (not supported yet)
    #[arg(long, value_name = "NAME")]
    pub grpc_server_tls_ciphers: Vec<String>,
    /// TLS curves, repeatable (not supported yet)
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
    /// Format of log lines (journald is not supported yet)
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
    /// Tracing, refused for now.
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

/// Names `--tracing.config`.
#[derive(Debug, Clone)]
pub struct TracingConfig;

impl ConfigFlag for TracingConfig {
    const NAME: &'static str = "tracing.config";
    const HELP: &'static str = "tracing configuration (not supported yet)";
}

impl HttpArgs {
    /// Refuses what is not supported.
    ///
    /// # Errors
    /// A failure that names the flag.
    pub fn validate(&self) -> Result<(), Failure> {
        if self.http_config.is_empty() {
            Ok(())
        } else {
            Err(Failure::unsupported_flag("--http.config"))
        }
    }
}

impl GrpcArgs {
    /// Refuses what is not supported.
    ///
    /// # Errors
    /// A failure that names the flag.
    pub fn validate(&self) -> Result<(), Failure> {
        let set = [
            (
                "--grpc-server-tls-cert",
                !self.grpc_server_tls_cert.is_empty(),
            ),
            (
                "--grpc-server-tls-key",
                !self.grpc_server_tls_key.is_empty(),
            ),
            (
                "--grpc-server-tls-client-ca",
                !self.grpc_server_tls_client_ca.is_empty(),
            ),
            (
                "--grpc-server-tls-ciphers",
                !self.grpc_server_tls_ciphers.is_empty(),
            ),
            (
                "--grpc-server-tls-curves",
                !self.grpc_server_tls_curves.is_empty(),
            ),
        ];
        match set.iter().find(|(_, is_set)| *is_set) {
            Some((flag, _)) => Err(Failure::unsupported_flag(flag)),
            None => Ok(()),
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
    /// Refuses what is not supported or out of range.
    ///
    /// # Errors
    /// A failure that names the flag.
    pub fn validate(&self) -> Result<(), Failure> {
        if self.tracing.is_set() {
            return Err(Failure::unsupported_flag("--tracing.config"));
        }
        let ratio = self.auto_gomemlimit_ratio;
        if !(ratio > 0.0 && ratio <= 1.0) {
            return Err(Failure::usage(format!(
                "--auto-gomemlimit.ratio is {ratio}: it must be more than 0 and at most 1"
            )));
        }
        if self.memory_limit == Some(ByteSize(0)) {
            return Err(Failure::usage(
                "--memory.limit is 0: leave it out to get a share of the machine's memory",
            ));
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
