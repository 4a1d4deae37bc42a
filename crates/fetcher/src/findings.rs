//! What a look at the bucket found that somebody should know, by clause of the contract.

use std::collections::BTreeMap;

use rutile_block::{BlockId, InvariantId};

use crate::{MarkState, Selection, View};

/// One message for each clause and block.
#[derive(Debug, Default)]
pub(crate) struct Findings(BTreeMap<(InvariantId, BlockId), String>);

impl Findings {
    pub(crate) fn of(view: &View, selection: &Selection) -> Self {
        let mut all = BTreeMap::new();
        for (id, bad) in &view.bad {
            all.insert(
                (InvariantId::Bc11, *id),
                format!("{}: {}", bad.reason, bad.message),
            );
        }
        for (id, kind, state) in view.odd_marks() {
            let what = match state {
                MarkState::UnknownVersion => {
                    "has a version that is not known; the block is left alone"
                }
                _ => "is torn; the block is served until it is written again",
            };
            all.entry((InvariantId::Bc11, id))
                .or_insert_with(|| format!("its {kind} {what}"));
        }
        for id in &view.vanished {
            let message =
                "it went away without a deletion mark: what it held is not covered any more";
            all.insert((InvariantId::Bc7, *id), message.to_owned());
        }
        for id in selection.uncovered_by(|id| selection.candidates.contains_key(&id)) {
            let message = "it is dropped because its delete delay passed, and nothing is known that replaces it";
            all.insert((InvariantId::Bc5, id), message.to_owned());
        }
        Self(all)
    }

    /// The findings that `before` lacks.
    pub(crate) fn new_since<'a>(
        &'a self,
        before: &'a Self,
    ) -> impl Iterator<Item = (&'a (InvariantId, BlockId), &'a String)> {
        self.0.iter().filter(|(key, _)| !before.0.contains_key(key))
    }
}
