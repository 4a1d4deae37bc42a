//! Every metric and every flag in the code is in the documentation, and the reverse.
//!
//! Names are found by looking at the text: string literals that look like a metric's name, and clap's attributes. In
//! the documentation they stand in code marks in the first column of a table: metrics in `docs/metrics.md`, flags in
//! `docs/components/`.

use std::collections::BTreeSet;

use super::Problem;
use super::tree::SourceFile;

const METRICS: &str = "docs/metrics.md";
const COMPONENTS: &str = "docs/components/";

/// How the full names of metrics begin.
const METRIC_PREFIXES: [&str; 10] = [
    "thanos_",
    "prometheus_store_",
    "rutile_",
    "process_",
    "go_",
    "http_re",
    "http_in",
    "grpc_client_",
    "grpc_server_",
    "grpc_req_",
];
/// Literals that begin like a metric and are none: the names of our crates.
const CRATE_PREFIX: &str = "rutile_";
/// Calls that put their argument in front of the names that follow in the same file.
const PREFIX_CALL: &str = ".with_prefix(";
/// Ends a literal that is put in front of names in the same way.
const PREFIX_END: &str = "{name}";

/// Flags that clap adds to every program.
const BUILT_IN_FLAGS: [&str; 2] = ["help", "version"];

pub(super) fn check(files: &[SourceFile]) -> Vec<Problem> {
    let mut metrics = BTreeSet::new();
    let mut flags = BTreeSet::new();
    let crates = crate_names(files);
    for file in files.iter().filter(|file| is_product_code(file)) {
        let code = without_tests(&file.text);
        let full = literals(code).filter(|name| is_metric(name) && !crates.contains(*name));
        metrics.extend(full.map(str::to_owned));
        metrics.extend(prefixed_metrics(code));
        flags.extend(clap_flags(code));
        flags.extend(config_flags(code));
    }
    let documented_metrics = documented_metrics(files);
    let documented_flags = documented_flags(files);

    let mut problems = Vec::new();
    for name in metrics
        .iter()
        .filter(|name| !documented_metrics.contains(name.as_str()))
    {
        problems.push(Problem::new(
            METRICS,
            format!("metric {name} is not documented"),
        ));
    }
    for name in documented_metrics
        .iter()
        .filter(|&&name| !metrics.contains(name))
    {
        problems.push(Problem::new(
            METRICS,
            format!("metric {name} is not in the code"),
        ));
    }
    for name in flags.difference(&documented_flags) {
        problems.push(Problem::new(
            COMPONENTS,
            format!("flag --{name} is not documented"),
        ));
    }
    for name in documented_flags.difference(&flags) {
        problems.push(Problem::new(
            COMPONENTS,
            format!("flag --{name} is not in the code"),
        ));
    }
    problems
}

/// The metrics of `docs/metrics.md`, without their labels.
pub(super) fn documented_metrics(files: &[SourceFile]) -> BTreeSet<&str> {
    let document = files.iter().filter(|file| file.path == METRICS);
    let names = document.flat_map(|file| first_columns(&file.text));
    names
        .map(|name| name.split('{').next().unwrap_or(name))
        .collect()
}

/// The flags of `docs/components/`, without their dashes.
pub(super) fn documented_flags(files: &[SourceFile]) -> BTreeSet<String> {
    let documents = files.iter();
    let documents = documents.filter(|file| file.path.starts_with(COMPONENTS));
    let marks = documents.flat_map(|file| first_columns(&file.text));
    marks
        .filter_map(|name| name.strip_prefix("--"))
        .map(|name| name.split(['=', ' ']).next().unwrap_or(name).to_owned())
        .filter(|name| !BUILT_IN_FLAGS.contains(&name.as_str()))
        .collect()
}

fn is_product_code(file: &SourceFile) -> bool {
    let mut parts = file.path.split('/');
    file.is_rust()
        && !file.is_generated()
        && parts.next() == Some("crates")
        && !matches!(parts.next(), Some("xtask" | "testkit" | "sim"))
        && parts.next() == Some("src")
        && !file.path.ends_with("/tests.rs")
        && !file.path.contains("/tests/")
}

/// The part of a file before its unit tests, which come last.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or(text)
}

fn crate_names(files: &[SourceFile]) -> BTreeSet<String> {
    files
        .iter()
        .filter_map(|file| {
            file.path
                .strip_prefix("crates/")?
                .strip_suffix("/Cargo.toml")
        })
        .map(|name| format!("{CRATE_PREFIX}{}", name.replace('-', "_")))
        .collect()
}

pub(super) fn is_metric(literal: &str) -> bool {
    METRIC_PREFIXES
        .iter()
        .any(|prefix| literal.len() > prefix.len() && literal.starts_with(prefix))
        && literal.bytes().all(is_name_byte)
}

pub(super) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'
}

/// The contents of the string literals, as far as a look at each line can tell.
fn literals(code: &str) -> impl Iterator<Item = &str> {
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.split('"').skip(1).step_by(2))
        .filter(|literal| !literal.ends_with('_'))
}

