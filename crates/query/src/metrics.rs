//! The querier's metrics: names and labels as Thanos has them, so that its dashboards work.

use std::sync::atomic::Ordering;
use std::time::Duration;

use rutile_telemetry::{Histogram, HistogramVec, Registry, exponential_buckets};

use crate::source::Figures;

/// Bounds of the metric on the duration of selects.
#[derive(Debug, Clone)]
pub struct TelemetryBounds {
    /// Buckets of the duration, seconds.
    pub seconds: Vec<f64>,
    /// Classes of the number of samples.
    pub samples: Vec<f64>,
    /// Classes of the number of series.
    pub series: Vec<f64>,
}

impl Default for TelemetryBounds {
    fn default() -> Self {
        Self {
            seconds: vec![0.1, 0.25, 0.75, 1.25, 1.75, 2.5, 3.0, 5.0, 10.0],
            samples: vec![100.0, 1000.0, 10_000.0, 100_000.0, 1_000_000.0],
            series: vec![10.0, 100.0, 1000.0, 10_000.0, 100_000.0],
        }
    }
}

/// Handles of all metrics.
#[derive(Debug)]
pub(crate) struct Metrics {
    bounds: TelemetryBounds,
    query_seconds: HistogramVec,
    requested_seconds: Histogram,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry, bounds: TelemetryBounds) -> Self {
        let timespans = exponential_buckets(15.0 * 60.0, 2.0, 12).unwrap_or_default();
        Self {
            query_seconds: registry.histogram_vec(
                "thanos_store_api_query_duration_seconds",
                "Duration of a query that selected series, by how many series and samples.",
                &["series_le", "samples_le", "tenant"],
                &bounds.seconds,
            ),
            requested_seconds: registry.histogram(
                "thanos_query_range_requested_timespan_duration_seconds",
                "Time between start and end of range queries.",
                &timespans,
            ),
            bounds,
        }
    }

    /// A range query of so many ms.
    pub(crate) fn requested(&self, ms: i64) {
        self.requested_seconds.observe(ms as f64 / 1000.0);
    }

    /// A query that selected so much.
    pub(crate) fn selected(&self, tenant: &str, figures: &Figures, took: Duration) {
        let series = figures.series.load(Ordering::Relaxed);
        let samples = figures.samples.load(Ordering::Relaxed);
        if series == 0 || samples == 0 {
            return;
        }
        let labels = [
            class(series, &self.bounds.series),
            class(samples, &self.bounds.samples),
        ];
        self.query_seconds
            .with_label_values(&[&labels[0], &labels[1], tenant])
            .observe(took.as_secs_f64());
    }
}

/// The least bound that is not less than the number.
fn class(number: u64, bounds: &[f64]) -> String {
    let number = number as f64;
    let bound = bounds.iter().find(|bound| **bound >= number);
    match bound {
        // Thanos counts what equals the last bound as more.
        Some(bound) if bounds.last().is_some_and(|last| number < *last) => bound.to_string(),
        _ => "+Inf".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::class;

    #[test]
    fn classes_are_the_next_bound() {
        let bounds = [10.0, 100.0];
        let classes = [1, 10, 11, 99, 100, 1000].map(|number| class(number, &bounds));
        assert_eq!(classes, ["10", "10", "100", "100", "+Inf", "+Inf"]);
        assert_eq!(class(1, &[]), "+Inf");
    }
}
