//! `bucket upload-blocks`: uploads the blocks of a local folder, as a sidecar would.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::available_parallelism;

use anyhow::{Context, Result, bail};
use clap::Args;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use rutile_block::{BlockId, META_FILE, Meta, Source as Origin, meta_key};
use rutile_disk::{AsyncDisk, OsDisk};
use rutile_lifecycle::{HashFunc, read_local_meta, upload_dir};
use rutile_model::Labels;
use rutile_objstore::Bucket;
use rutile_runtime::CpuPool;

use super::source::Source;
use crate::flags::parse_label;

/// Upload the blocks of a local folder that the bucket does not have.
#[derive(Debug, Args)]
pub(crate) struct UploadArgs {
    /// Folder with the blocks.
    #[arg(long = "path", value_name = "DIR", default_value = "./data")]
    path: PathBuf,
    /// External label of the blocks, name="value"; repeatable, at least one.
    #[arg(long = "label", value_name = "LABEL")]
    labels: Vec<String>,
    /// Upload compacted blocks, too. They must not overlap blocks of the same labels in the bucket.
    #[arg(long = "shipper.upload-compacted")]
    compacted: bool,
    /// How many blocks to upload at a time.
    #[arg(long = "shipper.upload-concurrency", value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=64))]
    concurrency: u16,
}

pub(super) async fn run(args: UploadArgs, source: &Source) -> Result<()> {
    let labels = external_labels(&args.labels)?;
    if !args.path.is_dir() {
        bail!(
            "--path={} is no folder that can be read",
            args.path.display()
        );
    }
    let threads = available_parallelism().map_or(1, usize::from);
    let disk = AsyncDisk::new(Arc::new(OsDisk::open(&args.path)?), CpuPool::new(threads));
    let bucket = source.created("upload").await?;
    let metas = missing_blocks(&disk, &*bucket, args.compacted).await?;
    refuse_overlaps(&metas, &labels, source).await?;

    let lifecycle = source.lifecycle(bucket);
    let uploads = metas.into_iter().map(|(folder, mut meta)| {
        meta.thanos.labels = labels.clone();
        meta.thanos.source = Origin::BucketUpload;
        let (lifecycle, disk) = (&lifecycle, &disk);
        async move {
            let id = meta.id;
            let meta = upload_dir(lifecycle, disk, &folder, meta, HashFunc::default(), false)
                .await
                .with_context(|| format!("upload block {id}"))?;
            tracing::info!(block = %meta.id, "uploaded");
            Ok::<_, anyhow::Error>(meta.id)
        }
        .boxed()
    });
    let uploaded: Vec<BlockId> = stream::iter(uploads)
        .buffered(args.concurrency.into())
        .try_collect()
        .await?;
    tracing::info!(uploaded = uploaded.len(), "synced blocks");
    Ok(())
}

fn external_labels(flags: &[String]) -> Result<Labels> {
    if flags.is_empty() {
        bail!(
            "no external labels: give the blocks at least one with --label, such as cluster=\"eu1\""
        );
    }
    let mut labels = Labels::builder();
    for flag in flags {
        let (name, value) = parse_label(flag)?;
        labels.set(name, value);
    }
    Ok(labels.build())
}

/// The blocks of the folder that hold samples and are not in the bucket, oldest first.
async fn missing_blocks(
    disk: &AsyncDisk,
    bucket: &dyn Bucket,
    compacted: bool,
) -> Result<Vec<(String, Meta)>> {
    let mut metas = Vec::new();
    for entry in disk.list("").await? {
        let is_block = entry.is_folder && BlockId::parse_dir_name(&entry.name).is_some();
        if !is_block
            || disk
                .stat(&format!("{}/{META_FILE}", entry.name))
                .await?
                .is_none()
        {
            continue;
        }
        let meta = read_local_meta(disk, &entry.name).await?;
        let wanted = meta.stats.num_samples > 0 && (compacted || meta.compaction.level <= 1);
        if wanted && !bucket.exists(&meta_key(meta.id)).await? {
            metas.push((entry.name, meta));
        }
    }
    metas.sort_by_key(|(_, meta)| (meta.min_time, meta.id));
    Ok(metas)
}

/// A compacted block that overlaps what the bucket has would count its data twice until the next compaction.
async fn refuse_overlaps(metas: &[(String, Meta)], labels: &Labels, source: &Source) -> Result<()> {
    if metas.iter().all(|(_, meta)| meta.compaction.level <= 1) {
        return Ok(());
    }
    let view = source.view(super::source::DEFAULT_TIMEOUT).await?;
    for (_, meta) in metas.iter().filter(|(_, meta)| meta.compaction.level > 1) {
        let overlapping = view.blocks.values().map(|info| &info.meta).find(|other| {
            other.thanos.labels == *labels
                && other.min_time < meta.max_time
                && meta.min_time < other.max_time
        });
        if let Some(other) = overlapping {
            bail!(
                "compacted block {} overlaps block {} in the bucket: nothing was uploaded",
                meta.id,
                other.id
            );
        }
    }
    Ok(())
}
