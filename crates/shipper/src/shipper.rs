//! One pass over the local blocks.
//!
//! Blocks go up oldest first, and what fails holds up what is younger, unless that is allowed: Thanos's
//! compactor plans from what it sees, and takes a gap that is filled later for an overlap.

use std::collections::BTreeSet;

use rutile_block::{BlockId, Meta};
use rutile_lifecycle::{Standing, Upload, UploadCopy, send_dir};
use rutile_model::{ErrorKind, Labels};
use rutile_telemetry::Registry;

use crate::metrics::Metrics;
use crate::overlap::Overlaps;
use crate::{Config, Error, Parts, Result, list, local};

/// Uploads the blocks of one local database.
#[derive(Debug)]
pub struct Shipper {
    parts: Parts,
    config: Config,
    metrics: Metrics,
    /// What was uploaded, and could not be written down.
    unsaved: BTreeSet<BlockId>,
}

/// What a sync did.
#[derive(Debug, Default)]
#[must_use = "blocks that failed are told of here only"]
pub struct Synced {
    /// Blocks that went up, in that order.
    pub uploaded: Vec<BlockId>,
    /// Blocks that were not listed, and that the bucket had.
    pub there: Vec<BlockId>,
    /// Blocks that carry a deletion mark in the bucket: they are listed, and do not go up.
    pub marked: Vec<BlockId>,
    /// Blocks that did not, and a list that could not be written: to be logged, and tried again.
    pub failed: Vec<Error>,
    /// Local blocks that cannot be read and are left out, as the settings say.
    pub corrupted: Vec<Error>,
}

/// What became of a block.
#[derive(Debug)]
enum Shipped {
    /// It went up.
    Uploaded(Box<Meta>),
    /// The bucket had it.
    There,
    /// It carries a deletion mark: it is not wanted any more.
    Marked,
    /// The database took it away before its files could be linked.
    Gone,
}

/// One sync under way.
#[derive(Debug)]
struct Pass<'a> {
    shipper: &'a mut Shipper,
    labels: Labels,
    overlaps: Overlaps,
    /// All local blocks, as the list orders them.
    order: Vec<BlockId>,
    listed: BTreeSet<BlockId>,
    synced: Synced,
}

impl Shipper {
    /// A shipper that has done nothing yet. Where several share a registry, give each one with a label.
    #[must_use]
    pub fn new(parts: Parts, config: Config, registry: &Registry) -> Self {
        Self {
            parts,
            config,
            metrics: Metrics::new(registry),
            unsaved: BTreeSet::new(),
        }
    }

    /// Uploads what the bucket does not have yet. May be dropped at any time: the next sync goes on.
    ///
    /// # Errors
    /// When nothing could be uploaded: `NoLabels`; `Unreadable` unless such blocks are to be skipped; what the
    /// disk says. What concerns single blocks is in [`Synced::failed`].
    pub async fn sync(&mut self) -> Result<Synced> {
        let outcome = self.pass().await;
        let metrics = &self.metrics;
        let failed = outcome
            .as_ref()
            .map_or(true, |synced| !synced.failed.is_empty());
        if failed {
            metrics.dir_sync_failures.inc();
        } else {
            metrics.dir_syncs.inc();
        }
        let all = outcome.as_ref().is_ok_and(|s| s.corrupted.is_empty()) && !failed;
        let done = self.config.upload_compacted && all;
        metrics.compacted_done.set(i64::from(done));
        outcome
    }

    async fn pass(&mut self) -> Result<Synced> {
        let labels = self.parts.labels.borrow().clone();
        if labels.is_empty() {
            return Err(Error::NoLabels);
        }
        let disk = &self.parts.disk;
        // What an upload left that was cut off.
        disk.remove_tree(local::LINKS).await.map_err(Error::Disk)?;
        let mut listed = list::read(disk, &self.config.list_file).await?;
        let mut found = local::find(disk).await?;
        let order: Vec<_> = found.ids().collect();
        listed.append(&mut self.unsaved.clone());
        // What went up need not be read any more.
        found.unreadable.retain(|(id, _)| !listed.contains(id));
        if !found.unreadable.is_empty() && !self.config.skip_corrupted_blocks {
            let (_, error) = found.unreadable.swap_remove(0);
            return Err(error);
        }
        let pass = Pass {
            shipper: self,
            labels,
            overlaps: Overlaps::default(),
            order,
            listed,
            synced: Synced::default(),
        };
        Ok(pass.run(found).await)
    }
}

