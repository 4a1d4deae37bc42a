//! Development tasks: see `cargo xtask help`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_types,
    reason = "a command line program"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};

mod many_blocks;
mod mixin;
mod mutants;
mod proto;
mod tidy;

const HELP: &str = "\
Development tasks of Rutile.

Usage: cargo xtask <TASK>

  tidy           check the rules that rustc and clippy do not know
  proto          generate the Rust code of crates/proto from proto/
  mixin          generate the dashboards of deploy/mixin from dashboards.toml
  mutants [NAME | rotate]
                 put mistakes into a copy of the tree: the simulation must find them
  many-blocks FROM TO COUNT
                 make a bucket of COUNT copies of the block in FROM, for benchmarks
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        ["tidy"] => tidy::run(&workspace_root()),
        ["proto"] => write(&workspace_root(), proto::generate),
        ["mixin"] => write(&workspace_root(), mixin::generate),
        ["mutants"] => mutants::run(&workspace_root(), ""),
        ["mutants", which] => mutants::run(&workspace_root(), which),
        ["many-blocks", from, to, count] => count
            .parse()
            .context("COUNT must be a number")
            .and_then(|count| many_blocks::run(Path::new(from), Path::new(to), count)),
        ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        [] => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
        other => {
            eprintln!("unknown task: {}\n\n{HELP}", other.join(" "));
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Writes what is generated.
fn write(root: &Path, generate: impl Fn(&Path) -> Result<Vec<(PathBuf, String)>>) -> Result<()> {
    let files = generate(root)?;
    ensure!(!files.is_empty(), "nothing was generated");
    for (path, content) in &files {
        let path = root.join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        }
        fs::write(&path, content).with_context(|| format!("write {}", path.display()))?;
    }
    println!("{} files written", files.len());
    Ok(())
}

/// The folder of the workspace's manifest, two above this crate's.
fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap_or(Path::new("."))
        .to_owned()
}
