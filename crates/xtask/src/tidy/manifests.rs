//! What every `Cargo.toml` of the workspace must say.

use anyhow::{Context, Result};
use toml::{Table, Value};

use super::Problem;
use super::tree::SourceFile;

const DEPENDENCY_TABLES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

pub(super) fn check(files: &[SourceFile]) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for file in files {
        if file.path.starts_with("crates/") && file.path.ends_with("/Cargo.toml") {
            let manifest: Table = file
                .text
                .parse()
                .with_context(|| format!("parse {}", file.path))?;
            problems.extend(lints(&file.path, &manifest));
            problems.extend(dependencies(&file.path, &manifest));
        }
    }
    Ok(problems)
}

fn lints(path: &str, manifest: &Table) -> Option<Problem> {
    let inherited = manifest
        .get("lints")
        .and_then(|lints| lints.get("workspace"));
    (inherited != Some(&Value::Boolean(true))).then(|| {
        Problem::new(
            path,
            "the workspace's lints are not in force: add `[lints] workspace = true`",
        )
    })
}

/// Versions and paths are written once, in the workspace's manifest.
fn dependencies(path: &str, manifest: &Table) -> Vec<Problem> {
    DEPENDENCY_TABLES
        .iter()
        .filter_map(|table| manifest.get(*table)?.as_table())
        .flatten()
        .filter(|(_, spec)| spec.get("workspace") != Some(&Value::Boolean(true)))
        .map(|(name, _)| {
            Problem::new(path, format!("write `{name}.workspace = true`, and version or path in the workspace's manifest"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(manifest: &str) -> usize {
        check(&[SourceFile::new("crates/x/Cargo.toml", manifest)])
            .unwrap()
            .len()
    }

    #[test]
    fn lints_and_dependencies_come_from_the_workspace() {
        let good = "lints.workspace = true\n[dependencies]\na.workspace = true\n[dev-dependencies]\nb = { workspace = true, features = [\"c\"] }\n";
        assert_eq!(problems(good), 0);
        assert_eq!(problems("[dependencies]\na.workspace = true\n"), 1);
        assert_eq!(
            problems("lints.workspace = true\n[dependencies]\na = \"1\"\n"),
            1
        );
        assert_eq!(
            problems(
                "lints.workspace = true\n[dev-dependencies]\nrutile-a = { path = \"../a\" }\n"
            ),
            1
        );
    }
}
