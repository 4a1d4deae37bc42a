//! What is generated and committed is what its source gives now.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::Problem;
use super::tree::SourceFile;
use crate::{mixin, proto};

/// Files that a task makes.
struct Generated {
    /// What they are made of.
    source: &'static str,
    task: &'static str,
    /// Where they lie; nothing else does.
    folder: &'static str,
    /// By path.
    expected: Vec<(String, String)>,
}

pub(super) fn check(root: &Path, files: &[SourceFile]) -> Result<Vec<Problem>> {
    let named = |files: Vec<(PathBuf, String)>| {
        let named = files.into_iter();
        let named = named.map(|(path, content)| (path.to_string_lossy().into_owned(), content));
        named.collect()
    };
    let generated = [
        Generated {
            source: "proto/",
            task: "proto",
            folder: proto::OUT_DIR,
            expected: named(proto::generate(root)?),
        },
        Generated {
            source: mixin::SOURCE,
            task: "mixin",
            folder: mixin::OUT_DIR,
            expected: named(mixin::generate(root)?),
        },
    ];
    Ok(generated.iter().flat_map(|of| of.compare(files)).collect())
}

impl Generated {
    fn compare(&self, files: &[SourceFile]) -> Vec<Problem> {
        let Self {
            source,
            task,
            folder,
            expected,
        } = self;
        let stale = expected.iter().filter_map(|(path, content)| {
            let found = files.iter().find(|file| file.path == *path);
            (found.map(|file| &file.text) != Some(content)).then(|| {
                let message = format!("is not what {source} says: run `cargo xtask {task}`");
                Problem::new(path, message)
            })
        });
        let is_expected = |file: &SourceFile| expected.iter().any(|(path, _)| *path == file.path);
        let left_over = files
            .iter()
            .filter(|file| Path::new(&file.path).starts_with(folder) && !is_expected(file))
            .map(|file| {
                let message = format!("is generated from nothing in {source}: remove it");
                Problem::new(&file.path, message)
            });
        stale.chain(left_over).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stale_missing_and_left_over_files_are_found() {
        let expected = |name: &str| (format!("gen/{name}.rs"), "new".to_owned());
        let generated = Generated {
            source: "source/",
            task: "make",
            folder: "gen",
            expected: vec![expected("fresh"), expected("stale"), expected("missing")],
        };
        let problems = generated.compare(&[
            SourceFile::new("gen/fresh.rs", "new"),
            SourceFile::new("gen/stale.rs", "old"),
            SourceFile::new("gen/left.rs", "old"),
            SourceFile::new("generous.rs", "old"),
        ]);
        let places: Vec<_> = problems
            .iter()
            .map(|problem| problem.place.as_str())
            .collect();
        assert_eq!(places, ["gen/stale.rs", "gen/missing.rs", "gen/left.rs"]);
    }
}
