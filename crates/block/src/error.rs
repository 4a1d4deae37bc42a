//! The error of reading block metadata.

use rutile_model::ErrorKind;

/// Metadata that cannot be used: which object, where in it, why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{object} at byte {offset}: {message}")]
pub struct Error {
    /// `Corrupt` for bytes that are not what the format demands (also the torn ones), `Unsupported`
    /// for a well-formed object of a version that this program does not know, `Exhausted` for one
    /// that is larger than any sane one.
    pub kind: ErrorKind,
    /// Key of the object, relative to the bucket's prefix.
    pub object: String,
    /// Offset of the first byte that does not fit; 0 when the object as a whole does not.
    pub offset: usize,
    /// What was wrong.
    pub message: String,
}

impl Error {
    /// What the caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub(crate) fn whole(kind: ErrorKind, object: String, message: String) -> Self {
        Self {
            kind,
            object,
            offset: 0,
            message,
        }
    }

    /// A JSON error, with its line and column turned into a byte offset.
    pub(crate) fn json(object: String, bytes: &[u8], error: &serde_json::Error) -> Self {
        let line_start: usize = bytes
            .split_inclusive(|b| *b == b'\n')
            .take(error.line().saturating_sub(1))
            .map(<[u8]>::len)
            .sum();
        Self {
            kind: ErrorKind::Corrupt,
            object,
            offset: (line_start + error.column()).min(bytes.len()),
            message: format!("not valid: {error}"),
        }
    }
}

/// Refuses what is not an object at all: arrays would else be read as the members in their order.
pub(crate) fn require_object(object: impl FnOnce() -> String, json: &[u8]) -> Result<()> {
    let at = json
        .iter()
        .position(|byte| !byte.is_ascii_whitespace())
        .unwrap_or(json.len());
    if json.get(at) == Some(&b'{') {
        return Ok(());
    }
    let message = "not a JSON object".to_owned();
    Err(Error {
        kind: ErrorKind::Corrupt,
        object: object(),
        offset: at,
        message,
    })
}

/// The result of reading block metadata.
pub type Result<T, E = Error> = std::result::Result<T, E>;
