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
//! The figures of the ledger therefore count slabs that are not yet used up as in use, but before
//! anybody waits or fails, whatever is parked in slabs is taken back.

mod books;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use self::books::{Admission, Answers, Books, Counters};

/// Free memory that an account takes or keeps beyond what it reserved.
const SLAB_BYTES: u64 = 64 * 1024;

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
    /// Length of the line, for those who give back without the lock.
    waiting: AtomicUsize,
}

#[derive(Debug)]
struct AccountShared {
    ledger: Arc<Shared>,
    counters: Arc<Counters>,
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

    /// What others than the oldest holder may have between them.
    fn general_bytes(&self) -> u64 {
        self.limit_bytes.saturating_sub(self.reserve_bytes)
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
        let books = Mutex::new(Books::new(config.clone()));
        let waiting = AtomicUsize::new(0);
        Self {
            shared: Arc::new(Shared {
                config,
                books,
                waiting,
            }),
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
        self.shared.books.lock().stats()
    }

    fn open(&self, name: Arc<str>, standing: bool) -> Account {
        let counters = self.shared.books.lock().open(name, standing);
        let ledger = Arc::clone(&self.shared);
        Account {
            shared: Arc::new(AccountShared { ledger, counters }),
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
        if self.shared.counters.take_parked(bytes) {
            return Ok(AccountShared::reservation(&self.shared, bytes));
        }
        let (ticket, answer) = match self.admit(bytes, true) {
            Admission::Now(result) => return result,
            Admission::InLine(ticket, answer) => (ticket, answer),
        };
        let ledger = &*self.shared.ledger;
        let in_line = InLine { ledger, ticket };
        // The sender lives in the books until it answers, so an error is always the timeout.
        if let Ok(Ok(result)) = tokio::time::timeout(ledger.config.max_wait, answer).await {
            return result;
        }
        drop(in_line);
        let mut books = ledger.books.lock();
        Err(books.refuse(&self.shared.counters, bytes, ExhaustedReason::TimedOut))
    }

    /// Reserves `bytes` if they fit now, never waiting.
    ///
    /// # Errors
    /// [`Exhausted`] if they do not fit.
    pub fn try_reserve(&self, bytes: u64) -> Result<Reservation, Exhausted> {
        if self.shared.counters.take_parked(bytes) {
            return Ok(AccountShared::reservation(&self.shared, bytes));
        }
        match self.admit(bytes, false) {
            Admission::Now(result) => result,
            Admission::InLine(..) => unreachable!("only a reservation that may wait gets in line"),
        }
    }

    /// An empty reservation, to be grown.
    pub fn empty(&self) -> Reservation {
        AccountShared::reservation(&self.shared, 0)
    }

    /// The name given at the start.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.counters.name
    }

    /// Bytes reserved here now.
    #[must_use]
    pub fn in_use_bytes(&self) -> u64 {
        self.shared.counters.reserved_bytes()
    }

    /// The most this account ever held, slabs included.
    #[must_use]
    pub fn peak_bytes(&self) -> u64 {
        self.shared.counters.peak_bytes()
    }

    #[cold]
    fn admit(&self, bytes: u64, may_wait: bool) -> Admission {
        let ledger = &*self.shared.ledger;
        let mut answers = Answers::default();
        let mut books = ledger.books.lock();
        // From here on whoever gives back sees that somebody waits, so that nothing parks unseen
        // between the look at the slabs and the place in line.
        ledger.waiting.fetch_add(1, Ordering::SeqCst);
        let admission = books.admit(&self.shared, bytes, may_wait, &mut answers);
        ledger.waiting.store(books.waiting(), Ordering::SeqCst);
        drop(books);
        answers.send();
        admission
    }
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
        if self.account.counters.take_parked(bytes) {
            self.bytes += bytes;
            return Ok(());
        }
        let shared = Arc::clone(&self.account);
        self.merge(Account { shared }.try_reserve(bytes)?);
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

    /// Takes over the bytes of `other`, which must be of the same account.
    pub fn merge(&mut self, mut other: Self) {
        assert!(
            Arc::ptr_eq(&self.account, &other.account),
            "reservations of two accounts cannot be merged"
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
    /// Changes the books and then answers whoever the change lets in.
    fn settle<T>(&self, change: impl FnOnce(&mut Books) -> T) -> T {
        let mut answers = Answers::default();
        let mut books = self.books.lock();
        let result = change(&mut books);
        books.serve_line(&mut answers);
        self.waiting.store(books.waiting(), Ordering::SeqCst);
        drop(books);
        answers.send();
        result
    }
}

impl AccountShared {
    fn reservation(this: &Arc<Self>, bytes: u64) -> Reservation {
        Reservation {
            account: Arc::clone(this),
            bytes,
        }
    }

    /// Keeps up to two slabs for the next reservations, unless somebody waits for memory.
    fn release(&self, bytes: u64) {
        if bytes == 0 {
            return;
        }
        let parked = self.counters.park(bytes);
        if parked > 2 * SLAB_BYTES || self.ledger.waiting.load(Ordering::SeqCst) > 0 {
            self.ledger.settle(|books| books.reclaim(&self.counters));
        }
    }
}

impl Drop for AccountShared {
    fn drop(&mut self) {
        self.ledger.settle(|books| books.close(&self.counters));
    }
}

impl Drop for InLine<'_> {
    /// If the answer was sent meanwhile, it is dropped with the receiver and gives its bytes back.
    /// Otherwise those behind may fit now.
    fn drop(&mut self) {
        let left = self.ledger.settle(|books| books.leave_line(self.ticket));
        drop(left);
    }
}

#[cfg(test)]
mod tests;
