//! Named tasks in groups: whoever starts a task also ends it.
//!
//! A [`TaskGroup`] owns its tasks and those of its child groups. It promises that a panic is
//! caught, logged and counted, that [`TaskGroup::shutdown`] returns only when no task is left, and
//! that dropping the group aborts what still runs. It never lets a task outlive its group.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::{Instrument as _, Span};

/// Owns tasks. Dropping it aborts them.
#[derive(Debug)]
pub struct TaskGroup {
    spawner: Spawner,
}

/// Starts tasks in a group that somebody else owns. Cheap to clone; keeps no task alive.
#[derive(Debug, Clone)]
pub struct Spawner {
    inner: Arc<Inner>,
}

/// The result of a task, to be awaited. Dropping it leaves the task running in its group, unless
/// [`Task::abort_on_drop`] was called.
#[derive(Debug)]
pub struct Task<T> {
    result: oneshot::Receiver<Result<T, TaskError>>,
    abort: Option<AbortHandle>,
    abort_on_drop: bool,
}

/// Why a task has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// The task panicked; the message was logged.
    #[error("task panicked: {0}")]
    Panicked(String),
    /// The task was aborted, or its group was already shut down.
    #[error("task was aborted")]
    Aborted,
}

/// What a shutdown found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ShutdownReport {
    /// Names of the tasks that did not end within the grace period and were aborted.
    pub aborted: Vec<String>,
}

#[derive(Debug)]
struct Inner {
    name: Cow<'static, str>,
    token: CancellationToken,
    tracker: TaskTracker,
    panics: AtomicU64,
    state: Mutex<State>,
    parent: Option<Arc<Self>>,
    id_in_parent: u64,
}

#[derive(Debug, Default)]
struct State {
    next_id: u64,
    closed: bool,
    aborted: bool,
    /// `None` between the start of a task and the arrival of its handle.
    tasks: BTreeMap<u64, (Cow<'static, str>, Option<AbortHandle>)>,
    children: BTreeMap<u64, Weak<Inner>>,
}

/// Takes the task out of the books, however it ends.
struct Live {
    group: Arc<Inner>,
    id: u64,
    /// One for the group and one for each of its ancestors, so that each of them waits.
    _tokens: Vec<TaskTrackerToken>,
}

impl TaskGroup {
    /// A group of its own, named for logs.
    #[must_use]
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self::with_parent(name.into(), None, CancellationToken::new(), 0)
    }

    /// A group within this one: it is cancelled, awaited and aborted with its parent, and may be
    /// shut down before it. A child of a closed group is born closed.
    #[must_use]
    pub fn child(&self, name: impl Into<Cow<'static, str>>) -> Self {
        self.spawner.child(name)
    }

    /// Starts `future` as a task called `name`. In a closed group nothing starts and the result is
    /// [`TaskError::Aborted`].
    pub fn spawn<F>(&self, name: impl Into<Cow<'static, str>>, future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawner.spawn(name, future)
    }

    /// A handle for code that starts tasks here without owning them.
    #[must_use]
    pub fn spawner(&self) -> Spawner {
        self.spawner.clone()
    }

    /// Cancelled when the group is asked to end; long-running tasks watch it.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.spawner.token()
    }

    /// Number of tasks that have not ended, those of child groups included.
    #[must_use]
    pub fn live(&self) -> usize {
        self.spawner.live()
    }

    /// Number of tasks that panicked so far, those of child groups included.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.spawner.panics()
    }

    /// Asks all tasks to end, waits for them at most `grace`, then aborts the rest and waits until
    /// they are gone. No task can be started afterwards.
    pub async fn shutdown(&self, grace: Duration) -> ShutdownReport {
        let inner = &self.spawner.inner;
        inner.close();
        inner.token.cancel();
        if tokio::time::timeout(grace, inner.tracker.wait())
            .await
            .is_ok()
        {
            return ShutdownReport::default();
        }
        let mut aborted = Vec::new();
        inner.abort_all(&mut aborted);
        tracing::warn!(group = %inner.name, tasks = ?aborted, "aborted tasks that outlived the grace period");
        inner.tracker.wait().await;
        ShutdownReport { aborted }
    }

    fn with_parent(
        name: Cow<'static, str>,
        parent: Option<Arc<Inner>>,
        token: CancellationToken,
        id_in_parent: u64,
    ) -> Self {
        let inner = Inner {
            name,
            token,
            tracker: TaskTracker::new(),
            panics: AtomicU64::new(0),
            state: Mutex::default(),
            parent,
            id_in_parent,
        };
        Self {
            spawner: Spawner {
                inner: Arc::new(inner),
            },
        }
    }
}

impl Drop for TaskGroup {
    fn drop(&mut self) {
        let inner = &self.spawner.inner;
        inner.close();
        inner.token.cancel();
        inner.abort_all(&mut Vec::new());
    }
}

