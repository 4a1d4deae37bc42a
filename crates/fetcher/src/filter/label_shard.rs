//! Keeps a block of which relabelling leaves any label. It sees the external labels (without the
//! replica labels, so that the replicas of one stream stay together) and `__block_id`. Only actions
//! that decide are taken: `keep`, `drop` and `hashmod`.

use std::sync::Arc;

use rutile_block::{BlockId, Meta};
use rutile_model::relabel::{RelabelConfig, process};

use crate::{Error, Result};

/// The label that holds the block's ULID while relabelling.
pub const BLOCK_ID_LABEL: &str = "__block_id";

/// Which blocks belong to this process. Without rules, all of them.
#[derive(Debug, Clone, Default)]
pub struct LabelShard {
    rules: Arc<[RelabelConfig]>,
    replica_labels: Vec<String>,
}

impl LabelShard {
    /// A shard by these rules, which do not see `replica_labels` (none for a store gateway).
    ///
    /// # Errors
    /// `Invalid` for a rule with another action than `keep`, `drop` or `hashmod`.
    pub fn new(rules: Vec<RelabelConfig>, replica_labels: Vec<String>) -> Result<Self> {
        for rule in &rules {
            rule.validate_for_sharding()
                .map_err(|error| Error::setting(error.to_string()))?;
        }
        Ok(Self {
            rules: rules.into(),
            replica_labels,
        })
    }

    /// The same from the content of `--selector.relabel-config`: a YAML list, or nothing.
    ///
    /// # Errors
    /// `Invalid` when it is not that, and as [`LabelShard::new`].
    pub fn from_yaml(text: &str, replica_labels: Vec<String>) -> Result<Self> {
        let rules: Option<Vec<RelabelConfig>> = if text.trim().is_empty() {
            None
        } else {
            serde_saphyr::from_str(text)
                .map_err(|error| Error::setting(format!("--selector.relabel-config: {error}")))?
        };
        Self::new(rules.unwrap_or_default(), replica_labels)
    }

    /// Whether the block belongs to the shard.
    #[must_use]
    pub fn keeps(&self, id: BlockId, meta: &Meta) -> bool {
        if self.rules.is_empty() {
            return true;
        }
        let mut labels = meta
            .thanos
            .labels
            .without(&self.replica_labels)
            .to_builder();
        labels.set(BLOCK_ID_LABEL, id.to_string());
        process(&labels.build(), &self.rules).is_some_and(|left| !left.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use rutile_model::{ErrorKind, Labels};

    use super::*;

    fn meta(labels: &[(&str, &str)]) -> Meta {
        let mut meta = Meta::new("01M820PHAWJ4QN17XR7HF3SM97".parse().unwrap());
        meta.thanos.labels = labels.iter().copied().collect::<Labels>();
        meta
    }

    fn keeps(yaml: &str, meta: &Meta) -> bool {
        LabelShard::from_yaml(yaml, vec!["replica".to_owned()])
            .unwrap()
            .keeps(meta.id, meta)
    }

    #[test]
    fn rules_see_external_labels_and_the_block() {
        let eu = meta(&[("cluster", "eu1"), ("replica", "a")]);
        let cases = [
            ("", true),
            (" \n", true),
            ("[]", true),
            (
                "- {action: keep, source_labels: [cluster], regex: eu.*}",
                true,
            ),
            (
                "- {action: keep, source_labels: [cluster], regex: eu}",
                false,
            ),
            (
                "- {action: drop, source_labels: [__block_id], regex: 01M820.*}",
                false,
            ),
            (
                "- {action: keep, source_labels: [replica], regex: a}",
                false,
            ),
        ];
        for (yaml, kept) in cases {
            assert_eq!(keeps(yaml, &eu), kept, "{yaml}");
        }
        assert!(keeps(
            "- {action: drop, source_labels: [cluster], regex: x}",
            &meta(&[])
        ));
    }

    #[test]
    fn shards_by_hash_share_nothing_and_keep_replicas_together() {
        let rule = |shard: u8| {
            format!(
                "- {{action: hashmod, source_labels: [cluster, replica], target_label: shard, modulus: 3}}\n\
                 - {{action: keep, source_labels: [shard], regex: '{shard}'}}"
            )
        };
        let mut used = std::collections::BTreeSet::new();
        for n in 0..40 {
            let cluster = format!("c{n}");
            let at = |replica| {
                let meta = meta(&[("cluster", &cluster), ("replica", replica)]);
                (0..3)
                    .filter(|shard| keeps(&rule(*shard), &meta))
                    .collect::<Vec<_>>()
            };
            assert_eq!(at("a").len(), 1);
            assert_eq!(at("a"), at("b"));
            used.extend(at("a"));
        }
        assert_eq!(used.len(), 3);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for yaml in [
            "- {action: replace, target_label: x}",
            "- {action: keep, sources: [a]}",
            "x: 1",
            "- {action: nonsense}",
        ] {
            let error = LabelShard::from_yaml(yaml, vec![]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{yaml}: {error}");
        }
    }
}
