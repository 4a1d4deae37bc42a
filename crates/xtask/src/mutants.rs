//! Deliberate mistakes: each is put into a copy of the tree, and the simulation must find it.
//!
//! A simulation that finds nothing proves little until it is known what it would find. A mistake is a
//! replacement of one piece of source by another, and must still fit the source it was made for.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};

mod list;

use list::MUTANTS;

/// How long the simulation may take to find a mistake.
const LIMIT: Duration = Duration::from_secs(60);
/// Mistakes of a run in rotation.
const ROTATION: usize = 3;

/// A mistake.
struct Mutant {
    /// What is wrong, in a few words.
    name: &'static str,
    /// The file.
    file: &'static str,
    /// What stands there, once.
    from: &'static str,
    /// What stands there instead.
    to: &'static str,
    /// The profile that finds it soonest.
    profile: &'static str,
}

/// Runs the mistakes whose names contain `which`; `rotate` takes three of them, others each day.
pub(crate) fn run(root: &Path, which: &str) -> Result<()> {
    let chosen: Vec<&Mutant> = match which {
        "rotate" => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
            let day = (now.as_secs() / 86_400) as usize;
            let all = MUTANTS.iter().cycle().skip(day * ROTATION % MUTANTS.len());
            all.take(ROTATION).collect()
        }
        part => MUTANTS.iter().filter(|m| m.name.contains(part)).collect(),
    };
    ensure!(!chosen.is_empty(), "no mistake is named {which:?}");
    // Not the target folder of the workspace: what was built of a copy would pass for what is built of it.
    let (tree, target) = (
        root.join("target/mutants/tree"),
        root.join("target/mutants/target"),
    );
    // What a run before this one has left may be of a mistake: only a new copy may take over what is built.
    let is_new = !tree.try_exists()?;
    if is_new {
        // Before the tree, so that one that was cut off is begun anew.
        copy_build(root, &target)?;
    }
    copy_tree(root, &tree, is_new)?;
    let mut missed = Vec::new();
    for mutant in chosen {
        let file = tree.join(mutant.file);
        let text = fs::read_to_string(&file).with_context(|| mutant.file.to_owned())?;
        let count = text.matches(mutant.from).count();
        ensure!(
            count == 1,
            "mistake {:?} fits {count} places of {}: bring it up to date",
            mutant.name,
            mutant.file
        );
        fs::write(&file, text.replace(mutant.from, mutant.to))?;
        let found = try_mutant(&tree, &target, mutant);
        fs::write(&file, text)?;
        match found? {
            Some(line) => println!("found   {}: {line}", mutant.name),
            None => {
                println!("MISSED  {}", mutant.name);
                missed.push(mutant.name);
            }
        }
    }
    ensure!(missed.is_empty(), "the simulation missed {missed:?}");
    Ok(())
}

/// The files that git knows, or would know, `aged` as they are or else of now.
fn copy_tree(root: &Path, tree: &Path, aged: bool) -> Result<()> {
    let arguments = [
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ];
    let listed = Command::new("git")
        .args(arguments)
        .current_dir(root)
        .output()?;
    ensure!(listed.status.success(), "git ls-files failed");
    for path in String::from_utf8(listed.stdout)?.split_terminator('\0') {
        let (from, to) = (root.join(path), tree.join(path));
        let Ok(body) = fs::read(&from) else {
            continue;
        };
        // What is as it was keeps its time, so that it is not built again.
        if fs::read(&to).is_ok_and(|there| there == body) {
            continue;
        }
        fs::create_dir_all(to.parent().context("a file at the root of the disk")?)?;
        fs::write(&to, body)?;
        if aged {
            let modified = fs::metadata(&from)?.modified()?;
            let copy = fs::File::options().write(true).open(&to)?;
            copy.set_modified(modified)?;
        }
    }
    Ok(())
}

/// Begins with what `make sim` has built, if it has: then only what a mistake changes is built.
fn copy_build(root: &Path, target: &Path) -> Result<()> {
    if target.try_exists()? {
        fs::remove_dir_all(target)?;
    }
    let from = root.join("target/sim");
    if !from.try_exists()? {
        return Ok(());
    }
    fs::create_dir_all(target)?;
    let copied = Command::new("cp")
        .arg("-a")
        .args([&from, target])
        .status()?;
    ensure!(copied.success(), "{} could not be copied", from.display());
    Ok(())
}

/// What the simulation says of the mistake, if it finds it.
fn try_mutant(tree: &Path, target: &Path, mutant: &Mutant) -> Result<Option<String>> {
    let built = Command::new("cargo")
        .args(["build", "--quiet", "--profile", "sim", "-p", "rutile-sim"])
        .current_dir(tree)
        .env("CARGO_TARGET_DIR", target)
        .output()?;
    if !built.status.success() {
        let said = String::from_utf8_lossy(&built.stderr);
        bail!("mistake {:?} does not compile: {said}", mutant.name);
    }
    let begun = Instant::now();
    let ran = Command::new(target.join("sim/rutile-sim"))
        .env("SEEDS", "100000")
        .env("PROFILE", mutant.profile)
        .env("LIMIT_SECONDS", LIMIT.as_secs().to_string())
        .env("SHRINK", "no")
        .output()?;
    if ran.status.success() {
        return Ok(None);
    }
    let said = String::from_utf8_lossy(&ran.stdout);
    let last = |begin: &str| said.lines().rev().find(|line| line.starts_with(begin));
    let (Some(violation), Some(replay)) = (last("BC-"), last("replay:")) else {
        // What breaks down has found nothing.
        bail!(
            "with mistake {:?} the simulation ended with {}: {said}",
            mutant.name,
            ran.status
        );
    };
    let seconds = begun.elapsed().as_secs();
    Ok(Some(format!("{violation} | {replay} | {seconds} s")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Found out here, and not on the day when its turn comes.
    #[test]
    fn every_mistake_fits_the_source_that_it_was_made_for() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for Mutant {
            name, file, from, ..
        } in &MUTANTS
        {
            let text = fs::read_to_string(root.join(file)).unwrap();
            assert_eq!(text.matches(from).count(), 1, "{name}: {file}");
        }
    }
}
