//! Histograms that nobody looks at any more, for the memory of their lists: a batch of rows may have thousands, and
//! the next one needs as many.

use std::sync::Arc;

use parking_lot::Mutex;
use rutile_model::FloatHistogram;
use rutile_runtime::Reservation;

use super::column::Row;

/// Histograms to be written over.
#[derive(Debug, Default)]
pub(crate) struct Spare(Vec<Arc<FloatHistogram>>);

/// What batches leave to those behind them: at most as much as was in use at a time.
#[derive(Debug, Default)]
pub(crate) struct Spares(Mutex<Vec<(Spare, Option<Reservation>)>>);

impl Spare {
    /// A histogram of any content; one of its own if there is none.
    pub(crate) fn take(&mut self) -> Arc<FloatHistogram> {
        self.0.pop().unwrap_or_default()
    }

    pub(crate) fn put_back(&mut self, histogram: Arc<FloatHistogram>) {
        self.0.push(histogram);
    }

    /// The histograms of rows, but for those that others have, too.
    pub(crate) fn of(rows: Vec<Row>) -> Self {
        let histograms = rows.into_iter().flat_map(|row| row.column.histograms);
        let unshared = |histogram: &Arc<_>| Arc::strong_count(histogram) == 1;
        Self(histograms.flatten().filter(unshared).collect())
    }
}

impl Spares {
    /// What a batch left, and what is reserved for it.
    pub(crate) fn take(&self) -> (Spare, Option<Reservation>) {
        self.0.lock().pop().unwrap_or_default()
    }

    /// Leaves histograms, for which so much is reserved.
    pub(crate) fn leave(&self, spare: Spare, reservation: Option<Reservation>) {
        if !spare.0.is_empty() {
            self.0.lock().push((spare, reservation));
        }
    }
}
