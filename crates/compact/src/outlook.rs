//! What is made of each block, and why, in words: what a store gateway does with it, and what a compactor would do
//! next.
//!
//! A pure function of one look at the bucket, as everything that is decided here. `bucket inspect` prints it, the
//! block API serves it to the page.

mod next;
mod state;

use std::collections::BTreeMap;

use rutile_block::{BlockId, Contract, Mark, MarkKind};
use rutile_fetcher::{BlockInfo, FilterChain, Scope, Selection, View};
use rutile_lifecycle::Damage;
use rutile_model::PromDuration;
use serde_json::{Map, Value, json};

pub use self::next::{Action, Next};
pub use self::state::{State, Verdict};
use crate::{Planner, Retention};

/// What a compactor goes by.
#[derive(Debug, Clone, Copy)]
pub struct Compaction<'a> {
    /// What it works with of a view.
    pub selection: &'a Selection,
    /// Its delays.
    pub contract: Contract,
    /// What it merges.
    pub planner: &'a Planner,
    /// What it keeps.
    pub retention: &'a Retention,
}

/// What is made of the blocks of a bucket, partial and bad ones too.
#[derive(Debug, Clone, Default)]
pub struct Outlook {
    /// Of each block.
    pub verdicts: BTreeMap<BlockId, Verdict>,
    /// Of each block with which something is to be done.
    pub next: BTreeMap<BlockId, Next>,
}

impl Outlook {
    /// What becomes of the blocks of a view: by store gateways that have these delays and look after the whole bucket,
    /// and by a compactor. `damaged` are blocks that were found damaged, as far as anybody looked.
    #[must_use]
    pub fn new(
        view: &View,
        store: Contract,
        damaged: &BTreeMap<BlockId, Damage>,
        compaction: Compaction<'_>,
    ) -> Self {
        let chain = FilterChain::for_store(Scope::default(), store);
        let selection = chain.apply(view, view.fetched_at_ms());
        Self {
            verdicts: state::verdicts(view, &selection, chain.contract(), damaged),
            next: next::next_steps(view, compaction),
        }
    }

    /// A block as JSON: `id`, `state`, `reason`, `supersededBy` and `next`, as far as they are known. Blocks whose
    /// `next.merge` is the same number go into one merge.
    #[must_use]
    pub fn json(&self, id: BlockId) -> Map<String, Value> {
        let mut block = Map::new();
        block.insert("id".to_owned(), id.to_string().into());
        if let Some(verdict) = self.verdicts.get(&id) {
            block.insert("state".to_owned(), verdict.state.name().into());
            block.insert("reason".to_owned(), verdict.reason.as_str().into());
            if let Some(successor) = verdict.successor {
                block.insert("supersededBy".to_owned(), successor.to_string().into());
            }
        }
        if let Some(next) = self.next.get(&id) {
            let mut shown = json!({ "action": next.action.name(), "reason": next.reason });
            if let Some(merge) = next.merge {
                shown["merge"] = merge.into();
            }
            block.insert("next".to_owned(), shown);
        }
        block
    }

    /// All blocks as JSON, with their marks: what the page asks for.
    #[must_use]
    pub fn plan(&self, view: &View) -> Value {
        let block = |id: &BlockId| {
            let mut block = self.json(*id);
            let marks = view.blocks.get(id).map(marks).unwrap_or_default();
            if !marks.is_empty() {
                block.insert("marks".to_owned(), marks.into());
            }
            Value::Object(block)
        };
        self.verdicts.keys().map(block).collect()
    }
}

/// The marks of a block that can be read. Their time is in seconds, as in their objects.
fn marks(info: &BlockInfo) -> Vec<Value> {
    let present = |kind: MarkKind| {
        let mark = &info.marks.get(kind).present()?.mark;
        let reason = match mark {
            Mark::Deletion(_) => "",
            Mark::NoCompact(mark) => &mark.reason,
            Mark::NoDownsample(mark) => &mark.reason,
        };
        Some(json!({
            "kind": kind.to_string(),
            "time": mark.time_ms().div_euclid(1000),
            "reason": reason,
            "details": mark.details(),
        }))
    };
    MarkKind::ALL.into_iter().filter_map(present).collect()
}

/// A length of time in its two largest units: `2d3h`, `5m10s`.
fn age(ms: i64) -> String {
    const UNITS: [i64; 5] = [86_400_000, 3_600_000, 60_000, 1_000, 1];
    let largest = UNITS
        .iter()
        .position(|unit| ms >= *unit)
        .unwrap_or(UNITS.len() - 1);
    // Milliseconds are shown only where there are no seconds.
    let finest = if largest == 3 {
        3
    } else {
        (largest + 1).min(UNITS.len() - 1)
    };
    let unit = UNITS.get(finest).copied().unwrap_or(1);
    PromDuration::from_ms(ms / unit * unit).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_two_units() {
        for (ms, expected) in [
            (0, "0s"),
            (7, "7ms"),
            (1_234, "1s"),
            (310_500, "5m10s"),
            (7_265_000, "2h1m"),
            (187_200_000, "2d4h"),
            (172_800_000, "2d"),
        ] {
            assert_eq!(age(ms), expected, "{ms}");
        }
    }
}
