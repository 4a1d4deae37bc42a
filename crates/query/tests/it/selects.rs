//! Selects of a query: how much they hold, and that they do not wait for each other.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use rutile_chunk::{WireEncoding, XorAppender};
use rutile_model::{ErrorKind, Labels};
use rutile_proto::thanos::info::InfoResponse;
use rutile_proto::thanos::{
    AggrChunk, Chunk, LabelNamesRequest, LabelNamesResponse, LabelValuesRequest,
    LabelValuesResponse, SeriesRequest,
};
use rutile_runtime::{Ledger, TaskGroup};
use rutile_storeapi::memory::MemoryStore;
use rutile_storeapi::{Error, RequestContext, Result, SeriesStream, StoreApi};
use tokio::sync::{Barrier, Notify};

use crate::support::{Answer, Cluster, gateway, querier_config};

/// Within the data of `raw`, in seconds.
const TIME: &str = "1767375600";

const SERIES: usize = 20_000;
/// Samples in each of the two chunks of a series.
const SAMPLES: i64 = 120;

/// Two chunks of values that hardly compress: 2 KB to a series.
fn chunks(seed: usize) -> Vec<AggrChunk> {
    let chunk = |start: i64| {
        let mut appender = XorAppender::new();
        for i in start..start + SAMPLES {
            let value = ((seed + 1) as f64 * 0.1 + i as f64).sqrt();
            appender.append(i * 1000, value).unwrap();
        }
        AggrChunk {
            min_time: start * 1000,
            max_time: (start + SAMPLES - 1) * 1000,
            raw: Some(Chunk {
                r#type: WireEncoding::Xor.as_i32(),
                data: appender.into_bytes().into(),
                hash: 0,
            }),
            ..AggrChunk::default()
        }
    };
    vec![chunk(0), chunk(SAMPLES)]
}

