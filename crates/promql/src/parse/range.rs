//! Brackets: ranges of a selector, and subqueries.

use super::{
    literal::{whole_ms, zero},
    parser::{Context, Parsed, Parser, Tree},
    token::Kind,
};
use crate::ast::{DurationExpr, DurationSpec, Expr, Matrix, Span, Subquery};

impl Parser<'_> {
    /// What follows an operand before which a bracket opens.
    pub(super) fn bracketed(&mut self, operand: Tree) -> Parsed<Tree> {
        let open = self.bump().span;
        let range = self.within(Context::Brackets, Self::positive_duration)?;
        match self.kind() {
            Kind::Colon => {
                self.bump();
                self.subquery(operand, range)
            }
            Kind::RightBracket => {
                self.bump();
                Ok(self.matrix(operand, open, range))
            }
            _ => Err(self.unexpected("subquery or range", "\":\" or \"]\"")),
        }
    }

    fn matrix(&mut self, operand: Tree, open: Span, range: DurationSpec) -> Tree {
        let brackets = self.span_since(open);
        let span = self.span_since(operand.expr.span());
        let problem = match operand.expr {
            Expr::Vector(selector) => {
                let problem = if selector.offset.is_some() {
                    Some("no offset modifiers allowed before range")
                } else if selector.at.is_some() {
                    Some("no @ modifiers allowed before range")
                } else {
                    None
                };
                if problem.is_none() {
                    return Tree::leaf(Expr::Matrix(Matrix {
                        selector,
                        range,
                        span,
                    }));
                }
                problem
            }
            _ => Some("ranges only allowed for vector selectors"),
        };
        self.errors.push(brackets, problem.unwrap_or_default());
        Tree::placeholder(span)
    }

    fn subquery(&mut self, operand: Tree, range: DurationSpec) -> Parsed<Tree> {
        let step = if self.kind() == Kind::RightBracket {
            None
        } else {
            Some(self.within(Context::SubqueryStep, Self::positive_duration)?)
        };
        if self.eat(Kind::RightBracket).is_none() {
            return Err(self.unexpected("subquery selector", "\"]\""));
        }
        let span = self.span_since(operand.expr.span());
        Ok(Tree {
            height: self.height_above(operand.height, span)?,
            expr: Expr::Subquery(Subquery {
                expr: Box::new(operand.expr),
                range,
                step,
                offset: None,
                at: None,
                span,
            }),
        })
    }

    /// A length of time; if it is a literal it must be positive.
    fn positive_duration(&mut self) -> Parsed<DurationSpec> {
        let mut duration = self.duration()?;
        if let DurationExpr::Literal(literal) = &duration
            && literal.value <= 0.0
        {
            let message = "duration must be greater than 0";
            self.errors.push(literal.span, message);
            duration = DurationExpr::Literal(zero(literal.span));
        }
        Ok(match duration {
            DurationExpr::Literal(literal) => DurationSpec::Ms(whole_ms(literal.value)),
            expr => DurationSpec::Expr(Box::new(expr)),
        })
    }
}
