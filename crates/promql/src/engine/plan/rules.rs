//! What is decided about a node: one function for each rule.

use super::Node;
use crate::ast::{Expr, ValueType};
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
