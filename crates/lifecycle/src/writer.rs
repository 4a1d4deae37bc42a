//! One object of a block, written in parts when it is large.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rutile_block::{FileHash, FileStat, file_key};
use rutile_objstore::{MultipartUpload, PutMode};
use sha2::{Digest, Sha256};

use crate::upload::Session;
use crate::{HashFunc, Result};

/// Length of a part in bytes, all but the last of a file: short of what allocators give back to the
/// system at once, and long enough to keep the largest index there is (64 GiB) below the 10,000
/// parts that providers allow.
pub const PART_BYTES: usize = 7 << 20;

/// Writes one file of a block; several may be written at a time. Nothing is visible before
/// [`FileWriter::finish`]; a writer that is dropped leaves at most parts that nobody sees.
#[derive(Debug)]
pub struct FileWriter {
    session: Arc<Session>,
    rel_path: String,
    key: String,
    buffer: BytesMut,
    parts: Option<Box<dyn MultipartUpload>>,
    size: u64,
    hash: Option<Sha256>,
}

impl FileWriter {
    pub(crate) fn new(session: Arc<Session>, rel_path: &str) -> Self {
        let key = file_key(session.step.block, rel_path);
        let hash = (session.hash == HashFunc::Sha256).then(Sha256::new);
        Self {
            session,
            rel_path: rel_path.to_owned(),
            key,
            buffer: BytesMut::new(),
            parts: None,
            size: 0,
            hash,
        }
    }

    /// Adds bytes. Sends them on once there is a part's worth.
    ///
    /// # Errors
    /// Whatever keeps the bucket from answering, and when the upload has become too old (BC-3). The
    /// file is then to be started anew.
    pub async fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.account(bytes);
        while !bytes.is_empty() {
            // Never more than a part, however much comes at once.
            let room = PART_BYTES - self.buffer.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
            if self.buffer.len() == PART_BYTES {
                let part = std::mem::take(&mut self.buffer).freeze();
                self.send(part).await?;
            }
        }
        Ok(())
    }

    /// As [`FileWriter::write`]; bytes of just [`PART_BYTES`] are sent as they are, uncopied, when
    /// all before them were such.
    ///
    /// # Errors
    /// As [`FileWriter::write`].
    pub async fn write_part(&mut self, part: Bytes) -> Result<()> {
        if part.len() != PART_BYTES || !self.buffer.is_empty() {
            return self.write(&part).await;
        }
        self.account(&part);
        self.send(part).await
    }

    /// Makes the object visible and records it in the upload.
    ///
    /// # Errors
    /// As [`FileWriter::write`].
    pub async fn finish(mut self) -> Result<()> {
        let session = Arc::clone(&self.session);
        session.require_young()?;
        let step = session.step;
        let rest = std::mem::take(&mut self.buffer).freeze();
        if self.parts.is_none() {
            let bucket = &session.owner.bucket;
            let put = bucket.put(&self.key, rest, PutMode::Overwrite);
            put.await.map_err(|e| step.bucket(e))?;
        } else if !rest.is_empty() {
            self.put_part(rest).await?;
        }
        if let Some(mut parts) = self.parts.take() {
            parts.complete().await.map_err(|e| step.bucket(e))?;
        }
        let hash = self.hash.take().map(|hash| FileHash {
            func: "SHA256".to_owned(),
            value: hash
                .finalize()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        });
        let stat = FileStat {
            rel_path: self.rel_path.clone(),
            size_bytes: self.size,
            hash,
        };
        session.files.lock().insert(self.rel_path, stat);
        Ok(())
    }

    /// Gives up the file: what was sent of it is given back.
    pub async fn abandon(mut self) {
        self.abort().await;
    }

    fn account(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        if let Some(hash) = &mut self.hash {
            hash.update(bytes);
        }
    }

    async fn send(&mut self, part: Bytes) -> Result<()> {
        self.session.require_young()?;
        if self.parts.is_none() {
            let step = self.session.step;
            let started = self.session.owner.bucket.start_multipart(&self.key).await;
            self.parts = Some(started.map_err(|e| step.bucket(e))?);
        }
        self.put_part(part).await
    }

    /// Sends a part; gives all parts back when that fails.
    async fn put_part(&mut self, part: Bytes) -> Result<()> {
        let Some(parts) = &mut self.parts else {
            return Ok(());
        };
        let Err(error) = parts.put_part(part).await else {
            return Ok(());
        };
        self.abort().await;
        Err(self.session.step.bucket(error))
    }

    async fn abort(&mut self) {
        if let Some(mut parts) = self.parts.take()
            && let Err(error) = parts.abort().await
        {
            tracing::debug!(block = %self.session.step.block, %error, "parts of a failed upload are left behind");
        }
    }
}
