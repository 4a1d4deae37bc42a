//! Rows with equal labels, and what makes labels equal: the loss of the metric's name.

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};
use rutile_model::Labels;

use super::{Evaluator, METRIC_NAME};
use crate::engine::column::{Column, Row};
use crate::engine::memory::too_many;
use crate::engine::stage;
use crate::engine::{Error, Result};

pub(super) const SAME_LABELS: &str = "vector cannot contain metrics with the same labelset";

impl Evaluator<'_> {
    /// Takes the metric name off, now or at the end.
    pub(crate) fn nameless(&self, rows: &mut [Row]) {
        stage::nameless(rows, &self.options);
    }

    /// What the end of an evaluation with delayed name removal makes of its rows.
    pub(crate) fn without_dropped_names(&self, mut rows: Vec<Row>) -> Result<Vec<Row>> {
        if !self.options.delayed_name_removal {
            return Ok(rows);
        }
        for row in &mut rows {
            if std::mem::take(&mut row.drop_name) {
                row.labels = without_name(&row.labels);
            }
        }
        join(rows)
    }

    /// Makes one row of those with equal labels. At one step, with delayed name removal, they may stay
    /// apart until the end: more of them may lose their value before.
    ///
    /// # Errors
    /// When two of them have a value at the same step.
    pub(super) fn joined(&self, rows: Vec<Row>) -> Result<Vec<Row>> {
        if self.options.delayed_name_removal && self.steps.len() == 1 {
            return Ok(rows);
        }
        join(rows)
    }

    /// Refuses rows with equal labels, unless name removal is delayed.
    pub(super) fn distinct(&self, rows: Vec<Row>) -> Result<Vec<Row>> {
        let distinct = |rows: &[Row]| {
            let mut seen = HashSet::with_capacity_and_hasher(rows.len(), FixedState::default());
            rows.iter().all(|row| seen.insert(row.labels.clone()))
        };
        if self.options.delayed_name_removal || distinct(&rows) {
            return Ok(rows);
        }
        Err(Error::execution(SAME_LABELS))
    }

    /// Refuses what would be more samples than a query may hold.
    pub(super) fn require_room(&self, samples: u64) -> Result<()> {
        match samples <= self.options.max_samples {
            true => Ok(()),
            false => Err(too_many(self.options.max_samples)),
        }
    }
}

/// The labels without the metric's name, type and unit.
pub(crate) fn without_name(labels: &Labels) -> Labels {
    labels.without(&[METRIC_NAME, "__type__", "__unit__"])
}

pub(super) fn join(rows: Vec<Row>) -> Result<Vec<Row>> {
    let mut places = HashMap::with_capacity_and_hasher(rows.len(), FixedState::default());
    let mut joined: Vec<Row> = Vec::with_capacity(rows.len());
    for row in rows {
        let place = places.entry(row.labels.clone()).or_insert(joined.len());
        let Some(first) = joined.get_mut(*place) else {
            joined.push(row);
            continue;
        };
        let begins = |column: &Column| (0..column.len()).find(|step| column.is_present(*step));
        if begins(&row.column) < begins(&first.column) {
            first.drop_name = row.drop_name;
        }
        for step in 0..row.column.len() {
            let Some(value) = row.column.get(step) else {
                continue;
            };
            if first.column.is_present(step) {
                return Err(Error::execution(SAME_LABELS));
            }
            first.column.set(step, Some(value));
        }
    }
    Ok(joined)
}
