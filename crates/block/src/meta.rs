//! `meta.json`: what a block is, as Prometheus and Thanos write it down.
//!
//! Reading ignores unknown keys, takes `null` for an absent value, and keeps `extensions` and
//! `rewrites` as they are. Writing gives Thanos' bytes ([`Meta::to_json`]) or Prometheus'
//! ([`Meta::to_prometheus_json`]): key order, TABs, Go's escaping. See `docs/formats/meta.md`.

mod raw;
mod upload_time;

use std::collections::BTreeSet;
use std::fmt;

use rutile_model::{ErrorKind, Labels};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use raw::RawJson;
pub use upload_time::UploadTime;

use crate::error::require_object;
use crate::{BlockId, Error, Result, go_json, meta_key};

/// The only version of `meta.json` there is.
pub const META_VERSION: i64 = 1;
/// No `meta.json` is read that is longer than this many bytes: room for 200,000 sources.
pub const MAX_META_BYTES: u64 = 16 << 20;

/// Values of [`Downsample::resolution`], in ms.
pub mod resolution {
    /// Samples as they were scraped.
    pub const RAW: i64 = 0;
    /// A window of five minutes.
    pub const FIVE_MINUTES: i64 = 300_000;
    /// A window of one hour.
    pub const ONE_HOUR: i64 = 3_600_000;
    /// All that a block may have, finest first.
    pub const ALL: [i64; 3] = [RAW, FIVE_MINUTES, ONE_HOUR];
}

/// The metadata of a block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Meta {
    /// The block's own identifier.
    #[serde(rename = "ulid", default, deserialize_with = "nullable")]
    pub id: BlockId,
    /// Start of the block's time range, ms, inclusive.
    #[serde(default, deserialize_with = "nullable")]
    pub min_time: i64,
    /// End of the block's time range, ms, exclusive.
    #[serde(default, deserialize_with = "nullable")]
    pub max_time: i64,
    /// What the block holds, for people: hints, not checksums.
    #[serde(default, deserialize_with = "nullable")]
    pub stats: Stats,
    /// Where the block comes from.
    #[serde(default, deserialize_with = "nullable")]
    pub compaction: Compaction,
    /// [`META_VERSION`].
    #[serde(default, deserialize_with = "nullable")]
    pub version: i64,
    /// What Thanos adds; the default where the file has no such section.
    #[serde(default, deserialize_with = "nullable")]
    pub thanos: ThanosMeta,
}

/// Counts of what a block holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Stats {
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "nullable")]
    pub num_samples: u64,
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "nullable")]
    pub num_float_samples: u64,
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "nullable")]
    pub num_histogram_samples: u64,
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "nullable")]
    pub num_series: u64,
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "nullable")]
    pub num_chunks: u64,
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "nullable")]
    pub num_tombstones: u64,
}

/// The history of a block.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Compaction {
    /// How often its data was compacted; 1 for what a head wrote.
    #[serde(deserialize_with = "nullable")]
    pub level: i64,
    /// The blocks of level 1 that went into it, sorted; what supersedes what follows from them.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub sources: Vec<BlockId>,
    /// Set by Prometheus on inputs whose compaction yielded nothing.
    #[serde(skip_serializing_if = "is_false", deserialize_with = "nullable")]
    pub deletable: bool,
    /// The blocks that it was directly made of, by start time.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub parents: Vec<BlockDesc>,
    /// Set when a compaction of this block failed.
    #[serde(skip_serializing_if = "is_false", deserialize_with = "nullable")]
    pub failed: bool,
    /// `from-out-of-order` and the like.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub hints: Vec<String>,
}

/// A block that another one was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockDesc {
    /// Its identifier.
    #[serde(rename = "ulid")]
    pub id: BlockId,
    /// Start of its range, ms, inclusive.
    #[serde(default)]
    pub min_time: i64,
    /// End of its range, ms, exclusive.
    #[serde(default)]
    pub max_time: i64,
}

/// The section `thanos`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ThanosMeta {
    /// Version of the section: 0 (absent) or 1, which mean the same.
    #[serde(skip_serializing_if = "is_zero_signed", deserialize_with = "nullable")]
    pub version: i64,
    /// The external labels.
    #[serde(deserialize_with = "nullable")]
    pub labels: Labels,
    /// The resolution of the samples.
    #[serde(deserialize_with = "nullable")]
    pub downsample: Downsample,
    /// Who made the block.
    #[serde(deserialize_with = "nullable")]
    pub source: Source,
    /// Base names of the chunk segments in order (deprecated, still written).
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub segment_files: Vec<String>,
    /// The block's files, sorted by path; empty for blocks of writers before 2020.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub files: Vec<FileStat>,
    /// Rewrites that were applied to the block; see [`Meta::rewritten_sources`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rewrites: Option<RawJson>,
    /// Sizes that help to estimate reads.
    #[serde(deserialize_with = "nullable")]
    pub index_stats: IndexStats,
    /// Whatever a writer wants to keep with the block.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extensions: Option<RawJson>,
    /// When `meta.json` was uploaded.
    #[serde(deserialize_with = "nullable")]
    pub upload_time: UploadTime,
}

