//! The client: reads a Series answer as fast as it comes and counts.

use std::{fmt, fs::File, io::Write, path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use futures::StreamExt;
use rutile_storeapi::{
    RequestContext, StoreApi,
    grpc::{Client, ClientOptions, Compression},
    thanos::{LabelMatcher, LabelNamesRequest, SeriesRequest, label_matcher},
};
use tokio::time::Instant;

use crate::{Result, compression, generic};

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Reader {
    /// Our client.
    Own,
    /// tonic's general decoder.
    Tonic,
}

#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// `host:port` of the store.
    address: String,
    /// `name=value`, `name!=value`, `name=~value` or `name!~value`; may be repeated.
    #[arg(long = "match", value_parser = matcher)]
    matchers: Vec<LabelMatcher>,
    /// Milliseconds since the epoch.
    #[arg(long, default_value_t = 0)]
    mint: i64,
    /// Milliseconds since the epoch.
    #[arg(long, default_value_t = i64::MAX)]
    maxt: i64,
    /// Ask for label sets only.
    #[arg(long)]
    skip_chunks: bool,
    /// Series to a frame.
    #[arg(long, default_value_t = 0)]
    batch: i64,
    /// The median of so many runs counts.
    #[arg(long, default_value_t = 9)]
    runs: usize,
    /// Compression of request and answer.
    #[arg(long, default_value = "identity", value_parser = compression)]
    compression: Compression,
    /// Who takes the messages apart.
    #[arg(long, value_enum, default_value = "own")]
    client: Reader,
    /// Ask for the label names instead.
    #[arg(long)]
    label_names: bool,
    /// Write the frames to this file, for `bare --frames`, in one more run.
    #[arg(long)]
    record: Option<PathBuf>,
}

/// What is measured.
pub(crate) struct Request {
    pub(crate) address: String,
    pub(crate) request: SeriesRequest,
    pub(crate) compression: Compression,
    pub(crate) reader: Reader,
    pub(crate) runs: usize,
    pub(crate) record: Option<PathBuf>,
}

/// What was measured.
pub(crate) struct Report {
    bytes: usize,
    messages: usize,
    /// Sorted.
    times: Vec<Duration>,
}

pub(crate) async fn run(args: &LoadArgs) -> Result<()> {
    if args.label_names {
        return label_names(args).await;
    }
    let request = SeriesRequest {
        min_time: args.mint,
        max_time: args.maxt,
        matchers: args.matchers.clone(),
        skip_chunks: args.skip_chunks,
        response_batch_size: args.batch,
        ..SeriesRequest::default()
    };
    let report = measure(&Request {
        address: args.address.clone(),
        request,
        compression: args.compression,
        reader: args.client,
        runs: args.runs,
        record: args.record.clone(),
    })
    .await?;
    println!("{}: {report}", args.address);
    Ok(())
}

/// Measures LabelNames calls.
async fn label_names(args: &LoadArgs) -> Result<()> {
    let options = ClientOptions {
        compression: args.compression,
        ..ClientOptions::default()
    };
    let channel = Client::endpoint(&args.address, &options)?.connect().await?;
    let client = Client::new(channel, &args.address, args.compression);
    let request = LabelNamesRequest {
        start: args.mint,
        end: args.maxt,
        matchers: args.matchers.clone(),
        ..LabelNamesRequest::default()
    };
    let mut report = Report {
        bytes: 0,
        messages: 0,
        times: Vec::new(),
    };
    for run in 0..=args.runs {
        let start = Instant::now();
        let answer = client.label_names(RequestContext::default(), request.clone());
        report.messages = answer.await?.names.len();
        if run > 0 {
            report.times.push(start.elapsed());
        }
    }
    report.times.sort();
    println!("{}: {report}", args.address);
    Ok(())
}

pub(crate) async fn measure(request: &Request) -> Result<Report> {
    let options = ClientOptions {
        compression: request.compression,
        ..ClientOptions::default()
    };
    let endpoint = Client::endpoint(&request.address, &options)?;
    let channel = endpoint.connect().await?;
    let client = Client::new(channel.clone(), &request.address, request.compression);
    let mut report = Report {
        bytes: 0,
        messages: 0,
        times: Vec::new(),
    };
    // One more, which warms up and counts the messages.
    if let Some(path) = &request.record {
        let mut file = File::create(path)?;
        read(&client, request, |bytes| file.write_all(bytes)).await?;
    }
    for run in 0..=request.runs {
        let start = Instant::now();
        report.bytes = match request.reader {
            Reader::Own => read(&client, request, |_| Ok(())).await?,
            Reader::Tonic => generic::read(channel.clone(), &request.request).await?.0,
        };
        if run > 0 {
            report.times.push(start.elapsed());
        }
    }
    report.messages = generic::read(channel, &request.request).await?.1;
    report.times.sort();
    Ok(report)
}

/// Reads one answer; returns its bytes.
async fn read(
    client: &Client,
    request: &Request,
    mut sink: impl FnMut(&[u8]) -> std::io::Result<()>,
) -> Result<usize> {
    let mut frames = client
        .series(RequestContext::default(), request.request.clone())
        .await?;
    let mut bytes = 0;
    while let Some(frames) = frames.next().await {
        let frames = frames?;
        bytes += frames.len();
        sink(frames.as_bytes())?;
    }
    Ok(bytes)
}

fn matcher(text: &str) -> Result<LabelMatcher, String> {
    use label_matcher::Type;
    let operators = [
        ("!=", Type::Neq),
        ("=~", Type::Re),
        ("!~", Type::Nre),
        ("=", Type::Eq),
    ];
    operators
        .into_iter()
        .filter_map(|(operator, kind)| {
            let (name, value) = text.split_once(operator)?;
            Some(LabelMatcher {
                r#type: kind.into(),
                name: name.into(),
                value: value.into(),
            })
        })
        .min_by_key(|matcher| matcher.name.len())
        .ok_or_else(|| "use name=value, name!=value, name=~value or name!~value".to_owned())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let median = self
            .times
            .get(self.times.len() / 2)
            .copied()
            .unwrap_or_default();
        let best = self.times.first().copied().unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "a report of two decimals")]
        let megabytes = self.bytes as f64 / 1e6;
        write!(
            f,
            "{megabytes:.1} MB in {} messages, median {:.4} s, {:.0} MB/s, best {:.4} s of {}",
            self.messages,
            median.as_secs_f64(),
            megabytes / median.as_secs_f64(),
            best.as_secs_f64(),
            self.times.len(),
        )
    }
}
