//! The command line, with the habits of the reference's flag library.
//!
//! Beyond what clap does: every flag that is on or off also has a `--no-` form, `@file` stands for
//! the lines of a file, `--help-long` is `--help`, `--help-man` prints a manual page, and a wrong
//! command line ends the process with code 2 and a hint. All flags may be written `--flag value` or `--flag=value`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use clap::{Arg, ArgAction, ArgMatches, Args, Command};
use rutile_telemetry::BuildInfo;

use crate::status::EXIT_USAGE;

/// How many files `@file` arguments may name, those in files included.
const MAX_ARGUMENT_FILES: usize = 64;
/// Flags whose values may hold credentials.
const SECRET_FLAGS: [&str; 2] = ["objstore.config", "objstore.config-file"];

/// What to print instead of running, and how to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The whole text.
    pub text: String,
    /// 0 for `--help` and `--version`, whose text goes to standard output; else 2.
    pub exit_code: u8,
}

/// Reads the arguments `argv` (the name of the program first) of a process that has the flags `A`.
///
/// # Errors
/// What to print instead: help, version, or what is wrong.
pub fn parse<A: Args>(
    name: &'static str,
    about: &'static str,
    argv: Vec<String>,
) -> Result<A, Answer> {
    parse_and_show(name, about, argv).map(|(flags, _)| flags)
}

/// The same, with the values of all flags as text, for those who ask the process for them. What may hold credentials is
/// not shown.
///
/// # Errors
/// As [`parse`].
pub fn parse_and_show<A: Args>(
    name: &'static str,
    about: &'static str,
    argv: Vec<String>,
) -> Result<(A, FlagValues), Answer> {
    // What the flags say about themselves would take the place of `about`.
    let command = A::augment_args(Command::new(name)).about(about);
    let command = command.long_about(None).version(version_text());
    let names = long_names(&command);
    let matches = parse_command(command, argv)?;
    let flags = A::from_arg_matches(&matches).map_err(|error| Answer::from(&error))?;
    Ok((flags, shown(&names, &matches)))
}

/// Each flag, and what is shown of its value.
pub type FlagValues = BTreeMap<String, String>;

/// The names of the flags, by the ids of their arguments.
fn long_names(command: &Command) -> Vec<(String, String)> {
    let args = command.get_arguments();
    args.filter_map(|arg| Some((arg.get_id().to_string(), arg.get_long()?.to_owned())))
        .collect()
}

fn shown(names: &[(String, String)], matches: &ArgMatches) -> FlagValues {
    let value = |id: &str, name: &str| {
        let values = matches.get_raw(id).into_iter().flatten();
        let values: Vec<_> = values.map(|value| value.to_string_lossy()).collect();
        match values.join(",") {
            value if !value.is_empty() && SECRET_FLAGS.contains(&name) => "<REDACTED>".to_owned(),
            value => value,
        }
    };
    names
        .iter()
        .map(|(id, name)| (name.clone(), value(id, name)))
        .collect()
}

/// The same for a command of one's own, which may have subcommands.
///
/// # Errors
/// As [`parse`].
pub fn parse_command(command: Command, argv: Vec<String>) -> Result<ArgMatches, Answer> {
    let mut switches = BTreeSet::new();
    let command = kingpin_habits(command, &mut switches);
    let argv = expand_files(argv)?;
    let mut flags = argv.iter().take_while(|argument| *argument != "--");
    if flags.any(|argument| argument == "--help-man") {
        return Err(manual(command));
    }
    let argv = argv
        .into_iter()
        .map(|argument| rewrite(argument, &switches));
    command
        .try_get_matches_from(argv)
        .map_err(|error| Answer::from(&error))
}

/// The text of `--version`, after the name of the program.
#[must_use]
pub fn version_text() -> String {
    let BuildInfo {
        version,
        revision,
        branch,
        compiler,
    } = BuildInfo::CURRENT;
    let (os, arch) = (std::env::consts::OS, BuildInfo::go_arch());
    format!(
        "version {version} (branch: {branch}, revision: {revision})\n  compiler: {compiler}\n  \
         platform: {os}/{arch}"
    )
}

/// Lets switches take `=true` and `=false`, and collects their names.
fn kingpin_habits(command: Command, switches: &mut BTreeSet<String>) -> Command {
    let command = command.mut_args(|arg| {
        if !matches!(arg.get_action(), ArgAction::SetTrue) {
            return arg;
        }
        switches.extend(arg.get_long().map(str::to_owned));
        switch(arg)
    });
    let names: Vec<String> = command
        .get_subcommands()
        .map(|sub| sub.get_name().to_owned())
        .collect();
    names.iter().fold(command, |command, name| {
        command.mut_subcommand(name, |sub| kingpin_habits(sub, switches))
    })
}

fn switch(arg: Arg) -> Arg {
    let default = match arg.get_default_values() {
        [value] => value.to_os_string(),
        _ => "false".into(),
    };
    arg.action(ArgAction::Set)
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true")
        .default_value(default)
        .hide_possible_values(true)
        .value_name("true|false")
        .value_parser(clap::value_parser!(bool))
}

/// The page that `man -l -` shows.
fn manual(command: Command) -> Answer {
    let mut command = command.version(BuildInfo::CURRENT.version);
    command.build();
    let mut page = Vec::new();
    match clap_mangen::Man::new(command).render(&mut page) {
        Ok(()) => Answer {
            text: String::from_utf8_lossy(&page).into_owned(),
            exit_code: 0,
        },
        Err(error) => Answer::usage(&format!("cannot make the manual page: {error}")),
    }
}

fn rewrite(argument: String, switches: &BTreeSet<String>) -> String {
    if argument == "--help-long" {
        return "--help".to_owned();
    }
    match argument.strip_prefix("--no-") {
        Some(name) if switches.contains(name) && !switches.contains(&format!("no-{name}")) => {
            format!("--{name}=false")
        }
        _ => argument,
    }
}

/// Replaces `@file` by the lines of the file, except after `--`. Empty lines and those that begin
/// with `#` are left out; lines may name further files.
///
/// # Errors
/// What to print: a file that cannot be read, or too many of them.
pub fn expand_files(argv: Vec<String>) -> Result<Vec<String>, Answer> {
    let mut expanded = Vec::with_capacity(argv.len());
    let mut pending: Vec<String> = argv.into_iter().rev().collect();
    let (mut files, mut only_values) = (0, false);
    while let Some(argument) = pending.pop() {
        let Some(path) = argument.strip_prefix('@').filter(|_| !only_values) else {
            only_values |= argument == "--";
            expanded.push(argument);
            continue;
        };
        files += 1;
        if files > MAX_ARGUMENT_FILES {
            let problem = format!("more than {MAX_ARGUMENT_FILES} files of arguments");
            return Err(Answer::usage(&format!(
                "{problem}: does @{path} name itself?"
            )));
        }
        let text = std::fs::read_to_string(path).map_err(|error| {
            Answer::usage(&format!(
                "cannot read the file of arguments @{path}: {error}"
            ))
        })?;
        let lines = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.trim().is_empty());
        pending.extend(lines.rev().map(str::to_owned));
    }
    Ok(expanded)
}

impl Answer {
    /// A command line that is wrong.
    #[must_use]
    pub fn usage(problem: &str) -> Self {
        Self {
            text: format!("error: {problem}\n"),
            exit_code: EXIT_USAGE,
        }
    }
}

impl From<&clap::Error> for Answer {
    fn from(error: &clap::Error) -> Self {
        let exit_code = if error.use_stderr() { EXIT_USAGE } else { 0 };
        Self {
            text: error.to_string(),
            exit_code,
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests;
