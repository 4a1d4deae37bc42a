//! Queries over gRPC.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use prost::Message;
use rutile_proto::prometheus_copy::TimeSeries;
use rutile_proto::thanos::query_range_response::Result as Part;
use rutile_proto::thanos::{QueryRangeRequest, QueryRangeResponse, QueryRequest};
use rutile_query::QueryServer;
use rutile_runtime::ManualClock;
use rutile_storeapi::Frames;
use tonic::Status;
use tower::ServiceExt;

use crate::support::{Cluster, NOW_MS};

/// Within the data of `raw`, in seconds.
const TIME: i64 = 1_767_375_600;

/// Calls a method; the messages of its answer, which are the same for both methods.
pub(crate) async fn call(
    cluster: &Cluster,
    method: &str,
    request: &impl Message,
) -> Result<Vec<Part>, Status> {
    let clock = Arc::new(ManualClock::new(NOW_MS));
    let replica = vec!["replica".to_owned()];
    let server = QueryServer::new(Arc::clone(&cluster.querier), clock, replica, Duration::ZERO);
    let body = axum::body::Body::from(Frames::encode(request).unwrap().into_bytes());
    let request = http::Request::post(format!("/thanos.Query/{method}"))
        .header("content-type", "application/grpc");
    let request = request.body(tonic::body::Body::new(body)).unwrap();
    let response = server.oneshot(request).await.unwrap();
    if let Some(status) = Status::from_header_map(response.headers()) {
        return Err(status);
    }
    let collected = response.into_body().collect().await.unwrap();
    let trailers = collected
        .trailers()
        .and_then(Status::from_header_map)
        .unwrap();
    assert_eq!(trailers.code(), tonic::Code::Ok, "{trailers}");
    let frames = Frames::parse(collected.to_bytes()).unwrap();
    let decode = |message| QueryRangeResponse::decode(message).unwrap().result.unwrap();
    Ok(frames.messages().map(decode).collect())
}

pub(crate) fn series(parts: &[Part]) -> Vec<&TimeSeries> {
    let of_part = |part: &'_ Part| match part {
        Part::Timeseries(_) | Part::TimeseriesBatch(_) => true,
        Part::Warnings(_) | Part::Stats(_) => false,
    };
    let parts = parts.iter().filter(|part| of_part(part));
    parts
        .flat_map(|part| match part {
            Part::Timeseries(series) => vec![series],
            Part::TimeseriesBatch(batch) => batch.series.iter().collect(),
            Part::Warnings(_) | Part::Stats(_) => Vec::new(),
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instant_queries_come_in_batches() {
    let cluster = Cluster::on(&["raw"]).await;
    let request = |batch_size: i64| QueryRequest {
        query: "{__name__=~\"http_requests_.*\"}".to_owned(),
        time_seconds: TIME,
        enable_dedup: true,
        response_batch_size: batch_size,
        ..QueryRequest::default()
    };
    let single = call(&cluster, "Query", &request(0)).await.unwrap();
    let batched = call(&cluster, "Query", &request(5)).await.unwrap();
    let count = series(&single).len();
    assert!(
        count > 10 && single.len() == count + 1,
        "{count} of {}",
        single.len()
    );
    assert_eq!(batched.len(), count.div_ceil(5) + 1);
    assert_eq!(series(&single), series(&batched));
    for parts in [&single, &batched] {
        assert!(matches!(parts.last(), Some(Part::Stats(stats)) if stats.samples_total > 0));
    }
    let first = series(&single)[0];
    assert_eq!(
        (first.samples.len(), first.samples[0].timestamp),
        (1, TIME * 1000)
    );
    assert!(first.labels.iter().all(|label| label.name != "replica"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ranges_have_floats_and_histograms() {
    let cluster = Cluster::on(&["raw"]).await;
    let request = |query: &str| QueryRangeRequest {
        query: query.to_owned(),
        start_time_seconds: TIME,
        end_time_seconds: TIME + 300,
        interval_seconds: 60,
        ..QueryRangeRequest::default()
    };
    let parts = call(
        &cluster,
        "QueryRange",
        &request("sum(http_requests_0_total)"),
    )
    .await
    .unwrap();
    assert_eq!(series(&parts)[0].samples.len(), 6);
    let parts = call(
        &cluster,
        "QueryRange",
        &request("sum(rpc_duration_native_seconds_0)"),
    )
    .await
    .unwrap();
    let histograms = &series(&parts)[0].histograms;
    assert!(histograms.len() == 6 && !histograms[0].positive_counts.is_empty());
    let parts = call(&cluster, "QueryRange", &request("1")).await.unwrap();
    assert!(series(&parts)[0].labels.is_empty());
    let wrong = call(&cluster, "QueryRange", &request("sum("))
        .await
        .unwrap_err();
    assert_eq!(wrong.code(), tonic::Code::InvalidArgument);
    assert!(
        wrong.message().contains("unclosed left parenthesis"),
        "{wrong}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_query_is_a_warning_if_it_may_be_partial() {
    let cluster = Cluster::on(&["raw"]).await;
    let request = |partial: bool| QueryRequest {
        query: "http_requests_0_total + on () http_requests_0_total".to_owned(),
        time_seconds: TIME,
        enable_partial_response: partial,
        ..QueryRequest::default()
    };
    let parts = call(&cluster, "Query", &request(true)).await.unwrap();
    assert!(
        matches!(&parts[..], [Part::Warnings(text)] if text.contains("duplicate series")),
        "{parts:?}"
    );
    let status = call(&cluster, "Query", &request(false)).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Internal);
}
