//! Operators between two expressions, and their modifiers.

use super::{
    parser::{Parsed, Parser, Tree},
    token::{Keyword, Kind},
};
use crate::ast::{Binary, BinaryOp, Cardinality, Expr, FillValues, Sign, VectorMatching};

#[derive(Default)]
struct Modifiers {
    return_bool: bool,
    matching: VectorMatching,
}

impl Parser<'_> {
    /// What follows an operator.
    pub(super) fn binary(&mut self, left: Tree, op: BinaryOp) -> Parsed<Tree> {
        let modifiers = self.binary_modifiers()?;
        let min = op.precedence() + u8::from(!op.is_right_associative());
        let right = self.expr_above(min)?;
        let span = left.expr.span().to(right.expr.span());
        let fill = modifiers.matching.fill;
        if !self.options.fill_modifiers && (fill.lhs.is_some() || fill.rhs.is_some()) {
            let message = "binop fill modifiers are experimental and not enabled";
            self.errors.push(span, message);
        }
        Ok(Tree {
            height: self.height_above(left.height.max(right.height), span)?,
            expr: Expr::Binary(Binary {
                op,
                lhs: Box::new(left.expr),
                rhs: Box::new(right.expr),
                matching: Some(modifiers.matching),
                return_bool: modifiers.return_bool,
                span,
            }),
        })
    }

    fn binary_modifiers(&mut self) -> Parsed<Modifiers> {
        let return_bool = self.eat_keyword(Keyword::Bool);
        let mut matching = VectorMatching::default();
        let on = self.eat_keyword(Keyword::On);
        if on || self.eat_keyword(Keyword::Ignoring) {
            matching.on = on;
            matching.labels = self.grouping_labels()?;
            matching.card = if self.eat_keyword(Keyword::GroupLeft) {
                Cardinality::ManyToOne
            } else if self.eat_keyword(Keyword::GroupRight) {
                Cardinality::OneToMany
            } else {
                Cardinality::OneToOne
            };
            // Without parentheses, the right side must follow.
            let may_have_labels = matching.card != Cardinality::OneToOne;
            if may_have_labels && (self.kind() == Kind::LeftParen || !self.kind().starts_expr()) {
                matching.include = self.grouping_labels()?;
            }
        }
        matching.fill = self.fill_values()?;
        Ok(Modifiers {
            return_bool,
            matching,
        })
    }

    fn fill_values(&mut self) -> Parsed<FillValues> {
        let mut fill = FillValues::default();
        if self.eat_keyword(Keyword::Fill) {
            fill.lhs = Some(self.fill_value()?);
            fill.rhs = fill.lhs;
        } else if self.eat_keyword(Keyword::FillLeft) {
            fill.lhs = Some(self.fill_value()?);
            if self.eat_keyword(Keyword::FillRight) {
                fill.rhs = Some(self.fill_value()?);
            }
        } else if self.eat_keyword(Keyword::FillRight) {
            fill.rhs = Some(self.fill_value()?);
            if self.eat_keyword(Keyword::FillLeft) {
                fill.lhs = Some(self.fill_value()?);
            }
        }
        Ok(fill)
    }

    fn fill_value(&mut self) -> Parsed<f64> {
        self.expect(Kind::LeftParen)?;
        let sign = self.eat_sign().map_or(Sign::Plus, |(sign, _)| sign);
        let literal = self.number_literal()?;
        self.expect(Kind::RightParen)?;
        Ok(sign.apply(literal.value))
    }

    pub(super) fn eat_keyword(&mut self, keyword: Keyword) -> bool {
        self.eat(Kind::Keyword(keyword)).is_some()
    }
}
