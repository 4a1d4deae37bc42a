//! The memory ledger: bytes are reserved before they are allocated.
//!
//! Every request opens an [`Account`] and reserves there what it is about to allocate. The rules
//! that keep the process within its limit, and two half-served requests from locking each other:
//!
//! 1. An account that holds nothing waits in line (first come, first served, bounded in number and
//!    time) until its request fits, then fails as [`Exhausted`].
//! 2. An account that holds memory never waits. What does not fit fails at once, so that the
//!    request can shrink, or end and give back what it has.
//! 3. Except that the oldest holder may also draw on a reserve slice which nobody else gets, so
//!    that one request always has room to finish.
//!
//! Nobody holds and waits, so there is no cycle to lock. Accounts that live as long as the process
//! (caches) are [`Ledger::standing_account`]s: they never wait and never count as the oldest.
//!
//! Accounts take memory from the ledger in slabs: most reservations are one atomic operation.
//! The figures of the ledger therefore count slabs that are not yet used up as in use.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Free memory that an account takes or keeps beyond what it reserved.
const SLAB_BYTES: u64 = 64 * 1024;
/// A slab is taken only if this many of them are free, so that slabs never crowd out requests.
const SLAB_SCARCITY: u64 = 16;

/// The memory of the process, shared by all accounts. Clones are the same ledger.
#[derive(Debug, Clone)]
pub struct Ledger {
    shared: Arc<Shared>,
}

/// The bounds of a [`Ledger`].
#[derive(Debug, Clone)]
pub struct LedgerConfig {
    /// All bytes that may be reserved at a time.
    pub limit_bytes: u64,
    /// The part of the limit that only the oldest holder may draw on.
    pub reserve_bytes: u64,
    /// How many reservations may wait in line.
    pub max_waiters: usize,
    /// How long a reservation waits in line before it fails.
    pub max_wait: Duration,
}

/// What a [`Ledger`] shows to metrics and tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LedgerStats {
    /// The limit, in bytes.
    pub limit_bytes: u64,
    /// Bytes held by accounts, slabs included.
    pub in_use_bytes: u64,
    /// The most that was ever in use.
    pub peak_bytes: u64,
    /// Reservations in line.
    pub waiting: usize,
    /// Open accounts.
    pub accounts: usize,
    /// Reservations that had to wait, ever.
    pub waited_total: u64,
    /// Reservations that failed, ever.
    pub exhausted_total: u64,
}

/// One request's (or one cache's) share of the ledger. Clones are the same account; it closes
/// when the last clone and the last reservation are gone.
#[derive(Debug, Clone)]
pub struct Account {
    shared: Arc<AccountShared>,
}

/// Reserved bytes, given back on drop.
#[derive(Debug)]
#[must_use = "dropping a reservation gives the bytes back"]
pub struct Reservation {
    account: Arc<AccountShared>,
    bytes: u64,
}

/// A reservation that did not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "memory limit reached: {account} asked for {requested_bytes} bytes while {in_use_bytes} of \
     {limit_bytes} bytes are in use ({reason}); ask for less data at once or raise --memory.limit"
)]
pub struct Exhausted {
    /// Name of the account that asked.
    pub account: Arc<str>,
    /// Bytes that were asked for.
    pub requested_bytes: u64,
    /// Bytes in use in the whole process at that time.
    pub in_use_bytes: u64,
    /// The limit of the whole process.
    pub limit_bytes: u64,
    /// Which rule refused it.
    pub reason: ExhaustedReason,
}

/// The rule that refused a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExhaustedReason {
    /// It would not even fit into an empty ledger.
    #[error("larger than the limit allows")]
    TooLarge,
    /// The account holds memory already, or is a standing one, and never waits.
    #[error("nothing left for a request under way")]
    NotWaiting,
    /// The line is full.
    #[error("too many requests waiting")]
    QueueFull,
    /// It waited in line for as long as it may.
    #[error("waited too long")]
    TimedOut,
}

