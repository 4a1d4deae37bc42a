//! The three marks: small JSON objects beside a block's `meta.json`.
//!
//! Written compact, in the key order of Thanos, byte for byte. Read strictly: what is not one whole
//! JSON document of the right shape is torn (`Corrupt`), what has another version than 1 is
//! `Unsupported`; the contract treats the two differently (BC-11).

use std::fmt;

use rutile_model::ErrorKind;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::require_object;
use crate::{BlockId, Error, Result, go_json, mark_key};

/// No mark is read that is longer than this many bytes; real ones have some 150.
pub const MAX_MARK_BYTES: u64 = 1 << 20;

const VERSION: i64 = 1;

/// Values of `details` in deletion marks.
pub mod details {
    /// The block went into a compacted one.
    pub const COMPACTED: &str = "source of compacted block";
    /// Garbage collection found that another block holds all its sources.
    pub const OUTDATED: &str = "outdated block";
    /// The block was repaired into another one.
    pub const REPAIRED: &str = "source of repaired block";
    /// The block was rewritten into another one (deletions, relabelling).
    pub const REWRITTEN: &str = "block rewritten";
    /// An input of the block was marked by a person or by retention before the block was committed. It
    /// needs no replacement, and replaces nothing.
    pub const TAINTED: &str = "an input was marked for deletion before this block was committed";
    /// How the details of a mark by retention start; the retention follows as a Go duration.
    pub const RETENTION_PREFIX: &str = "block exceeding retention of ";
}

/// Values of `reason` in the other two marks.
pub mod reason {
    /// Somebody asked for it.
    pub const MANUAL: &str = "manual";
    /// A compaction with this block would give too large an index.
    pub const INDEX_SIZE_EXCEEDING: &str = "index-size-exceeding";
    /// The index holds chunks that are out of order.
    pub const OUT_OF_ORDER_CHUNKS: &str = "block-index-out-of-order-chunk";
    /// Downsampled blocks that overlap are not merged.
    pub const DOWNSAMPLE_VERTICAL_COMPACTION: &str = "downsample-vertical-compaction";
}

/// Which of the three marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MarkKind {
    /// The block is to be deleted after the delete delay.
    Deletion,
    /// The block is left out of compactions.
    NoCompact,
    /// The block is left out of downsampling.
    NoDownsample,
}

impl MarkKind {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Deletion, Self::NoCompact, Self::NoDownsample];

    /// Base name of the object.
    #[must_use]
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Deletion => "deletion-mark.json",
            Self::NoCompact => "no-compact-mark.json",
            Self::NoDownsample => "no-downsample-mark.json",
        }
    }

    /// The kind of mark that has this base name.
    #[must_use]
    pub fn from_file_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.file_name() == name)
    }
}

impl fmt::Display for MarkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.file_name().trim_end_matches(".json"))
    }
}

/// `deletion-mark.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletionMark {
    /// The block.
    #[serde(default)]
    pub id: BlockId,
    /// Always 1.
    #[serde(default)]
    pub version: i64,
    /// Why, for people; see [`details`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub details: String,
    /// When: seconds since the Unix epoch, by the marker's clock.
    #[serde(default)]
    pub deletion_time: i64,
}

/// `no-compact-mark.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoCompactMark {
    /// The block.
    #[serde(default)]
    pub id: BlockId,
    /// Always 1.
    #[serde(default)]
    pub version: i64,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub details: String,
    /// When: seconds since the Unix epoch.
    #[serde(default)]
    pub no_compact_time: i64,
    /// Why, for programs; see [`reason`].
    #[serde(default)]
    pub reason: String,
}

/// `no-downsample-mark.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoDownsampleMark {
    /// The block.
    #[serde(default)]
    pub id: BlockId,
    /// Always 1.
    #[serde(default)]
    pub version: i64,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub details: String,
    /// When: seconds since the Unix epoch.
    #[serde(default)]
    pub no_downsample_time: i64,
    /// Why, for programs; see [`reason`].
    #[serde(default)]
    pub reason: String,
}

impl DeletionMark {
    /// A mark made now.
    #[must_use]
    pub fn new(id: BlockId, details: &str, now_ms: i64) -> Self {
        Self {
            id,
            version: VERSION,
            details: details.to_owned(),
            deletion_time: now_ms.div_euclid(1000),
        }
    }

