//! The processes of a run, and who starts them again when they end.

pub(crate) mod compactor;
pub(crate) mod eraser;
pub(crate) mod person;
pub(crate) mod reader;
pub(crate) mod replicator;
pub(crate) mod thanos;
pub(crate) mod thanos_compactor;
pub(crate) mod uploader;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rutile_block::{Contract, MarkKind};
use rutile_disk::{Disk, FaultRates, FaultyDisk, MemoryDisk};
use rutile_fetcher::{Fetcher, FetcherConfig, Parts};
use rutile_objstore::{Bucket, BucketReader};
use rutile_runtime::{Clock, Entropy};
use rutile_telemetry::Registry;
use tokio::time::{Instant, sleep_until};

use crate::client::Client;
use crate::oracle::Role;
use crate::scenario::{CONTRACT, LONGEST_DELETE_DELAY_MS, MINUTE};
use crate::world::{Actor, World};

/// What a process is given.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    pub(crate) world: Arc<World>,
    pub(crate) actor: Arc<Actor>,
    pub(crate) client: Client,
}

impl Process {
    /// A process of this name; its chance depends on seed and name only, so that leaving out others
    /// changes nothing for it but what they do.
    pub(crate) fn new(world: &Arc<World>, name: String, role: Role) -> Self {
        let mut seed = world.scenario.seed;
        for byte in name.bytes() {
            seed = (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        let draw = rutile_runtime::SeededEntropy::new(seed);
        let bound = CONTRACT.clock_bound_ms as u64 / 2;
        let offset_ms = (draw.next_u64() % bound) as i64 - bound as i64 / 2;
        let drift = (draw.next_u64() % 400) as i64 - 200;
        let actor = world.actor(name, role, draw.next_u64(), (offset_ms, drift));
        let actor = Arc::new(actor);
        let client = Client {
            world: Arc::clone(world),
            actor: Arc::clone(&actor),
        };
        Self {
            world: Arc::clone(world),
            actor,
            client,
        }
    }

    /// A disk that is full now and then, while faults happen.
    pub(crate) fn disk(&self, disk: &Arc<MemoryDisk>) -> Arc<dyn Disk> {
        let inner = Arc::clone(disk) as Arc<dyn Disk>;
        if !self.world.scenario.full_disks || !self.world.is_chaos() {
            return inner;
        }
        self.world.reach("S31");
        let rates = FaultRates {
            no_space: 100,
            ..FaultRates::default()
        };
        let faulty = FaultyDisk::new(inner, self.entropy(), rates);
        let (process, healing) = (self.clone(), faulty.clone());
        let heal = async move {
            process.calm().await;
            healing.set_rates(FaultRates::default());
        };
        drop(self.world.effects.spawn("heal", heal));
        Arc::new(faulty)
    }

    /// Until faults stop.
    pub(crate) async fn calm(&self) {
        let left = self.world.scenario.chaos_ms - self.world.elapsed_ms();
        tokio::time::sleep(Duration::from_millis(left.max(0) as u64)).await;
    }

    pub(crate) fn bucket(&self) -> Arc<dyn Bucket> {
        Arc::new(self.client.clone())
    }

    pub(crate) fn reader(&self) -> Arc<dyn BucketReader> {
        Arc::new(self.client.clone())
    }

    /// Looks at a bucket as the command line tools do, with the marks that keep blocks out of compactions.
    pub(crate) fn fetcher(&self, bucket: Arc<dyn BucketReader>) -> Fetcher {
        let parts = Parts {
            bucket,
            clock: self.clock(),
            disk: None,
        };
        let config = FetcherConfig {
            more_marks: vec![MarkKind::NoCompact],
            ..FetcherConfig::default()
        };
        Fetcher::new(parts, config, &Registry::new()).expect("settings that can be")
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.actor.clock) as Arc<dyn Clock>
    }

    pub(crate) fn entropy(&self) -> Arc<dyn Entropy> {
        Arc::clone(&self.actor.entropy) as Arc<dyn Entropy>
    }

    pub(crate) fn note(&self, note: impl Into<String>) {
        self.world.note(&self.actor.name, note);
    }

    /// A number below `below`.
    pub(crate) fn roll(&self, below: u64) -> u64 {
        self.actor.entropy.next_u64() % below
    }

    /// Sleeps for about this long: processes do not march in step.
    pub(crate) async fn sleep(&self, ms: i64) {
        let about = ms as u64 / 2 + self.roll(ms as u64);
        tokio::time::sleep(Duration::from_millis(about)).await;
    }

    /// Lives, but for the time in which the process stands still: then its timers wait too, and it finds out late what they were for.
    async fn while_awake(&self, life: impl Future<Output = ()>) {
        let mut life = pin!(life);
        let mut pause = pin!(sleep_until(Instant::now()));
        let lived = poll_fn(|context| {
            let until = *self.actor.frozen_until.lock();
            if let Some(until) = until.filter(|until| *until > Instant::now()) {
                pause.as_mut().reset(until);
                if pause.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
            }
            life.as_mut().poll(context)
        });
        lived.await;
    }

    /// Runs the process, again and again when it crashes, until faults stop; once more then, for good.
    pub(crate) async fn supervise<F: Future<Output = ()>>(&self, life: impl Fn() -> F) {
        loop {
            let ended = tokio::select! {
                biased;
                () = self.actor.crashed.notified() => false,
                () = self.while_awake(life()) => true,
            };
            if ended {
                return;
            }
            *self.actor.frozen_until.lock() = None;
            self.note("crashed");
            let down = match self.roll(10) {
                0 => CONTRACT.delete_delay_ms,
                _ => MINUTE,
            };
            self.sleep(down).await;
            self.note("starts again");
            if self.actor.role == Role::Reader {
                self.world.reach("S55");
            }
        }
    }
}

/// The delays as a compactor has them: of several, each has its own.
pub(crate) fn compactor_contract(process: &Process) -> Contract {
    let delete_delay_ms = match process.roll(3) {
        0 => {
            process.world.reach("S44");
            LONGEST_DELETE_DELAY_MS
        }
        _ => CONTRACT.delete_delay_ms,
    };
    Contract {
        ignore_delay_ms: delete_delay_ms / 2,
        delete_delay_ms,
        ..CONTRACT
    }
}
