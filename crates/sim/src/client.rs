//! A process's way to the bucket: where requests fail, lag, arrive late or twice, and where processes
//! crash, freeze and lose their sense of time.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt as _;
use futures::stream::{self, BoxStream, StreamExt as _};
use rutile_block::{is_mark, parse_key};
use rutile_model::ErrorKind;
use rutile_objstore::{
    Attributes, Bucket, BucketReader, Depth, Entry, Error, MultipartUpload, Operation, PutMode,
    Result, UnfinishedUpload,
};
use rutile_runtime::Entropy;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until};

use crate::objects::Objects;
use crate::oracle::Role;
use crate::profile::Fault;
use crate::scenario::{CONTRACT, LAG_MS, MINUTE};
use crate::trace::Event;
use crate::world::{Actor, Shared, World};

mod seen;

const BUCKET: &str = "sim";
/// Requests in 10,000 that a storm throttles.
const STORM_RATE: u64 = 4_000;

/// The bucket as one process has it.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) world: Arc<World>,
    pub(crate) actor: Arc<Actor>,
}

/// What is to go wrong with a request. Drawn as a whole, so that what one request draws does not
/// depend on what becomes of it.
#[derive(Debug)]
struct Fate {
    before: Duration,
    after: Duration,
    fault: Option<Fault>,
    duplicate: bool,
    kind: ErrorKind,
    /// How far back the answer is, ms.
    lag_ms: i64,
    torn: bool,
    seed: u64,
}

impl Client {
    fn roll(&self, below: u64) -> u64 {
        self.actor.entropy.next_u64() % below
    }

    fn hit(&self, fault: Fault) -> bool {
        let scenario = &self.world.scenario;
        let storm = fault == Fault::FailBefore && self.world.is_storm();
        let rate = if storm {
            STORM_RATE
        } else {
            scenario.profile.rate(fault)
        };
        let hit = self.roll(10_000) < rate;
        let hit = hit && self.world.is_chaos() && !scenario.without.contains(&fault);
        if hit {
            self.world.lock().counts.faults[fault as usize] += 1;
        }
        hit
    }

    fn fate(&self, faults: &[Fault]) -> Fate {
        let (before, after) = (self.roll(20), self.roll(20));
        let slow = self.hit(Fault::Slow);
        let factor = if slow { 1_500 } else { 1 };
        let mut fault = None;
        for candidate in faults {
            if self.hit(*candidate) {
                fault = fault.or(Some(*candidate));
            }
        }
        let kinds = [
            ErrorKind::Unavailable,
            ErrorKind::Exhausted,
            ErrorKind::Denied,
        ];
        let kind = self.roll(kinds.len() as u64) as usize;
        Fate {
            before: Duration::from_millis(before * factor),
            after: Duration::from_millis(after),
            duplicate: self.hit(Fault::Duplicate),
            fault,
            // Throttling is what `Unavailable` means too; `Exhausted` would say "too long".
            kind: match kinds.get(kind) {
                Some(ErrorKind::Denied) => ErrorKind::Denied,
                _ => ErrorKind::Unavailable,
            },
            lag_ms: self.roll(LAG_MS as u64) as i64,
            torn: false,
            seed: self.roll(u64::MAX),
        }
    }

    /// What happens to the process before a request is sent.
    async fn enter(&self, operation: Operation, key: &str) {
        self.world.lock().counts.requests += 1;
        // Thanos's compactor is known to lose data when it wakes after days.
        let spared = self.world.scenario.thanos_compactor && self.actor.role == Role::Compactor;
        if self.hit(Fault::Freeze) && !spared {
            let longest = CONTRACT.delete_delay_ms + 30 * MINUTE;
            let length = self.roll(longest as u64);
            let until = Instant::now() + Duration::from_millis(length);
            *self.actor.frozen_until.lock() = Some(until);
            self.log(operation, key, "stands still");
            self.saw_freeze(length as i64);
        }
        if self.hit(Fault::ClockJump) {
            let by_ms = self.roll(240 * MINUTE as u64) as i64 - 120 * MINUTE;
            self.actor.clock.jump(by_ms);
            self.saw_jump(by_ms);
            self.world.note(
                &self.actor.name,
                format!("clock jumps by {} s", by_ms / 1000),
            );
        }
        self.thaw().await;
        if self.hit(Fault::Crash) {
            self.log(operation, key, "not sent: crash");
            self.saw_crash(operation, key, false);
            self.crash().await;
        }
    }

    async fn thaw(&self) {
        loop {
            let until = *self.actor.frozen_until.lock();
            match until.filter(|until| *until > Instant::now()) {
                Some(until) => sleep_until(until).await,
                None => return,
            }
        }
    }

    async fn crash(&self) {
        self.actor.crashed.notify_one();
        std::future::pending::<()>().await;
    }

