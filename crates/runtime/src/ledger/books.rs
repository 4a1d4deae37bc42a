//! The rules of the ledger, all under one lock.
//!
//! Nothing here drops a [`Reservation`] or the last reference to an account: both take the lock.
//! Answers to waiters and waiters that leave are therefore handed out, to be dropped after it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::oneshot;

use super::{
    AccountShared, Exhausted, ExhaustedReason, LedgerConfig, LedgerStats, Reservation, SLAB_BYTES,
};

/// A slab is taken only if this many of them are free, so that slabs never crowd out requests.
const SLAB_SCARCITY: u64 = 16;

#[derive(Debug)]
pub(super) struct Books {
    config: LedgerConfig,
    next_id: u64,
    in_use: u64,
    peak: u64,
    accounts: usize,
    /// Accounts that were granted memory, by age.
    holders: BTreeMap<u64, Arc<Counters>>,
    /// By ticket, which is the order of arrival.
    waiters: BTreeMap<u64, Waiter>,
    waited_total: u64,
    exhausted_total: u64,
}

/// What the books know of an account.
#[derive(Debug)]
pub(super) struct Counters {
    pub(super) name: Arc<str>,
    /// Order of birth.
    id: u64,
    standing: bool,
    /// Bytes taken from the ledger; changed only under the lock.
    granted: AtomicU64,
    /// Most of `granted`.
    peak: AtomicU64,
    /// The part of `granted` that is not reserved. Taken from and given to without the lock.
    parked: AtomicU64,
}

#[derive(Debug)]
pub(super) struct Waiter {
    account: Arc<AccountShared>,
    bytes: u64,
    answer: oneshot::Sender<Result<Reservation, Exhausted>>,
}

pub(super) enum Admission {
    Now(Result<Reservation, Exhausted>),
    /// The ticket, and where the answer comes.
    InLine(u64, oneshot::Receiver<Result<Reservation, Exhausted>>),
}

/// Answers to be sent after the lock is released.
#[derive(Default)]
pub(super) struct Answers(Vec<(Waiter, Result<Reservation, Exhausted>)>);

impl Books {
    pub(super) fn new(config: LedgerConfig) -> Self {
        Self {
            config,
            next_id: 0,
            in_use: 0,
            peak: 0,
            accounts: 0,
            holders: BTreeMap::new(),
            waiters: BTreeMap::new(),
            waited_total: 0,
            exhausted_total: 0,
        }
    }

    pub(super) fn open(&mut self, name: Arc<str>, standing: bool) -> Arc<Counters> {
        self.accounts += 1;
        Arc::new(Counters {
            name,
            id: self.take_id(),
            standing,
            granted: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            parked: AtomicU64::new(0),
        })
    }

    /// Nothing is reserved in an account that closes, so all that it holds is parked.
    pub(super) fn close(&mut self, account: &Counters) {
        self.reclaim(account);
        debug_assert!(!account.holds(), "an account closed with memory reserved");
        self.accounts -= 1;
    }

    /// Decides on a request. What slabs hold is looked at before anybody waits or fails.
    pub(super) fn admit(
        &mut self,
        account: &Arc<AccountShared>,
        bytes: u64,
        may_wait: bool,
        answers: &mut Answers,
    ) -> Admission {
        let counters = &account.counters;
        self.reclaim(counters);
        let mut granted = self.try_grant(counters, bytes);
        if !granted {
            self.reclaim_all();
            self.serve_line(answers);
            granted = self.try_grant(counters, bytes);
        }
        let admission = if granted {
            self.grant_slab(counters);
            Admission::Now(Ok(AccountShared::reservation(account, bytes)))
        } else if let Some(reason) = self.why_not_wait(counters, bytes, may_wait) {
            Admission::Now(Err(self.refuse(counters, bytes, reason)))
        } else {
            self.line_up(account, bytes)
        };
        self.serve_line(answers);
        admission
    }

    /// Takes back what an account has parked.
    pub(super) fn reclaim(&mut self, account: &Counters) {
        let bytes = account.parked.swap(0, Ordering::SeqCst);
        if bytes == 0 {
            return;
        }
        self.in_use -= bytes;
        let granted = account.granted.fetch_sub(bytes, Ordering::Relaxed) - bytes;
        if granted == 0 {
            self.holders.remove(&account.id);
        }
    }

    /// Lets in from the head of the line whoever fits. An account that was let in holds memory and
    /// waits no longer, so its other waiters are answered at once too.
    pub(super) fn serve_line(&mut self, answers: &mut Answers) {
        while let Some(head) = self.waiters.first_entry() {
            let bytes = head.get().bytes;
            if self.in_use.saturating_add(bytes) > self.config.general_bytes() {
                break;
            }
            let head = head.remove();
            let counters = Arc::clone(&head.account.counters);
            self.grant(&counters, bytes);
            let reservation = AccountShared::reservation(&head.account, bytes);
            answers.0.push((head, Ok(reservation)));
            self.answer_siblings(&counters, answers);
        }
    }

    /// The waiter of `ticket`, if it has not been answered; to be dropped after the lock.
    pub(super) fn leave_line(&mut self, ticket: u64) -> Option<Waiter> {
        self.waiters.remove(&ticket)
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiters.len()
    }

