//! `/query_exemplars`.

use rutile_model::Labels;
use rutile_proto::thanos::{Exemplar, ExemplarData};
use serde::Serialize;

use super::{Raw, labels, raw};
use crate::Data;
use crate::json::{push_fixed, push_seconds};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SeriesJson {
    series_labels: Labels,
    exemplars: Vec<ExemplarJson>,
}

#[derive(Serialize)]
struct ExemplarJson {
    labels: Labels,
    timestamp: Raw,
    value: Raw,
}

/// The exemplars of each series.
#[must_use]
pub fn exemplars(found: &[ExemplarData]) -> Data {
    let series = |series: &ExemplarData| SeriesJson {
        series_labels: labels(series.series_labels.as_ref()),
        exemplars: series.exemplars.iter().map(exemplar).collect(),
    };
    Data::json(&found.iter().map(series).collect::<Vec<_>>())
}

fn exemplar(exemplar: &Exemplar) -> ExemplarJson {
    ExemplarJson {
        labels: labels(exemplar.labels.as_ref()),
        timestamp: raw(|out| push_seconds(out, exemplar.ts)),
        value: raw(|out| push_fixed(out, exemplar.value)),
    }
}
