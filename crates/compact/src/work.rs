//! One step of one group: plan, merge, mark the sources.
//!
//! The order makes it safe to stop at any request. The output is verified before it is committed, the
//! inputs are looked at again before and after (BC-14), and only then are they marked, one by one;
//! what a crash leaves unmarked is superseded and marked by the next garbage collection.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use rutile_block::{BlockId, MarkKind, Meta, RawJson, details, index_key, reason};
use rutile_lifecycle::Standing;
use rutile_merge::{Concatenate, Fault, MergeFunction, MergePlan, Merged, Overlapping};
use rutile_model::ErrorKind;
use serde_json::value::RawValue;

use crate::group::Group;
use crate::plan::{Plan, overlap};
use crate::{Compactor, Error, Result};

/// In the deletion mark of blocks that hold no sample. It names no replacement: there is none.
pub(crate) const EMPTY: &str = "block without samples";

/// What became of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing is to be done now.
    Settled,
    /// Blocks were merged, and so many sources marked.
    Merged { sources: usize },
    /// Blocks that hold nothing were marked.
    Emptied { sources: usize },
    /// So many blocks were marked no-compact: the others may be planned without them.
    Quarantined { blocks: usize },
}

impl Compactor {
    /// Whether a step may change anything.
    pub(crate) fn has_work(&self, group: &Group) -> bool {
        let plan = self.planner.plan(group);
        !plan.merge.is_empty() || plan.excluded().next().is_some() || self.is_suspicious(group)
    }

    /// Takes a group one step further.
    pub(crate) async fn step(&self, mut group: Group) -> Result<Outcome> {
        let resolution = group.key.resolution.to_string();
        let resolution = &[resolution.as_str()];
        self.metrics
            .runs_started
            .with_label_values(resolution)
            .inc();
        let outcome = match self.expose(&group).await? {
            // The others are to be planned anew.
            blocks @ 1.. => Ok(Outcome::Quarantined { blocks }),
            0 => {
                let plan = self.plan(&mut group).await?;
                self.carry_out(plan).await
            }
        };
        match &outcome {
            Ok(Outcome::Merged { .. }) => {
                self.metrics.compactions.with_label_values(resolution).inc();
            }
            Ok(Outcome::Settled | Outcome::Emptied { .. }) => {}
            Ok(Outcome::Quarantined { .. }) | Err(_) => {
                self.metrics.failures.with_label_values(resolution).inc();
            }
        }
        if outcome.is_ok() {
            self.metrics
                .runs_completed
                .with_label_values(resolution)
                .inc();
        }
        outcome
    }

    /// The plan; asks for the index sizes that it depends on and the metadata do not tell.
    async fn plan(&self, group: &mut Group) -> Result<Plan> {
        loop {
            let plan = self.planner.plan(group);
            let untold = |id: BlockId| plan.merge.iter().any(|meta| meta.id == id);
            let unknown = group.blocks.iter_mut();
            let unknown = unknown.filter(|m| m.index_bytes == 0 && untold(m.meta.id));
            let mut asked = false;
            for member in unknown {
                // One that is missing is the merge's to find and to name.
                match self.bucket.attributes(&index_key(member.meta.id)).await {
                    Ok(attributes) => member.index_bytes = attributes.size.max(1),
                    Err(error) if error.is_not_found() => member.index_bytes = 1,
                    Err(error) => return Err(error.into()),
                }
                asked = true;
            }
            if !asked {
                return Ok(plan);
            }
        }
    }

    async fn carry_out(&self, plan: Plan) -> Result<Outcome> {
        let blocks = plan.excluded().count();
        for block in plan.downsampled {
            let details = "verticalCompactionDownsampleFilter: Downsampled block, see \
                           https://github.com/thanos-io/thanos/issues/6775";
            self.exclude(block, reason::DOWNSAMPLE_VERTICAL_COMPACTION, details)
                .await?;
        }
        for block in plan.too_large {
            let limit = self.planner.max_index_bytes();
            let details = format!(
                "largeTotalIndexSizeFilter: Total compacted block's index size could exceed: {limit} \
                 with this block. See https://github.com/thanos-io/thanos/issues/1424"
            );
            self.exclude(block, reason::INDEX_SIZE_EXCEEDING, &details)
                .await?;
        }
        match (plan.merge.is_empty(), blocks) {
            (true, 0) => Ok(Outcome::Settled),
            (true, blocks) => Ok(Outcome::Quarantined { blocks }),
            (false, _) => self.merge(&plan.merge).await,
        }
    }

