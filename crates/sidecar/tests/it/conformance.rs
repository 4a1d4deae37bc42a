//! The suite that every store runs, beside a real Prometheus.

use rutile_model::{Labels, TimeRange};
use rutile_proto::thanos::SeriesRequest;
use rutile_storeapi::CallLimits;
use rutile_storeapi::conformance::{self, Holdings};

use crate::support::{Fixture, START, everything, golden_blocks, series};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_as_a_store() {
    // Two of them: the suite asks for everything again and again.
    let blocks = &golden_blocks()[..2];
    let fixture = Fixture::with(blocks, CallLimits::default(), 256 << 20).await;
    let request = SeriesRequest {
        skip_chunks: true,
        ..everything()
    };
    // Whether that is right is for golden_sidecar to say.
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
            max_ms: START + 4 * 3_600_000 - 1,
        },
        replica_labels: vec!["replica".to_owned(), "pod".to_owned()],
    };
    assert!(holdings.series.len() > 100);
    conformance::run(&fixture.store, &holdings).await;
}
