//! Names that are looked up in DNS.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use futures::{StreamExt, stream};
use hickory_resolver::{
    ResolverBuilder, TokioResolver,
    config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig},
    lookup::Lookup as Answer,
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::rr::{RData, RecordType},
};
use rutile_telemetry::{IntCounter, IntGaugeVec};
use tokio::time::timeout;

use crate::{Address, Error, Lookup, Result};

/// Longest time for all queries behind one address.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);
/// Addresses that are looked up at the same time.
const CONCURRENT: usize = 16;

/// Looks names up, and counts it.
#[derive(Debug)]
pub struct Dns {
    resolver: TokioResolver,
    metrics: DnsMetrics,
}

/// What is counted of lookups. Each user of a [`Dns`] has names of its own for it.
#[derive(Debug, Clone)]
pub struct DnsMetrics {
    /// Lookups of addresses.
    pub lookups: IntCounter,
    /// Those that failed.
    pub failures: IntCounter,
    /// Endpoints that were found, with the label `addr`: the address as configured.
    pub results: IntGaugeVec,
}

/// What the last lookups found.
#[derive(Debug)]
pub struct Known {
    dns: Dns,
    found: BTreeMap<Address, Vec<String>>,
}

impl Dns {
    /// Asks the name servers of the machine (`/etc/resolv.conf`), and knows `/etc/hosts`.
    ///
    /// # Errors
    /// `Invalid` if the machine's configuration cannot be read.
    pub fn system(metrics: DnsMetrics) -> Result<Self> {
        let builder = TokioResolver::builder_tokio().map_err(|error| not_set_up(&error))?;
        Self::build(builder, metrics)
    }

    /// Asks this name server, over UDP and, for long answers, over TCP.
    ///
    /// # Errors
    /// `Invalid` if the resolver cannot be set up.
    pub fn with_server(server: SocketAddr, metrics: DnsMetrics) -> Result<Self> {
        let connection = |mut config: ConnectionConfig| {
            config.port = server.port();
            config
        };
        let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(connection);
        let server = NameServerConfig::new(server.ip(), true, connections.into());
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        let provider = TokioRuntimeProvider::default();
        Self::build(
            TokioResolver::builder_with_config(config, provider),
            metrics,
        )
    }

    /// The order of stacks is that of Thanos. Nothing is cached: who asks does so at an interval.
    fn build(
        mut builder: ResolverBuilder<TokioRuntimeProvider>,
        metrics: DnsMetrics,
    ) -> Result<Self> {
        let options = builder.options_mut();
        options.ip_strategy = LookupIpStrategy::Ipv4thenIpv6;
        options.cache_size = 0;
        let resolver = builder.build().map_err(|error| not_set_up(&error))?;
        Ok(Self { resolver, metrics })
    }

    /// The endpoints behind an address, `host:port`, sorted; none if the name does not exist. One
    /// that is not to be looked up is its own endpoint.
    ///
    /// # Errors
    /// `Unavailable` when the name servers do not answer, or answer with a failure.
    pub async fn resolve(&self, address: &Address) -> Result<Vec<String>> {
        let Some(lookup) = address.lookup() else {
            return Ok(vec![address.as_str().to_owned()]);
        };
        self.metrics.lookups.inc();
        let failed = |reason: String| {
            self.metrics.failures.inc();
            Error::unavailable(format!("cannot look up {address}: {reason}"))
        };
        let mut found = match timeout(LOOKUP_TIMEOUT, self.look_up(address, lookup)).await {
            Ok(found) => found.map_err(|error| failed(error.to_string()))?,
            Err(_) => return Err(failed(format!("no answer in {LOOKUP_TIMEOUT:?}"))),
        };
        found.sort();
        found.dedup();
        Ok(found)
    }

    async fn look_up(&self, address: &Address, lookup: Lookup) -> Result<Vec<String>, NetError> {
        let (scheme, host, port) = address.parts();
        let endpoint = |host: &str, port: &str| format!("{scheme}{}:{port}", bracketed(host));
        let port = port.unwrap_or_default();
        let hosts: Vec<(String, String)> = match lookup {
            Lookup::Dns => with_port(self.addresses(host).await?, port),
            Lookup::DnsDualStack => with_port(self.both_stacks(host).await?, port),
            Lookup::DnsSrvNoA => self.services(host, port).await?,
            Lookup::DnsSrv => {
                let mut found = Vec::new();
                for (target, port) in self.services(host, port).await? {
                    found.extend(with_port(self.addresses(&target).await?, &port));
                }
                found
            }
        };
        Ok(hosts
            .iter()
            .map(|(host, port)| endpoint(host, port))
            .collect())
    }

