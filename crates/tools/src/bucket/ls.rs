//! `bucket ls`: the identifiers of all blocks, or what a template says of each.

use std::io::Write;

use anyhow::Result;
use clap::Args;
use rutile_block::{Contract, Meta};
use rutile_fetcher::FilterChain;
use rutile_model::{GoDuration, TimeOrDuration};
use rutile_server::PathOrContent;
use serde_json::json;

use super::source::{Source, scope};
use crate::flags::SelectorConfig;
use crate::output::golang::time;
use crate::output::template::Template;

/// Below this, reading the metadata of a large bucket often fails.
const SHORT_TIMEOUT_MS: i64 = 60_000;

/// List all blocks of the bucket.
#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// How to show a block: json, wide, or a template of fields such as '{{.ULID}} {{.Thanos.Labels.cluster}}'; its
    /// ULID if nothing is given.
    #[arg(
        short = 'o',
        long = "output",
        default_value = "",
        hide_default_value = true
    )]
    output: String,
    /// Leave out blocks that are marked for deletion.
    #[arg(long = "exclude-delete")]
    exclude_delete: bool,
    /// Only blocks that end after this time: RFC 3339, or relative to now such as -1d or 2h45m.
    #[arg(
        long = "min-time",
        default_value = "0000-01-01T00:00:00Z",
        allow_hyphen_values = true
    )]
    min_time: TimeOrDuration,
    /// Only blocks that begin before this time, likewise.
    #[arg(
        long = "max-time",
        default_value = "9999-12-31T23:59:59Z",
        allow_hyphen_values = true
    )]
    max_time: TimeOrDuration,
    /// How long reading the metadata may take.
    #[arg(long = "timeout", default_value = "5m")]
    timeout: GoDuration,
    #[command(flatten)]
    selector: PathOrContent<SelectorConfig>,
}

enum Format {
    Id,
    Wide,
    Json,
    Template(Template),
}

pub(super) async fn run(args: LsArgs, source: &Source, out: &mut (dyn Write + Send)) -> Result<()> {
    let format = match args.output.as_str() {
        "" => Format::Id,
        "wide" => Format::Wide,
        "json" => Format::Json,
        template => Format::Template(Template::parse(template)?),
    };
    let scope = scope(args.min_time, args.max_time, &args.selector)?;
    if args.timeout.as_ms() < SHORT_TIMEOUT_MS {
        tracing::warn!(timeout = %args.timeout, "a timeout below 1m may be too short to read all metadata");
    }
    let view = source.view(args.timeout.to_std()).await?;
    let chain = FilterChain::for_tools_ls(scope, Contract::default(), args.exclude_delete);
    let selection = chain.apply(&view, view.fetched_at_ms());
    for meta in selection.wanted.values() {
        show(&format, meta, out)?;
    }
    tracing::info!(objects = selection.wanted.len(), "ls done");
    Ok(())
}

fn show(format: &Format, meta: &Meta, out: &mut dyn Write) -> Result<()> {
    match format {
        Format::Id => writeln!(out, "{}", meta.id)?,
        Format::Wide => writeln!(
            out,
            "{} -- {} - {} Diff: {}, Compaction: {}, Downsample: {}, Source: {}",
            meta.id,
            time(meta.min_time),
            time(meta.max_time),
            GoDuration::from_ms(meta.max_time.saturating_sub(meta.min_time)),
            meta.compaction.level,
            meta.thanos.downsample.resolution,
            meta.thanos.source.as_str()
        )?,
        Format::Json => out.write_all(&meta.to_json())?,
        Format::Template(template) => writeln!(out, "{}", template.render(&json!(meta)))?,
    }
    Ok(())
}
