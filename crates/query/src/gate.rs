//! How many queries, and selects of a query, run at a time.

use std::sync::Arc;

use rutile_model::ErrorKind;
use rutile_storeapi::{Error, Result};
use rutile_telemetry::{Histogram, IntCounter, IntGauge, Registry};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Those that may wait for their turn. More than this are refused: they would wait for longer than their callers do.
const MAX_WAITING: usize = 10_000;
const WAIT_SECONDS: [f64; 13] = [
    0.01, 0.1, 0.3, 0.6, 1.0, 3.0, 6.0, 9.0, 20.0, 30.0, 60.0, 90.0, 120.0,
];

/// Lets a bounded number run; the others wait in the order of their arrival.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    turns: Arc<Semaphore>,
    queue: Arc<Semaphore>,
    metrics: Arc<GateMetrics>,
}

/// What is shown of a gate, or of all gates of a kind.
#[derive(Debug)]
pub(crate) struct GateMetrics {
    duration: Histogram,
    in_flight: IntGauge,
    max: IntGauge,
    total: IntCounter,
}

/// The right to run. Given back on drop.
#[derive(Debug)]
pub(crate) struct Turn {
    _turn: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
    metrics: Arc<GateMetrics>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.metrics.in_flight.dec();
    }
}

impl GateMetrics {
    /// Of the queries of this process.
    pub(crate) fn of_queries(registry: &Registry) -> Self {
        let r = registry.with_prefix("thanos_query_concurrent_gate_queries_");
        Self {
            duration: r.histogram(
                "duration_seconds",
                "Time that queries waited for their turn.",
                &WAIT_SECONDS,
            ),
            in_flight: r.int_gauge("in_flight", "Queries that run."),
            max: r.int_gauge("max", "Queries that may run at a time."),
            total: r.int_counter("total", "Queries."),
        }
    }

    /// Of the selects of all queries.
    pub(crate) fn of_selects(registry: &Registry) -> Self {
        let r = registry.with_prefix("thanos_query_concurrent_selects_gate_selects_");
        Self {
            duration: r.histogram(
                "duration_seconds",
                "Time that selects waited for their turn.",
                &WAIT_SECONDS,
            ),
            in_flight: r.int_gauge("in_flight", "Selects that run."),
            max: r.int_gauge("max", "Selects of a query that may run at a time."),
            total: r.int_counter("total", "Selects."),
        }
    }
}

impl Gate {
    /// `max` = 0 lets all run.
    pub(crate) fn new(max: usize, metrics: Arc<GateMetrics>) -> Self {
        let turns = if max == 0 {
            Semaphore::MAX_PERMITS
        } else {
            max.min(Semaphore::MAX_PERMITS)
        };
        metrics.max.set(i64::try_from(max).unwrap_or(i64::MAX));
        let queue = turns
            .saturating_add(MAX_WAITING)
            .min(Semaphore::MAX_PERMITS);
        Self {
            turns: Arc::new(Semaphore::new(turns)),
            queue: Arc::new(Semaphore::new(queue)),
            metrics,
        }
    }

    /// Waits for a turn. Dropping the future leaves the queue.
    pub(crate) async fn turn(&self) -> Result<Turn> {
        self.metrics.total.inc();
        let place = Arc::clone(&self.queue).try_acquire_owned().map_err(|_| {
            let message = format!("{MAX_WAITING} are waiting for their turn already");
            Error::new(ErrorKind::Exhausted, message)
        })?;
        let arrived = Instant::now();
        let closed = |_| Error::new(ErrorKind::Unavailable, "the querier is shutting down");
        let turn = Arc::clone(&self.turns)
            .acquire_owned()
            .await
            .map_err(closed)?;
        self.metrics
            .duration
            .observe(arrived.elapsed().as_secs_f64());
        Ok(self.begin(turn, place))
    }

    /// A turn, if one is free.
    pub(crate) fn try_turn(&self) -> Option<Turn> {
        let place = Arc::clone(&self.queue).try_acquire_owned().ok()?;
        let turn = Arc::clone(&self.turns).try_acquire_owned().ok()?;
        self.metrics.total.inc();
        self.metrics.duration.observe(0.0);
        Some(self.begin(turn, place))
    }

    fn begin(&self, turn: OwnedSemaphorePermit, place: OwnedSemaphorePermit) -> Turn {
        self.metrics.in_flight.inc();
        Turn {
            _turn: turn,
            _place: place,
            metrics: Arc::clone(&self.metrics),
        }
    }
}
