//! Lists of addresses in files, in the form of Prometheus' `file_sd`.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
};

use rutile_model::config::parse_yaml;
use serde::Deserialize;

use crate::{Address, Error, Result};

/// Files that are read again and again. One that cannot be read, or not be understood, keeps what it
/// said before; one that is gone says nothing any more.
#[derive(Debug)]
pub struct FileSd {
    patterns: Vec<PathBuf>,
    files: BTreeMap<PathBuf, Content>,
}

#[derive(Debug, Default)]
struct Content {
    text: String,
    addresses: Vec<Address>,
}

/// One group of a file; its labels mean nothing for endpoints.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetGroup {
    #[serde(default)]
    targets: Vec<String>,
    #[serde(default, rename = "labels")]
    _labels: BTreeMap<String, String>,
}

impl FileSd {
    /// Files named `.json`, `.yml` or `.yaml`; the last part of a path may have one `*`.
    ///
    /// # Errors
    /// `Invalid`: another name.
    pub fn new(patterns: &[String]) -> Result<Self> {
        for pattern in patterns {
            let path = Path::new(pattern);
            let extension = path.extension().and_then(|extension| extension.to_str());
            let known = matches!(extension, Some("json" | "yml" | "yaml"));
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            let stars = pattern.matches('*').count();
            if !known || stars > 1 || stars != name.matches('*').count() {
                return Err(Error::invalid(format!(
                    "file list {pattern:?}: its name must end in .json, .yml or .yaml, and only its \
                     last part may have one *"
                )));
            }
        }
        Ok(Self {
            patterns: patterns.iter().map(PathBuf::from).collect(),
            files: BTreeMap::new(),
        })
    }

    /// Reads all files again.
    pub async fn read(&mut self) {
        let mut present = BTreeSet::new();
        for pattern in &self.patterns {
            match matching(pattern).await {
                Ok(found) => present.extend(found),
                Err(error) => {
                    tracing::error!(files = %pattern.display(), %error, "cannot list files");
                    let of_folder = |path: &&PathBuf| path.parent() == pattern.parent();
                    present.extend(self.files.keys().filter(of_folder).cloned());
                }
            }
        }
        self.files.retain(|path, _| present.contains(path));
        for path in present {
            let content = self.files.entry(path.clone()).or_default();
            if let Err(error) = content.update(&path).await {
                tracing::error!(file = %path.display(), %error, "keeping what the file said before");
            }
        }
    }

    /// The addresses of all files.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.files.values().flat_map(|content| &content.addresses)
    }
}

impl Content {
    async fn update(&mut self, path: &Path) -> Result<()> {
        let text = tokio::fs::read_to_string(path)
            .await
            .map_err(|error| Error::unavailable(error.to_string()))?;
        if text != self.text {
            // What is wrong is said once, not each time that it is read.
            self.text = text;
            self.addresses = parse(&self.text)?;
        }
        Ok(())
    }
}

/// The addresses in a file; JSON is YAML too.
fn parse(text: &str) -> Result<Vec<Address>> {
    let groups: Vec<TargetGroup> =
        parse_yaml(text).map_err(|error| Error::invalid(error.to_string()))?;
    let targets = groups.iter().flat_map(|group| &group.targets);
    targets.map(|target| Address::parse(target)).collect()
}

/// The files that a pattern stands for.
async fn matching(pattern: &Path) -> io::Result<Vec<PathBuf>> {
    let name = pattern
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let Some((before, after)) = name.split_once('*') else {
        let exists = tokio::fs::try_exists(pattern).await?;
        return Ok(exists.then(|| pattern.to_owned()).into_iter().collect());
    };
    let folder = match pattern.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut found = Vec::new();
    let mut list = tokio::fs::read_dir(folder).await?;
    while let Some(entry) = list.next_entry().await? {
        let name = entry.file_name();
        let matches = name.to_str().is_some_and(|name| {
            name.strip_prefix(before)
                .is_some_and(|rest| rest.ends_with(after))
        });
        if matches {
            found.push(entry.path());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
