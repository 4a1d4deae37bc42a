//! The proxy is a store like any other.

use std::sync::Arc;

use async_trait::async_trait;
use rutile_fanout::FanoutConfig;
use rutile_model::{Labels, TimeRange};
use rutile_proto::thanos::{
    LabelNamesRequest, LabelNamesResponse, LabelValuesRequest, LabelValuesResponse, SeriesRequest,
    info::InfoResponse,
};
use rutile_storeapi::{
    RequestContext, Result, SeriesStream, StoreApi,
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

/// A store of an older version: it neither removes replica labels nor filters by shard.
struct Old(MemoryStore);

#[async_trait]
impl StoreApi for Old {
    async fn series(&self, ctx: RequestContext, request: SeriesRequest) -> Result<SeriesStream> {
        let request = SeriesRequest {
            without_replica_labels: Vec::new(),
            shard_info: None,
            ..request
        };
        self.0.series(ctx, request).await
    }

    async fn label_names(
        &self,
        ctx: RequestContext,
        request: LabelNamesRequest,
    ) -> Result<LabelNamesResponse> {
        let request = LabelNamesRequest {
            without_replica_labels: Vec::new(),
            ..request
        };
        self.0.label_names(ctx, request).await
    }

    async fn label_values(
        &self,
        ctx: RequestContext,
        request: LabelValuesRequest,
    ) -> Result<LabelValuesResponse> {
        self.0.label_values(ctx, request).await
    }

    async fn info(&self, ctx: RequestContext) -> Result<InfoResponse> {
        let mut info = self.0.info(ctx).await?;
        let store = info.store.as_mut().unwrap();
        store.supports_sharding = false;
        store.supports_without_replica_labels = false;
        Ok(info)
    }
}

/// Runs the suite over servers of these stores; `old` says which of them are old.
async fn check(stores: Vec<MemoryStore>, old: &[bool]) {
    let holdings = holdings(&stores);
    let config = FanoutConfig {
        selector_labels: Labels::from([("cluster", "eu")]),
        ..FanoutConfig::default()
    };
    let servers = stores.into_iter().zip(old).map(|(store, old)| {
        if *old {
            Arc::new(Old(store)) as Arc<dyn StoreApi>
        } else {
            Arc::new(store)
        }
    });
    let cluster = Cluster::of(servers.collect(), config).await;
    conformance::run(&cluster.fanout, &holdings).await;
}

#[tokio::test]
async fn over_one_store() {
    check(vec![region("north", 0..40)], &[false]).await;
}

#[tokio::test]
async fn over_one_old_store() {
    check(vec![region("north", 0..40)], &[true]).await;
}

fn overlapping() -> Vec<MemoryStore> {
    vec![
        region("north", 0..40),
        region("north", 20..60),
        region("south", 0..3),
    ]
}

#[tokio::test]
async fn over_stores_that_overlap() {
    check(overlapping(), &[false, false, false]).await;
}

#[tokio::test]
async fn over_old_and_new_stores() {
    check(overlapping(), &[false, true, true]).await;
}
