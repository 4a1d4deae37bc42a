//! How many calls run at a time.

use std::sync::Arc;

use rutile_model::ErrorKind;
use rutile_storeapi::{Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::metrics::Metrics;

/// Calls that may wait for their turn. More than this are refused: they would wait for longer than
/// their callers do.
const MAX_WAITING: usize = 10_000;

/// Lets a bounded number of calls run; the others wait in the order of their arrival.
#[derive(Debug)]
pub(crate) struct Gate {
    turns: Arc<Semaphore>,
    queue: Arc<Semaphore>,
    metrics: Option<Arc<Metrics>>,
}

/// The right to run. Given back on drop.
#[derive(Debug)]
pub(crate) struct Turn {
    _turn: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
    metrics: Option<Arc<Metrics>>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(metrics) = &self.metrics {
            metrics.gate.in_flight.dec();
        }
    }
}

impl Gate {
    /// `max` = 0 lets all calls run. The reference counts only the turns of Series calls.
    pub(crate) fn new(max: usize, metrics: Option<Arc<Metrics>>) -> Self {
        let turns = if max == 0 {
            Semaphore::MAX_PERMITS
        } else {
            max
        };
        if let Some(metrics) = &metrics {
            metrics.gate.max.set(i64::try_from(max).unwrap_or(i64::MAX));
        }
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
        let closed = |_| Error::new(ErrorKind::Unavailable, "the store is shutting down");
        let gate = self.metrics.as_ref().map(|metrics| &metrics.gate);
        if let Some(gate) = gate {
            gate.total.inc();
        }
        let place = Arc::clone(&self.queue).try_acquire_owned().map_err(|_| {
            let message = format!("{MAX_WAITING} calls are waiting for their turn already");
            Error::new(ErrorKind::Exhausted, message)
        })?;
        let arrived = Instant::now();
        let turn = Arc::clone(&self.turns)
            .acquire_owned()
            .await
            .map_err(closed)?;
        if let Some(gate) = gate {
            gate.duration.observe(arrived.elapsed().as_secs_f64());
            gate.in_flight.inc();
        }
        Ok(Turn {
            _turn: turn,
            _place: place,
            metrics: self.metrics.clone(),
        })
    }
}
