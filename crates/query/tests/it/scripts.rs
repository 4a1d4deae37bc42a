//! Prometheus's test scripts, over stores, HTTP and gRPC: the answer must be what the engine gives over the samples
//! themselves.
//!
//! `SCRIPT=functions.test` runs one of them. Start timestamps do not travel over the StoreAPI: their script is left out.

mod encode;
#[path = "../../../promql/tests/scripts/hints.rs"]
mod hints;
#[path = "../../../promql/tests/scripts/nhcb.rs"]
mod nhcb;
mod rpc;
#[allow(
    dead_code,
    reason = "what a script expects is checked where it is evaluated without stores"
)]
#[path = "../../../promql/tests/scripts/script.rs"]
mod script;
#[path = "../../../promql/tests/scripts/storage.rs"]
mod storage;

use std::sync::Arc;

use async_trait::async_trait;
use http_body_util::BodyExt;
use parking_lot::RwLock;
use rutile_api::{Data, Headers, QueryData, Reply};
use rutile_promql::{Engine, Error, Source};
use rutile_proto::thanos::info::InfoResponse;
use rutile_proto::thanos::{
    LabelNamesRequest, LabelNamesResponse, LabelValuesRequest, LabelValuesResponse, SeriesRequest,
};
use rutile_runtime::{CpuPool, TaskGroup};
use rutile_storeapi::memory::MemoryStore;
use rutile_storeapi::{RequestContext, Result, SeriesStream, StoreApi};

use crate::support::{Answer, Cluster, querier_config};
use rpc::Compared;
use script::{Command, Eval, When};
use storage::Storage;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../promql/testdata");
const WITH_START_TIMESTAMPS: &str = "start_timestamps.test";

/// What a script has loaded so far, as a store.
#[derive(Default)]
struct Loaded(RwLock<MemoryStore>);

impl Loaded {
    fn store(&self) -> MemoryStore {
        self.0.read().clone()
    }
}

#[async_trait]
impl StoreApi for Loaded {
    async fn series(
        &self,
        context: RequestContext,
        request: SeriesRequest,
    ) -> Result<SeriesStream> {
        self.store().series(context, request).await
    }

    async fn label_names(
        &self,
        context: RequestContext,
        request: LabelNamesRequest,
    ) -> Result<LabelNamesResponse> {
        self.store().label_names(context, request).await
    }

    async fn label_values(
        &self,
        context: RequestContext,
        request: LabelValuesRequest,
    ) -> Result<LabelValuesResponse> {
        self.store().label_values(context, request).await
    }

    async fn info(&self, context: RequestContext) -> Result<InfoResponse> {
        let mut info = self.store().info(context).await?;
        // The endpoint is asked once, before anything is loaded.
        if let Some(store) = &mut info.store {
            (store.min_time, store.max_time) = (i64::MIN, i64::MAX);
            store.tsdb_infos.clear();
        }
        info.label_sets.clear();
        Ok(info)
    }
}

fn scripts() -> Vec<String> {
    let only = std::env::var("SCRIPT").ok();
    let entries = std::fs::read_dir(FOLDER).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".test") && name != WITH_START_TIMESTAMPS)
        .filter(|name| only.as_ref().is_none_or(|only| only == name))
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_over_stores_http_and_grpc() {
    let mut config = querier_config();
    config.engine.delayed_name_removal = true;
    config.engine.start_timestamps = true;
    config.dynamic_lookback = false;
    let engine = Engine::new(config.engine, CpuPool::inline());
    let loaded = Arc::new(Loaded::default());
    let stores: Vec<Arc<dyn StoreApi>> = vec![Arc::<Loaded>::clone(&loaded)];
    let cluster = Cluster::over(stores, config, TaskGroup::new("cluster")).await;
    let (mut passed, mut failures, mut rpc) = (0, Vec::new(), Compared::default());
    for name in scripts() {
        let text = std::fs::read_to_string(format!("{FOLDER}/{name}")).unwrap();
        let storage = Arc::new(Storage::default());
        let source: Arc<dyn Source> = Arc::<Storage>::clone(&storage);
        for command in script::parse(&text).unwrap() {
            match command {
                Command::Clear => storage.clear(),
                // What is wrong with it shows in its own tests.
                Command::Load(load) => drop(storage.load(&load)),
                Command::Eval(eval) => {
                    *loaded.0.write() = encode::store(&source).await;
                    let by_http = check(&cluster, &engine, &source, &eval).await;
                    let by_grpc = rpc.check(&cluster, &engine, &source, &eval).await;
                    match by_http.and(by_grpc) {
                        Ok(()) => passed += 1,
                        Err(problem) => failures.push(format!(
                            "{name}:{}: {}\n    {problem}",
                            eval.line, eval.query
                        )),
                    }
                }
            }
        }
    }
    println!("{passed} passed, {} failed, {rpc:?}", failures.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let are_all = passed > 2000 && rpc.answers > 3000 && rpc.histograms > 500;
    assert!(
        are_all || std::env::var("SCRIPT").is_ok(),
        "{passed}, {rpc:?}"
    );
}

async fn check(
    cluster: &Cluster,
    engine: &Engine,
    source: &Arc<dyn Source>,
    eval: &Eval,
) -> Result<(), String> {
    let seconds = |ms: i64| {
        format!(
            "{}{}.{:03}",
            if ms < 0 { "-" } else { "" },
            ms.abs() / 1000,
            ms.abs() % 1000
        )
    };
    let query =
        percent_encoding::utf8_percent_encode(&eval.query, percent_encoding::NON_ALPHANUMERIC);
    let (expected, path, form) = match eval.when {
        When::At(time) => {
            let time = eval.expect.range_vector.map_or(time, |(_, end, _)| end);
            let answer = engine.instant(source, &eval.query, time).await;
            (
                answer,
                "/query",
                format!("query={query}&time={}", seconds(time)),
            )
        }
        When::Range { start, end, step } => {
            let answer = engine.range(source, &eval.query, (start, end), step).await;
            let times = [start, end, step].map(seconds);
            let form = format!(
                "query={query}&start={}&end={}&step={}",
                times[0], times[1], times[2]
            );
            (answer, "/query_range", form)
        }
    };
    let got = cluster.post(path, &form).await;
    compare(eval, expected, &got).await
}

async fn compare(
    eval: &Eval,
    expected: Result<rutile_promql::Answer, Error>,
    got: &Answer,
) -> Result<(), String> {
    let answer = match expected {
        Ok(answer) => answer,
        Err(error) => {
            let json = got.json();
            let said = json["error"].as_str().unwrap_or_default();
            return if said.contains(&error.to_string()) {
                Ok(())
            } else {
                Err(format!("{error}, got {json}"))
            };
        }
    };
    let annotations = answer
        .annotations
        .iter()
        .map(|annotation| annotation.render(&eval.query));
    let reply = Reply {
        memory: None,
        warnings: annotations.collect(),
        data: Data::Query(Box::new(QueryData {
            value: answer.value,
            stats: None,
            analysis: None,
        })),
    };
    let headers = Headers::new(&http::HeaderMap::new(), false);
    let response = headers.respond(Ok(reply), &CpuPool::inline());
    let expected = response.into_body().collect().await.unwrap().to_bytes();
    if expected == got.body {
        Ok(())
    } else {
        Err(format!(
            "expected {}\n    got      {}",
            String::from_utf8_lossy(&expected),
            got.text()
        ))
    }
}