#[derive(Debug)]
struct Shared {
    config: LedgerConfig,
    books: Mutex<Books>,
    /// Copy of `books.waiters.len()` for the lock-free path.
    waiting: AtomicUsize,
}

#[derive(Debug, Default)]
struct Books {
    in_use: u64,
    peak: u64,
    next_id: u64,
    accounts: usize,
    /// Ids of accounts that hold memory; the first is the oldest. Standing ones are not in it.
    holders: BTreeSet<u64>,
    /// By ticket, which is the order of arrival.
    waiters: BTreeMap<u64, Waiter>,
    waited_total: u64,
    exhausted_total: u64,
}

#[derive(Debug)]
struct Waiter {
    account: Arc<AccountShared>,
    bytes: u64,
    answer: oneshot::Sender<Result<Reservation, Exhausted>>,
}

/// Answers to be sent after the lock is released: a receiver that is gone makes the answer drop,
/// and a reservation that drops takes the lock.
#[derive(Default)]
struct Answers(Vec<(Waiter, Result<Reservation, Exhausted>)>);

#[derive(Debug)]
struct AccountShared {
    ledger: Arc<Shared>,
    name: Arc<str>,
    /// Order of birth.
    id: u64,
    standing: bool,
    /// Bytes taken from the ledger; changed only under the lock of the books.
    granted: AtomicU64,
    peak: AtomicU64,
    /// The part of `granted` that is not reserved. Taken from and given to without the lock.
    free: AtomicU64,
    /// Waiters of this account; changed only under the lock of the books.
    waiting: AtomicUsize,
}

/// Leaves the line when the waiting future is dropped or gives up.
struct InLine<'a> {
    ledger: &'a Shared,
    ticket: u64,
}

impl LedgerConfig {
    /// The usual bounds for a limit: an eighth of it in reserve (at most 256 MiB), 1,024 waiters,
    /// 30 s of waiting.
    #[must_use]
    pub fn new(limit_bytes: u64) -> Self {
        Self {
            limit_bytes,
            reserve_bytes: (limit_bytes / 8).min(256 << 20),
            max_waiters: 1024,
            max_wait: Duration::from_secs(30),
        }
    }
}

impl Ledger {
    /// A ledger over `limit_bytes` with the usual bounds.
    #[must_use]
    pub fn new(limit_bytes: u64) -> Self {
        Self::with_config(LedgerConfig::new(limit_bytes))
    }

