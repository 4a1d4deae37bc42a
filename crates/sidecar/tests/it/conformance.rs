//! The suite that every store runs, beside a real Prometheus.

use rutile_model::{Labels, TimeRange};
use rutile_proto::thanos::SeriesRequest;
use rutile_storeapi::CallLimits;
use rutile_storeapi::conformance::{self, Holdings};

use crate::support::{END, Fixture, START, everything, series};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_as_a_store() {
    let fixture = Fixture::new(CallLimits::default(), 256 << 20).await;
    let request = SeriesRequest {
        skip_chunks: true,
        ..everything()
    };
    // The recorded answer tells the same, see golden_sidecar.
    let held = series(&fixture.store, request).await.unwrap();
    let labels = held.iter().map(|series| {
        let pairs = series.labels.iter();
        pairs.map(|label| (&label.name, &label.value)).collect()
    });
    let holdings = Holdings {
        series: labels.collect(),
        external: Labels::from([("cluster", "eu1"), ("replica", "a")]),
        range: TimeRange {
            min_ms: START,
            max_ms: END,
        },
        replica_labels: vec!["replica".to_owned(), "pod".to_owned()],
    };
    assert_eq!(holdings.series.len(), 500);
    conformance::run(&fixture.store, &holdings).await;
}
