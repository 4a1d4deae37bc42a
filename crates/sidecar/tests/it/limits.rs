//! What a call may take.

use rutile_model::ErrorKind;
use rutile_proto::thanos::SeriesRequest;
use rutile_storeapi::CallLimits;

use crate::support::{Fixture, everything, series};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_limited() {
    let limits = CallLimits {
        series: 499,
        samples: 0,
    };
    let fixture = Fixture::new(limits, 256 << 20).await;
    let one = SeriesRequest {
        matchers: vec![crate::support::matcher(
            "__name__",
            "=",
            "http_requests_0_total",
        )],
        ..everything()
    };
    assert_eq!(series(&fixture.store, one).await.unwrap().len(), 10);
    for skip_chunks in [false, true] {
        let request = SeriesRequest {
            skip_chunks,
            ..everything()
        };
        let error = series(&fixture.store, request).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exhausted);
        let text = "failed to send series: limit 499 violated (got 500)";
        assert_eq!(error.to_string(), text);
    }
    let dropped = "thanos_store_selects_dropped_total{reason=\"series\"} 2";
    assert!(fixture.registry.render().contains(dropped));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_is_limited() {
    let fixture = Fixture::new(CallLimits::default(), 1 << 20).await;
    let error = series(&fixture.store, everything()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exhausted);
    assert!(error.to_string().contains("fit into memory"), "{error}");
    // What failed has given its memory back.
    let one = SeriesRequest {
        matchers: vec![crate::support::matcher(
            "__name__",
            "=",
            "http_requests_0_total",
        )],
        ..everything()
    };
    assert_eq!(series(&fixture.store, one).await.unwrap().len(), 10);
}
