//! `/stores`: whom the querier asks.

use std::collections::BTreeMap;

use rutile_api::{Data, Reply};
use rutile_fanout::EndpointStatus;
use rutile_model::Labels;
use rutile_model::time::format_rfc3339;
use serde::Serialize;

use super::Web;

/// When an endpoint that never answered did so last: Go's zero time.
const NEVER: &str = "0001-01-01T00:00:00Z";
/// The kind of those that have not told theirs, as Thanos calls it.
const UNKNOWN: &str = "unknown-store-api";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Store {
    name: String,
    last_check: String,
    last_error: Option<String>,
    label_sets: Vec<Labels>,
    min_time: i64,
    max_time: i64,
}

impl From<EndpointStatus> for Store {
    fn from(status: EndpointStatus) -> Self {
        Self {
            name: status.name,
            last_check: status
                .last_check_ms
                .map_or_else(|| NEVER.to_owned(), format_rfc3339),
            last_error: status.last_error,
            label_sets: status.label_sets,
            min_time: status.min_time,
            max_time: status.max_time,
        }
    }
}

/// `/stores`: by kind of component.
pub(super) fn stores(web: &Web) -> Reply {
    let mut kinds: BTreeMap<String, Vec<Store>> = BTreeMap::new();
    for status in web.0.endpoints.statuses() {
        let kind = match status.component.as_str() {
            "" => UNKNOWN,
            known => known,
        };
        let list = kinds.entry(kind.to_owned()).or_default();
        list.push(status.into());
    }
    Reply::new(Data::json(&kinds))
}
