//! Flags that several commands share.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use rutile_runtime::Clock;
use rutile_telemetry::{LogConfig, LogFormat, LogLevel};

/// What goes to standard error.
#[derive(Debug, Args)]
pub(crate) struct LogFlags {
    /// Least important level to log: error, warn, info or debug.
    #[arg(
        long = "log.level",
        global = true,
        help_heading = "Logging",
        default_value = "info"
    )]
    level: LogLevel,
    /// How to log: logfmt or json.
    #[arg(
        long = "log.format",
        global = true,
        help_heading = "Logging",
        default_value = "logfmt"
    )]
    format: LogFormat,
    /// Name to put on every log line.
    #[arg(long = "debug.name", global = true, default_value = "", hide = true)]
    name: String,
}

impl LogFlags {
    pub(crate) fn init(&self, clock: &Arc<dyn Clock>) -> Result<()> {
        let clock = Arc::clone(clock);
        rutile_telemetry::init(&LogConfig {
            level: self.level,
            format: self.format,
            name: self.name.clone(),
            now_ms: Arc::new(move || clock.now_ms()),
        })?;
        Ok(())
    }
}

/// Which bucket.
#[derive(Debug, Args)]
pub(crate) struct BucketFlags {
    /// File with the bucket's configuration in YAML.
    #[arg(
        long = "objstore.config-file",
        global = true,
        help_heading = "Bucket",
        value_name = "PATH"
    )]
    bucket_file: Option<PathBuf>,
    /// The bucket's configuration itself, instead of --objstore.config-file.
    #[arg(
        long = "objstore.config",
        global = true,
        help_heading = "Bucket",
        value_name = "YAML"
    )]
    bucket_yaml: Option<String>,
}

impl BucketFlags {
    /// The configuration.
    pub(crate) fn yaml(&self) -> Result<String> {
        path_or_content(
            "objstore.config",
            self.bucket_file.as_ref(),
            self.bucket_yaml.as_ref(),
        )?
        .context(
            "no bucket: give its configuration with --objstore.config-file or --objstore.config",
        )
    }
}

/// Which blocks, by their external labels.
#[derive(Debug, Args)]
pub(crate) struct SelectorFlags {
    /// File with relabel rules in YAML that pick blocks by their external labels.
    #[arg(long = "selector.relabel-config-file", value_name = "PATH")]
    selector_file: Option<PathBuf>,
    /// The relabel rules themselves, instead of --selector.relabel-config-file.
    #[arg(long = "selector.relabel-config", value_name = "YAML")]
    selector_yaml: Option<String>,
}

impl SelectorFlags {
    /// The rules, empty if there are none.
    pub(crate) fn yaml(&self) -> Result<String> {
        let yaml = path_or_content(
            "selector.relabel-config",
            self.selector_file.as_ref(),
            self.selector_yaml.as_ref(),
        )?;
        Ok(yaml.unwrap_or_default())
    }
}

/// The content of whichever flag was given of a pair.
fn path_or_content(
    flag: &str,
    path: Option<&PathBuf>,
    content: Option<&String>,
) -> Result<Option<String>> {
    match (path, content) {
        (Some(_), Some(_)) => bail!("--{flag} and --{flag}-file are both given: remove one"),
        (None, content) => Ok(content.cloned()),
        (Some(path), None) => std::fs::read_to_string(path)
            .with_context(|| format!("read --{flag}-file={}", path.display()))
            .map(Some),
    }
}

/// `name="value"` or `name=value`, as labels are given in flags.
pub(crate) fn parse_label(text: &str) -> Result<(String, String)> {
    let (name, value) = text
        .split_once('=')
        .with_context(|| format!("invalid label {text:?}: write name=\"value\""))?;
    let value = match value.strip_prefix('"') {
        None => value,
        Some(quoted) => quoted
            .strip_suffix('"')
            .with_context(|| format!("invalid label {text:?}: a quote is not closed"))?,
    };
    let plain = rutile_model::labels::is_plain_name(name);
    if !plain {
        bail!("invalid label {text:?}: {name:?} is not a label name");
    }
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_may_be_quoted() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(parse_label("a=\"b\"").unwrap(), pair("a", "b"));
        assert_eq!(parse_label("a=b=c").unwrap(), pair("a", "b=c"));
        for wrong in ["a", "=b", "a=\"b", "1=b"] {
            assert!(parse_label(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_one_of_path_and_content_is_taken() {
        let (path, content) = (PathBuf::from("x"), "y".to_owned());
        assert!(path_or_content("f", Some(&path), Some(&content)).is_err());
        assert_eq!(
            path_or_content("f", None, Some(&content)).unwrap(),
            Some(content)
        );
        assert_eq!(path_or_content("f", None, None).unwrap(), None);
    }
}
