//! Whom the querier asks, and how.

use std::time::Duration;

use clap::{Args, ValueEnum};
use rutile_discovery::{ClientConfig, Compression, DiscoveryConfig, Entry, Source, TlsConfig};
use rutile_fanout::{ConnectionLabel, EndpointsConfig, FanoutConfig, Retrieval};
use rutile_model::config::parse_yaml;
use rutile_model::{GoDuration, Labels, MatchOp, Matcher, RelabelAction, RelabelConfig};
use rutile_server::{Failure, PathOrContent};

use super::{EndpointSd, Selector, invalid};

/// Endpoints and connections.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Endpoints")]
pub(crate) struct EndpointArgs {
    /// Address of an endpoint: host:port, or a name to be looked up (dns+, dnssrv+); repeatable. What it serves, its
    /// Info says.
    #[arg(long, value_name = "ADDRESS")]
    endpoint: Vec<String>,
    /// Address of endpoints that serve the same data: one of them is asked at a time.
    #[arg(long, value_name = "ADDRESS")]
    endpoint_group: Vec<String>,
    /// Address of an endpoint that is always asked, even while its Info fails: host:port; repeatable.
    #[arg(long, value_name = "ADDRESS")]
    endpoint_strict: Vec<String>,
    /// Likewise, of a group; it is not looked up.
    #[arg(long, value_name = "ADDRESS")]
    endpoint_group_strict: Vec<String>,
    #[command(flatten)]
    sd: PathOrContent<EndpointSd>,
    /// How often that configuration is read again.
    #[arg(
        long = "endpoint.sd-config-reload-interval",
        default_value = "5m",
        value_name = "DURATION"
    )]
    sd_reload: GoDuration,
    /// Path of a file with lists of endpoints, repeatable.
    #[arg(long = "store.sd-files", value_name = "PATH")]
    sd_files: Vec<String>,
    /// How often these files are read again.
    #[arg(
        long = "store.sd-interval",
        default_value = "5m",
        value_name = "DURATION"
    )]
    sd_interval: GoDuration,
    /// How often names are looked up again.
    #[arg(
        long = "store.sd-dns-interval",
        default_value = "30s",
        value_name = "DURATION"
    )]
    dns_interval: GoDuration,
    /// Accepted for compatibility: there is one way to look names up.
    #[arg(long = "store.sd-dns-resolver", default_value = "miekgdns", hide = true, value_parser = ["golang", "miekgdns"])]
    dns_resolver: String,
    /// Of no effect: an endpoint that fails is listed until it is taken out of the flags, files or DNS.
    #[arg(long = "store.unhealthy-timeout", default_value = "5m", hide = true)]
    unhealthy_timeout: GoDuration,
    /// The longest silence of a store while it answers; 0: any.
    #[arg(
        long = "store.response-timeout",
        default_value = "0ms",
        value_name = "DURATION"
    )]
    response_timeout: GoDuration,
    /// How often endpoints are asked what they serve, and how long they may take to say so.
    #[arg(long = "endpoint.info-timeout", default_value = "5s", hide = true)]
    info_timeout: GoDuration,
    /// Of no effect: only for tests of the reference.
    #[arg(long, hide = true)]
    inject_test_addresses: Vec<String>,
    /// A label that this querier shows and requires, name="value"; repeatable.
    #[arg(long, value_name = "NAME=\"VALUE\"")]
    selector_label: Vec<String>,
    #[command(flatten)]
    selector: PathOrContent<Selector>,
    /// How far stores are read ahead: eager or lazy.
    #[arg(long = "grpc.proxy-strategy", value_enum, default_value_t = Strategy::Eager, hide = true)]
    strategy: Strategy,
    /// Frames of a store that are read ahead with lazy retrieval.
    #[arg(
        long = "query.lazy-retrieval-max-buffered-responses",
        default_value_t = 20,
        hide = true
    )]
    lazy_frames: usize,
    /// Labels of the metric that counts connections, repeatable: external_labels, store_type, ip_port.
    #[arg(
        long = "query.conn-metric.label",
        value_name = "NAME",
        default_values = ["external_labels", "store_type"],
        value_parser = ["external_labels", "store_type", "ip_port"]
    )]
    connection_labels: Vec<String>,
    #[command(flatten)]
    client: ClientArgs,
}

/// Connections to endpoints.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Connections to endpoints")]
struct ClientArgs {
    /// Use TLS.
    #[arg(long)]
    grpc_client_tls_secure: bool,
    /// Take any certificate.
    #[arg(long)]
    grpc_client_tls_skip_verify: bool,
    /// Certificate of the client.
    #[arg(long, default_value = "", value_name = "PATH")]
    grpc_client_tls_cert: String,
    /// Key of the client.
    #[arg(long, default_value = "", value_name = "PATH")]
    grpc_client_tls_key: String,
    /// Whom to trust.
    #[arg(long, default_value = "", value_name = "PATH")]
    grpc_client_tls_ca: String,
    /// Name in the certificates of servers.
    #[arg(long, default_value = "", value_name = "NAME")]
    grpc_client_server_name: String,
    /// Lowest TLS version (of no effect without TLS).
    #[arg(long, default_value = "1.3", value_parser = ["1.0", "1.1", "1.2", "1.3"])]
    grpc_client_tls_min_version: String,
    /// Compression of requests and answers: none or snappy.
    #[arg(long, default_value = "none", value_parser = ["none", "snappy"])]
    grpc_compression: String,
}

