//! What the proxy costs beyond decoding: 60,000 series with ten chunks each, 250 MB, in batches of 64.
//!
//! Prints the median of the runs, in milliseconds, of decoding alone and of the proxy over stores in
//! memory: one that holds all, three that hold a third each, and two that hold the same.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark reports on standard output, and may fail"
)]

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use rutile_fanout::{Fanout, FanoutConfig, Metadata, Store};
use rutile_proto::thanos::{
    LabelMatcher, LabelNamesRequest, LabelNamesResponse, LabelValuesRequest, LabelValuesResponse,
    SeriesRequest, chunk::Encoding, info::InfoResponse,
};
use rutile_runtime::{Ledger, TaskGroup};
use rutile_storeapi::{
    Batch, ChunkRef, FrameWriter, Frames, Item, RequestContext, Result, SeriesStream, StoreApi,
};
use rutile_telemetry::Registry;
use tokio::time::Instant;

const SERIES: u32 = 60_000;
const CHUNKS: i64 = 10;
const CHUNK_BYTES: usize = 416;
const RUNS: usize = 9;

/// Answers with frames that lie in memory.
struct Recorded(Vec<Frames>);

#[async_trait]
impl StoreApi for Recorded {
    async fn series(&self, _: RequestContext, _: SeriesRequest) -> Result<SeriesStream> {
        Ok(Box::pin(stream::iter(self.0.clone()).map(Ok)))
    }

    async fn label_names(
        &self,
        _: RequestContext,
        _: LabelNamesRequest,
    ) -> Result<LabelNamesResponse> {
        Ok(LabelNamesResponse::default())
    }

    async fn label_values(
        &self,
        _: RequestContext,
        _: LabelValuesRequest,
    ) -> Result<LabelValuesResponse> {
        Ok(LabelValuesResponse::default())
    }

    async fn info(&self, _: RequestContext) -> Result<InfoResponse> {
        Ok(Metadata::unknown().info.clone())
    }
}

/// The series whose number leaves `rest` modulo `of`.
fn frames(rest: u32, of: u32) -> Vec<Frames> {
    let data = vec![7_u8; CHUNK_BYTES];
    let mut writer = FrameWriter::new(64);
    let mut frames = Vec::new();
    for i in (0..SERIES).filter(|i| i % of == rest) {
        let mut series = writer.series();
        let pod = format!("api-server-{i:06}");
        for (name, value) in [
            ("__name__", "http_requests_total"),
            ("cluster", "eu-west-1"),
            ("job", "kubernetes-pods"),
            ("method", "GET"),
            ("namespace", "production"),
            ("pod", &pod),
            ("status", "200"),
        ] {
            series.label(name.as_bytes(), value.as_bytes());
        }
        for j in 0..CHUNKS {
            let chunk = ChunkRef {
                encoding: Encoding::Xor.into(),
                data: &data,
                hash: 0,
            };
            series.raw(j * 100, j * 100 + 99, chunk);
        }
        series.finish().unwrap();
        if writer.is_full() {
            frames.push(writer.take());
        }
    }
    frames.push(writer.finish().unwrap());
    frames
}

/// Hands over and drops batch by batch, as a reader would.
fn decode(frames: &[Frames]) -> usize {
    frames
        .iter()
        .map(|frames| Batch::decode(frames).unwrap().series.len())
        .sum()
}

async fn fan_out(stores: &[Arc<Recorded>]) -> usize {
    let metadata = Metadata::unknown();
    let store = |api: &Arc<Recorded>| Store {
        name: "store".into(),
        metadata: Arc::clone(&metadata),
        api: Arc::clone(api) as _,
    };
    let stores: Vec<_> = stores.iter().map(store).collect();
    let tasks = TaskGroup::new("bench");
    let fanout = Fanout::new(
        FanoutConfig::default(),
        Arc::new(stores),
        tasks.spawner(),
        Ledger::new(1 << 30),
        &Registry::new(),
    );
    let request = SeriesRequest {
        max_time: 10_000,
        matchers: vec![LabelMatcher {
            r#type: 0,
            name: "__name__".to_owned(),
            value: "http_requests_total".to_owned(),
        }],
        ..SeriesRequest::default()
    };
    let ctx = RequestContext {
        deadline: Some(Instant::now() + Duration::from_mins(2)),
        ..RequestContext::default()
    };
    let mut items = fanout.series_items(&ctx, request, &[]).unwrap();
    let mut series = 0;
    while let Some(item) = items.next().await {
        series += usize::from(matches!(item.unwrap(), Item::Series(_)));
    }
    series
}

fn report(name: &str, mut times: Vec<Duration>) {
    times.sort();
    let median = times[times.len() / 2];
    println!("{name:<14} {:>8.1} ms", median.as_secs_f64() * 1_000.0);
}

#[tokio::main]
async fn main() {
    let all = Arc::new(Recorded(frames(0, 1)));
    let bytes: usize = all.0.iter().map(Frames::len).sum();
    println!("{SERIES} series, {} MB", bytes / 1_000_000);
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let start = Instant::now();
        assert_eq!(decode(&all.0), SERIES as usize);
        times.push(start.elapsed());
    }
    report("decode", times);
    let thirds = (0..3)
        .map(|rest| Arc::new(Recorded(frames(rest, 3))))
        .collect();
    for (name, stores) in [
        ("one store", vec![Arc::clone(&all)]),
        ("three thirds", thirds),
        ("two replicas", vec![Arc::clone(&all), Arc::clone(&all)]),
    ] {
        let mut times = Vec::new();
        for _ in 0..RUNS {
            let start = Instant::now();
            assert_eq!(fan_out(&stores).await, SERIES as usize);
            times.push(start.elapsed());
        }
        report(name, times);
    }
}
