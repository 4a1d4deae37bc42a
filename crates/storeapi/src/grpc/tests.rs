//! Both adapters against each other, and the server against tonic's own client.

use std::{
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt, future::Either, stream};
use parking_lot::Mutex;
use rutile_model::ErrorKind;
use rutile_proto::thanos::{
    LabelNamesRequest, LabelNamesResponse, LabelValuesRequest, LabelValuesResponse, SeriesRequest,
    SeriesResponse, info::InfoResponse, series_response,
};
use tokio::{net::TcpListener, sync::Notify, time::Instant};
use tonic::{
    codec::CompressionEncoding,
    transport::{Server, server::TcpIncoming},
};
use tonic_prost::ProstCodec;

use super::*;
use crate::{Error, Frames, RequestContext, Result, SeriesStream, StoreApi, conformance};

const ALL: [Compression; 4] = [
    Compression::Identity,
    Compression::Gzip,
    Compression::Zstd,
    Compression::Snappy,
];

/// Serves `store` on a port of its own as long as `test` runs.
async fn with_server<T>(store: Arc<dyn StoreApi>, test: impl AsyncFnOnce(SocketAddr) -> T) -> T {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::builder()
        .add_service(StoreServer::new(Arc::clone(&store)))
        .add_service(InfoServer::new(store))
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)));
    match futures::future::select(pin!(test(address)), pin!(server)).await {
        Either::Left((result, _)) => result,
        Either::Right((result, _)) => panic!("the server ended: {result:?}"),
    }
}

async fn client(address: SocketAddr, compression: Compression) -> Client {
    let options = ClientOptions {
        compression,
        ..ClientOptions::default()
    };
    Client::connect(&address.to_string(), &options)
        .await
        .unwrap()
}

/// What a scripted store does when it is asked for series.
enum Script {
    Answer(Vec<Result<Frames, ErrorKind>>),
    Refuse(ErrorKind),
    /// Never answers; tells when it was asked, and when the caller's call was dropped.
    Hang {
        asked: Arc<Notify>,
        dropped: Arc<Notify>,
    },
    /// As many frames as are asked for; counts them.
    Endless {
        frame: Frames,
        sent: Arc<AtomicUsize>,
    },
}

struct Scripted {
    script: Script,
    contexts: Mutex<Vec<RequestContext>>,
}

impl Scripted {
    fn new(script: Script) -> Arc<Self> {
        Arc::new(Self {
            script,
            contexts: Mutex::new(Vec::new()),
        })
    }
}

