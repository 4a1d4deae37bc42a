//! Aggregations of rows that come one by one: of these, only what the groups need is kept.

use futures::future::join;

use super::Evaluator;
use super::rows::Seen;
use crate::ast::Aggregate;
use crate::engine::Result;
use crate::engine::aggregate::Fold;
use crate::engine::column::Row;
use crate::engine::plan::Node;

impl Evaluator<'_> {
    /// Folds the rows of a node that streams into the groups of an aggregation, in their order. None if the
    /// aggregation must see all rows, or if some of them have equal labels.
    pub(super) async fn folded(
        &mut self,
        node: &Node<'_>,
        aggregate: &Aggregate,
    ) -> Result<Option<Vec<Row>>> {
        let Some(mut fold) = Fold::new(aggregate, self.steps.len()) else {
            return Ok(None);
        };
        let before = self.annotations.clone();
        let flow = self.flow(node).await?;
        let mut seen = Seen::default();
        let pool = self.pool.clone();
        let mut batches = flow.start(&pool);
        let mut next = self.next(&mut batches).await?;
        while let Some(batch) = next {
            self.annotations.extend(batch.annotations);
            let (rows, nameless) = (batch.rows, batch.nameless);
            let fed = pool.run(move || {
                let distinct = nameless.into_iter().all(|labels| seen.insert(labels));
                fold.take(&rows);
                (fold, seen, distinct)
            });
            // The next batches are computed meanwhile.
            let (fed, following) = join(fed, self.next(&mut batches)).await;
            let distinct;
            (fold, seen, distinct) = fed;
            if !distinct {
                self.annotations = before;
                return Ok(None);
            }
            next = following?;
        }
        let (rows, of_groups) = fold.finish();
        self.annotations.extend(of_groups);
        Ok(Some(rows))
    }
}
