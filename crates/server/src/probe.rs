//! Whether the process is healthy and ready: for HTTP probes, gRPC health and `thanos_status`.

use rutile_telemetry::{IntGauge, Registry};
use tokio::sync::watch;

/// The state of the probes. Clones share it.
#[derive(Debug, Clone)]
pub struct Probe {
    state: watch::Sender<State>,
    ready: IntGauge,
    healthy: IntGauge,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct State {
    ready: bool,
    healthy: bool,
}

impl Probe {
    /// A probe of `component` that is neither healthy nor ready.
    #[must_use]
    pub fn new(component: &str, registry: &Registry) -> Self {
        let status = registry.with_label("component", component).int_gauge_vec(
            "thanos_status",
            "Represents status (0 indicates failure, 1 indicates success) of the component.",
            &["check"],
        );
        Self {
            state: watch::Sender::new(State::default()),
            ready: status.with_label_values(&["ready"]),
            healthy: status.with_label_values(&["healthy"]),
        }
    }

    /// The process serves requests from here on.
    pub fn set_ready(&self) {
        if self.set(|state| state.ready = true) {
            tracing::info!(status = "ready", "changing probe status");
        }
    }

    /// The process serves no requests, for the reason given.
    pub fn set_not_ready(&self, reason: &str) {
        if self.set(|state| state.ready = false) {
            tracing::warn!(status = "not-ready", reason, "changing probe status");
        }
    }

    /// The process is alive.
    pub fn set_healthy(&self) {
        if self.set(|state| state.healthy = true) {
            tracing::info!(status = "healthy", "changing probe status");
        }
    }

    /// Whether requests are served.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.state.borrow().ready
    }

    /// Whether the process is alive.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.state.borrow().healthy
    }

    /// Returns when requests are served: at once if they are already.
    pub async fn ready(&self) {
        let mut state = self.state.subscribe();
        // The sender lives as long as this borrow, so waiting cannot fail.
        state.wait_for(|state| state.ready).await.ok();
    }

    /// Readiness now and whenever it changes.
    pub(crate) fn readiness(&self) -> impl futures::Stream<Item = bool> + Send + 'static + use<> {
        use futures::StreamExt;
        let states = tokio_stream::wrappers::WatchStream::new(self.state.subscribe());
        let mut last = None;
        states.filter_map(move |state| {
            let changed = last.replace(state.ready) != Some(state.ready);
            futures::future::ready(changed.then_some(state.ready))
        })
    }

    fn set(&self, change: impl FnOnce(&mut State)) -> bool {
        self.state.send_if_modified(|state| {
            let before = *state;
            change(state);
            self.ready.set(i64::from(state.ready));
            self.healthy.set(i64::from(state.healthy));
            before != *state
        })
    }
}
