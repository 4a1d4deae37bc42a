//! Notices of removals: small JSON objects of our own, which Thanos takes for nothing.

use std::collections::BTreeSet;

use rutile_model::ErrorKind;
use serde::{Deserialize, Serialize};

use crate::error::require_object;
use crate::{BlockId, Error, Result, go_json};

/// Where notices lie; each in an object of its own, named by a ULID.
pub const REMOVALS_PREFIX: &str = "rutile/removals/";
/// No notice is read that is longer than this many bytes: it has room for half a million blocks.
pub const MAX_REMOVAL_BYTES: u64 = 16 << 20;

const VERSION: i64 = 1;

/// Says which blocks a process may send requests to remove objects of (BC-6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovalNotice {
    version: i64,
    /// Since when no more such requests are sent, ms of the bucket's clock; none: they may be yet.
    pub ended_ms: Option<i64>,
    /// The blocks.
    pub blocks: BTreeSet<BlockId>,
}

impl RemovalNotice {
    /// A notice of what is about to be removed.
    #[must_use]
    pub fn new(blocks: BTreeSet<BlockId>) -> Self {
        Self {
            version: VERSION,
            ended_ms: None,
            blocks,
        }
    }

    /// Where the notice of this name lies.
    #[must_use]
    pub fn key(name: BlockId) -> String {
        format!("{REMOVALS_PREFIX}{name}")
    }

    /// Reads the object `key`.
    ///
    /// # Errors
    /// `Corrupt` for what is not one whole notice, `Unsupported` for one of another version.
    pub fn parse(key: &str, json: &[u8]) -> Result<Self> {
        let object = || key.to_owned();
        require_object(object, json)?;
        let notice: Self =
            serde_json::from_slice(json).map_err(|e| Error::json(object(), json, &e))?;
        if notice.version != VERSION {
            let message = format!("version {} is not known, only {VERSION} is", notice.version);
            return Err(Error::whole(ErrorKind::Unsupported, object(), message));
        }
        Ok(notice)
    }

    /// The object's bytes.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        go_json::compact(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_read_as_it_was_written() {
        let block: BlockId = "01M325V5VZTPJZD0W3J5QM16Q1".parse().expect("a ULID");
        let mut notice = RemovalNotice::new([block].into());
        let key = RemovalNotice::key(block);
        let expected = r#"{"version":1,"ended_ms":null,"blocks":["01M325V5VZTPJZD0W3J5QM16Q1"]}"#;
        assert_eq!(notice.to_json(), expected.as_bytes());
        assert_eq!(
            RemovalNotice::parse(&key, &notice.to_json()),
            Ok(notice.clone())
        );
        notice.ended_ms = Some(5);
        assert_eq!(RemovalNotice::parse(&key, &notice.to_json()), Ok(notice));
    }

    #[test]
    fn what_is_no_whole_notice_is_refused_with_its_name() {
        for (json, kind) in [
            ("", ErrorKind::Corrupt),
            ("[1,null,[]]", ErrorKind::Corrupt),
            (
                r#"{"version":1,"ended_ms":null,"blocks":["#,
                ErrorKind::Corrupt,
            ),
            (r#"{"version":1,"blocks":["x"]}"#, ErrorKind::Corrupt),
            (
                r#"{"version":2,"ended_ms":null,"blocks":[]}"#,
                ErrorKind::Unsupported,
            ),
        ] {
            let error = RemovalNotice::parse("rutile/removals/a", json.as_bytes()).expect_err(json);
            assert_eq!(error.kind, kind, "{json}");
            assert!(error.to_string().contains("rutile/removals/a"), "{error}");
        }
    }
}
