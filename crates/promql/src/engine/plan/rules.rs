//! What is decided about a node: one function for each rule.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::Node;
use crate::ast::{AggregateOp, Expr, FunctionId, ValueType};
use crate::engine::{call, window};

/// Whether the rows of an expression come one by one, each from one series: those of selectors, of functions over
/// their ranges, and of whatever then changes rows without a look at others.
pub(super) fn streams(expr: &Expr, children: &[Node<'_>]) -> bool {
    let vectors = || {
        let is_vector = |child: &&Node<'_>| child.expr.value_type() == ValueType::Vector;
        children.iter().filter(is_vector)
    };
    let one_streams = || vectors().count() == 1 && vectors().all(|child| child.streams);
    match expr {
        Expr::Vector(_) => true,
        Expr::Call(call) if window::kernel(call.function.id).is_some() => true,
        Expr::Call(call) => call::maps_rows(call.function.id) && one_streams(),
        Expr::Unary(_) | Expr::Binary(_) => one_streams(),
        _ => false,
    }
}

/// Whether the value of an expression is the same at all steps: its selectors look at a fixed time, and nothing in
/// it asks for the step, or orders rows in a way that depends on how many steps there are.
pub(super) fn fixed(expr: &Expr, children: &[Node<'_>]) -> bool {
    use AggregateOp::{Bottomk, LimitRatio, Limitk, Topk};
    use FunctionId::{
        Info, PredictLinear, Sort, SortByLabel, SortByLabelDesc, SortDesc, StartTimestamp, Time,
        Timestamp,
    };
    let all_fixed = || children.iter().all(|child| child.fixed);
    match expr {
        Expr::Number(_) | Expr::String(_) => true,
        Expr::Vector(selector) => selector.at.is_some(),
        Expr::Matrix(matrix) => matrix.selector.at.is_some(),
        Expr::Subquery(subquery) => subquery.at.is_some(),
        Expr::Paren(_) | Expr::Unary(_) | Expr::Binary(_) => all_fixed(),
        Expr::Aggregate(aggregate) => {
            !matches!(aggregate.op, Topk | Bottomk | Limitk | LimitRatio) && all_fixed()
        }
        Expr::Call(call) => match call.function.id {
            Time | Timestamp | StartTimestamp | PredictLinear | Info => false,
            Sort | SortDesc | SortByLabel | SortByLabelDesc => false,
            // Without an argument, they take the step.
            id if call::is_of_date(id) => !children.is_empty() && all_fixed(),
            _ => all_fixed(),
        },
    }
}

/// What tells selectors apart, at the same steps: their text, and what a source is told about the function around.
type Selection = (String, Option<&'static str>);

/// How often each selection is in a plan.
pub(super) type Selections = HashMap<Selection, usize, FixedState>;

fn selection(node: &Node<'_>) -> Option<Selection> {
    match node.expr {
        Expr::Vector(_) | Expr::Matrix(_) => Some((node.expr.to_string(), node.around)),
        _ => None,
    }
}

/// Counts what the selectors of a plan select.
pub(super) fn count_selections(node: &Node<'_>, counts: &mut Selections) {
    if let Some(selection) = selection(node) {
        *counts.entry(selection).or_default() += 1;
    }
    for child in &node.children {
        count_selections(child, counts);
    }
}

/// Marks the selectors whose selection is there more than once.
pub(super) fn share(node: &mut Node<'_>, counts: &Selections) {
    let count = selection(node).and_then(|selection| counts.get(&selection));
    node.shared = count.is_some_and(|count| *count > 1);
    for child in &mut node.children {
        share(child, counts);
    }
}
