//! The metrics that `docs/metrics.md` promises, held against what a process shows.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A metric of `docs/metrics.md`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promised {
    /// Its name.
    pub name: String,
    /// Whether it has labels: then it may need traffic to show.
    pub labelled: bool,
    /// Whether an alert or a dashboard of `deploy/mixin` needs it.
    pub in_mixin: bool,
}

/// The metrics of some sections of `docs/metrics.md`.
///
/// # Panics
/// When there is no such section, or it has no metric.
#[must_use]
pub fn promised(sections: &[&str]) -> Vec<Promised> {
    let document = read("docs/metrics.md");
    let mixin = ["alerts.yaml", "dashboards.toml"];
    let mixin = mixin.map(|file| read(&format!("deploy/mixin/{file}")));
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = mixin.iter().flat_map(|text| text.split(|c| !is_name(c)));
    let words: BTreeSet<&str> = words.map(without_suffix).collect();
    let mut promised = Vec::new();
    for title in sections {
        let start = format!("{title}\n");
        let section = document
            .split("\n## ")
            .find(|text| text.starts_with(&start));
        let section = section.unwrap_or_default();
        let before = promised.len();
        for cell in section.lines().filter_map(|line| line.strip_prefix("| `")) {
            let cell = cell.split(" |").next().unwrap_or(cell);
            for mark in cell.split('`').step_by(2).filter(|mark| !mark.is_empty()) {
                let name = mark.split('{').next().unwrap_or(mark);
                promised.push(Promised {
                    name: name.to_owned(),
                    labelled: name != mark,
                    in_mixin: words.contains(name),
                });
            }
        }
        assert!(
            promised.len() > before,
            "docs/metrics.md has no metrics in a section {title:?}"
        );
    }
    promised
}

/// The metrics that a page of `/metrics` shows, histograms by their own names.
#[must_use]
pub fn shown(page: &str) -> BTreeSet<&str> {
    let series = page.lines().filter(|line| !line.starts_with('#'));
    let names = series.filter_map(|line| line.split([' ', '{']).next());
    names.map(without_suffix).collect()
}

/// Panics when a page of `/metrics` lacks one of these.
///
/// # Panics
/// Then.
pub fn require(page: &str, metrics: impl IntoIterator<Item = Promised>) {
    let shown = shown(page);
    let missing = metrics
        .into_iter()
        .filter(|metric| !shown.contains(metric.name.as_str()));
    let missing: Vec<String> = missing.map(|metric| metric.name).collect();
    assert!(missing.is_empty(), "promised, and not shown: {missing:?}");
}

fn without_suffix(name: &str) -> &str {
    let ends = ["_bucket", "_sum", "_count"];
    let base = ends.iter().find_map(|end| name.strip_suffix(end));
    base.unwrap_or(name)
}

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    match fs::read_to_string(root.join(path)) {
        Ok(text) => text,
        Err(error) => panic!("{path}: {error}"),
    }
}
