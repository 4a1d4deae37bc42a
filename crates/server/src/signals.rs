//! SIGINT and SIGTERM: the first one asks the process to drain, the second one ends it at once.
//!
//! The main thread listens on a runtime of its own, and does nothing else: signals are heard however busy all others
//! are.

use std::future::Future;
use std::time::Duration;

use rutile_model::ErrorKind;
use rutile_runtime::{CpuPool, TaskGroup};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::failure::Failure;

/// The first signal that the process gets.
#[derive(Debug)]
pub(crate) struct FirstSignal(oneshot::Receiver<()>);

impl FirstSignal {
    /// Waits for it.
    pub(crate) async fn caught(&mut self) {
        // Whoever listens lives until the process ends.
        if (&mut self.0).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Runs `process` on the threads of `runtime`, and then ends these within `margin`: work that does not end must not keep
/// the process. A second signal waits for nothing of that.
///
/// # Errors
/// That of `process`; `Canceled` after a second signal; `Internal` if signals cannot be listened to.
pub(crate) fn supervise<F>(
    runtime: Runtime,
    margin: Duration,
    process: impl FnOnce(FirstSignal) -> F,
) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let internal = |error| Failure::new(ErrorKind::Internal, &error);
    let listener = Builder::new_current_thread().enable_all().build();
    let listener = listener.map_err(internal)?;
    let tasks = TaskGroup::new("process");
    let mut threads = Threads(Some(runtime));
    let result = listener.block_on(async {
        let mut signals = Signals::listen()?;
        let (ask, asked) = oneshot::channel();
        let running = {
            let _entered = threads.0.as_ref().map(Runtime::enter);
            tasks.spawn("process", Box::pin(process(FirstSignal(asked))))
        };
        let ended = async {
            let result = running.await;
            if let Some(runtime) = threads.0.take() {
                let end = move || runtime.shutdown_timeout(margin);
                CpuPool::new(1).run(end).await;
            }
            result.unwrap_or_else(|error| Err(Failure::new(ErrorKind::Internal, &error)))
        };
        let mut ended = Box::pin(ended);
        tokio::select! {
            biased;
            signal = signals.next() => tracing::info!(signal, "caught signal"),
            result = &mut ended => return result,
        }
        // A process that ends by itself meanwhile is not interested any more.
        ask.send(()).ok();
        tokio::select! {
            biased;
            _ = signals.next() => {
                let message = "caught a second signal while draining";
                Err(Failure::message(ErrorKind::Canceled, message))
            }
            result = &mut ended => result,
        }
    });
    listener.shutdown_background();
    result
}

/// Threads that end in the background, unless their end was waited for.
struct Threads(Option<Runtime>);

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// SIGINT and SIGTERM. SIGHUP is caught and does nothing: by default it would end the process.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    _hangup: Signal,
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::new(ErrorKind::Internal, &error));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            _hangup: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => "interrupt",
            _ = self.terminate.recv() => "terminated",
        }
    }
}
