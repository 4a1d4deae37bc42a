//! What is known of the Prometheus beside this process, kept up to date by a heartbeat.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rutile_model::{ErrorKind, Labels, TimeOrDuration};
use rutile_promclient::{Client, Error};
use rutile_runtime::Clock;
use rutile_server::{Failure, Probe};
use rutile_telemetry::Registry;
use tokio::sync::watch;

use crate::checks::{self, Uploads};
use crate::metrics::PeerMetrics;

/// Longest pause between two tries at start: who waits for a Prometheus need not wait for its interval, too.
const RETRY_AT_MOST: Duration = Duration::from_secs(2);

/// The first version whose label calls take matchers.
const MATCHERS_SINCE: (u64, u64) = (2, 24);

/// How a Prometheus is looked after.
#[derive(Debug, Clone)]
pub struct PeerConfig {
    /// Between two heartbeats.
    pub interval: Duration,
    /// How long one may take.
    pub timeout: Duration,
    /// Nothing before this is served.
    pub min_time: TimeOrDuration,
}

/// The Prometheus beside this process.
#[derive(Debug)]
pub struct Peer {
    client: Client,
    config: PeerConfig,
    clock: Arc<dyn Clock>,
    metrics: PeerMetrics,
    /// The external labels as they were last told.
    labels: watch::Sender<Labels>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Why nothing is served; `None` while the last heartbeat went well.
    down: Option<String>,
    /// Time of the oldest sample, ms, if it is known.
    lowest: Option<i64>,
    takes_matchers: bool,
}

impl Peer {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(
        client: Client,
        config: PeerConfig,
        clock: Arc<dyn Clock>,
        registry: &Registry,
    ) -> Self {
        let down = format!(
            "nothing was heard yet of Prometheus at {}",
            client.address()
        );
        Self {
            client,
            config,
            clock,
            metrics: PeerMetrics::new(registry),
            labels: watch::Sender::new(Labels::empty()),
            state: Mutex::new(State {
                down: Some(down),
                lowest: None,
                takes_matchers: true,
            }),
        }
    }

    /// Asks it.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Its external labels.
    #[must_use]
    pub fn labels(&self) -> Labels {
        self.labels.borrow().clone()
    }

    /// Its external labels, now and whenever they change.
    #[must_use]
    pub fn watch_labels(&self) -> watch::Receiver<Labels> {
        self.labels.subscribe()
    }

    /// The first time that is served, ms: what is configured, or the oldest sample.
    #[must_use]
    pub fn min_time(&self) -> i64 {
        let configured = self.config.min_time.resolve(self.clock.now_ms());
        let lowest = self.state.lock().lowest;
        lowest.map_or(configured, |lowest| lowest.max(configured))
    }

    /// Why nothing can be served, if so.
    #[must_use]
    pub fn down(&self) -> Option<String> {
        self.state.lock().down.clone()
    }

    /// Whether its label calls take matchers: since 2.24.
    #[must_use]
    pub fn takes_matchers(&self) -> bool {
        self.state.lock().takes_matchers
    }

    /// Waits until it answers, and checks that it is set up for what is to be done with it.
    ///
    /// # Errors
    /// What a person must change: no external labels; compactions, if its blocks are to be uploaded.
    pub(crate) async fn meet(&self, uploads: Option<&Uploads>) -> Result<(), Failure> {
        let mut told = String::new();
        loop {
            let met = tokio::time::timeout(self.config.timeout, self.introduce(uploads));
            let error = match met.await {
                Ok(Ok(checked)) => {
                    checked?;
                    break;
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => self.too_slow(),
            };
            // Once, while nothing changes.
            if error != told {
                tracing::warn!(%error, "waiting for Prometheus");
                told = error;
            }
            tokio::time::sleep(self.config.interval.min(RETRY_AT_MOST)).await;
        }
        let external_labels = self.labels().to_string();
        tracing::info!(external_labels, "Prometheus is ready");
        self.metrics.up.set(1);
        Ok(())
    }

    /// The outer error passes, the inner one does not.
    async fn introduce(&self, uploads: Option<&Uploads>) -> Result<Result<(), Failure>, Error> {
        let address = self.client.address();
        match self.client.ready().await {
            // Some who speak its API have no such page.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            ready => ready?,
        }
        if let Some(uploads) = uploads {
            match self.client.flags().await? {
                Some(flags) => {
                    if let Err(failure) = uploads.check(&flags, &address) {
                        return Ok(Err(failure));
                    }
                }
                None => tracing::warn!("Prometheus does not tell its flags: they are not checked"),
            }
        }
        let version = self.client.version().await?;
        self.state.lock().takes_matchers = version.is_some_and(|version| is_since(&version));
        let lowest = self.client.lowest_timestamp().await?;
        let labels = self.client.external_labels().await?;
        if let Err(failure) = checks::external_labels(&labels, &address) {
            return Ok(Err(failure));
        }
        self.heard(lowest, labels);
        Ok(Ok(()))
    }

    /// Asks again and again, and tells the probe. Runs until it is dropped.
    pub(crate) async fn watch(&self, probe: &Probe) {
        loop {
            tokio::time::sleep(self.config.interval).await;
            match self.beat().await {
                Ok(()) => probe.set_ready(),
                Err(why) => probe.set_not_ready(&why),
            }
        }
    }

    /// One heartbeat.
    ///
    /// # Errors
    /// Why nothing can be served. What was known before stays.
    pub async fn beat(&self) -> Result<(), String> {
        let asked = tokio::time::timeout(self.config.timeout, self.ask());
        let heard = asked.await.unwrap_or_else(|_| Err(self.too_slow()));
        self.metrics.up.set(i64::from(heard.is_ok()));
        if let Err(why) = &heard {
            self.state.lock().down = Some(why.clone());
        }
        heard
    }

    async fn ask(&self) -> Result<(), String> {
        let told = |error: Error| error.to_string();
        let lowest = self.client.lowest_timestamp().await.map_err(told)?;
        let labels = self.client.external_labels().await.map_err(told)?;
        // Data without labels would mix with those of others.
        checks::external_labels(&labels, &self.client.address())
            .map_err(|failure| failure.to_string())?;
        self.heard(lowest, labels);
        Ok(())
    }

    fn heard(&self, lowest: Option<i64>, labels: Labels) {
        {
            let mut state = self.state.lock();
            state.lowest = lowest;
            state.down = None;
        }
        self.labels.send_if_modified(|known| {
            let changed = *known != labels;
            if changed && !known.is_empty() {
                let (before, now) = (known.to_string(), labels.to_string());
                tracing::info!(before, now, "the external labels of Prometheus changed");
            }
            *known = labels;
            changed
        });
    }

    fn too_slow(&self) -> String {
        let seconds = self.config.timeout.as_secs_f64();
        let address = self.client.address();
        format!(
            "Prometheus at {address} did not tell its labels within {seconds} s \
             (--prometheus.get_config_timeout)"
        )
    }
}

/// Whether a version such as `2.42.0+ds` is one whose label calls take matchers.
fn is_since(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor) >= MATCHERS_SINCE,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared() {
        for (version, since) in [
            ("2.42.0+ds", true),
            ("2.24.0", true),
            ("3.0.0-beta.1", true),
            ("2.23.9", false),
            ("1.8.2", false),
            ("", false),
            ("unknown", false),
        ] {
            assert_eq!(is_since(version), since, "{version}");
        }
    }
}
