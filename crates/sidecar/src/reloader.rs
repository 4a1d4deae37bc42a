//! Reloads Prometheus when its configuration or its rules change.
//!
//! Owns the file that Prometheus is started with, if it is made of another one, and the moments at
//! which Prometheus is told. Files are looked at every few seconds, by content: that also sees what
//! inotify does not (network file systems, mounts that are replaced). Promises: a change is told until
//! Prometheus has taken it, and a configuration that cannot be made replaces nothing.

mod files;
mod signal;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rutile_promclient::Client;
use rutile_runtime::{Clock, CpuPool};
use rutile_telemetry::Registry;

use self::files::Look;
use crate::metrics::ReloaderMetrics;

pub use self::files::ReloaderError;

/// Longest time between two looks, whatever the settings allow.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(5);

/// What is watched, and how often.
#[derive(Debug, Clone)]
pub struct ReloaderConfig {
    /// A configuration of Prometheus.
    pub config_file: Option<PathBuf>,
    /// Where it is written, unpacked and with the environment put in.
    pub output_file: Option<PathBuf>,
    /// Folders with rules.
    pub rule_dirs: Vec<PathBuf>,
    /// Longest time between two looks; zero: nothing is looked at again.
    pub watch_interval: Duration,
    /// Between two tries to tell Prometheus.
    pub retry_interval: Duration,
}

/// How Prometheus is told.
#[derive(Debug, Clone)]
pub enum Trigger {
    /// `POST /-/reload`: it must run with `--web.enable-lifecycle`.
    Http(Client),
    /// SIGHUP, and then a look at whether it took it.
    Signal {
        /// The name of its process.
        process: String,
        /// Asks how the reload went.
        client: Client,
    },
}

/// Watches, and tells Prometheus.
#[derive(Debug)]
pub struct Reloader {
    config: Arc<ReloaderConfig>,
    trigger: Trigger,
    clock: Arc<dyn Clock>,
    /// Where files are read.
    files: CpuPool,
    metrics: ReloaderMetrics,
    /// What Prometheus was last told of.
    told: Option<Look>,
    /// What was last written.
    written: Option<Look>,
    /// What was last seen, and what was last wrong, so that each is said once.
    seen: Option<Look>,
    wrong: String,
}

impl Reloader {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(
        config: ReloaderConfig,
        trigger: Trigger,
        clock: Arc<dyn Clock>,
        files: CpuPool,
        registry: &Registry,
    ) -> Self {
        let method = match &trigger {
            Trigger::Http(_) => "http",
            Trigger::Signal { .. } => "signal",
        };
        let metrics = ReloaderMetrics::new(registry, method);
        let watches = usize::from(config.config_file.is_some()) + config.rule_dirs.len();
        metrics
            .watches
            .set(i64::try_from(watches).unwrap_or(i64::MAX));
        Self {
            config: Arc::new(config),
            trigger,
            clock,
            files,
            metrics,
            told: None,
            written: None,
            seen: None,
            wrong: String::new(),
        }
    }

    /// Looks at the files, and writes the configuration if it changed since it was last written. Whether
    /// Prometheus knows all that is there.
    ///
    /// # Errors
    /// What cannot be read or written, and what to change.
    pub async fn apply(&mut self) -> Result<bool, ReloaderError> {
        let config = Arc::clone(&self.config);
        let looked = self.files.run(move || files::look(&config)).await;
        let unset = matches!(looked, Err(ReloaderError::Environment { .. }));
        self.metrics.expansion_errors.set(i64::from(unset));
        let (look, content) = looked.inspect_err(|_| self.metrics.watch_errors.inc())?;
        if self.seen.as_ref().is_some_and(|seen| *seen != look) {
            self.metrics.watch_events.inc();
        }
        self.seen = Some(look);
        if let (Some(content), Some(output)) = (content, &self.config.output_file)
            && self.written != Some(look)
        {
            let output = output.clone();
            let written = self.files.run(move || files::write(&output, &content));
            written.await?;
            self.written = Some(look);
        }
        Ok(self.told == Some(look))
    }

    /// Tells Prometheus of what was last seen, and waits until it has taken it.
    ///
    /// # Errors
    /// Why it did not.
    pub async fn tell(&mut self) -> Result<(), String> {
        self.metrics.reloads.inc();
        let seen = self.seen;
        let told = match &self.trigger {
            Trigger::Http(client) => client.reload().await.map_err(|error| error.to_string()),
            Trigger::Signal { process, client } => signal::reload(process, client).await,
        };
        self.metrics.last_successful.set(i64::from(told.is_ok()));
        match &told {
            Ok(()) => {
                self.told = seen;
                let seconds = self.clock.now_ms() as f64 / 1000.0;
                self.metrics.last_success_seconds.set(seconds);
            }
            Err(_) => self.metrics.reloads_failed.inc(),
        }
        told
    }

    /// Looks and tells, again and again. Ends at once if nothing is to be looked at again, else it runs
    /// until it is dropped.
    pub async fn run(mut self) {
        if self.config.watch_interval.is_zero() {
            tracing::info!(
                "the configuration is written, and not watched (--reloader.watch-interval=0)"
            );
            return;
        }
        loop {
            let pause = self.step().await;
            tokio::time::sleep(pause).await;
        }
    }

    /// One look, and what follows from it. Returns the time until the next one.
    async fn step(&mut self) -> Duration {
        let pause = self.config.watch_interval.min(LOOK_AT_LEAST_EVERY);
        let known = match self.apply().await {
            Ok(true) => {
                self.wrong.clear();
                return pause;
            }
            Ok(false) => self.tell().await,
            Err(error) => {
                self.metrics.applies.inc();
                self.metrics.applies_failed.inc();
                self.complain(&error.to_string());
                return pause;
            }
        };
        self.metrics.applies.inc();
        match known {
            Ok(()) => {
                self.wrong.clear();
                tracing::info!("Prometheus has reloaded its configuration");
                pause
            }
            Err(why) => {
                self.complain(&why);
                self.config.retry_interval.max(Duration::from_millis(100))
            }
        }
    }

    /// Says what is wrong, once while it stays the same.
    fn complain(&mut self, why: &str) {
        if self.wrong != why {
            tracing::error!(
                error = why,
                "reloading Prometheus failed: it is tried again"
            );
            why.clone_into(&mut self.wrong);
        }
    }
}