    fn log(&self, operation: Operation, key: &str, outcome: &'static str) {
        let event = Event::Request {
            operation: operation.as_str(),
            key: key.to_owned(),
            outcome,
        };
        let at_ms = self.world.elapsed_ms();
        self.world.lock().trace.add(at_ms, &self.actor.name, event);
    }

    fn error(&self, kind: ErrorKind, operation: Operation, key: &str) -> Error {
        Error::new(kind, operation, BUCKET, key, "injected fault")
    }

    /// A request that changes nothing. `read` gets the objects and the moment to answer from.
    async fn read<T>(
        &self,
        operation: Operation,
        key: &str,
        read: impl FnOnce(&Objects, i64) -> Result<T>,
    ) -> Result<T> {
        self.enter(operation, key).await;
        let fate = self.fate(&[Fault::FailBefore, Fault::StaleRead]);
        sleep(fate.before + fate.after).await;
        self.thaw().await;
        if fate.fault == Some(Fault::FailBefore) {
            self.log(operation, key, "fails");
            self.saw_failed_read(key);
            return Err(self.error(fate.kind, operation, key));
        }
        let stale = fate.fault == Some(Fault::StaleRead);
        let when_ms = match stale {
            true => self.world.now_ms() - fate.lag_ms,
            false => i64::MAX,
        };
        let answer = self.world.change(|shared| {
            let Shared {
                objects, oracle, ..
            } = shared;
            let answer = read(objects, when_ms);
            // That an object is not there is an answer too, which only `T` tells.
            if operation != Operation::Exists {
                oracle.on_read(objects, self.actor.role, key, answer.is_ok());
            }
            answer
        });
        let outcome = match (&answer, stale) {
            (Ok(_), false) => "ok",
            (Ok(_), true) => "ok, stale",
            (Err(_), false) => "error",
            (Err(_), true) => "error, stale",
        };
        self.log(operation, key, outcome);
        answer
    }

    /// A request that changes something, whether anybody waits for its answer or not.
    async fn write<T: Send + 'static>(
        &self,
        operation: Operation,
        key: &str,
        effect: impl Fn(&mut Shared, i64) -> Result<T> + Send + Sync + 'static,
    ) -> Result<T> {
        self.enter(operation, key).await;
        let fate = self.fate(&[Fault::FailBefore, Fault::FailAfter, Fault::Late]);
        let dies = self.hit(Fault::Crash);
        if fate.fault == Some(Fault::FailBefore) {
            sleep(fate.before).await;
            self.log(operation, key, "fails before its effect");
            return Err(self.error(fate.kind, operation, key));
        }
        let late = fate.fault == Some(Fault::Late);
        let wait = match late {
            true => Duration::from_millis(fate.lag_ms as u64),
            false => fate.before,
        };
        let (answer, answered) = oneshot::channel();
        let (this, owned) = (self.clone(), key.to_owned());
        let again = fate.duplicate.then(|| {
            let lag = fate.seed % LAG_MS as u64;
            Duration::from_millis(lag)
        });
        let landing = async move {
            sleep(wait).await;
            let now_ms = this.world.now_ms();
            let landed = this.world.change(|shared| effect(shared, now_ms));
            let outcome = match (&landed, late) {
                (Ok(_), false) => "takes effect",
                (Ok(_), true) => "takes effect late",
                (Err(_), _) => "is refused",
            };
            this.log(operation, &owned, outcome);
            // Nobody may be left who waits for it.
            answer.send(landed).ok();
            if let Some(again) = again {
                sleep(again).await;
                let now_ms = this.world.now_ms();
                let twice = this.world.change(|shared| effect(shared, now_ms).is_ok());
                if twice {
                    this.log(operation, &owned, "takes effect again");
                }
            }
        };
        drop(self.world.effects.spawn("effect", landing));
        if dies {
            self.log(operation, key, "sent: crash");
            self.saw_crash(operation, key, true);
            self.crash().await;
        }
        if late {
            self.saw_lost_answer(key);
            sleep(fate.after).await;
            self.thaw().await;
            return Err(self.error(ErrorKind::Unavailable, operation, key));
        }
        let landed = answered.await;
        sleep(fate.after).await;
        self.thaw().await;
        if fate.fault == Some(Fault::FailAfter) {
            self.saw_lost_answer(key);
            self.log(operation, key, "reports a failure all the same");
            return Err(self.error(ErrorKind::Unavailable, operation, key));
        }
        landed.unwrap_or_else(|_| Err(self.error(ErrorKind::Unavailable, operation, key)))
    }

    async fn entries(&self, prefix: &str, depth: Depth) -> Result<Vec<Result<Entry>>> {
        let operation = Operation::List;
        self.enter(operation, prefix).await;
        let faults = [
            Fault::FailBefore,
            Fault::BrokenList,
            Fault::TornList,
            Fault::StaleList,
        ];
        let mut fate = self.fate(&faults);
        sleep(fate.before + fate.after).await;
        self.thaw().await;
        if fate.fault == Some(Fault::FailBefore) {
            self.log(operation, prefix, "fails");
            return Err(self.error(fate.kind, operation, prefix));
        }
        fate.torn = fate.fault == Some(Fault::TornList);
        let now_ms = self.world.now_ms();
        let stale = fate.fault == Some(Fault::StaleList);
        let mut seed = fate.seed;
        let when = || match (fate.torn, stale) {
            (true, _) => {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                now_ms - (seed >> 33) as i64 % LAG_MS
            }
            (false, true) => now_ms - fate.lag_ms,
            (false, false) => i64::MAX,
        };
        let attributes = self.world.scenario.listed_attributes;
        let found = self
            .world
            .lock()
            .objects
            .list(prefix, depth, attributes, when);
        if fate.torn || stale {
            self.saw_stale_list(&found);
        }
        let mut entries: Vec<Result<Entry>> = found.into_iter().map(Ok).collect();
        let mut outcome = match (fate.torn, stale) {
            (true, _) => "ok, torn",
            (_, true) => "ok, stale",
            _ => "ok",
        };
        if fate.fault == Some(Fault::BrokenList) {
            entries.truncate(entries.len() / 2);
            entries.push(Err(self.error(ErrorKind::Unavailable, operation, prefix)));
            outcome = "breaks off";
        }
        self.log(operation, prefix, outcome);
        Ok(entries)
    }

    /// Stores less than was sent now and then. Thanos's components do not look again, so what they
    /// write is spared.
    fn tear(&self, key: &str, body: Bytes) -> Bytes {
        let spared = self.actor.role == Role::Thanos || parse_key(key).is_none();
        if spared || !self.hit(Fault::TornWrite) || body.is_empty() {
            return body;
        }
        let length = self.roll(body.len() as u64) as usize;
        let short = if self.roll(3) == 0 { 0 } else { length };
        self.world.reach(if is_mark(key) { "S37" } else { "S7" });
        self.world.note(
            &self.actor.name,
            format!("only {short} bytes of {key} are stored"),
        );
        body.slice(..short)
    }

    /// Cuts an answer short now and then.
    fn cut(&self, body: Bytes) -> Bytes {
        if !self.hit(Fault::Truncated) || body.is_empty() {
            return body;
        }
        let length = self.roll(body.len() as u64) as usize;
        body.slice(..length)
    }
}

