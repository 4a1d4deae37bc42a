//! `cargo xtask tidy`: the rules of this workspace that rustc and clippy do not know.
//!
//! Each check is a function from what it looks at to a list of problems, so that it can be tested on a few lines of
//! text. A problem says where it is, what is wrong and what to do. Nothing is changed on disk.

use std::fmt;
use std::path::Path;

use anyhow::{Result, bail};

mod clauses;
mod deploy;
mod documented;
mod generated;
mod licences;
mod manifests;
mod metadata;
mod sources;
mod spdx;
mod tree;

/// What a check found.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Problem {
    /// File, with the line where that helps; or the package.
    place: String,
    /// What is wrong and what to do about it.
    message: String,
}

impl Problem {
    fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// Runs every check on the workspace at `root` and prints what it finds.
pub(crate) fn run(root: &Path) -> Result<()> {
    let files = tree::read(root)?;
    let metadata = metadata::load(root)?;
    let policy = licences::Policy::load(root)?;
    let checks: [(&str, Vec<Problem>); 8] = [
        ("manifests", manifests::check(&files)?),
        ("layers", metadata::check_layers(&metadata, &policy)),
        ("sources", sources::check(&files, root)),
        ("metrics and flags", documented::check(&files)),
        ("deploy", deploy::check(&files)),
        ("contract clauses", clauses::check(&files)),
        ("generated code", generated::check(root, &files)?),
        ("dependencies", licences::check(&metadata, &policy)),
    ];

    let mut count = 0;
    for (name, mut problems) in checks {
        problems.sort();
        println!(
            "tidy: {name:<18} {}",
            if problems.is_empty() {
                "ok"
            } else {
                "PROBLEMS"
            }
        );
        for problem in &problems {
            println!("  {problem}");
        }
        count += problems.len();
    }
    match count {
        0 => Ok(()),
        1 => bail!("tidy found 1 problem"),
        _ => bail!("tidy found {count} problems"),
    }
}
