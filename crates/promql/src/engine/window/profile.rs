//! What is found out about a series once, before a function looks at its windows.

use std::ops::Range;
use std::sync::Arc;

use rutile_model::{CounterResetHint, FloatHistogram, Samples};

use super::starts::Stamp;
use crate::ast::{Extension, FunctionId};
/// What samples are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Kind {
    #[default]
    Floats,
    Histograms,
    Mixed,
}

impl Kind {
    /// What the samples `from..to` are; floats if there is none.
    pub(crate) fn of(samples: &Samples, from: usize, to: usize) -> Self {
        let Some(places) = samples.histograms.get(from..to) else {
            return Self::Floats;
        };
        let histograms = places.iter().filter(|place| place.is_some()).count();
        match histograms {
            0 => Self::Floats,
            _ if histograms == places.len() => Self::Histograms,
            _ => Self::Mixed,
        }
    }
}

/// What is known about the samples of a series. Windows overlap: without it, each pair of neighbours
/// would be compared again at each step.
#[derive(Debug, Default)]
pub(crate) struct Profile {
    pub(crate) kind: Kind,
    /// Places of samples that differ from the one before them in the way that the function counts: as
    /// resets, or as changes. Ascending; empty if the function counts neither.
    events: Vec<usize>,
    /// Places of samples whose start timestamps contradict the sample before them. Ascending.
    overlaps: Vec<usize>,
    /// When the first sample was that any step may look at.
    pub(super) appeared: i64,
    /// Whether all are histograms of one schema, and none is a gauge.
    pub(super) uniform: bool,
}

/// How neighbours are to be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compare {
    Nothing,
    Changes,
    Resets { with_starts: bool },
}

impl Compare {
    fn for_function(id: FunctionId, extension: Option<Extension>, start_timestamps: bool) -> Self {
        match id {
            FunctionId::Changes => Self::Changes,
            FunctionId::Resets => Self::Resets {
                with_starts: start_timestamps,
            },
            // The arithmetic of extended ranges knows no start timestamps.
            FunctionId::Rate | FunctionId::Increase => Self::Resets {
                with_starts: start_timestamps && extension.is_none(),
            },
            _ => Self::Nothing,
        }
    }
}

impl Profile {
    /// Finds out about `samples` what `id` needs to know. Neighbours are compared only within `places`,
    /// which all windows must keep to.
    pub(crate) fn find(
        id: FunctionId,
        extension: Option<Extension>,
        samples: &Samples,
        places: Range<usize>,
        start_timestamps: bool,
    ) -> Self {
        let kind = Kind::of(samples, places.start, places.end);
        let mut profile = Self {
            kind,
            appeared: samples.times.get(places.start).copied().unwrap_or_default(),
            ..Self::default()
        };
        let compare = Compare::for_function(id, extension, start_timestamps);
        if compare == Compare::Nothing {
            return profile;
        }
        let with_starts = match compare {
            Compare::Resets { with_starts } => with_starts && !samples.starts.is_empty(),
            Compare::Nothing | Compare::Changes => false,
        };
        let pairs = places.start + 1..places.end.max(places.start + 1);
        if kind == Kind::Floats && !with_starts {
            profile.events = float_events(compare, samples, pairs);
            return profile;
        }
        let is_like_first = |i| is_like(samples.histogram(i), samples.histogram(places.start));
        profile.uniform = is_like_first(places.start);
        for i in pairs {
            profile.uniform = profile.uniform && is_like_first(i);
            let stamps = with_starts.then(|| (stamp(samples, i - 1), stamp(samples, i)));
            if stamps.is_some_and(|(previous, now)| now.overlaps(previous)) {
                profile.overlaps.push(i);
            }
            if stamps.is_some_and(|(previous, now)| now.is_reset_since(previous))
                || is_event(compare, samples, i)
            {
                profile.events.push(i);
            }
        }
        profile
    }

    /// The events of the samples `from..to`, each compared with the one before it.
    #[inline]
    pub(super) fn events(&self, from: usize, to: usize) -> &[usize] {
        between(&self.events, from, to)
    }

    /// Whether any start timestamp of `from..to` contradicts the sample before it.
    pub(super) fn has_overlap(&self, from: usize, to: usize) -> bool {
        !between(&self.overlaps, from, to).is_empty()
    }
}

#[inline]
fn between(places: &[usize], from: usize, to: usize) -> &[usize] {
    if places.is_empty() {
        return &[];
    }
    let first = places.partition_point(|place| *place < from);
    let behind = places.partition_point(|place| *place < to);
    places.get(first..behind).unwrap_or_default()
}

fn stamp(samples: &Samples, i: usize) -> Stamp {
    let at = |column: &[i64]| column.get(i).copied().unwrap_or_default();
    Stamp {
        time: at(&samples.times),
        start: at(&samples.starts),
    }
}

/// Whether both are histograms of one schema, the first mentioned no gauge.
fn is_like(histogram: Option<&Arc<FloatHistogram>>, other: Option<&Arc<FloatHistogram>>) -> bool {
    let (Some(histogram), Some(other)) = (histogram, other) else {
        return false;
    };
    histogram.schema == other.schema && histogram.counter_reset_hint != CounterResetHint::Gauge
}

/// The common case, without a look at anything but the values.
fn float_events(compare: Compare, samples: &Samples, pairs: Range<usize>) -> Vec<usize> {
    let values = samples.floats.get(pairs.start - 1..pairs.end);
    let neighbours = values.unwrap_or_default().array_windows::<2>().zip(pairs);
    let differs = |[previous, now]: &[f64; 2]| match compare {
        Compare::Changes => is_change(*previous, *now),
        Compare::Resets { .. } => now < previous,
        Compare::Nothing => false,
    };
    neighbours
        .filter(|(pair, _)| differs(pair))
        .map(|(_, i)| i)
        .collect()
}

fn is_change(previous: f64, now: f64) -> bool {
    now != previous && !(now.is_nan() && previous.is_nan())
}

/// Whether a sample differs from the one before it, start timestamps apart. That a histogram follows a
/// float, or a float a histogram, is an event, too.
fn is_event(compare: Compare, samples: &Samples, i: usize) -> bool {
    match (samples.histogram(i - 1), samples.histogram(i)) {
        (Some(previous), Some(now)) => match compare {
            Compare::Changes => !now.equals(previous),
            Compare::Resets { .. } => now.detect_reset(previous),
            Compare::Nothing => false,
        },
        (None, None) => {
            let at = |i: usize| samples.floats.get(i).copied().unwrap_or_default();
            match compare {
                Compare::Changes => is_change(at(i - 1), at(i)),
                Compare::Resets { .. } => at(i) < at(i - 1),
                Compare::Nothing => false,
            }
        }
        _ => true,
    }
}
