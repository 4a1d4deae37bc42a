//! The error of changing a block.

use std::error::Error as StdError;

use rutile_block::BlockId;
use rutile_model::ErrorKind;

/// A step that could not be taken: which, on which block, why.
#[derive(Debug, thiserror::Error)]
#[error("{operation}{}: {message}", named(*block))]
pub struct Error {
    /// What the caller can do about it.
    pub kind: ErrorKind,
    /// `upload`, `mark`, `delete`, `download`, …
    pub operation: &'static str,
    /// The block; the default one where none is concerned.
    pub block: BlockId,
    /// What was wrong, and where it helps, what to change.
    pub message: String,
    /// What failed below.
    #[source]
    pub source: Option<Box<dyn StdError + Send + Sync>>,
}

fn named(block: BlockId) -> String {
    match block == BlockId::default() {
        true => String::new(),
        false => format!(" block {block}"),
    }
}

/// The result of changing a block.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// What the caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

/// What is being done, for the errors on the way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) operation: &'static str,
    pub(crate) block: BlockId,
}

impl Step {
    /// One that concerns no block.
    pub(crate) fn of_none(operation: &'static str) -> Self {
        let block = BlockId::default();
        Self { operation, block }
    }

    pub(crate) fn error(self, kind: ErrorKind, message: impl Into<String>) -> Error {
        Error {
            kind,
            operation: self.operation,
            block: self.block,
            message: message.into(),
            source: None,
        }
    }

    pub(crate) fn bucket(self, source: rutile_objstore::Error) -> Error {
        let (kind, message) = (source.kind(), source.to_string());
        Error {
            source: Some(Box::new(source)),
            ..self.error(kind, message)
        }
    }

    pub(crate) fn disk(self, source: rutile_disk::Error) -> Error {
        let (kind, message) = (source.kind(), source.to_string());
        Error {
            source: Some(Box::new(source)),
            ..self.error(kind, message)
        }
    }

    pub(crate) fn metadata(self, source: rutile_block::Error) -> Error {
        let (kind, message) = (source.kind(), source.to_string());
        Error {
            source: Some(Box::new(source)),
            ..self.error(kind, message)
        }
    }
}
