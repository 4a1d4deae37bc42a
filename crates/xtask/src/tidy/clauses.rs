//! Every clause of the contract that the code names is explained in `docs/CONTRACT.md`, and the reverse.

use std::collections::BTreeSet;

use super::Problem;
use super::tree::SourceFile;

const CONTRACT: &str = "docs/CONTRACT.md";
const PREFIX: &str = "BC-";

pub(super) fn check(files: &[SourceFile]) -> Vec<Problem> {
    let code: BTreeSet<u32> = files
        .iter()
        .filter(|file| file.is_rust() && file.path.starts_with("crates/block/src/"))
        .flat_map(|file| ids(&file.text))
        .collect();
    let document: BTreeSet<u32> = files
        .iter()
        .filter(|file| file.path == CONTRACT)
        .flat_map(|file| file.text.lines())
        .filter(|line| line.starts_with('#'))
        .flat_map(ids)
        .collect();
    let unexplained = code.difference(&document).map(|id| {
        Problem::new(
            CONTRACT,
            format!("{PREFIX}{id} is in the code and has no section here"),
        )
    });
    let unknown = document.difference(&code).map(|id| {
        Problem::new(
            CONTRACT,
            format!("{PREFIX}{id} has a section and is not in crates/block"),
        )
    });
    unexplained.chain(unknown).collect()
}

/// The numbers of all `BC-n` in a text.
fn ids(text: &str) -> Vec<u32> {
    text.split(PREFIX)
        .skip(1)
        .filter_map(|rest| {
            let end = rest
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(rest.len());
            rest.split_at_checked(end)?.0.parse().ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clauses_are_compared_both_ways() {
        let files = [
            SourceFile::new("crates/block/src/contract.rs", "\"BC-1\", \"BC-12\""),
            SourceFile::new(
                "docs/CONTRACT.md",
                "## BC-1 Immutable\nsee BC-7\n## BC-3 Partial\n",
            ),
        ];
        let messages: Vec<_> = check(&files)
            .into_iter()
            .map(|problem| problem.message)
            .collect();
        assert_eq!(
            messages,
            [
                "BC-12 is in the code and has no section here",
                "BC-3 has a section and is not in crates/block"
            ]
        );
    }
}
