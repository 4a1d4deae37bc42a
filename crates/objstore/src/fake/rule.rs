//! Fault rules: which calls they concern, what happens to them, how often.

use std::sync::Arc;
use std::time::Duration;

use rutile_model::ErrorKind;
use tokio::sync::Semaphore;

use crate::Operation;

/// What happens to a call that a rule concerns. Where a fault makes no sense (a stale upload, a
/// truncated listing), the call goes through.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Fault {
    /// The call fails and changes nothing.
    FailBefore(ErrorKind),
    /// The call takes effect and fails nevertheless.
    FailAfter(ErrorKind),
    /// A read answers as if the object did not exist, as a cached 404 does.
    NotFound,
    /// A whole read gives the first bytes only, and no error.
    Truncate(usize),
    /// A read answers from this many writes of the same object ago (1: the version that the last
    /// write replaced). What did not exist then is not found.
    Stale(usize),
    /// A listing answers from this many writes of the bucket ago.
    ListStale(usize),
    /// A listing ends after this many entries, and no error.
    ListTorn(usize),
    /// A listing fails after this many entries.
    ListFails(usize),
    /// Each entry of a listing is missing with this probability, and no error.
    ListMisses(f64),
    /// The call waits first (tokio's clock).
    Delay(Duration),
    /// The call waits at a [`Gate`] first.
    Pause(Gate),
}

/// A fault and the calls that it concerns: by default every call, every time.
#[derive(Debug, Clone)]
pub struct Rule {
    operations: Vec<Operation>,
    keys: Vec<KeyTest>,
    /// Calls that still pass before the rule bites.
    skip: u64,
    /// Calls that it still bites.
    times: u64,
    probability: f64,
    fault: Fault,
}

#[derive(Debug, Clone)]
enum KeyTest {
    Equals(String),
    StartsWith(String),
    EndsWith(String),
}

impl Rule {
    /// Every call suffers the fault.
    #[must_use]
    pub fn new(fault: Fault) -> Self {
        Self {
            operations: vec![],
            keys: vec![],
            skip: 0,
            times: u64::MAX,
            probability: 1.0,
            fault,
        }
    }

    /// Only calls of these kinds.
    #[must_use]
    pub fn on(mut self, operations: impl IntoIterator<Item = Operation>) -> Self {
        self.operations.extend(operations);
        self
    }

    /// Only this key (of a listing: this folder, as asked for).
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.keys.push(KeyTest::Equals(key.into()));
        self
    }

    /// Only keys that start so.
    #[must_use]
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.keys.push(KeyTest::StartsWith(prefix.into()));
        self
    }

    /// Only keys that end so.
    #[must_use]
    pub fn key_suffix(mut self, suffix: impl Into<String>) -> Self {
        self.keys.push(KeyTest::EndsWith(suffix.into()));
        self
    }

    /// The first calls pass.
    #[must_use]
    pub fn after(mut self, calls: u64) -> Self {
        self.skip = calls;
        self
    }

    /// Calls pass again after so many faults.
    #[must_use]
    pub fn times(mut self, faults: u64) -> Self {
        self.times = faults;
        self
    }

    /// Each call suffers with this probability, drawn from the bucket's seed.
    #[must_use]
    pub fn probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }

    /// The fault for a call, if it suffers; `draw` gives a number in [0, 1).
    pub(super) fn bite(
        &mut self,
        operation: Operation,
        key: &str,
        draw: impl FnOnce() -> f64,
    ) -> Option<Fault> {
        let concerned = (self.operations.is_empty() || self.operations.contains(&operation))
            && self.keys.iter().all(|test| test.accepts(key));
        if !concerned || self.times == 0 {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        if self.probability < 1.0 && draw() >= self.probability {
            return None;
        }
        self.times -= 1;
        Some(self.fault.clone())
    }
}

impl KeyTest {
    fn accepts(&self, key: &str) -> bool {
        match self {
            Self::Equals(text) => key == text,
            Self::StartsWith(text) => key.starts_with(text),
            Self::EndsWith(text) => key.ends_with(text),
        }
    }
}

/// Where calls wait until a test lets them go on. Dropping every handle but the rule's own does
/// not free them: call [`Gate::open`].
#[derive(Debug, Clone)]
pub struct Gate {
    arrived: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self {
            arrived: Arc::new(Semaphore::new(0)),
            admitted: Arc::new(Semaphore::new(0)),
        }
    }

    /// Waits until one more call has reached the gate.
    pub async fn reached(&self) {
        if let Ok(permit) = self.arrived.acquire().await {
            permit.forget();
        }
    }

    /// Lets one call go on: the one that waits longest, or the next to come.
    pub fn release(&self) {
        self.admitted.add_permits(1);
    }

    /// Lets every call go on, from now on.
    pub fn open(&self) {
        self.admitted.close();
    }

    pub(super) async fn pass(&self) {
        self.arrived.add_permits(1);
        if let Ok(permit) = self.admitted.acquire().await {
            permit.forget();
        }
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}
