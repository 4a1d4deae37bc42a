//! Bringing a block to the local disk.

use std::io::Write;

use rutile_block::{BlockId, CHUNKS_DIR, FileHash, META_FILE, MarkKind, Meta, file_key};
use rutile_disk::{AsyncDisk, Durability, NewFile};
use rutile_model::ErrorKind;
use sha2::{Digest, Sha256};

use crate::error::Step;
use crate::verify::check_objects;
use crate::{Lifecycle, Result};

/// Read at a time.
const READ_BYTES: u64 = 8 << 20;

impl Lifecycle {
    /// Copies a block into `folder` of `disk`, marks aside. Files that are there with the recorded
    /// hash are not fetched again. `meta.json` is written last, so that a folder that has one is a
    /// whole block.
    ///
    /// # Errors
    /// `NotFound` and `Corrupt` as [`Lifecycle::verify`]; what the bucket and the disk say.
    pub async fn download(&self, id: BlockId, disk: &AsyncDisk, folder: &str) -> Result<Meta> {
        let step = Step {
            operation: "download",
            block: id,
        };
        let meta = self.read_meta(step).await?;
        let objects = self.objects(step).await?;
        check_objects(step, &meta, &objects)?;
        let chunks = format!("{folder}/{CHUNKS_DIR}");
        disk.run(move |disk| disk.create_folder(&chunks))
            .await
            .map_err(|e| step.disk(e))?;
        for (path, attributes) in &objects {
            if path == META_FILE || MarkKind::from_file_name(path).is_some() || path.ends_with('/')
            {
                continue;
            }
            let local = format!("{folder}/{path}");
            let hash = meta.file(path).and_then(|file| file.hash.as_ref());
            if self.is_there(step, disk, &local, hash).await? {
                continue;
            }
            let size = attributes.size;
            self.fetch(step, disk, path, &local, size).await?;
        }
        let local = format!("{folder}/{META_FILE}");
        let json = meta.to_json().into();
        disk.write(&local, json, Durability::Durable)
            .await
            .map_err(|e| step.disk(e))?;
        Ok(meta)
    }

    async fn fetch(
        &self,
        step: Step,
        disk: &AsyncDisk,
        path: &str,
        local: &str,
        size: u64,
    ) -> Result<()> {
        let target = local.to_owned();
        let mut file: Box<dyn NewFile> = disk
            .run(move |disk| disk.create(&target))
            .await
            .map_err(|e| step.disk(e))?;
        let key = file_key(step.block, path);
        let mut at = 0;
        while at < size {
            let range = at..size.min(at + READ_BYTES);
            let bytes = self
                .bucket
                .get_range(&key, range)
                .await
                .map_err(|e| step.bucket(e))?;
            if bytes.is_empty() {
                let message = format!("object {key} ends at byte {at}, not {size}");
                return Err(step.error(ErrorKind::Corrupt, message));
            }
            at += bytes.len() as u64;
            let written = disk
                .run(move |_| file.write_all(&bytes).map(|()| file))
                .await;
            file = written.map_err(|source| {
                let path = local.to_owned();
                step.disk(rutile_disk::Error::Io {
                    operation: "write",
                    path,
                    source,
                })
            })?;
        }
        disk.run(move |_| file.finish(Durability::Durable))
            .await
            .map_err(|e| step.disk(e))
    }

    /// Whether the local file has the recorded hash.
    async fn is_there(
        &self,
        step: Step,
        disk: &AsyncDisk,
        local: &str,
        hash: Option<&FileHash>,
    ) -> Result<bool> {
        let Some(expected) = hash.filter(|hash| hash.func == "SHA256") else {
            return Ok(false);
        };
        let Some(found) = disk.stat(local).await.map_err(|e| step.disk(e))? else {
            return Ok(false);
        };
        let mut hasher = Sha256::new();
        let mut at = 0;
        while at < found.size {
            let range = at..found.size.min(at + READ_BYTES);
            let bytes = disk
                .read_range(local, range)
                .await
                .map_err(|e| step.disk(e))?;
            if bytes.is_empty() {
                return Ok(false);
            }
            at += bytes.len() as u64;
            hasher.update(&bytes);
        }
        let actual: String = hasher
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Ok(actual == expected.value)
    }
}
