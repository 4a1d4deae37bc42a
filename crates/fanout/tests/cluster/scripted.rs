//! A store that misbehaves as it is told, and a network that breaks.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use rutile_model::{ErrorKind, Labels};
use rutile_proto::thanos::{
    LabelNamesRequest, LabelNamesResponse, LabelValuesRequest, LabelValuesResponse, SeriesRequest,
    info::InfoResponse,
};
use rutile_runtime::TaskGroup;
use rutile_storeapi::{
    Error, FrameWriter, Frames, RequestContext, Result, Series, SeriesStream, StoreApi,
    memory::MemoryStore,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::support::chunk;

/// What happens after the frames of an answer.
#[derive(Debug, Clone)]
pub(crate) enum Then {
    End,
    Fail(ErrorKind, &'static str),
    Hang,
    Warn(&'static str),
    Garbage,
}

/// Answers Info as `like` does, and Series with fixed frames.
pub(crate) struct Scripted {
    like: MemoryStore,
    frames: Vec<Frames>,
    then: Then,
    /// How many calls of any kind but Info came.
    pub(crate) calls: AtomicUsize,
}

impl Scripted {
    /// Answers with these series, one to a frame.
    pub(crate) fn new(like: MemoryStore, series: &[Series], then: Then) -> Arc<Self> {
        let frame = |series: &Series| {
            let mut writer = FrameWriter::new(1);
            writer.decoded(series).unwrap();
            writer.finish().unwrap()
        };
        Arc::new(Self {
            like,
            frames: series.iter().map(frame).collect(),
            then,
            calls: AtomicUsize::new(0),
        })
    }

    async fn misbehave<T>(&self) -> Result<Option<T>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        match &self.then {
            Then::Fail(kind, message) => Err(Error::new(*kind, *message)),
            Then::Hang => std::future::pending().await,
            Then::End | Then::Warn(_) | Then::Garbage => Ok(None),
        }
    }
}

#[async_trait]
impl StoreApi for Scripted {
    async fn series(&self, _: RequestContext, _: SeriesRequest) -> Result<SeriesStream> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let frames = stream::iter(self.frames.clone().into_iter().map(Ok));
        Ok(match self.then.clone() {
            Then::End => frames.boxed(),
            Then::Fail(kind, message) => frames
                .chain(stream::iter([Err(Error::new(kind, message))]))
                .boxed(),
            Then::Hang => frames.chain(stream::pending()).boxed(),
            Then::Warn(text) => frames.chain(stream::iter([Frames::warning(text)])).boxed(),
            Then::Garbage => {
                let garbage: &[u8] = b"\x00\x00\x00\x00\x04\x0a\xff\xff\xff";
                frames
                    .chain(stream::iter([Frames::parse(garbage.into())]))
                    .boxed()
            }
        })
    }

    async fn label_names(
        &self,
        ctx: RequestContext,
        request: LabelNamesRequest,
    ) -> Result<LabelNamesResponse> {
        if let Some(never) = self.misbehave().await? {
            return Ok(never);
        }
        let mut answer = self.like.label_names(ctx, request).await?;
        if let Then::Warn(text) = self.then {
            answer.warnings.push(text.to_owned());
        }
        Ok(answer)
    }

    async fn label_values(
        &self,
        ctx: RequestContext,
        request: LabelValuesRequest,
    ) -> Result<LabelValuesResponse> {
        if let Some(never) = self.misbehave().await? {
            return Ok(never);
        }
        self.like.label_values(ctx, request).await
    }

    async fn info(&self, ctx: RequestContext) -> Result<InfoResponse> {
        self.like.info(ctx).await
    }
}

/// Forwards connections to `server`, and cuts each off after `bytes` from the server.
pub(crate) async fn cut_after(bytes: usize, server: SocketAddr, tasks: &TaskGroup) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let spawner = tasks.spawner();
    let accept = async move {
        while let Ok((client, _)) = listener.accept().await {
            drop(spawner.spawn("cut", forward(client, server, bytes)));
        }
    };
    drop(tasks.spawn("cutting", accept));
    address
}

async fn forward(client: TcpStream, server: SocketAddr, bytes: usize) {
    let server = TcpStream::connect(server).await.unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = async {
        // Ends with either side; whose fault it is does not matter here.
        tokio::io::copy(&mut from_client, &mut to_server).await.ok();
    };
    let down = async {
        let mut left = bytes;
        let mut buffer = vec![0; 4096];
        while left > 0 {
            let wanted = left.min(buffer.len());
            let read = from_server.read(&mut buffer[..wanted]).await.unwrap_or(0);
            if read == 0 || to_client.write_all(&buffer[..read]).await.is_err() {
                break;
            }
            left -= read;
        }
    };
    tokio::select! { () = up => {}, () = down => {} }
}

/// A series with one chunk of `bytes` bytes.
pub(crate) fn large(labels: &Labels, bytes: usize) -> Series {
    let mut chunk = chunk(1_000, b"");
    chunk.raw.as_mut().unwrap().data = vec![7; bytes].into();
    Series {
        labels: labels.clone(),
        chunks: vec![chunk.into()],
    }
}
