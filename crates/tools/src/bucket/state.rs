//! What a store gateway would do with each block, and why.

use std::collections::BTreeMap;

use rutile_block::{BlockId, Contract, INDEX_FILE, Mark, MarkKind, age_ms};
use rutile_fetcher::{
    BadBlock, BlockInfo, Exclusion, MarkDrop, MarkState, PartialBlock, Selection, View,
};
use rutile_lifecycle::Damage;
use rutile_model::PromDuration;

use crate::output::screen::Style;

/// What a store gateway does with a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
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
    pub(crate) fn name(self) -> &'static str {
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

    pub(crate) fn style(self) -> Style {
        match self {
            Self::Served => Style::Good,
            Self::Superseded | Self::Elsewhere => Style::Faint,
            Self::TooFresh | Self::Marked => Style::Warning,
            Self::Partial | Self::Bad => Style::Bad,
        }
    }
}

/// A state and its reason in a few words; empty where nothing needs to be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) state: State,
    pub(crate) reason: String,
    /// For a superseded block, the one that holds its data.
    pub(crate) successor: Option<BlockId>,
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
pub(crate) fn verdicts(
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

/// A length of time in its two largest units: `2d3h`, `5m10s`.
pub(super) fn age(ms: i64) -> String {
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
