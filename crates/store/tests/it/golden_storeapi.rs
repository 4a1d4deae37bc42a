//! Every recorded request to the reference's store gateway gets the recorded answer, in order.

use std::sync::Arc;

use rutile_objstore::{BucketReader, FilesystemBucket, OpenContext, open};
use rutile_proto::thanos::{
    Aggr, Chunk, LabelNamesRequest, LabelValuesRequest, Series, SeriesRequest, SeriesResponse,
    series_response,
};
use rutile_runtime::ManualClock;
use rutile_storeapi::grpc::Compression;
use rutile_storeapi::{RequestContext, StoreApi};
use rutile_telemetry::Registry;
use rutile_testkit::storeapi::{self, AnsweredChunk, Request, Rpc, SeriesLine};
use rutile_testkit::{digest, golden, label_text, servers};

use crate::support::{Fixture, NOW_MS, Served, matcher, series, upload};

fn filesystem(bucket: &str) -> Arc<dyn BucketReader> {
    Arc::new(FilesystemBucket::new(golden().join(bucket)).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn golden_storeapi_raw_on_filesystem() {
    check(filesystem("raw"), "raw").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn golden_storeapi_long_on_filesystem() {
    check(filesystem("long"), "long").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn golden_storeapi_raw_on_s3() {
    check_on_s3("raw").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn golden_storeapi_long_on_s3() {
    check_on_s3("long").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn golden_storeapi_raw_over_grpc() {
    check_over_grpc("raw").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn golden_storeapi_long_over_grpc() {
    check_over_grpc("long").await;
}

async fn check_on_s3(name: &str) {
    let server = servers::s3();
    let context = OpenContext {
        clock: Arc::new(ManualClock::new(NOW_MS)),
        registry: Registry::new(),
        component: "test".to_owned(),
    };
    let bucket = open(&server.objstore_config(), &context).unwrap();
    upload(&golden().join(name), &*bucket).await;
    check(bucket, name).await;
}

/// All requests as they are, and those for one metric with each compression.
async fn check_over_grpc(name: &str) {
    let fixture = Fixture::synced(filesystem(name)).await;
    let served = Served::start(Arc::clone(&fixture.store.gateway) as _).await;
    let client = served.client(Compression::Identity).await;
    check_requests(&client, name, |_| true).await;
    for compression in [Compression::Gzip, Compression::Zstd, Compression::Snappy] {
        let client = served.client(compression).await;
        check_requests(&client, name, |request| request == "one-metric").await;
    }
}

async fn check(bucket: Arc<dyn BucketReader>, name: &str) {
    let fixture = Fixture::synced(bucket).await;
    check_requests(&*fixture.store.gateway, name, |_| true).await;
}

async fn check_requests(store: &dyn StoreApi, name: &str, wanted: impl Fn(&str) -> bool) {
    let mut requests = storeapi::requests(name);
    requests.retain(|request| wanted(&request.name));
    assert!(!requests.is_empty(), "{name} has such requests");
    for request in requests {
        let context = format!("{name}/{}", request.name);
        match &request.rpc {
            Rpc::Series => check_series(store, &request, &context).await,
            Rpc::LabelNames => {
                let wire = label_names_request(&request);
                let answer = store
                    .label_names(RequestContext::default(), wire)
                    .await
                    .unwrap();
                assert_eq!(answer.names, request.answer(), "{context}");
            }
            Rpc::LabelValues(label) => {
                let wire = label_values_request(&request, label);
                let answer = store
                    .label_values(RequestContext::default(), wire)
                    .await
                    .unwrap();
                assert_eq!(answer.values, request.answer(), "{context}");
            }
        }
    }
}

async fn check_series(store: &dyn StoreApi, request: &Request, context: &str) {
    let messages = series(store, series_request(request)).await.unwrap();
    if request.batch > 1 {
        check_batches(&messages, request.batch, context);
    }
    let lines: Vec<SeriesLine> = messages
        .into_iter()
        .flat_map(series_of)
        .flat_map(|series| lines_of(&series))
        .collect();
    let expected = request.series();
    for (i, (line, expected)) in lines.iter().zip(&expected).enumerate() {
        assert_eq!(line, expected, "{context}: line {}", i + 1);
    }
    assert_eq!(lines.len(), expected.len(), "{context}: lines");
}

fn check_batches(messages: &[SeriesResponse], batch: i64, context: &str) {
    let (last, full) = messages.split_last().unwrap();
    let size = |message: &SeriesResponse| match &message.result {
        Some(series_response::Result::Batch(batch)) => batch.series.len() as i64,
        other => panic!("{context}: not a batch: {other:?}"),
    };
    assert!(
        full.iter().all(|message| size(message) == batch),
        "{context}: full batches"
    );
    assert!(size(last) <= batch, "{context}: the last batch");
}

fn series_of(message: SeriesResponse) -> Vec<Series> {
    match message.result {
        Some(series_response::Result::Series(series)) => vec![series],
        Some(series_response::Result::Batch(batch)) => batch.series,
        other => panic!("neither series nor batch: {other:?}"),
    }
}

fn lines_of(series: &Series) -> Vec<SeriesLine> {
    let pairs = series
        .labels
        .iter()
        .map(|label| (label.name.as_str(), label.value.as_str()));
    let labels = label_text(pairs);
    if series.chunks.is_empty() {
        return vec![SeriesLine {
            labels,
            chunk: None,
        }];
    }
    let mut lines = Vec::new();
    for chunk in &series.chunks {
        let parts = [
            ("raw", &chunk.raw),
            ("count", &chunk.count),
            ("sum", &chunk.sum),
            ("min", &chunk.min),
            ("max", &chunk.max),
            ("counter", &chunk.counter),
        ];
        let present = parts
            .into_iter()
            .filter_map(|(name, part)| Some((name, part.as_ref()?)));
        lines.extend(present.map(|(aggregate, part)| {
            assert_eq!(
                part.hash,
                xxhash_rust::xxh64::xxh64(&part.data, 0),
                "the chunk's hash"
            );
            let chunk = answered(chunk.min_time, chunk.max_time, aggregate, part);
            SeriesLine {
                labels: labels.clone(),
                chunk: Some(chunk),
            }
        }));
    }
    lines
}

fn answered(min_time: i64, max_time: i64, aggregate: &str, part: &Chunk) -> AnsweredChunk {
    AnsweredChunk {
        min_time,
        max_time,
        aggregate: aggregate.to_owned(),
        encoding: part.r#type,
        bytes: part.data.len(),
        digest: digest(&part.data),
    }
}

fn series_request(request: &Request) -> SeriesRequest {
    assert!(
        request
            .aggregates
            .iter()
            .all(|aggr| Aggr::try_from(*aggr).is_ok())
    );
    SeriesRequest {
        min_time: request.min_time,
        max_time: request.max_time,
        matchers: matchers(request),
        max_resolution_window: request.max_resolution_window,
        aggregates: request.aggregates.clone(),
        skip_chunks: request.skip_chunks,
        without_replica_labels: request.without_replica_labels.clone(),
        limit: request.limit,
        response_batch_size: request.batch,
        ..SeriesRequest::default()
    }
}

fn label_names_request(request: &Request) -> LabelNamesRequest {
    LabelNamesRequest {
        start: request.min_time,
        end: request.max_time,
        matchers: matchers(request),
        without_replica_labels: request.without_replica_labels.clone(),
        limit: request.limit,
        ..LabelNamesRequest::default()
    }
}

fn label_values_request(request: &Request, label: &str) -> LabelValuesRequest {
    LabelValuesRequest {
        label: label.to_owned(),
        start: request.min_time,
        end: request.max_time,
        matchers: matchers(request),
        without_replica_labels: request.without_replica_labels.clone(),
        limit: request.limit,
        ..LabelValuesRequest::default()
    }
}

fn matchers(request: &Request) -> Vec<rutile_proto::thanos::LabelMatcher> {
    request
        .matchers
        .iter()
        .map(|m| matcher(&m.name, m.op, &m.value))
        .collect()
}