    async fn merge(&self, inputs: &[Arc<Meta>]) -> Result<Outcome> {
        self.require_live(inputs).await?;
        tell_of_common_sources(inputs);
        let merged = match self.try_merge(inputs, None).await {
            // What a bad line or a proxy damaged is well when it is read again.
            Err((_, Some(fault))) => match self.try_merge(inputs, None).await {
                Err((error, again)) if again == Some(fault) => {
                    return self.quarantine(fault, &error).await;
                }
                other => other,
            },
            other => other,
        };
        let merged = merged.map_err(|(error, _)| error)?;
        let (output, details) = match merged {
            Merged::Empty => (None, EMPTY),
            Merged::Block(meta) => (Some(meta.id), details::COMPACTED),
        };
        if output.is_some() {
            self.count_vertical(inputs);
        }
        self.keep_wanted(inputs, output, false).await?;
        for input in inputs {
            match self.mark(input.id, details).await {
                // Another compactor has marked and deleted it, for the sake of this output.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                marked => marked?,
            }
        }
        let sources = inputs.len();
        Ok(match output {
            Some(_) => Outcome::Merged { sources },
            None => Outcome::Emptied { sources },
        })
    }

    fn count_vertical(&self, inputs: &[Arc<Meta>]) {
        let times: Vec<Range<i64>> = { inputs.iter() }
            .map(|meta| meta.min_time..meta.max_time)
            .collect();
        if let (true, Some(first)) = (overlap(&times), inputs.first()) {
            let resolution = first.thanos.downsample.resolution.to_string();
            let vertical = &self.metrics.vertical_compactions;
            vertical.with_label_values(&[resolution.as_str()]).inc();
        }
    }

    /// Marks the output of a merge if an input was given up meanwhile; one that was `downsampled` not for retention of
    /// its input.
    ///
    /// # Errors
    /// The input that is gone then.
    pub(crate) async fn keep_wanted(
        &self,
        inputs: &[Arc<Meta>],
        output: Option<BlockId>,
        downsampled: bool,
    ) -> Result<()> {
        let Some(input) = self.given_up(inputs, downsampled).await? else {
            return Ok(());
        };
        if let Some(output) = output {
            tracing::warn!(%output, %input, "an input was marked during the merge: its output goes again");
            self.mark(output, details::TAINTED).await?;
        }
        Err(Error::InputGone(input))
    }

    pub(crate) async fn try_merge(
        &self,
        inputs: &[Arc<Meta>],
        downsample_to: Option<i64>,
    ) -> Result<Merged, (Error, Option<Fault>)> {
        let output = BlockId::generate(self.clock.now_ms(), &*self.entropy);
        let metas: Vec<Meta> = inputs.iter().map(|meta| Meta::clone(meta)).collect();
        let names: Vec<String> = inputs.iter().map(|meta| meta.id.to_string()).collect();
        tracing::info!(%output, inputs = names.join(","), "merging blocks");
        let shown = self.tracker.begin(output);
        let plan = MergePlan {
            inputs: &metas,
            output,
            downsample_to,
            function: self.merge_function(),
            extensions: common_extensions(&metas),
        };
        let merged = self.merger.merge(plan, &shown.progress).await;
        match &merged {
            Ok(Merged::Block(meta)) => {
                let (series, samples) = (meta.stats.num_series, meta.stats.num_samples);
                tracing::info!(%output, series, samples, "merged blocks");
            }
            Ok(Merged::Empty) => tracing::info!(%output, "the blocks hold no samples"),
            Err(error) => tracing::warn!(%output, %error, "merging failed"),
        }
        merged.map_err(|error| {
            let fault = error.fault();
            (error.into(), fault)
        })
    }

    /// A new one for each merge: its buffers end with it.
    fn merge_function(&self) -> Arc<dyn MergeFunction> {
        match self.vertical {
            Some(function) => Arc::new(Overlapping::new(function)),
            None => Arc::new(Concatenate),
        }
    }

    /// Every input must be there and carry no deletion mark.
    pub(crate) async fn require_live(&self, inputs: &[Arc<Meta>]) -> Result<()> {
        for input in inputs {
            if self.lifecycle.standing(input.id).await? != Standing::Unmarked {
                return Err(Error::InputGone(input.id));
            }
        }
        Ok(())
    }

