//! Matchers that hold on one side of an operator hold on the other one, where rows find each other by their labels:
//! in `sum by (job) (a{job="x"}) / sum by (job) (b)`, no series of `b` counts but those of job `x`.
//!
//! Only where results remain what they are. Both sides must be needed for a result, the label must be one by which
//! rows find each other, and on both sides it must be the one of the series. The side that gets the matcher must be an
//! aggregation that makes one row of each signature: of others, Prometheus refuses duplicates even where they find no
//! partner. What may go with the series that are not selected any more are remarks about them.

use rutile_model::Matcher;

use crate::ast::{Aggregate, Binary, Expr, VectorMatching, VectorSelector};
use crate::engine::aggregate::Fold;
use crate::engine::eval::METRIC_NAME;
use crate::engine::{call, window};

/// Adds the matchers that follow from others to all selectors of a query.
pub(super) fn propagate(expr: &mut Expr) {
    for child in expr.children_mut() {
        propagate(child);
    }
    if let Expr::Binary(binary) = expr {
        let (to_left, to_right) = (
            following(&binary.rhs, &binary.lhs, binary),
            following(&binary.lhs, &binary.rhs, binary),
        );
        add(&mut binary.lhs, to_left);
        add(&mut binary.rhs, to_right);
    }
}

/// The matchers of `from` that can be added to `to`.
fn following(from: &Expr, to: &Expr, binary: &Binary) -> Vec<Matcher> {
    let Some(matching) = &binary.matching else {
        return Vec::new();
    };
    let is_inner = !binary.op.is_set() && matching.fill.lhs.or(matching.fill.rhs).is_none();
    let (Some(source), Some(target)) = (selector(from), selector(to)) else {
        return Vec::new();
    };
    if !is_inner || !is_unique(to, matching) {
        return Vec::new();
    }
    let follows = |matcher: &&Matcher| {
        let name = matcher.name();
        is_matched(matching, name)
            && keeps(from, name)
            && keeps(to, name)
            && !target.matchers.contains(matcher)
    };
    source.matchers.iter().filter(follows).cloned().collect()
}

fn add(expr: &mut Expr, matchers: Vec<Matcher>) {
    if let Some(selector) = selector_mut(expr) {
        // That of the name remains the last one.
        selector.matchers.splice(..0, matchers);
    }
}

/// Whether rows find each other by this label.
fn is_matched(matching: &VectorMatching, name: &str) -> bool {
    let is_listed = matching.labels.iter().any(|label| label == name);
    is_listed == matching.on && name != METRIC_NAME
}

/// Whether no two rows have the same signature.
fn is_unique(expr: &Expr, matching: &VectorMatching) -> bool {
    match expr.unwrap_parens() {
        Expr::Aggregate(aggregate) if !aggregate.without => aggregate
            .grouping
            .iter()
            .all(|name| is_matched(matching, name)),
        _ => false,
    }
}

/// The expression inside, if each row of this one comes of rows there, or of one series.
fn inner(expr: &Expr) -> Option<&Expr> {
    let streams = |id| window::kernel(id).is_some() || call::maps_rows(id);
    match expr {
        Expr::Paren(paren) => Some(&paren.expr),
        Expr::Unary(unary) => Some(&unary.expr),
        Expr::Aggregate(aggregate) if Fold::suits(aggregate.op) => Some(&aggregate.expr),
        Expr::Call(call) if streams(call.function.id) => match &call.args[..] {
            [only] => Some(only),
            _ => None,
        },
        _ => None,
    }
}

fn inner_mut(expr: &mut Expr) -> Option<&mut Expr> {
    inner(expr)?;
    // Whatever is inside is the first child.
    expr.children_mut().into_iter().next()
}

/// The only selector in an expression of which all rows come of its series.
fn selector(expr: &Expr) -> Option<&VectorSelector> {
    match expr {
        Expr::Vector(selector) => Some(selector),
        Expr::Matrix(matrix) => Some(&matrix.selector),
        _ => selector(inner(expr)?),
    }
}

fn selector_mut(expr: &mut Expr) -> Option<&mut VectorSelector> {
    match expr {
        Expr::Vector(selector) => Some(selector),
        Expr::Matrix(matrix) => Some(&mut matrix.selector),
        _ => selector_mut(inner_mut(expr)?),
    }
}

/// Whether rows have this label as the series have it of which they come.
fn keeps(expr: &Expr, name: &str) -> bool {
    let is_kept = match expr {
        Expr::Aggregate(Aggregate {
            grouping, without, ..
        }) => grouping.iter().any(|label| label == name) != *without,
        _ => true,
    };
    is_kept && inner(expr).is_none_or(|inner| keeps(inner, name))
}
