use std::pin::Pin;
use std::task::Poll;

use futures::FutureExt;
use proptest::prelude::*;

use super::*;
use crate::{Entropy, SeededEntropy, TaskGroup};

/// A ledger without room for slabs, so that the figures are exact.
fn ledger(limit_bytes: u64, reserve_bytes: u64) -> Ledger {
    Ledger::with_config(LedgerConfig {
        limit_bytes,
        reserve_bytes,
        max_waiters: 4,
        max_wait: Duration::from_secs(10),
    })
}

fn in_use(ledger: &Ledger) -> u64 {
    ledger.stats().in_use_bytes
}

fn reason(result: Result<Reservation, Exhausted>) -> ExhaustedReason {
    result.unwrap_err().reason
}

#[tokio::test(start_paused = true)]
async fn waits_in_order_of_arrival() {
    let ledger = ledger(100, 0);
    let (a, b, c) = (
        ledger.account("a"),
        ledger.account("b"),
        ledger.account("c"),
    );
    let first = a.try_reserve(60).unwrap();
    let mut second = Box::pin(b.reserve(80));
    let mut third = Box::pin(c.reserve(10));
    assert!(futures::poll!(second.as_mut()).is_pending());
    // It would fit, but it came later.
    assert!(futures::poll!(third.as_mut()).is_pending());
    assert_eq!(ledger.stats().waiting, 2);
    drop(first);
    let second = second.await.unwrap();
    let third = third.await.unwrap();
    assert_eq!(
        (second.bytes(), third.bytes(), in_use(&ledger)),
        (80, 10, 90)
    );
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_with_the_figures() {
    let ledger = ledger(100, 0);
    let (a, b) = (ledger.account("a"), ledger.account("series tenant-1"));
    let held = a.try_reserve(60).unwrap();
    let error = b.reserve(50).await.unwrap_err();
    assert_eq!(error.reason, ExhaustedReason::TimedOut);
    assert_eq!(
        error.to_string(),
        "memory limit reached: series tenant-1 asked for 50 bytes while 60 of 100 bytes are in use \
         (waited too long); ask for less data at once or raise --memory.limit"
    );
    let stats = ledger.stats();
    assert_eq!(
        (stats.waiting, stats.waited_total, stats.exhausted_total),
        (0, 1, 1)
    );
    drop(held);
    assert_eq!(b.reserve(50).await.unwrap().bytes(), 50);
}

#[tokio::test]
async fn refuses_what_can_never_fit_and_a_full_line() {
    let ledger = ledger(100, 20);
    let a = ledger.account("a");
    assert_eq!(reason(a.reserve(81).await), ExhaustedReason::TooLarge);
    let _held = a.try_reserve(80).unwrap();
    let others: Vec<_> = (0..5)
        .map(|n| ledger.account(format!("other {n}")))
        .collect();
    let mut line: Vec<_> = others[..4].iter().map(|o| Box::pin(o.reserve(1))).collect();
    for waiting in &mut line {
        assert!(futures::poll!(waiting.as_mut()).is_pending());
    }
    assert_eq!(
        reason(others[4].reserve(1).await),
        ExhaustedReason::QueueFull
    );
    assert_eq!(
        reason(others[4].try_reserve(1)),
        ExhaustedReason::NotWaiting
    );
}

#[tokio::test]
async fn two_half_served_requests_cannot_lock_each_other() {
    let ledger = ledger(100, 20);
    let (older, younger) = (ledger.account("older"), ledger.account("younger"));
    // The younger one got its first half earlier: age counts from the opening of the account.
    let half_of_younger = younger.reserve(40).await.unwrap();
    let half_of_older = older.reserve(40).await.unwrap();
    // Neither waits: the older draws on the reserve, the younger fails and gives back.
    let rest = older
        .reserve(20)
        .now_or_never()
        .expect("a holder never waits")
        .unwrap();
    let failed = younger
        .reserve(40)
        .now_or_never()
        .expect("a holder never waits");
    assert_eq!(reason(failed), ExhaustedReason::NotWaiting);
    let beyond = older
        .reserve(1)
        .now_or_never()
        .expect("not even the oldest waits");
    assert_eq!(reason(beyond), ExhaustedReason::NotWaiting);
    drop(half_of_younger);
    let more = older.reserve(40).now_or_never().unwrap().unwrap();
    drop((half_of_older, rest, more));
    drop((older, younger));
    assert_eq!(in_use(&ledger), 0);
}

#[tokio::test]
async fn a_holder_passes_the_line_within_the_limit() {
    let ledger = ledger(100, 20);
    let (a, b, c) = (
        ledger.account("a"),
        ledger.account("b"),
        ledger.account("c"),
    );
    let _a = a.try_reserve(30).unwrap();
    let mut b_held = b.try_reserve(30).unwrap();
    let mut waiting = Box::pin(c.reserve(60));
    assert!(futures::poll!(waiting.as_mut()).is_pending());
    b_held.grow(20).unwrap();
    assert!(b_held.grow(1).is_err(), "the reserve is for the oldest");
    assert_eq!((b_held.bytes(), in_use(&ledger)), (50, 80));
    b_held.shrink(0);
    assert!(
        futures::poll!(waiting.as_mut()).is_pending(),
        "30 + 60 would use the reserve"
    );
}

#[tokio::test]
async fn standing_accounts_never_wait_and_never_draw_on_the_reserve() {
    let ledger = ledger(100, 20);
    let cache = ledger.standing_account("cache");
    let _cached = cache.try_reserve(40).unwrap();
    let request = ledger.account("request");
    let _held = request.reserve(40).await.unwrap();
    let refused = cache
        .reserve(1)
        .now_or_never()
        .expect("a cache never waits");
    assert_eq!(reason(refused), ExhaustedReason::NotWaiting);
    // The cache is older, but the request is the oldest that counts.
    assert_eq!(request.reserve(20).await.unwrap().bytes(), 20);
}

#[tokio::test]
async fn dropped_waiters_leave_no_trace() {
    let ledger = ledger(100, 0);
    let (a, b, c) = (
        ledger.account("a"),
        ledger.account("b"),
        ledger.account("c"),
    );
    let held = a.try_reserve(50).unwrap();
    let mut large = Box::pin(b.reserve(90));
    let mut small = Box::pin(c.reserve(10));
    assert!(futures::poll!(large.as_mut()).is_pending());
    assert!(futures::poll!(small.as_mut()).is_pending());
    // Leaving lets in who stood behind.
    drop(large);
    assert_eq!((ledger.stats().waiting, in_use(&ledger)), (0, 60));
    // The answer was sent and never received.
    drop(small);
    drop((b, c));
    assert_eq!(in_use(&ledger), 50);
    drop((held, a));
    let stats = ledger.stats();
    assert_eq!(
        (stats.in_use_bytes, stats.accounts, stats.waiting),
        (0, 0, 0)
    );
}

#[tokio::test]
async fn the_first_grant_ends_the_wait_of_the_whole_account() {
    let ledger = ledger(100, 0);
    let (a, b) = (ledger.account("a"), ledger.account("b"));
    let held = a.try_reserve(100).unwrap();
    let mut one = Box::pin(b.reserve(70));
    let mut two = Box::pin(b.reserve(20));
    let mut three = Box::pin(b.reserve(20));
    for waiting in [&mut one, &mut two, &mut three] {
        assert!(futures::poll!(waiting.as_mut()).is_pending());
    }
    drop(held);
    let one = one.await.unwrap();
    let two = two.await.unwrap();
    assert_eq!(reason(three.await), ExhaustedReason::NotWaiting);
    assert_eq!((one.bytes(), two.bytes(), in_use(&ledger)), (70, 20, 90));
}

#[tokio::test]
async fn slabs_come_back_before_anybody_waits() {
    let ledger = ledger(32 * SLAB_BYTES, 0);
    let (a, b) = (ledger.account("a"), ledger.account("b"));
    let small = a.try_reserve(10).unwrap();
    assert_eq!(in_use(&ledger), 10 + SLAB_BYTES);
    assert_eq!(a.in_use_bytes(), 10);
    // Needs the slab of the other account.
    let large = b
        .reserve(32 * SLAB_BYTES - 10)
        .now_or_never()
        .expect("no need to wait")
        .unwrap();
    assert_eq!(in_use(&ledger), 32 * SLAB_BYTES);
    assert_eq!(a.peak_bytes(), 10 + SLAB_BYTES);
    drop((small, large));
    drop((a, b));
    assert_eq!(
        (in_use(&ledger), ledger.stats().peak_bytes),
        (0, 32 * SLAB_BYTES)
    );
}

#[test]
fn splits_and_merges_conserve() {
    let ledger = ledger(100, 0);
    let account = ledger.account("a");
    let mut all = account.try_reserve(90).unwrap();
    let mut part = all.split(30);
    part.merge(all.split(100));
    assert_eq!((all.bytes(), part.bytes(), in_use(&ledger)), (0, 90, 90));
    part.shrink(40);
    part.shrink(60);
    assert_eq!((part.bytes(), account.in_use_bytes()), (40, 40));
    let mut empty = account.empty();
    empty.grow(60).unwrap();
    assert!(empty.grow(1).is_err());
    assert_eq!(empty.bytes(), 60);
}

#[derive(Debug, Clone)]
enum Step {
    Reserve(usize, u64),
    Release(usize),
    Shrink(usize, u64),
    Split(usize, u64),
    PollAll,
    DropWaiter(usize),
    CloseAccount(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = 1..6 * SLAB_BYTES;
    prop_oneof![
        4 => (0..4_usize, bytes.clone()).prop_map(|(a, b)| Step::Reserve(a, b)),
        4 => any::<usize>().prop_map(Step::Release),
        1 => (any::<usize>(), bytes.clone()).prop_map(|(r, b)| Step::Shrink(r, b)),
        1 => (any::<usize>(), bytes).prop_map(|(r, b)| Step::Split(r, b)),
        2 => Just(Step::PollAll),
        1 => any::<usize>().prop_map(Step::DropWaiter),
        1 => (0..4_usize).prop_map(Step::CloseAccount),
    ]
}

type Pending = Pin<Box<dyn Future<Output = Result<Reservation, Exhausted>>>>;

/// Runs steps and checks after each that the books agree with what is in hand.
struct Run {
    ledger: Ledger,
    accounts: Vec<Account>,
    held: Vec<Reservation>,
    pending: Vec<Pending>,
}

impl Run {
    fn step(&mut self, step: Step) {
        match step {
            Step::Reserve(account, bytes) => {
                let account = self.accounts[account].clone();
                let mut pending: Pending = Box::pin(async move { account.reserve(bytes).await });
                match poll_once(&mut pending) {
                    Poll::Ready(result) => self.held.extend(result),
                    Poll::Pending => self.pending.push(pending),
                }
            }
            Step::Release(at) if !self.held.is_empty() => {
                drop(self.held.swap_remove(at % self.held.len()));
            }
            Step::Shrink(at, bytes) if !self.held.is_empty() => {
                let at = at % self.held.len();
                self.held[at].shrink(bytes);
            }
            Step::Split(at, bytes) if !self.held.is_empty() => {
                let at = at % self.held.len();
                let part = self.held[at].split(bytes);
                self.held.push(part);
            }
            Step::PollAll => self.poll_all(),
            Step::DropWaiter(at) if !self.pending.is_empty() => {
                drop(self.pending.swap_remove(at % self.pending.len()));
            }
            Step::CloseAccount(at) => self.accounts[at] = self.ledger.account("again"),
            _ => {}
        }
        self.check();
    }

    fn poll_all(&mut self) {
        let mut still = Vec::new();
        for mut pending in self.pending.drain(..) {
            match poll_once(&mut pending) {
                Poll::Ready(result) => self.held.extend(result),
                Poll::Pending => still.push(pending),
            }
        }
        self.pending = still;
    }

    fn check(&mut self) {
        self.poll_all();
        let stats = self.ledger.stats();
        let held: u64 = self.held.iter().map(Reservation::bytes).sum();
        assert!(stats.in_use_bytes <= stats.limit_bytes, "{stats:?}");
        assert!(held <= stats.in_use_bytes, "held {held} of {stats:?}");
        assert_eq!(stats.waiting, self.pending.len());
        // Who waits holds nothing, and when nobody holds anything nobody waits.
        assert!(stats.waiting == 0 || held > 0, "{stats:?}");
    }
}

fn poll_once(pending: &mut Pending) -> Poll<Result<Reservation, Exhausted>> {
    pending
        .as_mut()
        .poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_conserves(steps in prop::collection::vec(step(), 1..120)) {
        // `timeout` needs a runtime to register with; time stands still.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let _guard = runtime.enter();
        let ledger = ledger(24 * SLAB_BYTES, 3 * SLAB_BYTES);
        let accounts = (0..4).map(|n| ledger.account(format!("account {n}"))).collect();
        let mut run = Run { ledger: ledger.clone(), accounts, held: vec![], pending: vec![] };
        for step in steps {
            run.step(step);
        }
        drop(run);
        let stats = ledger.stats();
        prop_assert_eq!((stats.in_use_bytes, stats.accounts, stats.waiting), (0, 0, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_threads_conserve_and_nobody_is_forgotten() {
    let ledger = Ledger::with_config(LedgerConfig {
        max_waiters: 1000,
        max_wait: Duration::from_secs(60),
        ..LedgerConfig::new(16 * SLAB_BYTES)
    });
    let tasks = TaskGroup::new("stress");
    let workers: Vec<_> = (0..16)
        .map(|seed| {
            let ledger = ledger.clone();
            tasks.spawn("worker", async move {
                let entropy = SeededEntropy::new(seed);
                for round in 0..300 {
                    let account = ledger.account("worker");
                    let first = account
                        .reserve(1 + entropy.next_u64() % (8 * SLAB_BYTES))
                        .await;
                    let mut held = vec![first.expect("a wait that nobody ends is a lost wake-up")];
                    for _ in 0..entropy.next_u64() % 8 {
                        held.extend(account.reserve(entropy.next_u64() % SLAB_BYTES).await);
                        if round % 3 == 0 {
                            tokio::task::yield_now().await;
                        }
                    }
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    let stats = ledger.stats();
    assert_eq!(
        (stats.in_use_bytes, stats.accounts, stats.waiting),
        (0, 0, 0)
    );
    assert!(stats.peak_bytes <= stats.limit_bytes);
}