    /// An input that was given up while it was merged, by a person or by retention: what it held must
    /// not live on (BC-15). One that another compactor marked as replaced is a reason to keep the
    /// output, which may be the replacement; one that is gone even more so, since nothing else may
    /// hold its samples now.
    /// `downsampled` is for what retention of its input waits for: another compactor saw it, and took the
    /// input at once (BC-12).
    async fn given_up(&self, inputs: &[Arc<Meta>], downsampled: bool) -> Result<Option<BlockId>> {
        let mut given_up = None;
        for input in inputs {
            match self.lifecycle.standing(input.id).await? {
                Standing::Unmarked | Standing::Replaced => {}
                Standing::Expired if downsampled => {}
                Standing::Expired | Standing::Marked => given_up = Some(input.id),
                Standing::Gone => return Ok(None),
            }
        }
        Ok(given_up)
    }

    pub(crate) async fn quarantine(&self, fault: Fault, error: &Error) -> Result<Outcome> {
        let Fault { block, reason } = fault;
        tracing::error!(%block, %reason, %error, "the block is left out of compactions from now on: restore it, then remove its mark with `rutile-tools bucket mark --marker no-compact-mark.json --remove`");
        self.exclude(block, reason.as_str(), &format!("rutile-compact: {error}"))
            .await?;
        Ok(Outcome::Quarantined { blocks: 1 })
    }

    /// Marks a block no-compact, and counts it.
    pub(crate) async fn exclude(&self, block: BlockId, reason: &str, details: &str) -> Result<()> {
        match self.lifecycle.mark_no_compact(block, reason, details).await {
            Ok(_) => {
                self.metrics.count_mark(MarkKind::NoCompact, reason);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Err(Error::InputGone(block)),
            Err(error) => Err(error.into()),
        }
    }

    /// Marks a block for deletion, and counts it.
    pub(crate) async fn mark(&self, block: BlockId, details: &str) -> Result<()> {
        self.lifecycle.mark_deletion(block, details).await?;
        tracing::info!(%block, details, "marked for deletion");
        self.metrics.count_mark(MarkKind::Deletion, "");
        Ok(())
    }
}

/// Merged they yield each sample once all the same, but one of the blocks is not what it says.
fn tell_of_common_sources(inputs: &[Arc<Meta>]) {
    let mut holder: BTreeMap<BlockId, BlockId> = BTreeMap::new();
    for input in inputs {
        for source in input.sources() {
            if let Some(other) = holder.insert(*source, input.id) {
                let block = input.id;
                tracing::warn!(%block, %other, %source, "blocks that are merged have a source in common");
                return;
            }
        }
    }
}

/// The extensions that all inputs have, with the values of the first one, as Thanos keeps them.
fn common_extensions(inputs: &[Meta]) -> Option<RawJson> {
    type Extensions = BTreeMap<String, Box<RawValue>>;
    let parsed = inputs.iter().map(|meta| {
        let text = meta.thanos.extensions.as_ref()?.as_str();
        serde_json::from_str::<Extensions>(text).ok()
    });
    let mut with_some = parsed.flatten();
    let mut common = with_some.next()?;
    for other in with_some {
        common.retain(|key, _| other.contains_key(key));
    }
    RawJson::from_text(&serde_json::to_string(&common).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_that_all_inputs_have_are_kept() {
        let with = |text: &str| {
            let mut meta = Meta::new(BlockId::default());
            meta.thanos.extensions = RawJson::from_text(text);
            meta
        };
        let common = |texts: &[&str]| {
            let metas: Vec<Meta> = texts.iter().map(|text| with(text)).collect();
            common_extensions(&metas).map(|json| json.as_str().to_owned())
        };
        let none = "not JSON";
        assert_eq!(common(&[none, none]), None);
        assert_eq!(
            common(&[r#"{"a":1,"b":[2]}"#, r#"{"b":3,"c":4}"#]).as_deref(),
            Some(r#"{"b":[2]}"#)
        );
        assert_eq!(
            common(&[none, r#"{"a":1.50}"#]).as_deref(),
            Some(r#"{"a":1.50}"#)
        );
        assert_eq!(common(&["7", r#"{"a":1}"#]).as_deref(), Some(r#"{"a":1}"#));
    }
}
