//! What a query allocates is what it reserves: measured by an allocator that counts.
#![expect(
    unsafe_code,
    reason = "the allocator of this test counts what it gives out"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use rutile_model::{ErrorKind, Labels};
use rutile_promql::{
    Engine, EngineOptions, ParserOptions, Samples, Select, Selected, SelectedStream, Series,
    Source, SourceError,
};
use rutile_runtime::{CpuPool, Ledger};

/// Steps of the subquery.
const STEPS: i64 = 200_000;

/// What is allocated, and the most that was.
static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call goes to the allocator of the system as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(now, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Two series of few samples.
#[derive(Debug)]
struct Few;

#[derive(Debug)]
struct Up(Labels);

#[async_trait]
impl Source for Few {
    async fn select(&self, _: &Select) -> Result<SelectedStream, SourceError> {
        let series = ["a", "b"].map(|job| {
            let labels = Labels::from_iter([("__name__", "up"), ("job", job)]);
            Arc::new(Up(labels)) as Arc<dyn Series>
        });
        let selected = Selected {
            series: series.into(),
            ..Selected::default()
        };
        Ok(selected.into_stream())
    }
}

impl Series for Up {
    fn labels(&self) -> &Labels {
        &self.0
    }

    fn decode(&self, out: &mut Samples) -> Result<(), SourceError> {
        out.clear();
        for minute in 0..STEPS / 60 {
            out.push_float(minute * 60_000, ((minute * 7) % 13) as f64);
        }
        Ok(())
    }
}

/// What a query reserves at most, and allocates at most, bytes; or how it fails within so much memory.
async fn measured(query: &str, limit: u64) -> Result<(u64, u64), rutile_promql::Error> {
    let options = EngineOptions {
        parser: ParserOptions::all(),
        ..EngineOptions::default()
    };
    let ledger = Ledger::new(limit);
    let engine = Engine::new(options, CpuPool::inline()).with_account(ledger.account("query"));
    let source: Arc<dyn Source> = Arc::new(Few);
    let before = NOW.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let answer = engine.instant(&source, query, STEPS * 1000).await;
    let allocated = PEAK.load(Ordering::Relaxed) - before;
    answer?;
    Ok((ledger.stats().peak_bytes, allocated as u64))
}

/// One test, for the allocator counts all that the process does.
#[tokio::test]
async fn what_is_allocated_is_reserved() {
    let range = format!("[{STEPS}s:1s]");
    for query in [
        format!("sum_over_time(up{range})"),
        format!("rate(up{range})"),
        format!("changes(up{range})"),
        format!("max_over_time(up{range})"),
        format!("quantile_over_time(0.9, up{range})"),
        format!("mad_over_time(up{range})"),
        format!("stddev_over_time((up > 3){range})"),
        format!("avg_over_time((up * 2 + 1){range})"),
        format!("sum_over_time(sum by (job) (up){range})"),
        format!("last_over_time(vector(1){range})"),
        format!("max_over_time(rate(up[5m]){range})"),
        format!("up{range}"),
        "up[1d]".to_owned(),
    ] {
        let (reserved, allocated) = measured(&query, 1 << 30).await.expect(&query);
        // Buffers of a fixed size are reserved once for all, when a query begins.
        assert!(
            allocated <= reserved + reserved / 8,
            "{query}: {reserved} reserved, {allocated} allocated"
        );
        let error = measured(&query, reserved / 2).await.expect_err(&query);
        assert_eq!(error.kind(), ErrorKind::Exhausted, "{query}");
    }
}
