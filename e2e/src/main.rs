//! Runs the suites of `suites/`: clusters of real processes in containers, and what must be seen in them.
//!
//! A suite is data: the services, as in a compose file, and the steps. Each step ends when what it expects
//! is seen, or fails with what was seen instead and the logs of the services.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a person, or CI's log, reads what a suite does"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "no component: nothing of it is ever simulated"
)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

mod cluster;
mod faults;
mod get;
mod probe;
mod run;
mod suite;

/// Runs suites of real processes in containers.
#[derive(Debug, Parser)]
enum Command {
    /// Runs suites, one after the other.
    Run {
        /// The folder of the suites.
        #[arg(long, default_value = "e2e/suites")]
        suites: PathBuf,
        /// A folder for what a run writes; it is emptied.
        #[arg(long, default_value = "target/e2e/run")]
        work: PathBuf,
        /// A size of the suites that is to be another one; repeatable.
        #[arg(long, value_name = "NAME=NUMBER", value_parser = size)]
        set: Vec<(String, u64)>,
        /// Names of suites; all without any.
        names: Vec<String>,
    },
    /// Stands between the others and the S3 server, and fails requests as it is told to.
    Faults(faults::Args),
    /// Asks a service over TLS, from a container beside it.
    Get(get::Args),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // An HTTP client is not made without it. It fails only if one is there.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let outcome = match Command::parse() {
        Command::Run {
            suites,
            work,
            set,
            names,
        } => run::suites(&suites, &work, &names, &set.into_iter().collect()).await,
        Command::Faults(args) => faults::serve(args).await,
        Command::Get(args) => get::get(args).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rutile-e2e: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn size(text: &str) -> Result<(String, u64), String> {
    let size = text.split_once('=').and_then(|(name, number)| {
        let number = number.parse().ok()?;
        Some((name.to_owned(), number))
    });
    size.ok_or_else(|| "write NAME=NUMBER".to_owned())
}
