//! The suite on the plainest store, and that it notices a store that breaks a rule.

use std::panic::AssertUnwindSafe;

use async_trait::async_trait;
use futures::{FutureExt, stream};
use rutile_proto::thanos::{
    AggrChunk, Chunk, LabelNamesRequest, LabelNamesResponse, LabelValuesRequest,
    LabelValuesResponse, info::InfoResponse,
};

use super::*;
use crate::{Frames, memory::MemoryStore};

/// A store whose order depends on the replica label, and what it holds.
pub(crate) fn example() -> (MemoryStore, Holdings) {
    let external = Labels::from([("cluster", "eu"), ("region", "north")]);
    let chunk = |min_time: i64, data: &'static [u8]| {
        let raw = Chunk {
            r#type: 0,
            data: data.into(),
            hash: 0,
        };
        AggrChunk {
            min_time,
            max_time: min_time + 99,
            raw: Some(raw),
            ..AggrChunk::default()
        }
    };
    let mut series = Vec::new();
    for (name, pods) in [("up", 3), ("requests_total", 40)] {
        for pod in 0..pods {
            for replica in ["a", "b"] {
                let pod = format!("pod-{pod}");
                let labels =
                    Labels::from([("__name__", name), ("aa_replica", replica), ("pod", &pod)]);
                let chunks = vec![chunk(1_000, b"first"), chunk(1_100, b"second")];
                series.push((labels, chunks));
            }
        }
    }
    series.push((
        Labels::from([("__name__", "up"), ("region", "south")]),
        vec![chunk(1_500, b"x")],
    ));
    let holdings = Holdings {
        series: series
            .iter()
            .map(|(labels, _)| labels.extended_with(&external))
            .collect(),
        external: external.clone(),
        range: TimeRange {
            min_ms: 1_000,
            max_ms: 2_000,
        },
        replica_labels: vec!["aa_replica".to_owned(), "no_such_label".to_owned()],
    };
    (MemoryStore::new(series, external), holdings)
}

#[tokio::test]
async fn the_memory_store_conforms() {
    let (store, holdings) = example();
    run(&store, &holdings).await;
}

/// One broken rule.
#[derive(Debug, Clone, Copy)]
enum Defect {
    Order,
    Limit,
    SkipChunks,
    Replicas,
    Shards,
    Batches,
    NoMatchers,
    NamesLimit,
    EmptyName,
    Range,
}

struct Broken(MemoryStore, Defect);

#[async_trait]
impl StoreApi for Broken {
    async fn series(
        &self,
        ctx: RequestContext,
        mut request: SeriesRequest,
    ) -> Result<SeriesStream> {
        match self.1 {
            Defect::Limit => request.limit = 0,
            Defect::SkipChunks => request.skip_chunks = false,
            Defect::Replicas => request.without_replica_labels.clear(),
            Defect::Shards => request.shard_info = None,
            Defect::Batches => request.response_batch_size = 64,
            Defect::NoMatchers if request.matchers.is_empty() => return Ok(stream::empty().boxed()),
            Defect::Range => (request.min_time, request.max_time) = (0, i64::MAX),
            _ => {}
        }
        let frames: Vec<_> = self.0.series(ctx, request).await?.collect().await;
        let mut responses = Vec::new();
        for frames in frames {
            responses.extend(frames?.decode()?);
        }
        if matches!(self.1, Defect::Order) {
            responses.reverse();
        }
        let frames: Vec<_> = responses.iter().map(Frames::encode).collect();
        Ok(stream::iter(frames).boxed())
    }

    async fn label_names(
        &self,
        ctx: RequestContext,
        mut request: LabelNamesRequest,
    ) -> Result<LabelNamesResponse> {
        if matches!(self.1, Defect::NamesLimit) {
            request.limit = 0;
        }
        self.0.label_names(ctx, request).await
    }

    async fn label_values(
        &self,
        ctx: RequestContext,
        request: LabelValuesRequest,
    ) -> Result<LabelValuesResponse> {
        if request.label.is_empty() && matches!(self.1, Defect::EmptyName) {
            return Ok(LabelValuesResponse::default());
        }
        self.0.label_values(ctx, request).await
    }

    async fn info(&self, ctx: RequestContext) -> Result<InfoResponse> {
        self.0.info(ctx).await
    }
}

#[tokio::test]
async fn defects_are_noticed() {
    use Defect::{
        Batches, EmptyName, Limit, NamesLimit, NoMatchers, Order, Range, Replicas, Shards,
        SkipChunks,
    };
    let (store, holdings) = example();
    for defect in [
        Order, Limit, SkipChunks, Replicas, Shards, Batches, NoMatchers, NamesLimit, EmptyName,
        Range,
    ] {
        let broken = Broken(store.clone(), defect);
        let outcome = AssertUnwindSafe(run(&broken, &holdings))
            .catch_unwind()
            .await;
        assert!(outcome.is_err(), "{defect:?} goes unnoticed");
    }
}
