//! Which servers there are, and which of them has a key.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rutile_discovery::{Address, Dns, DnsMetrics, Known};
use rutile_model::GoDuration;
use rutile_runtime::Spawner;
use rutile_telemetry::Registry;
use xxhash_rust::xxh64::xxh64;

use super::Server;
use super::breaker::Breaker;
use crate::config::BreakerConfig;

/// Reads of a server are given up for 5 s when so many failed in a row.
const FAILED_READS: u32 = 5;

/// The servers, which may change.
#[derive(Debug, Default)]
pub(super) struct Servers(ArcSwap<Peers>);

/// The servers at a time, in an order that depends on their addresses alone.
#[derive(Debug, Default)]
pub(super) struct Peers(Vec<Arc<Peer>>);

/// A server and what is known of it.
pub(super) struct Peer {
    pub(super) address: String,
    pub(super) server: Arc<dyn Server>,
    pub(super) reads: Breaker,
}

impl Servers {
    /// Servers that stay.
    pub(super) fn fixed(servers: Vec<(String, Arc<dyn Server>)>) -> Arc<Self> {
        let peers = servers
            .into_iter()
            .map(|(address, server)| Peer::new(&address, server));
        let peers = Peers(peers.map(Arc::new).collect());
        Arc::new(Self(ArcSwap::from_pointee(peers)))
    }

    pub(super) fn now(&self) -> Arc<Peers> {
        self.0.load_full()
    }

    /// Keeps those that were there, with their connections.
    fn replace(&self, mut addresses: Vec<String>, connect: impl Fn(&str) -> Arc<dyn Server>) {
        addresses.sort_by(|one, other| natural(one).cmp(&natural(other)));
        addresses.dedup();
        let old = self.now();
        let peers = addresses.iter().map(|address| {
            let known = old.0.iter().find(|peer| peer.address == *address);
            known.map_or_else(
                || Arc::new(Peer::new(address, connect(address))),
                Arc::clone,
            )
        });
        self.0.store(Arc::new(Peers(peers.collect())));
    }
}

/// Servers behind addresses that are looked up now and at each interval, by a task of its own.
///
/// # Errors
/// Why names cannot be looked up here.
pub(super) fn looked_up(
    addresses: Vec<Address>,
    interval: Duration,
    registry: &Registry,
    tasks: &Spawner,
    connect: impl Fn(&str) -> Arc<dyn Server> + Send + 'static,
) -> Result<Arc<Servers>, String> {
    let servers = Arc::new(Servers::default());
    let (looked_up, fixed): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.lookup().is_some());
    let fixed: Vec<String> = fixed
        .iter()
        .map(|address| address.as_str().to_owned())
        .collect();
    servers.replace(fixed.clone(), &connect);
    if looked_up.is_empty() {
        return Ok(servers);
    }
    let dns = Dns::system(dns_metrics(registry)).map_err(|error| error.to_string())?;
    let (mut known, weak) = (Known::new(dns), Arc::downgrade(&servers));
    drop(tasks.spawn("cache-servers", async move {
        loop {
            known.update(looked_up.clone(), false).await;
            // Who used the cache is gone.
            let Some(servers) = weak.upgrade() else {
                return;
            };
            let found = looked_up
                .iter()
                .flat_map(|address| known.endpoints(address));
            let all: Vec<_> = fixed.iter().chain(found).cloned().collect();
            if all.is_empty() {
                tracing::warn!("the cache has no servers: nothing is cached");
            }
            servers.replace(all, &connect);
            drop(servers);
            tokio::time::sleep(interval).await;
        }
    }));
    Ok(servers)
}

impl Peers {
    /// The server that has a key.
    pub(super) fn of(&self, key: &str) -> Option<&Peer> {
        self.0.get(self.place(key)).map(|peer| &**peer)
    }

    /// The places of `keys`, those of one server together, at most `batch` at a time.
    pub(super) fn divide(&self, keys: &[String], batch: usize) -> Vec<(Arc<Peer>, Vec<usize>)> {
        let mut by_server: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (place, key) in keys.iter().enumerate() {
            by_server.entry(self.place(key)).or_default().push(place);
        }
        let mut batches = Vec::new();
        for (server, places) in by_server {
            if let Some(peer) = self.0.get(server) {
                let chunks = places.chunks(batch.max(1));
                batches.extend(chunks.map(|places| (Arc::clone(peer), places.to_vec())));
            }
        }
        batches
    }

    fn place(&self, key: &str) -> usize {
        jump_hash(xxh64(key.as_bytes(), 0), self.0.len())
    }
}

impl Peer {
    fn new(address: &str, server: Arc<dyn Server>) -> Self {
        let config = BreakerConfig {
            enabled: true,
            half_open_max_requests: 1,
            open_duration: GoDuration::from_ms(5_000),
            min_requests: FAILED_READS,
            consecutive_failures: FAILED_READS,
            // Only those in a row count: who answers the others is not down.
            failure_percent: 1.0,
        };
        Self {
            address: address.to_owned(),
            server,
            reads: Breaker::new(config),
        }
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

/// Of `buckets` the one that has `key`: when one more is put behind them, it takes its share of keys, and no other
/// moves. Source: Lamping, Veach, "A Fast, Minimal Memory, Consistent Hash Algorithm", 2014.
fn jump_hash(mut key: u64, buckets: usize) -> usize {
    let buckets = buckets as u64;
    let (mut bucket, mut next) = (0, 0);
    while next < buckets {
        bucket = next;
        key = key.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        let stretch = (1_u64 << 31) as f64 / ((key >> 33) + 1) as f64;
        next = ((bucket + 1) as f64 * stretch) as u64;
    }
    usize::try_from(bucket).unwrap_or(0)
}

/// So that `memcached-10` comes behind `memcached-9`.
fn natural(address: &str) -> (usize, &str) {
    (address.len(), address)
}

fn dns_metrics(registry: &Registry) -> DnsMetrics {
    DnsMetrics {
        lookups: registry.int_counter(
            "thanos_memcached_dns_lookups_total",
            "Lookups of the addresses of memcached.",
        ),
        failures: registry.int_counter(
            "thanos_memcached_dns_failures_total",
            "Lookups of the addresses of memcached that failed.",
        ),
        results: registry.int_gauge_vec(
            "thanos_memcached_dns_provider_results",
            "Servers found for each address of memcached.",
            &["addr"],
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_server_takes_its_share_and_no_other_moves() {
        let place =
            |servers: usize| move |key: u64| jump_hash(xxh64(&key.to_le_bytes(), 0), servers);
        let keys = 0..10_000_u64;
        let (four, five) = (place(4), place(5));
        let moved: Vec<u64> = keys.filter(|key| four(*key) != five(*key)).collect();
        assert!((1_500..2_500).contains(&moved.len()), "{}", moved.len());
        assert!(moved.iter().all(|key| five(*key) == 4));
        assert_eq!((jump_hash(7, 1), jump_hash(7, 0)), (0, 0));
    }

    #[test]
    fn numbered_names_are_in_the_order_of_their_numbers() {
        let mut names = ["mc-10:1", "mc-9:1", "mc-1:1", "mc-11:1"];
        names.sort_by(|one, other| natural(one).cmp(&natural(other)));
        assert_eq!(names, ["mc-1:1", "mc-9:1", "mc-10:1", "mc-11:1"]);
    }
}