/// The full names of metrics that are registered under a prefix: short names followed by a help text.
fn prefixed_metrics(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut prefix = "";
    let pieces: Vec<&str> = code.split('"').collect();
    // Literals and the code around them: `f("name", "Help")` gives `f(`, `name`, `, `, `Help`, `)`.
    for window in pieces.windows(4).step_by(2) {
        let [before, literal, between, help] = window else {
            continue;
        };
        if before.ends_with(PREFIX_CALL) {
            prefix = literal;
        } else if let Some(start) = literal.strip_suffix(PREFIX_END) {
            prefix = start;
        }
        let is_call = between.trim() == "," && help.starts_with(|c: char| c.is_ascii_uppercase());
        let is_name = !literal.is_empty() && literal.bytes().all(is_name_byte);
        if is_call && is_name && !prefix.is_empty() && !is_metric(literal) {
            names.push(format!("{prefix}{literal}"));
        }
    }
    names
}

/// The flags of a pair such as `--objstore.config` and `--objstore.config-file`: by an implementation, or by a call of
/// a macro that writes it.
fn config_flags(code: &str) -> Vec<String> {
    let first_literal = |rest: &str| rest.split('"').nth(1).map(str::to_owned);
    let implemented = code.split("ConfigFlag for ").skip(1);
    let by_macro = code.split("config_flag!(").skip(1);
    implemented
        .filter(|rest| rest.contains("NAME: &'static str = \""))
        .chain(by_macro)
        .filter_map(first_literal)
        .flat_map(|name| [format!("{name}-file"), name])
        .collect()
}

/// The long names of the flags that clap's attributes declare.
fn clap_flags(code: &str) -> Vec<String> {
    let mut flags = Vec::new();
    for rest in code.split("#[arg(").skip(1) {
        let end = rest.find(")]").unwrap_or(rest.len());
        let Some((attribute, after)) = rest.split_at_checked(end) else {
            continue;
        };
        if let Some((_, name)) = attribute.split_once("long = \"") {
            flags.extend(name.split('"').next().map(str::to_owned));
        } else if attribute
            .split([',', '(', ' ', '\n'])
            .any(|word| word == "long")
        {
            flags.extend(field_name(after).map(|name| name.replace('_', "-")));
        }
    }
    flags
}

/// The field that follows an attribute, other attributes and comments aside.
fn field_name(after: &str) -> Option<&str> {
    let line = after
        .lines()
        .skip(1)
        .map(str::trim)
        .find(|line| !line.starts_with('#') && !line.starts_with("//"))?;
    let name = line.split(':').next()?;
    name.rsplit(' ').next()
}

/// What stands in code marks in the first column of the tables.
fn first_columns(document: &str) -> impl Iterator<Item = &str> {
    document
        .lines()
        .filter_map(|line| line.strip_prefix('|')?.split(" |").next())
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_from_attributes_and_fields() {
        let code = r#"
            #[arg(long = "min-time", default_value = "x")]
            min: String,
            /// Which.
            #[arg(short, long, value_name = "X")]
            pub(crate) sort_by: String,
            #[arg(value_name = "long")]
            other: String,
        "#;
        assert_eq!(clap_flags(code), ["min-time", "sort-by"]);
    }

    #[test]
    fn prefixes_and_pairs_are_put_together() {
        let code = r#"
            let r = registry.with_prefix("thanos_x_");
            r.int_counter("loads_total", "Loads.", &["tenant", "reason"]);
            r.gauge_vec(
                "ready",
                "Whether.",
            );
            registry.gauge("rutile_y", "Y.");
        "#;
        assert_eq!(
            prefixed_metrics(code),
            ["thanos_x_loads_total", "thanos_x_ready"]
        );
        let code = "impl ConfigFlag for X {\n    const NAME: &'static str = \"x.config\";\n}\n";
        assert_eq!(config_flags(code), ["x.config-file", "x.config"]);
        let code = "config_flag!(\n    /// X.\n    X, \"y.config\", \"help\"\n);\n";
        assert_eq!(config_flags(code), ["y.config-file", "y.config"]);
    }

    #[test]
    fn metrics_and_flags_are_compared_both_ways() {
        let code = "f(\"thanos_a_total\", \"thanos_b\", \"x thanos_c\", \"rutile_x\");\n\
                    // \"thanos_comment\"\n#[arg(long = \"a\")]\nx: u8,\n\
                    #[cfg(test)]\nmod tests {\n\"thanos_test\"\n";
        let files = [
            SourceFile::new("crates/x/Cargo.toml", ""),
            SourceFile::new("crates/x/src/lib.rs", code),
            SourceFile::new(
                "docs/metrics.md",
                "| `thanos_a_total{x}` | counter |\n| `thanos_gone` | x |\n",
            ),
            SourceFile::new("docs/components/x.md", "| `--b=X`, `-b` | what `--c` |\n"),
        ];
        let messages: Vec<_> = check(&files)
            .into_iter()
            .map(|problem| problem.message)
            .collect();
        assert_eq!(
            messages,
            [
                "metric thanos_b is not documented",
                "metric thanos_gone is not in the code",
                "flag --a is not documented",
                "flag --b is not in the code"
            ]
        );
    }
}
