//! `/metadata`.

use std::collections::BTreeMap;

use rutile_proto::thanos::Meta;
use serde::Serialize;

use crate::Data;

#[derive(Serialize)]
struct MetaJson<'a> {
    r#type: &'a str,
    help: &'a str,
    unit: &'a str,
}

/// What is known of metrics, by their names.
#[must_use]
pub fn metadata(metrics: &BTreeMap<String, Vec<Meta>>) -> Data {
    let metrics = metrics.iter().map(|(name, metas)| (name, list(metas)));
    Data::json(&metrics.collect::<BTreeMap<_, _>>())
}

fn list(metas: &[Meta]) -> Vec<MetaJson<'_>> {
    let json = metas.iter().map(|meta| MetaJson {
        r#type: &meta.r#type,
        help: &meta.help,
        unit: &meta.unit,
    });
    json.collect()
}
