//! The plan of a query: its tree, and what is decided about each node before anything is evaluated.
//!
//! Pure: of an expression comes a plan, without a look at any data. The plan borrows the expressions; parentheses
//! are gone. What holds of a node is a rule with a function of its own, and results are the same without it.

mod explain;
mod propagate;
mod rules;

use crate::ast::Expr;

use super::EngineOptions;
use super::summary::Summary;

pub use explain::Explanation;

/// A node of a plan: an expression that is evaluated, with what was decided about it.
#[derive(Debug)]
pub(crate) struct Node<'e> {
    /// Its place in the plan, counted from the root, outer nodes first: what is observed is kept there.
    pub(crate) id: usize,
    /// What is evaluated; no parentheses.
    pub(crate) expr: &'e Expr,
    /// As [`Expr::children`] has them.
    pub(crate) children: Vec<Self>,
    /// The function or aggregation that is this node, or right around it if no operator is between them.
    pub(crate) around: Option<&'static str>,
    /// What this expression and those around it want of histograms.
    pub(crate) summary: Summary,
    /// Whether it is evaluated row by row, as its series come.
    pub(crate) streams: bool,
    /// Whether it selects what another node of the plan selects, too.
    pub(crate) shared: bool,
    /// Whether it is evaluated once, for its value is the same at all steps.
    pub(crate) fixed: bool,
}

/// The expression of which the plan is made: the same, but that less is selected if that makes no difference.
pub(crate) fn rewritten(mut expr: Expr, options: &EngineOptions) -> Expr {
    if options.optimize {
        propagate::propagate(&mut expr);
    }
    expr
}

/// Makes the plan of an expression.
pub(crate) fn plan<'e>(expr: &'e Expr, options: &EngineOptions) -> Node<'e> {
    let mut planner = Planner {
        nodes: 0,
        optimize: options.optimize,
        // Rows whose names go at the end are joined in another way at a single step.
        fixes: options.optimize && !options.delayed_name_removal,
    };
    let mut root = planner.node(expr, None, Summary::default());
    if options.optimize {
        let mut selections = rules::Selections::default();
        rules::count_selections(&root, &mut selections);
        rules::share(&mut root, &selections);
    }
    root
}

struct Planner {
    nodes: usize,
    optimize: bool,
    fixes: bool,
}

impl Planner {
    fn node<'e>(
        &mut self,
        expr: &'e Expr,
        around: Option<&'static str>,
        summary: Summary,
    ) -> Node<'e> {
        let expr = expr.unwrap_parens();
        let around = match expr {
            Expr::Binary(_) => None,
            Expr::Aggregate(aggregate) => Some(aggregate.op.as_str()),
            Expr::Call(call) => Some(call.function.name),
            _ => around,
        };
        let summary = summary.inside(expr);
        let id = self.nodes;
        self.nodes += 1;
        let children = expr.children().into_iter();
        let children: Vec<Node<'e>> = children
            .map(|child| self.node(child, around, summary))
            .collect();
        Node {
            id,
            expr,
            streams: self.optimize && rules::streams(expr, &children),
            shared: false,
            fixed: self.fixes && rules::fixed(expr, &children),
            children,
            around,
            summary,
        }
    }
}

impl<'e> Node<'e> {
    /// The only child, or the first one.
    pub(crate) fn first(&self) -> Option<&Self> {
        self.children.first()
    }

    /// How many nodes there are, this one included.
    pub(crate) fn count(&self) -> usize {
        1 + self.children.iter().map(Self::count).sum::<usize>()
    }
}
