//! Selects that a query needs more than once: what the first one gives is kept for the others.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;

use super::flow::{Part, Parts};
use super::given::Given;
use crate::source::Select;

/// The most series of a select that are kept: they hold their chunks. With more, the source is asked again.
const MOST_SERIES: usize = 10_000;

/// The most selects that are kept.
const MOST_SELECTS: usize = 16;

/// The selects of a query that are kept.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    kept: Vec<(Select, Kept)>,
}

/// What a select gave; shared with the stream that fills it.
type Kept = Arc<Mutex<State>>;

#[derive(Debug)]
enum State {
    Filling(Vec<Given>),
    Complete(Vec<Given>),
    TooMany,
}

impl Shared {
    /// What an equal select gave, if it was kept.
    pub(crate) fn find(&self, select: &Select) -> Option<Parts> {
        let (_, kept) = self.kept.iter().find(|(known, _)| known == select)?;
        match &*kept.lock() {
            State::Complete(series) => Some(super::flow::ready(series.clone())),
            State::Filling(_) | State::TooMany => None,
        }
    }

    /// The same parts, kept as they pass.
    pub(crate) fn keep(&mut self, select: Select, parts: Parts) -> Parts {
        let is_known = self.kept.iter().any(|(known, _)| *known == select);
        if is_known || self.kept.len() == MOST_SELECTS {
            return parts;
        }
        let kept = Arc::new(Mutex::new(State::Filling(Vec::new())));
        self.kept.push((select, Arc::clone(&kept)));
        let end = Arc::clone(&kept);
        let parts = parts.inspect_ok(move |part| kept.lock().take(part));
        let at_end = stream::once(async move { end.lock().complete() });
        parts
            .map(Some)
            .chain(at_end.map(|()| None))
            .filter_map(async |part| part)
            .boxed()
    }
}

impl State {
    fn take(&mut self, part: &Part) {
        if let Self::Filling(series) = self {
            series.extend(part.series.iter().cloned());
            if series.len() > MOST_SERIES {
                *self = Self::TooMany;
            }
        }
    }

    fn complete(&mut self) {
        if let Self::Filling(series) = self {
            *self = Self::Complete(std::mem::take(series));
        }
    }
}
