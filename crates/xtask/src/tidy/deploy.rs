//! What `deploy/` says of the programs: each metric of its alerts and dashboards and each flag of its manifests is
//! documented, and each alert has its section in `docs/runbooks.md`.

use std::collections::BTreeSet;

use super::Problem;
use super::documented::{documented_flags, documented_metrics, is_metric, is_name_byte};
use super::tree::SourceFile;

const ALERTS: &str = "deploy/mixin/alerts.yaml";
const DASHBOARDS: &str = "deploy/mixin/dashboards.toml";
const MANIFESTS: [&str; 2] = ["deploy/kubernetes/", "deploy/helm/"];
/// Of Prometheus, which stands in the manifests, too.
const FLAGS_OF_PROMETHEUS: [&str; 2] = ["config.file", "storage.tsdb."];
const RUNBOOKS: &str = "docs/runbooks.md";
/// Labels that look like metrics.
const LABELS: [&str; 3] = ["grpc_code", "grpc_method", "grpc_service"];
/// What a histogram is asked for.
const SERIES_OF_HISTOGRAM: [&str; 3] = ["_bucket", "_sum", "_count"];

pub(super) fn check(files: &[SourceFile]) -> Vec<Problem> {
    let documented = documented_metrics(files);
    let mut problems = Vec::new();
    for path in [ALERTS, DASHBOARDS] {
        for name in metrics(text_of(files, path)) {
            let of_histogram = SERIES_OF_HISTOGRAM.iter();
            let mut of_histogram = of_histogram.filter_map(|end| name.strip_suffix(end));
            if !documented.contains(name) && !of_histogram.any(|name| documented.contains(name)) {
                problems.push(Problem::new(path, format!("there is no metric {name}")));
            }
        }
    }
    let flags = documented_flags(files);
    let is_manifest = |file: &&SourceFile| MANIFESTS.iter().any(|of| file.path.starts_with(of));
    for file in files.iter().filter(is_manifest) {
        let used = file
            .text
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix("- --"));
        let used = used.map(|flag| flag.split('=').next().unwrap_or(flag));
        let of_others = |flag: &&str| {
            FLAGS_OF_PROMETHEUS
                .iter()
                .any(|start| flag.starts_with(start))
        };
        for flag in used.filter(|flag| !flags.contains(*flag) && !of_others(flag)) {
            problems.push(Problem::new(
                &file.path,
                format!("there is no flag --{flag}"),
            ));
        }
    }
    let begin = |path, start: &'static str| -> BTreeSet<&str> {
        let lines = text_of(files, path).lines();
        lines
            .filter_map(|line| line.trim_start().strip_prefix(start))
            .collect()
    };
    let (alerts, runbooks) = (begin(ALERTS, "- alert: "), begin(RUNBOOKS, "## "));
    for alert in alerts.difference(&runbooks) {
        problems.push(Problem::new(
            RUNBOOKS,
            format!("alert {alert} has no section"),
        ));
    }
    for section in runbooks.difference(&alerts) {
        problems.push(Problem::new(
            RUNBOOKS,
            format!("there is no alert {section}"),
        ));
    }
    problems
}

fn text_of<'a>(files: &'a [SourceFile], path: &str) -> &'a str {
    let file = files.iter().find(|file| file.path == path);
    file.map_or("", |file| &file.text)
}

/// The words that look like metrics.
fn metrics(text: &str) -> BTreeSet<&str> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let words =
        lines.flat_map(|line| line.split(|c: char| !c.is_ascii() || !is_name_byte(c as u8)));
    words
        .filter(|word| is_metric(word) && !LABELS.contains(word))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_flags_and_alerts_are_looked_up() {
        let files = [
            SourceFile::new(
                ALERTS,
                "# thanos_of_a_comment\n- alert: RutileA\n  expr: rate(thanos_a_total{grpc_code=\"OK\"}[5m])\n- alert: RutileB\n",
            ),
            SourceFile::new(
                DASHBOARDS,
                "queries = [['sum by (le) (rutile_b_bucket) / thanos_gone_sum', \"x\"]]\n",
            ),
            SourceFile::new(
                "deploy/kubernetes/x.yaml",
                "args:\n  - --config.file=x\n  - --data-dir=/data\n  - --gone\n",
            ),
            SourceFile::new(
                "deploy/helm/x.yaml",
                "- --data-dir={{ . }}\n- --gone-too={{ . }}\n",
            ),
            SourceFile::new("docs/components/x.md", "| `--data-dir` | |\n"),
            SourceFile::new(RUNBOOKS, "# Runbooks\n## RutileB\n## RutileC\n"),
            SourceFile::new(
                "docs/metrics.md",
                "| `thanos_a_total{x}` | counter |\n| `rutile_b` | histogram |\n",
            ),
        ];
        let messages: Vec<_> = check(&files)
            .into_iter()
            .map(|problem| problem.message)
            .collect();
        assert_eq!(
            messages,
            [
                "there is no metric thanos_gone_sum",
                "there is no flag --gone",
                "there is no flag --gone-too",
                "alert RutileA has no section",
                "there is no alert RutileC"
            ]
        );
    }
}
