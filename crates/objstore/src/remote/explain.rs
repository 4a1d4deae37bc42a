//! From the library's errors to ours: kind, and what the operator is to change.

use std::error::Error as StdError;

use object_store::client::{HttpError, HttpErrorKind};
use rutile_model::ErrorKind;

use super::Remote;
use crate::{Error, Operation};

/// Characters of a server's answer that a message repeats.
const MAX_DETAIL: usize = 400;

/// What servers say when the bucket itself is not there. A HEAD has no body to say it in.
const NO_BUCKET: [&str; 3] = [
    "NoSuchBucket",
    "ContainerNotFound",
    "container does not exist",
];

/// What servers say about wrong credentials with a status that is not 401 or 403.
const WRONG_CREDENTIALS: [&str; 4] = [
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "AuthenticationFailed",
    "InvalidAuthenticationInfo",
];

/// What the library says of a range past the end where a server answers it without an error, as
/// azurite does: with the whole object, or with the range `0--1` of an empty one.
const PAST_THE_END: [&str; 2] = ["Wanted range starting at", "\"bytes 0--1/0\""];

impl Remote {
    pub(super) fn explain(
        &self,
        operation: Operation,
        key: &str,
        error: object_store::Error,
    ) -> Error {
        let detail = chain(&error);
        let (kind, message) = self.diagnose(&error, &detail);
        Error::new(kind, operation, &self.name, key, message).with_source(error)
    }

    fn diagnose(&self, error: &object_store::Error, detail: &str) -> (ErrorKind, String) {
        let Self {
            endpoint,
            name,
            credential_keys,
            bucket_key,
            ..
        } = self;
        let shown = detail
            .char_indices()
            .nth(MAX_DETAIL)
            .map_or(detail, |(end, _)| detail.get(..end).unwrap_or(detail));
        if NO_BUCKET.iter().any(|code| detail.contains(code)) {
            let message = format!(
                "the bucket {name:?} does not exist at {endpoint}: create it, \
                 or correct `{bucket_key}` of objstore.config"
            );
            return (ErrorKind::Invalid, message);
        }
        if is_denied(error, detail) || WRONG_CREDENTIALS.iter().any(|code| detail.contains(code)) {
            let message = format!(
                "{endpoint} denies access: check {credential_keys} of objstore.config \
                 and what they may do: {shown}"
            );
            return (ErrorKind::Denied, message);
        }
        if let Some(named) = by_variant(error, shown) {
            return named;
        }
        if let Some(transport) = transport(error) {
            return (
                ErrorKind::Unavailable,
                format!("cannot reach {endpoint}: {transport}"),
            );
        }
        if PAST_THE_END.iter().any(|words| detail.contains(words)) {
            return (
                ErrorKind::Invalid,
                "the range starts past the end".to_owned(),
            );
        }
        match status(detail) {
            Some(416) => (
                ErrorKind::Invalid,
                "the range starts past the end".to_owned(),
            ),
            Some(status @ 400..500) if status != 408 && status != 429 => (
                ErrorKind::Invalid,
                format!("{endpoint} refuses the request: {shown}"),
            ),
            _ => (
                ErrorKind::Unavailable,
                format!("{endpoint} failed: {shown}"),
            ),
        }
    }
}

/// What the library itself tells apart.
fn by_variant(error: &object_store::Error, shown: &str) -> Option<(ErrorKind, String)> {
    use object_store::Error as Store;
    match error {
        Store::NotFound { .. } => {
            Some((ErrorKind::NotFound, "the object does not exist".to_owned()))
        }
        Store::AlreadyExists { .. } | Store::Precondition { .. } => Some((
            ErrorKind::AlreadyExists,
            "the object exists already".to_owned(),
        )),
        Store::InvalidPath { .. } => {
            let message = format!(
                "an object of another program has a key that cannot be listed, remove it: {shown}"
            );
            Some((ErrorKind::Invalid, message))
        }
        Store::NotImplemented { .. } | Store::NotSupported { .. } => {
            Some((ErrorKind::Unsupported, shown.to_owned()))
        }
        _ => None,
    }
}

/// By status, too: the errors of a listing are all `Generic`.
fn is_denied(error: &object_store::Error, detail: &str) -> bool {
    matches!(
        error,
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. }
    ) || matches!(status(detail), Some(401 | 403))
}

/// What went wrong below HTTP, if it did: the innermost cause says it best.
fn transport(error: &object_store::Error) -> Option<String> {
    let mut cause: &dyn StdError = error;
    let mut http = None;
    loop {
        if let Some(found) = cause.downcast_ref::<HttpError>() {
            http = Some(found.kind());
        }
        match cause.source() {
            Some(deeper) => cause = deeper,
            None => break,
        }
    }
    match http? {
        HttpErrorKind::Timeout => Some("it does not answer in time".to_owned()),
        _ => Some(with_remedy(cause.to_string())),
    }
}

/// What is to be set where a server's certificate is of an authority that nobody here knows.
fn with_remedy(why: String) -> String {
    if why.contains("UnknownIssuer") {
        return format!(
            "{why}: name the authority of its certificate as \
             `http_config.tls_config.ca_file` of objstore.config"
        );
    }
    why
}

/// All that the error and its causes say, each once.
fn chain(error: &object_store::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        let more = deeper.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = deeper.source();
    }
    text.replace('\n', " ")
}

/// The library tells the status of an answer in words only.
fn status(detail: &str) -> Option<u16> {
    let (_, after) = detail.split_once("status code: ")?;
    after.get(..3)?.parse().ok()
}
