//! The speed of a Series answer that needs no store: the yardstick for a store gateway.
//!
//! `bare` starts a server process that streams frames encoded beforehand (made up, or recorded from a
//! store), and reads them with a client that only counts. `load` is that client alone, against any
//! StoreAPI; it can record the frames. Both print a line for each shape: the median of the runs.

#![expect(
    clippy::print_stdout,
    reason = "a benchmark reports on standard output"
)]

mod generic;
mod load;
mod serve;
mod shapes;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use rutile_storeapi::{Error, grpc::Compression};
use tokio::time::Instant;

use crate::shapes::Shape;

type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Passed by cargo; of no meaning here.
    #[arg(long, hide = true, global = true)]
    bench: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure a bare stream, in a server process of its own.
    Bare(BareArgs),
    /// Measure how fast frames are encoded, from labels and chunks that lie in memory.
    Encode,
    /// Measure the Series answer of a running store.
    Load(load::LoadArgs),
    /// The server of `bare`: prints its address, ends when its standard input does.
    #[command(hide = true)]
    Serve(serve::ServeArgs),
}

#[derive(Debug, Args)]
struct BareArgs {
    /// What the frames look like; all shapes if none is given.
    #[arg(long, value_enum)]
    shape: Vec<Shape>,
    /// Stream recorded frames instead: messages behind their five-byte gRPC prefixes.
    #[arg(long)]
    frames: Option<PathBuf>,
    /// Who frames the messages; may be repeated.
    #[arg(long, value_enum, default_values = ["tonic", "own"])]
    server: Vec<serve::Server>,
    /// Who takes them apart.
    #[arg(long, value_enum, default_value = "own")]
    client: load::Reader,
    /// The median of so many runs counts.
    #[arg(long, default_value_t = 9)]
    runs: usize,
    /// Compression of the answer.
    #[arg(long, default_value = "identity", value_parser = compression)]
    compression: Compression,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match cli.command {
            Some(Command::Serve(args)) => serve::run(&args).await,
            Some(Command::Encode) => encode(),
            Some(Command::Load(args)) => load::run(&args).await,
            Some(Command::Bare(args)) => bare(&args).await,
            None => {
                let defaults = Cli::parse_from(["bare_stream", "bare"]).command;
                let Some(Command::Bare(args)) = defaults else {
                    unreachable!("parsed above")
                };
                bare(&args).await
            }
        }
    })
}

async fn bare(args: &BareArgs) -> Result<()> {
    for server in &args.server {
        bare_server(args, *server).await?;
    }
    Ok(())
}

async fn bare_server(args: &BareArgs, kind: serve::Server) -> Result<()> {
    if let Some(path) = &args.frames {
        let mut server = serve::Process::start(None, Some(path), kind)?;
        return measure(
            &format!("{} by {kind:?}", path.display()),
            &mut server,
            args,
        )
        .await;
    }
    let shapes = if args.shape.is_empty() {
        Shape::ALL.to_vec()
    } else {
        args.shape.clone()
    };
    for shape in shapes {
        let mut server = serve::Process::start(Some(shape), None, kind)?;
        measure(&format!("{} by {kind:?}", shape.name()), &mut server, args).await?;
    }
    Ok(())
}

async fn measure(name: &str, server: &mut serve::Process, args: &BareArgs) -> Result<()> {
    let request = load::Request {
        address: server.address.clone(),
        request: rutile_storeapi::thanos::SeriesRequest::default(),
        compression: args.compression,
        reader: args.client,
        runs: args.runs,
        record: None,
    };
    let report = load::measure(&request).await?;
    println!("{name}: {report}");
    server.stop()
}

fn encode() -> Result<()> {
    for shape in Shape::ALL {
        let mut times = Vec::new();
        for _ in 0..9 {
            let start = Instant::now();
            std::hint::black_box(shape.frames()?);
            times.push(start.elapsed());
        }
        times.sort();
        println!(
            "{}: encoded in {:.3} s",
            shape.name(),
            times[times.len() / 2].as_secs_f64()
        );
    }
    Ok(())
}

fn compression(name: &str) -> Result<Compression, Error> {
    Compression::from_name(name).ok_or_else(|| Error::invalid("use identity, gzip, zstd or snappy"))
}