/// How far stores are read ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Strategy {
    Eager,
    Lazy,
}

impl EndpointArgs {
    /// Where endpoints come from.
    ///
    /// # Errors
    /// A failure that says which flag to change.
    pub(crate) fn discovery(&self) -> Result<DiscoveryConfig, Failure> {
        let client = self.client.config()?;
        let lists = [
            ("--endpoint", &self.endpoint, false, false),
            ("--endpoint-group", &self.endpoint_group, false, true),
            ("--endpoint-strict", &self.endpoint_strict, true, false),
            (
                "--endpoint-group-strict",
                &self.endpoint_group_strict,
                true,
                true,
            ),
        ];
        let mut entries = Vec::new();
        for (flag, addresses, strict, group) in lists {
            for address in addresses {
                let entry = Entry::new(address, strict, group, client.clone());
                entries.push(entry.map_err(|error| invalid(format!("{flag}: {error}")))?);
            }
        }
        let every = |interval: GoDuration| {
            let interval = interval.to_std();
            (!interval.is_zero()).then_some(interval)
        };
        Ok(DiscoveryConfig {
            entries,
            config: self.sd_source()?,
            config_interval: every(self.sd_reload),
            files: self.sd_files.clone(),
            files_interval: every(self.sd_interval),
            dns_interval: self.dns_interval.to_std().max(Duration::from_secs(1)),
            client,
        })
    }

    fn sd_source(&self) -> Result<Option<Source>, Failure> {
        let content = self.sd.expanded_content()?;
        Ok(match self.sd.path() {
            Some(path) => Some(Source::File(path.into())),
            None => content.map(Source::Text),
        })
    }

    /// The settings of the endpoint set.
    pub(crate) fn endpoints_config(&self) -> EndpointsConfig {
        let label = |name: &String| match name.as_str() {
            "external_labels" => ConnectionLabel::ExternalLabels,
            "ip_port" => ConnectionLabel::IpPort,
            _ => ConnectionLabel::StoreType,
        };
        let info_timeout = self.info_timeout.to_std().max(Duration::from_millis(100));
        EndpointsConfig {
            info_interval: info_timeout,
            info_timeout,
            connection_labels: self.connection_labels.iter().map(label).collect(),
        }
    }

    /// The settings of the proxy.
    ///
    /// # Errors
    /// A failure that says which flag to change.
    pub(crate) fn fanout_config(&self) -> Result<FanoutConfig, Failure> {
        let timeout = self.response_timeout.to_std();
        Ok(FanoutConfig {
            selector_labels: self.selector_labels()?,
            relabel: self.relabel()?,
            response_timeout: (!timeout.is_zero()).then_some(timeout),
            retrieval: match self.strategy {
                Strategy::Eager => Retrieval::Eager,
                Strategy::Lazy => Retrieval::Lazy {
                    max_frames: self.lazy_frames,
                },
            },
        })
    }

    fn relabel(&self) -> Result<Vec<RelabelConfig>, Failure> {
        let Some(yaml) = self.selector.expanded_content()? else {
            return Ok(Vec::new());
        };
        let rules: Option<Vec<RelabelConfig>> = parse_yaml(&yaml).map_err(|error| {
            Failure::new(error.kind(), &error).context("--selector.relabel-config")
        })?;
        let rules = rules.unwrap_or_default();
        let is_selecting = |rule: &RelabelConfig| {
            matches!(
                rule.action(),
                RelabelAction::Keep | RelabelAction::Drop | RelabelAction::HashMod
            )
        };
        if rules.iter().all(is_selecting) {
            Ok(rules)
        } else {
            Err(invalid(
                "--selector.relabel-config: use only the actions keep, drop and hashmod",
            ))
        }
    }

    fn selector_labels(&self) -> Result<Labels, Failure> {
        let label = |text: &String| {
            let matcher = Matcher::parse(text)
                .ok()
                .filter(|matcher| matcher.op() == MatchOp::Equal);
            let matcher = matcher.ok_or_else(|| {
                invalid(format!(
                    "--selector-label {text} is not a label: write name=\"value\""
                ))
            })?;
            Ok((matcher.name().to_owned(), matcher.value().to_owned()))
        };
        self.selector_label.iter().map(label).collect()
    }
}

impl ClientArgs {
    fn config(&self) -> Result<ClientConfig, Failure> {
        let path = |text: &String| (!text.is_empty()).then(|| text.into());
        let tls = TlsConfig {
            insecure_skip_verify: self.grpc_client_tls_skip_verify,
            cert_file: path(&self.grpc_client_tls_cert),
            key_file: path(&self.grpc_client_tls_key),
            ca_file: path(&self.grpc_client_tls_ca),
            server_name: (!self.grpc_client_server_name.is_empty())
                .then(|| self.grpc_client_server_name.clone()),
            allow_tls12: self.grpc_client_tls_min_version != "1.3",
        };
        if tls.cert_file.is_some() != tls.key_file.is_some() {
            return Err(invalid(
                "--grpc-client-tls-cert and --grpc-client-tls-key go together: set both or none",
            ));
        }
        let compression = match self.grpc_compression.as_str() {
            "snappy" => Compression::Snappy,
            _ => Compression::None,
        };
        Ok(ClientConfig {
            tls: self.grpc_client_tls_secure.then_some(tls),
            compression,
        })
    }
}