    /// IPv4 addresses, or IPv6 ones if there are none.
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, NetError> {
        let found = existing(self.resolver.lookup_ip(host).await)?;
        Ok(found
            .map(|found| found.iter().collect())
            .unwrap_or_default())
    }

    /// IPv4 and IPv6 addresses; fails only if there are none of either because a lookup failed.
    async fn both_stacks(&self, host: &str) -> Result<Vec<IpAddr>, NetError> {
        let of = async |kind| {
            let found = existing(self.resolver.lookup(host, kind).await)?;
            Ok::<_, NetError>(found.iter().flat_map(addresses_in).collect::<Vec<_>>())
        };
        match futures::join!(of(RecordType::A), of(RecordType::AAAA)) {
            (Ok(v4), Ok(v6)) => Ok(v4.into_iter().chain(v6).collect()),
            (Ok(found), Err(error)) | (Err(error), Ok(found)) if found.is_empty() => Err(error),
            (Ok(found), Err(_)) | (Err(_), Ok(found)) => Ok(found),
            (Err(error), Err(_)) => Err(error),
        }
    }

    /// Targets of SRV records without their last dot, and `port` or that of the record.
    async fn services(&self, name: &str, port: &str) -> Result<Vec<(String, String)>, NetError> {
        let found = existing(self.resolver.srv_lookup(name).await)?;
        let records = found.iter().flat_map(Answer::answers);
        let service = |data: &RData| match data {
            RData::SRV(service) => {
                let port = match port {
                    "" => service.port.to_string(),
                    port => port.to_owned(),
                };
                let target = service.target.to_utf8();
                Some((target.trim_end_matches('.').to_owned(), port))
            }
            _ => None,
        };
        Ok(records.filter_map(|record| service(&record.data)).collect())
    }
}

impl Known {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(dns: Dns) -> Self {
        Self {
            dns,
            found: BTreeMap::new(),
        }
    }

    /// Looks these up: all of them, or with `only_new` those that were not found before. Forgets all
    /// others. An address whose lookup fails keeps what was found before.
    pub async fn update(&mut self, addresses: Vec<Address>, only_new: bool) {
        let results = &self.dns.metrics.results;
        self.found.retain(|address, _| {
            let kept = addresses.contains(address);
            if !kept {
                // Addresses that are not looked up are not counted, so there may be nothing.
                results.remove_label_values(&[address.as_str()]).ok();
            }
            kept
        });
        let due = addresses
            .into_iter()
            .filter(|address| !only_new || !self.found.contains_key(address));
        let dns = &self.dns;
        let answers = stream::iter(due)
            .map(async |address| {
                let answer = dns.resolve(&address).await;
                (address, answer)
            })
            .buffer_unordered(CONCURRENT)
            .collect::<Vec<_>>()
            .await;
        for (address, answer) in answers {
            match answer {
                Ok(found) => {
                    if found.is_empty() {
                        tracing::warn!(%address, "no endpoint was found");
                    }
                    self.found.insert(address, found);
                }
                Err(error) => tracing::error!(%error, "keeping what was found before"),
            }
        }
        for (address, found) in self
            .found
            .iter()
            .filter(|(address, _)| address.lookup().is_some())
        {
            let count = i64::try_from(found.len()).unwrap_or(i64::MAX);
            self.dns
                .metrics
                .results
                .with_label_values(&[address.as_str()])
                .set(count);
        }
    }

    /// What was found for an address; nothing before it was looked up.
    #[must_use]
    pub fn endpoints(&self, address: &Address) -> &[String] {
        self.found.get(address).map_or(&[], Vec::as_slice)
    }
}

/// That a name, or a record of it, does not exist is an answer.
fn existing<T>(answer: Result<T, NetError>) -> Result<Option<T>, NetError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.is_nx_domain() || error.is_no_records_found() => Ok(None),
        Err(error) => Err(error),
    }
}

fn addresses_in(answer: &Answer) -> impl Iterator<Item = IpAddr> + '_ {
    answer
        .answers()
        .iter()
        .filter_map(|record| record.data.ip_addr())
}

fn with_port(addresses: Vec<IpAddr>, port: &str) -> Vec<(String, String)> {
    let with_port = |address: IpAddr| (address.to_string(), port.to_owned());
    addresses.into_iter().map(with_port).collect()
}

/// IPv6 addresses stand in brackets before a port.
fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

fn not_set_up(error: &NetError) -> Error {
    Error::invalid(format!(
        "cannot set up the DNS resolver: {error}: look at /etc/resolv.conf"
    ))
}

#[cfg(test)]
pub(crate) mod tests;
