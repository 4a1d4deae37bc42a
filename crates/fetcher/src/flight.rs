//! Calls that come while one is under way share its outcome.

use std::fmt;

use futures::future::{BoxFuture, FutureExt, Shared, WeakShared};
use parking_lot::Mutex;

type Work<T> = BoxFuture<'static, T>;

/// At most one run at a time. A caller that goes away does not disturb the others; when the last
/// one goes, the run ends.
pub(crate) struct Flight<T: Clone>(Mutex<Option<WeakShared<Work<T>>>>);

impl<T: Clone> Flight<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// The run that is under way, or the one that `start` makes.
    pub(crate) fn join(&self, start: impl FnOnce() -> Work<T>) -> Shared<Work<T>> {
        let mut current = self.0.lock();
        if let Some(run) = running(current.as_ref()) {
            return run;
        }
        let run = start().shared();
        *current = run.downgrade();
        run
    }

    /// Waits for the run that is under way, if there is one: whoever joins afterwards gets what began after this call.
    pub(crate) async fn pass(&self) {
        let current = running(self.0.lock().as_ref());
        if let Some(run) = current {
            run.await;
        }
    }
}

fn running<T: Clone>(current: Option<&WeakShared<Work<T>>>) -> Option<Shared<Work<T>>> {
    let run = current.and_then(WeakShared::upgrade);
    run.filter(|run| run.peek().is_none())
}

impl<T: Clone> fmt::Debug for Flight<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Flight")
    }
}
