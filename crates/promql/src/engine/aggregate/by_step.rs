//! The values of many columns at one step.

use rutile_model::sample::STALE_NAN;

use crate::engine::column::Column;

/// Steps that are taken out of the columns at a time: with one, each value would cost a cache miss.
const BLOCK: usize = 32;

/// Columns, looked at step by step.
#[derive(Debug)]
pub(super) struct ByStep<'a> {
    columns: &'a [&'a Column],
    /// The values of `BLOCK` steps from `from` on: all of the first step, then all of the next one.
    block: Vec<f64>,
    from: Option<usize>,
}

impl<'a> ByStep<'a> {
    pub(super) fn new(columns: &'a [&'a Column]) -> Self {
        Self {
            columns,
            block: vec![STALE_NAN; columns.len() * BLOCK],
            from: None,
        }
    }

    /// The floats at a step, in the order of the columns, with the markers of absent ones.
    pub(super) fn floats(&mut self, step: usize) -> &[f64] {
        let from = step - step % BLOCK;
        if self.from != Some(from) {
            self.take_block(from);
        }
        let many = self.columns.len().max(1);
        let values = self.block.chunks_exact(many).nth(step % BLOCK);
        values.unwrap_or_default()
    }

    fn take_block(&mut self, from: usize) {
        self.from = Some(from);
        let many = self.columns.len().max(1);
        for (place, column) in self.columns.iter().enumerate() {
            let values = column.floats.iter().skip(from);
            for (target, value) in self.block.iter_mut().skip(place).step_by(many).zip(values) {
                *target = *value;
            }
        }
    }
}
