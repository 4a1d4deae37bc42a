//! What we depend on: licences, sources and versions, by the policy of `deny.toml`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::Problem;
use super::metadata::Metadata;
use super::spdx;

/// The registry that all dependencies come from.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The part of `deny.toml` that tidy enforces; cargo-deny, where it is installed, enforces all of it.
#[derive(Debug, Deserialize)]
pub(super) struct Policy {
    licenses: Licenses,
    #[serde(default)]
    bans: Bans,
}

#[derive(Debug, Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Bans {
    #[serde(default)]
    deny: Vec<Banned>,
    #[serde(default)]
    skip: Vec<Skipped>,
}

#[derive(Debug, Deserialize)]
struct Banned {
    #[serde(rename = "crate")]
    name: String,
    /// Packages that may use it all the same.
    #[serde(default)]
    wrappers: Vec<String>,
}

/// `name@version` of a package that is allowed beside another version of itself.
#[derive(Debug, Deserialize)]
struct Skipped {
    #[serde(rename = "crate")]
    package: String,
}

impl Policy {
    pub(super) fn load(root: &Path) -> Result<Self> {
        let text = fs::read_to_string(root.join("deny.toml")).context("read deny.toml")?;
        Self::parse(&text)
    }

    pub(super) fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).context("parse deny.toml")
    }

    /// The only packages that may depend on `name`; `None` when anyone may.
    pub(super) fn users_of(&self, name: &str) -> Option<&[String]> {
        let banned = self.bans.deny.iter().find(|banned| banned.name == name)?;
        Some(&banned.wrappers)
    }
}

pub(super) fn check(metadata: &Metadata, policy: &Policy) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut versions = BTreeMap::<&str, Vec<&str>>::new();
    for package in metadata
        .packages
        .iter()
        .filter(|package| !package.is_ours())
    {
        versions
            .entry(&package.name)
            .or_default()
            .push(&package.version);
        let licence = package.license.as_deref().unwrap_or_default();
        if !spdx::satisfied(licence, &policy.licenses.allow) {
            let message = format!("licence `{licence}` is not allowed by deny.toml");
            problems.push(Problem::new(&package.name, message));
        }
        if package.source.as_deref() != Some(REGISTRY) {
            problems.push(Problem::new(
                &package.name,
                "comes from elsewhere than crates.io",
            ));
        }
        if policy
            .users_of(&package.name)
            .is_some_and(<[String]>::is_empty)
        {
            problems.push(Problem::new(&package.name, "is banned by deny.toml"));
        }
    }
    problems.extend(duplicates(&versions, policy));
    problems
}

/// All versions of a package but one must be named in `deny.toml`, and nothing else may be.
fn duplicates(versions: &BTreeMap<&str, Vec<&str>>, policy: &Policy) -> Vec<Problem> {
    let mut known: BTreeSet<&str> = policy
        .bans
        .skip
        .iter()
        .map(|s| s.package.as_str())
        .collect();
    let mut problems = Vec::new();
    for (name, versions) in versions.iter().filter(|(_, versions)| versions.len() > 1) {
        let unnamed: Vec<&str> = versions
            .iter()
            .copied()
            .filter(|version| !known.remove(format!("{name}@{version}").as_str()))
            .collect();
        if unnamed.len() > 1 {
            let message = format!(
                "is built in versions {}: unify them, or name all but one in deny.toml's bans.skip",
                unnamed.join(" and ")
            );
            problems.push(Problem::new(*name, message));
        }
    }
    problems.extend(known.into_iter().map(|package| {
        Problem::new(
            "deny.toml",
            format!("bans.skip names {package}, which is no duplicate any more"),
        )
    }));
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_are_named_and_names_are_duplicates() {
        let policy = Policy::parse(
            "[licenses]\nallow = []\n[bans]\nskip = [{ crate = \"a@1.0.0\" }, { crate = \"gone@1.0.0\" }]\n",
        )
        .unwrap();
        let versions = BTreeMap::from([
            ("a", vec!["1.0.0", "2.0.0"]),
            ("b", vec!["1.0.0", "2.0.0"]),
            ("c", vec!["1.0.0"]),
        ]);
        let places: Vec<_> = duplicates(&versions, &policy)
            .into_iter()
            .map(|problem| problem.place)
            .collect();
        assert_eq!(places, ["b", "deny.toml"]);
    }
}
