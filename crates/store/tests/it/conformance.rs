//! The store gateway keeps the rules that every store must, here and over gRPC.

use std::sync::Arc;

use rutile_model::{Labels, TimeRange};
use rutile_objstore::FilesystemBucket;
use rutile_storeapi::conformance::{self, Holdings};
use rutile_storeapi::grpc::Compression;
use rutile_testkit::{golden, storeapi};

use crate::support::{Fixture, Served};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conformance_of_the_gateway() {
    let fixture = fixture().await;
    conformance::run(&*fixture.store.gateway, &holdings()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conformance_over_grpc() {
    let fixture = fixture().await;
    let served = Served::start(Arc::clone(&fixture.store.gateway) as _).await;
    let client = served.client(Compression::Identity).await;
    conformance::run(&client, &holdings()).await;
}

async fn fixture() -> Fixture {
    let bucket = FilesystemBucket::new(golden().join("raw")).unwrap();
    Fixture::synced(Arc::new(bucket)).await
}

/// What is in the bucket `raw`, as the reference saw it.
fn holdings() -> Holdings {
    let requests = storeapi::requests("raw");
    let all = requests.iter().find(|request| request.name == "all-labels");
    let all = all.unwrap();
    let room = 2 * 3_600_000;
    Holdings {
        series: all
            .series()
            .iter()
            .map(|line| labels(&line.labels))
            .collect(),
        external: Labels::from([("cluster", "eu1"), ("replica", "a")]),
        range: TimeRange {
            min_ms: all.min_time - room,
            max_ms: all.max_time + room,
        },
        replica_labels: vec!["replica".to_owned()],
    }
}

/// Labels as the recorded answers write them; their values have nothing to escape.
fn labels(text: &str) -> Labels {
    let inside = text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'));
    let pairs = inside.unwrap().split(", ").map(|pair| {
        let (name, value) = pair.split_once('=').unwrap();
        assert!(!value.contains('\\'), "{text}");
        (name, value.trim_matches('"'))
    });
    pairs.collect()
}
