//! What a silent store costs: all of it in paused time, so in no time at all.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::StreamExt;
use rutile_fanout::{Fanout, FanoutConfig, Metadata, Store};
use rutile_model::Labels;
use rutile_proto::thanos::{
    LabelNamesRequest, LabelNamesResponse, LabelValuesRequest, LabelValuesResponse,
    PartialResponseStrategy, SeriesRequest, info::InfoResponse,
};
use rutile_runtime::{Ledger, TaskGroup};
use rutile_storeapi::{RequestContext, Result, SeriesStream, StoreApi};
use rutile_telemetry::Registry;
use tokio::time::{Instant, sleep};

use crate::{
    scripted::{Scripted, Then},
    support::{collect, everything, labels_of, pods, series, store},
};

/// Sends a frame after each pause.
struct Slow(Arc<Scripted>, Duration);

#[async_trait]
impl StoreApi for Slow {
    async fn series(&self, ctx: RequestContext, request: SeriesRequest) -> Result<SeriesStream> {
        let frames = self.0.series(ctx, request).await?;
        let pause = self.1;
        let later = frames.then(move |frames| async move {
            sleep(pause).await;
            frames
        });
        Ok(Box::pin(later))
    }

    async fn label_names(
        &self,
        _: RequestContext,
        _: LabelNamesRequest,
    ) -> Result<LabelNamesResponse> {
        std::future::pending().await
    }

    async fn label_values(
        &self,
        _: RequestContext,
        _: LabelValuesRequest,
    ) -> Result<LabelValuesResponse> {
        std::future::pending().await
    }

    async fn info(&self, ctx: RequestContext) -> Result<InfoResponse> {
        self.0.info(ctx).await
    }
}

fn scripted(labels: &[Labels], then: Then) -> Arc<Scripted> {
    let all: Vec<_> = labels.iter().map(series).collect();
    Scripted::new(store(labels, &Labels::empty()), &all, then)
}

/// What a request with a deadline of `seconds` brings: labels, warnings, the error, and when.
async fn ask(
    other: Arc<dyn StoreApi>,
    seconds: u64,
    strategy: PartialResponseStrategy,
) -> (Vec<Labels>, Vec<String>, Option<String>, Duration) {
    let tasks = TaskGroup::new("test");
    let good: Arc<dyn StoreApi> = Arc::new(store(&pods(0..50), &Labels::empty()));
    let mut stores = Vec::new();
    for (name, api) in [("good", good), ("other", other)] {
        let info = api.info(RequestContext::default()).await.unwrap();
        let metadata = Arc::new(Metadata::new(info));
        stores.push(Store {
            name: name.into(),
            metadata,
            api,
        });
    }
    let config = FanoutConfig::default();
    let registry = Registry::new();
    let fanout = Fanout::new(
        config,
        Arc::new(stores),
        tasks.spawner(),
        Ledger::new(1 << 30),
        &registry,
    );
    let start = Instant::now();
    let ctx = RequestContext {
        deadline: Some(start + Duration::from_secs(seconds)),
        ..RequestContext::default()
    };
    let request = SeriesRequest {
        partial_response_strategy: strategy.into(),
        ..everything()
    };
    let (series, warnings, error) = collect(fanout.series_items(&ctx, request, &[]).unwrap()).await;
    let error = error.map(|error| error.to_string());
    (
        series.iter().map(labels_of).collect(),
        warnings,
        error,
        start.elapsed(),
    )
}

#[tokio::test(start_paused = true)]
async fn a_silent_store_is_given_up_before_the_deadline() {
    for (seconds, expected_ms) in [(100, 99_000), (10, 9_000), (2, 1_800)] {
        let hanging = scripted(&pods(60..62), Then::Hang);
        let (found, warnings, error, after) =
            ask(hanging, seconds, PartialResponseStrategy::Warn).await;
        let expected: Vec<_> = pods(0..50).into_iter().chain(pods(60..62)).collect();
        assert_eq!(found, expected);
        assert!(
            matches!(&warnings[..], [warning] if warning.contains("from store other: it was not done")),
            "{warnings:?}"
        );
        assert_eq!(error, None);
        // Timers fire up to a millisecond late.
        assert_eq!(after.as_millis() / 10, expected_ms / 10);
    }
}

#[tokio::test(start_paused = true)]
async fn without_partial_response_the_deadline_is_an_error() {
    let hanging = scripted(&pods(60..62), Then::Hang);
    let (_, warnings, error, after) = ask(hanging, 10, PartialResponseStrategy::Abort).await;
    assert!(warnings.is_empty(), "{warnings:?}");
    assert!(error.is_some_and(|error| error.contains("from store other")));
    assert!(after >= Duration::from_secs(10), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_store_gives_what_it_can_before_the_deadline() {
    let slow = Arc::new(Slow(
        scripted(&pods(0..99), Then::End),
        Duration::from_secs(1),
    ));
    let (found, warnings, error, after) = ask(slow, 10, PartialResponseStrategy::Warn).await;
    assert_eq!(error, None);
    assert_eq!(
        found,
        pods(0..50),
        "all of the good one, which has the first that the slow one sent too"
    );
    assert!(
        matches!(&warnings[..], [warning] if warning.contains("from store other")),
        "{warnings:?}"
    );
    assert!(after <= Duration::from_millis(9_501), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_busy_store_is_given_up_before_the_deadline() {
    let many: Vec<_> = (0..100_000)
        .map(|i| Labels::from([("__name__", "zz"), ("pod", &format!("{i:06}"))]))
        .collect();
    let busy = Arc::new(Slow(scripted(&many, Then::End), Duration::from_millis(1)));
    let (found, warnings, error, after) = ask(busy, 10, PartialResponseStrategy::Warn).await;
    assert_eq!(error, None);
    assert_eq!(found[..50], pods(0..50));
    assert!(found.len() > 1_000, "{} series", found.len());
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let expected = Duration::from_millis(9_490)..Duration::from_millis(9_510);
    assert!(expected.contains(&after), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_store_that_ends_in_time_is_complete() {
    let slow = Arc::new(Slow(
        scripted(&pods(60..68), Then::End),
        Duration::from_secs(1),
    ));
    let (found, warnings, error, _) = ask(slow, 20, PartialResponseStrategy::Warn).await;
    let expected: Vec<_> = pods(0..50).into_iter().chain(pods(60..68)).collect();
    assert_eq!((found, warnings, error), (expected, Vec::new(), None));
}
