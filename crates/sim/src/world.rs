//! The world of a run: virtual time, the bucket, the oracle, the trace.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use parking_lot::{Mutex, MutexGuard};
use rutile_block::InvariantId;
use rutile_objstore::fake::MemoryBucket;
use rutile_runtime::{Clock, SeededEntropy, TaskGroup};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::objects::Objects;
use crate::oracle::{Oracle, Role, Violation};
use crate::profile::Fault;
use crate::scenario::Scenario;
use crate::trace::{Event, Trace};

/// The bucket's time at the start of a run, ms since the Unix epoch.
pub(crate) const EPOCH_MS: i64 = 1_790_000_000_000;

/// Everything that the processes of a run share.
#[derive(Debug)]
pub(crate) struct World {
    start: Instant,
    pub(crate) scenario: Scenario,
    shared: Mutex<Shared>,
    /// Where effects take place, whatever becomes of who asked for them.
    pub(crate) effects: TaskGroup,
    /// A rule was broken.
    pub(crate) broken: Notify,
}

/// What effects change.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) objects: Objects,
    pub(crate) oracle: Oracle,
    pub(crate) trace: Trace,
    pub(crate) counts: Counts,
}

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests to the bucket.
    pub requests: u64,
    /// Faults by kind, in the order of [`Fault::ALL`].
    pub faults: [u64; Fault::ALL.len()],
    /// Answers of readers that were checked.
    pub answers: u64,
    /// Answers that were errors or said that they are incomplete.
    pub excused: u64,
    /// Compactions that committed a block.
    pub merges: u64,
    /// Times that the oracle looked at the whole bucket.
    pub checks: u64,
    /// Scenarios of the catalogue by their numbers, and how often each was reached.
    pub reached: std::collections::BTreeMap<&'static str, u64>,
}

/// A process: its name, clock and chance.
#[derive(Debug)]
pub(crate) struct Actor {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) clock: Arc<SimClock>,
    pub(crate) entropy: Arc<SeededEntropy>,
    /// It ends now.
    pub(crate) crashed: Notify,
    /// It stands still until then.
    pub(crate) frozen_until: Mutex<Option<Instant>>,
}

/// The wall clock of a process: the bucket's, plus an offset and drift that end with the faults.
#[derive(Debug)]
pub(crate) struct SimClock {
    start: Instant,
    offset_ms: AtomicI64,
    /// Microseconds gained in a second.
    drift: i64,
    calm_ms: i64,
}

impl Clock for SimClock {
    fn now_ms(&self) -> i64 {
        let passed = elapsed_ms(self.start);
        if passed >= self.calm_ms {
            return EPOCH_MS + passed;
        }
        let wrong = self.offset_ms.load(Ordering::Relaxed) + passed * self.drift / 1_000_000;
        EPOCH_MS + passed + wrong
    }
}

impl SimClock {
    pub(crate) fn jump(&self, by_ms: i64) {
        self.offset_ms.fetch_add(by_ms, Ordering::Relaxed);
    }
}

fn elapsed_ms(start: Instant) -> i64 {
    start.elapsed().as_millis() as i64
}

impl World {
    pub(crate) fn new(scenario: Scenario) -> Arc<Self> {
        let mut shared = Shared::default();
        shared.oracle.retention = scenario.retention;
        let replicas = scenario.replicas.as_ref();
        shared.oracle.contents.function = replicas.map(|replicas| replicas.function);
        shared.oracle.rewrites.erasure.clone_from(&scenario.erasure);
        shared.oracle.is_orderly = scenario.profile.is_orderly();
        shared.oracle.answers_lag = scenario.profile.rate(Fault::StaleRead) > 0;
        shared.oracle.clocks_jump = scenario.profile.rate(Fault::ClockJump) > 0;
        shared.objects.markers = scenario.directory_markers;
        Arc::new(Self {
            start: Instant::now(),
            scenario,
            shared: Mutex::new(shared),
            effects: TaskGroup::new("effects"),
            broken: Notify::new(),
        })
    }

    /// Another bucket, which is always well.
    pub(crate) fn second_bucket(&self) -> MemoryBucket {
        let clock = self
            .actor("second bucket".to_owned(), Role::Reader, 0, (0, 0))
            .clock;
        MemoryBucket::new(clock)
    }

    /// Since the start.
    pub(crate) fn elapsed_ms(&self) -> i64 {
        elapsed_ms(self.start)
    }

    /// The bucket's time.
    pub(crate) fn now_ms(&self) -> i64 {
        EPOCH_MS + self.elapsed_ms()
    }

    /// Whether faults are injected now.
    pub(crate) fn is_chaos(&self) -> bool {
        self.elapsed_ms() < self.scenario.chaos_ms
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock()
    }

    /// Changes what is shared; tells if a rule was broken by it.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Shared) -> T) -> T {
        let mut shared = self.shared.lock();
        let changed = change(&mut shared);
        if shared.oracle.violation.is_some() {
            self.broken.notify_one();
        }
        changed
    }

    pub(crate) fn note(&self, actor: &str, note: impl Into<String>) {
        let event = Event::Note(note.into());
        let at_ms = self.elapsed_ms();
        self.shared.lock().trace.add(at_ms, actor, event);
    }

    /// A scenario of the catalogue has happened.
    pub(crate) fn reach(&self, number: &'static str) {
        self.lock().oracle.reach(number);
    }

    /// Whether nearly every request is throttled now.
    pub(crate) fn is_storm(&self) -> bool {
        let at_ms = self.elapsed_ms();
        let storm = self.scenario.storm.filter(|_| self.is_chaos());
        storm.is_some_and(|(from, to)| (from..to).contains(&at_ms))
    }

    pub(crate) fn violate(&self, clause: InvariantId, what: impl Into<String>) {
        self.change(|shared| shared.oracle.violate(clause, what));
    }

    pub(crate) fn violation(&self) -> Option<Violation> {
        self.shared.lock().oracle.violation.clone()
    }

    /// A process whose clock is wrong by `offset_ms` and gains `drift` µs a second.
    pub(crate) fn actor(&self, name: String, role: Role, seed: u64, clock: (i64, i64)) -> Actor {
        let (offset_ms, drift) = clock;
        let clock = SimClock {
            start: self.start,
            offset_ms: AtomicI64::new(offset_ms),
            drift,
            calm_ms: self.scenario.chaos_ms,
        };
        Actor {
            name,
            role,
            clock: Arc::new(clock),
            entropy: Arc::new(SeededEntropy::new(seed)),
            crashed: Notify::new(),
            frozen_until: Mutex::default(),
        }
    }
}
