//! What `cargo metadata` knows of the workspace's packages, and the layers they state.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::Problem;
use super::licences::Policy;

/// The platform whose dependencies are checked.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    pub(super) packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) license: Option<String>,
    /// Absent for our own packages.
    pub(super) source: Option<String>,
    #[serde(default)]
    dependencies: Vec<Dependency>,
    #[serde(default)]
    metadata: Option<PackageMetadata>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    /// `dev`, `build`, or absent for a normal one.
    kind: Option<String>,
}

#[derive(Debug, Deserialize)]
struct PackageMetadata {
    rutile: Option<RutileMetadata>,
}

#[derive(Debug, Deserialize)]
struct RutileMetadata {
    layer: u8,
}

impl Package {
    pub(super) fn is_ours(&self) -> bool {
        self.source.is_none()
    }

    fn layer(&self) -> Option<u8> {
        Some(self.metadata.as_ref()?.rutile.as_ref()?.layer)
    }
}

pub(super) fn load(root: &Path) -> Result<Metadata> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--format-version",
            "1",
            "--filter-platform",
            PLATFORM,
        ])
        .current_dir(root)
        .output()
        .context("start cargo metadata")?;
    if !output.status.success() {
        bail!(
            "cargo metadata failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    serde_json::from_slice(&output.stdout).context("parse the output of cargo metadata")
}

/// Every arrow between our crates points to a lower layer, tests excepted; and some crates have few users.
pub(super) fn check_layers(metadata: &Metadata, policy: &Policy) -> Vec<Problem> {
    let ours: Vec<&Package> = metadata.packages.iter().filter(|p| p.is_ours()).collect();
    let layers: BTreeMap<&str, u8> = ours
        .iter()
        .filter_map(|p| Some((p.name.as_str(), p.layer()?)))
        .collect();
    let mut problems = Vec::new();
    for package in ours {
        let Some(&layer) = layers.get(package.name.as_str()) else {
            let message = "the manifest states no layer: add `[package.metadata.rutile] layer = N`";
            problems.push(Problem::new(&package.name, message));
            continue;
        };
        let normal = package
            .dependencies
            .iter()
            .filter(|d| d.kind.as_deref() != Some("dev"));
        for dependency in normal {
            if let Some(&below) = layers.get(dependency.name.as_str())
                && below >= layer
            {
                let message = format!(
                    "layer {layer} depends on {} of layer {below}: arrows point down",
                    dependency.name
                );
                problems.push(Problem::new(&package.name, message));
            }
            if let Some(users) = policy.users_of(&dependency.name)
                && !users.contains(&package.name)
            {
                let message = format!(
                    "depends on {}, which deny.toml gives to {}",
                    dependency.name,
                    users.join(", ")
                );
                problems.push(Problem::new(&package.name, message));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, layer: Option<u8>, dependencies: &[(&str, Option<&str>)]) -> Package {
        Package {
            name: name.to_owned(),
            version: "0.1.0".to_owned(),
            license: None,
            source: None,
            dependencies: dependencies
                .iter()
                .map(|(name, kind)| Dependency {
                    name: (*name).to_owned(),
                    kind: kind.map(str::to_owned),
                })
                .collect(),
            metadata: Some(PackageMetadata {
                rutile: layer.map(|layer| RutileMetadata { layer }),
            }),
        }
    }

    fn problems(packages: Vec<Package>) -> Vec<String> {
        let policy = Policy::parse(
            "[licenses]\nallow = []\n[bans]\ndeny = [{ crate = \"cloud\", wrappers = [\"port\"] }]\n",
        )
        .unwrap();
        let problems = check_layers(&Metadata { packages }, &policy);
        problems
            .into_iter()
            .map(|problem| problem.message)
            .collect()
    }

    #[test]
    fn arrows_point_down_except_in_tests() {
        let low = || package("low", Some(1), &[]);
        assert!(problems(vec![low(), package("high", Some(2), &[("low", None)])]).is_empty());
        assert!(
            problems(vec![
                low(),
                package("peer", Some(1), &[("low", Some("dev"))])
            ])
            .is_empty()
        );
        assert_eq!(
            problems(vec![low(), package("peer", Some(1), &[("low", None)])]),
            ["layer 1 depends on low of layer 1: arrows point down"]
        );
        assert_eq!(problems(vec![package("x", None, &[])]).len(), 1);
    }

    #[test]
    fn a_wrapped_crate_has_only_the_users_it_names() {
        assert!(problems(vec![package("port", Some(1), &[("cloud", None)])]).is_empty());
        assert_eq!(
            problems(vec![package("other", Some(1), &[("cloud", None)])]),
            ["depends on cloud, which deny.toml gives to port"]
        );
    }
}
