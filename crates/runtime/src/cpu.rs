//! A bounded place for work that keeps a thread busy: decoding, merging, reading local files.

use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use futures::stream::{self, StreamExt};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span};

/// Runs closures beside the async threads, at most `threads` at a time, in the order of arrival.
///
/// Clones share the bound. A future that is dropped while its work is queued takes the work with
/// it; work that has begun runs to its end and its result is dropped.
#[derive(Debug, Clone)]
pub struct CpuPool {
    threads: usize,
    /// `None`: the simulated twin, which runs everything in place.
    queue: Option<Arc<Queue>>,
}

/// Work that waits. Who has done some takes the next at once: to wake a thread for each costs more than many of them.
#[derive(Default)]
struct Queue(Mutex<Line>);

#[derive(Default)]
struct Line {
    waiting: VecDeque<Job>,
    busy: usize,
}

type Job = Box<dyn FnOnce() + Send>;

impl Queue {
    /// Puts work behind all that waits; a thread more begins if fewer than `threads` are busy.
    fn push(self: &Arc<Self>, threads: usize, job: Job) {
        let mut line = self.0.lock();
        line.waiting.push_back(job);
        if line.busy < threads {
            line.busy += 1;
            let queue = Arc::clone(self);
            drop(tokio::task::spawn_blocking(move || queue.work_off()));
        }
    }

    /// Works until nothing waits.
    fn work_off(&self) {
        while let Some(job) = self.next() {
            job();
        }
    }

    fn next(&self) -> Option<Job> {
        let mut line = self.0.lock();
        let job = line.waiting.pop_front();
        if job.is_none() {
            line.busy -= 1;
        }
        job
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.0.lock();
        f.debug_struct("Queue")
            .field("waiting", &line.waiting.len())
            .field("busy", &line.busy)
            .finish()
    }
}

impl CpuPool {
    /// A pool of at most `threads` busy threads (at least one).
    #[must_use]
    pub fn new(threads: usize) -> Self {
        Self {
            threads: threads.max(1),
            queue: Some(Arc::default()),
        }
    }

    /// A pool with as many threads as this process may use cores.
    #[must_use]
    pub fn for_this_machine() -> Self {
        Self::new(std::thread::available_parallelism().map_or(1, NonZeroUsize::get))
    }

    /// The simulated twin: work runs in place, on the caller's thread, without any waiting.
    #[must_use]
    pub fn inline() -> Self {
        Self {
            threads: 1,
            queue: None,
        }
    }

    /// A pool of so many threads beside this one, for steps that others wait for: what is short must not stand behind all that is
    /// long. The simulated twin has a simulated one.
    #[must_use]
    pub fn beside(&self, threads: usize) -> Self {
        match &self.queue {
            Some(_) => Self::new(threads),
            None => Self::inline(),
        }
    }

