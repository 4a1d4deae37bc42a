//! Why a process ends before its time.

use std::error::Error as StdError;

use rutile_model::ErrorKind;

use crate::status::{EXIT_FAILURE, EXIT_USAGE};

/// The failure of a component, in one line that says what to change.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    kind: ErrorKind,
    message: String,
    usage: bool,
}

impl Failure {
    /// A failure of `kind`; the line is `error` and its sources, each said once.
    #[must_use]
    pub fn new(kind: ErrorKind, error: &(dyn StdError + 'static)) -> Self {
        Self {
            kind,
            message: chain(error),
            usage: false,
        }
    }

    /// A failure in one's own words.
    #[must_use]
    pub fn message(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            usage: false,
        }
    }

    /// A command line that is wrong whatever the machine and its files are like: exit code 2.
    #[must_use]
    pub fn usage(message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Invalid,
            message: message.into(),
            usage: true,
        }
    }

    /// A flag that is known and not supported yet: exit code 2, too.
    #[must_use]
    pub fn unsupported_flag(flag: &str) -> Self {
        Self {
            kind: ErrorKind::Unsupported,
            message: format!("{flag} is not supported yet: leave it out"),
            usage: true,
        }
    }

    /// Puts what was being done before the message.
    #[must_use]
    pub fn context(mut self, doing: &str) -> Self {
        self.message = format!("{doing}: {}", self.message);
        self
    }

    /// What a caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The exit code of the process.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if self.usage { EXIT_USAGE } else { EXIT_FAILURE }
    }
}

/// An error and its sources; a source that the text already ends with is not repeated.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    for source in std::iter::successors(error.source(), |&error| error.source()) {
        let source = source.to_string();
        if !text.contains(&source) {
            text.push_str(": ");
            text.push_str(&source);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open bucket {0}")]
    struct Outer(&'static str, #[source] std::io::Error);

    #[test]
    fn the_line_names_every_cause_once() {
        let error = Outer("x", std::io::Error::other("connection refused"));
        let failure = Failure::new(ErrorKind::Unavailable, &error).context("start");
        assert_eq!(
            failure.to_string(),
            "start: cannot open bucket x: connection refused"
        );
        assert_eq!(
            (failure.kind(), failure.exit_code()),
            (ErrorKind::Unavailable, 1)
        );
        assert_eq!(Failure::usage("no").exit_code(), 2);
        let twice = Outer(
            "connection refused",
            std::io::Error::other("connection refused"),
        );
        let failure = Failure::new(ErrorKind::Internal, &twice);
        assert_eq!(failure.to_string(), "cannot open bucket connection refused");
    }
}