/// The resolution of a block's samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Downsample {
    /// ms; see [`resolution`].
    #[serde(deserialize_with = "nullable")]
    pub resolution: i64,
}

/// One file of a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStat {
    /// Path relative to the block's folder, with `/`.
    pub rel_path: String,
    /// Bytes; 0 where it is not recorded, as for `meta.json` itself.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub size_bytes: u64,
    /// What the content hashes to, if the writer was asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<FileHash>,
}

/// The hash of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileHash {
    /// `SHA256`.
    #[serde(rename = "hashFunc", default)]
    pub func: String,
    /// Lower-case hexadecimal.
    #[serde(default)]
    pub value: String,
}

/// Largest sizes in the index, bytes; 0 where not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IndexStats {
    /// Largest distance between two series entries.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "nullable")]
    pub series_max_size: u64,
    /// Largest distance between two chunks of a series.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "nullable")]
    pub chunk_max_size: u64,
}

/// Who made a block.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Source {
    /// Not recorded: a block of Prometheus itself.
    #[default]
    Unknown,
    Sidecar,
    Receive,
    Compactor,
    CompactorRepair,
    Ruler,
    BucketRepair,
    BucketRewrite,
    BucketUpload,
    Test,
    /// A name that Thanos does not use.
    Other(Box<str>),
}

/// What blocks must have in common to be compacted into one: resolution and external labels.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKey {
    /// ms.
    pub resolution: i64,
    /// External labels.
    pub labels: Labels,
}

/// `<resolution>@<hash of the labels>`, the group's name in logs and on disk. Two groups may share
/// it by chance: compare keys, not names.
impl fmt::Display for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.resolution, self.labels.hash())
    }
}

impl Meta {
    /// Metadata of an empty block, to be filled in.
    #[must_use]
    pub fn new(id: BlockId) -> Self {
        Self {
            id,
            min_time: 0,
            max_time: 0,
            stats: Stats::default(),
            compaction: Compaction {
                level: 1,
                sources: vec![id],
                ..Compaction::default()
            },
            version: META_VERSION,
            thanos: ThanosMeta::default(),
        }
    }

    /// Reads the `meta.json` of block `id`, Thanos' or Prometheus'. As in Thanos, bytes after the
    /// end of the document are ignored.
    ///
    /// # Errors
    /// `Corrupt` when it is torn, has values of the wrong type or names another block,
    /// `Unsupported` when its version, or that of the section, is not 1, `Exhausted` when it is
    /// longer than [`MAX_META_BYTES`].
    pub fn parse(id: BlockId, json: &[u8]) -> Result<Self> {
        let whole = |kind, message| Error::whole(kind, meta_key(id), message);
        if json.len() as u64 > MAX_META_BYTES {
            let message = format!(
                "{} bytes are more than the {MAX_META_BYTES} allowed",
                json.len()
            );
            return Err(whole(ErrorKind::Exhausted, message));
        }
        require_object(|| meta_key(id), json)?;
        let mut meta = match first_document::<Self>(json) {
            Ok(meta) => meta,
            // Another version may have another shape: then it is not damaged, only unknown.
            Err(error) => match first_document::<VersionOnly>(json) {
                Ok(VersionOnly { version }) if version != META_VERSION => {
                    return Err(whole(
                        ErrorKind::Unsupported,
                        unknown_version("version", version),
                    ));
                }
                _ => return Err(Error::json(meta_key(id), json, &error)),
            },
        };
        if meta.version != META_VERSION {
            return Err(whole(
                ErrorKind::Unsupported,
                unknown_version("version", meta.version),
            ));
        }
        if !(0..=1).contains(&meta.thanos.version) {
            let message = unknown_version("version of the thanos section", meta.thanos.version);
            return Err(whole(ErrorKind::Unsupported, message));
        }
        if meta.id != id {
            return Err(whole(
                ErrorKind::Corrupt,
                format!("is that of block {}", meta.id),
            ));
        }
        meta.shrink_to_fit();
        Ok(meta)
    }

