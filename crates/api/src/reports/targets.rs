//! `/targets`.

use rutile_model::Labels;
use rutile_proto::thanos::{ActiveTarget, DroppedTarget, TargetDiscovery, TargetHealth};
use serde::Serialize;

use super::{Raw, labels, number, time};
use crate::Data;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TargetsJson<'a> {
    active_targets: Vec<ActiveJson<'a>>,
    dropped_targets: Vec<DroppedJson>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ActiveJson<'a> {
    discovered_labels: Labels,
    labels: Labels,
    scrape_pool: &'a str,
    scrape_url: &'a str,
    global_url: &'a str,
    last_error: &'a str,
    last_scrape: String,
    last_scrape_duration: Raw,
    health: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DroppedJson {
    discovered_labels: Labels,
}

/// Active and dropped targets.
#[must_use]
pub fn targets(found: &TargetDiscovery) -> Data {
    Data::json(&TargetsJson {
        active_targets: found.active_targets.iter().map(ActiveJson::from).collect(),
        dropped_targets: found
            .dropped_targets
            .iter()
            .map(DroppedJson::from)
            .collect(),
    })
}

impl<'a> From<&'a ActiveTarget> for ActiveJson<'a> {
    fn from(target: &'a ActiveTarget) -> Self {
        Self {
            discovered_labels: labels(target.discovered_labels.as_ref()),
            labels: labels(target.labels.as_ref()),
            scrape_pool: &target.scrape_pool,
            scrape_url: &target.scrape_url,
            global_url: &target.global_url,
            last_error: &target.last_error,
            last_scrape: time(target.last_scrape.as_ref()),
            last_scrape_duration: number(target.last_scrape_duration),
            health: health(target.health),
        }
    }
}

impl From<&DroppedTarget> for DroppedJson {
    fn from(target: &DroppedTarget) -> Self {
        Self {
            discovered_labels: labels(target.discovered_labels.as_ref()),
        }
    }
}

/// Its name; the number of one that has none.
fn health(health: i32) -> String {
    match TargetHealth::try_from(health) {
        Ok(TargetHealth::Down) => "down".to_owned(),
        Ok(TargetHealth::Up) => "up".to_owned(),
        Ok(TargetHealth::Unknown) => "unknown".to_owned(),
        Err(_) => health.to_string(),
    }
}