impl Spawner {
    /// See [`TaskGroup::spawn`].
    pub fn spawn<F>(&self, name: impl Into<Cow<'static, str>>, future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let name = name.into();
        let (sender, result) = oneshot::channel();
        let Some(live) = Inner::enter(&self.inner, name.clone()) else {
            // Nobody can miss the answer: the receiver is returned just below.
            sender.send(Err(TaskError::Aborted)).ok();
            return Task {
                result,
                abort: None,
                abort_on_drop: false,
            };
        };
        let id = live.id;
        // What it does is done for whoever starts it.
        let future = future.instrument(Span::current());
        let handle = tokio::spawn(async move {
            let outcome = AssertUnwindSafe(future).catch_unwind().await;
            let outcome = outcome.map_err(|panic| live.report_panic(&name, panic.as_ref()));
            drop(live);
            sender.send(outcome).ok();
        });
        let abort = handle.abort_handle();
        self.inner.register(id, abort.clone());
        Task {
            result,
            abort: Some(abort),
            abort_on_drop: false,
        }
    }

    /// See [`TaskGroup::child`].
    #[must_use]
    pub fn child(&self, name: impl Into<Cow<'static, str>>) -> TaskGroup {
        let parent = &self.inner;
        let mut state = parent.state.lock();
        let id = state.take_id();
        let child = TaskGroup::with_parent(
            name.into(),
            Some(Arc::clone(parent)),
            parent.token.child_token(),
            id,
        );
        state
            .children
            .insert(id, Arc::downgrade(&child.spawner.inner));
        if state.closed {
            child.spawner.inner.close();
        }
        drop(state);
        child
    }

    /// See [`TaskGroup::token`].
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.inner.token.clone()
    }

    /// See [`TaskGroup::panics`].
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.inner.panics.load(Ordering::Relaxed)
    }

    /// See [`TaskGroup::live`].
    #[must_use]
    pub fn live(&self) -> usize {
        self.inner.tracker.len()
    }
}

impl<T> Task<T> {
    /// From here on, dropping this handle aborts the task: for work that ends with its request.
    #[must_use]
    pub fn abort_on_drop(mut self) -> Self {
        self.abort_on_drop = true;
        self
    }

    /// Aborts the task at its next await.
    pub fn abort(&self) {
        if let Some(abort) = &self.abort {
            abort.abort();
        }
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let received = std::task::ready!(Pin::new(&mut self.result).poll(cx));
        Poll::Ready(received.unwrap_or(Err(TaskError::Aborted)))
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        if self.abort_on_drop {
            self.abort();
        }
    }
}

impl Inner {
    fn enter(this: &Arc<Self>, name: Cow<'static, str>) -> Option<Live> {
        let mut state = this.state.lock();
        if state.closed {
            return None;
        }
        let id = state.take_id();
        state.tasks.insert(id, (name, None));
        let tokens = this.ancestry().map(|group| group.tracker.token()).collect();
        Some(Live {
            group: Arc::clone(this),
            id,
            _tokens: tokens,
        })
    }

    /// Keeps the handle for aborts. A task that ended meanwhile has no entry any more; one whose
    /// group was aborted meanwhile is aborted here, as `abort_all` missed it.
    fn register(&self, id: u64, abort: AbortHandle) {
        let mut state = self.state.lock();
        let aborted = state.aborted;
        if let Some((_, slot)) = state.tasks.get_mut(&id) {
            if aborted {
                abort.abort();
            }
            *slot = Some(abort);
        }
    }

    fn ancestry(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |group| group.parent.as_deref())
    }

    fn close(&self) {
        let children: Vec<_> = {
            let mut state = self.state.lock();
            state.closed = true;
            state.children.values().filter_map(Weak::upgrade).collect()
        };
        self.tracker.close();
        children.iter().for_each(|child| child.close());
    }

    fn abort_all(&self, names: &mut Vec<String>) {
        let (handles, children): (Vec<_>, Vec<_>) = {
            let mut state = self.state.lock();
            state.aborted = true;
            names.extend(
                state
                    .tasks
                    .values()
                    .map(|(name, _)| format!("{}/{name}", self.name)),
            );
            (
                state
                    .tasks
                    .values()
                    .filter_map(|(_, abort)| abort.clone())
                    .collect(),
                state.children.values().filter_map(Weak::upgrade).collect(),
            )
        };
        handles.iter().for_each(AbortHandle::abort);
        children.iter().for_each(|child| child.abort_all(names));
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(parent) = &self.parent {
            parent.state.lock().children.remove(&self.id_in_parent);
        }
    }
}

impl State {
    fn take_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
}

impl Live {
    fn report_panic(&self, name: &str, panic: &(dyn std::any::Any + Send)) -> TaskError {
        let message = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned());
        tracing::error!(group = %self.group.name, task = name, panic = %message, "task panicked");
        for group in self.group.ancestry() {
            group.panics.fetch_add(1, Ordering::Relaxed);
        }
        TaskError::Panicked(message)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.group.state.lock().tasks.remove(&self.id);
    }
}

#[cfg(test)]
mod tests;
