//! Uploading a block so that nobody sees half of it (BC-2).
//!
//! The bad interleavings that the order keeps away: a reader finds `meta.json` before the chunks; a
//! cleaner takes a slow upload for an abandoned one and deletes a chunk while the rest arrives; an
//! uploader that was asleep brings back a block that was compacted, marked and deleted meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use rutile_block::{
    BlockId, CHUNKS_DIR, FileStat, InvariantId, META_FILE, MarkKind, Meta, UploadTime, file_key,
    meta_key,
};
use rutile_model::ErrorKind;
use rutile_objstore::PutMode;

use crate::error::Step;
use crate::verify::{FoundMark, Objects, check_objects};
use crate::{FileWriter, Lifecycle, Result};

/// A block that looks damaged right after its commit is looked at again after so long: longer than
/// answers of a bucket lag.
const LOOK_AGAIN: Duration = Duration::from_secs(120);

/// Which hash of its files a block records (`--hash-func`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HashFunc {
    /// None.
    #[default]
    None,
    /// SHA-256.
    Sha256,
}

/// An upload under way. Dropped before its commit it leaves objects without `meta.json`, which
/// nobody takes for a block; uploading again replaces them.
#[derive(Debug)]
pub struct Upload {
    session: Arc<Session>,
}

/// What an upload and the writers of its files share.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) owner: Lifecycle,
    pub(crate) step: Step,
    pub(crate) hash: HashFunc,
    /// The finished ones.
    pub(crate) files: Mutex<BTreeMap<String, FileStat>>,
    started_ms: i64,
}

impl Lifecycle {
    /// Begins to upload a block.
    ///
    /// # Errors
    /// `Invalid` when the ULID carries a deletion mark, of whatever state: data that is being
    /// deleted does not come back (BC-6, BC-15). `AlreadyExists` when the block is committed: it is
    /// not changed any more (BC-1).
    pub async fn upload(&self, id: BlockId, hash: HashFunc) -> Result<Upload> {
        let step = Step {
            operation: "upload",
            block: id,
        };
        let session = Session {
            owner: self.clone(),
            step,
            hash,
            files: Mutex::default(),
            started_ms: self.clock.now_ms(),
        };
        session.require_unmarked().await?;
        if self.has_meta(step).await? {
            return Err(step.error(
                ErrorKind::AlreadyExists,
                "it is committed and never changed again",
            ));
        }
        Ok(Upload {
            session: Arc::new(session),
        })
    }

