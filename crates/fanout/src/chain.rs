//! Errors with all that led to them, as one text.

use std::error::Error as StdError;

use rutile_model::ErrorKind;
use rutile_storeapi::Error;

/// The message of an error and of its causes, which the next hop would not see otherwise.
pub(crate) fn with_causes(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// The error of one store: its name, and what it was asked for, before what went wrong.
pub(crate) fn of_store(store: &str, what: &str, error: &Error) -> Error {
    let message = format!("{what} from store {store}: {}", with_causes(error));
    Error::new(error.kind(), message)
}

/// A warning of a store where partial response is off: the store, or one behind it, has failed.
pub(crate) fn warned(store: &str, warning: &str) -> Error {
    let message = format!("store {store} has only a part of the answer: {warning}");
    Error::new(ErrorKind::Unavailable, message)
}

/// That endpoints cannot be asked, where partial response is off.
pub(crate) fn missing(endpoints: &[String]) -> Error {
    Error::new(ErrorKind::Unavailable, endpoints.join("; "))
}
