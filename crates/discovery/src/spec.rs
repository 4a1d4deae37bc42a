//! What is known of an endpoint before anybody connects to it.

use crate::{Address, ClientConfig, Entry};

/// One endpoint, with its name looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointSpec {
    /// How it is called in answers, metrics and `__address__`: its address, of a group `thanos:///`
    /// and the address as configured, of a name that is not found that name as configured.
    pub name: String,
    /// `host:port` of each member: of a group all that were found, else one; none if the name is not
    /// found.
    pub targets: Vec<String>,
    /// Whether the members serve the same data, so that one of them is asked at a time.
    pub group: bool,
    /// Always asked, even if it does not answer Info.
    pub strict: bool,
    /// How to connect.
    pub client: ClientConfig,
}

impl EndpointSpec {
    /// An endpoint that is not looked up: asked only while it answers Info.
    #[must_use]
    pub fn fixed(address: impl Into<String>) -> Self {
        let name = address.into();
        Self {
            targets: vec![name.clone()],
            name,
            group: false,
            strict: false,
            client: ClientConfig::default(),
        }
    }

    /// An endpoint as configured, whose name led to `targets`. One that led to none is an endpoint by
    /// the address as configured, without a target, so that somebody hears of it.
    #[must_use]
    pub fn of(entry: &Entry, targets: Vec<String>) -> Vec<Self> {
        let spec = |name: String, targets| Self {
            name,
            targets,
            group: entry.group,
            strict: entry.strict,
            client: entry.client.clone(),
        };
        if entry.group {
            return vec![spec(group_name(&entry.address), targets)];
        }
        if targets.is_empty() {
            return vec![spec(entry.address.to_string(), targets)];
        }
        let alone = |target: String| spec(target.clone(), vec![target]);
        targets.into_iter().map(alone).collect()
    }
}

/// How Thanos calls a group: by the name of its resolver, then the address.
fn group_name(address: &Address) -> String {
    format!("thanos:///{address}")
}