    pub(super) fn refuse(
        &mut self,
        account: &Counters,
        requested_bytes: u64,
        reason: ExhaustedReason,
    ) -> Exhausted {
        self.exhausted_total += 1;
        Exhausted {
            account: Arc::clone(&account.name),
            requested_bytes,
            in_use_bytes: self.in_use,
            limit_bytes: self.config.limit_bytes,
            reason,
        }
    }

    pub(super) fn stats(&self) -> LedgerStats {
        LedgerStats {
            limit_bytes: self.config.limit_bytes,
            in_use_bytes: self.in_use,
            peak_bytes: self.peak,
            waiting: self.waiters.len(),
            accounts: self.accounts,
            waited_total: self.waited_total,
            exhausted_total: self.exhausted_total,
        }
    }

    fn take_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn fits(&self, bytes: u64) -> bool {
        self.in_use.saturating_add(bytes) <= self.config.general_bytes()
    }

    /// Grants `bytes` if the rules allow it: a new account keeps behind the line, a holder passes
    /// it, and the oldest holder may draw on the reserve.
    fn try_grant(&mut self, account: &Arc<Counters>, bytes: u64) -> bool {
        let passes_line = account.standing || account.holds() || self.waiters.is_empty();
        let within_limit = self.in_use.saturating_add(bytes) <= self.config.limit_bytes;
        let granted =
            passes_line && self.fits(bytes) || within_limit && self.is_oldest_holder(account);
        if granted {
            self.grant(account, bytes);
        }
        granted
    }

    fn is_oldest_holder(&self, account: &Counters) -> bool {
        let oldest = self.holders.values().find(|holder| !holder.standing);
        oldest.is_some_and(|holder| holder.id == account.id)
    }

    fn grant(&mut self, account: &Arc<Counters>, bytes: u64) {
        self.in_use += bytes;
        self.peak = self.peak.max(self.in_use);
        let granted = account.granted.fetch_add(bytes, Ordering::Relaxed) + bytes;
        account.peak.fetch_max(granted, Ordering::Relaxed);
        self.holders
            .entry(account.id)
            .or_insert_with(|| Arc::clone(account));
    }

    /// Adds a slab for the small reservations to come, as long as memory is plentiful.
    fn grant_slab(&mut self, account: &Arc<Counters>) {
        if self.waiters.is_empty() && self.fits(SLAB_BYTES * SLAB_SCARCITY) {
            self.grant(account, SLAB_BYTES);
            account.park(SLAB_BYTES);
        }
    }

    fn reclaim_all(&mut self) {
        let holders: Vec<_> = self.holders.values().map(Arc::clone).collect();
        for holder in holders {
            self.reclaim(&holder);
        }
    }

    fn why_not_wait(
        &self,
        account: &Counters,
        bytes: u64,
        may_wait: bool,
    ) -> Option<ExhaustedReason> {
        if bytes > self.config.general_bytes() {
            Some(ExhaustedReason::TooLarge)
        } else if account.standing || !may_wait || account.holds() {
            Some(ExhaustedReason::NotWaiting)
        } else if self.waiters.len() >= self.config.max_waiters {
            Some(ExhaustedReason::QueueFull)
        } else {
            None
        }
    }

    fn line_up(&mut self, account: &Arc<AccountShared>, bytes: u64) -> Admission {
        let (answer, receiver) = oneshot::channel();
        let ticket = self.take_id();
        let account = Arc::clone(account);
        self.waiters.insert(
            ticket,
            Waiter {
                account,
                bytes,
                answer,
            },
        );
        self.waited_total += 1;
        Admission::InLine(ticket, receiver)
    }

    fn answer_siblings(&mut self, account: &Arc<Counters>, answers: &mut Answers) {
        let siblings: Vec<_> = self
            .waiters
            .extract_if(.., |_, waiter| waiter.account.counters.id == account.id)
            .collect();
        for (_, waiter) in siblings {
            let result = if self.try_grant(account, waiter.bytes) {
                Ok(AccountShared::reservation(&waiter.account, waiter.bytes))
            } else {
                Err(self.refuse(account, waiter.bytes, ExhaustedReason::NotWaiting))
            };
            answers.0.push((waiter, result));
        }
    }
}

impl Answers {
    pub(super) fn send(self) {
        for (waiter, result) in self.0 {
            // A receiver that is gone hands the reservation back, which drops it here.
            drop(waiter.answer.send(result));
        }
    }
}

impl Counters {
    /// Takes `bytes` from what is parked.
    pub(super) fn take_parked(&self, bytes: u64) -> bool {
        self.parked
            .fetch_update(Ordering::SeqCst, Ordering::Relaxed, |parked| {
                parked.checked_sub(bytes)
            })
            .is_ok()
    }

    /// Parks `bytes` that were reserved and returns how many are parked now.
    pub(super) fn park(&self, bytes: u64) -> u64 {
        self.parked.fetch_add(bytes, Ordering::SeqCst) + bytes
    }

    pub(super) fn reserved_bytes(&self) -> u64 {
        let parked = self.parked.load(Ordering::Relaxed);
        self.granted.load(Ordering::Relaxed).saturating_sub(parked)
    }

    pub(super) fn peak_bytes(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }

    /// Exact only under the lock, right after a reclaim.
    fn holds(&self) -> bool {
        self.granted.load(Ordering::Relaxed) > 0
    }
}
