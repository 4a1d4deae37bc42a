//! `/api/v1/targets`.

use prost_types::Timestamp;
use rutile_model::Labels;
use rutile_proto::thanos::targets_request::State;
use rutile_proto::thanos::{ActiveTarget, DroppedTarget, TargetDiscovery, TargetHealth};
use serde::Deserialize;

use super::{label_set, or_default, timestamp};
use crate::{Client, Result};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Discovery {
    #[serde(default, deserialize_with = "or_default")]
    active_targets: Vec<Active>,
    #[serde(default, deserialize_with = "or_default")]
    dropped_targets: Vec<Dropped>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Active {
    #[serde(default, deserialize_with = "or_default")]
    discovered_labels: Labels,
    #[serde(default, deserialize_with = "or_default")]
    labels: Labels,
    #[serde(default)]
    scrape_pool: String,
    #[serde(default)]
    scrape_url: String,
    #[serde(default)]
    global_url: String,
    #[serde(default)]
    last_error: String,
    #[serde(default, deserialize_with = "timestamp")]
    last_scrape: Option<Timestamp>,
    #[serde(default)]
    last_scrape_duration: f64,
    #[serde(default)]
    health: Health,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Dropped {
    #[serde(default, deserialize_with = "or_default")]
    discovered_labels: Labels,
}

#[derive(Deserialize, Clone, Copy, Default)]
#[serde(rename_all = "lowercase")]
enum Health {
    Up,
    Down,
    #[default]
    Unknown,
}

impl Client {
    /// The targets in this state.
    ///
    /// # Errors
    /// As [`Client::series`].
    pub async fn targets(&self, state: State) -> Result<TargetDiscovery> {
        let mut url = self.url(&["api", "v1", "targets"]);
        let state = match state {
            State::Any => None,
            State::Active => Some("active"),
            State::Dropped => Some("dropped"),
        };
        if let Some(state) = state {
            url.query_pairs_mut().append_pair("state", state);
        }
        let found: Discovery = self.api_data(&url).await?;
        Ok(found.into_message())
    }
}

impl Discovery {
    pub(super) fn into_message(self) -> TargetDiscovery {
        let dropped = |json: Dropped| DroppedTarget {
            discovered_labels: Some(label_set(&json.discovered_labels)),
        };
        TargetDiscovery {
            active_targets: self.active_targets.into_iter().map(active).collect(),
            dropped_targets: self.dropped_targets.into_iter().map(dropped).collect(),
        }
    }
}

fn active(json: Active) -> ActiveTarget {
    let health = match json.health {
        Health::Up => TargetHealth::Up,
        Health::Down => TargetHealth::Down,
        Health::Unknown => TargetHealth::Unknown,
    };
    ActiveTarget {
        discovered_labels: Some(label_set(&json.discovered_labels)),
        labels: Some(label_set(&json.labels)),
        scrape_pool: json.scrape_pool,
        scrape_url: json.scrape_url,
        global_url: json.global_url,
        last_error: json.last_error,
        last_scrape: json.last_scrape,
        last_scrape_duration: json.last_scrape_duration,
        health: health.into(),
    }
}
