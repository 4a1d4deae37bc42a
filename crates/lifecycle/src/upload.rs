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
use crate::{Error, FileWriter, Lifecycle, Result};

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

/// Whose ULID is uploaded, which says what becomes of a block that is not whole after its commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// Nobody else's: it is taken back.
    New,
    /// A block that others may upload too: it stays, and is uploaded over. Another uploader may have
    /// done so in the meantime, and have been told that it is safe: who took it back then would lose it.
    Copy,
    /// As [`Self::Copy`]; what is committed was found to be damaged.
    Repair,
}

/// What becomes of a block that others may have uploaded already.
#[derive(Debug)]
pub enum UploadCopy {
    /// It is committed and whole.
    There(Box<Meta>),
    /// It is to be uploaded, over what there is of it.
    Needed(Upload),
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
    origin: Origin,
}

impl Lifecycle {
    /// Begins to upload a block whose ULID nobody else has.
    ///
    /// # Errors
    /// `Invalid` when the ULID carries a deletion mark, of whatever state: data that is being
    /// deleted does not come back (BC-6, BC-15). `AlreadyExists` when the block is committed: it is
    /// not changed any more (BC-1).
    pub async fn upload(&self, id: BlockId, hash: HashFunc) -> Result<Upload> {
        let session = self.session(id, hash, Origin::New);
        session.require_unmarked().await?;
        if self.has_meta(session.step).await? {
            let message = "it is committed and never changed again";
            return Err(session.step.error(ErrorKind::AlreadyExists, message));
        }
        Ok(Upload {
            session: Arc::new(session),
        })
    }

    /// Begins to upload a block that is at hand, and that others may upload too. One that is committed
    /// and whole is left as it is. One that is damaged for certain is uploaded again, in place.
    ///
    /// An uploader that stood still between its last file and its commit leaves a damaged one, when a
    /// cleaner took its files away meanwhile and it died before it could look.
    ///
    /// # Errors
    /// As [`Lifecycle::upload`] for one that is marked; `Unavailable` while a compactor removes what an
    /// earlier upload left behind: try again. Whatever keeps the bucket from answering.
    pub async fn upload_copy(&self, id: BlockId, hash: HashFunc) -> Result<UploadCopy> {
        let mut session = self.session(id, hash, Origin::Copy);
        session.require_unmarked().await?;
        session.require_not_being_removed().await?;
        if self.has_meta(session.step).await? {
            match self.read_committed(session.step).await {
                Ok(meta) => return Ok(UploadCopy::There(Box::new(meta))),
                Err(error) if is_damage(&error) => session.origin = Origin::Repair,
                Err(error) => return Err(error),
            }
        }
        Ok(UploadCopy::Needed(Upload {
            session: Arc::new(session),
        }))
    }

    fn session(&self, id: BlockId, hash: HashFunc, origin: Origin) -> Session {
        let step = Step {
            operation: "upload",
            block: id,
        };
        Session {
            owner: self.clone(),
            step,
            hash,
            files: Mutex::default(),
            started_ms: self.clock.now_ms(),
            origin,
        }
    }

    /// Reads and lists a committed block. What looks damaged is looked at again: the bucket may lag, and
    /// another uploader of it may be at work.
    async fn read_committed(&self, step: Step) -> Result<Meta> {
        let mut whole = self.read_whole(step).await;
        if whole.as_ref().is_err_and(is_damage) {
            tokio::time::sleep(LOOK_AGAIN).await;
            whole = self.read_whole(step).await;
        }
        if whole.as_ref().is_err_and(is_damage) {
            self.event(InvariantId::Bc2);
        }
        whole
    }
}

/// Whether a block is damaged for certain: an answer that failed to come says nothing.
fn is_damage(error: &Error) -> bool {
    error.kind() == ErrorKind::Corrupt
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
    /// the upload took longer than half the partial age; `Unavailable` as [`Lifecycle::upload_copy`]; `Corrupt` when an object is missing or of
    /// another size than what was uploaded: the block is then to be uploaded anew. It is not visible,
    /// unless it is a copy ([`Lifecycle::upload_copy`]).
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
        self.require_not_being_removed().await?;
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
        self.check_committed().await
    }

    /// Reads and lists the block once more now that it is visible. Gives its metadata as it is in the
    /// bucket.
    async fn check_committed(&self) -> Result<Meta> {
        let whole = self.owner.read_committed(self.step).await;
        if self.origin == Origin::New && whole.as_ref().is_err_and(is_damage) {
            let deleted = self.owner.bucket.delete(&meta_key(self.step.block)).await;
            deleted.map_err(|e| self.step.bucket(e))?;
        }
        whole
    }

    /// What an earlier commit of the same files left, checked. Nothing where a repair is to replace it.
    async fn committed_before(&self, meta: &Meta) -> Result<Option<Meta>> {
        if !self.owner.has_meta(self.step).await? {
            return Ok(None);
        }
        let repairs = self.origin == Origin::Repair;
        let mut same = match self.owner.read_meta(self.step).await {
            Err(error) if repairs && is_damage(&error) => return Ok(None),
            there => there?,
        };
        same.thanos.upload_time = meta.thanos.upload_time;
        if same != *meta {
            if repairs {
                return Ok(None);
            }
            let message = "it was committed by somebody else with other content";
            return Err(self.step.error(ErrorKind::AlreadyExists, message));
        }
        self.check_committed().await.map(Some)
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

    /// Nobody removes objects of a ULID that is new.
    async fn require_not_being_removed(&self) -> Result<()> {
        match self.origin {
            Origin::New => Ok(()),
            Origin::Copy | Origin::Repair => self.owner.require_not_being_removed(self.step).await,
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
