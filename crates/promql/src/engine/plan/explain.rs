//! What a plan says about itself.

use super::Node;
use crate::ast::{Aggregate, Expr};

/// The plan of a query: a tree of operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The name of the operator, what it is told, and what was decided about it.
    pub name: String,
    /// What it takes.
    pub children: Vec<Self>,
}

impl Node<'_> {
    /// The operator and what it is told, as it is shown.
    pub(crate) fn name(&self) -> String {
        let name = match self.expr {
            Expr::Number(_) => format!("[number] {}", self.expr),
            Expr::String(_) => format!("[string] {}", self.expr),
            Expr::Vector(_) => format!("[selector] {}", self.expr),
            Expr::Matrix(_) => format!("[range selector] {}", self.expr),
            Expr::Subquery(subquery) => format!("[subquery] {}", subquery.suffix()),
            Expr::Paren(_) => "[parentheses]".to_owned(),
            Expr::Unary(unary) => format!("[sign] {}", unary.op.as_str()),
            Expr::Binary(binary) => format!("[operator] {}", binary.op),
            Expr::Aggregate(aggregate) => format!("[aggregation] {}", aggregated(aggregate)),
            Expr::Call(call) => format!("[function] {}", call.function.name),
        };
        let mut notes = Vec::new();
        if self.streams {
            notes.push("row by row");
        }
        if self.shared {
            notes.push("shared");
        }
        if self.fixed {
            notes.push("once");
        }
        if notes.is_empty() {
            return name;
        }
        format!("{name} ({})", notes.join(", "))
    }

    /// The plan below this node.
    pub(crate) fn explanation(&self) -> Explanation {
        Explanation {
            name: self.name(),
            children: self.children.iter().map(Self::explanation).collect(),
        }
    }
}

fn aggregated(aggregate: &Aggregate) -> String {
    let names = aggregate.grouping.join(", ");
    match (aggregate.without, names.is_empty()) {
        (false, true) => aggregate.op.to_string(),
        (false, false) => format!("{} by ({names})", aggregate.op),
        (true, _) => format!("{} without ({names})", aggregate.op),
    }
}
