//! Prometheus's own programs, to look at blocks with: promtool, and a dump of every sample by its storage library.
//!
//! `make test-servers` installs both. Debian's promtool leaves native histograms out, the dump
//! (`genblocks/dump`) does not.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::servers::program;

/// What Prometheus's storage library reads from some blocks together: for each label set the number of its samples and a
/// checksum over them. Blocks that hold the same samples give the same, however they are cut.
///
/// # Panics
/// When the program is not installed, or refuses a block.
#[must_use]
pub fn samples(blocks: &[PathBuf]) -> BTreeMap<String, String> {
    let text = run(Command::new(program("prometheus/blockdump")).args(blocks));
    let lines = text.lines().map(|line| match line.rsplit_once('}') {
        Some((labels, samples)) => (format!("{labels}}}"), samples.trim().to_owned()),
        None => panic!("a line without labels: {line}"),
    });
    lines.collect()
}

/// What `promtool tsdb dump` prints of blocks that do not overlap: a line for each sample, sorted.
///
/// # Panics
/// When promtool is not installed, or refuses a block.
#[must_use]
pub fn promtool_dump(blocks: &[PathBuf]) -> Vec<String> {
    let db = database(blocks);
    let text = run(Command::new(program("prometheus/promtool"))
        .args(["tsdb", "dump"])
        .arg(db.path()));
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

/// What `promtool tsdb analyze` prints of a block.
///
/// # Panics
/// When promtool is not installed, or refuses the block.
#[must_use]
pub fn promtool_analyze(block: &PathBuf) -> String {
    let db = database(std::slice::from_ref(block));
    let id = block.file_name().unwrap_or_default();
    run(Command::new(program("prometheus/promtool"))
        .args(["tsdb", "analyze"])
        .arg(db.path())
        .arg(id))
}

/// What promtool prints with these arguments.
///
/// # Panics
/// When promtool is not installed, or fails.
#[must_use]
pub fn promtool(args: &[&str]) -> String {
    run(Command::new(program("prometheus/promtool")).args(args))
}

/// A database folder with these blocks, as promtool wants it.
fn database(blocks: &[PathBuf]) -> tempfile::TempDir {
    let made = tempfile::tempdir().and_then(|db| {
        fs::create_dir(db.path().join("wal"))?;
        Ok(db)
    });
    let db = made.unwrap_or_else(|error| panic!("cannot make a folder for promtool: {error}"));
    for block in blocks {
        crate::copy_bucket(
            block,
            &db.path().join(block.file_name().unwrap_or_default()),
        );
    }
    db
}

fn run(command: &mut Command) -> String {
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => panic!("cannot start {command:?}: {error}: run `make test-servers`"),
    };
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success(),
        "{command:?}: {}\n{err}",
        output.status
    );
    out.into_owned()
}
