//! The flags of the sidecar: names, defaults and meaning are Thanos's.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use rutile_block::Source;
use rutile_lifecycle::HashFunc;
use rutile_model::{GoDuration, TimeOrDuration};
use rutile_promclient::{Client, HttpConfig};
use rutile_server::{Failure, GrpcArgs, HttpArgs, PathOrContent, RequestLogging, config_flag};
use rutile_shipper::DEFAULT_LIST_FILE;
use rutile_storeapi::CallLimits;

use crate::checks::Uploads;
use crate::peer::PeerConfig;
use crate::reloader::{ReloaderConfig, Trigger};

/// All flags of `rutile-sidecar` but those that every component has.
#[derive(Debug, Clone, Args)]
pub struct SidecarArgs {
    #[command(flatten)]
    pub(crate) http: HttpArgs,
    #[command(flatten)]
    pub(crate) grpc: GrpcArgs,
    #[command(flatten)]
    pub(crate) prometheus: PrometheusArgs,
    #[command(flatten)]
    pub(crate) reloader: ReloaderArgs,
    #[command(flatten)]
    pub(crate) upload: UploadArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) request_logging: PathOrContent<RequestLogging>,
}

config_flag!(
    /// The bucket.
    Objstore, "objstore.config",
    "the bucket, with $(VAR) from the environment; without it nothing is uploaded"
);
config_flag!(
    /// How Prometheus is talked to.
    HttpClient, "prometheus.http-client",
    "credentials, certificates and limits of the connections to Prometheus"
);

/// The Prometheus beside it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Prometheus")]
pub(crate) struct PrometheusArgs {
    /// URL of Prometheus's API, with its path prefix if it has one.
    #[arg(
        long = "prometheus.url",
        default_value = "http://localhost:9090",
        value_name = "URL"
    )]
    url: String,
    /// With uploads: how long the start waits for Prometheus to be ready.
    #[arg(
        long = "prometheus.ready_timeout",
        default_value = "10m",
        value_name = "DURATION"
    )]
    ready_timeout: GoDuration,
    /// How often its external labels and its time range are asked for.
    #[arg(
        long = "prometheus.get_config_interval",
        default_value = "30s",
        value_name = "DURATION"
    )]
    interval: GoDuration,
    /// How long that may take.
    #[arg(
        long = "prometheus.get_config_timeout",
        default_value = "30s",
        value_name = "DURATION"
    )]
    timeout: GoDuration,
    #[command(flatten)]
    http_client: PathOrContent<HttpClient>,
    /// Start of the time that is served: RFC 3339, or relative to now such as -6w.
    #[arg(long, default_value = "0000-01-01T00:00:00Z", value_name = "TIME")]
    min_time: TimeOrDuration,
}

/// How its configuration is reloaded.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Reloader")]
pub(crate) struct ReloaderArgs {
    /// Configuration of Prometheus that is watched.
    #[arg(long = "reloader.config-file", default_value = "", value_name = "PATH")]
    config_file: String,
    /// Where it is written, unpacked, with $(VAR) from the environment: what Prometheus is started with.
    #[arg(
        long = "reloader.config-envsubst-file",
        default_value = "",
        value_name = "PATH"
    )]
    output_file: String,
    /// Folder with rules that is watched, repeatable.
    #[arg(long = "reloader.rule-dir", value_name = "PATH")]
    rule_dirs: Vec<PathBuf>,
    /// Longest time between two looks at the files; 0 writes the configuration once and reloads nothing.
    #[arg(
        long = "reloader.watch-interval",
        default_value = "3m",
        value_name = "DURATION"
    )]
    watch_interval: GoDuration,
    /// Time between two tries to reload.
    #[arg(
        long = "reloader.retry-interval",
        default_value = "5s",
        value_name = "DURATION"
    )]
    retry_interval: GoDuration,
    /// How Prometheus is told: by HTTP, or by a signal.
    #[arg(
        long = "reloader.method",
        value_enum,
        default_value_t = ReloadMethod::Http,
        value_name = "METHOD"
    )]
    method: ReloadMethod,
    /// Name of the process that gets the signal.
    #[arg(
        long = "reloader.process-name",
        default_value = "prometheus",
        value_name = "NAME"
    )]
    process_name: String,
}

/// How Prometheus is told to reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReloadMethod {
    /// `POST /-/reload`.
    Http,
    /// SIGHUP.
    Signal,
}

/// What is uploaded.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Uploads")]
pub(crate) struct UploadArgs {
    #[command(flatten)]
    pub(crate) objstore: PathOrContent<Objstore>,
    /// Data folder of Prometheus.
    #[arg(long = "tsdb.path", default_value = "./data", value_name = "PATH")]
    pub(crate) tsdb_path: PathBuf,
    /// Upload blocks that Prometheus has compacted, too: once, to take over its history.
    #[arg(long = "shipper.upload-compacted")]
    upload_compacted: bool,
    /// Upload although Prometheus compacts its blocks: what it compacts before it went up is lost.
    #[arg(long = "shipper.ignore-unequal-block-size", hide = true)]
    ignore_unequal_block_size: bool,
    /// Go on with younger blocks after one that failed, and upload compacted ones that overlap others.
    #[arg(long = "shipper.allow-out-of-order-uploads", hide = true)]
    allow_out_of_order_uploads: bool,
    /// Leave out blocks that cannot be read.
    #[arg(long = "shipper.skip-corrupted-blocks", hide = true)]
    skip_corrupted_blocks: bool,
    /// List of uploaded blocks, in the data folder.
    #[arg(
        long = "shipper.meta-file-name",
        default_value = DEFAULT_LIST_FILE,
        value_name = "NAME"
    )]
    list_file: String,
    /// Files of a block that go up at a time; 0 is 1.
    #[arg(
        long = "shipper.upload-concurrency",
        default_value_t = 0,
        value_name = "N"
    )]
    upload_concurrency: usize,
    /// Hash of its files that a block records: none, or SHA256.
    #[arg(long, default_value = "", value_parser = ["", "SHA256"], value_name = "FUNC")]
    hash_func: String,
}

