//! The text files of the workspace.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Folders that hold no text of ours: build results, recorded data, what a run leaves behind.
const SKIPPED: [&str; 6] = [
    ".git",
    "run",
    "crates/testkit/golden",
    "crates/promql/testdata",
    "fuzz/corpus",
    "fuzz/artifacts",
];

/// A text file of the workspace.
#[derive(Debug)]
pub(super) struct SourceFile {
    /// Relative to the root of the workspace, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

impl SourceFile {
    pub(super) fn is_rust(&self) -> bool {
        self.has_extension("rs")
    }

    pub(super) fn is_generated(&self) -> bool {
        self.path.starts_with("crates/proto/src/gen/")
    }

    pub(super) fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path)
            .extension()
            .is_some_and(|found| found == extension)
    }

    #[cfg(test)]
    pub(super) fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }
}

/// All text files below `root`, by path; files that are not UTF-8 are not text.
pub(super) fn read(root: &Path) -> Result<Vec<SourceFile>> {
    let mut files = Vec::new();
    walk(root, "", &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn walk(folder: &Path, prefix: &str, files: &mut Vec<SourceFile>) -> Result<()> {
    let list = fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    for entry in list {
        let entry = entry?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type()?;
        if kind.is_dir() && !skipped(&path) {
            walk(&entry.path(), &format!("{path}/"), files)?;
        } else if kind.is_file() {
            let bytes = fs::read(entry.path()).with_context(|| format!("read {path}"))?;
            if let Ok(text) = String::from_utf8(bytes) {
                files.push(SourceFile { path, text });
            }
        }
    }
    Ok(())
}

fn skipped(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    SKIPPED.contains(&path) || matches!(name, "node_modules" | "__pycache__" | "target")
}
