//! Aggregations of rows that come one by one: of these, only what the groups need is kept.

use std::time::Duration;

use super::Evaluator;
use super::rows::Seen;
use crate::ast::{Aggregate, AggregateOp};
use crate::engine::Result;
use crate::engine::aggregate::Fold;
use crate::engine::column::Row;
use crate::engine::memory::Held;
use crate::engine::observe::{Spent, Watch};
use crate::engine::plan::Node;
use crate::engine::spare::Spare;

impl Evaluator<'_> {
    /// The groups of an aggregation of an inner node that streams: its rows are folded in, in their order. None
    /// if the aggregation must see all rows, or if some of them have equal labels.
    pub(super) async fn folded(
        &mut self,
        node: &Node<'_>,
        inner: &Node<'_>,
        aggregate: &Aggregate,
    ) -> Result<Option<Vec<Row>>> {
        let Some(mut fold) = Fold::new(aggregate, self.steps.len()) else {
            return Ok(None);
        };
        let (before, outside) = (self.annotations.clone(), self.memory.now());
        let (observed, mut time) = (self.observed.is_wanted(), Duration::ZERO);
        let mut flow = self.flow(inner).await?;
        flow.work.sums = aggregate.op == AggregateOp::Sum;
        // With what the rows are computed of, if that is there already.
        let held = self.memory.now();
        let mut seen = Seen::default();
        let mut batches = flow.start(&self.pool);
        let mut next = self.next(&mut batches).await?;
        while let Some(mut batch) = next {
            self.annotations
                .extend(std::mem::take(&mut batch.annotations));
            // Here, for it takes less time than to hand it over. The next batches are computed meanwhile.
            let watch = Watch::start(observed);
            let distinct = seen.are_new(std::mem::take(&mut batch.nameless));
            fold.take(&batch.rows);
            let spare = Spare::of(std::mem::take(&mut batch.rows));
            time += watch.read();
            self.memory.settle(held.and(fold.held()).and(seen.held()))?;
            // Until now the rows were there beside the groups.
            batch.leave(spare);
            if !distinct {
                self.annotations = before;
                self.memory.settle(outside)?;
                return Ok(None);
            }
            next = self.next(&mut batches).await?;
        }
        let watch = Watch::start(observed);
        let (rows, of_groups) = fold.finish();
        self.annotations.extend(of_groups);
        if observed {
            let spent = Spent::on(time + watch.read(), rows.len(), Held::of_rows(&rows));
            self.observed.add(node.id, spent);
        }
        Ok(Some(rows))
    }
}
