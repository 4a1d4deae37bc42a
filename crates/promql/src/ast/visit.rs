//! Walking over a tree.

use rutile_model::Matcher;

use super::{DurationExpr, DurationSpec, Expr, Span};

impl Expr {
    /// The expressions directly inside, in the order of evaluation: of an aggregation, the
    /// parameter comes last. The selector of a [`super::Matrix`] is not among them.
    #[must_use]
    pub fn children(&self) -> Vec<&Self> {
        match self {
            Self::Number(_) | Self::String(_) | Self::Vector(_) | Self::Matrix(_) => vec![],
            Self::Subquery(e) => vec![&e.expr],
            Self::Paren(e) => vec![&e.expr],
            Self::Unary(e) => vec![&e.expr],
            Self::Binary(e) => vec![&e.lhs, &e.rhs],
            Self::Aggregate(e) => std::iter::once(&*e.expr)
                .chain(e.param.as_deref())
                .collect(),
            Self::Call(e) => e.args.iter().collect(),
        }
    }

    /// The same, to be changed.
    pub fn children_mut(&mut self) -> Vec<&mut Self> {
        match self {
            Self::Number(_) | Self::String(_) | Self::Vector(_) | Self::Matrix(_) => vec![],
            Self::Subquery(e) => vec![&mut e.expr],
            Self::Paren(e) => vec![&mut e.expr],
            Self::Unary(e) => vec![&mut e.expr],
            Self::Binary(e) => vec![&mut e.lhs, &mut e.rhs],
            Self::Aggregate(e) => std::iter::once(&mut *e.expr)
                .chain(e.param.as_deref_mut())
                .collect(),
            Self::Call(e) => e.args.iter_mut().collect(),
        }
    }

    /// Calls `visit` with this expression and all inside it, outer ones first.
    pub fn walk<'e>(&'e self, visit: &mut impl FnMut(&'e Self)) {
        visit(self);
        for child in self.children() {
            child.walk(visit);
        }
    }

    /// The matchers of every selector, in order.
    #[must_use]
    pub fn selectors(&self) -> Vec<&[Matcher]> {
        let mut found = Vec::new();
        self.walk(&mut |expr| match expr {
            Self::Vector(e) => found.push(e.matchers.as_slice()),
            Self::Matrix(e) => found.push(e.selector.matchers.as_slice()),
            _ => {}
        });
        found
    }

    /// Forgets where everything was in the query, so that trees of different texts compare.
    pub fn erase_spans(&mut self) {
        let nowhere = Span::default();
        match self {
            Self::Number(e) => e.span = nowhere,
            Self::String(e) => e.span = nowhere,
            Self::Vector(e) => {
                e.span = nowhere;
                erase_in(&mut e.offset);
            }
            Self::Matrix(e) => {
                (e.span, e.selector.span) = (nowhere, nowhere);
                erase_in(&mut e.selector.offset);
                e.range.erase_spans();
            }
            Self::Subquery(e) => {
                e.span = nowhere;
                erase_in(&mut e.offset);
                erase_in(&mut e.step);
                e.range.erase_spans();
            }
            Self::Paren(e) => e.span = nowhere,
            Self::Unary(e) => e.span = nowhere,
            Self::Binary(e) => e.span = nowhere,
            Self::Aggregate(e) => e.span = nowhere,
            Self::Call(e) => e.span = nowhere,
        }
        for child in self.children_mut() {
            child.erase_spans();
        }
    }
}

fn erase_in(spec: &mut Option<DurationSpec>) {
    if let Some(spec) = spec {
        spec.erase_spans();
    }
}

impl DurationSpec {
    fn erase_spans(&mut self) {
        if let Self::Expr(expr) = self {
            expr.erase_spans();
        }
    }
}

impl DurationExpr {
    fn erase_spans(&mut self) {
        match self {
            Self::Literal(literal) => literal.span = Span::default(),
            Self::Step(span) | Self::Range(span) => *span = Span::default(),
            Self::Negate { operand, span } => {
                *span = Span::default();
                operand.erase_spans();
            }
            Self::Paren { inner, span } => {
                *span = Span::default();
                inner.erase_spans();
            }
            Self::Binary { lhs, rhs, span, .. } | Self::Pick { lhs, rhs, span, .. } => {
                *span = Span::default();
                lhs.erase_spans();
                rhs.erase_spans();
            }
        }
    }
}
