//! The command line tools: `bucket ls`, `inspect`, `verify`, `mark`, `cleanup`, `retention` and `upload-blocks` with the
//! reference's flags, and `series`.
//!
//! Owns what these commands take and print. Results go to standard output, messages and logs to standard error. The
//! exit code is 0 on success, 1 on failure and 2 when the command line is wrong. Only `bucket mark`,
//! `cleanup`, `retention` and `upload-blocks` change a bucket, all of them through `rutile_lifecycle`.

mod bucket;
mod flags;
mod output;
mod series;

use std::io::{BufWriter, ErrorKind, Write};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use rutile_runtime::{Clock, SystemClock};
use rutile_server::LogArgs;
use rutile_server::cli::{self, Answer};

use output::screen::{Screen, Style};

pub use bucket::{replicate, rewrite};

/// Look at a bucket of Thanos blocks, mark and upload blocks, and ask StoreAPI servers.
#[derive(Debug, Parser)]
#[command(name = "rutile-tools", version = cli::version_text(), max_term_width = 110)]
struct Cli {
    #[command(flatten, next_help_heading = "Logging")]
    log: LogArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Work on the blocks of a bucket.
    Bucket(bucket::BucketArgs),
    Series(series::SeriesArgs),
}

/// Runs the program with the arguments of the process.
#[must_use]
pub fn main() -> ExitCode {
    run_from(std::env::args().collect())
}

/// Runs the program with the arguments `argv`, the name of the program first.
#[must_use]
pub fn run_from(argv: Vec<String>) -> ExitCode {
    let cli = match parse(argv) {
        Ok(cli) => cli,
        Err(answer) => return print_answer(&answer),
    };
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads the output has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let label = Screen::stderr().paint(Style::Bad, "error:");
            message(&format!("{label} {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Reads the command line. The flags of a command may also stand behind its subcommand.
fn parse(argv: Vec<String>) -> Result<Cli, Answer> {
    let global = |command: clap::Command| command.mut_args(|arg| arg.global(true));
    let command = global(Cli::command()).mut_subcommand("bucket", global);
    let matches = cli::parse_command(command, argv)?;
    Cli::from_arg_matches(&matches).map_err(|error| Answer::from(&error))
}

/// Help goes to standard output, what is wrong with the command line to standard error.
fn print_answer(answer: &Answer) -> ExitCode {
    let written = if answer.exit_code == 0 {
        std::io::stdout().write_all(answer.text.as_bytes())
    } else {
        std::io::stderr().write_all(answer.text.as_bytes())
    };
    written.map_or(ExitCode::FAILURE, |()| ExitCode::from(answer.exit_code))
}

fn run(cli: Cli) -> Result<()> {
    rutile_telemetry::init(&cli.log.config()?, None)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let screen = Screen::stdout();
    let mut out = BufWriter::new(std::io::stdout());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the async runtime")?;
    runtime.block_on(async {
        match cli.command {
            Command::Bucket(args) => bucket::run(args, clock, screen, &mut out).await,
            Command::Series(args) => series::run(args, &*clock, screen, &mut out).await,
        }
    })?;
    out.flush().context("write to standard output")
}

/// A line for the person at the terminal.
fn message(text: &str) {
    // Standard error may be closed: then nobody wants to know.
    let _written = writeln!(std::io::stderr(), "{text}");
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|error| error.kind() == ErrorKind::BrokenPipe)
}
