//! The generated code of `crates/proto` is what `cargo xtask proto` makes of `proto/` now.

use std::path::Path;

use anyhow::Result;

use super::Problem;
use super::tree::SourceFile;
use crate::proto;

pub(super) fn check(root: &Path, files: &[SourceFile]) -> Result<Vec<Problem>> {
    let expected: Vec<(String, String)> = proto::generate(root)?
        .into_iter()
        .map(|(path, content)| (path.to_string_lossy().into_owned(), content))
        .collect();
    Ok(compare(&expected, files))
}

fn compare(expected: &[(String, String)], files: &[SourceFile]) -> Vec<Problem> {
    let stale = expected.iter().filter_map(|(path, content)| {
        let found = files.iter().find(|file| file.path == *path);
        (found.map(|file| &file.text) != Some(content))
            .then(|| Problem::new(path, "is not what proto/ says: run `cargo xtask proto`"))
    });
    let is_expected = |file: &SourceFile| expected.iter().any(|(path, _)| *path == file.path);
    let left_over = files
        .iter()
        .filter(|file| file.is_generated() && !is_expected(file))
        .map(|file| Problem::new(&file.path, "is generated from nothing in proto/: remove it"));
    stale.chain(left_over).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stale_missing_and_left_over_files_are_found() {
        let expected = |name: &str| (format!("crates/proto/src/gen/{name}.rs"), "new".to_owned());
        let problems = compare(
            &[expected("fresh"), expected("stale"), expected("missing")],
            &[
                SourceFile::new("crates/proto/src/gen/fresh.rs", "new"),
                SourceFile::new("crates/proto/src/gen/stale.rs", "old"),
                SourceFile::new("crates/proto/src/gen/left.rs", "old"),
            ],
        );
        let places: Vec<_> = problems
            .iter()
            .map(|problem| problem.place.as_str())
            .collect();
        assert_eq!(
            places,
            [
                "crates/proto/src/gen/stale.rs",
                "crates/proto/src/gen/missing.rs",
                "crates/proto/src/gen/left.rs"
            ]
        );
    }
}