    /// The file as Thanos writes it, with a newline at the end.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = go_json::indented(self);
        json.push(b'\n');
        json
    }

    /// The file as Prometheus writes it: no `thanos` section, no newline at the end.
    #[must_use]
    pub fn to_prometheus_json(&self) -> Vec<u8> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Plain<'a> {
            ulid: BlockId,
            min_time: i64,
            max_time: i64,
            stats: Stats,
            compaction: &'a Compaction,
            version: i64,
        }
        go_json::indented(&Plain {
            ulid: self.id,
            min_time: self.min_time,
            max_time: self.max_time,
            stats: self.stats,
            compaction: &self.compaction,
            version: self.version,
        })
    }

    /// The group that the block belongs to.
    #[must_use]
    pub fn group_key(&self) -> GroupKey {
        GroupKey {
            resolution: self.thanos.downsample.resolution,
            labels: self.thanos.labels.clone(),
        }
    }

    /// Length of the block's range, ms; 0 for a range that ends before it starts.
    #[must_use]
    pub fn duration_ms(&self) -> i64 {
        self.max_time.saturating_sub(self.min_time).max(0)
    }

    /// What the file listing of the block says of `rel_path`.
    #[must_use]
    pub fn file(&self, rel_path: &str) -> Option<&FileStat> {
        self.thanos
            .files
            .iter()
            .find(|file| file.rel_path == rel_path)
    }

    /// What the block is made of; a block that names no sources is its own.
    #[must_use]
    pub fn sources(&self) -> &[BlockId] {
        match self.compaction.sources.as_slice() {
            [] => std::slice::from_ref(&self.id),
            sources => sources,
        }
    }

    /// Whether the block is made of all that `other` is made of.
    #[must_use]
    pub fn holds_sources_of(&self, other: &Self) -> bool {
        are_all_in(other.sources(), self.sources())
    }

    /// Whether what `other` is made of went through a rewrite on its way into the block, which may lack what that left out.
    /// The block may hold it untouched besides: then it also [holds its sources](Self::holds_sources_of).
    #[must_use]
    pub fn is_rewritten_from(&self, other: &Self) -> bool {
        self.thanos.rewrites.is_some() && are_all_in(other.sources(), &self.rewritten_sources())
    }

    /// The sources of the blocks that this one was rewritten from (by `tools bucket rewrite`, which
    /// gives the result sources of its own). What cannot be read counts as none.
    #[must_use]
    pub fn rewritten_sources(&self) -> Vec<BlockId> {
        #[derive(Deserialize)]
        struct Rewrite {
            #[serde(default)]
            sources: Vec<BlockId>,
        }
        let rewrites: Vec<Rewrite> = self
            .thanos
            .rewrites
            .as_ref()
            .and_then(|raw| serde_json::from_str(raw.as_str()).ok())
            .unwrap_or_default();
        rewrites
            .into_iter()
            .flat_map(|rewrite| rewrite.sources)
            .collect()
    }

    /// The rewrites behind a block that is made of others: theirs, in order, each once.
    #[must_use]
    pub fn united_rewrites(metas: &[&Self]) -> Option<RawJson> {
        RawJson::united(
            metas
                .iter()
                .filter_map(|meta| meta.thanos.rewrites.as_ref()),
        )
    }

    fn shrink_to_fit(&mut self) {
        self.compaction.sources.shrink_to_fit();
        self.compaction.parents.shrink_to_fit();
        self.thanos.segment_files.shrink_to_fit();
        self.thanos.files.shrink_to_fit();
    }
}

/// Whether all of `few` are in `many`, which is usually sorted.
fn are_all_in(few: &[BlockId], many: &[BlockId]) -> bool {
    if many.len() < few.len() {
        return false;
    }
    if many.is_sorted() {
        return few.iter().all(|id| many.binary_search(id).is_ok());
    }
    let many: BTreeSet<&BlockId> = many.iter().collect();
    few.iter().all(|id| many.contains(id))
}

impl fmt::Display for Meta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (min time: {}, max time: {})",
            self.id, self.min_time, self.max_time
        )
    }
}

impl Source {
    /// The name in the file.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Unknown => "",
            Self::Sidecar => "sidecar",
            Self::Receive => "receive",
            Self::Compactor => "compactor",
            Self::CompactorRepair => "compactor.repair",
            Self::Ruler => "ruler",
            Self::BucketRepair => "bucket.repair",
            Self::BucketRewrite => "bucket.rewrite",
            Self::BucketUpload => "bucket.upload",
            Self::Test => "test",
            Self::Other(name) => name,
        }
    }
}

impl From<&str> for Source {
    fn from(name: &str) -> Self {
        match name {
            "" => Self::Unknown,
            "sidecar" => Self::Sidecar,
            "receive" => Self::Receive,
            "compactor" => Self::Compactor,
            "compactor.repair" => Self::CompactorRepair,
            "ruler" => Self::Ruler,
            "bucket.repair" => Self::BucketRepair,
            "bucket.rewrite" => Self::BucketRewrite,
            "bucket.upload" => Self::BucketUpload,
            "test" => Self::Test,
            other => Self::Other(other.into()),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Ok(Self::from(name.as_str()))
    }
}

#[derive(Deserialize)]
struct VersionOnly {
    #[serde(default)]
    version: i64,
}

fn first_document<'de, T: Deserialize<'de>>(json: &'de [u8]) -> serde_json::Result<T> {
    T::deserialize(&mut serde_json::Deserializer::from_slice(json))
}

fn unknown_version(what: &str, version: i64) -> String {
    format!("{what} {version} is not known, only {META_VERSION} is")
}

/// Go leaves a field alone when the document says `null`.
fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero_signed(value: &i64) -> bool {
    *value == 0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests;
