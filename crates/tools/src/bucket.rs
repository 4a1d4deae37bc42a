//! `rutile-tools bucket`: the blocks of a bucket.

mod inspect;
mod listener;
mod ls;
mod mark;
pub mod replicate;
pub mod rewrite;
mod source;
mod tidy;
mod upload;
mod verify;

use std::io::Write;
use std::sync::Arc;

use anyhow::Result;
use clap::{Args, Subcommand};
use rutile_runtime::Clock;
use rutile_server::PathOrContent;

use crate::flags::ObjstoreConfig;
use crate::output::screen::Screen;
use source::Source;

#[derive(Debug, Args)]
pub(crate) struct BucketArgs {
    #[command(flatten, next_help_heading = "Bucket")]
    bucket: PathOrContent<ObjstoreConfig>,
    #[command(subcommand)]
    command: BucketCommand,
}

#[derive(Debug, Subcommand)]
enum BucketCommand {
    Ls(ls::LsArgs),
    Inspect(inspect::InspectArgs),
    Mark(mark::MarkArgs),
    Verify(verify::VerifyArgs),
    Rewrite(rewrite::RewriteArgs),
    Replicate(replicate::ReplicateArgs),
    Cleanup(tidy::CleanupArgs),
    Retention(tidy::RetentionArgs),
    Downsample(tidy::DownsampleArgs),
    UploadBlocks(upload::UploadArgs),
}

/// Runs a command.
pub(crate) async fn run(
    args: BucketArgs,
    clock: Arc<dyn Clock>,
    screen: Screen,
    out: &mut (dyn Write + Send),
) -> Result<()> {
    let source = Source::new(args.bucket, clock);
    match args.command {
        BucketCommand::Ls(args) => ls::run(args, &source, out).await,
        BucketCommand::Inspect(args) => inspect::run(args, &source, screen, out).await,
        BucketCommand::Mark(args) => mark::run(args, &source).await,
        BucketCommand::Verify(args) => verify::run(args, &source, screen, out).await,
        BucketCommand::Rewrite(args) => rewrite::run(args, &source, screen, out).await,
        BucketCommand::Replicate(args) => replicate::run(args, &source).await,
        BucketCommand::Cleanup(args) => tidy::cleanup(args, &source).await,
        BucketCommand::Retention(args) => tidy::retention(args, &source).await,
        BucketCommand::Downsample(args) => tidy::downsample(args, &source).await,
        BucketCommand::UploadBlocks(args) => upload::run(args, &source).await,
    }
}