fn bytes_of(chunks: &[AggrChunk]) -> u64 {
    let data = chunks.iter().filter_map(|chunk| chunk.raw.as_ref());
    data.map(|chunk| chunk.data.len() as u64).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_aggregation_holds_little_of_what_it_reads() {
    let all: Vec<_> = (0..SERIES)
        .map(|i| {
            let pod = format!("{i:06}");
            (
                Labels::from([("__name__", "m_total"), ("pod", &pod)]),
                chunks(i),
            )
        })
        .collect();
    let total: u64 = all.iter().map(|(_, chunks)| bytes_of(chunks)).sum();
    let (even, odd) = all
        .into_iter()
        .enumerate()
        .partition::<Vec<_>, _>(|(i, _)| i % 2 == 0);
    let store = |series: Vec<(usize, (Labels, Vec<AggrChunk>))>| -> Arc<dyn StoreApi> {
        let series = series.into_iter().map(|(_, series)| series).collect();
        Arc::new(MemoryStore::new(series, Labels::empty()))
    };
    let ledger = Ledger::new(1 << 30);
    let tasks = TaskGroup::new("cluster");
    let stores = vec![store(even), store(odd)];
    let cluster = Cluster::within(ledger.clone(), stores, querier_config(), tasks).await;
    let query = "/query_range?query=sum(rate(m_total[1m]))&start=60&end=230&step=10";
    let answer = cluster.get(query).await;
    let json = answer.json();
    assert_eq!(
        (answer.status, &json["warnings"]),
        (200, &serde_json::Value::Null)
    );
    assert_eq!(
        json["data"]["result"][0]["values"]
            .as_array()
            .unwrap()
            .len(),
        18
    );
    let peak = ledger.stats().peak_bytes;
    assert!(total > 30 << 20, "{total}");
    assert!(peak < total / 5, "{peak} of {total}");
    assert_eq!(ledger.stats().in_use_bytes, 0);
}

/// A store that answers when it is asked for both metrics: one of them without end, until somebody notices that nobody
/// wants it.
struct Both {
    store: MemoryStore,
    asked: Barrier,
    endless: Option<&'static str>,
    given_up: Arc<Notify>,
}

impl Both {
    fn of(endless: Option<&'static str>) -> Self {
        let series = ["a", "b"].map(|name| (Labels::from([("__name__", name)]), chunks(1)));
        Self {
            store: MemoryStore::new(series.into(), Labels::empty()),
            asked: Barrier::new(2),
            endless,
            given_up: Arc::default(),
        }
    }
}

#[async_trait]
impl StoreApi for Both {
    async fn series(&self, ctx: RequestContext, request: SeriesRequest) -> Result<SeriesStream> {
        self.asked.wait().await;
        let is = |name| request.matchers.iter().any(|matcher| matcher.value == name);
        match self.endless {
            None => self.store.series(ctx, request).await,
            Some(endless) if is(endless) => {
                let notice = OnDrop(Arc::clone(&self.given_up));
                let silence = stream::pending().inspect(move |_| {
                    let _: &OnDrop = &notice;
                });
                Ok(silence.boxed())
            }
            Some(_) => Err(Error::new(ErrorKind::Internal, "out of order")),
        }
    }

    async fn label_names(
        &self,
        ctx: RequestContext,
        request: LabelNamesRequest,
    ) -> Result<LabelNamesResponse> {
        self.store.label_names(ctx, request).await
    }

    async fn label_values(
        &self,
        ctx: RequestContext,
        request: LabelValuesRequest,
    ) -> Result<LabelValuesResponse> {
        self.store.label_values(ctx, request).await
    }

    async fn info(&self, ctx: RequestContext) -> Result<InfoResponse> {
        self.store.info(ctx).await
    }
}

struct OnDrop(Arc<Notify>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

async fn cluster_of(store: Both, ledger: &Ledger) -> Cluster {
    let mut config = querier_config();
    config.timeout = Duration::from_secs(30);
    let stores: Vec<Arc<dyn StoreApi>> = vec![Arc::new(store)];
    Cluster::within(ledger.clone(), stores, config, TaskGroup::new("cluster")).await
}

const RATIO: &str = "/query?query=sum(a)/sum(b)&time=200";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn selects_of_a_query_are_open_at_a_time() {
    let ledger = Ledger::new(1 << 30);
    let cluster = cluster_of(Both::of(None), &ledger).await;
    let answer = cluster.get(RATIO).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["data"]["result"][0]["value"][1], "1");
    drop(answer);
    assert_eq!(ledger.stats().in_use_bytes, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_opened_is_given_up_with_its_query() {
    let ledger = Ledger::new(1 << 30);
    let store = Both::of(Some("b"));
    let given_up = Arc::clone(&store.given_up);
    let cluster = cluster_of(store, &ledger).await;
    let answer = cluster.get(&format!("{RATIO}&partial_response=0")).await;
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert!(answer.text().contains("out of order"), "{}", answer.text());
    let noticed = tokio::time::timeout(Duration::from_secs(30), given_up.notified());
    noticed.await.expect("the store is told");
    assert_eq!(ledger.stats().in_use_bytes, 0);
}

/// Queries that select more than once.
const QUERIES: [&str; 14] = [
    "http_requests_0_total + http_requests_0_total",
    "http_requests_0_total + http_requests_1_total",
    "sum(http_requests_0_total) / sum(http_requests_1_total) + sum(http_requests_0_total)",
    "max_over_time(sum(http_requests_0_total)[10m:1m]) + max_over_time(http_requests_1_total[10m:1m])",
    "rate(http_requests_0_total[5m]) + rate(http_requests_0_total[5m])",
    "sum(http_requests_0_total * scalar(sum(http_requests_1_total)))",
    "predict_linear(http_requests_0_total[10m], scalar(sum(http_requests_1_total)))",
    "quantile_over_time(scalar(sum(http_requests_1_total)) / 1e12, http_requests_0_total[10m])",
    "double_exponential_smoothing(http_requests_0_total[10m], 0.5, scalar(count(http_requests_1_total)) / 1e6)",
    "clamp(http_requests_0_total, scalar(sum(http_requests_1_total)), scalar(sum(http_requests_0_total)))",
    "topk(scalar(count(http_requests_1_total)), http_requests_0_total)",
    "count_values(\"v\", http_requests_0_total) or absent(http_requests_1_total)",
    "info(http_requests_0_total)",
    // Rows with equal labels: all is begun anew.
    "abs({__name__=~\"http_requests_._total\"}) or http_requests_1_total",
];

async fn answers(max_concurrent_selects: usize) -> Vec<Answer> {
    let tasks = TaskGroup::new("cluster");
    let stores = vec![gateway("raw", &tasks).await];
    let mut config = querier_config();
    config.max_concurrent_selects = max_concurrent_selects;
    config.timeout = Duration::from_secs(60);
    let cluster = Cluster::over(stores, config, tasks).await;
    let mut answers = Vec::new();
    for query in QUERIES {
        let query = query.replace('+', "%2B");
        answers.push(
            cluster
                .get(&format!("/query?query={query}&time={TIME}"))
                .await,
        );
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_select_at_a_time_is_enough() {
    let (expected, got) = (answers(0).await, answers(1).await);
    for ((query, expected), got) in QUERIES.iter().zip(&expected).zip(&got) {
        assert_eq!(got.text(), expected.text(), "{query}");
        let is_refused = expected.text().contains("same labelset");
        assert!(got.status == 200 || is_refused, "{query}: {}", got.text());
    }
}
