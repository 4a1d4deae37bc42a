//! How far stores are read ahead.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::StreamExt;
use rutile_fanout::{Fanout, FanoutConfig, Metadata, Retrieval, Store};
use rutile_model::Labels;
use rutile_proto::thanos::{
    LabelNamesRequest, LabelNamesResponse, LabelValuesRequest, LabelValuesResponse, SeriesRequest,
    info::InfoResponse,
};
use rutile_runtime::{Ledger, TaskGroup};
use rutile_storeapi::{FrameWriter, Frames, RequestContext, Result, SeriesStream, StoreApi};
use rutile_telemetry::Registry;
use tokio::time::sleep;

use crate::{scripted::large, support::everything};

/// Sends series without end, and counts the frames that it was asked for.
struct Endless {
    bytes: usize,
    sent: AtomicUsize,
}

impl Endless {
    fn frame(&self) -> Frames {
        let i = self.sent.fetch_add(1, Ordering::SeqCst);
        let labels = Labels::from([("__name__", "up"), ("pod", &format!("{i:08}"))]);
        let mut writer = FrameWriter::new(1);
        writer.decoded(&large(&labels, self.bytes)).unwrap();
        writer.finish().unwrap()
    }
}

/// The store, as what is given to the proxy.
struct Shared(Arc<Endless>);

#[async_trait]
impl StoreApi for Shared {
    async fn series(&self, _: RequestContext, _: SeriesRequest) -> Result<SeriesStream> {
        let store = Arc::clone(&self.0);
        Ok(futures::stream::repeat_with(move || Ok(store.frame())).boxed())
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

/// How many frames two stores were asked for when one series was taken and nothing moves any more.
async fn asked_for(retrieval: Retrieval, bytes: usize) -> (usize, TaskGroup) {
    let tasks = TaskGroup::new("test");
    let endless = Arc::new(Endless {
        bytes,
        sent: AtomicUsize::new(0),
    });
    let store = |name: &str| Store {
        name: name.into(),
        metadata: Metadata::unknown(),
        api: Arc::new(Shared(Arc::clone(&endless))),
    };
    let stores = Arc::new(vec![store("a"), store("b")]);
    let config = FanoutConfig {
        retrieval,
        ..FanoutConfig::default()
    };
    let ledger = Ledger::new(1 << 30);
    let fanout = Fanout::new(config, stores, tasks.spawner(), ledger, &Registry::new());
    let ctx = RequestContext::default();
    let mut items = fanout.series_items(&ctx, everything(), &[]).unwrap();
    items.next().await.unwrap().unwrap();
    // In paused time this returns when no task can go on.
    sleep(Duration::from_secs(1)).await;
    assert_eq!(tasks.live(), 2, "both are being read");
    let sent = endless.sent.load(Ordering::SeqCst);
    drop(items);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(
        tasks.live(),
        0,
        "an answer that is dropped is read no further"
    );
    assert_eq!(endless.sent.load(Ordering::SeqCst), sent);
    (sent, tasks)
}

#[tokio::test(start_paused = true)]
async fn lazily_by_frames() {
    // Of each store: the buffer, one at its door, and two or three that the merge has taken.
    for max_frames in [1, 20] {
        let (sent, _tasks) = asked_for(Retrieval::Lazy { max_frames }, 10).await;
        let range = 2 * max_frames..=2 * (max_frames + 4);
        assert!(range.contains(&sent), "{max_frames} frames: {sent}");
    }
}

#[tokio::test(start_paused = true)]
async fn eagerly_by_bytes_and_frames() {
    let (sent, _tasks) = asked_for(Retrieval::Eager, 1_000_000).await;
    assert!((60..=80).contains(&sent), "64 MB in all: {sent}");
    let (sent, _tasks) = asked_for(Retrieval::Eager, 10).await;
    assert!((512..=520).contains(&sent), "256 frames each: {sent}");
}
