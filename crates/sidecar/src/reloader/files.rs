//! Reads what is watched, and writes the configuration that is made of it.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use rutile_model::config::expand_env;
use sha2::{Digest, Sha256};

use super::ReloaderConfig;

/// Longest file that is read, and longest configuration once it is unpacked, bytes.
const MAX_FILE: u64 = 64 << 20;
/// Most files that are looked at.
const MAX_FILES: usize = 10_000;
/// Deepest folder below a watched one.
const MAX_DEPTH: usize = 32;
/// How gzip begins.
const GZIP: &[u8] = &[0x1f, 0x8b, 0x08];

/// A digest of the paths and contents of all that is watched.
pub(super) type Look = [u8; 32];

/// What keeps the files from being read or written.
#[derive(Debug, thiserror::Error)]
pub enum ReloaderError {
    /// A file or folder.
    #[error("cannot {action} {path} ({flag}): {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: String,
        /// The flag that it comes from.
        flag: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// More than anybody would want to load.
    #[error("{path} ({flag}) {what}")]
    TooLarge {
        /// Where.
        path: String,
        /// The flag that it comes from.
        flag: &'static str,
        /// The bound.
        what: String,
    },
    /// A configuration that is no text.
    #[error("{path} (--reloader.config-file) is not UTF-8, nor gzip of UTF-8")]
    NotText {
        /// Where.
        path: String,
    },
    /// A variable that is not set.
    #[error("{path} (--reloader.config-file): {source}; set it for the sidecar")]
    Environment {
        /// Where.
        path: String,
        /// Which one.
        source: rutile_model::Error,
    },
}

const CONFIG: &str = "--reloader.config-file";
const OUTPUT: &str = "--reloader.config-envsubst-file";
const RULES: &str = "--reloader.rule-dir";

/// Reads all that is watched. With an output file, also what belongs into it.
pub(super) fn look(config: &ReloaderConfig) -> Result<(Look, Option<String>), ReloaderError> {
    let mut digest = Sha256::new();
    let mut content = None;
    if let Some(path) = &config.config_file {
        let bytes = read(path, CONFIG)?;
        add(&mut digest, path, &bytes);
        if config.output_file.is_some() {
            content = Some(expanded(path, bytes)?);
        }
    }
    let mut files = Vec::new();
    for folder in &config.rule_dirs {
        let resolved = fs::canonicalize(folder).map_err(failed("find", folder, RULES))?;
        list(&resolved, MAX_DEPTH, &mut files)?;
    }
    for path in &files {
        add(&mut digest, path, &read(path, RULES)?);
    }
    Ok((digest.finalize().into(), content))
}

/// Puts `content` in place of the file at `path`, readable for all, as Prometheus may be another user.
pub(super) fn write(path: &Path, content: &str) -> Result<(), ReloaderError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let written = fs::write(&temporary, content).and_then(|()| fs::rename(&temporary, path));
    written.map_err(|source| {
        // It may not even be there.
        fs::remove_file(&temporary).ok();
        failed("write", path, OUTPUT)(source)
    })
}

/// All files below a folder, sorted. Links to files are followed, links to folders are not: a mounted
/// ConfigMap has its files in a folder that is there under its own name, too.
fn list(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), ReloaderError> {
    let too_large = |what: String| ReloaderError::TooLarge {
        path: folder.display().to_string(),
        flag: RULES,
        what,
    };
    if depth == 0 {
        return Err(too_large(format!(
            "lies more than {MAX_DEPTH} folders deep"
        )));
    }
    let entries = fs::read_dir(folder).map_err(failed("list", folder, RULES))?;
    let entries: io::Result<Vec<_>> = entries.collect();
    let mut entries = entries.map_err(failed("list", folder, RULES))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let kind = entry.file_type().map_err(failed("look at", &path, RULES))?;
        if kind.is_dir() {
            list(&path, depth - 1, files)?;
            continue;
        }
        let target = fs::metadata(&path).map_err(failed("look at", &path, RULES))?;
        if target.is_file() {
            files.push(path);
        }
        if files.len() > MAX_FILES {
            return Err(too_large(format!(
                "is one folder too many: {MAX_FILES} files are watched at most"
            )));
        }
    }
    Ok(())
}

fn add(digest: &mut Sha256, path: &Path, bytes: &[u8]) {
    digest.update([0xff]);
    digest.update(path.as_os_str().as_encoded_bytes());
    digest.update([0xff]);
    digest.update(bytes.len().to_le_bytes());
    digest.update(bytes);
}

fn read(path: &Path, flag: &'static str) -> Result<Vec<u8>, ReloaderError> {
    let file = fs::File::open(path).map_err(failed("open", path, flag))?;
    bounded(file, path, flag)
}

fn bounded(from: impl Read, path: &Path, flag: &'static str) -> Result<Vec<u8>, ReloaderError> {
    let mut bytes = Vec::new();
    let mut limited = from.take(MAX_FILE + 1);
    limited
        .read_to_end(&mut bytes)
        .map_err(failed("read", path, flag))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(ReloaderError::TooLarge {
            path: path.display().to_string(),
            flag,
            what: format!("has more than {MAX_FILE} bytes"),
        });
    }
    Ok(bytes)
}

/// A configuration unpacked, with the environment put in.
fn expanded(path: &Path, bytes: Vec<u8>) -> Result<String, ReloaderError> {
    let bytes = match bytes.starts_with(GZIP) {
        true => bounded(MultiGzDecoder::new(&*bytes), path, CONFIG)?,
        false => bytes,
    };
    let shown = || path.display().to_string();
    let text = String::from_utf8(bytes).map_err(|_| ReloaderError::NotText { path: shown() })?;
    let environment = |name: &str| std::env::var(name).ok();
    expand_env(&text, environment).map_err(|source| ReloaderError::Environment {
        path: shown(),
        source,
    })
}

fn failed(
    action: &'static str,
    path: &Path,
    flag: &'static str,
) -> impl FnOnce(io::Error) -> ReloaderError {
    let path = path.display().to_string();
    move |source| ReloaderError::Io {
        action,
        path,
        flag,
        source,
    }
}

#[cfg(test)]
mod tests;
