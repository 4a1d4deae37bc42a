//! Credentials of AWS that are not in the YAML: environment, shared file, and what the machine
//! itself is given.

use std::fs;
use std::path::PathBuf;

use object_store::aws::AmazonS3ConfigKey as Key;

use super::Surroundings;

/// Environment variables by which the platform hands out an identity, and their settings.
const PLATFORM: [(&str, Key); 6] = [
    ("AWS_WEB_IDENTITY_TOKEN_FILE", Key::WebIdentityTokenFile),
    ("AWS_ROLE_ARN", Key::RoleArn),
    ("AWS_ROLE_SESSION_NAME", Key::RoleSessionName),
    (
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        Key::ContainerCredentialsRelativeUri,
    ),
    (
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        Key::ContainerCredentialsFullUri,
    ),
    (
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        Key::ContainerAuthorizationTokenFile,
    ),
];

/// The settings of the first source that has something: environment, shared credentials file,
/// platform. None of them leaves the instance metadata service.
pub(super) fn find(around: &Surroundings<'_>) -> Result<Vec<(Key, String)>, String> {
    let variable = |name: &str| (around.environment)(name).filter(|value| !value.is_empty());
    let id = variable("AWS_ACCESS_KEY_ID").or_else(|| variable("AWS_ACCESS_KEY"));
    let secret = variable("AWS_SECRET_ACCESS_KEY").or_else(|| variable("AWS_SECRET_KEY"));
    if let (Some(id), Some(secret)) = (id, secret) {
        return Ok(keys(id, secret, variable("AWS_SESSION_TOKEN")));
    }
    if let Some(found) = shared_file(&variable)? {
        return Ok(found);
    }
    Ok(PLATFORM
        .iter()
        .filter_map(|(name, key)| Some((*key, variable(name)?)))
        .collect())
}

fn keys(id: String, secret: String, token: Option<String>) -> Vec<(Key, String)> {
    let pair = [(Key::AccessKeyId, id), (Key::SecretAccessKey, secret)];
    pair.into_iter()
        .chain(token.map(|token| (Key::Token, token)))
        .collect()
}

/// Keys of the chosen profile in `~/.aws/credentials`, if the file is there and has them.
fn shared_file(
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Vec<(Key, String)>>, String> {
    let path = match (variable("AWS_SHARED_CREDENTIALS_FILE"), variable("HOME")) {
        (Some(path), _) => PathBuf::from(path),
        (None, Some(home)) => PathBuf::from(home).join(".aws/credentials"),
        (None, None) => return Ok(None),
    };
    let Ok(text) = fs::read_to_string(&path) else {
        return Ok(None);
    };
    let profile = variable("AWS_PROFILE").unwrap_or_else(|| "default".to_owned());
    let value = |name: &str| in_profile(&text, &profile, name);
    match (value("aws_access_key_id"), value("aws_secret_access_key")) {
        (Some(id), Some(secret)) => Ok(Some(keys(id, secret, value("aws_session_token")))),
        _ if value("credential_process").is_some() => Err(format!(
            "`credential_process` of profile {profile:?} in {} is not supported: \
             set access_key and secret_key",
            path.display()
        )),
        _ => Ok(None),
    }
}

fn in_profile(text: &str, profile: &str, name: &str) -> Option<String> {
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        if let Some(section) = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            inside = section.trim() == profile;
        } else if let Some((key, value)) = line.split_once('=')
            && inside
            && key.trim() == name
        {
            return Some(value.trim().to_owned());
        }
    }
    None
}
