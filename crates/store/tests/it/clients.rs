//! Clients that stop reading, go away, or come in crowds: memory stays within the ledger, tasks end
//! with their calls, and the next call is answered.

use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use rutile_model::ErrorKind;
use rutile_objstore::FilesystemBucket;
use rutile_proto::thanos::{SeriesRequest, series_response};
use rutile_storeapi::grpc::Compression;
use rutile_storeapi::{Frames, RequestContext, Result, SeriesStream, StoreApi};
use rutile_testkit::golden;

use crate::support::{Fixture, Served, Settings, matcher};
use crate::world::everything;

const MIB: u64 = 1024 * 1024;

async fn fixture(settings: Settings) -> Fixture {
    let bucket = FilesystemBucket::new(golden().join("long")).unwrap();
    let fixture = Fixture::new(Arc::new(bucket), settings);
    fixture.store.syncer.sync().await.unwrap();
    fixture
}

async fn open(store: &dyn StoreApi) -> Result<SeriesStream> {
    store.series(RequestContext::default(), everything()).await
}

/// Reads to the end; the number of series.
async fn read(stream: SeriesStream) -> Result<usize> {
    let frames: Vec<Frames> = stream.try_collect().await?;
    let mut series = 0;
    for frames in frames {
        for message in frames.decode()? {
            assert!(matches!(
                message.result,
                Some(series_response::Result::Series(_))
            ));
            series += 1;
        }
    }
    Ok(series)
}

/// Waits until no call is left: no task, no memory, no turn.
async fn settled(fixture: &Fixture) {
    let rest = async {
        while fixture.tasks.live() > 0 || fixture.ledger.stats().in_use_bytes > 0 {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), rest).await;
    let (live, ledger) = (fixture.tasks.live(), fixture.ledger.stats());
    assert!(waited.is_ok(), "{live} tasks are left, and {ledger:?}");
    assert!(ledger.peak_bytes <= ledger.limit_bytes, "{ledger:?}");
    assert_eq!(fixture.tasks.panics(), 0);
    let metrics = fixture.registry.render();
    let in_flight = "thanos_bucket_store_series_gate_queries_in_flight 0";
    assert!(metrics.lines().any(|line| line == in_flight), "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_stop_reading_stop_nobody_else() {
    let fixture = fixture(Settings {
        max_concurrency: 8,
        ..Settings::default()
    })
    .await;
    let store = &*fixture.store.gateway;
    let all = read(open(store).await.unwrap()).await.unwrap();
    assert!(all > 100, "{all} series");

    let mut stopped = Vec::new();
    for frames in 0..7 {
        let mut stream = open(store).await.unwrap();
        for _ in 0..frames {
            stream.next().await.unwrap().unwrap();
        }
        stopped.push(stream);
    }
    for _ in 0..3 {
        assert_eq!(read(open(store).await.unwrap()).await.unwrap(), all);
    }
    // The gate is full with one more; the next one waits for a turn, not for a reader.
    stopped.push(open(store).await.unwrap());
    let mut waiting = Box::pin(open(store));
    assert!(waiting.as_mut().now_or_never().is_none(), "no turn is left");
    let first = stopped.swap_remove(0);
    drop(first);
    assert_eq!(read(waiting.await.unwrap()).await.unwrap(), all);
    // Whoever reads on gets the rest.
    let resumed = stopped.pop().unwrap();
    assert!(read(resumed).await.unwrap() > 0);
    drop(stopped);
    settled(&fixture).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_leaves_nothing_behind() {
    let fixture = fixture(Settings::default()).await;
    let store = &*fixture.store.gateway;
    let served = Served::start(Arc::clone(&fixture.store.gateway) as _).await;
    let remote = served.client(Compression::Identity).await;
    let all = read(open(store).await.unwrap()).await.unwrap();
    for store in [store as &dyn StoreApi, &remote] {
        // Before it was answered at all, after a few polls.
        for polls in 0..4 {
            let mut call = Box::pin(open(store));
            for _ in 0..polls {
                if call.as_mut().now_or_never().is_some() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        for frames in 0..6 {
            let mut stream = open(store).await.unwrap();
            for _ in 0..frames {
                stream.try_next().await.unwrap();
            }
            drop(stream);
        }
        settled(&fixture).await;
        assert_eq!(read(open(store).await.unwrap()).await.unwrap(), all);
    }
    settled(&fixture).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_calls_at_once_share_the_memory() {
    let fixture = fixture(Settings {
        memory: 96 * MIB,
        max_concurrency: 8,
        ..Settings::default()
    })
    .await;
    let served = Served::start(Arc::clone(&fixture.store.gateway) as _).await;
    let remote = served.client(Compression::Identity).await;
    let request = || SeriesRequest {
        matchers: vec![matcher("__name__", "=~", "http_requests_.*")],
        ..everything()
    };
    let call = async |store: &dyn StoreApi| {
        let stream = store.series(RequestContext::default(), request()).await?;
        read(stream).await
    };
    let all = call(&*fixture.store.gateway).await.unwrap();
    assert!(all > 0);
    let calls = (0..200).map(|n| {
        let store: &dyn StoreApi = match n % 4 {
            0 => &remote,
            _ => &*fixture.store.gateway,
        };
        call(store)
    });
    let answers: Vec<_> = stream::iter(calls).buffer_unordered(200).collect().await;
    assert_eq!(answers.len(), 200);
    for answer in answers {
        assert_eq!(answer.unwrap(), all);
    }
    settled(&fixture).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_memory_a_call_is_refused_with_figures() {
    for memory in [64 * 1024, MIB, 2 * MIB] {
        let fixture = fixture(Settings {
            memory,
            ..Settings::default()
        })
        .await;
        let store = &*fixture.store.gateway;
        let answer = match open(store).await {
            Ok(stream) => read(stream).await,
            Err(error) => Err(error),
        };
        let error = answer.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exhausted, "{error}");
        let text = error.to_string();
        assert!(text.contains(&memory.to_string()), "{memory}: {text}");
        settled(&fixture).await;
    }
    // What fits is still answered.
    let fixture = fixture(Settings {
        memory: 4 * MIB,
        ..Settings::default()
    })
    .await;
    let request = SeriesRequest {
        limit: 1,
        skip_chunks: true,
        ..everything()
    };
    assert_eq!(fixture.series(request).await.unwrap().len(), 1);
    settled(&fixture).await;
}