/// What a Series call may take.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits of a call")]
pub(crate) struct LimitArgs {
    /// Series of a call; 0: no limit.
    #[arg(
        long = "store.limits.request-series",
        default_value_t = 0,
        value_name = "N"
    )]
    series: u64,
    /// Samples of a call, counted as 120 a chunk; 0: no limit.
    #[arg(
        long = "store.limits.request-samples",
        default_value_t = 0,
        value_name = "N"
    )]
    samples: u64,
}

impl PrometheusArgs {
    /// The client of Prometheus.
    ///
    /// # Errors
    /// A failure that names the flag.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let yaml = self.http_client.content()?.unwrap_or_default();
        let of_flag = |flag: &'static str| {
            move |error: rutile_promclient::Error| Failure::new(error.kind(), &error).context(flag)
        };
        let config = HttpConfig::parse(&yaml).map_err(of_flag("--prometheus.http-client"))?;
        let user_agent = format!("rutile-sidecar/{}", env!("CARGO_PKG_VERSION"));
        Client::new(&self.url, &config, &user_agent).map_err(of_flag("--prometheus.url"))
    }

    /// How it is looked after.
    ///
    /// # Errors
    /// A failure that names the flag.
    pub(crate) fn peer(&self) -> Result<PeerConfig, Failure> {
        let at_least = [
            (self.interval, "--prometheus.get_config_interval"),
            (self.timeout, "--prometheus.get_config_timeout"),
            (self.ready_timeout, "--prometheus.ready_timeout"),
        ];
        if let Some((_, flag)) = at_least.iter().find(|(time, _)| time.to_std().is_zero()) {
            return Err(Failure::usage(format!("{flag} must be more than 0")));
        }
        Ok(PeerConfig {
            interval: self.interval.to_std(),
            timeout: self.timeout.to_std(),
            min_time: self.min_time,
        })
    }

    /// How long the start waits, with uploads.
    pub(crate) fn ready_timeout(&self) -> Duration {
        self.ready_timeout.to_std()
    }
}

impl ReloaderArgs {
    /// What is watched; `None` if nothing is.
    ///
    /// # Errors
    /// A failure that names the flag.
    pub(crate) fn config(&self) -> Result<Option<ReloaderConfig>, Failure> {
        let path = |text: &str| (!text.is_empty()).then(|| PathBuf::from(text));
        let (config_file, output_file) = (path(&self.config_file), path(&self.output_file));
        if config_file.is_none() && output_file.is_some() {
            return Err(Failure::usage(
                "--reloader.config-envsubst-file needs --reloader.config-file: the file that it is made of",
            ));
        }
        if config_file.is_some() && config_file == output_file {
            return Err(Failure::usage(
                "--reloader.config-envsubst-file is --reloader.config-file itself: give two files",
            ));
        }
        if config_file.is_none() && self.rule_dirs.is_empty() {
            return Ok(None);
        }
        Ok(Some(ReloaderConfig {
            config_file,
            output_file,
            rule_dirs: self.rule_dirs.clone(),
            watch_interval: self.watch_interval.to_std(),
            retry_interval: self.retry_interval.to_std(),
        }))
    }

    /// How Prometheus is told.
    pub(crate) fn trigger(&self, client: Client) -> Trigger {
        match self.method {
            ReloadMethod::Http => Trigger::Http(client),
            ReloadMethod::Signal => Trigger::Signal {
                process: self.process_name.clone(),
                client,
            },
        }
    }
}

impl UploadArgs {
    /// How blocks go up.
    pub(crate) fn shipper(&self) -> rutile_shipper::Config {
        rutile_shipper::Config {
            source: Source::Sidecar,
            hash: match self.hash_func.as_str() {
                "SHA256" => HashFunc::Sha256,
                _ => HashFunc::None,
            },
            list_file: self.list_file.clone(),
            upload_compacted: self.upload_compacted,
            allow_out_of_order_uploads: self.allow_out_of_order_uploads,
            skip_corrupted_blocks: self.skip_corrupted_blocks,
            upload_concurrency: self.upload_concurrency,
        }
    }

    /// What Prometheus is checked against.
    pub(crate) fn checks(&self) -> Uploads {
        Uploads {
            list: self.tsdb_path.join(&self.list_file),
            ignore_unequal_block_size: self.ignore_unequal_block_size,
        }
    }
}

impl LimitArgs {
    pub(crate) fn limits(&self) -> CallLimits {
        CallLimits {
            series: self.series,
            samples: self.samples,
        }
    }
}
