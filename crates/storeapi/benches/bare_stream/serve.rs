//! The server process: frames from memory, nothing else to do.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use clap::{Args, ValueEnum};
use rutile_storeapi::{
    Error, Frames, RequestContext, SeriesStream, StoreApi,
    grpc::StoreServer,
    info::InfoResponse,
    thanos::{
        LabelNamesRequest, LabelNamesResponse, LabelValuesRequest, LabelValuesResponse,
        SeriesRequest,
    },
};
use tokio::{io::AsyncReadExt, net::TcpListener};
use tonic::{service::Routes, transport::server::TcpIncoming};

use crate::{Result, generic, shapes::Shape};

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Server {
    /// Our body, frames handed over as a store does.
    Own,
    /// Our body, one message at a time, gathered there.
    Single,
    /// tonic's general codec.
    Tonic,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[arg(long, value_enum)]
    shape: Option<Shape>,
    #[arg(long)]
    frames: Option<PathBuf>,
    #[arg(long, value_enum, default_value = "own")]
    server: Server,
}

/// A running server process.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: String,
}

impl Process {
    pub(crate) fn start(
        shape: Option<Shape>,
        frames: Option<&Path>,
        server: Server,
    ) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("serve");
        if let Some(name) = server.to_possible_value() {
            command.arg("--server").arg(name.get_name());
        }
        if let Some(shape) = shape {
            command.arg("--shape").arg(shape.name());
        }
        if let Some(frames) = frames {
            command.arg("--frames").arg(frames);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("the server has no output")?;
        let mut address = String::new();
        BufReader::new(stdout).read_line(&mut address)?;
        Ok(Self {
            child,
            address: address.trim().to_owned(),
        })
    }

    pub(crate) fn stop(&mut self) -> Result<()> {
        drop(self.child.stdin.take());
        self.child.wait()?;
        Ok(())
    }
}

pub(crate) async fn run(args: &ServeArgs) -> Result<()> {
    let frames = match (&args.frames, args.shape) {
        (Some(path), _) => cut(Frames::parse(Bytes::from(fs::read(path)?))?),
        (None, Some(shape)) => shape.frames()?,
        (None, None) => return Err("give a shape or a file of frames".into()),
    };
    let routes = match args.server {
        Server::Own => Routes::new(StoreServer::new(Arc::new(Recorded(frames.into())))),
        Server::Single => {
            let frames: Vec<_> = frames.iter().flat_map(singles).collect();
            Routes::new(StoreServer::new(Arc::new(Recorded(frames.into()))))
        }
        Server::Tonic => generic::routes(frames.iter().flat_map(Frames::messages).collect()),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    tonic::transport::Server::builder()
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(1 << 24)
        .add_routes(routes)
        .serve_with_incoming_shutdown(
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            parent_gone(),
        )
        .await?;
    Ok(())
}

/// Ends when whoever started this process closes its standard input.
async fn parent_gone() {
    let mut input = tokio::io::stdin();
    let mut buf = [0; 64];
    while input.read(&mut buf).await.is_ok_and(|read| read > 0) {}
}

/// The frames in pieces of the size in which a store hands them over.
fn cut(frames: Frames) -> Vec<Frames> {
    let mut pieces = Vec::new();
    let mut piece = Vec::new();
    for message in singles(&frames) {
        piece.extend_from_slice(message.as_bytes());
        if piece.len() >= rutile_storeapi::FLUSH_BYTES {
            pieces.extend(Frames::parse(std::mem::take(&mut piece).into()));
        }
    }
    pieces.extend(Frames::parse(piece.into()));
    pieces
}

/// Each message by itself.
fn singles(frames: &Frames) -> impl Iterator<Item = Frames> + use<> {
    let all = frames.as_bytes().clone();
    let mut start = 0;
    frames.messages().filter_map(move |message| {
        let end = start + 5 + message.len();
        let single = Frames::parse(all.slice(start..end)).ok();
        start = end;
        single
    })
}

/// A store that has one answer to everything.
struct Recorded(Arc<[Frames]>);

#[async_trait]
impl StoreApi for Recorded {
    async fn series(&self, _: RequestContext, _: SeriesRequest) -> Result<SeriesStream, Error> {
        let frames = Arc::clone(&self.0);
        let frames = (0..frames.len()).map(move |i| Ok(frames[i].clone()));
        Ok(Box::pin(futures::stream::iter(frames)))
    }

    async fn label_names(
        &self,
        _: RequestContext,
        _: LabelNamesRequest,
    ) -> Result<LabelNamesResponse, Error> {
        Ok(LabelNamesResponse::default())
    }

    async fn label_values(
        &self,
        _: RequestContext,
        _: LabelValuesRequest,
    ) -> Result<LabelValuesResponse, Error> {
        Ok(LabelValuesResponse::default())
    }

    async fn info(&self, _: RequestContext) -> Result<InfoResponse, Error> {
        Ok(InfoResponse::default())
    }
}
