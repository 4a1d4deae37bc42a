//! `rutile`: all components in one program, and `rutile up`, which runs them in one process.

mod up;

use std::io::Write;
use std::process::ExitCode;

use rutile_compact::CompactComponent;
use rutile_query::QueryComponent;
use rutile_server::cli::version_text;
use rutile_server::status::EXIT_USAGE;
use rutile_server::{Component, run_from};
use rutile_sidecar::SidecarComponent;
use rutile_store::StoreComponent;

use crate::up::UpComponent;

rutile_server::use_jemalloc!();

const TOOLS: (&str, &str) = (
    "tools",
    "Looks at a bucket, marks and uploads blocks, asks StoreAPI servers.",
);

fn main() -> ExitCode {
    let mut argv: Vec<String> = std::env::args_os()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let command = match argv.len() {
        0 | 1 => String::new(),
        _ => argv.remove(1),
    };
    // What usage lines say, and the programs of the components call themselves.
    if let Some(program) = argv.first_mut() {
        *program = format!("rutile {command}");
    }
    match command.as_str() {
        UpComponent::NAME => run_from::<UpComponent>(argv),
        StoreComponent::NAME => run_from::<StoreComponent>(argv),
        CompactComponent::NAME => run_from::<CompactComponent>(argv),
        QueryComponent::NAME => run_from::<QueryComponent>(argv),
        SidecarComponent::NAME => run_from::<SidecarComponent>(argv),
        "tools" => rutile_tools::run_from(argv),
        "--version" | "version" => say(&format!("rutile {}\n", version_text())),
        "-h" | "--help" | "help" => say(&overview()),
        "" => refuse(&overview()),
        other => refuse(&format!(
            "error: there is no command {other:?}\n\n{}",
            overview()
        )),
    }
}

fn say(text: &str) -> ExitCode {
    let written = std::io::stdout().write_all(text.as_bytes());
    written.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

fn refuse(text: &str) -> ExitCode {
    // Whoever closed standard error does not want to know.
    let _written = std::io::stderr().write_all(text.as_bytes());
    ExitCode::from(EXIT_USAGE)
}

/// The commands and what each does.
fn overview() -> String {
    let commands = [
        (UpComponent::NAME, UpComponent::ABOUT),
        (QueryComponent::NAME, QueryComponent::ABOUT),
        (StoreComponent::NAME, StoreComponent::ABOUT),
        (CompactComponent::NAME, CompactComponent::ABOUT),
        (SidecarComponent::NAME, SidecarComponent::ABOUT),
        TOOLS,
    ];
    let mut text =
        "Rutile: highly available Prometheus with unlimited, cheap history in an object store.\n\n\
                    Usage: rutile COMMAND [FLAGS]\n\nCommands:\n"
            .to_owned();
    for (name, about) in commands {
        text.push_str(&format!("  {name:<9}{about}\n"));
    }
    text.push_str("\n`rutile COMMAND --help` shows the flags of a command.\n");
    text
}