impl Pass<'_> {
    async fn run(mut self, found: local::Found) -> Synced {
        for (_, error) in found.unreadable {
            self.leave_out(error);
        }
        self.forget_removed().await;
        for meta in found.blocks {
            if self.is_wanted(&meta) && !self.step(meta).await {
                break;
            }
        }
        if !self.shipper.unsaved.is_empty() {
            self.save().await;
        }
        self.synced
    }

    /// Whether the block is to go up and is not known to be there.
    fn is_wanted(&self, meta: &Meta) -> bool {
        let level = meta.compaction.level;
        meta.stats.num_samples > 0
            && (level <= 1 || self.shipper.config.upload_compacted)
            && !self.listed.contains(&meta.id)
    }

    /// Uploads a block, if it is not there. Whether to go on with the next one.
    async fn step(&mut self, meta: Meta) -> bool {
        let id = meta.id;
        let error = match self.ship(meta).await {
            Ok(shipped) => {
                self.shipped(id, shipped).await;
                return true;
            }
            Err(error) => error,
        };
        let config = &self.shipper.config;
        if config.skip_corrupted_blocks && matches!(error, Error::Damaged { .. }) {
            self.leave_out(error);
            return true;
        }
        // Its time is in the bucket: what comes after it fills no gap.
        let goes_on = config.allow_out_of_order_uploads || matches!(error, Error::Overlap { .. });
        self.shipper.metrics.upload_failures.inc();
        self.synced.failed.push(error);
        goes_on
    }

    async fn ship(&mut self, mut meta: Meta) -> Result<Shipped> {
        let (parts, config) = (&self.shipper.parts, &self.shipper.config);
        let lifecycle = &parts.lifecycle;
        let upload = match lifecycle.upload_copy(meta.id, config.hash).await {
            Ok(UploadCopy::There(_)) => return Ok(Shipped::There),
            Ok(UploadCopy::Needed(upload)) => upload,
            Err(error) => return self.unless_marked(meta.id, error).await,
        };
        meta.thanos.labels = meta.thanos.labels.extended_with(&self.labels);
        meta.thanos.source = config.source.clone();
        if meta.compaction.level > 1 && !config.allow_out_of_order_uploads {
            self.overlaps.check(parts, &meta).await?;
        }
        let id = meta.id;
        let shipped = self.send(upload, meta).await;
        if let Err(error) = parts.disk.remove_tree(&local::links(id)).await {
            tracing::warn!(block = %id, %error, "links to the files of a block are left for the next sync");
        }
        shipped
    }

    async fn send(&self, upload: Upload, meta: Meta) -> Result<Shipped> {
        let (id, disk) = (meta.id, &self.shipper.parts.disk);
        if !local::link(disk, &meta).await? {
            return Ok(Shipped::Gone);
        }
        let files = self.shipper.config.upload_concurrency;
        match send_dir(upload, disk, &local::links(id), meta, files).await {
            Ok(meta) => Ok(Shipped::Uploaded(Box::new(meta))),
            Err(error) => self.unless_marked(id, error).await,
        }
    }

    /// A block that is refused because it carries a deletion mark is done with: were it not listed, it would go
    /// up again as soon as the mark went with the rest of it.
    async fn unless_marked(&self, id: BlockId, error: rutile_lifecycle::Error) -> Result<Shipped> {
        if error.kind() != ErrorKind::Invalid {
            return Err(error.into());
        }
        match self.shipper.parts.lifecycle.standing(id).await? {
            Standing::Replaced | Standing::Expired | Standing::Marked => Ok(Shipped::Marked),
            Standing::Unmarked | Standing::Gone => Err(error.into()),
        }
    }

    /// Writes down what became of a block before anything else is tried.
    async fn shipped(&mut self, block: BlockId, shipped: Shipped) {
        match shipped {
            Shipped::Uploaded(meta) => {
                tracing::info!(%block, "uploaded");
                self.shipper.metrics.uploads.inc();
                self.synced.uploaded.push(block);
                self.overlaps.add(*meta);
            }
            Shipped::There => {
                tracing::debug!(%block, "the bucket has it");
                self.synced.there.push(block);
            }
            Shipped::Marked => {
                tracing::info!(%block, "marked for deletion in the bucket: it is not uploaded");
                self.synced.marked.push(block);
            }
            Shipped::Gone => {
                tracing::warn!(%block, "the database removed a block before it could be uploaded");
                return;
            }
        }
        self.listed.insert(block);
        self.shipper.unsaved.insert(block);
        self.write().await.unwrap_or_else(|error| {
            tracing::warn!(%block, %error, "an uploaded block is remembered, and not written down");
        });
    }

    /// Takes from the list what the database removed.
    async fn forget_removed(&mut self) {
        let there: BTreeSet<_> = self.order.iter().copied().collect();
        self.shipper.unsaved.retain(|id| there.contains(id));
        if !self.listed.is_subset(&there) {
            self.listed.retain(|id| there.contains(id));
            self.save().await;
        }
    }

    /// As [`Self::write`]; a failure is one of the sync.
    async fn save(&mut self) {
        if let Err(error) = self.write().await {
            self.synced.failed.push(error);
        }
    }

    async fn write(&mut self) -> Result<()> {
        let (parts, config) = (&self.shipper.parts, &self.shipper.config);
        let order = self.order.iter().copied();
        let uploaded = order.filter(|id| self.listed.contains(id)).collect();
        list::write(&parts.disk, &config.list_file, uploaded).await?;
        self.shipper.unsaved.clear();
        Ok(())
    }

    fn leave_out(&mut self, error: Error) {
        self.shipper.metrics.corrupted_blocks.inc();
        self.synced.corrupted.push(error);
    }
}