    /// Checks a committed block as [`Lifecycle::verify`] does, for who has it and can upload it again:
    /// one that is damaged for certain is taken back, and to be uploaded anew. Gives nothing then.
    ///
    /// An uploader that stood still between its last file and its commit leaves such a block, when a
    /// cleaner took its files away meanwhile and it died before it could look.
    ///
    /// # Errors
    /// As [`Lifecycle::verify`].
    pub async fn verify_own(&self, id: BlockId) -> Result<Option<Meta>> {
        let step = Step {
            operation: "upload",
            block: id,
        };
        match self.check_committed(step).await {
            Ok(meta) => Ok(Some(meta)),
            Err(error) if error.kind() == ErrorKind::Corrupt => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads and lists a block once more now that it is visible; takes it back when it is not whole.
    /// Gives its metadata as it is in the bucket.
    async fn check_committed(&self, step: Step) -> Result<Meta> {
        let damaged = |whole: &Result<Meta>| {
            // Only what is certain: an answer that failed to come says nothing.
            matches!(whole, Err(error) if error.kind() == ErrorKind::Corrupt)
        };
        let mut whole = self.read_whole(step).await;
        if damaged(&whole) {
            // The bucket may lag, and another uploader of the same block may have been told already
            // that it is safe.
            tokio::time::sleep(LOOK_AGAIN).await;
            whole = self.read_whole(step).await;
        }
        if damaged(&whole) {
            self.event(InvariantId::Bc2);
            let deleted = self.bucket.delete(&meta_key(step.block)).await;
            deleted.map_err(|e| step.bucket(e))?;
        }
        whole
    }
}

impl Upload {
    /// The block.
    #[must_use]
    pub fn id(&self) -> BlockId {
        self.session.step.block
    }

    /// Starts a file: `chunks/NNNNNN` or `index`. An earlier one of that path is replaced. Several
    /// files may be written at a time; the commit takes those that are finished.
    ///
    /// # Errors
    /// `Invalid` for `meta.json` and marks, which have their own ways; when the upload has become
    /// too old (BC-3).
    pub fn file(&self, rel_path: &str) -> Result<FileWriter> {
        if rel_path == META_FILE || MarkKind::from_file_name(rel_path).is_some() {
            let message = format!("{rel_path} is not a file to be uploaded by itself");
            return Err(self.session.step.error(ErrorKind::Invalid, message));
        }
        self.session.require_young()?;
        Ok(FileWriter::new(Arc::clone(&self.session), rel_path))
    }

    /// Makes the uploaded files a block. Sets `files` and `upload_time` of `meta`, returns it as it
    /// is in the bucket. May be called again when it failed.
    ///
    /// # Errors
    /// `Invalid` when the block was marked meanwhile or `meta` is another block's; `Exhausted` when
    /// the upload took longer than half the partial age; `Corrupt` when an object is missing or of
    /// another size than what was uploaded: the block is then not visible and to be uploaded anew.
    pub async fn commit(&mut self, meta: Meta) -> Result<Meta> {
        self.session.commit(meta).await
    }

    /// Gives the upload up: removes the objects that it finished, unless somebody committed them.
    ///
    /// # Errors
    /// Whatever keeps the bucket from answering; what is left is a partial block.
    pub async fn abandon(self) -> Result<()> {
        let session = &self.session;
        if session.owner.has_meta(session.step).await? {
            return Ok(());
        }
        let files: Vec<String> = session.files.lock().keys().cloned().collect();
        for path in files {
            let key = file_key(session.step.block, &path);
            let deleted = session.owner.bucket.delete(&key).await;
            deleted.map_err(|e| session.step.bucket(e))?;
        }
        Ok(())
    }
}

impl Session {
    async fn commit(&self, mut meta: Meta) -> Result<Meta> {
        if meta.id != self.step.block {
            let message = format!("the metadata is that of block {}", meta.id);
            return Err(self.step.error(ErrorKind::Invalid, message));
        }
        meta.thanos.files = self.files.lock().values().cloned().collect();
        meta.thanos.files.push(FileStat {
            rel_path: META_FILE.to_owned(),
            size_bytes: 0,
            hash: None,
        });
        meta.thanos
            .files
            .sort_unstable_by(|a, b| a.rel_path.cmp(&b.rel_path));
        if let Some(committed) = self.committed_before(&meta).await? {
            return Ok(committed);
        }
        let objects = self.owner.objects(self.step).await?;
        check_objects(self.step, &meta, &objects)?;
        self.remove_strays(&objects).await?;
        self.require_unmarked().await?;
        self.require_young()?;
        meta.thanos.upload_time = UploadTime::from_ms(self.owner.clock.now_ms());
        let key = meta_key(self.step.block);
        let put = self
            .owner
            .bucket
            .put(&key, Bytes::from(meta.to_json()), PutMode::Overwrite)
            .await;
        if let Err(error) = put {
            // It may have taken effect all the same: then the block is there, and is checked.
            return match self.committed_before(&meta).await {
                Ok(Some(committed)) => Ok(committed),
                Ok(None) | Err(_) => Err(self.step.bucket(error)),
            };
        }
        self.owner.check_committed(self.step).await
    }

    /// What an earlier commit of the same files left, checked.
    async fn committed_before(&self, meta: &Meta) -> Result<Option<Meta>> {
        if !self.owner.has_meta(self.step).await? {
            return Ok(None);
        }
        let there = self.owner.read_meta(self.step).await?;
        let mut same = there.clone();
        same.thanos.upload_time = meta.thanos.upload_time;
        if same != *meta {
            let message = "it was committed by somebody else with other content";
            return Err(self.step.error(ErrorKind::AlreadyExists, message));
        }
        self.owner.check_committed(self.step).await.map(Some)
    }

    /// Chunk segments of an earlier attempt that was cut otherwise. Readers number segments by
    /// listing them.
    async fn remove_strays(&self, objects: &Objects) -> Result<()> {
        let files = self.files.lock().clone();
        let in_chunks = |path: &&String| {
            path.split_once('/')
                .is_some_and(|(dir, _)| dir == CHUNKS_DIR)
        };
        for path in objects
            .keys()
            .filter(in_chunks)
            .filter(|path| !files.contains_key(*path))
        {
            let key = file_key(self.step.block, path);
            self.owner
                .bucket
                .delete(&key)
                .await
                .map_err(|e| self.step.bucket(e))?;
        }
        Ok(())
    }

    async fn require_unmarked(&self) -> Result<()> {
        match self.owner.find_mark(self.step, MarkKind::Deletion).await? {
            FoundMark::Absent => Ok(()),
            FoundMark::Whole(..) | FoundMark::Torn | FoundMark::UnknownVersion => {
                self.owner.event(InvariantId::Bc6);
                let message =
                    "it carries a deletion mark: what is being deleted does not come back";
                Err(self.step.error(ErrorKind::Invalid, message))
            }
        }
    }

    pub(crate) fn require_young(&self) -> Result<()> {
        if !self
            .owner
            .contract
            .upload_expired(self.started_ms, self.owner.clock.now_ms())
        {
            return Ok(());
        }
        self.owner.event(InvariantId::Bc3);
        let message = format!(
            "it takes longer than {} s, half the age at which partial blocks are removed: start it anew",
            self.owner.contract.partial_age_ms / 2000
        );
        Err(self.step.error(ErrorKind::Exhausted, message))
    }
}