fn slice(key: &str, body: &Bytes, range: &Range<u64>) -> Result<Bytes> {
    let size = body.len() as u64;
    if range.start >= range.end || range.start >= size {
        let message = format!("no bytes {}..{} of {size}", range.start, range.end);
        let kind = ErrorKind::Invalid;
        return Err(Error::new(kind, Operation::GetRange, BUCKET, key, message));
    }
    Ok(body.slice(range.start as usize..range.end.min(size) as usize))
}

fn missing(operation: Operation, key: &str) -> Error {
    Error::not_found(operation, BUCKET, key)
}

#[async_trait]
impl BucketReader for Client {
    fn name(&self) -> &str {
        BUCKET
    }

    async fn get(&self, key: &str, limit: u64) -> Result<Bytes> {
        let body = self
            .read(Operation::Get, key, |objects, when| {
                let (body, _) = objects
                    .at(key, when)
                    .ok_or_else(|| missing(Operation::Get, key))?;
                match body.len() as u64 {
                    size if size > limit => Err(Error::too_long(BUCKET, key, size, limit)),
                    _ => Ok(body.clone()),
                }
            })
            .await?;
        Ok(self.cut(body))
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        let operation = Operation::GetRange;
        let read = self.read(operation, key, |objects, when| {
            let (body, _) = objects
                .at(key, when)
                .ok_or_else(|| missing(operation, key))?;
            slice(key, body, &range)
        });
        Ok(self.cut(read.await?))
    }

    async fn get_ranges(&self, key: &str, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let operation = Operation::GetRanges;
        let read = self.read(operation, key, |objects, when| {
            let (body, _) = objects
                .at(key, when)
                .ok_or_else(|| missing(operation, key))?;
            ranges.iter().map(|range| slice(key, body, range)).collect()
        });
        read.await
    }

    async fn attributes(&self, key: &str) -> Result<Attributes> {
        let operation = Operation::Attributes;
        let read = self.read(operation, key, |objects, when| {
            let attributes = objects.attributes(key, when);
            attributes.ok_or_else(|| missing(operation, key))
        });
        read.await
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        let read = |objects: &Objects, when| Ok(objects.at(key, when).is_some());
        self.read(Operation::Exists, key, read).await
    }