/// Notifies when it is dropped.
struct OnDrop(Arc<Notify>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[async_trait]
impl StoreApi for Scripted {
    async fn series(&self, ctx: RequestContext, _: SeriesRequest) -> Result<SeriesStream> {
        self.contexts.lock().push(ctx);
        match &self.script {
            Script::Refuse(kind) => Err(Error::new(*kind, "refused").with_source("its cause")),
            Script::Answer(items) => {
                let item = |item: &Result<Frames, ErrorKind>| match item {
                    Ok(frames) => Ok(frames.clone()),
                    Err(kind) => Err(Error::new(*kind, "failed")),
                };
                Ok(stream::iter(items.iter().map(item).collect::<Vec<_>>()).boxed())
            }
            Script::Hang { asked, dropped } => {
                let guard = OnDrop(Arc::clone(dropped));
                asked.notify_one();
                Ok(stream::once(async move {
                    let _guard = guard;
                    std::future::pending().await
                })
                .boxed())
            }
            Script::Endless { frame, sent } => {
                let (frame, sent) = (frame.clone(), Arc::clone(sent));
                Ok(stream::repeat_with(move || {
                    sent.fetch_add(1, Ordering::Relaxed);
                    Ok(frame.clone())
                })
                .boxed())
            }
        }
    }

    async fn label_names(
        &self,
        _: RequestContext,
        _: LabelNamesRequest,
    ) -> Result<LabelNamesResponse> {
        Err(Error::new(ErrorKind::Unavailable, "not ready"))
    }

    async fn label_values(
        &self,
        _: RequestContext,
        _: LabelValuesRequest,
    ) -> Result<LabelValuesResponse> {
        Ok(LabelValuesResponse {
            values: vec!["x".repeat(6 << 20)],
            ..Default::default()
        })
    }

    async fn info(&self, _: RequestContext) -> Result<InfoResponse> {
        Ok(InfoResponse::default())
    }
}

fn warning(len: usize) -> Frames {
    Frames::warning("w".repeat(len)).unwrap()
}

async fn read(answer: SeriesStream) -> Result<Vec<SeriesResponse>> {
    let all: Vec<_> = answer.map(|frames| frames?.decode()).collect().await;
    Ok(all.into_iter().collect::<Result<Vec<_>>>()?.concat())
}

#[tokio::test]
async fn the_wire_conforms() {
    let (store, holdings) = conformance::example();
    with_server(Arc::new(store), async |address| {
        for compression in ALL {
            conformance::run(&client(address, compression).await, &holdings).await;
        }
    })
    .await;
}

#[tokio::test]
async fn frames_of_any_size_arrive() {
    let sizes = [0, 1, 100, 32 << 10, 5, 1 << 20, 7, 5 << 20, 0];
    let frames = sizes.into_iter().map(|size| Ok(warning(size))).collect();
    let expected: Vec<_> = sizes
        .into_iter()
        .flat_map(|size| warning(size).decode().unwrap())
        .collect();
    with_server(Scripted::new(Script::Answer(frames)), async |address| {
        for compression in ALL {
            let client = client(address, compression).await;
            let answer = client
                .series(RequestContext::default(), SeriesRequest::default())
                .await;
            assert!(
                read(answer.unwrap()).await.unwrap() == expected,
                "{compression:?}"
            );
            let request = LabelValuesRequest::default();
            let answer = client
                .label_values(RequestContext::default(), request)
                .await
                .unwrap();
            assert_eq!(answer.values[0].len(), 6 << 20);
        }
    })
    .await;
}

#[tokio::test]
async fn errors_keep_their_kind() {
    for kind in [
        ErrorKind::Invalid,
        ErrorKind::Exhausted,
        ErrorKind::Unavailable,
        ErrorKind::Corrupt,
    ] {
        with_server(Scripted::new(Script::Refuse(kind)), async |address| {
            let client = client(address, Compression::Identity).await;
            let ctx = RequestContext::default;
            let error = client
                .series(ctx(), SeriesRequest::default())
                .await
                .err()
                .unwrap();
            assert_eq!(
                (error.kind(), error.to_string().as_str()),
                (kind, "refused: its cause")
            );
            let error = client
                .label_names(ctx(), LabelNamesRequest::default())
                .await
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
        })
        .await;
        let items = vec![
            Ok(warning(9)),
            Ok(warning(90_000)),
            Err(kind),
            Ok(warning(9)),
        ];
        with_server(Scripted::new(Script::Answer(items)), async |address| {
            let client = client(address, Compression::Identity).await;
            let answer = client
                .series(RequestContext::default(), SeriesRequest::default())
                .await;
            let items: Vec<_> = answer.unwrap().collect().await;
            let (last, frames) = items.split_last().unwrap();
            assert_eq!(last.as_ref().unwrap_err().kind(), kind);
            let warnings = frames
                .iter()
                .flat_map(|frames| frames.as_ref().unwrap().messages());
            assert_eq!(warnings.count(), 2, "what came before the error arrives");
        })
        .await;
    }
}

#[tokio::test]
async fn metadata_becomes_the_context() {
    let store = Scripted::new(Script::Answer(vec![]));
    with_server(Arc::clone(&store) as Arc<dyn StoreApi>, async |address| {
        let client = client(address, Compression::Identity).await;
        let deadline = Some(Instant::now() + Duration::from_secs(100));
        let ctx = RequestContext {
            tenant: "team-a".into(),
            request_id: Some("id-1".into()),
            deadline,
        };
        read(client.series(ctx, SeriesRequest::default()).await.unwrap())
            .await
            .unwrap();
    })
    .await;
    let contexts = store.contexts.lock();
    assert_eq!(&*contexts[0].tenant, "team-a");
    assert_eq!(contexts[0].request_id.as_deref(), Some("id-1"));
    let left = contexts[0]
        .deadline
        .unwrap()
        .saturating_duration_since(Instant::now());
    assert!(
        left > Duration::from_secs(50) && left <= Duration::from_secs(100),
        "{left:?}"
    );
}

#[tokio::test]
async fn deadlines_and_cancellation_end_the_call() {
    let (asked, dropped) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let script = Script::Hang {
        asked: Arc::clone(&asked),
        dropped: Arc::clone(&dropped),
    };
    with_server(Scripted::new(script), async |address| {
        let client = client(address, Compression::Identity).await;
        // Long enough for a busy machine to connect and to ask.
        let deadline = Some(Instant::now() + Duration::from_secs(1));
        let ctx = RequestContext {
            deadline,
            ..RequestContext::default()
        };
        let answer = client.series(ctx, SeriesRequest::default()).await;
        let error = match answer {
            Ok(answer) => read(answer).await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.kind(), ErrorKind::Canceled);
        dropped.notified().await;

        let answer = client
            .series(RequestContext::default(), SeriesRequest::default())
            .await;
        asked.notified().await;
        drop(answer.unwrap());
        dropped.notified().await;
    })
    .await;
}

#[tokio::test]
async fn a_client_that_does_not_read_stops_the_server() {
    const FRAME: usize = 100_000;
    let sent = Arc::new(AtomicUsize::new(0));
    let script = Script::Endless {
        frame: warning(FRAME),
        sent: Arc::clone(&sent),
    };
    with_server(Scripted::new(script), async |address| {
        let slow = client(address, Compression::Identity).await;
        let answer = slow
            .series(RequestContext::default(), SeriesRequest::default())
            .await
            .unwrap();
        let mut last = 0;
        // A second call makes progress while the first one stands: then what the server could
        // send of the first it has sent.
        loop {
            let other = slow.label_values(RequestContext::default(), LabelValuesRequest::default());
            assert_eq!(other.await.unwrap().values.len(), 1);
            let now = sent.load(Ordering::Relaxed);
            if now == last {
                break;
            }
            last = now;
        }
        assert!(
            last * FRAME < 16 << 20,
            "{last} frames are on their way to nobody"
        );
        drop(answer);
    })
    .await;
}

#[tokio::test]
async fn tonics_client_reads_our_answers() {
    let (store, holdings) = conformance::example();
    with_server(Arc::new(store), async |address| {
        let endpoint = Client::endpoint(&address.to_string(), &ClientOptions::default()).unwrap();
        let channel = endpoint.connect().await.unwrap();
        for encoding in [
            None,
            Some(CompressionEncoding::Gzip),
            Some(CompressionEncoding::Zstd),
        ] {
            let mut client = tonic::client::Grpc::new(channel.clone());
            if let Some(encoding) = encoding {
                client = client.send_compressed(encoding).accept_compressed(encoding);
            }
            client.ready().await.unwrap();
            let matcher = rutile_proto::thanos::LabelMatcher {
                r#type: 1,
                name: "__name__".into(),
                value: String::new(),
            };
            let request = SeriesRequest {
                max_time: i64::MAX,
                matchers: vec![matcher],
                ..SeriesRequest::default()
            };
            let path = http::uri::PathAndQuery::from_static(path::SERIES);
            let codec = ProstCodec::<SeriesRequest, SeriesResponse>::default();
            let request = tonic::Request::new(request);
            let answer = client.server_streaming(request, path, codec).await.unwrap();
            let name = answer.metadata().get("grpc-encoding").cloned();
            assert_eq!(
                name.is_some(),
                encoding.is_some(),
                "as it asks, so it is answered"
            );
            let mut answer = answer.into_inner();
            let mut series = 0;
            while let Some(response) = answer.message().await.unwrap() {
                assert!(matches!(
                    response.result,
                    Some(series_response::Result::Series(_))
                ));
                series += 1;
            }
            assert_eq!(series, holdings.series.len());
        }
    })
    .await;
}

#[tokio::test]
async fn unknown_compressions_are_refused() {
    with_server(Scripted::new(Script::Answer(vec![])), async |address| {
        let endpoint = Client::endpoint(&address.to_string(), &ClientOptions::default()).unwrap();
        let mut channel = endpoint.connect().await.unwrap();
        let request = http::Request::post(path::INFO)
            .header("grpc-encoding", "brotli")
            .body(tonic::body::Body::empty())
            .unwrap();
        std::future::poll_fn(|cx| tower::Service::<http::Request<_>>::poll_ready(&mut channel, cx))
            .await
            .unwrap();
        let response = tower::Service::call(&mut channel, request).await.unwrap();
        assert_eq!(response.headers()["grpc-status"], "12");
        assert_eq!(
            response.headers()["grpc-accept-encoding"],
            "snappy,zstd,gzip"
        );
    })
    .await;
}
