//! Expressions: the descent itself.

use super::{
    parser::{Context, Parsed, Parser, Tree},
    token::{Keyword, Kind},
};
use crate::ast::{BinaryOp, Expr, NumberLiteral, Paren, Sign, Span, Unary};

/// The loosest precedence: everything is part of the expression.
const ANY: u8 = 0;

impl Parser<'_> {
    /// A whole query.
    pub(super) fn query(&mut self) -> Parsed<Expr> {
        if self.kind() == Kind::End {
            self.errors
                .push(Span::default(), "no expression found in input");
            return Err(super::parser::Refused);
        }
        let tree = self.expr()?;
        self.expect(Kind::End)?;
        Ok(tree.expr)
    }

    /// An expression that extends as far as it can.
    pub(super) fn expr(&mut self) -> Parsed<Tree> {
        self.expr_above(ANY)
    }

    /// An expression whose operators bind at least as strongly as `min`.
    pub(super) fn expr_above(&mut self, min: u8) -> Parsed<Tree> {
        self.nested(|parser| {
            let mut left = parser.operand()?;
            while let Kind::Operator(op) = parser.kind() {
                if op.precedence() < min {
                    break;
                }
                parser.bump();
                left = parser.binary(left, op)?;
            }
            Ok(left)
        })
    }

    /// What stands between two operators, with its sign and its modifiers.
    fn operand(&mut self) -> Parsed<Tree> {
        let sign = match self.kind() {
            Kind::Operator(BinaryOp::Add) => Sign::Plus,
            Kind::Operator(BinaryOp::Sub) => Sign::Minus,
            _ => {
                let primary = self.primary()?;
                return self.modified(primary);
            }
        };
        let start = self.bump().span;
        // A sign binds as `*` does: looser than `^`.
        let operand = self.expr_above(BinaryOp::Pow.precedence())?;
        let span = start.to(operand.expr.span());
        if let Expr::Number(literal) = operand.expr {
            return Ok(Tree::leaf(Expr::Number(NumberLiteral {
                value: sign.apply(literal.value),
                span,
                ..literal
            })));
        }
        Ok(Tree {
            height: self.height_above(operand.height, span)?,
            expr: Expr::Unary(Unary {
                op: sign,
                expr: Box::new(operand.expr),
                span,
            }),
        })
    }

    fn primary(&mut self) -> Parsed<Tree> {
        let token = self.peek();
        match token.kind {
            Kind::Number | Kind::Duration => {
                let literal = self.number_literal()?;
                Ok(Tree::leaf(Expr::Number(literal)))
            }
            Kind::String => Ok(Tree::leaf(Expr::String(self.string_literal()))),
            Kind::LeftParen => self.paren(),
            Kind::LeftBrace => self.selector(None),
            Kind::Aggregator(op) => {
                let name = self.bump();
                match self.kind() {
                    Kind::LeftParen | Kind::Keyword(Keyword::By | Keyword::Without) => {
                        self.within(Context::Aggregation, |parser| parser.aggregate(name, op))
                    }
                    _ => self.selector(Some(name)),
                }
            }
            Kind::Identifier | Kind::Preprocessor(_) => {
                let name = self.bump();
                if self.kind() == Kind::LeftParen {
                    return self.call(name);
                }
                self.selector(Some(name))
            }
            kind if kind.is_metric_name() => {
                let name = self.bump();
                self.selector(Some(name))
            }
            _ => Err(self.unexpected_here()),
        }
    }

    fn paren(&mut self) -> Parsed<Tree> {
        let open = self.bump();
        let inner = self.expr()?;
        let close = self.expect(Kind::RightParen)?;
        let span = open.span.to(close.span);
        Ok(Tree {
            height: self.height_above(inner.height, span)?,
            expr: Expr::Paren(Paren {
                expr: Box::new(inner.expr),
                span,
            }),
        })
    }
}