    fn list<'a>(&'a self, prefix: &'a str, depth: Depth) -> BoxStream<'a, Result<Entry>> {
        let listed = async move {
            match self.entries(prefix, depth).await {
                Ok(entries) => stream::iter(entries),
                Err(error) => stream::iter(vec![Err(error)]),
            }
        };
        listed.flatten_stream().boxed()
    }
}

#[async_trait]
impl Bucket for Client {
    async fn put(&self, key: &str, body: Bytes, mode: PutMode) -> Result<()> {
        let (actor, owned) = (Arc::clone(&self.actor), key.to_owned());
        if let (true, Ok(text)) = (is_mark(key), str::from_utf8(&body)) {
            self.world.note(&self.actor.name, format!("writes {text}"));
        }
        let (torn, whole) = (self.tear(key, body.clone()), body);
        let effect = move |shared: &mut Shared, now_ms| {
            let before = shared.objects.now(&owned).map(|(body, _)| body.clone());
            if mode == PutMode::Create && before.is_some() {
                return Err(Error::already_exists(Operation::Put, BUCKET, &owned));
            }
            // What is there is replaced whole: a late write must not spoil what was committed since.
            let stored = if before.is_some() { &whole } else { &torn };
            shared.objects.set(&owned, Some(stored.clone()), now_ms);
            let by = (actor.role, actor.name.as_str());
            let Shared {
                objects, oracle, ..
            } = shared;
            oracle.on_put(objects, by, &owned, before, now_ms);
            Ok(())
        };
        self.write(Operation::Put, key, effect).await
    }

    async fn start_multipart(&self, key: &str) -> Result<Box<dyn MultipartUpload>> {
        let owned = key.to_owned();
        let effect = move |shared: &mut Shared, now_ms| Ok(shared.objects.begin(&owned, now_ms));
        let number = self.write(Operation::StartMultipart, key, effect).await?;
        Ok(Box::new(Parts {
            client: self.clone(),
            key: key.to_owned(),
            number,
            body: Vec::new(),
        }))
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let (actor, owned) = (Arc::clone(&self.actor), key.to_owned());
        let effect = move |shared: &mut Shared, now_ms| {
            let by = (actor.role, actor.name.as_str());
            let Shared {
                objects, oracle, ..
            } = shared;
            oracle.before_delete(objects, by, &owned, now_ms);
            objects.set(&owned, None, now_ms);
            oracle.after_delete(objects, by.1, &owned);
            Ok(())
        };
        self.write(Operation::Delete, key, effect).await
    }

    async fn unfinished_uploads(&self) -> Result<Vec<UnfinishedUpload>> {
        let read = |objects: &Objects, _| Ok(objects.uploads.values().cloned().collect());
        self.read(Operation::ListUnfinished, "", read).await
    }

    async fn abort_unfinished(&self, upload: &UnfinishedUpload) -> Result<()> {
        let (id, key) = (upload.id.clone(), upload.key.clone().unwrap_or_default());
        let effect = move |shared: &mut Shared, _| {
            shared.objects.uploads.retain(|_, other| other.id != id);
            Ok(())
        };
        self.write(Operation::AbortMultipart, &key, effect).await
    }
}

/// An upload in parts.
#[derive(Debug)]
struct Parts {
    client: Client,
    key: String,
    number: u64,
    body: Vec<u8>,
}

#[async_trait]
impl MultipartUpload for Parts {
    async fn put_part(&mut self, part: Bytes) -> Result<()> {
        let landed = self
            .client
            .write(Operation::PutPart, &self.key, |_, _| Ok(()));
        landed.await?;
        self.body.extend_from_slice(&part);
        Ok(())
    }

    async fn complete(&mut self) -> Result<()> {
        let (number, key) = (self.number, self.key.clone());
        let body = Bytes::from(std::mem::take(&mut self.body));
        let actor = Arc::clone(&self.client.actor);
        let operation = Operation::CompleteMultipart;
        let effect = move |shared: &mut Shared, now_ms| {
            if shared.objects.uploads.remove(&number).is_none() {
                return Err(missing(operation, &key));
            }
            let before = shared.objects.now(&key).map(|(body, _)| body.clone());
            shared.objects.set(&key, Some(body.clone()), now_ms);
            let by = (actor.role, actor.name.as_str());
            let Shared {
                objects, oracle, ..
            } = shared;
            oracle.on_put(objects, by, &key, before, now_ms);
            Ok(())
        };
        self.client.write(operation, &self.key, effect).await
    }

    async fn abort(&mut self) -> Result<()> {
        let number = self.number;
        let effect = move |shared: &mut Shared, _| {
            shared.objects.uploads.remove(&number);
            Ok(())
        };
        self.client
            .write(Operation::AbortMultipart, &self.key, effect)
            .await
    }
}
