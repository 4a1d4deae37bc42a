//! `rutile-tools series`: asks a StoreAPI server and shows the answer.

mod decode;
mod histogram;
mod print;

use std::io::Write;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use futures::StreamExt;
use rutile_model::{MatchOp, Matcher, TimeOrDuration};
use rutile_proto::thanos::{
    Aggr, LabelMatcher, LabelNamesRequest, LabelValuesRequest, SeriesRequest, label_matcher,
    series_response,
};
use rutile_runtime::Clock;
use rutile_storeapi::grpc::{Client, ClientOptions, Compression};
use rutile_storeapi::{RequestContext, StoreApi};

use crate::output::screen::{Screen, Style};
use print::Printer;

/// How many series are shown when nothing else is said.
const DEFAULT_LIMIT: i64 = 1000;

/// Ask a server of the StoreAPI (store, sidecar, receive, query) for series and show them.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rutile-tools series --store localhost:10901 'up{job=\"api\"}'
  rutile-tools series --store localhost:10901 -m '__name__=~http_.*' --min-time=-2h -o samples
  rutile-tools series --store localhost:10901 --label-values pod -m job=api -o json")]
pub(crate) struct SeriesArgs {
    /// Series to select, as in PromQL: `up{job="api"}`.
    #[arg(value_name = "SELECTOR")]
    selector: Option<String>,
    /// Address of the server, host:port.
    #[arg(
        long = "store",
        value_name = "HOST:PORT",
        default_value = "localhost:10901"
    )]
    store: String,
    /// Label that the series must match: name=value, name!=value, name=~regex or name!~regex; repeatable.
    #[arg(short = 'm', long = "match", value_name = "MATCHER")]
    matchers: Vec<String>,
    /// Start of the time range: RFC 3339, or relative to now such as -2h.
    #[arg(
        long = "min-time",
        default_value = "0000-01-01T00:00:00Z",
        allow_hyphen_values = true
    )]
    min_time: TimeOrDuration,
    /// End of the time range, inclusive: RFC 3339, or relative to now such as -1h.
    #[arg(
        long = "max-time",
        default_value = "9999-12-31T23:59:59Z",
        allow_hyphen_values = true
    )]
    max_time: TimeOrDuration,
    /// How to show the answer.
    #[arg(short = 'o', long = "output", value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Show at most so many series or labels; 0 for all of them.
    #[arg(long = "limit", default_value_t = DEFAULT_LIMIT, value_parser = clap::value_parser!(i64).range(0..))]
    limit: i64,
    /// Ask for labels only, without samples.
    #[arg(long = "skip-chunks")]
    skip_chunks: bool,
    /// Coarsest resolution to accept, such as 5m or 1h; downsampled data is shown by aggregate.
    #[arg(long = "max-resolution", value_name = "DURATION", default_value = "0s")]
    max_resolution: rutile_model::PromDuration,
    /// Aggregate of downsampled data to ask for; repeatable. All, if none is given.
    #[arg(long = "aggregate", value_enum, value_name = "NAME")]
    aggregates: Vec<Aggregate>,
    /// Label to remove from all series, as for replicas; repeatable.
    #[arg(long = "without-label", value_name = "NAME")]
    without_labels: Vec<String>,
    /// Show the names of the labels instead of series.
    #[arg(long = "label-names", conflicts_with = "label_values")]
    label_names: bool,
    /// Show the values of this label instead of series.
    #[arg(long = "label-values", value_name = "NAME")]
    label_values: Option<String>,
    /// Tenant to ask for, sent as metadata thanos-tenant.
    #[arg(long = "tenant", value_name = "ID")]
    tenant: Option<String>,
    /// How the answer travels: identity, gzip, zstd or snappy.
    #[arg(long = "grpc-compression", default_value = "identity", value_parser = compression)]
    compression: Compression,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// A line for each series: how much, from when to when, the last value.
    Table,
    /// Every sample.
    Samples,
    /// Every sample, in the form of Prometheus's query API.
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Aggregate {
    Count,
    Sum,
    Min,
    Max,
    Counter,
}

impl Aggregate {
    fn wire(self) -> Aggr {
        match self {
            Self::Count => Aggr::Count,
            Self::Sum => Aggr::Sum,
            Self::Min => Aggr::Min,
            Self::Max => Aggr::Max,
            Self::Counter => Aggr::Counter,
        }
    }

    fn all_if_none(chosen: &[Self]) -> Vec<i32> {
        let all = [Self::Count, Self::Sum, Self::Min, Self::Max, Self::Counter];
        let chosen = if chosen.is_empty() { &all } else { chosen };
        chosen
            .iter()
            .map(|aggregate| aggregate.wire() as i32)
            .collect()
    }
}

fn compression(name: &str) -> Result<Compression, String> {
    Compression::from_name(name).ok_or_else(|| "expected identity, gzip, zstd or snappy".to_owned())
}

