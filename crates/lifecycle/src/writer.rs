//! One object of a block, written in parts when it is large.

use bytes::{Bytes, BytesMut};
use rutile_block::{FileHash, FileStat, file_key};
use rutile_objstore::{MultipartUpload, PutMode};
use sha2::{Digest, Sha256};

use crate::error::Step;
use crate::{HashFunc, Result, Upload};

/// Parts of this size keep the largest index there is (64 GiB) below the 10,000 parts that
/// providers allow.
const PART_BYTES: usize = 8 << 20;

/// Writes one file of a block. Nothing is visible before [`FileWriter::finish`]; a writer that is
/// dropped leaves at most parts that nobody sees.
#[derive(Debug)]
pub struct FileWriter<'a> {
    upload: &'a mut Upload,
    rel_path: String,
    key: String,
    buffer: BytesMut,
    parts: Option<Box<dyn MultipartUpload>>,
    size: u64,
    hash: Option<Sha256>,
}

impl<'a> FileWriter<'a> {
    pub(crate) fn new(upload: &'a mut Upload, rel_path: &str) -> Self {
        let key = file_key(upload.step.block, rel_path);
        let hash = (upload.hash == HashFunc::Sha256).then(Sha256::new);
        Self {
            upload,
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
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.size += bytes.len() as u64;
        if let Some(hash) = &mut self.hash {
            hash.update(bytes);
        }
        self.buffer.extend_from_slice(bytes);
        while self.buffer.len() >= PART_BYTES {
            let part = self.buffer.split_to(PART_BYTES).freeze();
            self.send(part).await?;
        }
        Ok(())
    }

    /// Makes the object visible and records it in the upload.
    ///
    /// # Errors
    /// As [`FileWriter::write`].
    pub async fn finish(mut self) -> Result<()> {
        self.upload.require_young()?;
        let step = self.step();
        let rest = self.buffer.split().freeze();
        match self.parts.take() {
            None => {
                let put = self
                    .upload
                    .owner
                    .bucket
                    .put(&self.key, rest, PutMode::Overwrite);
                put.await.map_err(|e| step.bucket(e))?;
            }
            Some(mut parts) => {
                if !rest.is_empty() {
                    put_part(step, &mut parts, rest).await?;
                }
                parts.complete().await.map_err(|e| step.bucket(e))?;
            }
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
        self.upload.files.insert(self.rel_path, stat);
        Ok(())
    }

    async fn send(&mut self, part: Bytes) -> Result<()> {
        self.upload.require_young()?;
        let step = self.step();
        if self.parts.is_none() {
            let started = self.upload.owner.bucket.start_multipart(&self.key).await;
            self.parts = Some(started.map_err(|e| step.bucket(e))?);
        }
        match &mut self.parts {
            Some(parts) => put_part(step, parts, part).await,
            None => Ok(()),
        }
    }

    fn step(&self) -> Step {
        self.upload.step
    }
}

/// Sends a part; gives all parts back when that fails.
async fn put_part(step: Step, parts: &mut Box<dyn MultipartUpload>, part: Bytes) -> Result<()> {
    let Err(error) = parts.put_part(part).await else {
        return Ok(());
    };
    if let Err(abort) = parts.abort().await {
        tracing::debug!(block = %step.block, error = %abort, "parts of a failed upload are left behind");
    }
    Err(step.bucket(error))
}
