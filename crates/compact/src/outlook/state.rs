//! What a store gateway would do with each block, and why.

use std::collections::BTreeMap;

use rutile_block::{BlockId, Contract, INDEX_FILE, Mark, MarkKind, age_ms};
use rutile_fetcher::{
    BadBlock, BlockInfo, Exclusion, MarkDrop, MarkState, PartialBlock, Selection, View,
};
use rutile_lifecycle::Damage;

use super::age;

/// What a store gateway does with a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It answers queries.
    Served,
    /// Another block holds its data.
    Superseded,
    /// It is younger than the consistency delay.
    TooFresh,
    /// It is marked for deletion, and the delay is over.
    Marked,
    /// It has no meta.json.
    Partial,
    /// It is damaged, or of a version that is not known.
    Bad,
    /// It belongs to another shard or time partition.
    Elsewhere,
}

impl State {
    /// One word for tables and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Superseded => "superseded",
            Self::TooFresh => "too-fresh",
            Self::Marked => "marked",
            Self::Partial => "partial",
            Self::Bad => "bad",
            Self::Elsewhere => "elsewhere",
        }
    }
}

/// A state and its reason in a few words; empty where nothing needs to be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What is done with it.
    pub state: State,
    /// Why.
    pub reason: String,
    /// For a superseded block, the one that holds its data.
    pub successor: Option<BlockId>,
}

impl Verdict {
    fn new(state: State, reason: impl Into<String>) -> Self {
        Self {
            state,
            reason: reason.into(),
            successor: None,
        }
    }
}

/// The verdict on every block of the view, partial and bad ones too.
pub(super) fn verdicts(
    view: &View,
    selection: &Selection,
    contract: &Contract,
    damaged: &BTreeMap<BlockId, Damage>,
) -> BTreeMap<BlockId, Verdict> {
    let now = view.fetched_at_ms();
    // A store gateway opens the index; what is wrong elsewhere, queries find out.
    let unloadable = |id: &BlockId| damaged.get(id).filter(|damage| damage.path == INDEX_FILE);
    let loadable = view.blocks.keys().filter(|id| unloadable(id).is_none());
    let serving = selection.serving(&loadable.copied().collect());
    let mut all = BTreeMap::new();
    for (id, info) in &view.blocks {
        let verdict = if let Some(exclusion) = selection.excluded.get(id) {
            excluded(*exclusion, info)
        } else if let Some(Damage { message, .. }) = unloadable(id) {
            Verdict::new(State::Bad, format!("it cannot be loaded: {message}"))
        } else if serving.contains(id) {
            let mut remarks = remarks(info, contract, now);
            if let Some(winner) = selection.superseded.get(id) {
                remarks.push(format!("{winner}, which replaces it, cannot be loaded"));
            }
            if let Some(Damage { message, .. }) = damaged.get(id) {
                remarks.push(format!("queries of it may fail: {message}"));
            }
            Verdict::new(State::Served, remarks.join("; "))
        } else {
            let successor = selection.superseded.get(id).copied();
            let reason = match successor {
                Some(successor) => format!("its data is in {successor}"),
                None => "its data is in another block".to_owned(),
            };
            Verdict {
                successor,
                ..Verdict::new(State::Superseded, reason)
            }
        };
        all.insert(*id, verdict);
    }
    for (id, partial) in &view.partial {
        all.insert(
            *id,
            Verdict::new(State::Partial, partial_reason(partial, contract, now)),
        );
    }
    for (
        id,
        BadBlock {
            reason, message, ..
        },
    ) in &view.bad
    {
        let verdict = Verdict::new(State::Bad, format!("{reason}: {message}"));
        all.entry(*id).or_insert(verdict);
    }
    all
}

fn excluded(exclusion: Exclusion, info: &BlockInfo) -> Verdict {
    match exclusion {
        Exclusion::TimeExcluded => Verdict::new(State::Elsewhere, "outside the time partition"),
        Exclusion::LabelExcluded => Verdict::new(State::Elsewhere, "in another shard"),
        Exclusion::TooFresh { age_ms, delay_ms } => Verdict::new(
            State::TooFresh,
            format!(
                "uploaded {} ago, relied on after {}",
                age(age_ms),
                age(delay_ms)
            ),
        ),
        Exclusion::MarkedForDeletion { age_ms, why } => {
            let why = match why {
                MarkDrop::AnyMark => String::new(),
                MarkDrop::NoSuccessorNeeded => ", replaced by nothing".to_owned(),
                MarkDrop::SuccessorElsewhere(id) => format!(", replaced by {id} elsewhere"),
                MarkDrop::DeleteDelayPassed => ", may be deleted at any moment".to_owned(),
            };
            let details = deletion_details(info)
                .map(|text| format!(": {text}"))
                .unwrap_or_default();
            Verdict::new(
                State::Marked,
                format!("marked {} ago{why}{details}", age(age_ms)),
            )
        }
    }
}

/// What is to be said of a block that is served.
fn remarks(info: &BlockInfo, contract: &Contract, now: i64) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Some(present) = info.marks.deletion.present()
        && let Mark::Deletion(mark) = &present.mark
    {
        let modified = Some(present.attributes.last_modified_ms);
        let marked = Contract::mark_age_ms(mark, modified, now);
        remarks.push(format!(
            "marked {} ago, served until {} after the mark and until it is replaced",
            age(marked),
            age(contract.ignore_delay_ms)
        ));
    }
    for (kind, effect) in [
        (MarkKind::NoCompact, "compacted"),
        (MarkKind::NoDownsample, "downsampled"),
    ] {
        if info.marks.get(kind).present().is_some() {
            remarks.push(format!("marked not to be {effect}"));
        }
    }
    for kind in MarkKind::ALL {
        match info.marks.get(kind) {
            MarkState::Torn => remarks.push(format!("{} is damaged", kind.file_name())),
            MarkState::UnknownVersion => {
                remarks.push(format!(
                    "{} has a version that is not known",
                    kind.file_name()
                ));
            }
            MarkState::Absent | MarkState::Present(_) => {}
        }
    }
    remarks
}

fn partial_reason(partial: &PartialBlock, contract: &Contract, now: i64) -> String {
    let what = if partial.marked {
        "no meta.json, but a deletion mark: its deletion was interrupted"
    } else {
        "no meta.json: an upload under way, or what is left of one"
    };
    match partial.newest_object_ms {
        Some(newest) => format!(
            "{what}; newest object {} old, may be removed after {}",
            age(age_ms(newest, now)),
            age(contract.partial_age_ms)
        ),
        None => what.to_owned(),
    }
}

fn deletion_details(info: &BlockInfo) -> Option<&str> {
    let details = info.marks.deletion.present()?.mark.details();
    (!details.is_empty()).then_some(details)
}