    /// A ledger with bounds of one's own.
    #[must_use]
    pub fn with_config(config: LedgerConfig) -> Self {
        let shared = Shared {
            config,
            books: Mutex::default(),
            waiting: AtomicUsize::new(0),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Opens the account of a request. `name` is for error messages: method and tenant.
    #[must_use]
    pub fn account(&self, name: impl Into<Arc<str>>) -> Account {
        self.open(name.into(), false)
    }

    /// Opens the account of something that lives as long as the process, such as a cache.
    #[must_use]
    pub fn standing_account(&self, name: impl Into<Arc<str>>) -> Account {
        self.open(name.into(), true)
    }

    /// The figures now.
    #[must_use]
    pub fn stats(&self) -> LedgerStats {
        let books = self.shared.books.lock();
        LedgerStats {
            limit_bytes: self.shared.config.limit_bytes,
            in_use_bytes: books.in_use,
            peak_bytes: books.peak,
            waiting: books.waiters.len(),
            accounts: books.accounts,
            waited_total: books.waited_total,
            exhausted_total: books.exhausted_total,
        }
    }

    fn open(&self, name: Arc<str>, standing: bool) -> Account {
        let mut books = self.shared.books.lock();
        books.accounts += 1;
        let shared = AccountShared {
            ledger: Arc::clone(&self.shared),
            name,
            id: books.take_id(),
            standing,
            granted: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            free: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
        };
        Account {
            shared: Arc::new(shared),
        }
    }
}

impl Account {
    /// Reserves `bytes`, waiting in line if the account holds nothing yet.
    ///
    /// Dropping the future leaves the line without a trace.
    ///
    /// # Errors
    /// [`Exhausted`], by the rules at the top of this module.
    pub async fn reserve(&self, bytes: u64) -> Result<Reservation, Exhausted> {
        let (ticket, answer) = match self.begin(bytes, true) {
            Begun::Done(result) => return result,
            Begun::InLine(ticket, answer) => (ticket, answer),
        };
        let ledger = &*self.shared.ledger;
        let in_line = InLine { ledger, ticket };
        match tokio::time::timeout(ledger.config.max_wait, answer).await {
            Ok(Ok(result)) => result,
            // The sender lives in the books until the answer is sent, so this is the timeout.
            Ok(Err(_)) | Err(_) => {
                drop(in_line);
                Err(self.shared.exhausted(bytes, ExhaustedReason::TimedOut))
            }
        }
    }

    /// Reserves `bytes` if they fit now, never waiting.
    ///
    /// # Errors
    /// [`Exhausted`] if they do not fit.
    pub fn try_reserve(&self, bytes: u64) -> Result<Reservation, Exhausted> {
        match self.begin(bytes, false) {
            Begun::Done(result) => result,
            Begun::InLine(..) => unreachable!("only a reservation that may wait gets in line"),
        }
    }

    /// An empty reservation, to be grown.
    pub fn empty(&self) -> Reservation {
        AccountShared::reservation(&self.shared, 0)
    }

    /// The name given at the start.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Bytes reserved here now.
    #[must_use]
    pub fn in_use_bytes(&self) -> u64 {
        let free = self.shared.free.load(Ordering::Relaxed);
        self.shared
            .granted
            .load(Ordering::Relaxed)
            .saturating_sub(free)
    }

    /// The most this account ever held, slabs included.
    #[must_use]
    pub fn peak_bytes(&self) -> u64 {
        self.shared.peak.load(Ordering::Relaxed)
    }

    fn begin(&self, bytes: u64, may_wait: bool) -> Begun {
        if self.shared.take_free(bytes) {
            return Begun::Done(Ok(AccountShared::reservation(&self.shared, bytes)));
        }
        self.begin_slow(bytes, may_wait)
    }

    #[cold]
    fn begin_slow(&self, bytes: u64, may_wait: bool) -> Begun {
        let (account, ledger) = (&self.shared, &*self.shared.ledger);
        let mut books = ledger.books.lock();
        // What is free here counts towards the request; afterwards `granted` is what is held.
        books.give_back(account, account.free.swap(0, Ordering::AcqRel));
        let mut answers = Answers::default();
        let begun = if books.waiters.is_empty() && books.fits(ledger, bytes)
            || books.fits_holder(ledger, account, bytes)
        {
            books.grant(account, bytes);
            books.grant_slab(ledger, account);
            Ok(Begun::Done(Ok(AccountShared::reservation(account, bytes))))
        } else if bytes > ledger.general_bytes() {
            Err(ExhaustedReason::TooLarge)
        } else if account.standing || !may_wait || account.holds() {
            Err(ExhaustedReason::NotWaiting)
        } else if books.waiters.len() >= ledger.config.max_waiters {
            Err(ExhaustedReason::QueueFull)
        } else {
            let (answer, receiver) = oneshot::channel();
            let ticket = books.take_id();
            let waiter = Waiter {
                account: Arc::clone(account),
                bytes,
                answer,
            };
            account.waiting.fetch_add(1, Ordering::Relaxed);
            books.waiters.insert(ticket, waiter);
            books.waited_total += 1;
            Ok(Begun::InLine(ticket, receiver))
        };
        // The bytes that were free here may let somebody in.
        books.serve_line(ledger, &mut answers);
        let begun = begun.unwrap_or_else(|reason| {
            Begun::Done(Err(books.refuse(ledger, account, bytes, reason)))
        });
        drop(books);
        answers.send();
        begun
    }
}

enum Begun {
    Done(Result<Reservation, Exhausted>),
    InLine(u64, oneshot::Receiver<Result<Reservation, Exhausted>>),
}

impl Reservation {
    /// Bytes reserved here.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reserves `bytes` more, without waiting.
    ///
    /// # Errors
    /// [`Exhausted`]; the reservation then is what it was.
    pub fn grow(&mut self, bytes: u64) -> Result<(), Exhausted> {
        if !self.account.take_free(bytes) {
            let account = Account {
                shared: Arc::clone(&self.account),
            };
            self.merge(account.try_reserve(bytes)?);
            return Ok(());
        }
        self.bytes += bytes;
        Ok(())
    }

    /// Gives back what exceeds `to_bytes`.
    pub fn shrink(&mut self, to_bytes: u64) {
        let excess = self.bytes.saturating_sub(to_bytes);
        self.bytes -= excess;
        self.account.release(excess);
    }

    /// Takes `bytes` (or all, if there are fewer) out into a reservation of their own.
    pub fn split(&mut self, bytes: u64) -> Self {
        let taken = bytes.min(self.bytes);
        self.bytes -= taken;
        AccountShared::reservation(&self.account, taken)
    }

    /// Takes over the bytes of `other`. If that is of another account, they move to this one's
    /// only when given back; merge within one account.
    pub fn merge(&mut self, mut other: Self) {
        debug_assert!(
            Arc::ptr_eq(&self.account, &other.account),
            "merge within one account"
        );
        self.bytes += std::mem::take(&mut other.bytes);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.account.release(self.bytes);
    }
}

impl Shared {
    /// What others than the oldest holder may have between them.
    fn general_bytes(&self) -> u64 {
        self.config
            .limit_bytes
            .saturating_sub(self.config.reserve_bytes)
    }
}

impl Books {
    fn take_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn fits(&self, ledger: &Shared, bytes: u64) -> bool {
        self.in_use.saturating_add(bytes) <= ledger.general_bytes()
    }

    /// A holder passes the line, and the oldest one may draw on the reserve.
    fn fits_holder(&self, ledger: &Shared, account: &AccountShared, bytes: u64) -> bool {
        if account.standing {
            return self.fits(ledger, bytes);
        }
        let oldest = self.holders.first() == Some(&account.id);
        let within = if oldest {
            ledger.config.limit_bytes
        } else {
            ledger.general_bytes()
        };
        account.holds() && self.in_use.saturating_add(bytes) <= within
    }

    fn grant(&mut self, account: &AccountShared, bytes: u64) {
        if bytes == 0 {
            return;
        }
        self.in_use += bytes;
        self.peak = self.peak.max(self.in_use);
        let granted = account.granted.fetch_add(bytes, Ordering::Relaxed) + bytes;
        account.peak.fetch_max(granted, Ordering::Relaxed);
        if !account.standing {
            self.holders.insert(account.id);
        }
    }

    /// Adds a slab for the small reservations to come, as long as memory is plentiful.
    fn grant_slab(&mut self, ledger: &Shared, account: &AccountShared) {
        if self.waiters.is_empty() && self.fits(ledger, SLAB_BYTES * SLAB_SCARCITY) {
            self.grant(account, SLAB_BYTES);
            account.free.fetch_add(SLAB_BYTES, Ordering::Release);
        }
    }

    fn give_back(&mut self, account: &AccountShared, bytes: u64) {
        if bytes == 0 {
            return;
        }
        self.in_use -= bytes;
        let granted = account.granted.fetch_sub(bytes, Ordering::Relaxed) - bytes;
        if granted == 0 {
            self.holders.remove(&account.id);
        }
    }

    /// Lets in from the head of the line whoever fits. An account that was let in holds memory, so
    /// its other waiters are answered at once too.
    fn serve_line(&mut self, ledger: &Shared, answers: &mut Answers) {
        while let Some(head) = self.waiters.first_entry() {
            let bytes = head.get().bytes;
            if self.in_use.saturating_add(bytes) > ledger.general_bytes() {
                break;
            }
            let waiter = head.remove();
            let account = Arc::clone(&waiter.account);
            self.answer(ledger, waiter, answers);
            self.serve_siblings(ledger, &account, answers);
        }
        ledger.waiting.store(self.waiters.len(), Ordering::Release);
    }

    fn serve_siblings(&mut self, ledger: &Shared, account: &AccountShared, answers: &mut Answers) {
        if account.waiting.load(Ordering::Relaxed) == 0 {
            return;
        }
        let tickets: Vec<u64> = self
            .waiters
            .iter()
            .filter(|(_, waiter)| waiter.account.id == account.id)
            .map(|(ticket, _)| *ticket)
            .collect();
        for ticket in tickets {
            if let Some(waiter) = self.waiters.remove(&ticket) {
                self.answer(ledger, waiter, answers);
            }
        }
    }

    fn answer(&mut self, ledger: &Shared, waiter: Waiter, answers: &mut Answers) {
        let account = &waiter.account;
        account.waiting.fetch_sub(1, Ordering::Relaxed);
        let result =
            if self.fits(ledger, waiter.bytes) || self.fits_holder(ledger, account, waiter.bytes) {
                self.grant(account, waiter.bytes);
                Ok(AccountShared::reservation(account, waiter.bytes))
            } else {
                Err(self.refuse(ledger, account, waiter.bytes, ExhaustedReason::NotWaiting))
            };
        answers.0.push((waiter, result));
    }

    fn refuse(
        &mut self,
        ledger: &Shared,
        account: &AccountShared,
        requested_bytes: u64,
        reason: ExhaustedReason,
    ) -> Exhausted {
        self.exhausted_total += 1;
        Exhausted {
            account: Arc::clone(&account.name),
            requested_bytes,
            in_use_bytes: self.in_use,
            limit_bytes: ledger.config.limit_bytes,
            reason,
        }
    }
}

impl Answers {
    fn send(self) {
        for (waiter, result) in self.0 {
            // A receiver that is gone hands the reservation back, which drops it here.
            drop(waiter.answer.send(result));
        }
    }
}

impl AccountShared {
    fn reservation(this: &Arc<Self>, bytes: u64) -> Reservation {
        Reservation {
            account: Arc::clone(this),
            bytes,
        }
    }

    /// Exact only under the lock of the books and after `free` was swapped out.
    fn holds(&self) -> bool {
        self.granted.load(Ordering::Relaxed) > 0
    }

    fn take_free(&self, bytes: u64) -> bool {
        self.free
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |free| {
                free.checked_sub(bytes)
            })
            .is_ok()
    }

    /// Keeps up to two slabs for the next reservations, unless somebody waits for memory.
    fn release(&self, bytes: u64) {
        if bytes == 0 {
            return;
        }
        let free = self.free.fetch_add(bytes, Ordering::AcqRel) + bytes;
        if free > 2 * SLAB_BYTES || self.ledger.waiting.load(Ordering::Acquire) > 0 {
            self.return_free();
        }
    }

    #[cold]
    fn return_free(&self) {
        let mut answers = Answers::default();
        let mut books = self.ledger.books.lock();
        books.give_back(self, self.free.swap(0, Ordering::AcqRel));
        books.serve_line(&self.ledger, &mut answers);
        drop(books);
        answers.send();
    }

    fn exhausted(&self, bytes: u64, reason: ExhaustedReason) -> Exhausted {
        self.ledger
            .books
            .lock()
            .refuse(&self.ledger, self, bytes, reason)
    }
}

impl Drop for AccountShared {
    fn drop(&mut self) {
        self.return_free();
        self.ledger.books.lock().accounts -= 1;
    }
}

impl Drop for InLine<'_> {
    /// If the answer was sent meanwhile, it is dropped with the receiver and gives its bytes back.
    fn drop(&mut self) {
        let mut answers = Answers::default();
        let mut books = self.ledger.books.lock();
        let waiter = books.waiters.remove(&self.ticket);
        if let Some(waiter) = &waiter {
            waiter.account.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        // A large request that gives up may have blocked smaller ones behind it.
        books.serve_line(self.ledger, &mut answers);
        drop(books);
        answers.send();
        drop(waiter);
    }
}

#[cfg(test)]
mod tests;
