//! The list of uploaded blocks: `thanos.shipper.json`, as Thanos writes it.
//!
//! Who is on it is never uploaded again, not even when the bucket has lost it: a compactor took it away.
//! Prometheus may read the list, too, to wait with its compactions (`--storage.tsdb.delay-compact-file.path`).

use std::collections::BTreeSet;

use bytes::Bytes;
use rutile_block::BlockId;
use rutile_disk::{AsyncDisk, Durability};
use rutile_model::ErrorKind;
use serde::{Deserialize, Serialize};
use serde_json::ser::PrettyFormatter;

use crate::{Error, Result};

/// The only version there is.
const VERSION: i64 = 1;
/// No list is read that is longer than this many bytes: room for 500,000 blocks.
const MAX_BYTES: u64 = 16 << 20;

#[derive(Debug, Serialize, Deserialize)]
struct Document {
    #[serde(default)]
    version: i64,
    /// `null` where there is none.
    #[serde(default)]
    uploaded: Option<Vec<BlockId>>,
}

/// Reads the list at `path`. One that is not there is empty; so is one that is damaged or of another version,
/// with a warning: each block is then looked for in the bucket.
///
/// # Errors
/// What the disk says, missing files aside: an empty list in place of one that is there would bring back
/// what a compactor deleted.
pub(crate) async fn read(disk: &AsyncDisk, path: &str) -> Result<BTreeSet<BlockId>> {
    let bytes = match disk.read_range(path, 0..MAX_BYTES + 1).await {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(source) => return Err(failed("read", path, source)),
    };
    match parse(&bytes) {
        Ok(uploaded) => Ok(uploaded.into_iter().collect()),
        Err(error) => {
            tracing::warn!(
                path,
                error,
                "the list of uploaded blocks cannot be read: each is looked for in the bucket"
            );
            Ok(BTreeSet::new())
        }
    }
}

/// Puts a list of these blocks in place of the one at `path`, so that it survives a crash.
///
/// # Errors
/// What the disk says; the old list is there then.
pub(crate) async fn write(disk: &AsyncDisk, path: &str, uploaded: Vec<BlockId>) -> Result<()> {
    let written = disk.write(path, to_json(uploaded).into(), Durability::Durable);
    written.await.map_err(|e| failed("write", path, e))
}

fn parse(bytes: &Bytes) -> Result<Vec<BlockId>, String> {
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("it is longer than {MAX_BYTES} bytes"));
    }
    let document: Document = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    if document.version != VERSION {
        return Err(format!("version {} is not known", document.version));
    }
    Ok(document.uploaded.unwrap_or_default())
}

/// The bytes that Go's encoder gives with TABs.
fn to_json(uploaded: Vec<BlockId>) -> Vec<u8> {
    let document = Document {
        version: VERSION,
        uploaded: (!uploaded.is_empty()).then_some(uploaded),
    };
    let mut json = Vec::new();
    let tabs = PrettyFormatter::with_indent(b"\t");
    let mut serializer = serde_json::Serializer::with_formatter(&mut json, tabs);
    let written = document.serialize(&mut serializer);
    debug_assert!(written.is_ok(), "numbers and texts go into memory");
    json.push(b'\n');
    json
}

fn failed(action: &'static str, path: &str, source: rutile_disk::Error) -> Error {
    let path = path.to_owned();
    Error::List {
        action,
        path,
        source,
    }
}

#[cfg(test)]
mod tests;
