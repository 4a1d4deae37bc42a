//! The list of endpoints, kept up to date.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use tokio::{sync::watch, time::Instant};

use crate::{
    Address, ClientConfig, Dns, EndpointSpec, EndpointsFile, Entry, Error, FileSd, Known, Result,
};

/// How often files are looked at for changes, unless their interval is shorter. Reading a small file
/// is cheap, and works where a change swaps links, as in Kubernetes.
const LOOK_AT_FILES: Duration = Duration::from_secs(3);

/// Where endpoints come from.
#[derive(Debug, Clone)]
pub struct DiscoveryConfig {
    /// Endpoints of flags: `--endpoint`, `--endpoint-group` and the strict ones of both.
    pub entries: Vec<Entry>,
    /// The endpoint configuration (`--endpoint.sd-config`).
    pub config: Option<Source>,
    /// How often a file of it is read at least (`--endpoint.sd-config-reload-interval`).
    pub config_interval: Option<Duration>,
    /// File lists (`--store.sd-files`).
    pub files: Vec<String>,
    /// How often these are read at least (`--store.sd-interval`).
    pub files_interval: Option<Duration>,
    /// How often names are looked up (`--store.sd-dns-interval`).
    pub dns_interval: Duration,
    /// How to connect where the endpoint configuration does not say it.
    pub client: ClientConfig,
}

/// The endpoint configuration: its text, or where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `--endpoint.sd-config`
    Text(String),
    /// `--endpoint.sd-config-file`, read again when it changes.
    File(PathBuf),
}

/// Finds endpoints. [`Discovery::run`] keeps the list up to date.
#[derive(Debug)]
pub struct Discovery {
    settings: DiscoveryConfig,
    file: EndpointsFile,
    file_text: String,
    lists: FileSd,
    endpoints: Known,
    groups: Known,
    specs: watch::Sender<Vec<EndpointSpec>>,
}

impl Default for DiscoveryConfig {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            config: None,
            config_interval: None,
            files: Vec::new(),
            files_interval: None,
            dns_interval: Duration::from_secs(30),
            client: ClientConfig::default(),
        }
    }
}

impl Discovery {
    /// Reads the configuration for the first time. `endpoints` looks up single endpoints, `groups`
    /// the members of groups: they are counted apart.
    ///
    /// # Errors
    /// `Invalid`: the configuration is wrong. `Unavailable`: it cannot be read.
    pub async fn new(settings: DiscoveryConfig, endpoints: Dns, groups: Dns) -> Result<Self> {
        let mut discovery = Self {
            lists: FileSd::new(&settings.files)?,
            file: EndpointsFile {
                entries: Vec::new(),
                default_client: settings.client.clone(),
            },
            file_text: String::new(),
            settings,
            endpoints: Known::new(endpoints),
            groups: Known::new(groups),
            specs: watch::Sender::default(),
        };
        discovery.read_config().await?;
        Ok(discovery)
    }

    /// The endpoints as they are known: none before the first [`Discovery::update`].
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Vec<EndpointSpec>> {
        self.specs.subscribe()
    }

    /// Keeps the list up to date for ever.
    pub async fn run(mut self) {
        let mut looked_up = Instant::now();
        let mut only_new = false;
        loop {
            self.update(only_new).await;
            tokio::time::sleep(self.pause()).await;
            only_new = looked_up.elapsed() < self.settings.dns_interval;
            if !only_new {
                looked_up = Instant::now();
            }
        }
    }

    /// Reads all files again and looks names up: all of them, or with `only_new` those that were not
    /// found before. A configuration that is wrong by now is logged, and the last one counts.
    pub async fn update(&mut self, only_new: bool) {
        if let Err(error) = self.read_config().await {
            tracing::error!(%error, "keeping the endpoint configuration as it was");
        }
        self.lists.read().await;
        let entries = self.entries();
        let of = |group: bool| -> Vec<Address> {
            let wanted = entries.iter().filter(|entry| entry.group == group);
            wanted
                .map(|entry| entry.address.clone())
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect()
        };
        let (single, groups) = (of(false), of(true));
        futures::join!(
            self.endpoints.update(single, only_new),
            self.groups.update(groups, only_new)
        );
        let specs: Vec<_> = entries
            .iter()
            .flat_map(|entry| self.specs_of(entry))
            .collect();
        self.specs.send_if_modified(|known| {
            let changed = *known != specs;
            if changed {
                *known = specs;
            }
            changed
        });
    }

    /// Those of the configuration, of flags, and of lists.
    fn entries(&self) -> Vec<Entry> {
        let client = &self.file.default_client;
        let of_flag = |entry: &Entry| Entry {
            client: client.clone(),
            ..entry.clone()
        };
        let of_list = |address: &Address| Entry {
            address: address.clone(),
            strict: false,
            group: false,
            client: client.clone(),
        };
        let mut entries = self.file.entries.clone();
        entries.extend(self.settings.entries.iter().map(of_flag));
        entries.extend(self.lists.addresses().map(of_list));
        entries
    }

    fn specs_of(&self, entry: &Entry) -> Vec<EndpointSpec> {
        let known = if entry.group {
            &self.groups
        } else {
            &self.endpoints
        };
        EndpointSpec::of(entry, known.endpoints(&entry.address).to_vec())
    }

    async fn read_config(&mut self) -> Result<()> {
        let text = match &self.settings.config {
            None => return Ok(()),
            Some(Source::Text(text)) => text.clone(),
            Some(Source::File(path)) => tokio::fs::read_to_string(path).await.map_err(|error| {
                Error::unavailable(format!("cannot read {}: {error}", path.display()))
            })?,
        };
        if text != self.file_text {
            // What is wrong is said once, not each time that it is read.
            self.file_text = text;
            self.file = EndpointsFile::parse(&self.file_text, &self.settings.client)
                .map_err(|error| Error::invalid(format!("endpoint configuration: {error}")))?;
        }
        Ok(())
    }

    fn pause(&self) -> Duration {
        let intervals = [self.settings.config_interval, self.settings.files_interval];
        let shortest = intervals.into_iter().flatten().min();
        let pause = shortest.unwrap_or(LOOK_AT_FILES).min(LOOK_AT_FILES);
        pause
            .min(self.settings.dns_interval)
            .max(Duration::from_millis(10))
    }
}

#[cfg(test)]
mod tests;
