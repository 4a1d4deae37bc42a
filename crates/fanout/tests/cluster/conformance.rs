//! The proxy is a store like any other.

use std::sync::Arc;

use rutile_fanout::FanoutConfig;
use rutile_model::{Labels, TimeRange};
use rutile_storeapi::{
    StoreApi,
    conformance::{self, Holdings},
    memory::MemoryStore,
};

use crate::support::{Cluster, chunk};

/// Series of one region, in two chunks each.
fn region(region: &str, pods: std::ops::Range<u32>) -> MemoryStore {
    let mut series = Vec::new();
    for (name, pod) in ["up", "requests_total"]
        .into_iter()
        .flat_map(|name| pods.clone().map(move |pod| (name, pod)))
    {
        for replica in ["a", "b"] {
            let labels = Labels::from([
                ("__name__", name),
                ("aa_replica", replica),
                ("pod", &format!("pod-{pod}")),
            ]);
            series.push((
                labels,
                vec![chunk(1_000, b"first"), chunk(1_100, b"second")],
            ));
        }
    }
    MemoryStore::new(
        series,
        Labels::from([("cluster", "eu"), ("region", region)]),
    )
}

fn holdings(stores: &[MemoryStore]) -> Holdings {
    Holdings {
        series: stores
            .iter()
            .flat_map(MemoryStore::labels)
            .cloned()
            .collect(),
        external: Labels::from([("cluster", "eu")]),
        range: TimeRange {
            min_ms: 1_000,
            max_ms: 2_000,
        },
        replica_labels: vec!["aa_replica".to_owned(), "no_such_label".to_owned()],
    }
}

async fn check(stores: Vec<MemoryStore>) {
    let holdings = holdings(&stores);
    let config = FanoutConfig {
        selector_labels: Labels::from([("cluster", "eu")]),
        ..FanoutConfig::default()
    };
    let servers = stores
        .into_iter()
        .map(|store| Arc::new(store) as Arc<dyn StoreApi>);
    let cluster = Cluster::of(servers.collect(), config).await;
    conformance::run(&cluster.fanout, &holdings).await;
}

#[tokio::test]
async fn over_one_store() {
    check(vec![region("north", 0..40)]).await;
}

#[tokio::test]
async fn over_stores_that_overlap() {
    check(vec![
        region("north", 0..40),
        region("north", 20..60),
        region("south", 0..3),
    ])
    .await;
}
