//! Every recorded request to the reference's sidecar gets the recorded answer, in order.

use rutile_proto::thanos::{
    LabelMatcher, LabelNamesRequest, LabelValuesRequest, Series, SeriesRequest,
};
use rutile_storeapi::CallLimits;
use rutile_storeapi::{RequestContext, StoreApi};
use rutile_testkit::storeapi::{self, AnsweredChunk, Request, Rpc, SeriesLine};
use rutile_testkit::{digest, label_text};

use crate::support::{Fixture, matcher, series};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn golden_sidecar() {
    let fixture = Fixture::new(CallLimits::default(), 256 << 20).await;
    let requests = storeapi::requests("sidecar");
    assert_eq!(requests.len(), 16);
    for request in &requests {
        check(&fixture.store, request).await;
    }
}

async fn check(store: &dyn StoreApi, request: &Request) {
    let context = RequestContext::default();
    let matchers: Vec<LabelMatcher> = request
        .matchers
        .iter()
        .map(|m| matcher(&m.name, m.op, &m.value))
        .collect();
    let found = match &request.rpc {
        Rpc::Series => {
            let asked = SeriesRequest {
                min_time: request.min_time,
                max_time: request.max_time,
                matchers,
                skip_chunks: request.skip_chunks,
                without_replica_labels: request.without_replica_labels.clone(),
                limit: request.limit,
                response_batch_size: request.batch,
                ..SeriesRequest::default()
            };
            let found = series(store, asked).await.unwrap();
            let lines: Vec<SeriesLine> = found.iter().flat_map(lines).collect();
            let expected = request.series();
            for (i, (line, expected)) in lines.iter().zip(&expected).enumerate() {
                assert_eq!(line, expected, "{}: line {}", request.name, i + 1);
            }
            assert_eq!(lines.len(), expected.len(), "{}: lines", request.name);
            return;
        }
        Rpc::LabelNames => {
            let asked = LabelNamesRequest {
                start: request.min_time,
                end: request.max_time,
                matchers,
                ..LabelNamesRequest::default()
            };
            store.label_names(context, asked).await.unwrap().names
        }
        Rpc::LabelValues(label) => {
            let asked = LabelValuesRequest {
                label: label.clone(),
                start: request.min_time,
                end: request.max_time,
                matchers,
                ..LabelValuesRequest::default()
            };
            store.label_values(context, asked).await.unwrap().values
        }
    };
    assert_eq!(found, request.answer(), "{}", request.name);
}

fn lines(series: &Series) -> Vec<SeriesLine> {
    let pairs = series.labels.iter();
    let labels = label_text(pairs.map(|label| (label.name.as_str(), label.value.as_str())));
    if series.chunks.is_empty() {
        let chunk = None;
        return vec![SeriesLine { labels, chunk }];
    }
    let line = |chunk: &rutile_proto::thanos::AggrChunk| {
        let raw = chunk.raw.as_ref().unwrap();
        assert_eq!(raw.hash, xxhash_rust::xxh64::xxh64(&raw.data, 0));
        let answered = AnsweredChunk {
            min_time: chunk.min_time,
            max_time: chunk.max_time,
            aggregate: "raw".to_owned(),
            encoding: raw.r#type,
            bytes: raw.data.len(),
            digest: digest(&raw.data),
        };
        SeriesLine {
            labels: labels.clone(),
            chunk: Some(answered),
        }
    };
    series.chunks.iter().map(line).collect()
}
