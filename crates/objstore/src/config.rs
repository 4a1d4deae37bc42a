//! The bucket's YAML, `objstore.config`: what is known, what it means, what is refused.
//!
//! Strict: an unknown key is an error that names it, its place and what is allowed; a setting that
//! cannot be honoured is refused. One that has no effect here, and whose absence harms nobody, is
//! accepted with a warning in the log. Secrets are never printed.

mod azure;
mod compatible;
mod credentials;
mod gcs;
mod http;
mod s3;

use rutile_model::config::{expand_env, parse_yaml};
use serde::Deserialize;

use crate::remote::RemoteBucket;
use crate::{Error, FilesystemBucket, Operation, Result};

/// What a provider needs beyond its configuration.
pub(crate) struct Surroundings<'a> {
    /// Name of the component, for the user agent.
    pub(crate) component: &'a str,
    /// Environment variables.
    pub(crate) environment: &'a dyn Fn(&str) -> Option<String>,
}

/// An opened provider, without prefix and wrappers.
pub(crate) enum Provider {
    Filesystem(FilesystemBucket),
    Remote(RemoteBucket),
}

/// The types there are, as the `type` key names them.
const TYPES: &str = "FILESYSTEM, S3, GCS, AZURE, COS, ALIYUNOSS, OBS, BOS or OCI";

#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    r#type: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<C> {
    #[serde(rename = "type")]
    _type: Option<String>,
    #[serde(default = "Option::default")]
    config: Option<C>,
    #[serde(default)]
    prefix: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct FilesystemConfig {
    directory: Option<String>,
}

/// Opens what the YAML describes; gives the prefix, too.
pub(crate) fn open(yaml: &str, around: &Surroundings<'_>) -> Result<(Provider, String)> {
    let (provider, prefix) = provider(yaml, around).map_err(refused)?;
    let prefix = prefix.unwrap_or_default().trim_matches('/').to_owned();
    if !prefix.is_empty() {
        crate::key::check(&prefix).map_err(|why| refused(format!("`prefix`: {why}")))?;
    }
    Ok((provider, prefix))
}

fn refused(why: String) -> Error {
    let message = format!("objstore.config: {why}");
    Error::new(
        rutile_model::ErrorKind::Invalid,
        Operation::Open,
        "",
        "",
        message,
    )
}

fn provider(yaml: &str, around: &Surroundings<'_>) -> Result<(Provider, Option<String>), String> {
    let yaml = &expand_env(yaml, around.environment).map_err(|error| error.to_string())?;
    let kind = parse::<Head>(yaml)?.r#type.unwrap_or_default();
    match kind.to_uppercase().as_str() {
        "FILESYSTEM" => build(yaml, filesystem),
        "S3" => build(yaml, |config: s3::Config| {
            config.settings(around)?.open(around)
        }),
        "GCS" => build(yaml, |config: gcs::Config| config.open(around)),
        "AZURE" => build(yaml, |config: azure::Config| config.open(around)),
        "COS" => build(yaml, |config: compatible::Cos| {
            config.settings()?.open(around)
        }),
        "ALIYUNOSS" => build(yaml, |config: compatible::Oss| {
            config.settings()?.open(around)
        }),
        "OBS" => build(yaml, |config: compatible::Obs| {
            config.settings()?.open(around)
        }),
        "BOS" => build(yaml, |config: compatible::Bos| {
            config.settings()?.open(around)
        }),
        "OCI" => build(yaml, |config: compatible::Oci| {
            config.settings(around)?.open(around)
        }),
        "SWIFT" => Err(format!(
            "`type: SWIFT` is not supported yet: use {TYPES}; Swift's S3 API works as `type: S3`"
        )),
        "" => Err(format!("`type` is missing: set it to {TYPES}")),
        _ => Err(format!("`type: {kind}` is unknown: use {TYPES}")),
    }
}

fn parse<T: serde::de::DeserializeOwned>(yaml: &str) -> Result<T, String> {
    parse_yaml(yaml).map_err(|error| error.to_string())
}

fn build<C: serde::de::DeserializeOwned + Default>(
    yaml: &str,
    open: impl FnOnce(C) -> Result<Provider, String>,
) -> Result<(Provider, Option<String>), String> {
    let document: Document<C> = parse(yaml)?;
    Ok((open(document.config.unwrap_or_default())?, document.prefix))
}

fn filesystem(config: FilesystemConfig) -> Result<Provider, String> {
    let directory = required("directory", config.directory)?;
    let bucket = FilesystemBucket::new(&directory)
        .map_err(|error| format!("`directory: {directory}`: {error}"))?;
    Ok(Provider::Filesystem(bucket))
}

/// The value of a key that must not be empty.
fn required(key: &str, value: Option<String>) -> Result<String, String> {
    value
        .filter(|value| !value.is_empty())
        .ok_or_else(|| format!("`config.{key}` must be set"))
}

/// The value, unless absent or empty.
fn given(value: &Option<String>) -> Option<&str> {
    value.as_deref().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests;
