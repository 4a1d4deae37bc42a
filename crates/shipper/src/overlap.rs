//! Compacted blocks must not cover time that the bucket already has: Thanos's compactor halts on overlaps.

use std::sync::Arc;

use rutile_block::Meta;
use rutile_fetcher::{BadReason, Fetcher, FetcherConfig, View};
use rutile_telemetry::Registry;

use crate::{Error, Parts, Result};

/// What the bucket held when a sync first needed to know.
#[derive(Debug, Default)]
pub(crate) struct Overlaps {
    view: Option<Arc<View>>,
    /// What went up since.
    added: Vec<Meta>,
}

impl Overlaps {
    /// Refuses a block that overlaps one in the bucket with the same labels. Partial blocks, and those whose
    /// metadata is damaged for good, are not known to overlap anything, and are only reported (P9).
    ///
    /// # Errors
    /// `Overlap`; `Unclear` when metadata could not be read for a passing reason; whatever keeps the bucket
    /// from being listed.
    pub(crate) async fn check(&mut self, parts: &Parts, meta: &Meta) -> Result<()> {
        let view = match &self.view {
            Some(view) => view,
            None => self.view.insert(look(parts).await?),
        };
        let in_bucket = view.blocks.values().map(|info| &*info.meta);
        let overlapping = in_bucket.chain(&self.added).find(|other| {
            other.id != meta.id
                && other.thanos.labels == meta.thanos.labels
                && other.min_time < meta.max_time
                && meta.min_time < other.max_time
        });
        if let Some(other) = overlapping {
            let (block, other) = (meta.id, other.id);
            return Err(Error::Overlap { block, other });
        }
        let mut unread = view.bad.iter().filter(|(_, bad)| bad.reason.is_passing());
        match unread.find(|(id, _)| **id != meta.id && !view.blocks.contains_key(id)) {
            None => Ok(()),
            Some((other, bad)) => Err(Error::Unclear {
                block: meta.id,
                other: *other,
                message: bad.message.clone(),
            }),
        }
    }

    /// A block that went up counts from then on.
    pub(crate) fn add(&mut self, meta: Meta) {
        self.added.push(meta);
    }
}

/// Looks at all blocks of the bucket. Nothing is kept for the next sync: most never get here.
async fn look(parts: &Parts) -> Result<Arc<View>> {
    tracing::info!("reading the metadata of all blocks in the bucket, to look for overlaps");
    let fetched_from = rutile_fetcher::Parts {
        bucket: Arc::clone(&parts.bucket),
        clock: Arc::clone(&parts.clock),
        disk: None,
    };
    // The fetcher's metrics are those of components that serve or compact blocks.
    let fetcher = Fetcher::new(fetched_from, FetcherConfig::default(), &Registry::new())?;
    let view = fetcher.fetch().await?;
    for (block, bad) in &view.bad {
        let (reason, error): (BadReason, _) = (bad.reason, &bad.message);
        tracing::warn!(%block, %reason, error, "a block in the bucket cannot be read: overlaps with it are not seen");
    }
    if !view.partial.is_empty() {
        let blocks = view.partial.len();
        tracing::warn!(
            blocks,
            "partial blocks in the bucket: overlaps with them are not seen"
        );
    }
    Ok(view)
}
