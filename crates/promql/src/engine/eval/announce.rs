//! Which selects an evaluation will come to: told to the source before it begins, so that no select waits for what
//! another one waits for.
//!
//! The plan is gone through in the order of the evaluation, and only as far as that is plain: what is not announced is
//! asked for when it is needed. Nothing depends on it but when a source begins.

use super::Evaluator;
use crate::ast::{Expr, FunctionId, ValueType};
use crate::engine::Result;
use crate::engine::plan::Node;
use crate::source::Select;

/// The most selects that are announced.
const MOST: usize = 64;

impl Evaluator<'_> {
    /// Says which selects will come, if there are more than one.
    pub(crate) fn announce(&mut self, plan: &Node<'_>) {
        if !self.options.optimize {
            return;
        }
        let outer = self.steps;
        let mut coming = Vec::new();
        // What fails here fails the evaluation when it comes there.
        self.coming(plan, &mut coming).ok();
        self.steps = outer;
        if coming.len() > 1 {
            self.source.announce(coming);
        }
    }

    /// Adds the selects of a plan. Leaves other steps behind.
    fn coming(&mut self, plan: &Node<'_>, coming: &mut Vec<Select>) -> Result<()> {
        use FunctionId::{Info, StartTimestamp, Timestamp};
        // No recursion: queries can be higher than a stack is deep.
        let mut left = vec![(plan, self.steps)];
        while let Some((node, steps)) = left.pop() {
            self.steps = steps;
            let select = match node.expr {
                Expr::Vector(selector) => self.instant_select(node, selector)?.1,
                Expr::Matrix(matrix) => self.range_select(node, matrix)?.1,
                Expr::Subquery(subquery) => {
                    let inner = self.subquery_steps(node, subquery)?.2;
                    left.extend(node.first().zip(inner));
                    continue;
                }
                Expr::Call(call) if call.function.id == Info => {
                    // The rest depends on what this one gives.
                    left.clear();
                    left.extend(node.first().map(|first| (first, steps)));
                    continue;
                }
                Expr::Call(call) if matches!(call.function.id, Timestamp | StartTimestamp) => {
                    return Ok(());
                }
                _ => {
                    let (of_series, others) = operands(node);
                    let operands = others.into_iter().chain(of_series).rev();
                    left.extend(operands.map(|operand| (operand, steps)));
                    continue;
                }
            };
            if coming.len() == MOST {
                return Ok(());
            }
            if !node.shared || !coming.contains(&select) {
                coming.push(select);
            }
        }
        Ok(())
    }
}

/// The operands of a node that are asked for last, for they are taken as they come, and the others.
fn operands<'n, 'e>(node: &'n Node<'e>) -> (Vec<&'n Node<'e>>, Vec<&'n Node<'e>>) {
    let takes_as_they_come = node.streams || matches!(node.expr, Expr::Aggregate(_));
    let of_series = [ValueType::Vector, ValueType::Matrix];
    let is_last =
        |child: &&Node<'_>| takes_as_they_come && of_series.contains(&child.expr.value_type());
    node.children.iter().partition(is_last)
}
