//! Selects of a query that are opened before the engine asks for them.
//!
//! What is asked for was always opened before all that is open beside it: an answer waits for nothing that only a
//! later one gives back, be it a turn here or in a store. So an answer that is passed over is given up, and so are all
//! when something is asked for that was not announced.

use std::collections::VecDeque;
use std::sync::Arc;

use rutile_promql::Select;
use rutile_runtime::{Account, Reservation};
use rutile_storeapi::ItemStream;
use rutile_telemetry::spans::Span;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::gate::Turn;

/// Selects of a query that are open before they are asked for.
const MOST_OPEN: usize = 4;
/// The same of all queries. A stream that nobody reads holds up to 4 MiB of the window of its connection, of which
/// others need some.
const MOST_OPEN_OF_ALL: usize = 8;
/// What is read of each of them.
pub(super) const AHEAD_BYTES: usize = 1024 * 1024;

/// How many selects of all queries may be open before they are asked for.
#[derive(Debug, Clone)]
pub(crate) struct Places(Arc<Semaphore>);

/// The right to be open before it is asked for, and room for what is read meanwhile.
#[derive(Debug)]
pub(super) struct Place {
    _of_all: OwnedSemaphorePermit,
    room: Reservation,
}

/// An answer that nobody has taken anything of.
pub(super) struct Open {
    pub(super) items: ItemStream,
    pub(super) turn: Turn,
    /// None if it was opened when it was asked for.
    pub(super) place: Option<Place>,
    pub(super) span: Span,
}

/// What the engine has announced.
#[derive(Default)]
pub(crate) struct Ahead {
    open: VecDeque<(Select, Open)>,
    /// What comes behind that.
    coming: VecDeque<Select>,
}

impl Default for Places {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST_OPEN_OF_ALL)))
    }
}

impl Places {
    /// A place, if one is free and there is memory for it.
    pub(super) fn take(&self, account: &Account) -> Option<Place> {
        Some(Place {
            _of_all: Arc::clone(&self.0).try_acquire_owned().ok()?,
            room: account.try_reserve(AHEAD_BYTES as u64).ok()?,
        })
    }
}

impl Place {
    /// What remains of it when the answer is asked for.
    pub(super) fn into_room(self) -> Reservation {
        self.room
    }
}

impl Ahead {
    pub(super) fn announce(&mut self, selects: Vec<Select>) {
        self.coming.extend(selects);
    }

    /// The answer to what is asked for now, if it is open.
    pub(super) fn take(&mut self, select: &Select) -> Option<Open> {
        if let Some(at) = self.open.iter().position(|(known, _)| known == select) {
            self.open.drain(..at);
            return self.open.pop_front().map(|(_, open)| open);
        }
        self.open.clear();
        match self.coming.iter().position(|known| known == select) {
            Some(at) => drop(self.coming.drain(..=at)),
            None => self.coming.clear(),
        }
        None
    }

    /// Opens what comes next, until `open` cannot.
    pub(super) fn go_on(&mut self, open: impl Fn(&Select) -> Option<Open>) {
        while self.open.len() < MOST_OPEN
            && let Some(next) = self.coming.front()
            && let Some(opened) = open(next)
            && let Some(next) = self.coming.pop_front()
        {
            self.open.push_back((next, opened));
        }
    }
}

impl std::fmt::Debug for Ahead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ahead")
            .field("open", &self.open.len())
            .field("coming", &self.coming)
            .finish()
    }
}