    /// When it was made, in milliseconds.
    #[must_use]
    pub fn time_ms(&self) -> i64 {
        self.deletion_time.saturating_mul(1000)
    }

    /// Whether the block was replaced by another one, which readers then want to have loaded before
    /// they drop this one. Marks by retention and by hand need none (BC-5).
    #[must_use]
    pub fn needs_successor(&self) -> bool {
        [
            details::COMPACTED,
            details::OUTDATED,
            details::REPAIRED,
            details::REWRITTEN,
        ]
        .contains(&self.details.as_str())
    }

    /// Whether the block has outlived its retention: nobody wants it gone from what was downsampled of it.
    #[must_use]
    pub fn is_by_retention(&self) -> bool {
        self.details.starts_with(details::RETENTION_PREFIX)
    }
}

/// Any of the three.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// To be deleted.
    Deletion(DeletionMark),
    /// Not to be compacted.
    NoCompact(NoCompactMark),
    /// Not to be downsampled.
    NoDownsample(NoDownsampleMark),
}

impl Mark {
    /// A mark made now. A deletion mark has no `reason`; it is ignored there.
    #[must_use]
    pub fn new(kind: MarkKind, id: BlockId, reason: &str, details: &str, now_ms: i64) -> Self {
        let (details, reason, seconds) = (
            details.to_owned(),
            reason.to_owned(),
            now_ms.div_euclid(1000),
        );
        match kind {
            MarkKind::Deletion => Self::Deletion(DeletionMark::new(id, &details, now_ms)),
            MarkKind::NoCompact => Self::NoCompact(NoCompactMark {
                id,
                version: VERSION,
                details,
                no_compact_time: seconds,
                reason,
            }),
            MarkKind::NoDownsample => Self::NoDownsample(NoDownsampleMark {
                id,
                version: VERSION,
                details,
                no_downsample_time: seconds,
                reason,
            }),
        }
    }

    /// Reads the mark of a block.
    ///
    /// # Errors
    /// `Corrupt` when it is torn, `Unsupported` when its version is not 1.
    pub fn parse(kind: MarkKind, id: BlockId, json: &[u8]) -> Result<Self> {
        match kind {
            MarkKind::Deletion => parse(kind, id, json).map(Self::Deletion),
            MarkKind::NoCompact => parse(kind, id, json).map(Self::NoCompact),
            MarkKind::NoDownsample => parse(kind, id, json).map(Self::NoDownsample),
        }
    }

    /// The object's bytes, as Thanos writes them.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        match self {
            Self::Deletion(mark) => go_json::compact(mark),
            Self::NoCompact(mark) => go_json::compact(mark),
            Self::NoDownsample(mark) => go_json::compact(mark),
        }
    }

    /// Which one it is.
    #[must_use]
    pub const fn kind(&self) -> MarkKind {
        match self {
            Self::Deletion(_) => MarkKind::Deletion,
            Self::NoCompact(_) => MarkKind::NoCompact,
            Self::NoDownsample(_) => MarkKind::NoDownsample,
        }
    }

    /// When it was made, in milliseconds.
    #[must_use]
    pub fn time_ms(&self) -> i64 {
        let seconds = match self {
            Self::Deletion(mark) => mark.deletion_time,
            Self::NoCompact(mark) => mark.no_compact_time,
            Self::NoDownsample(mark) => mark.no_downsample_time,
        };
        seconds.saturating_mul(1000)
    }

    /// Why, for people.
    #[must_use]
    pub fn details(&self) -> &str {
        match self {
            Self::Deletion(mark) => &mark.details,
            Self::NoCompact(mark) => &mark.details,
            Self::NoDownsample(mark) => &mark.details,
        }
    }
}

/// A version other than 1 may have any shape, so the version is looked at first.
fn parse<T: DeserializeOwned>(kind: MarkKind, id: BlockId, json: &[u8]) -> Result<T> {
    #[derive(Deserialize)]
    struct Version {
        #[serde(default)]
        version: i64,
    }
    let object = || mark_key(id, kind);
    require_object(object, json)?;
    let Version { version } =
        serde_json::from_slice(json).map_err(|e| Error::json(object(), json, &e))?;
    if version != VERSION {
        let message = format!("version {version} is not known, only {VERSION} is");
        return Err(Error::whole(ErrorKind::Unsupported, object(), message));
    }
    serde_json::from_slice(json).map_err(|e| Error::json(object(), json, &e))
}

#[cfg(test)]
mod tests;