    /// How many closures may run at the same time.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Runs `work` and returns its result. A panic of `work` goes on in the caller.
    pub async fn run<T, F>(&self, work: F) -> T
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let Some(queue) = &self.queue else {
            return work();
        };
        let (sender, done) = oneshot::channel();
        let job = move || {
            if !sender.is_closed() {
                // Nothing of it is used after a panic.
                drop(sender.send(catch_unwind(AssertUnwindSafe(work))));
            }
        };
        queue.push(self.threads, Box::new(job));
        match done.await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => resume_unwind(panic),
            // Only a runtime that shuts down drops it, and that drops this future too.
            Err(_) => std::future::pending().await,
        }
    }

    /// Polls a future on a thread of its own, beside the async threads and not bounded by this pool: for one that
    /// computes for long between its waits. When this is dropped, the token is cancelled that the future was made
    /// with, and the future ends at its next wait: one that computes for long looks at the token.
    pub async fn apart<F>(&self, future: impl FnOnce(CancellationToken) -> F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let future = future(stop.clone());
        let _stop = stop.drop_guard();
        if self.queue.is_none() {
            return future.await;
        }
        let threads = Handle::current();
        let future = future.instrument(Span::current());
        let polled = tokio::task::spawn_blocking(move || {
            threads.block_on(stopped.run_until_cancelled_owned(future))
        });
        match polled.await {
            Ok(Some(output)) => output,
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            // Only what is dropped is stopped, or a runtime that shuts down, which drops this too.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// Runs `work` on every item, as many at a time as there are threads, and returns the results
    /// in the order of the items.
    pub async fn map<I, T, F>(&self, items: I, work: F) -> Vec<T>
    where
        I: IntoIterator,
        I::Item: Send + 'static,
        F: Fn(I::Item) -> T + Clone + Send + 'static,
        T: Send + 'static,
    {
        stream::iter(items)
            .map(|item| {
                let work = work.clone();
                self.run(move || work(item))
            })
            .buffered(self.threads)
            .collect()
            .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn runs_at_most_its_bound_and_keeps_order() {
        let running = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        let pool = CpuPool::new(2);
        let work = {
            let (running, most) = (Arc::clone(&running), Arc::clone(&most));
            move |item| {
                let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                std::thread::yield_now();
                running.fetch_sub(1, Ordering::SeqCst);
                item * 2
            }
        };
        let results = pool.map(0..64, work).await;
        assert_eq!(results, (0..64).map(|item| item * 2).collect::<Vec<_>>());
        assert!(most.load(Ordering::SeqCst) <= 2);
    }

    #[tokio::test]
    async fn dropped_queued_work_never_runs() {
        let pool = CpuPool::new(1);
        let (release, blocked) = mpsc::channel::<()>();
        let (begun_tx, begun) = oneshot::channel();
        let first = {
            let pool = pool.clone();
            tokio::spawn(async move {
                pool.run(move || {
                    begun_tx.send(()).unwrap();
                    blocked.recv().unwrap();
                })
                .await;
            })
        };
        begun.await.unwrap();
        let ran = Arc::new(AtomicUsize::new(0));
        {
            let ran = Arc::clone(&ran);
            let queued = pool.run(move || ran.fetch_add(1, Ordering::SeqCst));
            let mut queued = Box::pin(queued);
            assert!(futures::poll!(queued.as_mut()).is_pending());
        }
        release.send(()).unwrap();
        first.await.unwrap();
        assert_eq!(pool.run(|| 7).await, 7);
        assert_eq!(ran.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn queued_work_takes_its_turn_though_nobody_looks() {
        let pool = CpuPool::new(1);
        let (release, blocked) = mpsc::channel::<()>();
        let mut first = Box::pin(pool.run(move || blocked.recv().unwrap()));
        let mut queued = Box::pin(pool.run(|| 1));
        assert!(futures::poll!(first.as_mut()).is_pending());
        assert!(futures::poll!(queued.as_mut()).is_pending());
        release.send(()).unwrap();
        // Stands in line behind one that is not polled.
        assert_eq!(pool.run(|| 2).await, 2);
        assert_eq!(queued.await, 1);
    }

    #[tokio::test]
    async fn what_runs_apart_holds_up_nobody_and_ends_when_it_is_dropped() {
        let pool = CpuPool::new(1);
        let (release, blocked) = mpsc::channel::<()>();
        let (ended_tx, ended) = oneshot::channel::<()>();
        let mut apart = Box::pin(pool.apart(|_| async move {
            let _ended = ended_tx;
            // On the one async thread this would never end.
            blocked.recv().unwrap();
            std::future::pending::<()>().await;
        }));
        assert!(futures::poll!(apart.as_mut()).is_pending());
        assert_eq!(pool.apart(|_| async { 1 }).await, 1);
        release.send(()).unwrap();
        drop(apart);
        assert!(ended.await.is_err());
    }

    #[tokio::test]
    async fn what_computes_apart_learns_that_nobody_wants_it() {
        let pool = CpuPool::new(1);
        let (begun_tx, begun) = oneshot::channel();
        let (ended_tx, ended) = oneshot::channel();
        let mut apart = Box::pin(pool.apart(|stop| async move {
            begun_tx.send(()).unwrap();
            while !stop.is_cancelled() {
                std::thread::yield_now();
            }
            ended_tx.send(()).unwrap();
        }));
        assert!(futures::poll!(apart.as_mut()).is_pending());
        // What has not begun yet does not begin.
        assert_eq!(begun.await, Ok(()));
        drop(apart);
        assert_eq!(ended.await, Ok(()));
    }

    #[tokio::test]
    async fn panic_reaches_the_caller_and_frees_the_slot() {
        let pool = CpuPool::new(1);
        let broken = {
            let pool = pool.clone();
            tokio::spawn(async move { pool.run(|| panic!("broken")).await })
        };
        assert!(broken.await.unwrap_err().is_panic());
        assert_eq!(pool.run(|| 1).await, 1);
    }

    #[tokio::test]
    async fn twin_runs_in_place() {
        let here = std::thread::current().id();
        assert_eq!(
            CpuPool::inline().run(|| std::thread::current().id()).await,
            here
        );
    }
}