/// Runs the command.
pub(crate) async fn run(
    args: SeriesArgs,
    clock: &dyn Clock,
    screen: Screen,
    out: &mut (dyn Write + Send),
) -> Result<()> {
    let now = clock.now_ms();
    let range = (args.min_time.resolve(now), args.max_time.resolve(now));
    if range.0 > range.1 {
        bail!(
            "--min-time {} lies after --max-time {}",
            args.min_time,
            args.max_time
        );
    }
    let matchers = args.matchers()?;
    let options = ClientOptions {
        compression: args.compression,
        ..ClientOptions::default()
    };
    let client = Client::connect(&args.store, &options)
        .await
        .with_context(|| format!("ask the StoreAPI at {}", args.store))?;
    let ctx = args.context();

    if args.label_names || args.label_values.is_some() {
        return labels(&args, &client, ctx, range, matchers, screen, out).await;
    }
    if matchers.is_empty() {
        bail!("nothing is selected: give a selector or matchers, such as 'up{{job=\"api\"}}'");
    }
    let request = SeriesRequest {
        min_time: range.0,
        max_time: range.1,
        matchers,
        max_resolution_window: args.max_resolution.as_ms(),
        aggregates: Aggregate::all_if_none(&args.aggregates),
        skip_chunks: args.skip_chunks,
        without_replica_labels: args.without_labels.clone(),
        limit: args.limit,
        ..SeriesRequest::default()
    };
    let mut printer = Printer::new(args.output, args.limit, args.skip_chunks, screen);
    let mut stream = client.series(ctx, request).await?;
    while let Some(frames) = stream.next().await {
        for response in frames?.decode()? {
            match response.result {
                Some(series_response::Result::Series(series)) => {
                    printer.series(decode::series(&series)?, out)?;
                }
                Some(series_response::Result::Batch(batch)) => {
                    for series in &batch.series {
                        printer.series(decode::series(series)?, out)?;
                    }
                }
                Some(series_response::Result::Warning(warning)) => {
                    warn(&warning);
                    printer.warning(warning);
                }
                Some(series_response::Result::Hints(_)) | None => {}
            }
        }
    }
    printer.finish(out)
}

/// Names or values of labels, one a line or as a JSON array.
async fn labels(
    args: &SeriesArgs,
    client: &Client,
    ctx: RequestContext,
    (start, end): (i64, i64),
    matchers: Vec<LabelMatcher>,
    screen: Screen,
    out: &mut (dyn Write + Send),
) -> Result<()> {
    let (found, warnings) = if let Some(label) = &args.label_values {
        let request = LabelValuesRequest {
            label: label.clone(),
            start,
            end,
            matchers,
            without_replica_labels: args.without_labels.clone(),
            limit: args.limit,
            ..LabelValuesRequest::default()
        };
        let answer = client.label_values(ctx, request).await?;
        (answer.values, answer.warnings)
    } else {
        let request = LabelNamesRequest {
            start,
            end,
            matchers,
            without_replica_labels: args.without_labels.clone(),
            limit: args.limit,
            ..LabelNamesRequest::default()
        };
        let answer = client.label_names(ctx, request).await?;
        (answer.names, answer.warnings)
    };
    for warning in &warnings {
        warn(warning);
    }
    if args.output == Output::Json {
        print::labels_json(&found, &warnings, out)
    } else {
        print::labels_text(&found, args.limit, screen, out)
    }
}

impl SeriesArgs {
    /// The selector's matchers and the single ones, checked here so that a mistake is explained here.
    fn matchers(&self) -> Result<Vec<LabelMatcher>> {
        let mut matchers = match &self.selector {
            Some(text) => Matcher::parse_selector(text)?,
            None => Vec::new(),
        };
        for text in &self.matchers {
            matchers.push(Matcher::parse(text)?);
        }
        Ok(matchers.iter().map(wire_matcher).collect())
    }

    fn context(&self) -> RequestContext {
        let mut ctx = RequestContext::default();
        if let Some(tenant) = &self.tenant {
            ctx.tenant = tenant.as_str().into();
        }
        ctx
    }
}

fn wire_matcher(matcher: &Matcher) -> LabelMatcher {
    let op = match matcher.op() {
        MatchOp::Equal => label_matcher::Type::Eq,
        MatchOp::NotEqual => label_matcher::Type::Neq,
        MatchOp::Regex => label_matcher::Type::Re,
        MatchOp::NotRegex => label_matcher::Type::Nre,
    };
    LabelMatcher {
        r#type: op as i32,
        name: matcher.name().to_owned(),
        value: matcher.value().to_owned(),
    }
}

/// A partial answer must not look like a whole one, wherever the output goes.
fn warn(message: &str) {
    let screen = Screen::stderr();
    crate::message(&screen.paint(Style::Warning, format!("warning: {message}")));
}
